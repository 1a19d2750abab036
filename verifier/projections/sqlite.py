"""Views in a file of SQLite's, or in memory.

`synchronous=NORMAL` is enough for views: a power cut may lose the last commits and never tears one, and what
is lost is read from the log again. What can't be (`durable`), is on the disk with each commit. Erased texts must be
gone from the file, so freed pages are overwritten (`secure_delete`), and `scrub` empties the write-ahead log.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event, exc, inspect
from sqlalchemy.pool import QueuePool, StaticPool

from verifier.projections.database import NoRoom, T, Unreadable, Work
from verifier.tables import Dialect, views

READERS: Final = 4
"""How many connections read at the same time."""

_BUSY: Final = 5_000  # milliseconds that a statement waits for another connection's lock
_PAGE_READ: Final = 250  # milliseconds within which whoever reads a page has read it
_SHARED: Final = {"check_same_thread": False, "timeout": _BUSY / 1_000}

_PRAGMAS: Final = (
    "journal_mode=WAL",
    "synchronous=NORMAL",
    "secure_delete=ON",
    "cache_size=-65536",  # 64 MiB: the rows of a page of events lie all over the tables
    "wal_autocheckpoint=4000",
)


class SqlitePlace:
    """A file of views; without a file, memory. One process keeps and serves them; another may only look at them."""

    dialect: Dialect = "sqlite"
    anew = "start the server again, it builds new ones"

    def __init__(self, file: Path | None = None, *, durable: bool = False) -> None:
        self._file = file
        self._pragmas = (*_PRAGMAS, "synchronous=FULL") if durable else _PRAGMAS
        self.readers = READERS if file is not None else 0
        self.let_in = f"see who may write {file} and the folder it is in"

    def engine(self, *, writes: bool) -> Engine:
        """Return what makes the one connection that writes, or those that only read."""
        if self._file is None:
            engine = create_engine("sqlite://", poolclass=StaticPool, connect_args=_SHARED, hide_parameters=True)
        elif writes:
            engine = create_engine(
                f"sqlite:///{self._file}", poolclass=StaticPool, connect_args=_SHARED, hide_parameters=True
            )
        else:
            engine = create_engine(
                f"sqlite:///file:{quote(str(self._file))}?mode=ro&uri=true",
                poolclass=QueuePool,
                pool_size=READERS,
                connect_args=_SHARED,
                hide_parameters=True,
            )
        _prepare(engine, self._pragmas if writes else None)
        return engine

    def explain(self, error: exc.DBAPIError) -> Exception:
        """Translate what SQLite says of its file."""
        match getattr(error.orig, "sqlite_errorcode", None):
            case sqlite3.SQLITE_FULL:
                return NoRoom(str(error.orig))
            case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
                return Unreadable(str(error.orig))
            case _:
                return error

    def read(self, engine: Engine, work: Work[T]) -> T:
        """Do work on one state of the file."""
        with engine.connect() as connection:
            return work(connection)

    def write(self, engine: Engine, work: Work[T]) -> T:
        """Do work in one transaction."""
        with engine.begin() as connection:
            return work(connection)

    def check(self, engine: Engine) -> None:
        """Look the whole file over. Raises `Unreadable` where it is damaged."""
        with engine.connect() as connection:
            found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
        if found != "ok":
            raise Unreadable(found)

    def there(self, engine: Engine) -> bool:
        """Say whether there are views at all."""
        if self._file is not None and not self._file.exists():
            return False
        with engine.connect() as connection:
            return inspect(connection).has_table(views.name)

    def scrub(self, engine: Engine) -> bool:
        """Empty the write-ahead log; say whether nobody was reading it, so that it could be.

        Who reads a page is waited for; who reads for longer holds up only what waits for this.
        """
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql(f"PRAGMA busy_timeout = {_PAGE_READ}")
            try:
                return not connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").scalar_one()
            finally:
                connection.exec_driver_sql(f"PRAGMA busy_timeout = {_BUSY}")

    def clear(self) -> bool:
        """Delete the file and what lies beside it."""
        if self._file is not None:
            for suffix in ("", "-wal", "-shm"):
                self._file.with_name(self._file.name + suffix).unlink(missing_ok=True)
        return True


def _prepare(engine: Engine, pragmas: Sequence[str] | None) -> None:
    """Set up each connection of an engine; without pragmas it only reads."""
    begin = "BEGIN" if pragmas is None else "BEGIN IMMEDIATE"

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # we say when a transaction begins, also one that only reads
        for pragma in pragmas or ():
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def start(connection: Connection) -> None:
        if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
            connection.exec_driver_sql(begin)
