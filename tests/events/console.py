"""PostgreSQL as somebody with a console sees it: looking into a log's schema, and interfering with it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

import asyncpg
from making import everything

from events.log import Log, Recorded
from events.open import database_of
from events.postgres.session import connect
from tests.postgres import Server

T = TypeVar("T")

NEVER = 600.0  # seconds: a poll that no test lives to see


@asynccontextmanager
async def by_hand(url: str, *, patience: float = 30.0) -> AsyncIterator[asyncpg.Connection]:
    """Connect to the schema of a log as somebody with a console would."""
    connection = await connect(database_of(url), name="by hand", timeout=patience)
    try:
        yield connection
    finally:
        connection.terminate()


@asynccontextmanager
async def holding_the_head(url: str, *, patience: float = 30.0) -> AsyncIterator[asyncpg.Connection]:
    """Hold the head's lock, until the end or until the server has had enough of it."""
    async with by_hand(url, patience=patience) as connection:
        await connection.execute("BEGIN")
        await connection.execute("SELECT position FROM head FOR UPDATE")
        yield connection


async def pids(connection: asyncpg.Connection, name: str, *, waiting: bool = False) -> Sequence[int]:
    """Return the server processes of the connections with a name, of this log; waiting for a lock if asked."""
    rows = await connection.fetch(
        "SELECT pid FROM pg_stat_activity WHERE application_name = $1 AND (NOT $2 OR wait_event_type = 'Lock')"
        " AND datname = current_database()",
        f"verifier {name}",
        waiting,
    )
    return [row["pid"] for row in rows]


async def until(look: Callable[[], Awaitable[T]]) -> T:
    """Look again and again until there is something to see, and return it."""
    while not (seen := await look()):  # noqa: ASYNC110  # the server rings no bell for these
        await asyncio.sleep(0)
    return seen


async def verify(log: Log) -> Sequence[Recorded]:
    """Re-read a whole log and check all that can be checked; return its events."""
    events = await everything(log)
    assert [event.position for event in events] == list(range(1, len(events) + 1))
    assert len({event.id for event in events}) == len(events)
    times = [event.recorded_at for event in events]
    assert times == sorted(times)
    assert await log.head() == len(events)
    return events


async def interfere(connection: asyncpg.Connection, statement: str) -> None:
    """Have the database run a statement in the middle of each append."""
    await connection.execute(
        "CREATE FUNCTION interfere() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN {statement}; RETURN NULL; END $$;"
        " CREATE TRIGGER interferes AFTER INSERT ON events EXECUTE FUNCTION interfere()"
    )


@asynccontextmanager
async def a_role(server: Server, url: str, *, limit: int = -1) -> AsyncIterator[tuple[str, str, asyncpg.Connection]]:
    """Make a role that has no rights of its own; return its name, the URL of a log as it, and the superuser."""
    name = f"role_{secrets.token_hex(6)}"
    superuser = await asyncpg.connect(server.superuser)
    try:
        await superuser.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{server.password}' CONNECTION LIMIT {limit}")
        yield name, url.replace("//desk:", f"//{name}:"), superuser
        await superuser.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")
    finally:
        await superuser.close()
