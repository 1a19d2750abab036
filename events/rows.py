"""A stored log as its tables hold it: every column, for whoever trusts none of them.

`events.log.Log` reads what it wrote. An auditor reads what is there, and finds out whether it is the same; so
nothing here is decoded, and nothing is taken for granted that only a constraint of the database would promise.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, Protocol

ROWS: Final = 4_096
"""How many rows a page has, at the most: a multiple of a tile's width."""

COLUMNS: Final = ("position", "id", "stream", "leaf", "wording_salt", "wording", "identity_salt", "identity")
"""The columns of the table of events, on every engine, in this order."""


Row = tuple[
    int, bytes | None, bytes | None, bytes, bytes | None, bytes | None, bytes | None, bytes | None
]  # fmt: skip
"""One row of the table of events: its `COLUMNS`. Id and stream are `None` where the place has no columns for them."""


class HeadRow(NamedTuple):
    """The row in which an engine keeps how far its log reaches; `last` is how far the events reached just then."""

    one: bool
    position: int
    recorded_at: str
    before: str
    last: int


class Rows(Protocol):
    """The tables of one log, open for reading. Used by one thread at a time."""

    def head(self) -> int:
        """Return the highest position that a row has, 0 where there is none."""
        ...

    def pages(self, *, after: int, upto: int, texts: bool = True) -> Iterator[Sequence[Row]]:
        """Yield the rows after a position, up to another, in order, at most `ROWS` at once.

        Without `texts`, texts and salts are `None` in them.
        Raises `Busy` where they can't be read now, and `Damaged` where they can't be read at all.
        """
        ...

    def naming(self, part: bytes, *, stream: str, upto: int) -> Iterator[tuple[int, bytes]]:
        """Yield position and leaf of the rows of a stream up to a position whose leaf has these bytes in it, in order.

        The one question that goes through an index: what that leaves out is not found. Raises as `pages` does.
        """
        ...

    def astray(self) -> Sequence[int | None]:
        """Return the positions of rows that no reader comes to: those before 1, and those without a position."""
        ...

    def mistyped(self) -> Sequence[tuple[int, str]]:
        """Return position and column where another kind of value stands than the log writes: nothing, or a text
        instead of bytes."""
        ...

    def unlike(self) -> Sequence[str]:
        """Return in what the tables, their indexes and triggers are not those that the migrations make, in words."""
        ...

    def heads(self) -> Sequence[HeadRow] | None:
        """Return the rows that say how far the log reaches, `None` where the engine has no table for that."""
        ...

    def beside(self, path: str) -> bytes | None:
        """Return what is kept beside the log under a path of `events.tiles`, `None` where nothing is."""
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...
