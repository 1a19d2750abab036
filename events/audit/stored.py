"""A log as its storage holds it, with the tiles and the checkpoint kept beside it, and the bytes of its snapshots."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Final

from events.audit.findings import Finding
from events.errors import DamagedEvidence, Invalid
from events.evidence import Snapshots
from events.leaf import decode_leaf
from events.open import evidence_of, rows_of
from events.rows import Row, Rows
from events.tiles import CHECKPOINT, VKEY
from events.tlog import TILE_WIDTH, tile_path

_HASH: Final = 32
_FULL: Final = TILE_WIDTH * _HASH
_ATTESTED: Final = b'"statuses.attested"'
_LOGS_OWN: Final = "log"  # the stream in which it is attested


@dataclass(frozen=True, slots=True)
class Stored:
    """The log at a URL. Its `repr` can be shown to anyone, the URL may hold a password."""

    url: str = field(repr=False)

    def open(self) -> OpenStored:
        """Open its tables for reading, whatever they hold. Takes no lock."""
        return OpenStored(self.url)

    def storage(self) -> Sequence[Finding]:
        """Return what is wrong with the tables and rows as such, with the head, and with the bytes of snapshots."""
        with closing(rows_of(self.url)) as rows:
            return [*_wrong_rows(rows), *_wrong_head(rows), *_wrong_evidence(evidence_of(self.url))]


class OpenStored:
    """A log in its storage, open: see `events.audit.book.OpenBook`."""

    has_texts = True
    is_published = False

    def __init__(self, url: str) -> None:
        self._rows = rows_of(url)

    def checkpoint(self) -> bytes | None:
        """Return the checkpoint that the sealer left beside the tiles."""
        return self._rows.beside(CHECKPOINT)

    def vkeys(self) -> Sequence[str]:
        """Return the keys that stand beside it."""
        return (self._rows.beside(VKEY) or b"").decode(errors="replace").split()

    def log(self) -> str | None:
        """Return `None`: only the first leaf says which log this is."""
        return None

    def head(self) -> int:
        """Return the highest position that a row has."""
        return self._rows.head()

    def pages(self, *, after: int, upto: int, texts: bool = True) -> Iterator[Sequence[Row]]:
        """Yield the rows of the table of events."""
        return self._rows.pages(after=after, upto=upto, texts=texts)

    def attesting(self, *, upto: int) -> Iterator[tuple[int, bytes]]:
        """Yield every leaf in the log's own stream that names the type of an attestation."""
        for position, leaf in self._rows.naming(_ATTESTED, stream=_LOGS_OWN, upto=upto):
            if leaf.__class__ is bytes:  # what is none is found beside
                yield position, leaf

    def kept(self, level: int, n: int, width: int) -> Sequence[bytes]:
        """Return as much of the tile as is asked for, if it is kept: only full ones are, also of what is not sealed.

        One that was cut off or lengthened comes with hashes that differ from any leaf's, at least one of them.
        """
        tile = self._rows.beside(tile_path(level, n))
        if tile is None:
            return []
        if len(tile) != _FULL:
            tile = tile[: _HASH * (width - 1)]
        return [tile[: _HASH * width].ljust(_HASH * width, b"\x00")]

    def sought(self) -> str | None:
        """Return the time to which the head was put back after an append that was refused: some event has it."""
        heads = self._rows.heads()
        return heads[0].before if heads else None

    def noticed(self) -> Sequence[Finding]:
        """Return none: a row has no form of its own, beside what `storage` tells."""
        return ()

    def beside(self) -> Iterator[Finding]:
        """Yield none: there are no files."""
        yield from ()

    def close(self) -> None:
        """Let go of the connection."""
        self._rows.close()


def _wrong_rows(rows: Rows) -> Iterator[Finding]:
    for position in rows.astray():
        yield Finding(kind="twice", what="a row stands at a position that nobody reads", position=position)
    for position, column in rows.mistyped():
        yield Finding(kind="column", what=f"its {column} is not the kind of value it must be", position=position)
    for what in rows.unlike():
        yield Finding(kind="storage", what=what)


def _wrong_head(rows: Rows) -> Iterator[Finding]:
    heads = rows.heads()
    if heads is None:
        return
    if len(heads) != 1:
        yield Finding(kind="column", what=f"the table head has {len(heads)} rows, and must have one")
    for head in heads[:1]:
        if head.one is not True:
            yield Finding(kind="column", what="the row of the table head is not the one that it must have")
        if head.position != head.last:
            what = f"the head says that the log reaches {head.position:,}, its events reach {head.last:,}"
            yield Finding(kind="column", what=what, position=head.last)
        recorded_at = _recorded_at(rows, head.last)
        if recorded_at not in (None, head.recorded_at):
            what = f"the head says that the last event was recorded at {head.recorded_at}, its leaf {recorded_at}"
            yield Finding(kind="column", what=what, position=head.last)


def _recorded_at(rows: Rows, position: int) -> str | None:
    if position == 0:
        return ""
    for page in rows.pages(after=position - 1, upto=position):
        for row in page:
            try:
                return decode_leaf(row[3]).recorded_at
            except Invalid:
                return None  # said where the event was checked
    return None


def _wrong_evidence(evidence: Snapshots) -> Iterator[Finding]:
    for sha256 in asyncio.run(_damaged(evidence)):
        yield Finding(kind="evidence", what=f"the bytes kept of snapshot {sha256} are other bytes")


async def _damaged(evidence: Snapshots) -> list[str]:
    """Return the hashes under which other bytes are kept."""
    damaged = []
    for sha256 in await evidence.all():
        try:
            await evidence.get(sha256)
        except (DamagedEvidence, Invalid):
            damaged.append(sha256)
    return damaged
