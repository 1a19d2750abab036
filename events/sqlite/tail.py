"""The newest events, kept in memory for this process's subscriptions.

Each event is kept once, however many follow the log. A subscription that falls behind what is kept
reads the file by itself and costs nobody else anything.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Sequence
from typing import Final

from events.log import PAGE, Recorded
from events.sqlite.commit import Outcome

_KEPT_BATCHES: Final = 256
_KEPT_BYTES: Final = 8 * 2**20


class Tail:
    """What was committed last, and the bell that rings when more is. Used from the event loop only."""

    def __init__(self) -> None:
        self.grown = asyncio.Event()  # replaced at each commit, so that everyone who waits wakes once
        self._batches: list[Sequence[Recorded]] = []  # in order, without a gap: what a doubt may hide ends them all
        self._starts: list[int] = []  # the first position of each
        self._sizes: list[int] = []
        self._size = 0

    def extend(self, outcome: Outcome) -> None:
        """Keep what was just committed, and wake whoever waits for it."""
        if outcome.erased or outcome.doubted:
            # So that everybody reads the file: there the text is gone, and there stands whatever was kept.
            self._forget(len(self._batches))
        else:
            self._keep(outcome.recorded, sum(work.size for work, _ in outcome.answers))
        self.ring()

    def ring(self) -> None:
        """Wake whoever waits."""
        self.grown.set()
        self.grown = asyncio.Event()

    def after(self, position: int) -> Sequence[Recorded] | None:
        """Return a page of what follows a position, empty at the head, `None` where the file must be read."""
        index = bisect_right(self._starts, position + 1) - 1
        if index < 0:
            return None
        skip = position + 1 - self._starts[index]
        return self._batches[index][skip : skip + PAGE]

    def _keep(self, batch: Sequence[Recorded], size: int) -> None:
        self._batches.append(batch)
        self._starts.append(batch[0].position)
        self._sizes.append(size)
        self._size += size
        while self._size > _KEPT_BYTES or len(self._batches) > _KEPT_BATCHES:
            self._forget(1)

    def _forget(self, count: int) -> None:
        self._size -= sum(self._sizes[:count])
        del self._batches[:count], self._starts[:count], self._sizes[:count]
