"""The newest events, kept in memory for this process's subscriptions.

Each event is read once for a process, and not even once where the process wrote it itself. A subscription
that falls behind what is kept reads the database by itself and costs nobody else anything.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Sequence
from typing import Final

from events.log import PAGE, Recorded

_KEPT_BATCHES: Final = 256
_KEPT_BYTES: Final = 8 * 2**20
_ERASURE: Final = b'"type":"text.erased"'


class Tail:
    """What was committed last, in any process, and the bell that rings when more is."""

    def __init__(self) -> None:
        self.grown = asyncio.Event()  # replaced each time, so that everyone who waits wakes once
        self.end = 0  # all that is kept reaches up to here, without a gap
        self._batches: list[Sequence[Recorded]] = []
        self._starts: list[int] = []  # the first position of each
        self._sizes: list[int] = []
        self._size = 0

    def extend(self, batch: Sequence[Recorded]) -> bool:
        """Keep events and wake whoever waits for them; say whether they follow on what is kept, and so were kept."""
        new = [event for event in batch if event.position > self.end]
        if new and new[0].position != self.end + 1:
            return False
        if new:
            if any(_ERASURE in event.leaf_raw for event in new):
                self.forget()
            self._keep(new)
            self.end = new[-1].position
            self.ring()
        return True

    def skip_to(self, position: int) -> None:
        """Forget everything, go on after a position, and wake whoever waits: he reads the database."""
        self.forget()
        self.end = max(self.end, position)
        self.ring()

    def forget(self) -> None:
        """Keep nothing of what was, so that everybody reads the database: there, what was erased is gone."""
        self._drop(len(self._batches))

    def ring(self) -> None:
        """Wake whoever waits."""
        self.grown.set()
        self.grown = asyncio.Event()

    def after(self, position: int) -> Sequence[Recorded] | None:
        """Return a page of what follows a position, empty at the end, `None` where the database must be read."""
        if position >= self.end:
            return []
        index = bisect_right(self._starts, position + 1) - 1
        if index < 0:
            return None
        skip = position + 1 - self._starts[index]
        return self._batches[index][skip : skip + PAGE]

    def _keep(self, batch: Sequence[Recorded]) -> None:
        self._batches.append(batch)
        self._starts.append(batch[0].position)
        self._sizes.append(sum(_size(event) for event in batch))
        self._size += self._sizes[-1]
        while self._size > _KEPT_BYTES or len(self._batches) > _KEPT_BATCHES:
            self._drop(1)

    def _drop(self, count: int) -> None:
        self._size -= sum(self._sizes[:count])
        del self._batches[:count], self._starts[:count], self._sizes[:count]


def _size(event: Recorded) -> int:
    return len(event.leaf_raw) + len(event.wording_raw or b"") + len(event.identity_raw or b"")
