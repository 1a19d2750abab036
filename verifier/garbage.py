"""Let the garbage collector look less often: what we make in numbers stays, and has no cycles.

Looking through all of it again and again cost half of the time of a fold and a quarter of a write's. And while the
collector looks at everything, the process stands still: for seconds where hundreds of thousands of facts are cached,
which is longer than a turn at keeping the views lasts. So a server's collector never looks at everything by itself:
the server sweeps once in a while, and lets go of its caches before.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final, Protocol

import structlog

EVERY: Final = 3600.0
"""Seconds from one sweep of a server to the next. Until then a stream that has ended, say, holds on to some memory:
what served it has cycles."""

NEVER: Final = 2**31 - 1

logger = structlog.get_logger(__name__)


class Cache(Protocol):
    """What holds much that can be read again."""

    async def let_go(self) -> None:
        """Forget it, bit by bit, so that nobody waits long."""
        ...


@contextmanager
def no_collections() -> Iterator[None]:
    """Keep the collector from running inside; what it was set to before holds again after.

    Never held across an `await`, so nothing else in the process goes without it.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def take_as_old() -> None:
    """Take all that was made so far as old, unseen: for work that makes much which stays, and ends.

    Cycles among it wait for a full collection, and none comes by itself while this is called again and again.
    """
    gc.freeze()
    gc.unfreeze()


def collect_seldom() -> None:
    """Set the collector for a process that is ours alone, as the command line's are: what was imported is
    never looked at again, and the old hardly ever.

    The event loop stands still while it looks: so few are looked at at once, which takes milliseconds.
    """
    gc.freeze()
    gc.set_threshold(2_500, 2, 10_000)


@asynccontextmanager
async def sweeping(caches: Iterable[Cache], every: float = EVERY) -> AsyncIterator[None]:
    """Sweep again and again inside, after so many seconds each time, and keep the collector from looking at everything
    by itself."""

    async def run() -> None:
        while True:
            await asyncio.sleep(every)
            try:
                await sweep(caches)
            except Exception as error:  # the outermost loop: any error is our bug, and the next sweep may do
                logger.error("a sweep failed", exc_info=error)

    young, middle, old = gc.get_threshold()
    gc.set_threshold(young, middle, NEVER)
    task = asyncio.create_task(run(), name="sweeping")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        gc.set_threshold(young, middle, old)


async def sweep(caches: Iterable[Cache]) -> None:
    """Collect all garbage. The caches are let go first, in this order: then there is little to look at."""
    for cache in caches:
        await cache.let_go()
    begun = time.perf_counter()
    found = gc.collect()
    logger.debug("swept", objects=found, ms=round((time.perf_counter() - begun) * 1e3, 1))
