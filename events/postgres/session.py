"""Opening a connection, and what PostgreSQL's errors mean to whoever connects, reads or writes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

import asyncpg

from events.errors import Busy, Damaged, DiskFull, Invalid, LogError, ReadOnly, SchemaMismatch
from events.postgres.place import Place

CONNECT_TIMEOUT: Final = 5.0  # seconds

_ALWAYS: Final = {
    "TimeZone": "UTC",
    "default_transaction_isolation": "read committed",
    # Each statement is a few steps into an index, however large the tables have grown since it was planned.
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_seqscan": "off",
    "jit": "off",
    "plan_cache_mode": "force_generic_plan",
}

LOST: Final = (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""What asyncpg raises where the connection, and not the server, has the last word."""

_CORRUPT: Final = ("XX001", "XX002")  # a page, an index


async def connect(
    place: Place,
    *,
    name: str,
    timeout: float,  # noqa: ASYNC109  # the server keeps it, not we
    settings: dict[str, str] | None = None,
) -> asyncpg.Connection:
    """Open a connection that sees the log's schema. `timeout` bounds, in seconds, each statement and each pause
    in a transaction, so that a session that is stuck can't hold the head.

    Raises `Busy` where the server can't be reached, and `Invalid` where it refuses us.
    """
    milliseconds = str(round(timeout * 1_000))
    given = {
        **_ALWAYS,
        "application_name": f"verifier {name}",
        "search_path": place.schema,
        "statement_timeout": milliseconds,
        "idle_in_transaction_session_timeout": milliseconds,
        **(settings or {}),
    }
    try:
        return await _arrive(place, given)
    except (*LOST, asyncpg.PostgresError) as error:
        raise _explain_connecting(error, place) from error


async def _arrive(place: Place, settings: dict[str, str]) -> asyncpg.Connection:
    connecting = asyncio.ensure_future(asyncpg.connect(place.dsn, timeout=CONNECT_TIMEOUT, server_settings=settings))
    try:
        return await asyncio.shield(connecting)
    except asyncio.CancelledError:
        # Cancelled on its way, asyncpg leaves an error behind that nobody takes. So it arrives first, and goes.
        with suppress(*LOST, asyncpg.PostgresError):
            await close(await connecting)
        raise


async def close(connection: asyncpg.Connection) -> None:
    """Close a connection, and don't wait long for the server's part in it."""
    try:
        await connection.close(timeout=1.0)
    except (*LOST, asyncpg.PostgresError):
        connection.terminate()
    except asyncio.CancelledError:
        connection.terminate()
        raise


def holds(name: str) -> bool:
    """Say whether a text of PostgreSQL can be this id or stream. No other is ever recorded: all are plain ASCII."""
    return name.isascii() and "\0" not in name


def explain_reading(error: Exception, place: Place) -> LogError:
    """Say what an error means to whoever only reads: nothing was to be written."""
    if isinstance(error, (TimeoutError, asyncpg.QueryCanceledError, asyncpg.LockNotAvailableError)):
        return Busy(f"{place.url} did not answer in time: try again ({str(error) or 'no answer'})")
    if not isinstance(error, asyncpg.PostgresError) or _ends_the_session(error):
        return _unreachable(error, place)
    match error.sqlstate:
        case "42501":
            return Invalid(
                f"the role may not read {place.url}: grant it USAGE on the schema and SELECT there ({error})"
            )
        case str(state) if _of_other_tables(state):
            return _other_tables(error)
        case str(state) if state in _CORRUPT:
            return Damaged(None, str(error))
        case _:
            return Busy(f"{place.url} could not answer: try again, and look into the server's log ({error})")


def explain_writing(error: Exception) -> LogError | None:
    """Say what an error means to whoever writes, `None` where it doesn't say whether something was written.

    An error that ends the session may come after the commit; any other comes before it, so nothing was written.
    """
    if isinstance(error, LogError):
        return error
    if not isinstance(error, asyncpg.PostgresError) or _ends_the_session(error):
        return None
    match error.sqlstate:
        case "53100":
            return DiskFull("no room is left for the log: make room; nothing was written")
        case "25006" | "42501":
            return ReadOnly(f"the log can be read and not written; nothing was written ({error})")
        case str(state) if _of_other_tables(state):
            return _other_tables(error)
        case str(state) if state[:2] in ("40", "53") or state in ("55P03", "57014"):
            return Busy(f"the log is being written by others: try again; nothing was written ({error})")
        case str(state) if state[:2] == "23" or state in _CORRUPT:
            return Damaged(None, str(error))
        case str(state) if state[:2] in ("58", "XX"):  # among them a quota that is used up, and an I/O error
            return Busy(f"the server could not do it: look into its log; nothing was written ({error})")
        case _:  # a trigger of somebody's, say: it would refuse the same again
            return ReadOnly(f"the database refuses to record it, now and again; nothing was written ({error})")


@asynccontextmanager
async def connected(
    place: Place,
    *,
    name: str,
    timeout: float,  # noqa: ASYNC109  # the server keeps it too
    explain: Callable[[Exception, Place], LogError] = explain_reading,
) -> AsyncIterator[asyncpg.Connection]:
    """Have a connection for a while, and close it at the end. `timeout` bounds each statement, and all of them.

    Raises as `connect` does, and what `explain` makes of later errors: `explain_reading`, unless another is given.
    """
    connection = await connect(place, name=name, timeout=timeout)
    try:
        async with asyncio.timeout(timeout):
            yield connection
    except (*LOST, asyncpg.PostgresError) as error:
        raise explain(error, place) from error
    finally:
        await close(connection)


def _of_other_tables(state: str) -> bool:
    return state[:2] == "42" or state == "3F000"


def _other_tables(error: asyncpg.PostgresError) -> SchemaMismatch:
    return SchemaMismatch(f"the log's tables are not those of this code: run `verifier migrate` ({error})")


def _explain_connecting(error: Exception, place: Place) -> LogError:
    match error:
        case (
            asyncpg.InvalidAuthorizationSpecificationError()
            | asyncpg.InvalidCatalogNameError()
            | asyncpg.InsufficientPrivilegeError()
        ):
            return Invalid(f"{place.url} refuses us: {error}; see that this database and this role are there")
        case asyncpg.ClientConfigurationError() | ValueError():
            return Invalid(f"{place.url} can't be connected to: {type(error).__name__}; check its parameters")
        case _:
            return _unreachable(error, place)


def _unreachable(error: Exception, place: Place) -> Busy:
    why = str(error) or type(error).__name__
    return Busy(f"{place.url} can't be reached: try again; nothing was written ({why})")


def _ends_the_session(error: asyncpg.PostgresError) -> bool:
    severity = getattr(error, "severity_en", None) or getattr(error, "severity", None)
    return severity in ("FATAL", "PANIC") or (error.sqlstate or "")[:2] == "08"
