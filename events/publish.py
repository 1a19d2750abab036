"""Publishes a sealed log: its leaves, tiles and checkpoint as files that any web server can serve (C2SP tlog-tiles).

No text is published. A reader never finds a checkpoint whose files are not there yet: they are written and on the
disk before the checkpoint takes its name. Cut short, publishing again goes on from what is there.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from anyio import to_thread

from events.audit.texts import text_line
from events.errors import Busy, Invalid
from events.log import Log
from events.sealed import Seal, Sealed
from events.threads import entered, to_the_end
from events.tiles import CHECKPOINT, PUBLIC, VKEY, Tiles
from events.tlog import (
    TILE_WIDTH,
    TlogError,
    prove_consistency,
    tile_path,
    tiles_needed,
    verify_consistency,
    width_at,
)
from events.whole_file import sync_to_disk, whole_file, write_whole

Progress = Callable[[int, int], None]
"""Told now and then how many events are published, and how many are to be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What stands in a folder: the log of this name up to `size`, of which `files` were written now."""

    name: str
    size: int
    root: str
    files: int


async def publish(log: Log, tiles: Tiles, folder: Path, progress: Progress | None = None) -> Published:
    """Bring a folder to the last checkpoint of a log. One does at a time.

    Raises `Invalid` where nothing is sealed yet, and where the folder holds another log, more than was sealed, or
    anything else before it was published into: all in it may be served;
    `Busy` where another process publishes into it; `Damaged` where the log is no longer what was sealed; `OSError`.
    After each of them the folder is published as it was before.
    """
    sealed = Sealed(log, tiles)
    seal = await sealed.seal()
    if seal is None:
        raise Invalid("nothing of this log is sealed yet: serve it with a key (`verifier init` makes one)")
    async with entered(_held(folder)):
        return await _publish(sealed, seal, folder, progress)


async def _publish(sealed: Sealed, seal: Seal, folder: Path, progress: Progress | None) -> Published:
    before = await to_thread.run_sync(_checkpoint_in, folder)
    if before is None:
        await to_thread.run_sync(_check_own, folder)
    writing = _Writing(folder, settled=await _check_before(sealed, seal, before, folder) if before else 0)
    for n in range(-(-seal.size // TILE_WIDTH)):
        width = width_at(seal.size, 0, n)
        if not writing.has("entries", n, width):
            bundle = await sealed.entries(n, width)
            assert bundle is not None  # the seal covers it
            await to_the_end(writing.write, tile_path("entries", n, width), bundle)
        if progress is not None:
            progress(min((n + 1) * TILE_WIDTH, seal.size), seal.size)
    for level, n, width in _tiles(seal.size):
        if not writing.has(level, n, width):
            hashes = await sealed.hashes(level, n, width)
            await to_the_end(writing.write, tile_path(level, n, width), hashes)
    await to_the_end(writing.end, "".join(f"{key}\n" for key in await sealed.vkeys()).encode(), seal)
    return Published(name=seal.name, size=seal.size, root=seal.root.hex(), files=writing.written)


async def publish_texts(log: Log, file: Path, *, size: int, published: Path, progress: Progress | None = None) -> None:
    """Write the texts of the first `size` events for an auditor, into a file that only its owner may read.

    It appears under its name when it is whole. Raises `Invalid` for a file in the folder that is published.
    """
    check_apart(file, published)
    with whole_file(file, mode=0o600) as part:
        async for page in log.read_all(upto=size):
            await to_the_end(part.write, b"".join(map(text_line, page)))
            if progress is not None:
                progress(page[-1].position, size)


def check_apart(file: Path, published: Path) -> None:
    """Check that a file of texts lies outside the folder that is published. Raises `Invalid`."""
    if file.resolve().is_relative_to(published.resolve()):
        raise Invalid(f"{file} lies in the folder that is published, and texts are not for everyone: name another")


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Be the one who publishes into a folder, until the end. Raises `Busy` where another one is."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Busy(f"another process publishes into {folder}: try again once it has ended") from error
        yield
    finally:
        os.close(descriptor)


def _checkpoint_in(folder: Path) -> bytes | None:
    try:
        return (folder / CHECKPOINT).read_bytes()
    except FileNotFoundError:
        return None


def _check_own(folder: Path) -> None:
    """Check that a folder without a checkpoint is empty, but for what a first time that was cut short has left: also
    the part of a checkpoint."""
    names = {path.name for path in folder.iterdir()} - {Path(VKEY).parts[0], "tile"}
    others = sorted(name for name in names if not name.startswith(f".{CHECKPOINT}."))
    if others:
        raise Invalid(f"{folder} holds {others[0]}, and whatever it holds may be served: publish into an empty folder")


async def _check_before(sealed: Sealed, seal: Seal, note: bytes, folder: Path) -> int:
    """Check that a seal goes on from what is published; return how far that is. Raises `Invalid`."""
    try:
        before = Seal.read(note, await sealed.vkeys())
    except TlogError as error:
        raise Invalid(
            f"{folder} holds a checkpoint that no key of this log has signed ({error}): publish into another folder"
        ) from error
    if before.name != seal.name or before.size > seal.size:
        raise Invalid(
            f"{folder} holds {before.name} up to {before.size:,}, this is {seal.name} up to {seal.size:,}: publish into"
            " another folder, and find out which of the two is behind"
        )
    needed = tiles_needed(seal.size, old_size=before.size)
    hashes = {(level, n): await sealed.hashes(level, n, width) for level, n, width in needed}
    proof = prove_consistency(before.size, seal.size, lambda level, n, width: hashes[level, n][: width * 32])
    try:
        verify_consistency(before.size, seal.size, proof, before.root, seal.root)
    except TlogError as error:
        raise Invalid(
            f"{folder} holds another history of {seal.name}: keep it as evidence, and publish into another folder"
        ) from error
    return before.size


def _tiles(size: int) -> Iterator[tuple[int, int, int]]:
    """Yield every tile of the tree of a size: level, index and width."""
    level = 0
    while size >> 8 * level:
        for n in range(-(-(size >> 8 * level) // TILE_WIDTH)):
            yield level, n, width_at(size, level, n)
        level += 1


class _Writing:
    """Writes files below a folder, and lets the checkpoint take its name when all of them are on the disk."""

    def __init__(self, folder: Path, *, settled: int) -> None:
        self._folder = folder
        self._settled = settled
        self._fresh: list[Path] = []
        self.written = 0

    def has(self, level: int | str, n: int, width: int) -> bool:
        """Say whether a file is there and was before the published checkpoint: another may be torn by a crash."""
        span = 1 if isinstance(level, str) else TILE_WIDTH**level
        covered = (n * TILE_WIDTH + width) * span <= self._settled
        return covered and (self._folder / tile_path(level, n, width)).exists()

    def write(self, path: str, data: bytes) -> None:
        """Put a file in place, whole and on the disk before it has its name: the folder that stands published must pass
        an audit whenever we crash here, and an audit reads a full tile before the part of it that was published."""
        place = self._folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        write_whole(place, data, mode=PUBLIC, sync_name=False)
        self._fresh.append(place)
        self.written += 1

    def end(self, vkeys: bytes, seal: Seal) -> None:
        """Sync the names, publish the checkpoint, and remove the partial files that became full."""
        self.write(VKEY, vkeys)
        for folder in {parent for place in self._fresh for parent in place.parents}:
            if folder.is_relative_to(self._folder):
                sync_to_disk(folder)
        write_whole(self._folder / CHECKPOINT, seal.note, mode=PUBLIC)
        self.written += 1
        for partial in self._folder.glob("tile/**/*.p"):
            full = partial.with_suffix("")
            if full.exists():  # the specification lets the others go then
                for kept in partial.iterdir():
                    kept.unlink()
                partial.rmdir()
