"""How a desk is: how far its log and its views are, and whether it should be sent requests.

*Lag* is told twice: as the number of events that the views lack, and as seconds, namely how long the oldest of these
has been in the log. So an idle log has no lag, however old its head is.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from events import errors as log_errors
from events.log import Log
from verifier import __version__
from verifier.app import Desk
from verifier.errors import NotReady
from verifier.sealing import Sealing
from verifier.settings import READY_LAG

HEAD_WAIT: Final = 2.0
"""How many seconds a log has to say where its head is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lag:
    """How far views are behind their log: events, and seconds since the first of these was recorded."""

    events: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How a desk is: where its log and its views are, why these have stopped, where they have, how far a rebuild is,
    and why the last one came to nothing, where it did; how far the log is sealed, and why no further."""

    log: str
    head: int
    views: int
    lag: Lag
    stopped: str | None
    rebuilding: int | None
    failure: str | None
    sealed: int | None
    unsealed: Lag
    seal_error: str | None

    @property
    def how_far(self) -> dict[str, Any]:
        """Where log and views are, under the names that answers have for it."""
        return {
            "head": self.head,
            "views": self.views,
            "lag_events": self.lag.events,
            "lag_seconds": round(self.lag.seconds, 3),
            "rebuilding": self.rebuilding,
            "sealed": self.sealed,
            "unsealed_events": self.unsealed.events,
            "unsealed_seconds": round(self.unsealed.seconds, 3),
        }

    @property
    def answer(self) -> dict[str, Any]:
        """All of it, in the shape of `answers.Health`."""
        return {
            "status": self.status,
            "log": self.log,
            **self.how_far,
            "version": __version__,
            "detail": self.stopped or self.seal_error or self.failure,
        }

    @property
    def status(self) -> str:
        """In two words, what has stopped."""
        if self.stopped is not None:
            return "views stopped"
        return "ok" if self.seal_error is None else "sealing stopped"


async def lag_of(log: Log, position: int, head: int) -> Lag:
    """Say how far views at a position are behind a head. Reads one event, and none where there is no lag.

    Raises what reading the log does.
    """
    if position >= head:
        return Lag(events=0, seconds=0.0)
    async with aclosing(log.read_all(after=position, upto=position + 1, texts=False)) as pages:  # type: ignore[type-var]  # a generator
        oldest = [event.recorded_at async for page in pages for event in page]
    recorded = datetime.fromisoformat(oldest[0])
    # The log's clock may be another machine's, and a little ahead.
    return Lag(events=head - position, seconds=max(0.0, (datetime.now(UTC) - recorded).total_seconds()))


async def health(desk: Desk, *, within: float = HEAD_WAIT) -> Health:
    """Say how far log and views are.

    Raises what reading the log does, and `events.errors.Busy` where that takes longer than some seconds.
    """
    views = desk.views.position
    try:
        async with asyncio.timeout(within):
            head = await desk.log.head()
            lag = await lag_of(desk.log, views, head)
            sealed, seal_error = await _sealed(desk.sealing)
            unsealed = Lag(events=0, seconds=0.0) if sealed is None else await lag_of(desk.log, sealed, head)
    except TimeoutError as error:
        raise log_errors.Busy(
            f"it has not answered within {within:g} seconds: look at its disk or its database, and ask again"
        ) from error
    return Health(
        log=desk.log.id,
        head=head,
        views=views,
        lag=lag,
        stopped=desk.views.error,
        rebuilding=desk.rebuilding.position,
        failure=desk.rebuilding.failure,
        sealed=sealed,
        unsealed=unsealed,
        seal_error=seal_error,
    )


async def _sealed(sealing: Sealing) -> tuple[int | None, str | None]:
    """Return how far a log is sealed, `None` where it isn't at all, and why no further, where something is wrong."""
    try:
        seal = await sealing.sealed.seal()
    except log_errors.Damaged as error:
        return None, sealing.error or str(error)
    return (0 if sealing.name else None) if seal is None else seal.size, sealing.error


async def readiness(desk: Desk, *, lag: float = READY_LAG, within: float = HEAD_WAIT) -> Health:
    """Return the health of a desk that should be sent requests: its log answers, its views follow closely, and it is
    sealed if it has a key.

    Raises `NotReady`, which says what is wrong and what to do: the log can't be reached within some seconds, the
    views have stopped or lag by more than `lag` seconds, or the log is not sealed any more.
    """
    try:
        found = await health(desk, within=within)
    except log_errors.LogError as error:
        raise NotReady(f"the log can't be read: {error}") from error
    if found.stopped is not None:
        raise NotReady(f"{found.stopped}; meanwhile writes go on, and answers grow old", **found.how_far)
    if found.seal_error is not None:
        raise NotReady(f"nothing is signed any more, while reads and writes go on: {found.seal_error}", **found.how_far)
    if found.lag.seconds > lag:
        raise NotReady(
            f"the views lack {found.lag.events:,} events, the oldest of them {found.lag.seconds:.0f} seconds old, and"
            f" `ready_lag` allows {lag:g}: wait for them to catch up; if they don't, start the server again that keeps"
            " them, and report it",
            **found.how_far,
        )
    return found
