"""Where a server is: which addresses there can be, and how one is shown."""

from __future__ import annotations

import httpx

from verifier.errors import Invalid


def checked(url: str) -> str:
    """Return an address at which a server can be. Raises `Invalid` for any other, which it doesn't repeat: it may
    hold a password."""
    try:
        address = httpx.URL(url)
    except httpx.InvalidURL:
        address = httpx.URL()
    if not address.host or not 0 < (address.port or 80) < 2**16:
        raise Invalid("that is not the address of a server: give one such as http://127.0.0.1:8750")
    return url


def shown(url: str) -> str:
    """Return an address as it may be shown to anyone: without the user and the password that a proxy may want."""
    return str(httpx.URL(url).copy_with(userinfo=b""))
