"""How the follower keeps pace: much at once where it is far behind, and never the event loop for long.

Requests are answered on the same event loop, so whoever has much to do there does it in turns with them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Final, TypeVar

import anyio

from events.log import PAGE, Recorded
from verifier.garbage import no_collections

T = TypeVar("T")

TURN: Final = 0.003
"""How many seconds we work before the others have their turn."""

REST: Final = TURN
"""How many seconds a rebuild leaves to the others then, whom nothing hurries."""

AT_ONCE: Final = 20 * PAGE
"""About how many events are taken at once where we are far behind: what they touch is written once."""

REBUILT_AT_ONCE: Final = 2 * PAGE
"""The same for a rebuild: while these are written, what the served views write has to wait."""


async def in_turns(items: Iterable[T], work: Callable[[T], object], *, rest: float = 0) -> None:
    """Do work on each item, in order, and let everybody else run every few milliseconds, and for `rest` seconds."""
    now = asyncio.get_running_loop().time
    ahead = iter(items)
    while True:
        end = now() + TURN
        with no_collections():
            for item in ahead:
                work(item)
                if now() > end:
                    break
            else:
                return
        await asyncio.sleep(rest)


async def gathered(
    pages: AsyncIterator[Sequence[Recorded]], *, at_once: int = AT_ONCE
) -> AsyncGenerator[Iterator[Sequence[Recorded]]]:
    """Yield pages in order, each time all that were read while the last ones were taken.

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
            some = deque([page])
            with suppress(anyio.WouldBlock, anyio.EndOfStream):
                while sum(map(len, some)) < at_once:
                    some.append(coming.receive_nowait())
            yield _let_go(some)
        await reading
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        came.close()
        coming.close()


def _let_go(pages: deque[Sequence[Recorded]]) -> Iterator[Sequence[Recorded]]:
    """Take the pages off one by one, small ones together: what they need from the log is read at once."""
    while pages:
        page = list(pages.popleft())
        while pages and len(page) + len(pages[0]) <= PAGE:
            page += pages.popleft()
        yield page
