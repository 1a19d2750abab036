"""Where a list goes on: an opaque text that belongs to one log and one kind of list.

The key in it is made of positions and ids, which never change, so a cursor stays good while the list grows.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

import msgspec

from events.contracts import Position
from events.leaf import UNREADABLE, canonical
from verifier.errors import Invalid


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """After which item a list goes on, in which log, and how far the views were then."""

    log: str
    kind: str
    position: int
    key: tuple[str | Position, ...]

    def encode(self) -> str:
        """Return the cursor as a text for an address."""
        return urlsafe_b64encode(canonical(self)).decode().rstrip("=")


_decoder = msgspec.json.Decoder(Cursor)


def read_cursor(text: str | None, *, log: str, kind: str, head: int, like: tuple[Any, ...]) -> Any:
    """Return the key of a cursor, or `like` where there is none: the key of the beginning.

    Raises `Invalid` for what is no cursor of this list in this log, also one from beyond its head.
    """
    if text is None:
        return like
    try:
        cursor = _decoder.decode(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (*UNREADABLE, ValueError) as error:
        raise Invalid("this is not a cursor: use the `next` of an answer as it is", field="cursor") from error
    if cursor.log != log or cursor.position > head:
        raise Invalid("this cursor belongs to another log: begin the list anew, without a cursor", field="cursor")
    if cursor.kind != kind or [type(part) for part in cursor.key] != [type(part) for part in like]:
        raise Invalid("this cursor belongs to another list: begin this one anew, without a cursor", field="cursor")
    return cursor.key
