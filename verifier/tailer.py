"""The newest facts, as this process hears of them, whoever recorded them.

Several processes may write one log. What each remembers beside the claims (sources, stories, the policy in force,
wordings that the views don't have yet) must not stay as it was when another one has written: so one tailer in
each process that shares its log reads each new event once, and tells whoever asked to be told.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Self

from events.contracts import TextErased
from events.errors import Busy, Invalid
from events.log import Log, Recorded

ERASURES: Final = 10_000
"""How many erasures are remembered that nobody has counted yet."""

LEVEL: Final = 2.0
"""How many seconds a command waits until this process has heard of what others recorded before it."""

RETRY: Final = 1.0
"""How many seconds pass before a log that couldn't be reached is read again."""


class Tailer:
    """Reads what is recorded from now on. Made by `open`; heard from while `run` is running."""

    def __init__(self, log: Log, position: int) -> None:
        self._log = log
        self.position = position
        """The last event that everybody was told of."""
        self._listeners: list[Callable[[Recorded], object]] = []
        self._erasures: deque[int] = deque(maxlen=ERASURES)
        self._moved = asyncio.Event()  # replaced at each move, so that everyone who waits wakes once
        self._next: asyncio.Task[int] | None = None  # a look at the head that has not begun, and may be joined
        self._looking = asyncio.Lock()

    @classmethod
    async def open(cls, log: Log) -> Self:
        """Begin at the head: whatever is read from the log after this is known up to here."""
        return cls(log, await log.head())

    def tell(self, listener: Callable[[Recorded], object]) -> None:
        """Tell a listener of each event from now on, in order, maybe one that it knows already."""
        self._listeners.append(listener)

    async def run(self) -> None:
        """Read until cancelled, or until the log is closed. Raises what a listener raises."""
        while True:
            try:
                async for page in self._log.subscribe(after=self.position):
                    self._take(page)
            except (Busy, Invalid):  # away, or it refuses us for a while
                await asyncio.sleep(RETRY)  # nobody tells when the log can be reached again
            else:
                return

    def _take(self, page: Sequence[Recorded]) -> None:
        for event in page:
            for listener in self._listeners:
                listener(event)
            if isinstance(event.leaf.fact, TextErased):
                self._erasures.append(event.position)
        self.position = page[-1].position
        self._moved.set()
        self._moved = asyncio.Event()

    async def reached(self, position: int, within: float) -> bool:
        """Wait some seconds until everybody was told of a position; say whether they were."""
        try:
            async with asyncio.timeout(within):
                while self.position < position:
                    await self._moved.wait()
        except TimeoutError:
            pass
        return self.position >= position

    async def level(self) -> None:
        """Wait until everybody was told of all that was recorded when this was asked.

        So a command that is decided after it knows what others had been told was recorded: who a name means, what
        was erased, which policy is in force. Raises `Busy`, also where nobody reads any more.
        """
        if self._next is None:
            self._next = asyncio.create_task(self._look(), name="look at the head")
        head = await asyncio.shield(self._next)
        if not await self.reached(head, LEVEL):
            raise Busy(f"this process has heard of {self.position} events and others recorded {head}: try again")

    async def _look(self) -> int:
        async with self._looking:
            self._next = None  # who asks from here on may know of more than we shall see
            return await self._log.head()

    def erased(self, upto: int) -> int:
        """Return how many texts were erased up to a position that weren't asked about before."""
        count = 0
        while self._erasures and self._erasures[0] <= upto:
            self._erasures.popleft()
            count += 1
        return count
