"""What was recorded last, told once: on the page to which a form leads, with a button that undoes it.

It travels as a cookie from the answer to a form to the page that comes next, and is gone then. It is nothing but words
to show and a form to offer: whoever made one up could only show it to themselves.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from verifier.app import Desk

KEPT: Final = 60
"""How many seconds a browser has to fetch the page."""

LONGEST: Final = 500
"""How many characters of an effect are told."""


class Undo(msgspec.Struct, frozen=True, kw_only=True):
    """A form that undoes what was recorded: where it stands, the field that names the fact, the position of the claim
    after it, and a key under which it is undone once."""

    action: str
    field: str
    event: str
    position: int
    key: str


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """What was recorded, in one line, and the page on which that is told."""

    page: str
    effect: str
    undo: Undo | None = None


def _cookie(desk: Desk) -> str:
    """Return the name of the cookie of a log: servers of other logs on the same machine have others."""
    return f"done-{desk.log.id[-12:]}"


def tell(response: Response, desk: Desk, done: Done) -> None:
    """Have the browser bring along what was recorded."""
    raw = base64.urlsafe_b64encode(msgspec.json.encode(done)).decode()
    response.set_cookie(_cookie(desk), raw, max_age=KEPT, httponly=True, samesite="strict")


def told(request: Request, desk: Desk) -> Done | None:
    """Return what was recorded just now, where this page is the one to tell it."""
    given = request.cookies.get(_cookie(desk))
    if given is None:
        return None
    try:
        done = msgspec.json.decode(base64.urlsafe_b64decode(given), type=Done)
    except (binascii.Error, ValueError, msgspec.DecodeError):  # nothing of ours
        return None
    local = done.undo is None or (done.undo.action.startswith("/") and not done.undo.action.startswith("//"))
    return done if local and done.page == request.url.path else None


def forget(response: Response, desk: Desk) -> None:
    """Have the browser forget it: it was told."""
    response.delete_cookie(_cookie(desk), httponly=True, samesite="strict")


def shortened(effect: Any) -> str:
    """Return an effect as it is told: all of it stands in the log."""
    words = str(effect)
    return words if len(words) <= LONGEST else f"{words[: LONGEST - 1]}…"
