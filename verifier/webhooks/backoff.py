"""What the answer to an attempt means, and when a message is tried again. Pure: chance and time are given.

The pauses grow from seconds to hours, each a little longer or shorter by chance, so that what failed together doesn't
come back together. After three days a message is given up: it becomes a dead letter, which can be replayed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

FIRST: Final = 5.0
"""Seconds from the first failure to the second attempt."""

FACTOR: Final = 4.0
"""By how much each pause is longer than the one before."""

LONGEST: Final = 6 * 3_600.0
"""The longest pause, in seconds."""

SPREAD: Final = 0.2
"""By which part a pause may be longer or shorter."""

LIFETIME: Final = 3 * 86_400.0
"""Seconds from the first attempt until a message that fails again is given up."""

ASKED: Final = 86_400.0
"""The longest `Retry-After` that is honoured, in seconds."""

_LATER: Final = (429, 503)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one attempt: the status of the answer, or why there is none, and how many seconds it asks us to
    wait."""

    status: int | None = None
    failure: str | None = None
    after: float = 0.0

    @property
    def delivered(self) -> bool:
        """Whether the receiver has it."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def gone(self) -> bool:
        """Whether the receiver wants nothing any more."""
        return self.status == 410

    @property
    def why(self) -> str:
        """Why it is not delivered, for people. Never what the receiver sent: that may be anything."""
        if self.failure is not None:
            return self.failure
        if self.status is not None and 300 <= self.status < 400:
            return f"it answers {self.status}, and redirects are not followed"
        return f"it answers {self.status}"


def pause(attempts: int, chance: float) -> float:
    """Return how many seconds pass after so many failures, by a chance from 0 to 1."""
    plain = min(LONGEST, FIRST * FACTOR ** min(attempts - 1, 20))
    return plain * (1 - SPREAD + 2 * SPREAD * chance)


def asked_pause(status: int, value: str | None, now: float) -> float:
    """Return how many seconds an answer asks us to wait by its `Retry-After`: a number of seconds, or a date."""
    if value is None or status not in _LATER:
        return 0.0
    return min(ASKED, max(0.0, _seconds(value.strip(), now)))


def _seconds(value: str, now: float) -> float:
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return 0.0
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now
