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
from verifier.settings import READY_LAG

PATIENCE: Final = 2.0
"""How many seconds a log has to say where its head is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lag:
    """How far views are behind their log: events, and seconds since the first of these was recorded."""

    events: int
    seconds: float


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


async def health(desk: Desk) -> dict[str, Any]:
    """Say how far log and views are, in the shape of `answers.Health`. Raises what reading the log does."""
    views = desk.views.position
    head = await desk.log.head()
    lag = await lag_of(desk.log, views, head)
    error = desk.views.error
    return {
        "status": "ok" if error is None else "views stopped",
        "log": desk.log.id,
        "head": head,
        "views": views,
        "lag_events": lag.events,
        "lag_seconds": round(lag.seconds, 3),
        "version": __version__,
        "rebuilding": desk.rebuilding.position,
        "detail": error or desk.rebuilding.failure,
    }


async def readiness(desk: Desk, *, lag: float = READY_LAG, patience: float = PATIENCE) -> dict[str, Any]:
    """Return the health of a desk that should be sent requests: its log answers, and its views follow closely.

    Raises `NotReady`, which says what is wrong and what to do: the log can't be reached within `patience` seconds,
    the views have stopped, or they lag by more than `lag` seconds.
    """
    try:
        async with asyncio.timeout(patience):
            found = await health(desk)
    except TimeoutError as error:
        raise NotReady(
            f"the log has not answered within {patience:g} seconds: look at its disk or its database, and ask again"
        ) from error
    except log_errors.LogError as error:
        raise NotReady(f"the log can't be read ({error}): run `verifier doctor` on it") from error
    if desk.views.error is not None:
        raise NotReady(f"{desk.views.error}: writes go on, answers grow old; run `verifier doctor`", **_how_far(found))
    if found["lag_seconds"] > lag:
        raise NotReady(
            f"the views lack {found['lag_events']:,} events, the oldest of them {found['lag_seconds']:.0f} seconds old,"
            f" and `ready_lag` allows {lag:g}: wait for them to catch up; if they don't, run `verifier doctor`",
            **_how_far(found),
        )
    return found


def _how_far(found: dict[str, Any]) -> dict[str, Any]:
    return {name: found[name] for name in ("head", "views", "lag_events", "lag_seconds", "rebuilding")}
