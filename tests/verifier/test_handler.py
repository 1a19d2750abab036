"""The way of a command to the log: asked again, raced, cancelled and failed, on every engine.

Whatever a test records is checked at its end: it has its form, and it can be exported and restored.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import Any

import pytest
from processes import Process, Staged, check, everything, failing, stands

from events import errors as log_errors
from events.contracts import (
    ClaimAsserted,
    ClaimDenied,
    ClaimMerged,
    OriginsMerged,
    StoryOpened,
    TextErased,
)
from events.leaf import canonical, derive
from events.log import Log, Recorded
from verifier.app import Desk
from verifier.commands import (
    Adjudicate,
    AdoptPolicy,
    AssertClaim,
    Attach,
    Attribute,
    ClaimCommand,
    Correct,
    Corroborate,
    Deny,
    Erase,
    Link,
    Merge,
    MergeOrigins,
    Note,
    OpenStory,
    Publish,
    Quotation,
    RegisterClaim,
    RegisterSource,
    Retract,
    Reword,
    Split,
    SplitOrigins,
    UpdateSource,
    Withdraw,
    WithdrawStatement,
)
from verifier.errors import (
    Busy,
    Conflict,
    DiskFull,
    DuplicateClaim,
    Invalid,
    KeyReused,
    NotFound,
    OutcomeUnknown,
    Problem,
    ReadOnly,
    Refused,
)
from verifier.fold import fold
from verifier.handler.appending import Caller
from verifier.naming import source_id, story_id

AFP = AssertClaim(source="AFP")
UNKNOWN_CLAIM = f"clm_{'a' * 26}"


@pytest.fixture
async def staged(log: Log) -> AsyncIterator[Staged]:
    """A log, and a say in what happens around its appends."""
    yield Staged(log)
    await check(log)


@pytest.fixture
async def one(staged: Staged) -> Process:
    """A process over the log."""
    return await Process.start(staged)


@pytest.fixture
async def two(log: Log, one: Process) -> Process:
    """Another process over the same log; nothing that it does is staged."""
    return await Process.start(log, name="two")


async def numbers(log: Log, claim: str) -> dict[str, int]:
    """The local numbers of a claim's parties."""
    return {party.name: number for number, party in (await fold(log, claim)).names.parties.items()}


# --- asked again -----------------------------------------------------------------------------------


async def test_a_command_asked_again_is_answered_after_the_claim_was_withdrawn(one: Process) -> None:
    claim = (await one.register())["id"]
    first = await one.do(claim, AFP, key="afp")
    await one.do(claim, Withdraw(reason="a mistake"))
    head = await one.log.head()

    again = await one.do(claim, AFP, key="afp")

    assert again["effect"] == "already recorded"
    assert again["computed"].status == "withdrawn"
    assert (again["statement"], again["written_at"]) == (first["statement"], first["written_at"])
    assert await one.log.head() == head


@pytest.mark.parametrize("command", [AssertClaim(source="CNN"), Deny(source="AFP"), Withdraw(reason="r")])
async def test_a_key_used_for_another_command_on_the_claim_is_refused(one: Process, command: Deny) -> None:
    claim = (await one.register())["id"]
    await one.do(claim, AFP, key="afp")

    with pytest.raises(KeyReused):
        await one.do(claim, command, key="afp")


async def test_a_key_is_used_up_for_every_claim_source_and_story(one: Process) -> None:
    claim = (await one.register(key="first"))["id"]
    other = (await one.register("another"))["id"]
    await one.do(claim, AFP, key="afp")

    for ask in (
        lambda: one.do(other, AFP, key="afp"),
        lambda: one.register("a third", key="afp"),
        lambda: one.register("not the first", key="first"),
        lambda: one.source(RegisterSource(name="AFP"), key="afp"),
        lambda: one.registrar.open_story(OpenStory(title="Iraq"), one.caller("afp")),
        lambda: one.registrar.adopt_policy(AdoptPolicy(policy="strict"), one.caller("afp")),
    ):
        with pytest.raises(KeyReused):
            await ask()


async def test_a_process_that_has_just_started_knows_what_was_asked_before(one: Process, log: Log) -> None:
    claim = (await one.register(key="register", statement=AFP))["id"]
    await one.do(claim, Deny(source="Mark Esper"), key="deny")
    restarted = await Process.start(log)

    denied = await restarted.do(claim, Deny(source="Mark Esper"), key="deny")
    registered = await restarted.register(key="register", statement=AFP)

    assert (denied["effect"], registered["effect"]) == ("already recorded", "already recorded")
    assert (registered["id"], registered["computed"].status) == (claim, "denied")


async def test_a_registration_asked_again_answers_with_the_claim_as_it_now_stands(one: Process, two: Process) -> None:
    first = await one.register(key="register", statement=AFP, story="Iraq letter")
    await two.do(first["id"], Deny(source="Mark Esper"))

    again = await one.register(key="register", statement=AFP, story="Iraq letter")

    assert again["effect"] == "already recorded"
    assert again["computed"].status == "denied"
    assert (again["statement"], again["written_at"], again["recorded"]) == (
        first["statement"], first["written_at"], first["recorded"],
    )  # fmt: skip


async def test_a_registration_asked_again_is_answered_though_another_claim_has_its_wording_now(
    one: Process, log: Log
) -> None:
    first = await one.register("They leave", key="register")
    await one.do(first["id"], Reword(text="They plan to leave"))
    await one.register("They leave", key="another")
    restarted = await Process.start(log)

    again = await restarted.register("They leave", key="register")

    assert (again["id"], again["effect"]) == (first["id"], "already recorded")


async def test_a_registration_asked_again_is_answered_whatever_was_found_out_meanwhile(one: Process, log: Log) -> None:
    document = b"nothing of the kind"
    quote = Quotation(exact="we respect your decision", document=hashlib.sha256(document).hexdigest())
    saying = AssertClaim(source="AFP", quote=quote)
    first = await one.register(key="register", statement=saying)
    behind = await Process.start(log, views=False)
    await behind.evidence.put(document, sha256=quote.document)

    again = await behind.register(key="register", statement=saying)

    assert (again["id"], again["effect"]) == (first["id"], "already recorded")


async def test_what_is_asked_again_needs_no_match_any_more(one: Process) -> None:
    registered = await one.register()
    matching = registered["position"]
    await one.do(registered["id"], AFP, key="afp", if_match=matching)

    again = await one.do(registered["id"], AFP, key="afp", if_match=matching)

    assert again["effect"] == "already recorded"
    with pytest.raises(Conflict):
        await one.do(registered["id"], AFP, if_match=matching)


async def test_a_split_asked_again_names_every_event_that_it_recorded(one: Process) -> None:
    old, here, there = [(await one.register(text))["id"] for text in ("old", "here", "there")]
    said = (await one.do(old, AFP))["statement"]
    command = Split(into=(here, there), statements={said: (here, there)})
    first = await one.do(old, command, key="split")

    again = await one.do(old, command, key="split")

    assert len(first["recorded"]) == 3
    assert again["recorded"] == first["recorded"]


async def test_one_command_asked_eight_times_at_once_is_recorded_once(one: Process) -> None:
    claim = (await one.register())["id"]

    answers = await asyncio.gather(*[one.do(claim, AFP, key="afp") for _ in range(8)])

    assert len({answer["statement"] for answer in answers}) == 1
    assert sum(answer["effect"] == "already recorded" for answer in answers) == 7
    assert (await stands(one.log, claim)).counts.support_origins == 1


async def test_one_registration_asked_eight_times_at_once_is_one_claim(one: Process) -> None:
    answers = await asyncio.gather(*[one.register(key="register", statement=AFP) for _ in range(8)])

    assert len({answer["id"] for answer in answers}) == 1
    assert sum(answer["effect"] == "already recorded" for answer in answers) == 7


async def test_a_source_said_to_be_another_one_can_be_said_so_again(one: Process) -> None:
    command = UpdateSource(source="Agence France-Presse", same_as="AFP")
    first = await one.source(command, "Agence France-Presse", key="same")

    again = await one.source(command, "Agence France-Presse", key="same")

    assert again["effect"] == "already recorded"
    assert (again["id"], again["recorded"], again["written_at"]) == (
        first["id"],
        first["recorded"],
        first["written_at"],
    )


async def test_what_was_recorded_beside_the_claims_is_answered_again_in_the_same_way(one: Process) -> None:
    opened = await one.registrar.open_story(OpenStory(title="Iraq"), one.caller("open"))
    source = await one.source(RegisterSource(name="AFP", aliases=("A.F.P.",)), key="source")
    adopted = await one.registrar.adopt_policy(AdoptPolicy(policy="strict"), one.caller("adopt"))
    await one.registrar.adopt_policy(AdoptPolicy(policy="balanced"), one.caller())

    again = [
        await one.registrar.open_story(OpenStory(title="Iraq"), one.caller("open")),
        await one.source(RegisterSource(name="AFP", aliases=("A.F.P.",)), key="source"),
        await one.registrar.adopt_policy(AdoptPolicy(policy="strict"), one.caller("adopt")),
    ]

    assert again == [{**first, "effect": "already recorded"} for first in (opened, source, adopted)]


async def test_after_the_identity_of_a_command_was_erased_a_repetition_is_taken_for_one(one: Process) -> None:
    claim = (await one.register())["id"]
    said = (await one.do(claim, AFP, key="afp"))["statement"]
    await one.do(claim, Erase(event=said, slot="identity", basis="court_order"))

    assert (await one.do(claim, AFP, key="afp"))["effect"] == "already recorded"


async def test_no_guess_at_an_erased_wording_can_be_checked_without_the_key(one: Process) -> None:
    """The digest of a command outlives the wording, so it must not be a digest of what the log holds alone."""
    claim = (await one.register())["id"]
    said = AssertClaim(source="AFP", note="from 12 Example Street")
    event = (await one.do(claim, said, key="a key that nobody guesses"))["statement"]
    await one.do(claim, Erase(event=event, slot="wording", basis="data_protection"))

    recorded = next(each for each in await everything(one.log) if each.id == event)
    guess = hashlib.sha256(canonical([claim, said])).hexdigest()
    assert recorded.wording is None
    assert recorded.identity is not None
    assert recorded.identity.command not in (None, guess)


# --- wordings --------------------------------------------------------------------------------------


async def test_a_wording_that_the_story_has_is_refused_with_the_claim_that_has_it(one: Process) -> None:
    first = await one.register("They leave", story="Iraq")

    with pytest.raises(DuplicateClaim) as duplicate:
        await one.register("they  LEAVE", story="Iraq")

    assert duplicate.value.claim == first["id"]
    assert (await one.register("They leave"))["id"] != first["id"]
    assert (await one.register("They leave", story="Iraq", again=True))["id"] != first["id"]


@pytest.mark.parametrize("views", [True, False], ids=["found in the views", "before the views know it"])
@pytest.mark.parametrize(
    "end", [Withdraw(reason="r"), Reword(text="They plan to leave")], ids=["withdrawn", "reworded"]
)
async def test_a_wording_that_is_free_again_can_be_registered(
    staged: Staged, views: bool, end: Withdraw | Reword
) -> None:
    process = await Process.start(staged, views=views)
    first = (await process.register("They leave"))["id"]
    await process.do(first, end)

    second = await process.register("They leave")

    assert second["id"] != first
    with pytest.raises(DuplicateClaim):
        await process.register("They leave")


async def test_asking_for_a_claim_before_it_is_registered_opens_no_way_round_its_wording(one: Process) -> None:
    await one.register("They leave")
    with pytest.raises(NotFound):
        await one.do(derive("clm", "ada", "key"), AFP)

    for _ in range(2):
        with pytest.raises(DuplicateClaim):
            await one.register("They leave", key="key")


async def test_what_nobody_registered_is_not_kept_in_mind(one: Process) -> None:
    with pytest.raises(NotFound):
        await one.do(UNKNOWN_CLAIM, AFP)

    assert one.folds.cached(UNKNOWN_CLAIM) is None


# --- two processes over one log ----------------------------------------------------------------------


async def test_a_command_that_was_beaten_is_decided_again_on_what_it_missed(
    one: Process, two: Process, staged: Staged
) -> None:
    claim = (await one.register())["id"]
    staged.before.append(lambda: two.do(claim, Deny(source="Mark Esper")))

    answer = await one.do(claim, AFP)

    assert (answer["computed"].status, answer["effect"]) == ("denied", "counted: new origin, named, on the record")
    assert await numbers(one.log, claim) == {"Mark Esper": 1, "AFP": 2}


async def test_a_command_that_was_beaten_is_refused_where_what_it_missed_forbids_it(
    one: Process, two: Process, staged: Staged
) -> None:
    claim = (await one.register())["id"]
    said = (await one.do(claim, AFP))["statement"]
    staged.before.append(lambda: two.do(claim, Retract(statement=said, by="AFP")))

    with pytest.raises(Refused) as refused:
        await one.do(claim, Correct(statement=said, stance="denied"))

    assert refused.value.rule == "acted-on"


async def test_nothing_is_refused_from_what_a_process_remembers(one: Process, two: Process) -> None:
    claim = (await one.register())["id"]
    said = (await one.do(claim, AFP))["statement"]
    retracted = (await one.do(claim, Retract(statement=said, by="AFP")))["statement"]
    await two.do(claim, WithdrawStatement(statement=retracted))
    later = (await two.do(claim, AssertClaim(source="CNN")))["statement"]

    await one.do(claim, Retract(statement=said, by="AFP"))
    await one.do(claim, Retract(statement=later, by="CNN"))

    assert (await stands(one.log, claim)).status == "retracted"


async def test_a_position_to_match_is_compared_with_the_log_not_with_what_a_process_remembers(
    one: Process, two: Process
) -> None:
    claim = (await one.register())["id"]
    position = (await two.do(claim, AFP))["position"]

    await one.do(claim, AssertClaim(source="CNN"), if_match=position)

    with pytest.raises(Conflict) as conflict:
        await two.do(claim, AssertClaim(source="BBC"), if_match=position)
    assert conflict.value.position == await one.log.head()


async def test_one_command_asked_in_two_processes_at_once_is_recorded_once(
    one: Process, two: Process, staged: Staged
) -> None:
    claim = (await one.register())["id"]
    staged.before.append(lambda: two.do(claim, AFP, key="afp"))

    answer = await one.do(claim, AFP, key="afp")

    assert answer["effect"] == "already recorded"
    assert (await stands(one.log, claim)).counts.support_origins == 1


async def test_a_key_that_another_process_used_meanwhile_is_refused(one: Process, two: Process, staged: Staged) -> None:
    claim = (await one.register())["id"]
    staged.before.append(lambda: two.do(claim, Deny(source="AFP"), key="afp"))

    with pytest.raises(KeyReused):
        await one.do(claim, AFP, key="afp")


async def test_a_story_that_two_processes_open_at_once_is_opened_once(
    one: Process, two: Process, staged: Staged
) -> None:
    staged.before.append(lambda: two.register("the one", story="Iraq letter"))

    await one.register("the other", story="Iraq letter")

    assert sum(isinstance(event.fact, StoryOpened) for event in await everything(one.log)) == 1


async def test_two_claims_can_not_be_merged_into_each_other(one: Process, two: Process, staged: Staged) -> None:
    here, there = [(await one.register(text))["id"] for text in ("here", "there")]
    staged.before.append(lambda: two.do(there, Merge(into=here)))

    with pytest.raises(Refused) as refused:
        await one.do(here, Merge(into=there))

    assert refused.value.rule == "claim-ended"
    assert sum(isinstance(event.fact, ClaimMerged) for event in await everything(one.log)) == 1


async def test_a_source_that_another_process_registered_is_found_by_its_id(one: Process, two: Process) -> None:
    claim = (await one.register())["id"]
    id = source_id(one.log.id, "AFP")
    with pytest.raises(NotFound):
        await one.do(claim, AssertClaim(source=id))
    await two.source(RegisterSource(name="AFP"))

    await one.do(claim, AssertClaim(source=id))

    assert await numbers(one.log, claim) == {"AFP": 1}


async def test_after_twenty_defeats_a_command_is_given_up_and_nothing_of_it_is_recorded(
    one: Process, two: Process, staged: Staged
) -> None:
    claim = (await one.register())["id"]
    staged.before = [lambda: two.do(claim, Note(source="AFP"))] * 20
    head = await one.log.head()

    with pytest.raises(Busy, match="same key"):
        await one.do(claim, Deny(source="Mark Esper"), key="deny")

    assert await one.log.head() == head + 20
    assert (await one.do(claim, Deny(source="Mark Esper"), key="deny"))["computed"].status == "denied"


# --- many at once ------------------------------------------------------------------------------------


async def test_sixty_four_callers_on_one_claim_are_all_recorded(one: Process) -> None:
    claim = (await one.register())["id"]

    answers = await asyncio.gather(*[one.do(claim, AssertClaim(source=f"source {n}")) for n in range(64)])

    assert {answer["effect"] for answer in answers} == {"counted: new origin, named, on the record"}
    assert sorted((await numbers(one.log, claim)).values()) == list(range(1, 65))


async def test_commands_over_two_claims_do_not_wait_for_each_other_in_a_circle(one: Process) -> None:
    here, there = [(await one.register(text))["id"] for text in ("here", "there")]

    async with asyncio.timeout(20):
        answers = await asyncio.gather(
            *[one.do(here, Link(to=there, kind=kind)) for kind in ("implies", "related")],
            *[one.do(there, Link(to=here, kind=kind)) for kind in ("implies", "related")],
            one.do(here, Merge(into=there)),
            one.do(there, Merge(into=here)),
            return_exceptions=True,
        )

    (refused,) = [answer for answer in answers if isinstance(answer, BaseException)]
    assert isinstance(refused, Refused)


async def test_a_cache_with_room_for_one_claim_changes_nothing(staged: Staged) -> None:
    process = await Process.start(staged, cached=1)
    claims = [(await process.register(f"claim {n}"))["id"] for n in range(4)]

    await asyncio.gather(*[process.do(claim, AssertClaim(source=f"source {n}")) for n in range(8) for claim in claims])
    await process.do(claims[0], Merge(into=claims[1]))
    merged = await process.do(claims[1], Deny(source="source 0", occurred="2020-01-06"))

    assert merged["computed"] == await stands(staged, claims[1])
    assert [sorted((await numbers(staged, claim)).values()) for claim in claims] == [list(range(1, 9))] * 4


# --- cancelled, failed -------------------------------------------------------------------------------


async def cancelled(staged: Staged, command: Coroutine[Any, Any, object]) -> None:
    """Carry out a command, and cancel it once it has reached its place in the schedule."""
    task = asyncio.create_task(command)
    await staged.reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def never() -> None:
    """Wait for nothing."""
    await asyncio.Event().wait()


async def test_a_caller_cancelled_before_the_append_leaves_nothing(one: Process, staged: Staged) -> None:
    claim = (await one.register())["id"]
    head = await one.log.head()
    staged.before.append(never)

    await cancelled(staged, one.do(claim, AFP, key="afp"))

    assert await one.log.head() == head
    assert (await one.do(claim, AFP, key="afp"))["effect"] == "counted: new origin, named, on the record"


async def test_a_caller_cancelled_after_the_append_finds_it_under_the_same_key(one: Process, staged: Staged) -> None:
    claim = (await one.register())["id"]
    staged.afterwards.append(never)

    await cancelled(staged, one.do(claim, AFP, key="afp"))
    echo = await one.do(claim, AssertClaim(source="CNN", origin="AFP"))
    again = await one.do(claim, AFP, key="afp")

    assert (echo["effect"], again["effect"]) == ("echo of AFP", "already recorded")
    assert await numbers(one.log, claim) == {"AFP": 1, "CNN": 2}


async def test_a_caller_cancelled_in_the_queue_leaves_it_to_the_others(one: Process, staged: Staged) -> None:
    claim = (await one.register())["id"]
    gate = asyncio.Event()
    staged.before.append(gate.wait)
    first = asyncio.create_task(one.do(claim, AFP))
    await staged.reached.wait()
    waiting = asyncio.create_task(one.do(claim, Deny(source="Mark Esper")))
    last = asyncio.create_task(one.do(claim, AssertClaim(source="CNN")))
    await asyncio.sleep(0)

    waiting.cancel()
    gate.set()

    assert (await first)["computed"].status == "asserted"
    assert (await last)["computed"].status == "corroborated"
    assert waiting.cancelled()


async def test_a_merge_of_origins_whose_caller_was_cancelled_after_the_append_is_known(
    one: Process, staged: Staged
) -> None:
    registered = await one.register(story="Iraq", statement=AssertClaim(source="CNN", origin="the letter"))
    story = story_id(one.log.id, "Iraq")
    await one.register("another", story="Iraq", statement=AssertClaim(source="CNN", origin="the letter"))
    staged.afterwards.append(never)
    merging = one.story(story, MergeOrigins(kept="the letter", merged="a copy"), key="merge")

    await cancelled(staged, merging)
    answer = await one.do(registered["id"], AssertClaim(source="BBC", origin="a copy"))

    assert answer["effect"] == "echo of the letter"


async def test_an_alias_whose_caller_was_cancelled_after_the_append_is_known(one: Process, staged: Staged) -> None:
    claim = (await one.register(statement=AssertClaim(source="A.F.P.")))["id"]
    await one.source(RegisterSource(name="AFP"))
    staged.afterwards.append(never)
    aliasing = one.source(UpdateSource(source="AFP", aliases=("A.F.P.",)), "AFP", key="alias")

    await cancelled(staged, aliasing)
    await one.do(claim, AFP)

    assert (await stands(one.log, claim)).counts.support_origins == 1


FAILURES = [
    (log_errors.OutcomeUnknown("the connection broke"), OutcomeUnknown),
    (log_errors.DiskFull("no room"), DiskFull),
    (log_errors.ReadOnly("read only"), ReadOnly),
    (log_errors.Busy("the queue is full"), Busy),
    (log_errors.LogInUse("newsroom.db", address=None, pid=1), ReadOnly),
    (log_errors.Invalid("it breaks its contract"), Invalid),
]
FAILED = pytest.mark.parametrize(("error", "problem"), FAILURES, ids=[problem.__name__ for _, problem in FAILURES])


@FAILED
async def test_a_failure_after_which_nothing_was_recorded_leaves_nothing_behind(
    one: Process, staged: Staged, error: log_errors.LogError, problem: type[Problem]
) -> None:
    here, there = [(await one.register(text, statement=AFP))["id"] for text in ("here", "there")]
    staged.before.append(failing(error))

    with pytest.raises(problem) as failed:
        await one.do(here, Merge(into=there), key="merge")

    assert failed.value.__cause__ is error
    for claim in (here, there):
        answer = await one.do(claim, AssertClaim(source="CNN"))
        assert answer["computed"] == await stands(one.log, claim)
        assert answer["computed"].status == "corroborated"
    assert (await one.do(here, Merge(into=there), key="merge"))["computed"].status == "merged"


async def test_an_unknown_outcome_that_was_recorded_is_found_under_the_same_key(one: Process, staged: Staged) -> None:
    here, there = [(await one.register(text, statement=AFP))["id"] for text in ("here", "there")]
    staged.afterwards.append(failing(log_errors.OutcomeUnknown("the connection broke")))

    with pytest.raises(OutcomeUnknown) as unknown:
        await one.do(here, Merge(into=there), key="merge")
    echo = await one.do(there, AssertClaim(source="CNN", origin="AFP"))
    again = await one.do(here, Merge(into=there), key="merge")

    assert unknown.value.key == "merge"
    assert echo["computed"] == await stands(one.log, there)
    assert (again["effect"], again["computed"].status, len(again["recorded"])) == ("already recorded", "merged", 2)


async def test_a_registration_of_unknown_outcome_is_found_under_the_same_key(one: Process, staged: Staged) -> None:
    staged.afterwards.append(failing(log_errors.OutcomeUnknown("the connection broke")))

    with pytest.raises(OutcomeUnknown):
        await one.register(key="register", statement=AFP, story="Iraq")
    again = await one.register(key="register", statement=AFP, story="Iraq")

    assert (again["effect"], again["computed"].status) == ("already recorded", "asserted")


# --- who and what is meant ---------------------------------------------------------------------------


async def test_a_source_whose_name_was_erased_gets_a_new_number_when_it_is_met_again(one: Process) -> None:
    claim = (await one.register())["id"]
    said = (await one.do(claim, AFP))["statement"]
    erasing = Erase(event=said, slot="identity", basis="court_order")
    assert (await one.do(claim, erasing))["computed"].status == "asserted"

    again = await one.do(claim, AFP)

    assert again["effect"] == "counted: new origin, named, on the record"
    assert await numbers(one.log, claim) == {"AFP": 2}
    with pytest.raises(Refused):
        await one.do(claim, erasing)


async def test_what_was_erased_is_not_in_the_answer_to_its_erasure(one: Process) -> None:
    claim = (await one.register())["id"]
    said = (await one.do(claim, AssertClaim(source="A. Witness", quote="I saw it")))["statement"]

    answer = await one.do(claim, Erase(event=said, slot="identity", basis="source_protection"))
    reworded = await one.do(claim, Reword(text="They leave"))
    erased = await one.do(claim, Erase(event=reworded["statement"], slot="wording", basis="court_order"))

    assert "Witness" not in repr((answer, erased))
    assert answer["texts"]["erased"] == {said: answer["statement"]}
    assert erased["texts"]["text"] is None


async def test_the_bytes_of_a_snapshot_go_with_the_identity_of_the_fact_that_attached_it(one: Process) -> None:
    claim = (await one.register())["id"]
    data = b"We respect your sovereignty decision"
    sha256 = hashlib.sha256(data).hexdigest()
    await one.evidence.put(data, sha256=sha256)
    attached = (await one.do(claim, Attach(sha256=sha256, size=len(data))))["statement"]

    await one.do(claim, Erase(event=attached, slot="wording", basis="copyright"))
    held = await one.evidence.has(sha256)
    await one.do(claim, Erase(event=attached, slot="identity", basis="court_order"))

    assert held
    assert not await one.evidence.has(sha256)


async def test_a_note_of_unknown_words_asks_who_until_its_speaker_is_named(one: Process) -> None:
    claim = (await one.register(checkable=False))["id"]
    noted = await one.do(claim, Note(source="somebody", attribution="unattributed", occurred="unknown"))

    named = await one.do(claim, Attribute(statement=noted["statement"], source="Mark Esper"))
    undone = await one.do(claim, WithdrawStatement(statement=named["statement"]))
    gone = await one.do(claim, WithdrawStatement(statement=noted["statement"]))

    asked = ["who" in answer["computed"].attention for answer in (noted, named, undone, gone)]
    assert asked == [True, False, True, False]


async def test_a_note_on_an_open_question_is_not_corrected_to_a_stance(one: Process) -> None:
    claim = (await one.register(checkable=False))["id"]
    noted = (await one.do(claim, Note(source="AFP")))["statement"]

    with pytest.raises(Refused, match="takes no stance"):
        await one.do(claim, Correct(statement=noted, stance="denied"))


async def test_what_another_process_erased_is_not_recorded_again(one: Process, two: Process) -> None:
    claim = (await one.register())["id"]
    said = (await one.do(claim, AssertClaim(source="A. Witness")))["statement"]
    await two.do(claim, Erase(event=said, slot="identity", basis="source_protection"))

    answer = await one.do(claim, Correct(statement=said, stance="denied"))

    assert "Witness" not in repr(answer)
    assert all(b"Witness" not in (event.identity_raw or b"") for event in await everything(one.log))


async def test_a_claim_of_which_a_text_was_erased_is_kept_in_mind_like_any_other(one: Process) -> None:
    claim = (await one.register())["id"]
    said = (await one.do(claim, AFP))["statement"]
    await one.do(claim, Erase(event=said, slot="identity", basis="court_order"))
    await one.do(claim, AFP)
    held = one.folds.cached(claim)

    await one.do(claim, AssertClaim(source="CNN"))

    assert held is not None
    assert one.folds.cached(claim) is held


async def test_a_quote_is_looked_up_in_the_bytes_that_are_held(one: Process) -> None:
    document = b"Sir, in deference to the sovereignty of the Republic of Iraq \xe2\x80\xa6 we respect your decision"
    sha256 = hashlib.sha256(document).hexdigest()
    claim = (await one.register())["id"]
    quoting = AssertClaim(source="AFP", quote=Quotation(exact="we respect your decision", document=sha256))
    before = await one.do(claim, quoting)
    await one.evidence.put(document, sha256=sha256)

    after = await one.do(claim, quoting)

    facts = [event.fact for event in await everything(one.log)]
    assert [facts[answer["written_at"] - 1].quoted for answer in (before, after)] == ["bytes_not_held", "found"]
    for quote in (
        Quotation(exact="we do not", document=sha256),
        Quotation(exact="we respect", document=sha256, start=0),
        Quotation(exact="we respect", document=sha256, prefix="do "),
    ):
        with pytest.raises(Refused, match="the quote is not in the document"):
            await one.do(claim, AssertClaim(source="AFP", quote=quote))


async def test_an_alias_resolves_to_its_source(one: Process) -> None:
    claim = (await one.register())["id"]
    await one.source(RegisterSource(name="AFP", aliases=("Agence France-Presse",)))

    await one.do(claim, AssertClaim(source="agence france-presse"))
    echo = await one.do(claim, AssertClaim(source="CNN", origin="AFP"))

    assert await numbers(one.log, claim) == {"AFP": 1, "CNN": 2}
    assert echo["effect"] == "echo of AFP"


@pytest.mark.parametrize(
    "joining",
    [
        RegisterSource(name="AFP", aliases=("Agence France-Presse",)),
        UpdateSource(source="Agence France-Presse", same_as="AFP"),
    ],
    ids=["an alias", "the same as"],
)
@pytest.mark.parametrize("name", ["AFP", "Agence France-Presse"])
async def test_a_source_that_was_known_by_another_name_still_counts_once(
    one: Process, joining: RegisterSource | UpdateSource, name: str
) -> None:
    claim = (await one.register())["id"]
    said = (await one.do(claim, AssertClaim(source="Agence France-Presse")))["statement"]
    await one.do(claim, AssertClaim(source="CNN", origin="Agence France-Presse"))
    await one.source(joining, joining.source if isinstance(joining, UpdateSource) else None)

    await one.do(claim, AssertClaim(source=name))
    await one.do(claim, AssertClaim(source="BBC", origin=name))
    assert (await stands(one.log, claim)).counts.support_origins == 1
    await one.do(claim, Retract(statement=said, by=name))

    assert await numbers(one.log, claim) == {"Agence France-Presse": 1, "CNN": 2, "BBC": 3}
    assert (await stands(one.log, claim)).status == "retracted"


async def test_an_origin_only_carried_is_one_origin_under_either_name(one: Process) -> None:
    claim = (await one.register(statement=AssertClaim(source="CNN", origin="Agence France-Presse")))["id"]
    await one.source(RegisterSource(name="AFP", aliases=("Agence France-Presse",)))

    echo = await one.do(claim, AssertClaim(source="BBC", origin="AFP"))

    assert echo["effect"] == "echo of Agence France-Presse"


async def test_a_protected_source_has_an_id_that_its_name_does_not_give(one: Process) -> None:
    first = await one.source(RegisterSource(name="Deep Throat", protected=True, aliases=("Mark Felt",)), key="a")
    second = await one.source(RegisterSource(name="Deep Throat", protected=True), key="b")

    assert first["id"] != second["id"]
    assert source_id(one.log.id, "Deep Throat") not in (first["id"], second["id"])
    streams = {event.stream for event in await everything(one.log)}
    assert streams == {"log", f"source:{first['id']}", f"source:{second['id']}"}


async def test_a_protected_source_never_leads_to_a_name_nor_a_name_to_it(one: Process) -> None:
    id = (await one.source(RegisterSource(name="Deep Throat", protected=True)))["id"]
    await one.source(RegisterSource(name="Mark Felt"))
    head = await one.log.head()

    for source, same_as in ((id, "Mark Felt"), ("Mark Felt", id), ("Someone", id)):
        with pytest.raises(Invalid, match="by its id alone"):
            await one.source(UpdateSource(source=source, same_as=same_as), source)
    assert await one.log.head() == head

    await one.source(UpdateSource(source=id, name="W. Mark Felt", aliases=("Felt",)), id)
    assert {event.stream for event in (await everything(one.log))[head:]} == {f"source:{id}"}
    claim = (await one.register(statement=AssertClaim(source=id)))["id"]
    assert await numbers(one.log, claim) == {"W. Mark Felt": 1}


# --- a story -----------------------------------------------------------------------------------------


async def test_origins_merged_for_a_story_are_merged_on_every_claim_that_uses_either(one: Process) -> None:
    story = story_id(one.log.id, "Iraq")
    both, copied, neither = [
        (await one.register(text, story="Iraq", statement=AssertClaim(source="CNN", origin=origin)))["id"]
        for text, origin in (("both", "the letter"), ("copied", "a copy"), ("neither", "a call"))
    ]
    await one.do(both, AssertClaim(source="BBC", origin="a copy"))
    assert (await stands(one.log, both)).counts.support_origins == 2

    merged = await one.story(story, MergeOrigins(kept="the letter", merged="A copy"))

    assert merged["effect"] == "recorded; 2 claims changed with it"
    assert (await stands(one.log, both)).counts.support_origins == 1
    later = await one.do(copied, AssertClaim(source="BBC", origin="the letter"))
    never_used = await one.do(neither, AssertClaim(source="BBC", origin="a copy"))
    same_letter = await one.do(neither, AssertClaim(source="AFP", origin="the letter"))
    assert later["computed"].counts.support_origins == 1
    assert (never_used["computed"].counts.support_origins, same_letter["effect"]) == (2, "echo of the letter")


@pytest.mark.parametrize(
    "later",
    [
        AssertClaim(source="Seely"),
        Corroborate(source="BBC", origin="a copy"),
        Correct(statement="", origin="a copy"),
        Attribute(statement="", source="BBC", origin="a copy"),
    ],
    ids=["by its own source", "by its label", "in a correction", "in an attribution"],
)
async def test_a_name_given_later_means_the_origin_it_was_merged_into(one: Process, later: Correct) -> None:
    story = story_id(one.log.id, "Iraq")
    await one.register("elsewhere", story="Iraq", statement=AssertClaim(source="CNN", origin="the letter"))
    await one.story(story, MergeOrigins(kept="the letter", merged="a copy"))
    await one.story(story, MergeOrigins(kept="a copy", merged="Seely"))
    claim = (await one.register("here", story="Iraq", statement=AssertClaim(source="AFP", origin="the letter")))["id"]
    unnamed = (await one.do(claim, AssertClaim(source="somebody", attribution="unattributed")))["statement"]
    if isinstance(later, Correct | Attribute):
        later = type(later)(**{**{n: getattr(later, n) for n in ("source", "origin")}, "statement": unnamed})

    answer = await one.do(claim, later)

    assert answer["computed"].counts.support_origins == 1


async def test_who_speaks_from_an_origin_that_was_merged_still_speaks(one: Process) -> None:
    await one.register("elsewhere", story="Iraq", statement=AssertClaim(source="CNN", origin="the letter"))
    await one.story(story_id(one.log.id, "Iraq"), MergeOrigins(kept="the letter", merged="Seely"))
    claim = (await one.register("here", story="Iraq"))["id"]

    await one.do(claim, AssertClaim(source="Seely", occurred="2020-01-05"))
    denied = await one.do(claim, Deny(source="Seely", occurred="2020-01-06"))

    assert (denied["computed"].status, denied["computed"].superseded.total) == ("denied", 1)


async def test_a_merge_for_a_story_that_was_undone_is_undone_on_its_claims_and_for_later_names(one: Process) -> None:
    story = story_id(one.log.id, "Iraq")
    claim = (await one.register(story="Iraq", statement=AssertClaim(source="CNN", origin="the letter")))["id"]
    await one.do(claim, AssertClaim(source="BBC", origin="a copy"))
    merge = (await one.story(story, MergeOrigins(kept="the letter", merged="a copy")))["statement"]

    split = await one.story(story, SplitOrigins(merge=merge))

    assert split["effect"] == "recorded; 1 claims changed with it"
    assert (await stands(one.log, claim)).counts.support_origins == 2
    other = (await one.register("another", story="Iraq", statement=AssertClaim(source="CNN", origin="the letter")))[
        "id"
    ]
    assert (await one.do(other, AssertClaim(source="BBC", origin="a copy")))["computed"].counts.support_origins == 2


async def test_a_merge_for_a_story_takes_an_origin_by_its_id(one: Process) -> None:
    story = story_id(one.log.id, "Iraq")
    claim = (await one.register(story="Iraq", statement=AssertClaim(source="CNN", origin="the letter")))["id"]
    await one.do(claim, AssertClaim(source="BBC", origin="a copy"))
    ids = {origin.label: origin.id for origin in (await fold(one.log, claim)).names.origins.values()}

    await one.story(story, MergeOrigins(kept=ids["the letter"], merged=ids["a copy"]))

    assert (await stands(one.log, claim)).counts.support_origins == 1
    later = (await one.register("later", story="Iraq", statement=AssertClaim(source="AFP", origin="a copy")))["id"]
    assert set((await fold(one.log, later)).names.origin_numbers) == {ids["the letter"]}


async def test_a_merge_that_another_process_undid_can_be_made_again(one: Process, two: Process) -> None:
    await one.register(story="Iraq", statement=AssertClaim(source="CNN", origin="the letter"))
    story = story_id(one.log.id, "Iraq")
    merge = (await one.story(story, MergeOrigins(kept="the letter", merged="a copy")))["statement"]
    await two.story(story, SplitOrigins(merge=merge))

    await one.story(story, MergeOrigins(kept="the letter", merged="a copy"))

    assert sum(isinstance(event.fact, OriginsMerged) for event in await everything(one.log)) == 4


async def test_a_merge_for_a_story_that_was_beaten_is_decided_again(one: Process, two: Process, staged: Staged) -> None:
    claim = (await one.register(story="Iraq", statement=AssertClaim(source="CNN", origin="the letter")))["id"]
    staged.before.append(lambda: two.do(claim, AssertClaim(source="BBC", origin="a copy")))

    await one.story(story_id(one.log.id, "Iraq"), MergeOrigins(kept="the letter", merged="a copy"))

    assert (await stands(one.log, claim)).counts.support_origins == 1


async def test_a_merge_for_a_story_reaches_the_claims_that_were_registered_a_moment_ago(desk: Desk) -> None:
    caller = functools.partial(Caller, actor="ada")
    claims = []
    for number in range(5):
        saying = AssertClaim(source="CNN", origin="a copy")
        registering = RegisterClaim(text=f"claim {number}", story="Iraq", statement=saying)
        claims.append((await desk.handler.register(registering, caller(key=f"register {number}")))["id"])

    merging = MergeOrigins(kept="the letter", merged="a copy")
    merged = await desk.registrar.handle_story(story_id(desk.log.id, "Iraq"), merging, caller(key="merge"))

    assert merged["effect"] == "recorded; 5 claims changed with it"
    await check(desk.log)


# --- the policy, and what an editor saw --------------------------------------------------------------


async def test_a_policy_adopted_is_the_one_by_which_answers_are_given(one: Process) -> None:
    claim = (await one.register(statement=AFP))["id"]
    await one.do(claim, AssertClaim(source="CNN"))
    before = await one.log.head()
    await one.registrar.adopt_policy(AdoptPolicy(policy="strict"), one.caller())

    answer = await one.do(claim, Note(source="BBC"))
    verdict = await one.do(claim, Adjudicate(verdict="mixed", reason="r", seen=before))

    assert (answer["computed"].status, answer["basis"]["policy"]) == ("asserted", "strict/1")
    recorded = (await everything(one.log))[verdict["written_at"] - 1].fact
    assert (recorded.status, recorded.policy, recorded.seen) == ("corroborated", "standing/1", before)
    with pytest.raises(Refused) as refused:
        await one.registrar.adopt_policy(AdoptPolicy(policy="strict"), one.caller())
    assert refused.value.rule == "nothing-changed"


async def test_a_policy_is_refused_by_what_the_log_says_is_in_force(one: Process, two: Process) -> None:
    await one.registrar.adopt_policy(AdoptPolicy(policy="strict"), one.caller())
    await two.registrar.adopt_policy(AdoptPolicy(policy="standing"), two.caller())

    await one.registrar.adopt_policy(AdoptPolicy(policy="strict"), one.caller())

    with pytest.raises(Refused):
        await two.registrar.adopt_policy(AdoptPolicy(policy="strict"), two.caller())


@pytest.mark.parametrize(
    "ask", [Adjudicate(verdict="mixed", reason="r", seen=99), Publish(address="a", day="2020-01-06", seen=99)]
)
async def test_nobody_has_seen_what_is_not_there_yet(one: Process, ask: Adjudicate) -> None:
    claim = (await one.register())["id"]

    with pytest.raises(Invalid, match="beyond the head"):
        await one.do(claim, ask)


async def test_nothing_is_said_before_its_time(one: Process) -> None:
    claim = (await one.register())["id"]

    with pytest.raises(Invalid, match="has not come yet"):
        await one.do(claim, AssertClaim(source="AFP", occurred="9999"))
    with pytest.raises(Invalid, match="has not come yet"):
        await one.register("another", statement=AssertClaim(source="AFP", occurred="9999"))


async def test_a_statement_and_what_was_erased_of_it_stand_in_the_log(one: Process) -> None:
    claim = (await one.register(statement=AssertClaim(source="AFP", note="by phone")))["id"]
    said = next(event.id for event in await everything(one.log) if isinstance(event.fact, ClaimAsserted))

    await one.do(claim, Erase(event=said, slot="wording", basis="copyright"))
    await one.do(claim, Deny(source="Mark Esper"))

    facts = [event.fact for event in await everything(one.log)][-2:]
    assert [type(fact) for fact in facts] == [TextErased, ClaimDenied]


# --- any command, in any order, asked again --------------------------------------------------------

NAMES = ("AFP", "CNN", "an official", "the letter", "Mark Esper")


def anything(dice: random.Random, events: list[str], claims: list[str]) -> ClaimCommand:
    """Return some command on some claim; whether it makes sense there is for the handler to say."""
    name, event = dice.choice(NAMES), dice.choice(events)
    said = {
        "source": name,
        "origin": dice.choice([None, None, *NAMES]),
        "via": tuple(dice.sample(NAMES, dice.randrange(3))),
        "attribution": dice.choice(["on_record", "on_record", "anonymous", "unattributed"]),
        "occurred": dice.choice([None, "2020-01-05", "2020-01-06", "unknown"]),
    }
    return dice.choice(
        [
            *[AssertClaim(**said), Corroborate(**said), Deny(**said), Note(**said)],
            *[Retract(statement=event, by=name), WithdrawStatement(statement=event)] * 2,
            Correct(statement=event, stance=dice.choice(["asserted", "denied", "none"]), source=name),
            Attribute(statement=event, source=name),
            MergeOrigins(kept=name, merged=dice.choice(NAMES)),
            SplitOrigins(merge=event),
            Adjudicate(verdict="mixed", reason="r"),
            Link(to=dice.choice(claims)),
            Reword(text=f"a wording of {name}"),
            Erase(event=event, slot=dice.choice(["identity", "wording"]), basis="court_order"),
            *[Merge(into=dice.choice(claims))] * (dice.random() < 0.05),
        ]
    )


@pytest.mark.parametrize("seed", range(4))
async def test_any_command_may_be_asked_again_of_any_process(log: Log, seed: int) -> None:
    dice = random.Random(seed)
    processes = [await Process.start(log, name=name, cached=20) for name in ("one", "two")]
    claims = [(await processes[0].register(f"claim {n}", story=dice.choice([None, "Iraq"])))["id"] for n in range(5)]
    done: list[tuple[str, ClaimCommand, str]] = []
    for number in range(250):
        events = [event.id for event in await everything(log)]
        claim, key = dice.choice(claims), f"key {number}"
        here = [event.id for event in await everything(log) if event.stream == f"claim:{claim}"]
        command = anything(dice, here if dice.random() < 0.95 else events, claims)
        try:
            answer = await dice.choice(processes).do(claim, command, key=key)
        except Problem as problem:
            assert ": " in problem.detail
            continue
        assert answer["computed"] == await stands(log, claim)
        done.append((claim, command, key))
    head = await log.head()

    for claim, command, key in dice.sample(done, len(done)):
        again = await dice.choice(processes).do(claim, command, key=key)
        assert (again["effect"], again["computed"]) == ("already recorded", await stands(log, claim))

    assert len(done) > 100
    assert await log.head() == head
    await check(log)


def handed_out(event: Recorded) -> Iterator[tuple[str, int]]:
    """Yield the numbers of parties and origins that an event uses."""
    for field in ("source", "party"):
        if isinstance(number := getattr(event.fact, field, None), int):
            yield "party", number
    for number in (*getattr(event.fact, "via", ()), *getattr(event.fact, "accuses", ())):
        yield "party", number
    for field in ("origin", "kept", "merged"):
        if isinstance(number := getattr(event.fact, field, None), int):
            yield "origin", number


@pytest.mark.parametrize("seed", range(4))
async def test_numbers_begin_at_one_leave_no_gap_and_never_change_their_meaning(log: Log, seed: int) -> None:
    dice = random.Random(seed)
    process = await Process.start(log, cached=20)
    claims = [(await process.register(f"claim {n}"))["id"] for n in range(3)]
    for _ in range(200):
        claim = dice.choice(claims)
        here = [event.id for event in await everything(log) if event.stream == f"claim:{claim}"]
        with contextlib.suppress(Problem):
            await process.do(claim, anything(dice, here, claims))

    last: dict[tuple[str, str], int] = defaultdict(int)
    meaning: dict[tuple[str, str, int], str] = {}
    for event in await everything(log):
        for kind, number in handed_out(event):
            assert number <= last[event.stream, kind] + 1
            last[event.stream, kind] = max(last[event.stream, kind], number)
        if event.identity is not None:
            named = [("party", event.identity.parties), ("origin", event.identity.origins)]
            for kind, local in named:
                for number, value in local.items():
                    assert meaning.setdefault((event.stream, kind, int(number)), value.id) == value.id
