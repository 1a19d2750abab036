"""Sealing for tests: a sealer that runs for a while, one that breaks where it is told, and an oracle of what it did."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg

from events.keys import Keys
from events.log import Log, Recorded
from events.open import tiles_of
from events.sealed import LOOK, Seal, Sealed
from events.sealer import Sealer
from events.seals import Seals
from events.tiles import CHECKPOINT, Lost, Tiles
from events.tlog import new_key, tree_root
from tests.events.making import everything, said
from tests.postgres import Server

NAME = "example.org/newsroom"


def a_key(name: str = NAME) -> Keys:
    """Return a new key."""
    return Keys(name=name, private=(new_key(name),))


def begin(seals: Seals, keys: Keys) -> None:
    """Begin to sign under a name, as `verifier init` does, unless that was done."""
    if seals.read(keys.name) is None:
        seals.begin(keys)


class Place:
    """Everything around a log that sealing needs."""

    def __init__(self, url: str, folder: Path, keys: Keys | None = None) -> None:
        self.tiles: Tiles = tiles_of(url)
        self.seals = Seals(folder / "seals")
        self.keys = keys or a_key()
        begin(self.seals, self.keys)
        self.signed: list[Seal] = []

    def sealer(self, log: Log, sealed: Sealed) -> Sealer:
        """Return a sealer that signs whenever there is something new."""
        return Sealer(log, sealed, self.seals, self.keys, every=0)

    @property
    def last(self) -> Seal | None:
        """The seal in the second place."""
        note = self.seals.read(self.keys.name)
        return None if note is None else Seal.read(note, self.keys.vkeys)

    async def beside(self) -> Seal | None:
        """Return the seal beside the tiles."""
        note = await self.tiles.read(CHECKPOINT)
        return None if note is None else Seal.read(note, self.keys.vkeys)


@asynccontextmanager
async def sealing(log: Log, place: Place) -> AsyncIterator[Sealed]:
    """Seal a log for a while. What the sealer raises is raised at the end."""
    sealed = Sealed(log, place.tiles)
    running = asyncio.create_task(place.sealer(log, sealed).run())
    try:
        yield sealed
    finally:
        running.cancel()
        await asyncio.wait({running})
    if not running.cancelled() and (error := running.exception()):
        raise error


async def seal_all(log: Log, place: Place) -> Seal:
    """Seal all that the log has, and stop. Raises what the sealer does."""
    sealed = Sealed(log, place.tiles)
    running = asyncio.create_task(place.sealer(log, sealed).run())
    reached = asyncio.create_task(sealed_here(sealed, await log.head()))
    await asyncio.wait({running, reached}, return_when=asyncio.FIRST_COMPLETED)
    for task in (running, reached):
        task.cancel()
    await asyncio.wait({running, reached})
    if not running.cancelled():
        running.result()
        raise AssertionError("the sealer ended by itself")
    return reached.result()


async def sealed_here(sealed: Sealed, position: int) -> Seal:
    """Wait until the sealer of this process has sealed so far."""
    while not sealed.here:  # noqa: ASYNC110  # nobody tells; until then it would be a seal that is merely kept
        await asyncio.sleep(0)
    seal = await sealed.reached(position, within=30)
    assert seal is not None
    return seal


async def grow(log: Log, count: int) -> None:
    """Record so many events."""
    for start in range(0, count, 1_000):
        await log.append([said() for _ in range(min(1_000, count - start))])


async def root_of(log: Log, size: int) -> bytes:
    """Return the root over the first leaves of a log, computed from nothing else."""
    return tree_root([event.leaf_raw for event in (await everything(log))[:size]])


class BrokenTiles:
    """Tiles that break when a new checkpoint is to be kept: before, or after it is."""

    def __init__(self, tiles: Tiles, *, after: bool) -> None:
        self._tiles = tiles
        self._after = after
        self.place = tiles.place
        self.read, self.clear, self.turn, self.close = tiles.read, tiles.clear, tiles.turn, tiles.close

    async def write(self, files: Mapping[str, bytes]) -> None:
        new = CHECKPOINT in files and files[CHECKPOINT] != await self._tiles.read(CHECKPOINT)
        if not new or self._after:
            await self._tiles.write(files)
        if new:
            raise OSError("the disk went away")


class BrokenSeals(Seals):
    """A second place that breaks when a seal is to be kept: before, or after it is."""

    def __init__(self, folder: Path, *, after: bool) -> None:
        super().__init__(folder)
        self._after = after

    def write(self, name: str, note: bytes) -> None:
        if self._after:
            super().write(name, note)
        raise OSError("the disk went away")


class HeldSeals(Seals):
    """A second place that is slow: keeping a seal ends when the test lets it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.begun, self.go_on = threading.Event(), threading.Event()

    def write(self, name: str, note: bytes) -> None:
        self.begun.set()
        self.go_on.wait()
        super().write(name, note)


class HeldTiles:
    """Tiles of which one verb is slow for one path, `slow`: it ends when the test lets it."""

    def __init__(self, tiles: Tiles, verb: str, path: str = "") -> None:
        self._tiles = tiles
        self._verb, self.slow = verb, path
        self.begun, self.go_on = asyncio.Event(), asyncio.Event()
        self.place = tiles.place
        self.clear, self.turn, self.close = tiles.clear, tiles.turn, tiles.close

    async def read(self, path: str) -> bytes | None:
        await self._pass("read", path)
        return await self._tiles.read(path)

    async def write(self, files: Mapping[str, bytes]) -> None:
        for path in files:
            await self._pass("write", path)
        await self._tiles.write(files)

    async def _pass(self, verb: str, path: str) -> None:
        if (verb, path) == (self._verb, self.slow):
            self.begun.set()
            await self.go_on.wait()


class LingeringTiles:
    """Tiles whose turn takes a while to end: long enough for whoever looks every `LOOK` seconds."""

    def __init__(self, tiles: Tiles) -> None:
        self._tiles = tiles
        self.place = tiles.place
        self.read, self.write, self.clear, self.close = tiles.read, tiles.write, tiles.clear, tiles.close

    @asynccontextmanager
    async def turn(self, waits: Callable[[], None] | None = None) -> AsyncIterator[Lost]:
        async with self._tiles.turn(waits) as lost:
            try:
                yield lost
            finally:
                await asyncio.sleep(2 * LOOK)


async def cut_off(postgres: Server) -> None:
    """End every session that reads or writes tiles."""
    connection = await asyncpg.connect(postgres.superuser)
    try:
        await connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name LIKE 'verifier tiles%'"
        )
    finally:
        await connection.close()


def as_restored(events: Sequence[Recorded]) -> list[Recorded]:
    """Return events as an export of them would be restored, one after the other from where the first stood."""
    return [
        Recorded(position, event.leaf_raw, event.wording_salt, event.wording_raw, event.identity_salt,
                 event.identity_raw)
        for position, event in enumerate(events, events[0].position if events else 0)
    ]  # fmt: skip
