"""The faults of the views: each strikes the server that keeps them, before one of its commits or after it.

    hold the gate ─▶ strike ─▶ look what it left ─▶ let everybody go on ─▶ verify

Until we have looked, the other server is frozen, so that it doesn't go on with the work.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final

import asyncpg
import httpx

from bench.faults.fault import Fault, Side
from bench.faults.gates import console, finished, until
from bench.faults.office import At, Clerk, Office

Gate = Callable[[Office, Clerk], AbstractAsyncContextManager[int]]
"""Holds the server that keeps the views somewhere, and gives the process id of the backend that works for it."""

_WAITING: Final = """
    SELECT pid FROM pg_stat_activity
    WHERE wait_event_type = 'Lock' AND usename = 'desk' AND application_name NOT LIKE 'verifier%'"""


# --- gates -----------------------------------------------------------------------------------------


@asynccontextmanager
async def before_a_page(office: Office, keeper: Clerk) -> AsyncIterator[int]:
    """Hold the checkpoint: the next page is written but for that, and not committed."""
    async with console(office.server) as holder, console(office.server) as looking:
        await holder.execute(f"BEGIN; SELECT FROM {office.schema}_views.views WHERE active FOR UPDATE")
        await office.record(20)
        yield await until(lambda: looking.fetchval(_WAITING))


@asynccontextmanager
async def after_a_page(office: Office, keeper: Clerk) -> AsyncIterator[int]:
    """Let a page be committed, and lose the answer with the connection."""
    async with before_a_page(office, keeper) as pid:
        keeper.wire.cut("before the answer", "COMMIT")
    await finished(office.server, pid)
    yield pid


@asynccontextmanager
async def half_built(office: Office, keeper: Clerk) -> AsyncIterator[int]:
    """Ask for a rebuild, and hold it in the middle."""
    async with console(office.server) as holder, console(office.server) as looking:
        await _ask_for_a_rebuild(keeper)
        await holder.execute("BEGIN")
        await until(
            lambda: holder.fetchval(
                f"SELECT true FROM {office.schema}_views.views WHERE NOT active AND position > 0 FOR UPDATE"
            )
        )
        yield await until(lambda: looking.fetchval(_WAITING))


@asynccontextmanager
async def switched(office: Office, keeper: Clerk) -> AsyncIterator[int]:
    """Ask for a rebuild, and hold it when the new views serve and the old ones are still there."""
    generation = (await office.at()).generation
    async with console(office.server) as holder, console(office.server) as looking:
        old = await _tables(office, holder, generation)
        await holder.execute(f"BEGIN; LOCK TABLE {', '.join(old)} IN ACCESS SHARE MODE")
        await _ask_for_a_rebuild(keeper)
        yield await until(lambda: looking.fetchval(_WAITING))


async def _ask_for_a_rebuild(of: Clerk) -> None:
    async with httpx.AsyncClient(base_url=f"{of.address}/api/v1/") as http:
        (await http.post("rebuild", json={})).raise_for_status()


async def _tables(office: Office, looking: asyncpg.Connection, generation: int) -> Sequence[str]:
    names = await looking.fetch("SELECT tablename FROM pg_tables WHERE schemaname = $1", f"{office.schema}_views")
    return [f"{office.schema}_views.{name}" for (name,) in names if name.endswith(f"_{generation}")]


# --- strikes ---------------------------------------------------------------------------------------


async def freeze_the_keeper(office: Office, gate: Gate) -> Side:
    """Freeze the server that keeps the views, past its turn; wake it when the other has gone on."""
    keeper, other = await office.keeper_and_other()
    before = await office.at()
    async with gate(office, keeper) as pid:
        await keeper.freeze()
        await other.freeze()
    await finished(office.server, pid)  # by committing, or because the server has enough of a silent session
    side = await _side(office, before)
    other.wake()
    await _wake_when_the_other_keeps(office, keeper, other)
    return side


async def freeze_an_idle_keeper(office: Office) -> Side:
    """Freeze the server that keeps the views when it has written everything; it wakes with more to write."""
    keeper, other = await office.keeper_and_other()
    await keeper.shows(len(office.newsroom.recorded) + 1)
    before = await office.at()
    await keeper.freeze()
    await other.freeze()
    await office.record(20)
    side = await _side(office, before)
    other.wake()
    await _wake_when_the_other_keeps(office, keeper, other)
    return side


async def _wake_when_the_other_keeps(office: Office, keeper: Clerk, other: Clerk) -> None:
    await office.keeps(other)
    await office.record(20)
    await other.shows(len(office.newsroom.recorded) + 1)
    epoch = await _epoch(office)
    keeper.wake()
    await office.record(20)
    await keeper.shows(len(office.newsroom.recorded) + 1)
    assert await _epoch(office) == epoch, "the one that woke took the turn of the other"
    await office.keeps(other)


async def kill_the_keeper(office: Office, gate: Gate) -> Side:
    """Kill the server that keeps the views; the other takes over, and a third comes."""
    keeper, other = await office.keeper_and_other()
    before = await office.at()
    async with gate(office, keeper) as pid:
        await keeper.end()
        await other.freeze()
    await finished(office.server, pid)
    side = await _side(office, before)
    other.wake()
    office.clerks.remove(keeper)
    await office.hire()
    await _rebuilt(office)
    return side


async def restart_the_database(office: Office, gate: Gate) -> Side:
    """Kill PostgreSQL and start it again, while both servers are frozen; then both go on."""
    keeper, other = await office.keeper_and_other()
    before = await office.at()
    async with gate(office, keeper):
        await keeper.freeze()
        await other.freeze()
        async with console(office.server) as flushing:  # a commit of the views doesn't wait for the disk
            await flushing.execute("SELECT pg_logical_emit_message(true, 'flush', '')")
        await asyncio.to_thread(office.server.kill)
        await asyncio.to_thread(office.server.restart)
    side = await _side(office, before)
    keeper.wake()
    other.wake()
    await _rebuilt(office)
    return side


async def _side(office: Office, before: At) -> Side:
    return "not persisted" if await office.at() == before else "persisted"


async def _epoch(office: Office) -> int:
    async with console(office.server) as looking:
        epoch: int = await looking.fetchval(f"SELECT epoch FROM {office.schema}_views.turn")
    return epoch


async def _rebuilt(office: Office) -> None:
    """Wait until no rebuild is asked for any more; then there are tables of one generation only."""
    async with console(office.server) as looking:
        await until(lambda: looking.fetchval(f"SELECT done = asked FROM {office.schema}_views.turn"))
        served = (await office.at()).generation
        assert not [one for number in range(served) for one in await _tables(office, looking, number)]


def _struck(strike: Callable[[Office, Gate], Awaitable[Side]], gate: Gate) -> Callable[[Office], Awaitable[Side]]:
    return lambda office: strike(office, gate)


FAULTS: Final[Sequence[Fault[Office]]] = (
    Fault("owner frozen", "not persisted", freeze_an_idle_keeper),
    Fault("owner frozen", "not persisted", _struck(freeze_the_keeper, before_a_page)),
    Fault("owner frozen", "persisted", _struck(freeze_the_keeper, after_a_page)),
    Fault("owner killed", "not persisted", _struck(kill_the_keeper, before_a_page)),
    Fault("owner killed", "persisted", _struck(kill_the_keeper, after_a_page)),
    Fault("restart in a rebuild", "not persisted", _struck(kill_the_keeper, half_built)),
    Fault("restart in a rebuild", "not persisted", _struck(restart_the_database, half_built)),
    Fault("restart in a rebuild", "persisted", _struck(kill_the_keeper, switched)),
    Fault("restart in a rebuild", "persisted", _struck(restart_the_database, switched)),
)
"""Every fault of the views, each at least once on each side."""
