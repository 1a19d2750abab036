"""Where changes go, and which of them: an endpoint, what it wants, and which addresses there can be. Pure."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import Final

import httpx

from verifier.errors import Invalid

LONGEST: Final = 2_000
"""The most characters an address may have."""

_LOCAL: Final = ("localhost",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What decides whether a change is wanted."""

    position: int
    claim: str
    story: str | None
    previous: str
    status: str
    recall: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Which changes an endpoint wants; what is left out doesn't matter."""

    claim: str | None = None
    story: str | None = None
    source: str | None = None
    status: str | None = None
    recalls: bool = False

    def want(self, change: Change, *, of_source: bool) -> bool:
        """Say whether a change is wanted, of a claim on which the source that is asked for has said something."""
        return (
            self.claim in (None, change.claim)
            and self.story in (None, change.story)
            and self.status in (None, change.status)
            and (self.source is None or of_source)
            and (change.recall or not self.recalls)
        )


def is_told(change: Change, *, wanted: bool, told: str | None) -> bool:
    """Say whether a change goes out to an endpoint: it is wanted, or it recalls the status that the endpoint was told
    last of this claim (`told`)."""
    return wanted or (change.recall and told == change.previous)


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """What a receiver checks signatures by, from when, and until when it is used beside a newer one. Its `repr` may be
    shown."""

    id: str
    key: str = field(repr=False)
    made_at: float
    until: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """An address, what it wants and how far it is: every change up to `position` was queued for it, or not wanted.

    `changed` grows whenever an operator changes something, so that the sender notices.
    """

    id: str
    url: str
    filters: Filters
    position: int
    made_at: float
    disabled: str | None = None
    changed: int = 0
    secrets: tuple[Secret, ...] = ()

    def keys(self, now: float) -> list[str]:
        """Return the secrets that are valid now, the newest first."""
        valid = [secret for secret in self.secrets if secret.until is None or secret.until > now]
        return [secret.key for secret in sorted(valid, key=lambda secret: -secret.made_at)]


def checked_url(given: str) -> str:
    """Return an address to which changes may be sent. Raises `Invalid`, without repeating it: it may hold a secret.

    An operator chooses it, so an address inside the house is as good as any. Only what is never a receiver is refused:
    addresses of the link, at which clouds hand out credentials, and those that mean everybody or nobody.
    """
    try:
        url = httpx.URL(given)
        named = bool(url.host) and 0 < (url.port or 1) < 2**16 and url.host.encode("idna")
    except (httpx.InvalidURL, UnicodeError):
        raise _refused("that is no address") from None
    if len(given) > LONGEST or not named or url.scheme not in ("http", "https"):
        raise _refused("that is no address")
    if url.userinfo or url.fragment:
        raise _refused("the address holds a password or a fragment: leave it out, messages are signed")
    address = _address(url.host)
    if address is not None and (address.is_link_local or address.is_multicast or address.is_unspecified):
        raise _refused(f"nobody receives webhooks at {address}")
    if url.scheme == "http" and not (url.host in _LOCAL or (address is not None and address.is_loopback)):
        raise _refused("http:// is for this machine only, anybody on the way could read along: use https://")
    return given


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the address that a host is, `None` where it is a name; one of IPv4 in the dress of IPv6 is that one."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _refused(why: str) -> Invalid:
    return Invalid(f"{why}; give one such as https://cms.example.org/hooks/claims", field="url")
