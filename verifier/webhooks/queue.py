"""What waits for one endpoint, and which of it is next. Pure: time and chance are given.

Messages about one claim go out one after the other, in order; those about different claims go several at a time. A
message that fails holds up the later ones about its claim, and no others. Where several fail in a row, the endpoint
itself is away: it *rests*, and is tried with one message now and then, until one is delivered; then everything that
failed meanwhile is due at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from heapq import heapify, heappop, heappush
from typing import Final

from verifier.webhooks.backoff import LIFETIME, Outcome, pause

AT_ONCE: Final = 8
"""How many messages are on their way to one endpoint at a time."""

FEW: Final = 3
"""How many failures in a row are still the messages' own."""

LONGEST_REST: Final = 15 * 60.0
"""How many seconds pass at most until an endpoint that is away is tried again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A message that waits: the change it is about, how often it was tried, and when it is due."""

    position: int
    claim: str
    due: float
    attempts: int = 0
    first: float | None = None
    """When it was tried first."""
    failure: str | None = None
    """Why it wasn't delivered the last time."""


class Queue:
    """What waits for one endpoint."""

    def __init__(self) -> None:
        self._lines: dict[str, deque[Waiting]] = {}  # by claim, in order; never empty
        self._heads: list[tuple[float, int, str]] = []  # one for each line whose head is not on its way
        self._busy: set[str] = set()  # the claims whose head is on its way
        self._count = 0
        self._failures = 0
        self._rest_until = 0.0
        self.failure: str | None = None
        """Why the endpoint got nothing the last time, until it gets something."""

    def __len__(self) -> int:
        return self._count

    @property
    def resting(self) -> bool:
        """Whether the endpoint is taken to be away."""
        return self._failures >= FEW

    def add(self, messages: Iterable[Waiting]) -> None:
        """Add messages, each later than every one about its claim that was added before."""
        for message in messages:
            line = self._lines.get(message.claim)
            if line is None:
                self._lines[message.claim] = deque((message,))
                self._push(message)
            else:
                line.append(message)
            self._count += 1

    def take(self, now: float) -> Waiting | None:
        """Return a message to send now, if there is one; it is on its way until `delivered` or `failed` is told."""
        due = self.due()
        if due is None or due > now:
            return None
        _, _, claim = heappop(self._heads)
        self._busy.add(claim)
        return self._lines[claim][0]

    def due(self) -> float | None:
        """Say when `take` gives the next message; `None`: not before something is added, or comes to an end."""
        if not self._heads or len(self._busy) >= (1 if self.resting else AT_ONCE):
            return None
        return max(self._heads[0][0], self._rest_until)

    def delivered(self, message: Waiting, now: float) -> None:
        """Take note that a message has arrived."""
        if self.resting:  # the endpoint is back: whatever failed while it was away is due
            self._rest_until = now
            for claim, line in self._lines.items():
                if claim not in self._busy and line[0].due > now:
                    line[0] = replace(line[0], due=now)
            self._heads = [(line[0].due, line[0].position, c) for c, line in self._lines.items() if c not in self._busy]
            heapify(self._heads)
        self._failures, self.failure = 0, None
        self._next(message.claim)

    def failed(self, message: Waiting, outcome: Outcome, now: float, chance: float) -> Waiting | None:
        """Take note that a message hasn't arrived; return it as it waits on, or `None` where it is given up."""
        self._failures += 1
        self.failure = outcome.why
        if outcome.after:
            self._rest_until = max(self._rest_until, now + outcome.after)
        if self.resting:
            rest = min(LONGEST_REST, pause(self._failures - FEW + 1, chance))
            self._rest_until = max(self._rest_until, now + rest)
        first = now if message.first is None else message.first
        if now - first >= LIFETIME:
            self._next(message.claim)
            return None
        attempts = message.attempts + 1
        due = now + max(outcome.after, pause(attempts, chance))
        again = replace(message, attempts=attempts, first=first, due=due, failure=outcome.why)
        self._busy.discard(message.claim)
        self._lines[message.claim][0] = again
        self._push(again)
        return again

    def _next(self, claim: str) -> None:
        """Drop the head of a line."""
        self._busy.discard(claim)
        line = self._lines[claim]
        line.popleft()
        self._count -= 1
        if line:
            self._push(line[0])
        else:
            del self._lines[claim]

    def _push(self, head: Waiting) -> None:
        heappush(self._heads, (head.due, head.position, head.claim))
