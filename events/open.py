"""Open a log by its URL. The only place that knows which engines there are."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from events.condition import Condition
from events.errors import Invalid
from events.evidence import Evidence, MemoryEvidence, Snapshots
from events.log import Log
from events.memory import MemoryLog
from events.rows import Rows
from events.sqlite import SqliteLog
from events.sqlite.condition import examine as examine_file
from events.sqlite.owner import holder_of as holder_beside
from events.sqlite.rows import SqliteRows
from events.sqlite.schema import VERSION as SQLITE_VERSION
from events.tiles import FileTiles, MemoryTiles, Tiles

if TYPE_CHECKING:
    from events.postgres.place import Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """The process that has a log open for writing, and where it serves it, if it does."""

    pid: int
    address: str | None


async def open_log(url: str, *, writable: bool = True, create: Literal["new", "empty"] | None = "new") -> Log:
    """Open the log at a URL: `memory:`, `sqlite:///relative.db`, `sqlite:////absolute.db` or
    `postgresql://user:password@host:port/database?schema=name`.

    `create` says what to do where there is no log yet: make a new one, make an empty one that waits to be
    restored, or, with `None`, refuse. A log that is there is opened as it is. Raises `Invalid` for a URL
    that names no log, `LogInUse`, `SchemaMismatch`, `ReadOnly` or `Busy` for a log that can't be opened.
    """
    match url.partition(":"):
        case ("memory", ":", "") if create is not None:
            return await MemoryLog.open(create=create)
        case ("sqlite", ":", place) if _names_a_file(place):
            return await SqliteLog.open(place[3:], writable=writable, create=create)
        case ("postgresql", ":", place) if place.startswith("//"):
            _check_extra()
            from events.postgres import PostgresLog  # here, because it is an extra

            return await PostgresLog.open(url, writable=writable, create=create)
        case (scheme, _, _):
            raise _no_log(url, scheme)


async def migrate_log(url: str) -> str:
    """Bring the tables of a log to the version of this code, making them where there are none; return the version.

    A log on SQLite is also migrated when it is opened for writing; one on PostgreSQL, which several
    processes may have open, only by this. All of it is done or nothing. Raises `Invalid` for a URL that
    names no log with tables, `SchemaMismatch` for tables that are newer than this code, `LogInUse`, `Busy`.
    """
    match url.partition(":"):
        case ("sqlite", ":", place) if _names_a_file(place):
            await (await SqliteLog.open(place[3:], create="empty")).close()
            return SQLITE_VERSION
        case ("postgresql", ":", place) if place.startswith("//"):
            found = database_of(url)
            from events.postgres.schema import migrate  # here, because it is an extra

            return await migrate(found)
        case (scheme, _, _):
            raise _no_log(url, scheme)


async def examine(url: str) -> Condition:
    """Say in what condition the storage of a log is, also of one that can't be opened because its tables are older
    or newer than this code. Takes no lock and writes nothing.

    Raises `Invalid` for a URL that names no log with tables and where there is none, and what opening it would
    where it can't be read.
    """
    match url.partition(":"):
        case ("sqlite", ":", place) if _names_a_file(place):
            return await examine_file(Path(place[3:]))
        case ("postgresql", ":", place) if place.startswith("//"):
            found = database_of(url)
            from events.postgres.condition import examine as examine_schema  # here, because it is an extra

            return await examine_schema(found)
        case (scheme, _, _):
            raise _no_log(url, scheme)


def database_of(url: str) -> Place:
    """Return where a log on PostgreSQL is kept, for what is kept beside it: its database and its schema.

    The `dsn` is a URL for asyncpg or libpq, without `?schema=` and with the password; never show it. Raises
    `Invalid` for any other URL, and where the extra is not installed.
    """
    _check_extra()
    from events.postgres.place import place_of  # here, because its package is an extra

    return place_of(url)


def evidence_of(url: str) -> Snapshots:
    """Return where the bytes of a log's snapshots are kept: beside its file, in its database, or in memory.

    Raises `Invalid` for a URL that names no log.
    """
    match url.partition(":"):
        case ("memory", ":", ""):
            return MemoryEvidence()
        case ("sqlite", ":", place) if _names_a_file(place):
            return Evidence(Path(place[3:]).with_suffix(".evidence"))
        case ("postgresql", ":", place) if place.startswith("//"):
            found = database_of(url)
            from events.postgres.evidence import PostgresEvidence  # here, because it is an extra

            return PostgresEvidence(found)
        case (scheme, _, _):
            raise _no_log(url, scheme)


def rows_of(url: str) -> Rows:
    """Open the tables of a log as an auditor reads them: see `events.rows`. Takes no lock and writes nothing.

    Raises `Invalid` for a URL that names no log with tables and where there is none, and what opening it would.
    """
    match url.partition(":"):
        case ("sqlite", ":", place) if _names_a_file(place):
            return SqliteRows(_file_of(place), tiles=_file_of(place).with_suffix(".tiles"))
        case ("postgresql", ":", place) if place.startswith("//"):
            found = database_of(url)
            from events.postgres.rows import PostgresRows  # here, because it is an extra

            return PostgresRows(found)
        case (scheme, _, _):
            raise _no_log(url, scheme)


def tiles_of(url: str) -> Tiles:
    """Return where the tiles of a log are kept: beside its file, in its database, or in memory.

    Raises `Invalid` for a URL that names no log.
    """
    match url.partition(":"):
        case ("memory", ":", ""):
            return MemoryTiles()
        case ("sqlite", ":", place) if _names_a_file(place):
            return FileTiles(Path(place[3:]).with_suffix(".tiles"))
        case ("postgresql", ":", place) if place.startswith("//"):
            found = database_of(url)
            from events.postgres.tiles import PostgresTiles  # here, because it is an extra

            return PostgresTiles(found)
        case (scheme, _, _):
            raise _no_log(url, scheme)


def announce(log: Log, address: str) -> None:
    """Write down beside a log where it is served: another process that wants to write is told by `LogInUse`.

    Only a log on SQLite has one writer and a place beside it for this.
    """
    if isinstance(log, SqliteLog):
        log.announce(address)


def holder_of(url: str) -> Holder | None:
    """Say which living process has the log at a URL open for writing, without opening it or taking its lock."""
    scheme, _, place = url.partition(":")
    if scheme != "sqlite" or not _names_a_file(place):
        return None
    held = holder_beside(_file_of(place))
    return Holder(pid=held.pid, address=held.address) if held is not None and held.pid is not None else None


def _names_a_file(place: str) -> bool:
    return place.startswith("///") and bool(place.strip("/"))


def _file_of(place: str) -> Path:
    return Path(place[3:]).resolve()


def _check_extra() -> None:
    if find_spec("asyncpg") is None or find_spec("psycopg") is None:
        raise Invalid("a log on PostgreSQL needs two more packages: pip install 'claim-verifier[postgres]'")


def _no_log(url: str, scheme: str) -> Invalid:
    if scheme in ("http", "https"):
        return Invalid("that is the address of a server, and here the log itself is opened: give its own URL")
    # What follows the scheme may hold a password.
    shown = repr(url) if scheme in ("memory", "sqlite") else f"a URL that begins with {scheme!r}"
    return Invalid(
        f"{shown} does not name a log: use memory:, sqlite:///relative.db, sqlite:////absolute.db"
        " or postgresql://user@host:port/database?schema=name"
    )
