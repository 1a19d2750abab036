"""The time by which messages are sent: given to the sender, so that days can pass in a test."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress


class Clock:
    """The time of this machine."""

    def now(self) -> float:
        """Return the time, in Unix seconds."""
        return time.time()

    async def within(self, seconds: float | None, event: asyncio.Event) -> None:
        """Wait until something happens, or some seconds have passed, where there is a number of them."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await event.wait()
