"""Slices of time on the event loop: whoever has much to do there lets the others run every few milliseconds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from verifier.garbage import no_collections

T = TypeVar("T")

SLICE: Final = 0.003
"""How many seconds we work before the others run."""


async def in_slices(items: Iterable[T], work: Callable[[T], object], *, rest: float = 0) -> None:
    """Do work on each item, in order, and let everybody else run every few milliseconds, and for `rest` seconds."""
    now = asyncio.get_running_loop().time
    ahead = iter(items)
    while True:
        end = now() + SLICE
        with no_collections():
            for item in ahead:
                work(item)
                if now() > end:
                    break
            else:
                return
        await asyncio.sleep(rest)


class Slices:
    """The same for work that awaits: where our slice is `over`, `rest` lets everybody else run."""

    def __init__(self) -> None:
        self._now = asyncio.get_running_loop().time
        self._end = self._now() + SLICE

    @property
    def over(self) -> bool:
        """Whether we have worked long enough."""
        return self._now() > self._end

    async def rest(self) -> None:
        """Let everybody else run, and begin the next slice."""
        await asyncio.sleep(0)
        self._end = self._now() + SLICE
