"""The checks of each event, which need no other: for a span of positions, so that several processes share them.

Of each event: it stands at its position, its leaf is canonical and every field has its form, the storage's columns
say what the leaf says, time does not go back, both texts have their digests, and its hash is the one in the kept
tile. What needs the whole log, its tree and its ids, is handed on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from events.audit.book import OpenBook
from events.audit.findings import Finding, Kind
from events.contracts import LogOpened, Slot
from events.errors import Invalid
from events.leaf import Leaf, check_form, text_digest
from events.log import Recorded
from events.rows import Row
from events.tlog import TILE_WIDTH, width_at

NO_HASH: Final = bytes(32)
"""Stands in the tree for an event that is not there: the hash of no leaf."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What every span is checked for: the size up to which tiles were sealed, the sizes at which a root is asked for,
    and a time that some event must have."""

    size: int
    marks: frozenset[int] = frozenset()
    sought: str | None = None


@dataclass(slots=True, kw_only=True)
class Checked:
    """What came of a span: what is wrong in it, and what the whole is made of.

    `tiles` holds, for each tile of level 0 that begins in the span, its root, or its hashes where it is not full or
    a root is asked for within it. `differing` are the positions whose hash is not the kept one, `untiled` the tiles
    that are not kept. `events` are those whose leaf has its form, without their texts. `noticed` is what is wrong with
    the files that were read for it. `empty` says that nothing at all stands there.
    """

    after: int
    upto: int
    findings: list[Finding] = field(default_factory=list)
    tiles: list[bytes | list[bytes]] = field(default_factory=list)
    differing: list[int] = field(default_factory=list)
    untiled: list[int] = field(default_factory=list)
    missing: list[tuple[str, Slot, int]] = field(default_factory=list)
    first: str = ""
    last: str = ""
    found: bool = False
    log: str | None = None
    empty: bool = False
    events: list[Recorded] = field(default_factory=list)
    noticed: Sequence[Finding] = ()


def check(book: OpenBook, after: int, upto: int, scope: Scope) -> Checked:
    """Check the events after a position, which begins a tile, up to another. Raises what the book does."""
    checks = _Checks(book, after, upto, scope)
    for page in book.pages(after=after, upto=upto):
        checks.take(page)
    return checks.end()


def event_of(row: Row, first: int) -> Recorded | Finding:
    """Return the event in a row, without its texts, or why none can be taken from it and followed.

    `first` is the first position at which an event can still stand.
    """
    position, raw = row[0], row[3]
    if position < first:
        return Finding(kind="twice", what="a second event stands at this position", position=position)
    if raw.__class__ is not bytes:
        return Finding(kind="column", what="its leaf is not stored as bytes", position=position)
    event = Recorded(position, raw)
    try:
        check_form(event.leaf, raw)
    except Invalid as error:
        return Finding(kind="form", what=str(error), position=position)
    return event


class _Checks:
    """The checks of one span as its rows are taken."""

    def __init__(self, book: OpenBook, after: int, upto: int, scope: Scope) -> None:
        self._texts = book.has_texts
        self._book = book
        self._scope = scope
        self._hashes: list[bytes] = []
        self._done = Checked(after=after, upto=upto)

    def take(self, page: Sequence[Row]) -> None:
        """Check the next rows."""
        hashes, done = self._hashes, self._done
        start = done.after + 1
        for row in page:
            expected = start + len(hashes)
            event = event_of(row, expected)
            if isinstance(event, Finding):
                done.findings.append(event)
                if event.kind == "twice":
                    continue
            position, raw = row[0], row[3]
            if position > expected:
                self._lacking(expected, upto=position - 1)
            hashes.append(sha256(b"\x00" + raw).digest() if raw.__class__ is bytes else NO_HASH)
            if isinstance(event, Recorded):
                done.events.append(event)
                self._event(row, event.leaf)

    def end(self) -> Checked:
        """Return what came of it."""
        done = self._done
        expected = done.after + 1 + len(self._hashes)
        done.empty = expected == done.after + 1
        if expected <= done.upto:
            self._lacking(expected, upto=done.upto)
        for begin in range(0, len(self._hashes), TILE_WIDTH):
            self._tile((done.after + begin) // TILE_WIDTH, self._hashes[begin : begin + TILE_WIDTH])
        if self._scope.sought is not None and done.first <= self._scope.sought <= done.last:
            done.found = any(event.recorded_at == self._scope.sought for event in done.events)
        return done

    def _lacking(self, first: int, *, upto: int) -> None:
        """Note that events are missing."""
        count = upto + 1 - first
        what = "the event is missing" if count == 1 else f"{count:,} events are missing"
        self._find("missing", first, what, upto=upto if count > 1 else None)
        self._hashes.extend([NO_HASH] * count)

    def _event(self, row: Row, leaf: Leaf) -> None:
        position, id, stream, _, wording_salt, wording, identity_salt, identity = row
        if id is not None and id != leaf.id.encode():
            self._find("column", position, f"the column id says {_shown(id)}, the leaf {leaf.id}")
        if stream is not None and stream != leaf.stream.encode():
            self._find("column", position, f"the column stream says {_shown(stream)}, the leaf {leaf.stream}")
        done, recorded_at = self._done, leaf.recorded_at
        if recorded_at < done.last:
            self._find("time", position, f"recorded at {recorded_at}, the event before it at {done.last}")
        done.first = done.first or recorded_at
        done.last = recorded_at
        if (position == 1) != (leaf.fact.__class__ is LogOpened):
            what = "the log does not begin with log.opened" if position == 1 else "the log was opened already"
            self._find("opening", position, what)
        elif position == 1:
            done.log = leaf.fact.log
        if self._texts:
            self._text(position, leaf.id, "wording", wording_salt, wording, leaf.wording)
            self._text(position, leaf.id, "identity", identity_salt, identity, leaf.identity)

    def _text(self, position: int, id: str, slot: Slot, salt: bytes | None, raw: bytes | None, digest: str) -> None:
        if isinstance(raw, bytes) and isinstance(salt, bytes):
            if text_digest(salt, slot, raw) != digest:
                self._find("text", position, f"its {slot} or the salt of it is not the one recorded", slot=slot)
        elif raw is None and salt is None:
            self._done.missing.append((id, slot, position))
        elif raw is None or salt is None:
            self._done.missing.append((id, slot, position))
            stands, lacks = ("a salt", "text") if raw is None else ("a text", "salt")
            self._find("text", position, f"of its {slot}, {stands} stands without its {lacks}", slot=slot)
        else:
            self._find("column", position, f"its {slot} or the salt of it is not stored as bytes", slot=slot)

    def _tile(self, n: int, hashes: list[bytes]) -> None:
        done, scope, first = self._done, self._scope, n * TILE_WIDTH
        width = width_at(scope.size, 0, n)
        kept = self._book.kept(0, n, width) if width else []
        if width and not kept:
            done.untiled.append(n)
        differing: set[int] = set()
        whole = b"".join(hashes)
        for tile in kept:
            if not whole.startswith(tile):
                differing.update(differences(tile, hashes))
        done.differing.extend(first + index + 1 for index in sorted(differing))
        asked = any(first < mark < first + TILE_WIDTH for mark in scope.marks)
        done.tiles.append(hashes if asked or len(hashes) < TILE_WIDTH else root_of(hashes))

    def _find(self, kind: Kind, position: int, what: str, *, upto: int | None = None, slot: Slot | None = None) -> None:
        self._done.findings.append(Finding(kind=kind, what=what, position=position, upto=upto, slot=slot))


def differences(tile: bytes, hashes: Sequence[bytes]) -> list[int]:
    """Return which hashes of a kept tile are others than these, those included that are there on one side only.

    A hash that stands for a missing event differs from none: that it is missing is said already.
    """
    kept = [tile[at : at + 32] for at in range(0, len(tile), 32)]
    return [index for index in range(len(kept)) if index >= len(hashes) or hashes[index] not in (kept[index], NO_HASH)]


def root_of(hashes: list[bytes]) -> bytes:
    """Return the root over hashes, at least one (RFC 6962, section 2.1): each level joins two by two, and what has no
    neighbour waits for the next."""
    while len(hashes) > 1:
        joined = [sha256(b"\x01" + a + b).digest() for a, b in zip(hashes[::2], hashes[1::2], strict=False)]
        if len(hashes) % 2:
            joined.append(hashes[-1])
        hashes = joined
    return hashes[0]


def _shown(raw: object) -> str:
    return raw.decode(errors="replace") if isinstance(raw, bytes) else repr(raw)
