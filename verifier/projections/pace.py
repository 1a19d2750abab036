"""How the follower keeps pace: much at once where it is far behind, and a rest after each slice of a rebuild."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final

import anyio

from events.log import PAGE, Recorded
from verifier.slices import SLICE

Progress = Callable[[int, int], None]
"""Told how far a rebuild is: the position it has reached, and the one it is to reach."""

REST: Final = 3 * SLICE
"""How many seconds a rebuild, which nothing hurries, leaves to the others after each slice of the event loop."""

BREATH: Final = 0.05
"""How many seconds may lie between two batches of one burst."""

BURST_READ: Final = 0.5
"""How many seconds a read waits for what batches have recorded, while the views catch up with it."""

LONGEST_BURST: Final = 5.0
"""How many seconds views that nobody else keeps or reads wait for the end of a burst: so they never lag for long."""

BURST_WAIT: Final = 0.2
"""How many seconds whoever keeps the views for other processes waits for the end of a burst."""

AT_ONCE: Final = 20 * PAGE
"""About how many events are taken at once where we are far behind: what they touch is written once."""

REBUILT_AT_ONCE: Final = 10 * PAGE
"""The same for a rebuild: while these are written, what the served views write has to wait."""


class Burst:
    """Whether many commands are being recorded at once: whoever follows had better wait, and take them together.

    It goes on as soon as somebody wants to know what the commands came to, and after `patience` seconds: where
    several processes read, those who want to know may be in another one.
    """

    def __init__(self, patience: float) -> None:
        self.recorded = 0
        """The last position that a burst has recorded and acknowledged."""
        self._patience = patience
        self._held = 0
        self._calm = asyncio.Event()
        self._calm.set()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Say that a burst goes on inside; where another one follows at once, it is the same."""
        self._held += 1
        self._calm.clear()
        try:
            yield
        finally:
            self._held -= 1
            asyncio.get_running_loop().call_later(BREATH, self._end)

    def _end(self) -> None:
        if not self._held:
            self._calm.set()

    def wanted(self) -> None:
        """Say that somebody wants to know."""
        self._calm.set()

    async def over(self) -> None:
        """Wait until the burst is over, or somebody wants to know."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._patience):
                await self._calm.wait()
        if self._held:
            self._calm.clear()


async def gathered(
    pages: AsyncIterator[Sequence[Recorded]], *, at_once: int = AT_ONCE, burst: Burst | None = None
) -> AsyncGenerator[Iterator[Sequence[Recorded]]]:
    """Yield pages in order, each time all that were read while the last ones were taken, or during a burst.

    So whoever keeps up takes page after page, and whoever is behind takes many at once. A page is let go as
    soon as it was taken. Raises what reading raises, after what was read before it.
    """
    came, coming = anyio.create_memory_object_stream[Sequence[Recorded]](at_once // PAGE)

    async def read() -> None:
        with came:
            async for page in pages:
                await came.send(page)

    reading = asyncio.create_task(read(), name="reading ahead")
    try:
        async for page in coming:
            if burst is not None:
                await burst.over()
            some = deque([page])
            with suppress(anyio.WouldBlock, anyio.EndOfStream):
                while sum(map(len, some)) < at_once:
                    some.append(coming.receive_nowait())
            yield _let_go(some)
        await reading
    finally:
        reading.cancel()
        came.close()  # before anything is awaited, where we may be cancelled once more
        coming.close()
        await asyncio.gather(reading, return_exceptions=True)


def _let_go(pages: deque[Sequence[Recorded]]) -> Iterator[Sequence[Recorded]]:
    """Take the pages off one by one, small ones together: what they need from the log is read at once."""
    while pages:
        page = list(pages.popleft())
        while pages and len(page) + len(pages[0]) <= PAGE:
            page += pages.popleft()
        yield page
