"""The texts of a published log, in a file for an auditor: JSON Lines, canonical, one for each event.

    {"identity":"…","identity_salt":"…","position":1,"wording":"…","wording_salt":"…"}

A text stands as a string of its canonical JSON, its salt in hexadecimal; both are `null` where the text was erased.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from events.audit.findings import Finding
from events.audit.lines import Lines
from events.contracts import Position
from events.leaf import UNREADABLE, canonical
from events.log import Recorded

Text = tuple[bytes | None, bytes | None, bytes | None, bytes | None]
"""Both texts of an event, each after its salt: wording, then identity."""

NOTHING: Final[Text] = (None, None, None, None)

SALT: Final = re.compile(r"[0-9a-f]{32}")
"""A salt as it is written."""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """The texts of one event."""

    identity: str | None
    identity_salt: str | None
    position: Position
    wording: str | None
    wording_salt: str | None


_decoder = msgspec.json.Decoder(Line)


def text_line(event: Recorded) -> bytes:
    """Return the line of an event, with its end."""
    line = Line(
        position=event.position,
        wording=event.wording_raw.decode() if event.wording_raw is not None else None,
        wording_salt=event.wording_salt.hex() if event.wording_salt is not None else None,
        identity=event.identity_raw.decode() if event.identity_raw is not None else None,
        identity_salt=event.identity_salt.hex() if event.identity_salt is not None else None,
    )
    return canonical(line) + b"\n"


class Texts:
    """A file of texts, open. What is wrong with its form is in `wrong`, in the order in which it was met."""

    def __init__(self, path: Path) -> None:
        self._lines = Lines(path)
        self.wrong: dict[Finding, None] = {}

    def after(self, position: int) -> Iterator[Text]:
        """Yield the texts of each event after a position, in order and without end: `NOTHING` for one without."""
        lines = self._lines.since(position)
        held: Line | None = None
        while True:
            position += 1
            while held is None or held.position < position:
                raw = next(lines, None)
                if raw is None:
                    held = None
                    break
                held = self._read(raw, position)
                if held is None:
                    break
                if held.position < position:
                    self._bad(position, f"the line of position {held.position} comes again, or too late")
            if held is not None and held.position == position:
                yield texts_of(held.wording_salt, held.wording, held.identity_salt, held.identity)
                held = None
            else:
                self._bad(position, "the line of this position is not there: each event has one, also when erased")
                yield NOTHING

    def surplus(self, size: int) -> None:
        """Look whether anything comes after the line of the last event."""
        if next(self._lines.since(size), None) is not None:
            self._bad(size, "the file of texts has more lines than there are events")

    def _read(self, raw: bytes, position: int) -> Line | None:
        try:
            line = _decoder.decode(raw)
        except UNREADABLE as error:
            self._bad(position, f"a line of texts can't be read: {error}")
            return None
        if canonical(line) + b"\n" != raw:
            self._bad(position, "a line of texts is not written as publishing writes it")
            return None
        for salt in (line.wording_salt, line.identity_salt):
            if salt is not None and not SALT.fullmatch(salt):
                self._bad(position, "a salt is not 32 lower-case hexadecimal digits")
                return None
        return line

    def _bad(self, position: int, what: str) -> None:
        self.wrong[Finding(kind="file", what=what, position=position)] = None

    def close(self) -> None:
        """Close the file."""
        self._lines.close()


def texts_of(wording_salt: str | None, wording: str | None, identity_salt: str | None, identity: str | None) -> Text:
    """Return texts as they are stored. The salts have their form."""
    return (
        bytes.fromhex(wording_salt) if wording_salt is not None else None,
        wording.encode() if wording is not None else None,
        bytes.fromhex(identity_salt) if identity_salt is not None else None,
        identity.encode() if identity is not None else None,
    )
