"""Opening a connection, and what PostgreSQL's errors mean to a caller."""

from __future__ import annotations

import asyncio
from contextlib import suppress
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


async def connect(
    place: Place,
    *,
    name: str,
    timeout: float,  # noqa: ASYNC109  # the server keeps it, not we
    settings: dict[str, str] | None = None,
) -> asyncpg.Connection:
    """Open a connection that sees the log's schema. `timeout` bounds, in seconds, each statement and each pause
    in a transaction, so that a session that is stuck can't hold the head.

    Raises what `explain_connecting` understands.
    """
    milliseconds = str(round(timeout * 1_000))
    connecting = asyncio.ensure_future(
        asyncpg.connect(
            place.dsn,
            timeout=CONNECT_TIMEOUT,
            server_settings={
                **_ALWAYS,
                "application_name": f"verifier {name}",
                "search_path": place.schema,
                "statement_timeout": milliseconds,
                "idle_in_transaction_session_timeout": milliseconds,
                **(settings or {}),
            },
        )
    )
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


def explain_connecting(error: Exception, place: Place) -> LogError:
    """Say what it means that no connection could be opened: nothing was asked of the server."""
    why = str(error) or type(error).__name__
    match error:
        case asyncpg.InvalidAuthorizationSpecificationError() | asyncpg.InvalidCatalogNameError():
            return Invalid(f"{place.url} refuses us: {why}")
        case asyncpg.ClientConfigurationError() | ValueError():
            return Invalid(f"{place.url} can't be connected to: {type(error).__name__}; check its parameters")
        case _:
            return Busy(f"{place.url} can't be reached: try again; nothing was written ({why})")


def explain(error: Exception, position: int) -> LogError | None:
    """Say what an error means to the caller, `None` where it doesn't say whether something was written.

    An error that ends the session may come after the commit; any other comes before it.
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
        case "42P01" | "42883" | "3F000":
            return SchemaMismatch(f"the log's tables are not those of this code: run `verifier migrate` ({error})")
        case str(state) if state[:2] in ("40", "53") or state in ("55P03", "57014"):
            return Busy(f"the log is being written by others: try again; nothing was written ({error})")
        case str(state) if state[:2] == "23" or state in ("XX001", "XX002"):
            return Damaged(position, str(error))
        case str(state) if state[:2] in ("58", "XX"):  # among them a quota that is used up, and an I/O error
            return Busy(f"the server could not do it: look into its log; nothing was written ({error})")
        case _:
            return None


def _ends_the_session(error: asyncpg.PostgresError) -> bool:
    severity = getattr(error, "severity_en", None) or getattr(error, "severity", None)
    return severity in ("FATAL", "PANIC") or (error.sqlstate or "")[:2] == "08"
