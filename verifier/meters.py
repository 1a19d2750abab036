"""What a process counts of its own work: how often, how long, and how it ended.

    requests   by method, route and status      counted by `verifier.api.watching`
    commands   by fact and outcome              counted by `verifier.routes`
    appends    by outcome                       counted by `MeteredLog`

Counting is a few additions on the event loop's thread, so it is always on; `verifier.metrics` writes what was counted
in the form that Prometheus reads. Every label comes from a list in our code: no text, name or id of anything that was
recorded can become one.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from time import perf_counter
from typing import Final, Self

from events import errors as log_errors
from events.log import Log, Proposed, Recorded

SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""The upper bounds of the classes that durations are counted in."""


class Histogram:
    """How many durations fell in each class, and their sum."""

    __slots__ = ("counts", "sum")

    def __init__(self) -> None:
        self.counts = [0] * (len(SECONDS) + 1)
        self.sum = 0.0

    def add(self, seconds: float) -> None:
        """Count one duration."""
        self.counts[bisect_left(SECONDS, seconds)] += 1
        self.sum += seconds

    @property
    def count(self) -> int:
        """How many durations were counted."""
        return sum(self.counts)


class Meters:
    """The counts of one process over one log."""

    def __init__(self) -> None:
        self.requests: defaultdict[tuple[str, ...], Histogram] = defaultdict(Histogram)
        """By method, route and status."""
        self.commands: Counter[tuple[str, str]] = Counter()
        """By the fact that was asked for and the outcome."""
        self.appends: defaultdict[tuple[str, ...], Histogram] = defaultdict(Histogram)
        """By outcome."""
        self.events = 0
        """How many events were recorded."""


class MeteredLog:
    """A log whose appends are counted and timed, the waiting for their turn included; otherwise that log."""

    def __init__(self, log: Log, meters: Meters) -> None:
        self._log = log
        self._meters = meters

    async def append(self, events: Sequence[Proposed], *, after: Mapping[str, int] = {}) -> Sequence[Recorded]:
        begun = perf_counter()
        outcome = "unknown"
        try:
            recorded = await self._log.append(events, after=after)
            if recorded[0].again:
                outcome = "repeated"
            else:
                outcome = "recorded"
                self._meters.events += len(recorded)
            return recorded
        except log_errors.LogError as error:
            outcome = _OUTCOMES.get(type(error), "refused")
            raise
        except asyncio.CancelledError:
            outcome = "cancelled"
            raise
        finally:
            self._meters.appends[outcome,].add(perf_counter() - begun)

    @property
    def id(self) -> str:
        return self._log.id

    @property
    def lineage(self) -> str:
        return self._log.lineage

    @property
    def url(self) -> str:
        return self._log.url

    def read(self, stream: str, *, after: int = 0, upto: int | None = None) -> AsyncIterator[Sequence[Recorded]]:
        return self._log.read(stream, after=after, upto=upto)

    def read_all(
        self, *, after: int = 0, upto: int | None = None, texts: bool = True
    ) -> AsyncIterator[Sequence[Recorded]]:
        return self._log.read_all(after=after, upto=upto, texts=texts)

    def subscribe(self, *, after: int = 0) -> AsyncIterator[Sequence[Recorded]]:
        return self._log.subscribe(after=after)

    async def head(self) -> int:
        return await self._log.head()

    async def restore(self, events: Sequence[Recorded]) -> None:
        await self._log.restore(events)

    async def close(self) -> None:
        await self._log.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()


_OUTCOMES: Final[dict[type[log_errors.LogError], str]] = {
    log_errors.Conflict: "conflict",
    log_errors.IdempotencyMismatch: "mismatch",
    log_errors.OutcomeUnknown: "unknown",
    log_errors.Busy: "busy",
    log_errors.DiskFull: "disk full",
}
"""What an append may come to that somebody would look for in a graph; anything else is *refused*."""
