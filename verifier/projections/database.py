"""The connections to the views: one that writes, a few that only read, each transaction in one piece.

A transaction is one function that runs in a thread from its beginning to its end, so nothing is awaited
in the middle of it and a cancelled caller can't cut it short. (SQLAlchemy over aiosqlite would hand every
single statement, fetch and close to a thread: that cost more than the statements.)

`synchronous=NORMAL` is enough here: a power cut may lose the last commits and never tears one, and what
is lost is read from the log again. Erased texts must be gone from the file, so freed pages are
overwritten (`secure_delete`), and `scrub` empties the write-ahead log.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event, exc
from sqlalchemy.pool import QueuePool, StaticPool

T = TypeVar("T")

_SHARED: Final = {"check_same_thread": False}


class Unreadable(Exception):
    """The views can't be read: their file is damaged, or is none. They can be built anew from the log."""


class NoRoom(Exception):
    """There was no room to write the views; nothing of the transaction was kept."""


READERS: Final = 4
"""How many connections read at the same time."""

_PRAGMAS: Final = (
    "journal_mode=WAL",
    "synchronous=NORMAL",
    "secure_delete=ON",
    "cache_size=-65536",  # 64 MiB: the rows of a page of events lie all over the tables
    "wal_autocheckpoint=4000",
)


class Database:
    """One file of views; without a file, one in memory."""

    def __init__(self, location: Path | None) -> None:
        self._writer = _engine(location, writes=True)
        self._writing = ThreadPoolExecutor(1, thread_name_prefix="views write")
        if location is None:  # one connection is the whole database: reading and writing take turns
            self._reader, self._reading = self._writer, self._writing
        else:
            self._reader = _engine(location, writes=False)
            self._reading = ThreadPoolExecutor(READERS, thread_name_prefix="views read")

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Do work in one transaction, all of it or none, after every write that was asked for before.

        Raises `NoRoom` for a full disk and `Unreadable` for a damaged file.
        """

        def transaction() -> T:
            with _explained(), self._writer.begin() as connection:
                return work(connection)

        return await asyncio.get_running_loop().run_in_executor(self._writing, transaction)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Do work on one state of the database. Raises `Unreadable` for a damaged file."""

        def transaction() -> T:
            with _explained(), self._reader.connect() as connection:
                return work(connection)

        return await asyncio.get_running_loop().run_in_executor(self._reading, transaction)

    async def check(self) -> None:
        """Look the whole file over. Raises `Unreadable` where it is damaged."""

        def look(connection: Connection) -> None:
            found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
            if found != "ok":
                raise Unreadable(found)

        await self.write(look)

    async def scrub(self) -> bool:
        """Empty the write-ahead log; say whether nobody was reading it, so that it could be."""

        def checkpoint() -> bool:
            with self._writer.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                return not connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").scalar_one()

        return await asyncio.get_running_loop().run_in_executor(self._writing, checkpoint)

    async def close(self) -> None:
        """Finish what was asked for, then let go of every connection."""
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._reading.shutdown()
        self._reader.dispose()
        self._writing.shutdown()
        self._writer.dispose()


@contextmanager
def _explained() -> Iterator[None]:
    """Translate what SQLite says of its file."""
    try:
        yield
    except exc.DatabaseError as error:
        match getattr(error.orig, "sqlite_errorcode", None):
            case sqlite3.SQLITE_FULL:
                raise NoRoom(str(error.orig)) from error
            case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
                raise Unreadable(str(error.orig)) from error
            case _:
                raise


def _engine(location: Path | None, *, writes: bool) -> Engine:
    if location is None:
        engine = create_engine("sqlite://", poolclass=StaticPool, connect_args=_SHARED, hide_parameters=True)
    elif writes:
        engine = create_engine(
            f"sqlite:///{location}", poolclass=StaticPool, connect_args=_SHARED, hide_parameters=True
        )
    else:
        engine = create_engine(
            f"sqlite:///file:{quote(str(location))}?mode=ro&uri=true",
            poolclass=QueuePool,
            pool_size=READERS,
            connect_args=_SHARED,
            hide_parameters=True,
        )
    begin = "BEGIN IMMEDIATE" if writes else "BEGIN"

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # we say when a transaction begins, also one that only reads
        if writes:
            for pragma in _PRAGMAS:
                connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def start(connection: Connection) -> None:
        if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
            connection.exec_driver_sql(begin)

    return engine
