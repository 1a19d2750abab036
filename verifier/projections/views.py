"""The follower: keeps the views up to the log, tells who waits, and builds a new generation beside the old.

A new generation starts at position 0 and reads the log by itself, page by page, while the old one follows
and serves. When it is as far as the old one, it takes its place in one transaction; the old tables are
dropped after that. A crash on the way leaves a generation that nobody serves: the next `open` drops it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self, TypeVar

import structlog
from sqlalchemy import Connection, delete, exc, func, insert, inspect, select, update

from events.log import PAGE, Log, Recorded
from verifier.adopted import Adopted
from verifier.errors import ViewsBehind
from verifier.projections.database import Database, NoRoom, Unreadable
from verifier.projections.generation import Generation, Overtaken
from verifier.projections.pace import REBUILT_AT_ONCE, REST, Burst, gathered
from verifier.tables import SHAPE, VERSION, TableSet, views

T = TypeVar("T")

Progress = Callable[[int, int], None]
"""Told how far a rebuild is: the position it has reached, and the one it is to reach."""

_CHECKPOINT: Final = select(views.c.generation, views.c.position, views.c.recorded_at).where(views.c.active)

RETRY: Final = 1.0
"""How many seconds pass before views without room are written again."""

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """How far the served views are: the last event they contain, and its time."""

    generation: int
    position: int
    recorded_at: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One state of the views: a transaction, its tables, and the checkpoint that it shows."""

    connection: Connection
    tables: TableSet
    at: Checkpoint


class Views:
    """The views of one log, kept by one process. Made by `open`."""

    def __init__(self, database: Database, log: Log, adopted: Adopted) -> None:
        self._database = database
        self._log = log
        self._adopted = adopted
        self._active = Generation(TableSet(0), 0, None)
        self._sets: dict[int, TableSet] = {}
        self.outdated = False
        """Whether other code built what is served, so that `run` builds it anew beside."""
        self._unscrubbed = False
        self._without_room = False
        self._moved = asyncio.Event()  # replaced at each move, so that everyone who waits wakes once
        self._turn = asyncio.Lock()  # held while the served generation takes a page, and while it is switched
        self._rebuilding = asyncio.Lock()
        self.burst = Burst()
        """Held by who records many commands at once; the rows of these wait until it is over."""
        self.error: str | None = None
        """Why the views have stopped, where they have."""
        self.erasures = 0
        """How often a text was erased from the rows since these views were opened."""

    @classmethod
    async def open(cls, location: Path | None, log: Log, adopted: Adopted) -> Self:
        """Open the views of a log in a file, or make them there; without a file, in memory.

        Views of another log, of another shape, beyond the log's head or unreadable are thrown away: they can
        be computed again. Views of another content serve until `run` has built new ones beside them.
        """
        view = cls(Database(location), log, adopted)
        try:
            try:
                await view._database.check()
                await view._begin()
            except (Unreadable, exc.DatabaseError):
                await view.close()
                _delete(location)
                view._database = Database(location)
                await view._begin()
        except BaseException:
            await view.close()
            raise
        return view

    @property
    def position(self) -> int:
        """The last event that the served views contain."""
        return self._active.position

    @property
    def recorded_at(self) -> str | None:
        """When that event was recorded."""
        return self._active.recorded_at

    async def run(self) -> None:
        """Follow the log until cancelled, or until the log is closed.

        Where it ends by itself, `error` says why, and reads go on with what the views contain.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                if self.outdated:
                    tasks.create_task(self.rebuild())
                tasks.create_task(self._follow())
        except Exception as error:  # the outermost loop: any error here is our bug, and reads go on
            first = error.exceptions[0] if isinstance(error, ExceptionGroup) else error
            self.error = f"the views stopped at {self.position}: {type(first).__name__}: {first}"
            logger.error("the views have stopped", position=self.position, exc_info=first)
            self._tell()

    async def catch_up(self) -> None:
        """Take what the log has now. For a process that reads once and doesn't follow."""
        while self.position < await self._log.head():
            await self._take_all(self._log.read_all(after=self.position))

    async def reached(self, position: int, within: float) -> bool:
        """Wait some seconds until the views contain a position; say whether they do."""
        try:
            async with asyncio.timeout(within):
                while self.position < position and self.error is None:
                    self.burst.wanted()
                    await self._moved.wait()
        except TimeoutError:
            pass
        return self.position >= position

    async def moved(self, after: int, within: float) -> None:
        """Wait until the views are beyond a position, or for some seconds: whoever waits polls, too."""
        try:
            async with asyncio.timeout(within):
                while self.position <= after:
                    await self._moved.wait()
        except TimeoutError:
            return

    async def read(self, work: Callable[[Reading], T]) -> T:
        """Do work on one state of the views: what it reads is what stood at the checkpoint it is given.

        Raises `ViewsBehind` where the file of the views is damaged: they have to be built anew.
        """
        self.burst.wanted()
        try:
            return await self._database.read(lambda connection: work(self._reading(connection)))
        except Unreadable as damage:
            self.error = f"the file of the views is damaged ({damage}): start the server again, it builds a new one"
            raise ViewsBehind(self.error, position=self.position) from damage

    async def rebuild(self, progress: Progress | None = None) -> None:
        """Build the views anew beside the ones that serve, and let them take over when they are as far."""
        async with self._rebuilding:
            new = await self._database.write(self._add_generation)
            while not await self._switch(new):
                head = await self._log.head()
                pages = self._log.read_all(after=new.position)
                async with aclosing(gathered(pages, at_once=REBUILT_AT_ONCE)) as ready:
                    async for some in ready:
                        await self._build(new, some)
                        if progress is not None:
                            progress(new.position, max(head, new.position))
            if self._unscrubbed:
                self._unscrubbed = not await self._database.scrub()

    async def close(self) -> None:
        """Let go of the connections. Whoever runs the views has stopped before."""
        await self._database.close()

    # --- following -----------------------------------------------------------------------------------

    async def _follow(self) -> None:
        while not await self._take_all(self._log.subscribe(after=self.position)):
            pass

    async def _take_all(self, pages: AsyncIterator[Sequence[Recorded]]) -> bool:
        """Take pages to their end; say whether we came there, or another owner was faster."""
        try:
            async with aclosing(gathered(pages, burst=self.burst)) as ready:
                async for some in ready:
                    await self._take(some)
        except Overtaken:
            await self._go_on_from_checkpoint()
            return False
        except NoRoom as full:
            self._without_room = True
            self.error = f"there is no room for the views ({full}): make room, they go on by themselves"
            self._tell()
            await asyncio.sleep(RETRY)  # nobody tells when there is room again
            await self._go_on_from_checkpoint()
            return False
        return True

    async def _take(self, pages: Iterable[Sequence[Recorded]]) -> None:
        async with self._turn:
            erased = await self._active.take(pages, self._log, self._adopted, self._database)
        if self._without_room:
            self._without_room, self.error = False, None
        if erased:
            self.erasures += 1
            self._unscrubbed = True
        if self._unscrubbed:  # a reader may have been in the way the last time, for longer than SQLite waits
            self._unscrubbed = not await self._database.scrub()
        self._tell()

    async def _go_on_from_checkpoint(self) -> None:
        async with self._turn:
            at = await self.read(lambda reading: reading.at)
            self._active = Generation(self._tables(at.generation), at.position, at.recorded_at)
        self._tell()

    def _tell(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()

    # --- generations ---------------------------------------------------------------------------------

    async def _begin(self) -> None:
        head = await self._log.head()
        self._active = await self._database.write(lambda connection: self._open(connection, head))

    def _open(self, connection: Connection, head: int) -> Generation:
        """Find the generation to serve, or make one, and drop every other."""
        views.create(connection, checkfirst=True)
        row = connection.execute(select(views).where(views.c.active)).one_or_none()
        usable = row is not None and (
            row.log == self._log.id and row.version.partition(".")[0] == str(SHAPE) and row.position <= head
        )
        if row is None or not usable:
            _drop_all(connection, but=None)
            return self._make(connection, 1, active=True)
        self.outdated = row.version != VERSION
        _drop_all(connection, but=row.generation)
        return Generation(self._tables(row.generation), row.position, row.recorded_at)

    def _add_generation(self, connection: Connection) -> Generation:
        last = connection.execute(select(func.max(views.c.generation))).scalar_one()
        new = self._make(connection, last + 1, active=False)
        new.rest = REST
        return new

    def _make(self, connection: Connection, generation: int, *, active: bool) -> Generation:
        tables = self._tables(generation)
        tables.metadata.create_all(connection)
        connection.execute(
            insert(views).values(
                generation=generation, version=VERSION, log=self._log.id, position=0, recorded_at=None, active=active
            )
        )
        return Generation(tables, 0, None)

    async def _build(self, new: Generation, pages: Iterable[Sequence[Recorded]]) -> None:
        self._unscrubbed |= await new.take(pages, self._log, self._adopted, self._database)

    async def _switch(self, new: Generation) -> bool:
        """Let a generation take over where it is about as far as the served one; say whether it did.

        The last page is taken while the served one waits, so that it can't run away for ever.
        """
        async with self._turn:
            old = self._active
            if old.position - new.position > PAGE or new.position == 0 < old.position:
                return False
            new.rest = 0  # who writes the log waits for nothing, but who asks for the newest does
            async for page in self._log.read_all(after=new.position, upto=old.position):
                await self._build(new, [page])
            await self._database.write(lambda connection: _activate(connection, new.tables.generation))
            self._active, self.outdated = new, False
        self._tell()
        await self._database.write(lambda connection: _drop_all(connection, but=new.tables.generation))
        self._sets.pop(old.tables.generation, None)
        return True

    def _tables(self, generation: int) -> TableSet:
        if generation not in self._sets:
            self._sets[generation] = TableSet(generation)
        return self._sets[generation]

    def _reading(self, connection: Connection) -> Reading:
        generation, position, recorded_at = connection.execute(_CHECKPOINT).one()
        at = Checkpoint(generation=generation, position=position, recorded_at=recorded_at)
        return Reading(connection=connection, tables=self._tables(generation), at=at)


def _activate(connection: Connection, generation: int) -> None:
    connection.execute(update(views).values(active=views.c.generation == generation))


def _drop_all(connection: Connection, *, but: int | None) -> None:
    """Drop every generation but one, also one of a shape that this code can't read."""
    for name in inspect(connection).get_table_names():
        if name != views.name and name.rpartition("_")[2] != str(but):
            connection.exec_driver_sql(f'DROP TABLE "{name}"')
    connection.execute(delete(views).where(views.c.generation != (but or 0)))


def _delete(location: Path | None) -> None:
    if location is not None:
        for suffix in ("", "-wal", "-shm"):
            location.with_name(location.name + suffix).unlink(missing_ok=True)
