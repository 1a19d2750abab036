"""Opening a connection, the version of the tables, and what SQLite's errors mean to a caller."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final
from urllib.parse import quote

from events.errors import Busy, Damaged, DiskFull, LogError, ReadOnly, SchemaMismatch

VERSION: Final = "0001"
"""The migration that this code was written for: the newest in `events/migrations`."""


def connect_writer(path: Path, *, connection: type[sqlite3.Connection], busy_timeout: float) -> sqlite3.Connection:
    """Open the connection that writes, with every commit on the disk before it returns."""
    opened = sqlite3.connect(path, isolation_level=None, timeout=busy_timeout, factory=connection)
    # A checkpoint each 8 MiB, not 4: random ids touch the same index pages again, which are then written once.
    try:
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON", "wal_autocheckpoint=2048"):
            opened.execute(f"PRAGMA {pragma}")
    except sqlite3.Error:
        opened.close()
        raise
    return opened


def connect_reader(path: Path, *, busy_timeout: float) -> sqlite3.Connection:
    """Open a connection that can only read, for use by one thread at a time."""
    return sqlite3.connect(
        f"file:{quote(str(path))}?mode=ro",
        uri=True,
        isolation_level=None,
        timeout=busy_timeout,
        check_same_thread=False,
    )


def check_version(connection: sqlite3.Connection) -> None:
    """Check that the tables are of the version that this code reads; raises `SchemaMismatch`."""
    found = version_of(connection)
    if found != VERSION:
        raise SchemaMismatch(
            f"the log's tables are of version {found or 'none'}, this code reads {VERSION}: "
            "open the log once for writing, which migrates it, or use a newer version of the product"
        )


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the tables to this version: all of it in one transaction, or none.

    Raises `SchemaMismatch` for tables of a newer version, and for a database that is not a log.
    """
    found = version_of(connection)
    if found != VERSION:
        _upgrade(connection, found)


def version_of(connection: sqlite3.Connection) -> str | None:
    """Return the version of the tables, `None` where there are none yet."""
    try:
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_ERROR:  # that is: anything else than "no such table"
            raise
        if connection.execute("SELECT count(*) FROM sqlite_master").fetchone() != (0,):
            raise SchemaMismatch("this database holds other tables and is not a log; name another file") from error
        return None
    return row[0] if row else None


def _upgrade(connection: sqlite3.Connection, found: str | None) -> None:
    # Imported here, because Alembic takes longer to import than a log to open, and few logs are migrated.
    from sqlalchemy import create_engine
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.pool import StaticPool

    from events.migrations.upgrading import known_versions, upgrade

    if found is not None and found not in known_versions():
        raise SchemaMismatch(
            f"the log's tables are of version {found}, this code knows none newer than {VERSION}: "
            "use a newer version of the product"
        )
    engine = create_engine("sqlite://", creator=lambda: connection, poolclass=StaticPool)
    try:
        with engine.connect() as link:
            link.exec_driver_sql("BEGIN IMMEDIATE")
            upgrade(link)
            link.commit()
    except DBAPIError as error:
        raise error.orig or error from error


def explain(error: Exception) -> LogError | None:
    """Say what an error means to the caller, `None` where it doesn't say whether something was written."""
    if isinstance(error, LogError):
        return error
    match getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF:
        case sqlite3.SQLITE_FULL:
            return DiskFull("no room is left for the log: make room; nothing was written")
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return Busy("another connection keeps the log's file locked: try again; nothing was written")
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM:
            return ReadOnly("the log's file can be read and not written; nothing was written")
        case sqlite3.SQLITE_CANTOPEN:
            return ReadOnly(
                "the log's file, or what SQLite keeps beside it, can't be opened: see who may use the folder"
            )
        case sqlite3.SQLITE_CORRUPT:
            return Damaged(None, str(error))
        case _:
            return None
