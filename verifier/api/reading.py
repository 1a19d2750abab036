"""What a request says: its body, bounded and strict, and its headers. Each refusal says what to mend."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Final

from starlette.requests import Request

from verifier.errors import Invalid, TooLarge
from verifier.keys import key_or_new

BODY_LIMIT: Final = 64 * 2**10
"""The most bytes a command may have."""

BATCH_LIMIT: Final = 2**20
"""The most bytes a batch may have."""

JSON: Final = ("application/json",)
LINES: Final = ("application/jsonl", "application/x-ndjson")

_TAG = re.compile(r'(?:W/)?"?(\d{1,16})(?:-[^"]*)?"?')
_POSITION = re.compile(r"\d{1,15}", re.ASCII)


def check_type(request: Request, allowed: tuple[str, ...]) -> None:
    """Take a body of these media types only: a form on a foreign page can't send them.

    Raises `Invalid`.
    """
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given not in allowed:
        raise Invalid(
            f"the body comes as {given or 'nothing that is named'}: send it with `Content-Type: {allowed[0]}`",
            field="Content-Type",
        )


async def body_of(request: Request, limit: int) -> bytes:
    """Read a body, and no more of it than `limit`. Raises `TooLarge`."""
    check_length(request, limit)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise _too_large(limit)
    return bytes(body)


def check_length(request: Request, limit: int) -> None:
    """Refuse a body that says itself that it is too large. Raises `TooLarge`."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        raise _too_large(limit)


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"the body has more than {limit:,} bytes: send less at once", limit=limit)


async def chunks_of(request: Request) -> AsyncIterator[bytes]:
    """Yield a body as it comes."""
    async for chunk in request.stream():
        if chunk:
            yield chunk


def key_of(request: Request) -> str:
    """Return the idempotency key of a write, a new one where the caller gave none. Raises `Invalid`."""
    return key_or_new(request.headers.get("idempotency-key"))


def if_match_of(request: Request) -> int | None:
    """Return the position that the caller saw the claim at, from an `ETag` of ours. Raises `Invalid`."""
    given = request.headers.get("if-match")
    if given is None or given.strip() == "*":
        return None
    match = _TAG.fullmatch(given.strip())
    if match is None:
        raise Invalid(
            f"{given} is not an ETag of a claim: send the one that came with it, or leave it out", field="If-Match"
        )
    return int(match[1])


def seen_of(request: Request) -> int | None:
    """Return the last position that the caller knows of, from `Verifier-Position`. Raises `Invalid`."""
    return _position(request, "Verifier-Position")


def last_event_of(request: Request) -> int | None:
    """Return where a stream broke off, from `Last-Event-ID`. Raises `Invalid`."""
    return _position(request, "Last-Event-ID")


def _position(request: Request, name: str) -> int | None:
    given = request.headers.get(name)
    if given is None:
        return None
    if not _POSITION.fullmatch(given):
        raise Invalid(f"{given!r} is not a position: {name} is a number, 0 or more", field=name)
    return int(given)


def query_of(request: Request) -> dict[str, str]:
    """Return the parameters of a question. Raises `Invalid` for one that is given twice."""
    given = request.query_params
    query = dict(given)
    if len(query) != len(given.multi_items()):
        twice = next(name for name in query if len(given.getlist(name)) > 1)
        raise Invalid(f"{twice} is given twice: keep one of them", field=twice)
    return query
