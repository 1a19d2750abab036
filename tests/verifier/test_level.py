"""Two processes over one log: whoever is told that something was recorded finds it known in the other one at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AsyncExitStack
from typing import Any, cast

import pytest
from processes import everything

from events.log import Log, Recorded
from verifier import batches
from verifier.app import Desk, open_desk
from verifier.tailer import Tailer


class Deaf:
    """A log whose subscriptions bring nothing until somebody lets them, and otherwise that log."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self.hears = asyncio.Event()
        self.hears.set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    async def subscribe(self, *, after: int = 0) -> AsyncIterator[Sequence[Recorded]]:
        async for page in self._log.subscribe(after=after):
            await self.hears.wait()
            yield page


@pytest.fixture
async def desks(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Desk, Desk, asyncio.Event]]:
    """Two desks, as two processes would have them, and whether the second one's tailer hears of anything."""
    deaf: list[Deaf] = []

    async def deafened(log: Log) -> Tailer:
        deaf.append(Deaf(log))
        return Tailer(cast(Log, deaf[-1]), await log.head())

    async with AsyncExitStack() as opened:
        one = await opened.enter_async_context(open_desk(postgres_url))
        monkeypatch.setattr(Tailer, "open", deafened)
        two = await opened.enter_async_context(open_desk(postgres_url))
        opened.callback(deaf[0].hears.set)
        yield one, two, deaf[0].hears


async def in_between(hears: asyncio.Event, first: Coroutine[Any, Any, Any], then: Coroutine[Any, Any, Any]) -> Any:
    """Do the first, then ask for the other where nobody has heard of it yet, and let it be heard."""
    hears.clear()
    await first
    asked = asyncio.create_task(then)
    await asyncio.wait([asked], timeout=0.2)  # time enough for one that doesn't wait to be done
    hears.set()
    return await asked


keys = iter(range(1_000_000))


async def record(desk: Desk, **line: Any) -> dict[str, Any]:
    """Record one command through a desk, and return the answer."""
    [answered] = await batches.batch(desk, [{"key": f"k{next(keys)}", **line}], "ada")
    assert answered["ok"], answered
    result: dict[str, Any] = answered["result"]
    return result


async def test_a_name_that_was_erased_through_one_is_recorded_by_no_other(
    desks: tuple[Desk, Desk, asyncio.Event],
) -> None:
    one, two, hears = desks
    first, second = [(await record(two, type="claim.registered", text=text))["id"] for text in ("a", "b")]
    made = await record(one, type="source.registered", name="Jane Whistleblower", aliases=["JW"])
    await record(two, type="claim.asserted", claim=first, source="JW")  # now it knows whom the alias means
    erasing = {"source": made["id"], "event": made["statement"], "slot": "identity", "basis": "court_order"}

    said = await in_between(
        hears,
        record(one, type="text.erased", **erasing),
        record(two, type="claim.denied", claim=second, source="JW"),
    )

    [recorded] = [event for event in await everything(two.log) if event.id == said["statement"]]
    assert b"Jane" not in (recorded.identity_raw or b"")


async def test_two_names_that_became_one_source_count_once_through_every_process(
    desks: tuple[Desk, Desk, asyncio.Event],
) -> None:
    one, two, hears = desks
    claim = (await record(two, type="claim.registered", text="a claim"))["id"]
    await record(one, type="source.registered", name="John Doe")
    await record(two, type="claim.asserted", claim=claim, source="JD too", origin="JD")  # now it knows nobody as JD

    said = await in_between(
        hears,
        record(one, type="source.updated", source="JD", same_as="John Doe"),
        record(two, type="claim.asserted", claim=claim, source="John Doe"),
    )
    again = await record(two, type="claim.asserted", claim=claim, source="JD")

    assert (said["status"], again["status"]) == ("asserted", "asserted")


async def test_a_policy_adopted_through_one_is_in_force_for_the_other(desks: tuple[Desk, Desk, asyncio.Event]) -> None:
    one, two, hears = desks
    claim = (await record(two, type="claim.registered", text="a claim"))["id"]

    said = await in_between(
        hears,
        record(one, type="policy.adopted", policy="strict/1"),
        record(two, type="claim.asserted", claim=claim, source="AFP"),
    )
    then = await in_between(
        hears,
        record(one, type="policy.adopted", policy="precautionary/1"),
        two.queries.claim(claim, as_of=said["written_at"] + 1),
    )

    assert said["basis"]["policy"] == "strict/1"
    assert then["basis"]["policy"] == "precautionary/1"


async def test_one_policy_adopted_through_both_at_once_is_adopted_once(desks: tuple[Desk, Desk, asyncio.Event]) -> None:
    one, two, _hears = desks
    lines = [{"key": f"k{next(keys)}", "type": "policy.adopted", "policy": "strict/1"} for _ in range(2)]

    both = await asyncio.gather(batches.batch(one, lines[:1], "ada"), batches.batch(two, lines[1:], "ada"))

    refused = [answer["problem"] for [answer] in both if not answer["ok"]]
    assert [problem["rule"] for problem in refused] == ["nothing-changed"]
