"""The lines of an export: their form, and everything that is checked when they are read.

`Reader` checks each line by itself and against the lines before it, `check_whole` what can only be said of
the whole file. Nothing here writes to a log.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from typing import IO, Final, get_args

import msgspec

from events.contracts import LogId, LogOpened, Position, Sha256, Slot, TextErased
from events.errors import Invalid, UnknownFact
from events.evidence import SNAPSHOT_LIMIT
from events.leaf import (
    LEAF_LIMIT,
    TEXT_LIMIT,
    UNREADABLE,
    canonical,
    check_form,
    check_text,
    check_words,
    decode_identity,
    decode_wording,
    text_digest,
)
from events.ledger import Doubt, Ledger
from events.log import PAGE, Recorded

FORMAT: Final = "claim-verifier log"
"""What the first line says the file is."""

VERSION: Final = 1
"""The version of the lines: another one is not read."""

_SLOTS: Final[tuple[Slot, ...]] = get_args(Slot)
_SALT: Final = re.compile(r"[0-9a-f]{32}")
_LINE_LIMIT: Final = max(4 * -(-SNAPSHOT_LIMIT // 3), 2 * (LEAF_LIMIT + 2 * TEXT_LIMIT)) + 1_024
"""The most bytes a line may have: a whole snapshot in base64, or an event of which every byte is escaped."""

_BATCH_BYTES: Final = 8 * 2**20
"""About how many bytes of lines are held and written at once."""


class Header(msgspec.Struct, frozen=True, kw_only=True, tag_field="line", tag="header"):
    """Which log it is; with `after`, `previous` is the SHA-256 of the leaf at that position."""

    after: Position
    format: str
    log: LogId
    previous: Sha256 | None
    version: int


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="line", tag="event"):
    """One event as it is stored; a text and its salt are `null` where the text was erased."""

    identity: str | None
    identity_salt: str | None
    leaf: str
    position: Position
    wording: str | None
    wording_salt: str | None


class Snapshot(msgspec.Struct, frozen=True, kw_only=True, tag_field="line", tag="snapshot"):
    """The bytes of one snapshot, in base64."""

    data: bytes
    sha256: Sha256


class End(msgspec.Struct, frozen=True, kw_only=True, tag_field="line", tag="end"):
    """How many events and snapshots came before, and SHA-256 over every byte before this line."""

    events: Position
    sha256: Sha256
    snapshots: Position


Line = Header | Event | Snapshot | End
_decoder = msgspec.json.Decoder(Line)


def line_of(event: Recorded) -> bytes:
    """Return the line of an event."""
    line = Event(
        position=event.position,
        leaf=event.leaf_raw.decode(),
        wording=event.wording_raw.decode() if event.wording_raw is not None else None,
        wording_salt=event.wording_salt.hex() if event.wording_salt is not None else None,
        identity=event.identity_raw.decode() if event.identity_raw is not None else None,
        identity_salt=event.identity_salt.hex() if event.identity_salt is not None else None,
    )
    return canonical(line) + b"\n"


def missing_texts(event: Recorded) -> list[Slot]:
    """Return the slots of which the text is missing."""
    return [slot for slot, raw in zip(_SLOTS, (event.wording_raw, event.identity_raw), strict=True) if raw is None]


Piece = Header | list[Recorded] | Snapshot | End
"""What is handed on at once: of events, a batch."""


class Reader:
    """Reads an export line by line and checks all that a line and those before it can tell."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._number = 0
        self._digest = hashlib.sha256()
        self._log = ""
        self._position = 0
        self._recorded_at = ""
        self._events = 0
        self._snapshots = 0
        self._last_sha256 = ""

    def pieces(self) -> Iterator[Piece]:
        """Yield the header, the events in batches, the snapshots and at last the end.

        Raises `Invalid`, with the line's number, for the first line that is not as it must be, and
        `UnknownFact` for one that only a newer version can read.
        """
        yield self._header()
        batch: list[Recorded] = []
        size = 0
        while True:
            raw, line = self._line()
            if isinstance(line, Event):
                batch.append(self._event(line))
                size += len(raw)
            if batch and (len(batch) == PAGE or size > _BATCH_BYTES or not isinstance(line, Event)):
                yield batch
                batch, size = [], 0
            match line:
                case Snapshot():
                    yield self._snapshot(line)
                case End():
                    yield self._end(line)
                    return
                case Header():
                    raise self._bad("it is a second header")
            self._digest.update(raw)

    def _line(self) -> tuple[bytes, Line]:
        raw = self._next()
        try:
            line: Line = _decoder.decode(raw)
        except UNREADABLE as error:
            raise self._bad(str(error)) from error
        if canonical(line) + b"\n" != raw:  # also where a field comes twice, is unknown or left out
            raise self._bad("it is not written as an export writes it")
        return raw, line

    def _next(self) -> bytes:
        self._number += 1
        raw = self._file.readline(_LINE_LIMIT)
        if len(raw) == _LINE_LIMIT:
            raise self._bad("it is longer than any line may be")
        if not raw.endswith(b"\n"):
            raise self._bad("the file ends here, before its last line: it is torn")
        return raw

    def _header(self) -> Header:
        raw = self._next()
        try:
            header = msgspec.json.decode(raw, type=Header)
        except UNREADABLE as error:
            raise self._bad("it does not begin an export of a log") from error
        if header.format != FORMAT:
            raise self._bad("it does not begin an export of a log")
        if header.version != VERSION:
            raise Invalid(
                f"line 1: the export has version {header.version}, this product reads {VERSION}: use a newer one"
            )
        if canonical(header) + b"\n" != raw or (header.after == 0) != (header.previous is None):
            raise self._bad("it is not written as an export writes it")
        self._digest.update(raw)
        self._log = header.log
        self._position = header.after
        return header

    def _event(self, line: Event) -> Recorded:
        if self._snapshots:
            raise self._bad("an event comes after a snapshot")
        if line.position != self._position + 1:
            raise self._bad(f"position {line.position} comes after position {self._position}")
        event = Recorded(
            line.position,
            line.leaf.encode(),
            self._salt(line.wording, line.wording_salt),
            line.wording.encode() if line.wording is not None else None,
            self._salt(line.identity, line.identity_salt),
            line.identity.encode() if line.identity is not None else None,
        )
        try:
            _check_event(event, log=self._log, not_before=self._recorded_at)
        except UnknownFact as error:
            error.add_note(f"line {self._number} of the export")
            raise
        except Invalid as error:
            raise self._bad(str(error)) from error
        self._position = event.position
        self._recorded_at = event.recorded_at
        self._events += 1
        return event

    def _salt(self, text: str | None, salt: str | None) -> bytes | None:
        if (text is None) != (salt is None):
            raise self._bad("a text stands without its salt, or a salt without its text")
        if salt is None:
            return None
        if not _SALT.fullmatch(salt):
            raise self._bad("a salt is not 32 lower-case hexadecimal digits")
        return bytes.fromhex(salt)

    def _snapshot(self, line: Snapshot) -> Snapshot:
        if line.sha256 <= self._last_sha256:
            raise self._bad("the snapshots are not in the order of their hashes")
        if len(line.data) > SNAPSHOT_LIMIT:
            raise self._bad(f"the snapshot has {len(line.data):,} bytes, the limit is {SNAPSHOT_LIMIT:,}")
        if hashlib.sha256(line.data).hexdigest() != line.sha256:
            raise self._bad("the snapshot does not have its hash")
        self._last_sha256 = line.sha256
        self._snapshots += 1
        return line

    def _end(self, line: End) -> End:
        if (line.events, line.snapshots) != (self._events, self._snapshots):
            raise self._bad(
                f"it counts {line.events:,} events and {line.snapshots:,} snapshots, "
                f"the file holds {self._events:,} and {self._snapshots:,}"
            )
        if line.sha256 != self._digest.hexdigest():
            raise self._bad("the bytes before it do not have the hash that it states")
        if self._file.read(1):
            raise self._bad("something comes after it")
        return line

    def _bad(self, what: str) -> Invalid:
        return _bad(self._number, what)


def _bad(number: int, what: str) -> Invalid:
    return Invalid(f"line {number}: {what}; get a whole, unchanged copy of the export and restore again")


def _check_event(event: Recorded, *, log: str, not_before: str) -> None:
    leaf = event.leaf
    check_form(leaf, event.leaf_raw)
    if leaf.recorded_at < not_before:
        raise Invalid(f"it was recorded at {leaf.recorded_at}, before the event that precedes it")
    if event.position == 1 and not (isinstance(leaf.fact, LogOpened) and leaf.fact.log == log):
        raise Invalid(f"the first event does not open log {log}")
    if event.wording_raw is not None and event.wording_salt is not None:
        _check_digest("wording", event.wording_salt, event.wording_raw, leaf.wording)
        wording = decode_wording(event.wording_raw)
        check_text(wording, event.wording_raw)
        check_words(leaf.fact, wording)
    if event.identity_raw is not None and event.identity_salt is not None:
        _check_digest("identity", event.identity_salt, event.identity_raw, leaf.identity)
        check_text(decode_identity(event.identity_raw), event.identity_raw)


def _check_digest(slot: Slot, salt: bytes, raw: bytes, expected: str) -> None:
    if text_digest(salt, slot, raw) != expected:
        raise Invalid(f"the {slot} does not have the digest that stands in the leaf")


DOUBTS: Final[dict[Doubt, str]] = {
    "id": "its event has the id of an earlier one",
    "lost or hidden": "a text is missing and no text.erased names it: it was lost or hidden",
    "not erased": "it holds a text that was erased",
    "erasure": "it erases a text of an event that does not come before it",
}
"""What must not be in a whole file."""


def enter(ledger: Ledger, events: Sequence[Recorded]) -> None:
    """Note these events in a ledger."""
    ledger.events([(event.id, event.position) for event in events])
    ledger.missing((event.id, slot, event.position) for event in events for slot in missing_texts(event))
    ledger.erased(
        (fact.event, fact.slot, event.position) for event in events if isinstance(fact := event.fact, TextErased)
    )


def check_whole(ledger: Ledger, after: int) -> None:
    """Raise `Invalid` for the first event that doesn't agree with the others; `after` as in the header."""
    for doubt, position, _ in ledger.doubts(after=after):
        raise _bad(position - after + 1, DOUBTS[doubt])
