"""Holding a commit in a real server: just before it, or between it and its answer.

Nothing is simulated, so what a fault then meets is what it would meet in production, only for longer.

*Before*: somebody holds the lock on the head of the log. An append that arrives waits for it inside the
server and has written nothing.
*After*: the server is told that commits wait for a standby, and there is none. A commit is durable then, and
whoever asked for it is not told: that is the moment between the commit and the answer, and it lasts.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final, TypeVar

import asyncpg

from events.open import database_of
from tests.postgres import Server

T = TypeVar("T")

PATIENCE: Final = 60.0
"""How many seconds anything may take that is waited for; then the run has failed."""

Catch = Callable[[], Awaitable[int]]
"""Waits until a commit stands at the gate, and returns the process id of its backend."""

Gate = Callable[[Server, str], AbstractAsyncContextManager[Catch]]

_AT_LOCK: Final = "wait_event_type = 'Lock'"
_AT_ANSWER: Final = "wait_event = 'SyncRep'"
_FINISHED: Final = "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1 AND state <> 'idle')"
_WRITER: Final = "application_name = 'verifier writer'"


@asynccontextmanager
async def console(server: Server) -> AsyncIterator[asyncpg.Connection]:
    """Connect as the superuser, whose own commits wait for nobody."""
    connection = await asyncpg.connect(server.superuser, server_settings={"synchronous_commit": "local"})
    try:
        yield connection
    finally:
        connection.terminate()


@asynccontextmanager
async def before_the_commit(server: Server, url: str) -> AsyncIterator[Catch]:
    """Hold the head of a log: whoever writes waits, and has written nothing."""
    async with console(server) as holder, console(server) as looking:
        await holder.execute(f"BEGIN; SELECT FROM {database_of(url).schema}.head FOR UPDATE")
        yield lambda: until(lambda: _writer(looking, _AT_LOCK))


@asynccontextmanager
async def after_the_commit(server: Server, url: str) -> AsyncIterator[Catch]:
    """Hold back the answers: whoever writes has committed, and nobody tells him.

    The setting that does it is taken out of the server's files at once, so that it doesn't outlive a restart.
    """
    async with console(server) as setting, console(server) as looking, console(server) as probing:
        await setting.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        await setting.execute("SELECT pg_reload_conf()")
        probe = await _until_answers_are_held(probing, looking)
        await setting.execute("ALTER SYSTEM RESET synchronous_standby_names")
        try:
            yield lambda: until(lambda: _writer(looking, _AT_ANSWER))
        finally:
            async with console(server) as releasing:
                await releasing.execute("SELECT pg_reload_conf()")
            await asyncio.gather(probe, return_exceptions=True)  # it has waited all the time, or died with the server


async def _until_answers_are_held(
    probing: asyncpg.Connection, looking: asyncpg.Connection
) -> asyncio.Task[asyncpg.Record]:
    """Commit again and again until one isn't answered: the server takes a new setting when it comes to it."""
    await probing.execute("SET synchronous_commit = on")
    async with asyncio.timeout(PATIENCE):
        while True:
            probe = asyncio.create_task(probing.fetchrow("SELECT pg_logical_emit_message(true, 'probe', '')"))
            while not probe.done():
                if await looking.fetchval(f"SELECT true FROM pg_stat_activity WHERE {_AT_ANSWER}"):
                    return probe
            await probe


async def _writer(looking: asyncpg.Connection, where: str) -> int | None:
    pid: int | None = await looking.fetchval(f"SELECT pid FROM pg_stat_activity WHERE {_WRITER} AND {where}")
    return pid


async def finished(server: Server, pid: int) -> None:
    """Wait until a backend has finished what it was doing, or has gone."""
    async with console(server) as looking:
        await until(lambda: looking.fetchval(_FINISHED, pid))


async def until(look: Callable[[], Awaitable[T | None]]) -> T:
    """Look again and again until there is something to see, and return it."""
    async with asyncio.timeout(PATIENCE):
        while not (seen := await look()):  # noqa: ASYNC110  # the server rings no bell for these
            await asyncio.sleep(0)
    return seen
