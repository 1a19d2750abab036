"""A published log: a folder, or what a web server serves of one, in the layout of C2SP tlog-tiles.

    checkpoint               the last checkpoint
    log/vkey                 the public keys that sign it, one a line
    tile/<level>/<n>         tiles of hashes
    tile/entries/<n>         bundles of leaves

Texts are never published. Who audits them brings a file of their own: see `events.audit.texts`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn, Protocol

from events.audit.findings import Finding
from events.audit.texts import NOTHING, Texts
from events.errors import Invalid
from events.rows import ROWS, Row
from events.tiles import CHECKPOINT, VKEY
from events.tlog import TILE_WIDTH, TlogError, parse_entry_bundle, parse_head, split_note, tile_path, width_at

_HASH: Final = 32
_ATTESTED: Final = b'"statuses.attested"'
_WIDTH: Final = re.compile("[1-9][0-9]{0,2}")


class Files(Protocol):
    """The files of a published log."""

    def read(self, path: str) -> bytes | None:
        """Return a file, `None` where there is none."""
        ...

    def versions(self, level: int | str, n: int, width: int) -> Sequence[tuple[int, bytes]]:
        """Return a tile or bundle in every width in which it is there, and which width its path says: the full one
        and that of this width first."""
        ...

    def astray(self) -> Iterable[str]:
        """Return the paths of files that nobody reads, though they are named like some of the log's: where there is
        no list of all the files, none."""
        ...

    def close(self) -> None:
        """Let go of what is held."""
        ...


class Folder(Protocol):
    """Says where the files are. Can be sent to another process."""

    def open(self) -> Files:
        """Begin to read."""
        ...


@dataclass(frozen=True, slots=True)
class Directory:
    """A folder on this machine."""

    path: Path

    def open(self) -> Directory:
        """Begin to read: a folder needs no preparation."""
        return self

    def read(self, path: str) -> bytes | None:
        """Return a file, `None` where there is none, or something else: reading a pipe would never end."""
        place = self.path / path
        try:
            return place.read_bytes() if place.is_file() else None
        except FileNotFoundError:
            return None

    def versions(self, level: int | str, n: int, width: int) -> Sequence[tuple[int, bytes]]:
        """Return a tile or bundle in every width in which it is there."""
        full = self.read(tile_path(level, n))
        names = _names_in(self.path / f"{tile_path(level, n)}.p")
        widths = [int(name) for name in names if _WIDTH.fullmatch(name) and int(name) < TILE_WIDTH]
        found = [(TILE_WIDTH, full)] if full is not None else []
        for kept in sorted(widths, key=lambda kept: (kept != width, kept)):
            raw = self.read(f"{tile_path(level, n)}.p/{kept}")
            if raw is not None:
                found.append((kept, raw))
        return found

    def astray(self) -> Iterator[str]:
        """Yield the paths under `tile` that are numbered like a tile's parts, and have a width that none has."""
        for folder, _, names in os.walk(self.path / "tile", onerror=_raise):
            if folder.endswith(".p"):
                for name in sorted(names):
                    if name.isdecimal() and not (_WIDTH.fullmatch(name) and int(name) < TILE_WIDTH):
                        yield (Path(folder) / name).relative_to(self.path).as_posix()

    def close(self) -> None:
        """Let go of nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A published log, and the file of its texts where the auditor has one."""

    files: Folder
    texts: Path | None = None

    def open(self) -> OpenPublished:
        """Open it. Raises `Invalid` where no log is published, `OSError` where it or the texts can't be read."""
        opened = OpenPublished(self.files.open(), Texts(self.texts) if self.texts is not None else None)
        try:
            opened.begin()
        except BaseException:
            opened.close()
            raise
        return opened

    def storage(self) -> Sequence[Finding]:
        """Return none: there are nothing but files."""
        return ()


class OpenPublished:
    """A published log, open: see `events.audit.book.OpenBook`."""

    is_published = True

    def __init__(self, files: Files, texts: Texts | None) -> None:
        self._files = files
        self._texts = texts
        self._note: bytes | None = None
        self._size = 0
        self._wrong: dict[Finding, None] = {}  # each once, though a bundle may be read again

    def begin(self) -> None:
        """Read the checkpoint, which says what there is. Raises `Invalid` where no log is published."""
        files = self._files
        self._note = files.read(CHECKPOINT)
        self._size = _size_of(self._note)
        if self._note is None and not files.versions("entries", 0, 1) and not files.versions(0, 0, 1):
            raise Invalid("no log is published there: give the folder that `verifier publish` wrote, or its address")
        if self._note is None:
            self._bad(None, "there is no checkpoint: nothing says which of the files belong to the log")
        elif self._size == 0:
            self._bad(None, "the checkpoint has no size: nothing says which of the files belong to the log")

    @property
    def has_texts(self) -> bool:
        """Whether the auditor has brought the texts."""
        return self._texts is not None

    def checkpoint(self) -> bytes | None:
        """Return the published checkpoint."""
        return self._note

    def vkeys(self) -> Sequence[str]:
        """Return the keys that are published."""
        return (self._files.read(VKEY) or b"").decode(errors="replace").split()

    def log(self) -> str | None:
        """Return `None`: only the first leaf says which log this is."""
        return None

    def head(self) -> int:
        """Return up to where the checkpoint goes: nothing beyond is published."""
        return self._size

    def pages(self, *, after: int, upto: int, texts: bool = True) -> Iterator[Sequence[Row]]:
        """Yield the leaves of the bundles, with the texts where there are some."""
        beside = self._texts.after(after) if texts and self._texts is not None else None
        page: list[Row] = []
        for n in range(after // TILE_WIDTH, -(-upto // TILE_WIDTH)):
            leaves = self._bundle(n)
            for index in range(width_at(upto, 0, n)):
                text = next(beside) if beside is not None else NOTHING
                if index < len(leaves):
                    page.append((n * TILE_WIDTH + index + 1, None, None, leaves[index], *text))
            if len(page) >= ROWS:
                yield page
                page = []
        yield page

    def _bundle(self, n: int) -> Sequence[bytes]:
        """Return the leaves of a bundle as far as they are there, and note what is wrong with any version of it."""
        width, leaves = width_at(self._size, 0, n), list[bytes]()
        for kept, raw in self._files.versions("entries", n, width):
            path = tile_path("entries", n, kept)
            try:
                entries = parse_entry_bundle(raw)
            except TlogError as error:
                self._bad(n * TILE_WIDTH + 1, f"{path}: {error}")
                continue
            if len(entries) != kept:
                self._bad(n * TILE_WIDTH + 1, f"{path} holds {len(entries)} leaves")
            if not leaves and kept in (width, TILE_WIDTH):
                leaves = entries[:width]
            for index, (one, other) in enumerate(zip(leaves, entries, strict=False)):
                if one != other:
                    self._bad(n * TILE_WIDTH + index + 1, f"{path} has another leaf than the bundle that the log needs")
        return leaves

    def attesting(self, *, upto: int) -> Iterator[tuple[int, bytes]]:
        """Yield every leaf that names the type of an attestation, up to where the audit breaks off."""
        for after in range(0, upto, ROWS):
            empty = True
            for page in self.pages(after=after, upto=min(after + ROWS, upto), texts=False):
                for position, _, _, leaf, *_ in page:
                    empty = False
                    if _ATTESTED in leaf:
                        yield position, leaf
            if empty:
                return

    def kept(self, level: int, n: int, width: int) -> Sequence[bytes]:
        """Return every published version of a tile, as far as the checkpoint covers it."""
        found = self._files.versions(level, n, width)
        if not any(kept in (width, TILE_WIDTH) for kept, _ in found):
            return []
        return [_of_width(raw, kept)[: width * _HASH] for kept, raw in found]

    def sought(self) -> str | None:
        """Return `None`: nothing but leaves is published."""
        return None

    def noticed(self) -> Sequence[Finding]:
        """Return what was wrong with the form of the files read since this was asked last."""
        noticed = list(self._wrong)
        self._wrong.clear()
        if self._texts is not None:
            noticed += self._texts.wrong
            self._texts.wrong.clear()
        return noticed

    def beside(self) -> Iterator[Finding]:
        """Yield the files that no log has, and texts of no event."""
        if self._texts is not None:
            self._texts.surplus(self._size)
        for path in self._files.astray():
            yield Finding(kind="file", what=f"{path} is there, and no log has such a part: its width is none")

    def _bad(self, position: int | None, what: str) -> None:
        self._wrong[Finding(kind="file", what=what, position=position)] = None

    def close(self) -> None:
        """Let go of what is held."""
        self._files.close()
        if self._texts is not None:
            self._texts.close()


def _names_in(folder: Path) -> list[str]:
    """Return what lies in a folder, nothing where there is none. Raises `OSError` for one that can't be read."""
    try:
        return [path.name for path in folder.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _raise(error: OSError) -> NoReturn:
    raise error


def _of_width(raw: bytes, width: int) -> bytes:
    """Return a tile as long as its path says: where the file is not, with hashes that differ from any leaf's."""
    length = width * _HASH
    if len(raw) > length:
        return raw[: length - _HASH] + bytes(_HASH)
    return raw.ljust(length, b"\x00")


def _size_of(note: bytes | None) -> int:
    """Return the size that a checkpoint says, 0 where it can't be read: what is wrong with it is said elsewhere."""
    if note is None:
        return 0
    try:
        return parse_head(split_note(note)[0]).size
    except TlogError:
        return 0
