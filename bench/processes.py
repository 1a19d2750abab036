"""Several real processes that do their work at the same time, for measurements, and threads in them.

reports = at_once(work, parts)     # in the parent: one process for each part
meet()                             # in each of them: go on once all have come this far
"""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from typing import Final, TypeVar

Part = TypeVar("Part")
Report = TypeVar("Report")

_PATIENCE: Final = 300.0  # seconds; where one process has died, the others don't wait for ever

_gate: Barrier | None = None  # of a child: given to it when it starts


@dataclass(frozen=True, slots=True)
class Saved:
    """What one process recorded: when, by the clock that all processes share, and how long each append took."""

    begun: float
    ended: float
    taken: Sequence[float]  # milliseconds


def rate_of(reports: Sequence[Saved]) -> float:
    """Return appends a second, from the first process that began to the last that ended."""
    appends = sum(len(report.taken) for report in reports)
    return appends / (max(report.ended for report in reports) - min(report.begun for report in reports))


def at_once(work: Callable[[Part], Report], parts: Sequence[Part]) -> list[Report]:
    """Do each part in a process of its own and return their reports, in order.

    `work` calls `meet` at least once, and each part as often as every other. Raises what a process raised.
    """
    context = multiprocessing.get_context("spawn")
    gate = context.Barrier(len(parts))
    with ProcessPoolExecutor(len(parts), mp_context=context, initializer=_enter, initargs=(gate,)) as pool:
        working = [pool.submit(_work, work, part) for part in parts]
    failures = [failure for one in working if (failure := one.exception()) is not None]
    # Where one has failed, those that waited for it failed too.
    if failures:
        raise min(failures, key=lambda failure: isinstance(failure, threading.BrokenBarrierError))
    return [one.result() for one in working]


def meet() -> None:
    """Wait until every process has called this as often as we have."""
    assert _gate is not None, "only a process that at_once has started can meet others"
    _gate.wait(_PATIENCE)


def _enter(gate: Barrier) -> None:
    global _gate
    _gate = gate


def _work(work: Callable[[Part], Report], part: Part) -> Report:
    try:
        return work(part)
    except BaseException:
        assert _gate is not None
        _gate.abort()  # nobody waits for us any longer
        raise


def share(count: int, parts: int, number: int) -> int:
    """Return how many of `count` are the share of one of `parts`, so that all shares are all."""
    return count // parts + (number < count % parts)


def in_threads(work: Callable[[int, list[float]], None], callers: int, count: int) -> Saved:
    """Do `count` appends in as many threads, each its share, once every process has come this far."""
    gate = threading.Barrier(callers + 1)
    taken: list[list[float]] = [[] for _ in range(callers)]

    def caller(number: int) -> None:
        gate.wait()
        work(share(count, callers, number), taken[number])

    with ThreadPoolExecutor(callers) as threads:
        callings = [threads.submit(caller, number) for number in range(callers)]
        meet()
        gate.wait()
        begun = time.time()
        for calling in callings:
            calling.result()
    return Saved(begun, time.time(), [one for some in taken for one in some])
