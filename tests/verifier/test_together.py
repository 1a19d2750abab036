"""Commands on different claims, recorded in one append and each answered by itself; on every engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from processes import Process, Staged, check, everything, failing, stands

from events import errors as log_errors
from events.log import Log
from verifier import batches
from verifier.app import Desk
from verifier.commands import AssertClaim, ClaimCommand, Deny, Withdraw
from verifier.errors import Busy, DiskFull, OutcomeUnknown, Problem, Refused
from verifier.fold import Folded
from verifier.handler.appending import Caller
from verifier.handler.together import APPENDED_AT_ONCE, Request

AFP = AssertClaim(source="AFP")


@pytest.fixture
async def staged(log: Log) -> AsyncIterator[Staged]:
    """A log, and a say in what happens around its appends."""
    yield Staged(log)
    await check(log)


@pytest.fixture
async def one(staged: Staged) -> Process:
    """A process over the log."""
    return await Process.start(staged)


async def registered(process: Process, count: int = 3) -> list[str]:
    """Register claims."""
    return [(await process.register(f"claim {n}"))["id"] for n in range(count)]


def requests(claims: list[str], command: ClaimCommand = AFP) -> list[Request]:
    """Ask the same of every claim, each under a key of its own."""
    return [
        Request(claim=claim, command=command, caller=Caller(actor="ada", key=f"{command.type}-{n}"))
        for n, claim in enumerate(claims)
    ]


def problems(answers: list[dict[str, object] | Problem]) -> list[type[Problem] | None]:
    """Say which answers are problems."""
    return [type(answer) if isinstance(answer, Problem) else None for answer in answers]


async def test_commands_on_different_claims_are_recorded_side_by_side_and_answered_in_their_order(one: Process) -> None:
    claims = await registered(one)
    head = await one.log.head()

    answers = await one.together.handle(requests(claims))

    assert [answer["id"] for answer in answers if isinstance(answer, dict)] == claims
    assert [event.stream for event in (await everything(one.log))[head:]] == [f"claim:{claim}" for claim in claims]
    for claim, answer in zip(claims, answers, strict=True):
        assert isinstance(answer, dict)
        assert answer["computed"] == await stands(one.log, claim)


async def test_more_commands_than_one_append_takes_are_all_recorded(log: Log) -> None:
    one = await Process.start(log, views=False)
    claims = await registered(one, APPENDED_AT_ONCE + 2)

    answers = await one.together.handle(requests(claims))

    assert problems(answers) == [None] * len(claims)
    assert [(await stands(one.log, claim)).status for claim in claims[-3:]] == ["asserted"] * 3


async def test_commands_asked_again_together_are_recorded_once(one: Process) -> None:
    claims = await registered(one)
    first = await one.together.handle(requests(claims))
    head = await one.log.head()

    again = await one.together.handle(requests(claims))
    restarted = await (await Process.start(one.log)).together.handle(requests(claims))

    for answers in (again, restarted):
        assert [answer["effect"] for answer in answers if isinstance(answer, dict)] == ["already recorded"] * 3
    assert [a["statement"] for a in again if isinstance(a, dict)] == [
        a["statement"] for a in first if isinstance(a, dict)
    ]
    assert await one.log.head() == head


async def test_one_that_is_refused_stops_no_other(one: Process) -> None:
    claims = await registered(one)
    await one.do(claims[1], Withdraw(reason="a mistake"))

    answers = await one.together.handle(requests(claims))

    assert problems(answers) == [None, Refused, None]
    assert [(await stands(one.log, claim)).status for claim in claims] == ["asserted", "withdrawn", "asserted"]


async def test_where_another_process_was_faster_on_one_claim_all_are_recorded_all_the_same(
    one: Process, log: Log, staged: Staged
) -> None:
    claims = await registered(one)
    two = await Process.start(log, name="two")
    staged.before.append(lambda: two.do(claims[1], Deny(source="Mark Esper")))

    answers = await one.together.handle(requests(claims))

    assert problems(answers) == [None] * 3
    assert [(await stands(one.log, claim)).status for claim in claims] == ["asserted", "denied", "asserted"]


async def test_one_key_for_two_claims_is_refused_for_one_of_them(one: Process) -> None:
    claims = await registered(one, 2)
    caller = Caller(actor="ada", key="the same")

    answers = await one.together.handle([Request(claim=claim, command=AFP, caller=caller) for claim in claims])

    assert len([answer for answer in answers if isinstance(answer, Problem)]) == 1
    assert sorted([(await stands(one.log, claim)).status for claim in claims]) == ["asserted", "unassessed"]


@pytest.mark.parametrize(
    ("error", "problem"),
    [(log_errors.DiskFull("no room"), DiskFull), (log_errors.Busy("the queue is full"), Busy)],
)
async def test_a_failure_answers_every_command_and_leaves_nothing_behind(
    one: Process, staged: Staged, error: log_errors.LogError, problem: type[Problem]
) -> None:
    claims = await registered(one)
    staged.before.append(failing(error))

    failed = await one.together.handle(requests(claims))
    again = await one.together.handle(requests(claims))

    assert problems(failed) == [problem] * 3
    assert problems(again) == [None] * 3


async def test_a_claim_that_can_not_be_read_is_answered_by_its_own_problem(
    one: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    claims = await registered(one)
    one.folds.drop(claims[1])
    read = one.folds.fresh

    async def unreadable(claim: str) -> Folded:
        if claim == claims[1]:
            raise log_errors.Busy("the server can't be reached")
        return await read(claim)

    monkeypatch.setattr(one.folds, "fresh", unreadable)

    answers = await one.together.handle(requests(claims))

    assert problems(answers) == [None, Busy, None]
    assert [(await stands(one.log, claim)).status for claim in claims] == ["asserted", "unassessed", "asserted"]


async def test_an_unknown_outcome_that_was_recorded_is_found_under_the_same_keys(one: Process, staged: Staged) -> None:
    claims = await registered(one)
    staged.afterwards.append(failing(log_errors.OutcomeUnknown("the connection broke")))

    unknown = await one.together.handle(requests(claims))
    head = await one.log.head()
    again = await one.together.handle(requests(claims))

    assert [answer.key for answer in unknown if isinstance(answer, OutcomeUnknown)] == [
        f"claim.asserted-{n}" for n in range(3)
    ]
    assert [answer["effect"] for answer in again if isinstance(answer, dict)] == ["already recorded"] * 3
    assert await one.log.head() == head


async def test_callers_who_are_cancelled_after_the_append_find_it_under_the_same_keys(
    one: Process, staged: Staged
) -> None:
    claims = await registered(one)
    staged.afterwards.append(asyncio.Event().wait)
    asking = asyncio.create_task(one.together.handle(requests(claims)))
    await staged.reached.wait()

    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    again = await one.together.handle(requests(claims))

    assert [answer["effect"] for answer in again if isinstance(answer, dict)] == ["already recorded"] * 3


async def test_the_views_wait_for_the_end_of_a_batch_unless_somebody_wants_to_know(desk: Desk) -> None:
    line = {"key": "1", "type": "claim.registered", "text": "They plan to leave"}
    claim = (await batches.batch(desk, [line], "ada"))[0]["result"]["id"]
    await desk.views.reached(await desk.log.head(), 10)

    with desk.views.burst.held():
        [answer] = await batches.batch(desk, [{"key": "2", "claim": claim, "type": "claim.denied", "source": "x"}], "a")
        recorded = answer["result"]["written_at"]
        waited = desk.views.position
        wanted = await desk.views.reached(recorded, 10)

    assert waited < recorded
    assert wanted


async def test_what_a_batch_recorded_is_found_by_whoever_reads_after_it(desk: Desk) -> None:
    [answer] = await batches.batch(desk, [{"key": "1", "type": "claim.registered", "text": "They plan to leave"}], "a")

    page = await desk.queries.claims()

    assert [claim["id"] for claim in page["items"]] == [answer["result"]["id"]]


async def test_after_a_batch_the_views_go_on_by_themselves(desk: Desk) -> None:
    line = {"key": "1", "type": "claim.registered", "text": "They plan to leave"}

    [answer] = await batches.batch(desk, [line], "ada")

    while desk.views.position < answer["result"]["written_at"]:  # nobody asks, so nobody hurries them
        await desk.views.moved(desk.views.position, 10)
    assert desk.views.position == await desk.log.head()
