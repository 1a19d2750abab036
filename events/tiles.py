"""Where the tiles of a sealed log are kept, with its last checkpoint, each under the path at which it is published.

    tile/0/000 …   full tiles of the Merkle tree over the leaves (C2SP tlog-tiles)
    checkpoint     the last checkpoint that was signed
    log/vkey       the public keys that sign it, one a line

Everything here is a function of the log and of the seal that stands in the second place (`events.seals`): it may be
deleted, and whoever seals the log computes it again. Partial tiles and the leaves themselves are never kept; they are
computed when read (`events.sealed`).

`FileTiles` keeps them in a folder beside the log, in the published layout; `MemoryTiles` in memory;
`events.postgres.tiles` in a schema of the same database. `Tiles` is what all promise.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Final, Protocol

from anyio import to_thread

from events.errors import Busy
from events.threads import to_the_end
from events.whole_file import write_whole

CHECKPOINT: Final = "checkpoint"
"""The path of the last checkpoint."""

VKEY: Final = "log/vkey"
"""The path of the public keys."""

PUBLIC: Final = 0o644
"""The mode of what anybody may read: a web server may serve the folder."""

Lost = asyncio.Future[Busy]
"""Done once a turn was lost; its result says how."""


class Tiles(Protocol):
    """Where tiles are kept. Any verb raises what its storage does: `events.errors.LogError` or `OSError`."""

    @property
    def place(self) -> str:
        """Where that is, for people."""
        ...

    async def read(self, path: str) -> bytes | None:
        """Return what is kept under a path, `None` where nothing is.

        What a crash tore may come back torn: whoever reads a tile checks it against the one above.
        """
        ...

    async def write(self, files: Mapping[str, bytes]) -> None:
        """Keep these files, each whole, in place of what was kept under their paths."""
        ...

    async def clear(self) -> None:
        """Remove everything that is kept."""
        ...

    def turn(self, waits: Callable[[], None] | None = None) -> AbstractAsyncContextManager[Lost]:
        """Wait until no other process may write here, and hold that until the end; nothing is written any more then.

        `waits` is called where another process has the turn. Where the storage finds out that the turn was lost,
        what is yielded is done, `write` raises `events.errors.Busy`, and nothing is kept.
        """
        ...

    async def close(self) -> None:
        """Let go of what is held. Safe to call twice."""
        ...


class MemoryTiles:
    """Tiles in memory, for `memory:` logs."""

    place = "memory"

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    async def read(self, path: str) -> bytes | None:
        return self._kept.get(path)

    async def write(self, files: Mapping[str, bytes]) -> None:
        self._kept |= files

    async def clear(self) -> None:
        self._kept.clear()

    @asynccontextmanager
    async def turn(self, waits: Callable[[], None] | None = None) -> AsyncIterator[Lost]:
        yield Lost()  # nobody else knows this memory

    async def close(self) -> None:
        return


class FileTiles:
    """Tiles in a folder, one file each. Any number of processes may read it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def place(self) -> str:
        return str(self._folder)

    async def read(self, path: str) -> bytes | None:
        return await to_thread.run_sync(_load, self._folder / path)

    async def write(self, files: Mapping[str, bytes]) -> None:
        await to_the_end(self._write, files)

    def _write(self, files: Mapping[str, bytes]) -> None:
        for path, data in files.items():
            _replace(self._folder / path, data)

    async def clear(self) -> None:
        await to_the_end(shutil.rmtree, self._folder, ignore_errors=True)

    @asynccontextmanager
    async def turn(self, waits: Callable[[], None] | None = None) -> AsyncIterator[Lost]:
        yield Lost()  # a log on SQLite is written by one process, which holds the OS lock beside it

    async def close(self) -> None:
        return


def _load(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _replace(path: Path, data: bytes) -> None:
    """Write a file under another name and rename it, so that a reader finds the old bytes or the new ones.

    Not synced: forty tiles a second would be forty waits for the disk that appends wait for, too. What a power cut
    loses or tears is noticed when it is read, and computed again.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, data, mode=PUBLIC, sync=False)
