"""A log that faults are tried on: it goes through all of them, and so do a second writer and a subscriber."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from typing import Final

import msgspec

from bench.crash import NUMBERS_PER_CHILD, append_number
from bench.faults.fault import Side
from bench.faults.gates import PATIENCE
from bench.faults.ledger import Ask, Ledger
from events.contracts import Wording
from events.log import Proposed, Recorded
from events.postgres import PostgresLog
from tests.events.wire import Wire, wired
from tests.postgres import Server

FIRST: Final = 1_000_000_000
"""The number of the first append: smaller ones are for processes that are killed."""


@dataclass(frozen=True, slots=True, eq=False)
class Begun:
    """An append that was begun, and the task that waits for its answer."""

    ask: Ask
    answer: asyncio.Task[Sequence[Recorded]]

    @property
    def marker(self) -> str:
        """What a request has in it that carries this append."""
        return self.ask.events[0].id


class Trial:
    """A log, everything that is done to it, and everything that is known of it. Made by `on_trial`."""

    def __init__(self, server: Server, url: str, chance: random.Random, beside: PostgresLog) -> None:
        self.server = server
        self.url = url
        self.chance = chance
        self.ledger = Ledger()
        self._beside = beside
        self._begun: list[Begun] = []
        self._numbers = count(FIRST)
        self._children = count()
        self._seen: list[Recorded] = []
        self._following = asyncio.create_task(self._follow(), name="the subscriber")

    @asynccontextmanager
    async def writing(self, *, patience: float = PATIENCE) -> AsyncIterator[tuple[Wire, PostgresLog]]:
        """Open the log once more, through a wire that can be cut."""
        async with wired(self.url) as (wire, url):
            log = await PostgresLog.open(url, create=None, busy_timeout=patience, answer_timeout=patience)
            async with log:
                yield wire, log

    def begin(self, log: PostgresLog, *, heavy: bool = False) -> Begun:
        """Begin some appends, and return the first; they go into one commit, or into a few.

        A `heavy` one has more bytes than the free space in the log's tables.
        """
        first, *_ = [self._begin(log, self._events(heavy)) for _ in range(self.chance.randint(1, 24))]
        return first

    def begin_beside(self) -> None:
        """Begin some appends through the second writer."""
        self.begin(self._beside)

    def _begin(self, log: PostgresLog, events: Sequence[Proposed]) -> Begun:
        begun = Begun(self.ledger.ask(events), asyncio.create_task(log.append(events)))
        self._begun.append(begun)
        return begun

    def numbers_for_a_child(self) -> int:
        """Return the first of the numbers that a process may use for its appends."""
        return next(self._children) * NUMBERS_PER_CHILD

    def _events(self, heavy: bool) -> Sequence[Proposed]:
        if not heavy:
            return append_number(next(self._numbers))
        words = Wording(note=self.chance.randbytes(5_000).hex())  # can't be compressed by much
        return [
            msgspec.structs.replace(event, wording=words)
            for _ in range(10)
            for event in append_number(next(self._numbers))
        ]

    async def side(self, *asks: Ask) -> Side:
        """Look whether any of these stands in the log now."""
        wanted = {event.id for ask in asks for event in ask.events}
        async with await PostgresLog.open(self.url, writable=False) as looking:
            found = [event.id async for page in looking.read_all() for event in page if event.id in wanted]
        return "persisted" if found else "not persisted"

    async def answered(self) -> None:
        """Wait until every append that was begun has an answer, and write it down."""
        begun, self._begun = self._begun, []
        async with asyncio.timeout(PATIENCE):
            answers = await asyncio.gather(*(one.answer for one in begun), return_exceptions=True)
        for one, answer in zip(begun, answers, strict=True):
            self.ledger.note(one.ask, answer)

    @property
    def recorded(self) -> int:
        """How many events the subscriber has seen: all, once they were verified."""
        return len(self._seen)

    async def goes_on(self, log: PostgresLog) -> None:
        """Append through a log that was struck, until something is acknowledged again."""
        async with asyncio.timeout(PATIENCE):
            acknowledged = False
            while not acknowledged:
                begun = self.begin(log)
                await self.answered()
                acknowledged = begun.ask.position is not None

    async def verify(self) -> None:
        """Hold the whole log against all that was answered, and against what the subscriber has seen."""
        async with await PostgresLog.open(self.url, create=None) as log:
            events = await self.ledger.verify(log)
        async with asyncio.timeout(PATIENCE):
            while len(self._seen) < len(events):
                assert not self._following.done(), f"the subscription has ended: {self._following.exception()!r}"
                await asyncio.sleep(0.001)  # a list rings no bell
        assert self._seen == events, "the subscriber saw something else"

    async def _follow(self) -> None:
        async for page in self._beside.subscribe():
            self._seen += page

    async def close(self) -> None:
        """End the subscription."""
        self._following.cancel()
        await asyncio.gather(self._following, return_exceptions=True)


@asynccontextmanager
async def on_trial(server: Server, schema: str, chance: random.Random) -> AsyncIterator[Trial]:
    """Make a log, and follow it until the end."""
    url = server.url(schema)
    async with await PostgresLog.open(url, busy_timeout=PATIENCE, answer_timeout=PATIENCE, poll=0.2) as beside:
        trial = Trial(server, url, chance, beside)
        try:
            yield trial
        finally:
            await trial.close()
