"""Any sequence of calls on a log does what a list and a few lines of Python do."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator, Sequence
from typing import Literal

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from making import a_claim, erased, everything, said
from msgspec import structs

from events.contracts import Slot, TextErased, Wording
from events.errors import Conflict, IdempotencyMismatch
from events.log import Log, Proposed, Recorded
from events.open import open_log

STREAMS = [a_claim() for _ in range(3)]


class Model:
    """What a log is, said as simply as possible: what was proposed, in order, less what was erased."""

    def __init__(self) -> None:
        self.events: list[Proposed] = []
        self.erased: set[tuple[str, Slot]] = set()

    def head_of(self, stream: str) -> int:
        """Return the position of a stream's last event; the first of all is the log's own opening."""
        return max((place for place, event in enumerate(self.events, 2) if event.stream == stream), default=0)

    def append(
        self, events: Sequence[Proposed], stream: str, after: int | None
    ) -> type[Conflict | IdempotencyMismatch] | None:
        """Record events; return the error that is due where they can't be."""
        ids = [event.id for event in self.events]
        known = [event for event in events if event.id in ids]
        if known:
            start = ids.index(known[0].id)
            return None if self.events[start : start + len(events)] == list(events) else IdempotencyMismatch
        if after is not None and after != self.head_of(stream):
            return Conflict
        self.events += events
        self.erased |= {(e.fact.event, e.fact.slot) for e in events if isinstance(e.fact, TextErased)}
        return None


class LogMachine(RuleBasedStateMachine):
    """Drives a log and the model side by side."""

    urls: Iterator[str]

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.model = Model()
        self.log = self.open("new")

    def open(self, create: Literal["new", "empty"]) -> Log:
        return self.runner.run(open_log(next(self.urls), create=create))

    def teardown(self) -> None:
        self.runner.run(self.log.close())
        self.runner.close()

    def append(self, events: Sequence[Proposed], stream: str = STREAMS[0], after: int | None = None) -> None:
        """Append on both sides, and compare what comes of it."""
        due = self.model.append(events, stream, after)
        call = self.log.append(events, after={} if after is None else {stream: after})
        if due is None:
            recorded = self.runner.run(call)
            assert [event.id for event in recorded] == [event.id for event in events]
        else:
            with pytest.raises(due):
                self.runner.run(call)

    @rule(
        streams=st.lists(st.sampled_from(STREAMS), min_size=1, max_size=4), seen=st.sampled_from(["it", "less", None])
    )
    def something_new(self, streams: list[str], seen: str | None) -> None:
        head = self.model.head_of(streams[0])
        after = {"it": head, "less": head - 1, None: None}[seen]
        self.append([said(stream) for stream in streams], streams[0], after)

    @precondition(lambda self: self.model.events)
    @rule(data=st.data(), stale=st.booleans())
    def something_again(self, data: st.DataObject, stale: bool) -> None:
        start = data.draw(st.integers(0, len(self.model.events) - 1))
        events = self.model.events[start : start + data.draw(st.integers(1, 3))]
        self.append(events, events[0].stream, 0 if stale else None)

    @precondition(lambda self: len(self.model.events) > 1)
    @rule(data=st.data())
    def something_known_in_other_company(self, data: st.DataObject) -> None:
        events = data.draw(st.lists(st.sampled_from(self.model.events), min_size=2, max_size=3, unique_by=id))
        self.append([said(), *events] if data.draw(st.booleans()) else events)

    @precondition(lambda self: any(event.wording.note for event in self.model.events))
    @rule(data=st.data())
    def something_else_under_a_known_id(self, data: st.DataObject) -> None:
        event = data.draw(st.sampled_from([event for event in self.model.events if event.wording.note]))
        if (event.id, "wording") not in self.model.erased:
            self.append([structs.replace(event, wording=Wording(note="other words"))])

    @precondition(lambda self: self.model.events)
    @rule(data=st.data(), slot=st.sampled_from(["wording", "identity"]))
    def an_erasure(self, data: st.DataObject, slot: Slot) -> None:
        self.append([erased(data.draw(st.sampled_from(self.model.events)).id, slot)])

    @rule(streams=st.lists(st.sampled_from(STREAMS), min_size=2, max_size=12))
    def many_callers_at_once(self, streams: list[str]) -> None:
        events = [said(stream) for stream in streams]

        async def together() -> list[Sequence[Recorded]]:
            return await asyncio.gather(*(self.log.append([event]) for event in events))

        recorded = [event for [event] in self.runner.run(together())]
        in_order = sorted(zip(recorded, events, strict=True), key=lambda pair: pair[0].position)
        self.model.events += [event for _, event in in_order]

    @rule()
    def a_copy_takes_its_place(self) -> None:
        copy = self.open("empty")
        self.runner.run(copy.restore(self.runner.run(everything(self.log))))
        self.runner.run(self.log.close())
        self.log = copy

    @invariant()
    def the_log_is_what_the_model_says(self) -> None:
        recorded = self.runner.run(everything(self.log, after=1))
        assert [event.position for event in recorded] == list(range(2, 2 + len(self.model.events)))
        for event, proposed in zip(recorded, self.model.events, strict=True):
            assert (event.id, event.stream, event.fact) == (proposed.id, proposed.stream, proposed.fact)
            wording, identity = ((event.id, slot) in self.model.erased for slot in ("wording", "identity"))
            assert event.wording == (None if wording else proposed.wording)
            assert event.identity == (None if identity else proposed.identity)


def test_any_sequence_of_calls_does_what_the_model_says(log_url: str) -> None:
    urls = (log_url.replace("newsroom", f"newsroom{number}") for number in itertools.count())
    machine = type("Machine", (LogMachine,), {"urls": urls})
    run_state_machine_as_test(
        machine, settings=settings(max_examples=25, stateful_step_count=20, deadline=None, derandomize=True)
    )
