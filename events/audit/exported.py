"""An export: the whole log in one file, with its texts (`events.archive`). It holds no checkpoint and no tiles.

That it is the log that was signed, only a checkpoint that the auditor has kept can say.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from events.archive_lines import FORMAT, VERSION, End, Event, Header, Line, Snapshot
from events.audit.findings import Finding, Kind
from events.audit.lines import LIMIT, Lines
from events.audit.texts import SALT, texts_of
from events.errors import Invalid
from events.leaf import UNREADABLE, canonical
from events.rows import ROWS, Row

_EVENT = b'"line":"event"'
_ATTESTED = b"statuses.attested"
_decoder = msgspec.json.Decoder(Line)


@dataclass(frozen=True, slots=True)
class Exported:
    """An export in a file."""

    path: Path

    def open(self) -> OpenExported:
        """Open it. Raises `Invalid` where it is no export of a whole log, `OSError` where it can't be read."""
        return OpenExported(self.path)

    def storage(self) -> Sequence[Finding]:
        """Return none: there is nothing but the file."""
        return ()


class OpenExported:
    """An export, open: see `events.audit.book.OpenBook`."""

    has_texts = True
    is_published = False

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines = Lines(path)
        self._wrong: dict[Finding, None] = {}  # each once, though a line may be read again
        self._events: int | None = None
        try:
            self._header = _header(next(self._lines.since(0), b""))
        except BaseException:
            self.close()
            raise

    def checkpoint(self) -> bytes | None:
        """Return `None`: an export has none."""
        return None

    def vkeys(self) -> Sequence[str]:
        """Return none."""
        return ()

    def head(self) -> int:
        """Return how many events the file holds; look at all that is not an event, once."""
        if self._events is None:
            self._events = self._read()
        return self._events

    def _read(self) -> int:
        with self._path.open("rb") as file:
            digest = hashlib.sha256(file.readline(LIMIT))
            events = snapshots = number = 0
            last = ""
            end: End | None = None
            while raw := file.readline(LIMIT):
                number += 1
                if end is not None:
                    self._bad(None, "something comes after the last line of the export")
                if _EVENT in raw:
                    events += 1
                    if snapshots:
                        self._bad(events, "an event comes after a snapshot")
                else:
                    match line := self._decoded(raw, None):
                        case Snapshot():
                            snapshots += 1
                            if hashlib.sha256(line.data).hexdigest() != line.sha256 or line.sha256 <= last:
                                self._bad(None, f"the bytes of snapshot {line.sha256} are other bytes", "evidence")
                            last = line.sha256
                        case End():
                            end = line
                            self._check_end(line, events, snapshots, digest.hexdigest())
                        case Header():
                            self._bad(None, "a second header comes in the file")
                digest.update(raw)
        if end is None:
            self._bad(None, "the file ends before its last line: it is torn")
        return events

    def _check_end(self, end: End, events: int, snapshots: int, digest: str) -> None:
        if (end.events, end.snapshots) != (events, snapshots):
            what = f"the last line counts {end.events:,} events and {end.snapshots:,} snapshots, the file holds"
            self._bad(None, f"{what} {events:,} and {snapshots:,}")
        if end.sha256 != digest:
            self._bad(None, "the bytes of the file do not have the hash that its last line states")

    def pages(self, *, after: int, upto: int, texts: bool = True) -> Iterator[Sequence[Row]]:
        """Yield the events of the lines, with their texts."""
        page: list[Row] = []
        for position, raw in enumerate(self._lines.since(after + 1), after + 1):
            if position > upto:
                break
            row = self._row(raw, position)
            if row is not None:
                page.append(row)
            if len(page) == ROWS:
                yield page
                page = []
        yield page

    def _row(self, raw: bytes, position: int) -> Row | None:
        line = self._decoded(raw, position)
        if not isinstance(line, Event):
            if line is not None:
                self._bad(position, "the line is not an event")
            return None
        for salt in (line.wording_salt, line.identity_salt):
            if salt is not None and not SALT.fullmatch(salt):
                self._bad(position, "a salt is not 32 lower-case hexadecimal digits")
                return None
        if line.position != position:
            self._bad(position, f"the line says that it is position {line.position}", "column")
        texts = texts_of(line.wording_salt, line.wording, line.identity_salt, line.identity)
        return (position, None, None, line.leaf.encode(), *texts)

    def _decoded(self, raw: bytes, position: int | None) -> Line | None:
        try:
            line: Line = _decoder.decode(raw)
        except UNREADABLE as error:
            self._bad(position, f"a line of the export can't be read: {error}")
            return None
        if canonical(line) + b"\n" != raw:
            self._bad(position, "a line is not written as an export writes it")
        return line

    def attesting(self, *, upto: int) -> Iterator[tuple[int, bytes]]:
        """Yield every leaf that names the type of an attestation."""
        for position, raw in enumerate(self._lines.since(1), 1):
            if position > upto:
                return
            if _ATTESTED in raw and (row := self._row(raw, position)) is not None:
                yield position, row[3]

    def kept(self, level: int, n: int, width: int) -> Sequence[bytes]:
        """Return no tile: an export has none."""
        return []

    def sought(self) -> str | None:
        """Return `None`: nothing but the lines says when they were recorded."""
        return None

    def log(self) -> str | None:
        """Return the id that the first line gives."""
        return self._header.log

    def noticed(self) -> Sequence[Finding]:
        """Return what was wrong with the form of the lines read since this was asked last."""
        noticed = list(self._wrong)
        self._wrong.clear()
        return noticed

    def beside(self) -> Iterator[Finding]:
        """Yield none: whatever is wrong with the file was noticed as it was read."""
        yield from ()

    def _bad(self, position: int | None, what: str, kind: Kind = "file") -> None:
        self._wrong[Finding(kind=kind, what=what, position=position)] = None

    def close(self) -> None:
        """Close the file."""
        self._lines.close()


def _header(raw: bytes) -> Header:
    try:
        header = msgspec.json.decode(raw, type=Header)
    except UNREADABLE as error:
        raise Invalid("this is not an export of a log: its first line is not the header of one") from error
    if header.format != FORMAT or header.version != VERSION or canonical(header) + b"\n" != raw:
        raise Invalid("this is not an export of a log that this version reads: its header is another")
    if header.after:
        raise Invalid(
            f"the export begins after position {header.after}: only a whole log can be audited, export it all"
        )
    return header
