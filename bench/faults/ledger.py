"""What was asked of a log and what was answered; and what must then be in it.

This is the oracle. It knows nothing of faults: only what an engine has promised by its answers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bench.crash import check_whole
from events.errors import Busy, DiskFull, LogError, OutcomeUnknown
from events.leaf import text_digest
from events.log import Proposed, Recorded
from events.postgres import PostgresLog

REFUSALS: Final = (Busy, DiskFull)
"""The errors that a fault may bring and that promise: nothing was written."""


@dataclass(eq=False, slots=True)
class Ask:
    """An append that somebody asked for, and what he knows of it: as long as he knows nothing, all is open."""

    events: Sequence[Proposed]
    position: int | None = None  # of its first event, once it was acknowledged
    refusal: LogError | None = None

    def note(self, answer: Sequence[Recorded] | BaseException) -> None:
        """Take the answer to it. Any that a fault may not bring is raised."""
        match answer:
            case OutcomeUnknown():
                return
            case LogError() if isinstance(answer, REFUSALS):
                self.refusal = answer
            case BaseException():
                raise answer
            case _:
                self.position = answer[0].position


class Ledger:
    """All that was asked of one log."""

    def __init__(self) -> None:
        self.asks: list[Ask] = []
        self.answers: Counter[str] = Counter()
        """How often there was which answer."""

    def ask(self, events: Sequence[Proposed]) -> Ask:
        """Write down that an append is asked for now."""
        ask = Ask(events)
        self.asks.append(ask)
        return ask

    def note(self, ask: Ask, answer: Sequence[Recorded] | BaseException) -> None:
        """Write down an answer. Any that a fault may not bring is raised."""
        ask.note(answer)
        self.answers[type(answer).__name__ if isinstance(answer, BaseException) else "acknowledged"] += 1

    async def verify(self, log: PostgresLog) -> Sequence[Recorded]:
        """Read the whole log and hold it against every answer; return its events.

        Whatever was not acknowledged is asked for again, with the same ids, as its caller would: then it is there
        once, at its first place if it had one.
        """
        places = _places(await _everything(log))
        for ask in self.asks:
            if ask.position is None:
                found = [places.get(event.id) for event in ask.events]
                assert all(found) or not any(found), f"half of an append was recorded: {found}"
                assert not (any(found) and ask.refusal), f"recorded, and answered with {ask.refusal!r}"
                recorded = await log.append(ask.events)
                assert all(event.again is (found[0] is not None) for event in recorded)
                assert found[0] in (None, recorded[0].position), "an append asked for again was recorded again"
                ask.position, ask.refusal = recorded[0].position, None
        events = await _everything(log)
        self._check_content(events)
        return events

    def _check_content(self, events: Sequence[Recorded]) -> None:
        accounted = 1  # log.opened
        for ask in self.asks:
            assert ask.position is not None
            recorded = events[ask.position - 1 : ask.position - 1 + len(ask.events)]
            assert len(recorded) == len(ask.events), f"{ask.position} was acknowledged and is gone"
            for event, wanted in zip(recorded, ask.events, strict=True):
                assert event.same_content(wanted), f"{event.position} is not as it was acknowledged"
                assert event.wording_salt and event.wording_raw
                assert event.leaf.wording == text_digest(event.wording_salt, "wording", event.wording_raw)
            accounted += len(recorded)
        assert accounted == len(events), "there are events that nobody asked for, or one twice"


async def _everything(log: PostgresLog) -> Sequence[Recorded]:
    events = [event async for page in log.read_all() for event in page]
    check_whole(events)
    assert await log.head() == len(events)
    return events


def _places(events: Sequence[Recorded]) -> dict[str, int]:
    places = {event.id: event.position for event in events}
    assert len(places) == len(events), "an event was recorded twice"
    return places
