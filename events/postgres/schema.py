"""The version of a log's tables, and migrating them.

A log that isn't there is made when it is opened. One that is older is not touched then, because other
processes may be using it: `verifier migrate` brings it to this version.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from events.errors import Busy, Invalid, LogError, SchemaMismatch
from events.postgres.place import Place
from events.postgres.session import connected

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.exc import DBAPIError

VERSION: Final = "0001"
"""The migration that this code was written for: the newest in `events/migrations`."""

_PATIENCE: Final = 60.0  # seconds that a migration may wait for another, or take for one statement
# In one statement, in which the catalogue's answer is never older than the table's: a log that another
# process makes just now is not mistaken for other tables.
_LOOK: Final = """
    SELECT to_regclass($1 || '.alembic_version') IS NOT NULL,
        EXISTS (SELECT FROM pg_class WHERE relnamespace = to_regnamespace($1))"""
_VERSION: Final = "SELECT version_num FROM alembic_version"


async def prepare(place: Place, *, may_make: bool) -> None:
    """Make the tables of a log that isn't there yet, if it may be made, and check those of one that is.

    Raises `Invalid` where there is no log and none may be made, or not in a database of this encoding,
    `SchemaMismatch` for tables of another version and for a schema that is not a log's, `Busy` where the database
    can't be reached.
    """
    found = await version(place)
    if found is None and may_make:
        found = await migrate(place)
    if found is None:
        raise Invalid(f"there is no log at {place.url}: check the name, or record something to make one")
    if found != VERSION:
        raise await _mismatch(found)


async def migrate(place: Place) -> str:
    """Bring the tables to this version, all of it in one transaction or none; return the version they have then.

    Two processes that do this at once wait for each other, and both succeed. Raises as `prepare` does.
    """
    await version(place)  # refuses a schema that is not a log's
    await asyncio.to_thread(_migrate, place)
    return VERSION


async def version(place: Place) -> str | None:
    """Return the version of the tables, `None` where there is no log.

    A log whose tables have no version is one of before the first: it has the version "".
    """
    async with connected(place, name="schema", timeout=_PATIENCE) as connection:
        encoding = await connection.fetchval("SHOW server_encoding")
        if encoding != "UTF8":
            raise Invalid(
                f"the database at {place.url} holds texts as {encoding}, which can't hold every text: make one with"
                " CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0"
            )
        has_version, has_tables = await connection.fetchrow(_LOOK, place.schema)
        if has_version:
            return await connection.fetchval(_VERSION) or ""
        if has_tables:
            raise SchemaMismatch(f"schema {place.schema!r} holds other tables and is not a log's; name another schema")
    return None


async def knows(found: str) -> bool:
    """Say whether this code knows a version: then the tables are older than it needs, and any other are newer."""
    return found in {"", VERSION} or await asyncio.to_thread(_in_history, found)


def _in_history(found: str) -> bool:
    from events.migrations.upgrading import known_versions  # imported here: it brings Alembic along

    return found in known_versions()


async def _mismatch(found: str) -> SchemaMismatch:
    if await knows(found):
        return SchemaMismatch(
            f"the log's tables are of version {found or 'none'}, this code needs {VERSION}: stop what writes the log,"
            " and run `verifier migrate`"
        )
    return _newer(found)


def _newer(found: str) -> SchemaMismatch:
    return SchemaMismatch(
        f"the log's tables are of version {found}, this code knows none newer than {VERSION}: "
        "use a newer version of the product"
    )


def engine_of(place: Place) -> Engine:
    """Return Alembic's way to a log's schema, which is synchronous."""
    # Imported here, because they take longer to import than a log to open, and few logs are migrated.
    import psycopg
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    options = f"-c search_path={place.schema} -c lock_timeout={round(_PATIENCE)}s"
    return create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(place.dsn, options=options), poolclass=NullPool
    )


def _migrate(place: Place) -> None:
    from sqlalchemy import text
    from sqlalchemy.exc import DBAPIError

    from events.migrations.upgrading import upgrade

    needed = "CREATE on the schema"
    try:
        with engine_of(place).begin() as link:
            # Until the transaction ends: whoever comes at the same time waits, and then finds it done.
            link.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"), {"key": place.channel})
            # Looked at first: IF NOT EXISTS would ask for the right to make one also where it is there.
            if not link.execute(text("SELECT to_regnamespace(:schema) IS NOT NULL"), {"schema": place.schema}).scalar():
                needed = "CREATE on the database"
                link.execute(text(f"CREATE SCHEMA {place.schema}"))
            made = link.execute(text("SELECT to_regclass('alembic_version')")).scalar()
            found = link.execute(text(_VERSION)).scalar() if made else None
            if found and not _in_history(found):
                raise _newer(found)
            upgrade(link)
    except DBAPIError as error:
        raise _explain_migrating(error, place, needed) from error


def _explain_migrating(error: DBAPIError, place: Place, needed: str) -> LogError:
    why = error.orig
    match getattr(why, "sqlstate", None):
        case None | "55P03" | "53300" | "57P01" | "57P03":
            return Busy(f"the log at {place.url} can't be migrated now: try again; nothing was changed ({why})")
        case "42501":
            return Invalid(f"the role may not make the tables at {place.url}: grant it {needed} ({why})")
        case _:
            return SchemaMismatch(f"the log at {place.url} could not be migrated: nothing was changed ({why})")
