"""The follower: keeps the views up to the log, tells who waits, and builds a new generation beside the old.

A new generation starts at position 0 and reads the log by itself, page by page, while the old one follows
and serves. When it is as far as the old one, it takes its place in one transaction; the old tables are
dropped after that. A crash on the way leaves a generation that nobody serves: the next to keep the views drops it.

Views in a file are kept by the one process that has it open; those that several processes have open are kept
in turns (`turns`), and whoever doesn't keep them looks how far they are.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Final, Self, TypeVar

import structlog
from sqlalchemy import Connection, exc, func, select

from events.log import PAGE, Log, Recorded
from verifier.adopted import Adopted
from verifier.errors import ViewsBehind
from verifier.projections.database import CutOff, Database, NoRoom, Place, Unreadable, as_problems
from verifier.projections.generation import Generation, Overtaken
from verifier.projections.generations import activate, drop, find_or_make, leftovers, make
from verifier.projections.lease import TURN_OVER
from verifier.projections.pace import (
    BURST_READ,
    BURST_WAIT,
    LONGEST_BURST,
    REBUILT_AT_ONCE,
    REST,
    Burst,
    Progress,
    gathered,
)
from verifier.projections.reading import Checkpoint, Reading, Served
from verifier.tables import views

if TYPE_CHECKING:  # only whoever keeps views on PostgreSQL has its driver
    from verifier.projections.turns import Turns

T = TypeVar("T")

RETRY: Final = 1.0
"""How many seconds pass before views without room are written again."""

WIPE_AGAIN: Final = 0.05
"""How many seconds pass before views in which somebody reads are wiped again, while an erasure waits for it."""

REBUILD_RETRY: Final = 60.0
"""How many seconds pass before views of other code, for which there was no room beside these, are built again."""


logger = structlog.get_logger(__name__)


class Views:
    """The views of one log. Made by `open`."""

    def __init__(self, database: Database, log: Log, adopted: Adopted, turns: Turns | None) -> None:
        self._place = database.place
        self._database = database
        self._writer = database  # fenced by this process's turn, where it takes turns
        self._log = log
        self._adopted = adopted
        self._turns = turns
        self._served = Served(log.id, database.place.dialect)
        self._active = Generation(self._served.tables(0), 0, None)
        self.outdated = False
        """Whether other code built what is served, so that `run` builds it anew beside."""
        self._unscrubbed = False
        self._without_room = False
        self._moved = asyncio.Event()  # replaced at each move, so that everyone who waits wakes once
        self._taking = asyncio.Lock()  # held while the served generation takes a page, and while it is switched
        self._rebuilding = asyncio.Lock()
        self.burst = Burst(LONGEST_BURST if turns is None else BURST_WAIT)
        """Held by who records many commands at once; the rows of these wait until it is over."""
        self.error: str | None = None
        """Why the views have stopped, where they have."""
        self.erasures = 0
        """How often a text was erased from the rows since these views were opened."""

    @classmethod
    async def open(cls, place: Place, log: Log, adopted: Adopted, *, turns: Turns | None = None) -> Self:
        """Open the views of a log in a place, or make them there. With `turns`, several processes may.

        Views of another log, of another shape, beyond the log's head or unreadable are thrown away: they can
        be computed again. Views of another content serve until `run` has built new ones beside them. Raises
        `NotReady`, `Busy` or `DiskFull` where their database doesn't let us, with what to do.
        """
        view = cls(Database(place), log, adopted, turns)
        if turns is not None:
            turns.tailer.tell(adopted.learn)
        try:
            with as_problems(place):
                await view._begin_or_clear()
        except BaseException:
            await view._database.close()
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

    @property
    def kept_here(self) -> bool:
        """Whether this process keeps them; otherwise it looks how far another one has come."""
        return self._turns is None or self._turns.held

    async def run(self) -> None:
        """Follow the log until cancelled, or until the log is closed.

        Where it ends by itself, `error` says why, and reads go on with what the views contain.
        """
        try:
            if self._turns is None:
                await self.keep()
            else:
                await self._turns.run(self, self._database)
        except Exception as error:  # the outermost loop: any error here is our bug, and reads go on
            first: Exception = error
            while isinstance(first, ExceptionGroup):
                first = first.exceptions[0]
            deed = self._place.anew if isinstance(first, Unreadable) else "start the server again, and report it"
            self.error = f"the views stopped at {self.position} ({type(first).__name__}: {first}): {deed}"
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

    async def wiped(self, position: int, within: float) -> bool:
        """Wait some seconds until nothing is left in the views of what was erased up to a position; say whether.

        What another process keeps, it wipes.
        """
        until = asyncio.get_running_loop().time() + within
        if not await self.reached(position, within):
            return False
        while self._unscrubbed and asyncio.get_running_loop().time() < until:
            async with self._taking:
                await self._scrub()
            await asyncio.sleep(WIPE_AGAIN)  # whoever reads tells nobody when he has read
        return not self._unscrubbed

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

        Raises `ViewsBehind` where the views are damaged, so that they have to be built anew, and where their
        database can't be reached just now. The work is done again where the place asks for it.
        """
        self.burst.wanted()
        if self.position < self.burst.recorded:  # they only waited for the burst, and will be there in a moment
            await self.reached(self.burst.recorded, BURST_READ)
        try:
            return await self._database.read(lambda connection: work(self._served.reading(connection)))
        except Unreadable as damage:
            said = f"the views can't be read ({damage}): {self._place.anew}"
            if self._turns is None:
                self.error = said
            raise ViewsBehind(said, position=self.position) from damage
        except CutOff as cut:
            said = f"the database of the views can't be reached ({cut}): ask again in a moment"
            raise ViewsBehind(said, position=self.position) from cut

    async def rebuild(self, progress: Progress | None = None) -> None:
        """Have the views built anew beside the ones that serve, by whoever keeps them: they take over when they
        are as far.

        Raises `Internal` where another process failed at it, `DiskFull` where there is no room for them, and `Busy`
        where their database can't be reached.
        """
        with as_problems(self._place):
            if self._turns is None:
                await self.build_anew(progress)
            else:
                await self._turns.rebuild(self._database, await self._log.head(), progress)
                await self.look(lambda connection: None)

    async def close(self) -> None:
        """Let go of the connections. Whoever runs the views has stopped before."""
        if self._turns is not None:
            await self._turns.end(self._database)
        await self._database.close()

    async def let_go(self) -> None:
        """Forget the claims that are held in memory, once no rebuild is under way: they are read again."""
        async with self._rebuilding, self._taking:
            await self._active.let_go()

    # --- for whoever's turn it is --------------------------------------------------------------------

    async def load(self, database: Database) -> None:
        """Begin where the last turn ended, and write to this database from here on.

        Whatever another process left half built is dropped.
        """
        async with self._taking:
            self._writer = database
            await self._find_or_make()
        self._count_erased()
        self.room_again()
        self._tell()

    async def keep(self) -> None:
        """Follow the log, until it is closed, and build the views anew where other code built what is served."""
        async with asyncio.TaskGroup() as tasks:
            beside = tasks.create_task(self._replace_outdated())
            await self._follow()
            beside.cancel()

    async def look(self, also: Callable[[Connection], T]) -> T:
        """See how far whoever keeps the views has come, and what else there is to see.

        Moves on only to where this process's own tailer is, so that it knows what has become of the policy.
        """

        def see(connection: Connection) -> tuple[Checkpoint | None, T]:
            try:
                at = self._served.reading(connection).at
            except Unreadable:  # of another log or shape: whoever has the next turn makes them anew
                at = None
            return at, also(connection)

        at, seen = await self._database.read(see)
        if at is not None and self._turns is not None and await self._turns.tailer.reached(at.position, RETRY):
            async with self._taking:
                if not self._turns.held:
                    self._active = Generation(self._served.tables(at.generation), at.position, at.recorded_at)
            self._count_erased()
            self._tell()
        return seen

    async def build_anew(self, progress: Progress | None = None) -> None:
        """Build the views anew beside the ones that serve, and let them take over when they are as far.

        Where that fails, what was built is dropped again, unless the turn is over: then the next one drops it.
        """
        async with self._rebuilding:
            new = await self._writer.write(self._add_generation)
            try:
                while not await self._switch(new):
                    await self._bring_up(new, progress)
            except TURN_OVER:
                raise
            except Exception:
                if new is not self._active:  # it may have failed after the switch, at dropping the old one
                    await self._drop_but(self._active.tables.generation)
                raise
            await self._scrub()

    def without_room(self, full: NoRoom) -> None:
        """Say that there was no room to write the views, until `room_again`."""
        self._without_room = True
        self.error = f"there is no room for the views ({full}): make room, they go on by themselves"
        self._tell()

    def room_again(self) -> None:
        """Say that they were written, by whomever."""
        if self._without_room:
            self._without_room, self.error = False, None

    # --- following -----------------------------------------------------------------------------------

    async def _follow(self) -> None:
        while not await self._take_all(self._log.subscribe(after=self.position)):
            pass

    async def _replace_outdated(self) -> None:
        """Build views anew that other code has built. What serves goes on, whatever this comes to."""
        while self.outdated:
            try:
                await self.build_anew()
            except TURN_OVER:
                raise
            except NoRoom as full:
                logger.warning("there is no room to build the views anew beside the old ones", detail=str(full))
                await asyncio.sleep(REBUILD_RETRY)  # nobody tells when there is
            except Exception as error:  # the outermost of this task: any other error is our bug
                logger.error("the views couldn't be built anew: the old ones serve", exc_info=error)
                return

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
            self.without_room(full)
            await asyncio.sleep(RETRY)  # nobody tells when there is room again
            await self._go_on_from_checkpoint()
            return False
        return True

    async def _take(self, pages: Iterable[Sequence[Recorded]]) -> None:
        async with self._taking:
            erased = await self._active.take(pages, self._log, self._adopted, self._writer)
        self.room_again()
        if erased:
            self.erasures += 1
            self._unscrubbed = True
        await self._scrub()
        self._tell()

    async def _scrub(self) -> None:
        if self._unscrubbed:  # a reader may have been in the way the last time, for longer than SQLite waits
            self._unscrubbed = not await self._writer.scrub()
            if self._turns is not None:
                self._turns.erased.set()

    def _count_erased(self) -> None:
        if self._turns is not None:
            self.erasures += self._turns.tailer.erased(self.position)

    async def _go_on_from_checkpoint(self) -> None:
        async with self._taking:
            at = await self._database.read(lambda connection: self._served.reading(connection).at)
            self._active = Generation(self._served.tables(at.generation), at.position, at.recorded_at)
        self._tell()

    def _tell(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()
        if self._turns is not None and self._turns.held:
            self._turns.moved.set()

    # --- generations ---------------------------------------------------------------------------------

    async def _begin_or_clear(self) -> None:
        try:
            await self._begin()
        except (Unreadable, exc.DatabaseError):
            await self._database.close()
            if not self._place.clear():
                raise
            self._database = Database(self._place)
            await self._begin()

    async def _begin(self) -> None:
        await self._database.check()
        if self._turns is None:
            self._writer = self._database
            await self._find_or_make()
        else:
            await self._database.write(partial(self._make_first, self._turns))
            await self.look(lambda connection: None)

    def _make_first(self, turns: Turns, connection: Connection) -> None:
        turns.create(connection)
        views.create(connection, checkfirst=True)
        if connection.execute(select(views.c.generation)).first() is None:
            make(connection, self._served.tables(1), self._log.id, active=True)

    async def _find_or_make(self) -> None:
        head = await self._log.head()
        self._active, self.outdated = await self._writer.write(
            lambda connection: find_or_make(connection, self._served, self._log.id, head)
        )

    def _add_generation(self, connection: Connection) -> Generation:
        last = connection.execute(select(func.max(views.c.generation))).scalar_one()
        new = make(connection, self._served.tables(last + 1), self._log.id, active=False)
        new.rest = REST
        return new

    async def _bring_up(self, new: Generation, progress: Progress | None) -> None:
        """Let a generation take what the log has now."""
        head = await self._log.head()
        async with aclosing(gathered(self._log.read_all(after=new.position), at_once=REBUILT_AT_ONCE)) as ready:
            async for some in ready:
                await self._build(new, some)
                if progress is not None:
                    progress(new.position, max(head, new.position))

    async def _build(self, new: Generation, pages: Iterable[Sequence[Recorded]]) -> None:
        self._unscrubbed |= await new.take(pages, self._log, self._adopted, self._writer)

    async def _switch(self, new: Generation) -> bool:
        """Let a generation take over where it is about as far as the served one; say whether it did.

        The last page is taken while the served one waits, so that it can't run away for ever.
        """
        async with self._taking:
            old = self._active
            if old.position - new.position > PAGE or new.position == 0 < old.position:
                return False
            new.rest = 0  # who writes the log waits for nothing, but who asks for the newest does
            async for page in self._log.read_all(after=new.position, upto=old.position):
                await self._build(new, [page])
            await self._writer.write(lambda connection: activate(connection, new.tables.generation))
            self._active, self.outdated = new, False
        self._tell()
        await self._drop_but(new.tables.generation)
        return True

    async def _drop_but(self, generation: int) -> None:
        # One after the other: who still reads the old ones waits for none that we hold, and we for none of his.
        for table in await self._writer.write(lambda connection: leftovers(connection, but=generation)):
            await self._writer.write(partial(drop, table=table))
