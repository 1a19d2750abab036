"""Several processes and one set of views: one keeps them, the others look how far they are.

    look ──▶ nobody's turn? ──▶ take it ──▶ load, keep, renew ──▶ (deposed, cut off) ──▶ look

The turn is a lease (`lease`), so it passes on within seconds when its holder dies or freezes, and at once
when he ends it. He wakes the others by an empty NOTIFY after each commit; they look at the checkpoint then,
and once a second, so that a lost NOTIFY costs only time. Whoever looks moves on only to where its own tailer is:
then it also knows which policy is in force there, and which texts were erased.

A rebuild is asked for in the lease's row and done by whoever keeps the views. If he dies in the middle, the next
one drops what there is and begins anew.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final, Protocol, TypeVar

import psycopg
import structlog
from sqlalchemy import Connection

from events.errors import Busy, Invalid
from verifier.errors import Internal
from verifier.projections import lease
from verifier.projections.database import CutOff, Database, NoRoom
from verifier.projections.generation import Overtaken
from verifier.projections.lease import SECONDS, TURN_OVER, Deposed, Lease
from verifier.projections.pace import Progress
from verifier.projections.postgres import PostgresPlace
from verifier.tailer import Tailer

T = TypeVar("T")
E = TypeVar("E", bound=Exception)

POLL: Final = 1.0
"""How many seconds pass before we look without having been woken, and before we try again what failed."""

logger = structlog.get_logger(__name__)


class SharedViews(Protocol):
    """The views, as far as they are kept or looked at in turns."""

    error: str | None

    async def load(self, database: Database) -> None:
        """Begin where the last turn ended, and write to this database from here on."""
        ...

    async def keep(self) -> None:
        """Follow the log, until it is closed."""
        ...

    async def build_anew(self, progress: Progress | None = None) -> None:
        """Build the views anew beside the ones that serve."""
        ...

    async def look(self, also: Callable[[Connection], T]) -> T:
        """See how far whoever keeps the views has come, and what else there is to see."""
        ...

    def without_room(self, full: NoRoom) -> None:
        """Say that there was no room to write the views, until `room_again`."""
        ...

    def room_again(self) -> None:
        """Say that they were written, by whomever."""
        ...


class Turns:
    """This process's turns at keeping the views of one log."""

    def __init__(self, place: PostgresPlace, tailer: Tailer, *, seconds: float = SECONDS) -> None:
        self.tailer = tailer
        self._place = place
        self._lease = Lease(holder=f"process {os.getpid()} on {socket.gethostname()}", seconds=seconds)
        self._epoch: int | None = None
        self._woken = asyncio.Event()  # replaced at each wake-up, so that everyone who waits wakes once
        self._asked = asyncio.Event()
        self.moved = asyncio.Event()
        """Set by whoever keeps the views when they have moved: the others are to be woken."""
        self.erased = asyncio.Event()
        """Set by whoever keeps the views when a text was erased from them."""

    @property
    def held(self) -> bool:
        """Whether this process keeps the views."""
        return self._epoch is not None

    def create(self, connection: Connection) -> None:
        """Make the lease where there is none; whoever else opens the views waits until the transaction ends."""
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(hashtext(%s))", (self._place.schema,))
        self._lease.create(connection)

    async def run(self, views: SharedViews, database: Database) -> None:
        """Take turns until cancelled, or until the log is closed."""
        async with asyncio.TaskGroup() as tasks:
            listening = tasks.create_task(self._listen())
            while await self._turn(views, database):
                pass
            listening.cancel()

    async def end(self, database: Database) -> None:
        """End this process's turn, if it has one, so that the next takes over at once."""
        if self._epoch is not None:
            with suppress(CutOff):  # then it ends by itself, in some seconds
                await database.write(partial(self._lease.give_up, self._epoch))
                await _wake(database)
            self._epoch = None

    async def _turn(self, views: SharedViews, database: Database) -> bool:
        """Look how far the views are, and keep them if it is nobody's turn; say whether to go on."""
        again = True
        try:
            woken = self._woken  # taken before looking: whoever moves meanwhile sets it
            left: float = await views.look(self._lease.left)
            if left <= 0:
                self._epoch = await database.write(self._lease.take)
            if self._epoch is not None:
                logger.info("this process keeps the views", epoch=self._epoch)
                kept = database.fenced(partial(self._lease.during, self._epoch))
                # In a task of its own: the groups in it leave it marked as cancelled when one of their tasks fails.
                await asyncio.create_task(self._keep(views, kept), name="keep the views")
                again = False
            elif left > 0:
                views.room_again()  # for somebody there is
                await _within(min(POLL, left), woken)
            else:  # whose turn is over and who still has the row is in the middle of a transaction
                await _within(self._lease.seconds / 10, woken)
        except* (Deposed, Overtaken):
            logger.warning("another process keeps the views", epoch=self._epoch)
            self._epoch = None
        except* (CutOff, Busy, Invalid) as cut:
            logger.warning("the database can't be reached, or refuses us", reason=str(_first(cut)))
            self._epoch = None
            await asyncio.sleep(POLL)  # nobody tells when it is there again
        except* NoRoom as full:
            logger.warning("there is no room to keep the views", reason=str(_first(full)))
            self._epoch = None
            views.without_room(_first(full))
            # Nobody tells when there is room again. A turn of ours is over by then, so whose it is can write.
            await asyncio.sleep(max(POLL, self._lease.seconds))
        if (task := asyncio.current_task()) is not None and task.cancelling():
            raise asyncio.CancelledError  # it came while a task of ours failed, whose error took its place
        return again

    # --- being woken ---------------------------------------------------------------------------------

    async def _listen(self) -> None:
        """Be woken by whoever keeps the views, or asks for a rebuild."""
        while True:
            with suppress(psycopg.OperationalError):
                async with await self._place.connect() as connection:
                    await connection.execute(f'LISTEN "{self._place.schema}"')
                    self._wake()  # what happened before we listened
                    async for notify in connection.notifies():
                        if notify.payload:
                            self._asked.set()
                        self._wake()
            await asyncio.sleep(POLL)  # nobody tells when the server is there again

    def _wake(self) -> None:
        self._woken.set()
        self._woken = asyncio.Event()

    # --- keeping -------------------------------------------------------------------------------------

    async def _keep(self, views: SharedViews, database: Database) -> None:
        """Keep the views while it is our turn. Raises `Deposed` where it ended."""
        await views.load(database)
        async with asyncio.TaskGroup() as tasks:
            beside = [
                tasks.create_task(self._renew(views, database, tasks)),
                tasks.create_task(self._wake_others(database)),
                tasks.create_task(self._vacuum()),
            ]
            await views.keep()
            for task in beside:
                task.cancel()

    async def _renew(self, views: SharedViews, database: Database, tasks: asyncio.TaskGroup) -> None:
        """Hold on to the turn, and begin the rebuilds that are asked for."""
        rebuild: asyncio.Task[None] | None = None
        while True:
            self._asked.clear()
            number = await database.write(lease.asked)  # only reads: what renews the turn is the fence around it
            if number is not None and (rebuild is None or rebuild.done()):
                rebuild = tasks.create_task(self._rebuild(views, database, number))
            await _within(self._lease.seconds / 3, self._asked)

    async def _rebuild(self, views: SharedViews, database: Database, number: int) -> None:
        failure = None
        try:
            await views.build_anew()
        except TURN_OVER:
            raise  # it is still asked for: whoever has the next turn does it
        except Exception as error:  # the outermost of this task: what serves goes on, and whoever asks is told
            room = ": make room, and ask again" if isinstance(error, NoRoom) else ""
            failure = f"{type(error).__name__}: {error}{room}"
            logger.error("the rebuild failed", exc_info=error)
        await database.write(lambda connection: lease.end(connection, number, failure))
        await _wake(database)
        self._asked.set()  # another one may have been asked for meanwhile

    async def _wake_others(self, database: Database) -> None:
        while True:
            await self.moved.wait()
            self.moved.clear()
            await _wake(database)

    async def _vacuum(self) -> None:
        """Let go of what was erased, beside everything else: it takes as long as it takes."""
        while True:
            await self.erased.wait()
            self.erased.clear()
            with suppress(psycopg.OperationalError):  # the server's own vacuum comes by, too
                await self._place.vacuum()

    # --- asking for a rebuild ------------------------------------------------------------------------

    async def rebuild(self, database: Database, head: int, progress: Progress | None) -> None:
        """Ask whoever keeps the views to build them anew, and wait until that is done.

        Raises `Internal` where it came to nothing.
        """
        number = await database.write(lease.ask)
        await _wake(database, "rebuild")
        while True:
            woken = self._woken
            done, failure, position = await database.read(partial(lease.building, number=number))
            if done:
                break
            if progress is not None and position is not None:
                progress(position, max(head, position))
            await _within(POLL / 2, woken)
        if failure is not None:
            raise Internal(failure)


async def _wake(database: Database, payload: str = "") -> None:
    """Wake every process that has the views open, in a transaction of its own: a commit that wakes waits for every
    other one that does."""
    await database.write(
        lambda connection: connection.exec_driver_sql("SELECT pg_notify(current_schema(), %s)", (payload,)).all()
    )


def _first(group: ExceptionGroup[E]) -> E:
    first: E | ExceptionGroup[E] = group
    while isinstance(first, ExceptionGroup):
        first = first.exceptions[0]
    return first


async def _within(seconds: float, event: asyncio.Event) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
