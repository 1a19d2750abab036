"""The faults of the log: each strikes an append before its commit, or between its commit and its answer.

    hold the gate ─▶ append ─▶ strike ─▶ look what it left ─▶ let everybody go on ─▶ verify

Until we have looked, nobody who tries again is heard: his request is cut off on its way.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final

from bench.faults.disk import Disk, quota, run_out_of_log_space, small_disk
from bench.faults.fault import Fault, Side
from bench.faults.gates import PATIENCE, Gate, after_the_commit, before_the_commit, console, finished, until
from bench.faults.ledger import Ask
from bench.faults.trial import Begun, Trial
from bench.faults.writer import Child, child
from tests.events.wire import Moment, Wire, wired
from tests.postgres import Server

ALWAYS: Final = sys.maxsize

IMPATIENT: Final = 0.3
"""How many seconds a log waits that is to give up."""

_WAITING_WRITERS: Final = """
    SELECT count(*) = $1 FROM pg_stat_activity
    WHERE application_name = 'verifier writer' AND wait_event_type = 'Lock'"""


@dataclass(frozen=True, slots=True)
class Strike:
    """An append that stands at the gate, and what a fault needs to strike it."""

    trial: Trial
    wire: Wire
    first: Begun
    pid: int  # of the backend that works on it


async def strike(
    trial: Trial,
    gate: Gate,
    fault: Callable[[Strike], Awaitable[object]],
    *,
    patience: float = PATIENCE,
    heavy: bool = False,
    mend: Callable[[], None] = lambda: None,
) -> Side:
    """Let a fault strike an append at a gate; return what it left. Where the log needs `mend` to go on, that is done
    when everybody has been answered."""
    async with trial.writing(patience=patience) as (wire, log):
        async with gate(trial.server, trial.url) as caught:
            first = trial.begin(log, heavy=heavy)
            struck = Strike(trial, wire, first, await caught())
            wire.cut("before the request", first.marker, times=ALWAYS)
            trial.begin_beside()
            await fault(struck)
        await finished(trial.server, struck.pid)
        side = await trial.side(first.ask)
        wire.cut("before the request", first.marker, times=0)
        await trial.answered()
        mend()
        await trial.goes_on(log)
    return side


# --- the server, a backend, the wire, time ---------------------------------------------------------


async def kill_the_server(struck: Strike) -> None:
    """Kill the postmaster, and start it again: it recovers what was committed."""
    await asyncio.to_thread(struck.trial.server.kill)
    await asyncio.to_thread(struck.trial.server.restart)


async def terminate_the_backend(struck: Strike) -> None:
    """End the session that writes, as an administrator would."""
    async with console(struck.trial.server) as administrator:
        assert await administrator.fetchval("SELECT pg_terminate_backend($1, 60000)", struck.pid)


async def cut_the_wire(struck: Strike) -> None:
    """Cut the connection; the backend doesn't notice, and goes on when it can."""
    struck.wire.cut_now()


async def cut_the_wire_and_try_again(struck: Strike) -> None:
    """Cut the connection, and let the next attempt wait behind the first, whose backend hasn't noticed."""
    struck.wire.cut("before the request", struck.first.marker, times=0)
    struck.wire.cut_now()
    async with console(struck.trial.server) as looking:
        await until(lambda: looking.fetchval(_WAITING_WRITERS, 3))  # these two, and the one beside them


async def wait_too_long(struck: Strike) -> None:
    """Hold the gate until whoever waits has given up."""
    await asyncio.wait({struck.first.answer}, timeout=PATIENCE)


async def fill_the_disk(trial: Trial, disk: Callable[[Server, str], AbstractAsyncContextManager[Disk]]) -> Side:
    """Let an append find no room for its events; make room once it was told so."""
    async with disk(trial.server, trial.url) as filled:

        async def fill(struck: Strike) -> None:
            filled.fill(struck.pid)
            asks.append(struck.first.ask)

        def make_room() -> None:
            [ask] = asks
            assert isinstance(ask.refusal, filled.told_as), f"the caller was told {ask.refusal!r}"
            filled.make_room()

        asks: list[Ask] = []
        return await strike(trial, before_the_commit, fill, heavy=True, mend=make_room)


async def run_out_of_space(struck: Strike) -> None:
    """Let somebody else's commit find no room in the write-ahead log, so that the server panics."""
    await run_out_of_log_space(struck.trial.server)


async def cut_on_the_way(trial: Trial, moment: Moment, *, patience: float = PATIENCE) -> Side:
    """Cut a connection when its request comes by, or when the answer does; again each time, until we have looked, and
    until a log that has less patience than we has given up."""
    async with trial.writing(patience=patience) as (wire, log):
        first = trial.begin(log)
        wire.cut(moment, first.marker, times=ALWAYS)
        trial.begin_beside()
        await until(lambda: _cut_twice(wire))  # so the first time is over, and its answer would have come
        side = await trial.side(first.ask)
        if patience < PATIENCE:
            await asyncio.wait({first.answer}, timeout=PATIENCE)
        wire.cut(moment, first.marker, times=0)
        await trial.answered()
        await trial.goes_on(log)
    return side


async def _cut_twice(wire: Wire) -> bool:
    await asyncio.sleep(0)
    return wire.cuts > 1


# --- a process that writes -------------------------------------------------------------------------


async def kill_a_writer_unheard(trial: Trial) -> Side:
    """Kill a process whose request has not reached the server."""
    async with wired(trial.url) as (wire, url), child(trial, url) as writing:
        wire.cut("before the request", "evt_", times=ALWAYS)
        await until(lambda: _cut_twice(wire))
        await writing.kill()
    return await _left_by(trial, writing)


async def kill_a_writer(trial: Trial, gate: Gate) -> Side:
    """Kill a process whose append stands at a gate. The server goes on with it: nobody tells it of the death."""
    async with child(trial, trial.url) as writing, gate(trial.server, trial.url) as caught:
        pid = await caught()
        trial.begin_beside()
        await writing.kill()
    await finished(trial.server, pid)
    return await _left_by(trial, writing)


async def _left_by(trial: Trial, writing: Child) -> Side:
    side = await trial.side(*(ask for ask in writing.asks.values() if ask.position is None))
    await trial.answered()
    return side


# --- all of them -----------------------------------------------------------------------------------


def _struck(
    gate: Gate, fault: Callable[[Strike], Awaitable[object]], *, patience: float = PATIENCE
) -> Callable[[Trial], Awaitable[Side]]:
    return lambda trial: strike(trial, gate, fault, patience=patience)


def _cut(moment: Moment, *, patience: float = PATIENCE) -> Callable[[Trial], Awaitable[Side]]:
    return lambda trial: cut_on_the_way(trial, moment, patience=patience)


FAULTS: Final[Sequence[Fault[Trial]]] = (
    Fault("writer killed", "not persisted", kill_a_writer_unheard),
    Fault("writer killed", "persisted", lambda trial: kill_a_writer(trial, before_the_commit)),
    Fault("writer killed", "persisted", lambda trial: kill_a_writer(trial, after_the_commit)),
    Fault("server killed", "not persisted", _struck(before_the_commit, kill_the_server)),
    Fault("server killed", "persisted", _struck(after_the_commit, kill_the_server)),
    Fault("backend terminated", "not persisted", _struck(before_the_commit, terminate_the_backend)),
    Fault("backend terminated", "persisted", _struck(after_the_commit, terminate_the_backend)),
    Fault("connection cut", "not persisted", _cut("before the request")),
    Fault("connection cut", "persisted", _cut("before the answer")),
    Fault("connection cut", "not persisted", _cut("before the request", patience=IMPATIENT)),
    Fault("connection cut", "persisted", _cut("before the answer", patience=IMPATIENT)),
    Fault("connection cut", "persisted", _struck(before_the_commit, cut_the_wire)),
    Fault("connection cut", "persisted", _struck(before_the_commit, cut_the_wire_and_try_again)),
    Fault("connection cut", "persisted", _struck(after_the_commit, cut_the_wire)),
    Fault("disk full", "not persisted", lambda trial: fill_the_disk(trial, small_disk)),
    Fault("disk full", "not persisted", lambda trial: fill_the_disk(trial, quota)),
    Fault("disk full", "not persisted", _struck(before_the_commit, run_out_of_space)),
    Fault("disk full", "persisted", _struck(after_the_commit, run_out_of_space)),
    Fault("too long", "not persisted", _struck(before_the_commit, wait_too_long, patience=IMPATIENT)),
    Fault("too long", "persisted", _struck(after_the_commit, wait_too_long, patience=IMPATIENT)),
)
"""Every fault of the log, each at least once on each side."""
