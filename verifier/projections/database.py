"""The connections to the views: one that writes, a few that only read, each transaction in one piece.

A transaction is one function that runs in a thread from its beginning to its end, so nothing is awaited
in the middle of it and a cancelled caller can't cut it short. (A driver for asyncio would hand every single
statement, fetch and close to the loop: that cost more than the statements.)

Where the views are, is a `Place`: a file of SQLite's (`sqlite`) or a schema of PostgreSQL's (`postgres`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from copy import copy
from typing import Protocol, Self, TypeVar

from sqlalchemy import Connection, Engine, exc

from verifier.errors import Busy, DiskFull, NotReady
from verifier.tables import Dialect

T = TypeVar("T")

Work = Callable[[Connection], T]
"""What is done in one transaction. Done again where the place asks for it, so it changes nothing but rows."""


Fence = Callable[[Connection], AbstractContextManager[None]]
"""Encloses what is done in a transaction: it may refuse at the beginning, and add something at the end."""


class Unreadable(Exception):
    """The views can't be read: they are damaged, or no views. They can be built anew from the log."""


class NoRoom(Exception):
    """There was no room to write the views; nothing of the transaction was kept."""


class CutOff(Exception):
    """The database ended the transaction, or can't be reached. Ask again: nobody knows whether it was kept."""


class Place(Protocol):
    """Where views are kept, and in which dialect their tables are written."""

    dialect: Dialect
    readers: int
    """How many connections read at the same time; none where the one that writes reads, too."""
    anew: str
    """What to do about views that can't be read, as the end of a sentence."""
    let_in: str
    """What to do where the database refuses to open them, as the end of a sentence."""

    def engine(self, *, writes: bool) -> Engine:
        """Return what makes the connections that write, or those that only read."""
        ...

    def explain(self, error: exc.DBAPIError) -> Exception:
        """Translate what the database says: `Unreadable`, `NoRoom`, `CutOff`, or the error itself."""
        ...

    def read(self, engine: Engine, work: Work[T]) -> T:
        """Do work on one state of the database."""
        ...

    def write(self, engine: Engine, work: Work[T]) -> T:
        """Do work in one transaction."""
        ...

    def check(self, engine: Engine) -> None:
        """Look over what is kept. Raises `Unreadable` where it is damaged."""
        ...

    def there(self, engine: Engine) -> bool:
        """Say whether there are views at all."""
        ...

    def scrub(self, engine: Engine) -> bool:
        """Overwrite or let go of what was erased; say whether nobody was in the way."""
        ...

    def clear(self) -> bool:
        """Throw everything away, where nobody else may have it open; say whether that was so."""
        ...


class Database:
    """The views in one place, open."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._writer = place.engine(writes=True)
        self._writing = ThreadPoolExecutor(1, thread_name_prefix="views write")
        if place.readers:
            self._reader = place.engine(writes=False)
            self._reading = ThreadPoolExecutor(place.readers, thread_name_prefix="views read")
        else:  # one connection is the whole database: reading and writing take turns
            self._reader, self._reading = self._writer, self._writing
        self._fence: Fence | None = None

    def fenced(self, fence: Fence) -> Self:
        """Return the same database, on which whatever is written is enclosed in a fence."""
        within = copy(self)
        within._fence = fence
        return within

    async def write(self, work: Work[T]) -> T:
        """Do work in one transaction, all of it or none, after every write that was asked for before.

        Raises `NoRoom` for a full disk, `Unreadable` for damage, `CutOff` where it may be asked again,
        and whatever the fence raises.
        """
        fence = self._fence

        def enclosed(connection: Connection) -> T:
            if fence is None:
                return work(connection)
            with fence(connection):
                return work(connection)

        return await self._in(self._writing, lambda: self.place.write(self._writer, enclosed))

    async def read(self, work: Work[T]) -> T:
        """Do work on one state of the database. Raises `Unreadable` for damage, and `CutOff`."""
        return await self._in(self._reading, lambda: self.place.read(self._reader, work))

    async def check(self) -> None:
        """Look over what is kept. Raises `Unreadable` where it is damaged."""
        await self._in(self._writing, lambda: self.place.check(self._writer))

    async def there(self) -> bool:
        """Say whether there are views at all. Raises `Unreadable` for damage, and `CutOff`."""
        return await self._in(self._reading, lambda: self.place.there(self._reader))

    async def scrub(self) -> bool:
        """Overwrite or let go of what was erased; say whether nobody was in the way."""
        return await self._in(self._writing, lambda: self.place.scrub(self._writer))

    async def _in(self, threads: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        def explained() -> T:
            try:
                return work()
            except exc.DBAPIError as error:
                explained = self.place.explain(error)
                if explained is error:
                    raise
                raise explained from error

        return await asyncio.get_running_loop().run_in_executor(threads, explained)

    async def close(self) -> None:
        """Finish what was asked for, then let go of every connection."""
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._reading.shutdown()
        self._reader.dispose()
        self._writing.shutdown()
        self._writer.dispose()


@contextmanager
def as_problems(place: Place) -> Iterator[None]:
    """Tell trouble with the database of the views as a problem, with what to do.

    Raises `DiskFull`, `Busy` where it can't be reached, and `NotReady` where the views can't be read or opened.
    """
    try:
        yield
    except NoRoom as full:
        raise DiskFull(f"there is no room for the views ({full}): make room and try again") from full
    except CutOff as cut:
        raise Busy(f"the database of the views can't be reached ({cut}): see whether it runs, and try again") from cut
    except Unreadable as damage:
        raise NotReady(f"the views can't be read ({damage}): {place.anew}") from damage
    except exc.DBAPIError as refusal:
        said = str(refusal.orig).partition("\n")[0]
        raise NotReady(f"the views can't be opened ({said}): {place.let_in}") from refusal
