"""A log in memory: the readable reference. It is lost when the process ends.

Everything that changes the log happens between two awaits of one event loop, which is all the locking
it needs: what `_commit` does is one commit.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Literal, Self

from events.contracts import LogOpened, TextErased
from events.errors import Closed, Conflict, ForeignCursor, IdempotencyMismatch, Invalid
from events.leaf import now
from events.log import PAGE, Encoded, Proposed, Recorded, check_restored, encode_append, opening


class MemoryLog:
    """A log in memory, for one event loop. Its verbs are those of `events.log.Log`."""

    url = "memory:"

    def __init__(self) -> None:
        self._events: list[Recorded] = []  # the event at position n is at index n - 1
        self._places: dict[str, int] = {}  # event id -> position
        self._streams: dict[str, list[int]] = {}  # stream -> its positions, in order
        self._grown = asyncio.Event()  # replaced at each commit, so that everyone who waits wakes once
        self._closed = False

    @classmethod
    async def open(cls, *, create: Literal["new", "empty"] = "new") -> Self:
        """Make a log; with `create="empty"` one that waits to be restored."""
        log = cls()
        if create == "new":
            await log.append([opening()])
        return log

    @property
    def id(self) -> str:
        match self._events:
            case [Recorded(fact=LogOpened(log=log_id)), *_]:
                return log_id
            case _:
                raise Invalid("this log is empty and has no id yet: restore into it first")

    @property
    def lineage(self) -> str:
        match self._events:
            case [Recorded(fact=LogOpened(lineage=str(lineage))), *_]:
                return lineage
            case _:
                return self.id

    async def append(self, events: Sequence[Proposed], *, after: Mapping[str, int] = {}) -> Sequence[Recorded]:
        self._check_open()
        encoded = encode_append(events)
        recorded = self._recorded_before(events)
        if recorded is None:
            self._check(events, after)
            recorded = self._commit(encoded)
        return recorded

    def _recorded_before(self, events: Sequence[Proposed]) -> Sequence[Recorded] | None:
        """Return what was recorded under these ids, `None` where nothing was (guarantee 4)."""
        places = [self._places.get(event.id) for event in events]
        known = [place for place in places if place is not None]
        if not known:
            return None
        recorded = self._events[known[0] - 1 : known[0] - 1 + len(events)]
        side_by_side = places == list(range(known[0], known[0] + len(events)))
        for event, place in zip(events, places, strict=True):
            if place and not (side_by_side and self._events[place - 1].same_content(event)):
                raise IdempotencyMismatch(event.id)
        return [event.asked_again() for event in recorded]

    def _check(self, events: Sequence[Proposed], after: Mapping[str, int]) -> None:
        for stream, expected in after.items():
            actual = self._streams.get(stream, [0])[-1]
            if actual != expected:
                raise Conflict(stream, expected=expected, actual=actual)
        if not self._events and not isinstance(events[0].fact, LogOpened):
            raise Invalid("this log is empty: restore into it first")
        for event in events:
            if isinstance(event.fact, TextErased) and event.fact.event not in self._places:
                raise Invalid(f"{event.fact.event} is not in this log, so nothing of it can be erased")

    def _commit(self, encoded: Sequence[Encoded]) -> Sequence[Recorded]:
        at = max(now(), self._last())
        recorded = [one.recorded(position, at) for position, one in enumerate(encoded, len(self._events) + 1)]
        self._keep(recorded)
        return recorded

    def _keep(self, recorded: Sequence[Recorded]) -> None:
        for event in recorded:
            self._events.append(event)
            self._places[event.id] = event.position
            self._streams.setdefault(event.stream, []).append(event.position)
            if isinstance(event.fact, TextErased):
                self._erase(event.fact)
        self._grown.set()
        self._grown = asyncio.Event()

    def _erase(self, fact: TextErased) -> None:
        # The event is replaced, not changed: who holds the old one holds what he read before the erasure.
        if fact.event not in self._places:  # a restored log may name what it never held
            return
        index = self._places[fact.event] - 1
        was = self._events[index]
        wording = (None, None) if fact.slot == "wording" else (was.wording_salt, was.wording_raw)
        identity = (None, None) if fact.slot == "identity" else (was.identity_salt, was.identity_raw)
        self._events[index] = Recorded(was.position, was.leaf_raw, *wording, *identity)

    def _last(self) -> str:
        return self._events[-1].recorded_at if self._events else ""

    async def read(self, stream: str, *, after: int = 0, upto: int | None = None) -> AsyncIterator[Sequence[Recorded]]:
        self._check_open()
        places = self._streams.get(stream, [])
        wanted = [place for place in places if place > after and (upto is None or place <= upto)]
        for start in range(0, len(wanted), PAGE):
            yield [self._events[place - 1] for place in wanted[start : start + PAGE]]

    async def read_all(
        self, *, after: int = 0, upto: int | None = None, texts: bool = True
    ) -> AsyncIterator[Sequence[Recorded]]:
        self._check_open()
        head = len(self._events)
        if after > head:
            raise ForeignCursor(after, head)
        end = head if upto is None else min(upto, head)
        for start in range(after, end, PAGE):
            page = self._events[start : min(start + PAGE, end)]
            yield page if texts else [Recorded(event.position, event.leaf_raw) for event in page]

    async def subscribe(self, *, after: int = 0) -> AsyncIterator[Sequence[Recorded]]:
        while not self._closed:
            grown = self._grown  # taken before reading: what is committed meanwhile sets it
            async for page in self.read_all(after=after):
                yield page
                after = page[-1].position
            await grown.wait()

    async def head(self) -> int:
        self._check_open()
        return len(self._events)

    async def restore(self, events: Sequence[Recorded]) -> None:
        self._check_open()
        check_restored(events, head=len(self._events), last=self._last())
        for event in events:
            if event.id in self._places:
                raise Invalid(f"{event.id} is recorded already at position {self._places[event.id]}")
        self._keep(events)

    def _check_open(self) -> None:
        if self._closed:
            raise Closed("the log is closed")

    async def close(self) -> None:
        self._closed = True
        self._grown.set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()
