"""The rules of each policy, as rows of history and answer. The laws that hold for every claim are in
`test_policy_laws.py`, the words in `test_sentences.py`."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from strategies import UNKNOWN, claim_of, day, event, leaf, on

from events.contracts import (
    ClaimAdjudicated,
    ClaimAsserted,
    ClaimCorroborated,
    ClaimDenied,
    ClaimMerged,
    ClaimNoted,
    ClaimRegistered,
    ClaimSplit,
    ClaimWithdrawn,
    EvidenceAttached,
    Fact,
    OriginsMerged,
    StatementAttributed,
    StatementCorrected,
    StatementRetracted,
    StatementWithdrawn,
    Status,
)
from verifier.assessment import Assessment
from verifier.claim import evolve
from verifier.errors import NotFound
from verifier.policy import DEFAULT, POLICIES, is_recall, policy_named
from verifier.tally import SHOWN, Tally


def assess(*facts: Fact, policy: str = "standing/1", said_by: str | None = None) -> Assessment:
    """The registration is event 1; the first of the facts is event 2."""
    claim = claim_of([ClaimRegistered(), *facts])
    return POLICIES[policy].assess(claim, Tally.of(claim, said_by=said_by))


def supported(source: int, origin: int = 0, **more: Any) -> ClaimAsserted:
    return ClaimAsserted(source=source, origin=origin or source, **{"occurred": on(5), **more})


def denied(source: int, origin: int = 0, **more: Any) -> ClaimDenied:
    return ClaimDenied(source=source, origin=origin or source, **{"occurred": on(6), **more})


def echoed(source: int, origin: int, **more: Any) -> ClaimAsserted:
    return supported(source, origin, carries=True, **more)


def retracted(position: int, party: int, **more: Any) -> StatementRetracted:
    return StatementRetracted(statement=event(position), party=party, **{"by": "source", "occurred": on(7), **more})


def corrected(position: int, source: int, origin: int = 0, **more: Any) -> StatementCorrected:
    fields = {"by": "desk", "stance": "asserted", "occurred": on(5), **more}
    return StatementCorrected(statement=event(position), source=source, origin=origin or source, **fields)


ROWS: dict[str, tuple[list[Fact], str, str, tuple[int, int, int]]] = {
    # R0
    "a withdrawn claim": ([supported(1), ClaimWithdrawn()], "withdrawn", "R0", (1, 0, 1)),
    "a merged claim": ([denied(1), ClaimMerged(assignments=(), into="clm_b")], "merged", "R0", (0, 1, 0)),
    "a split claim": ([ClaimSplit(assignments=(), into=("clm_b",))], "split", "R0", (0, 0, 0)),
    # R2
    "the only support is taken back": ([supported(1), retracted(2, 1)], "retracted", "R2", (0, 0, 0)),
    "the speaker takes back what others printed": (
        [supported(1, 1, via=(2,)), echoed(3, 1), retracted(2, 1)], "retracted", "R2", (0, 0, 0)),
    "a carrier takes back only what came through it": (
        [supported(1, 1, via=(2,)), echoed(3, 1), retracted(3, 3, by="carrier")], "asserted", "R6", (1, 0, 1)),
    "a carrier takes back all that came through it": (
        [supported(1, 1, via=(2,)), echoed(2, 1), retracted(3, 2, by="carrier")], "retracted", "R2", (0, 0, 0)),
    "what is said after the retraction stands": (
        [supported(1), retracted(2, 1), supported(1, occurred=on(8))], "asserted", "R6", (1, 0, 1)),
    "what may have been said before the retraction falls": (
        [supported(1), retracted(2, 1), supported(1, occurred=on(6, 9))], "retracted", "R2", (0, 0, 0)),
    "the statement that a retraction names falls, whatever their dates": (
        [supported(1, occurred=on(9)), retracted(2, 1)], "retracted", "R2", (0, 0, 0)),
    "a retraction of a merged origin takes the other one along": (
        [supported(1), supported(2), retracted(2, 1), OriginsMerged(kept=1, merged=2)], "retracted", "R2", (0, 0, 0)),
    "a retraction takes back one stance only": (
        [supported(1, occurred=on(8)), denied(1, occurred=on(3)), retracted(3, 1, occurred=on(9))],
        "asserted", "R6", (1, 0, 1)),
    "a retracted claim is retracted, also if somebody denies it": (
        [supported(1), denied(2), retracted(2, 1)], "retracted", "R2", (0, 1, 0)),
    "a superseded support is live": (
        [supported(1), supported(2, 3), denied(1), retracted(3, 2)], "denied", "R3", (0, 1, 0)),
    "its own source corrects it to no stance": (
        [supported(1), corrected(2, 1, by="source", stance="none")], "retracted", "R2", (0, 0, 0)),
    "the desk corrects it to no stance": (
        [supported(1), corrected(2, 1, by="desk", stance="none")], "unassessed", "R7", (0, 0, 0)),
    "we recorded it by mistake": (
        [supported(1), StatementWithdrawn(statement=event(2))], "unassessed", "R7", (0, 0, 0)),
    "we recorded the retraction by mistake": (
        [supported(1), retracted(2, 1), StatementWithdrawn(statement=event(3))], "asserted", "R6", (1, 0, 1)),
    # R3
    "a named speaker denies": ([supported(1), supported(2), denied(3)], "denied", "R3", (2, 1, 2)),
    "a document denies": ([denied(3, attribution="documentary")], "denied", "R3", (0, 1, 0)),
    "an eye-witness denies": ([denied(3, attribution="first_hand")], "denied", "R3", (0, 1, 0)),
    "a denial that an outlet printed": ([supported(1), denied(2, 3, carries=True)], "denied", "R3", (1, 1, 1)),
    "whoever prints the letter after printing the denial denies nothing and withdraws no denial": (
        [denied(2, 3, carries=True, occurred=on(5)), echoed(2, 1, occurred=on(6))], "denied", "R3", (1, 1, 1)),
    # R4
    "an unnamed speaker denies": ([supported(1), denied(3, attribution="anonymous")], "disputed", "R4", (1, 1, 1)),
    "a party denies": ([supported(1), denied(3, standing="interested")], "disputed", "R4", (1, 1, 1)),
    "a part is denied": ([supported(1), denied(3, extent="part")], "disputed", "R4", (1, 1, 1)),
    "weak denials never add up": (
        [denied(n, attribution="anonymous") for n in range(1, 9)], "disputed", "R4", (0, 8, 0)),
    # R5 and R6
    "two origins": ([supported(1), supported(2)], "corroborated", "R5", (2, 0, 2)),
    "an assertion and a corroboration count alike": (
        [supported(1), ClaimCorroborated(source=2, origin=2)], "corroborated", "R5", (2, 0, 2)),
    "one origin, carried by many": (
        [supported(1, 1, via=(2,)), *(echoed(n, 1) for n in range(3, 43))], "asserted", "R6", (1, 0, 41)),
    "one speaker, two origins: nobody corroborates himself": (
        [supported(1, 1), supported(1, 2)], "asserted", "R6", (1, 0, 1)),
    "two speakers, linked by what they both speak for": (
        [supported(1, 1), supported(1, 2), supported(2, 2), supported(2, 3)], "asserted", "R6", (1, 0, 2)),
    "one carrier, two origins: carrying links nothing": (
        [echoed(1, 1), echoed(1, 2)], "corroborated", "R5", (2, 0, 1)),
    "two origins that turn out to be one": (
        [supported(1), supported(2), OriginsMerged(kept=1, merged=2)], "asserted", "R6", (1, 0, 2)),
    "two unnamed speakers may be one": (
        [supported(n, attribution="anonymous") for n in (1, 2)], "asserted", "R6", (2, 0, 2)),
    "one named and one unnamed": (
        [supported(1), supported(2, attribution="anonymous")], "corroborated", "R5", (2, 0, 2)),
    "two parties": ([supported(n, standing="interested") for n in (1, 2)], "asserted", "R6", (2, 0, 2)),
    "a named echo makes an unnamed origin no firmer": (
        [supported(n, attribution="anonymous") for n in (1, 2)] + [echoed(3, 1)], "asserted", "R6", (2, 0, 3)),
    # R7
    "nothing": ([], "unassessed", "R7", (0, 0, 0)),
    "a note": ([ClaimNoted(source=1, origin=1)], "unassessed", "R7", (0, 0, 0)),
    "nobody knows who": ([denied(1, attribution="unattributed")], "unassessed", "R7", (0, 0, 0)),
    "a part is supported": ([supported(1, extent="part")], "unassessed", "R7", (0, 0, 0)),
    "the only denial is taken back": ([denied(1), retracted(2, 1)], "unassessed", "R7", (0, 0, 0)),
    "the unknown speaker is found": (
        [denied(1, attribution="unattributed"), StatementAttributed(statement=event(2), source=2, origin=2)],
        "denied", "R3", (0, 1, 0)),
    # Where a source stands
    "a source stands where it stood last": ([denied(1), supported(1, occurred=on(8))], "asserted", "R6", (1, 0, 1)),
    "who says both at once denies": ([denied(1), supported(1, occurred=on(6))], "denied", "R3", (0, 1, 0)),
    "who says both at times that overlap denies": (
        [denied(1, occurred=on(3, 6)), supported(1)], "denied", "R3", (0, 1, 0)),
    "who says both, one without a date, denies": (
        [denied(1, occurred=UNKNOWN), supported(1)], "denied", "R3", (0, 1, 0)),
    "an outlet's own word is moved by its own word only": (
        [denied(1), echoed(1, 2, occurred=on(8))], "denied", "R3", (1, 1, 1)),
}  # fmt: skip


@pytest.mark.parametrize("row", ROWS)
def test_a_claim_stands_as_the_rules_say(row: str) -> None:
    facts, status, rule, counts = ROWS[row]

    answer = assess(*facts)

    assert (answer.status, answer.rule) == (status, rule)
    assert (answer.counts.support_origins, answer.counts.denial_origins, answer.counts.outlets) == counts


OTHERS: list[tuple[str, list[Fact], str, str]] = [
    ("strict/1", [supported(1), supported(2)], "asserted", "R6"),
    ("strict/1", [supported(1), supported(2), supported(3)], "corroborated", "R5"),
    ("precautionary/1", [supported(1), denied(2, attribution="anonymous")], "denied", "P3"),
    ("precautionary/1", [supported(1), denied(2, attribution="unattributed")], "asserted", "R6"),
    ("balanced/1", [supported(1), denied(2)], "disputed", "B3"),
    ("balanced/1", [denied(2)], "denied", "R3"),
    ("balanced/1", [denied(2, attribution="anonymous")], "disputed", "R4"),
    ("majority/1", [supported(1), supported(2), denied(3)], "corroborated", "M2"),
    ("majority/1", [supported(1), denied(2), denied(3)], "denied", "M1"),
    ("majority/1", [supported(1)], "asserted", "M3"),
    ("majority/1", [supported(1), denied(1)], "disputed", "M4"),
    ("majority/1", [], "unassessed", "R7"),
    ("latest/1", [supported(1), supported(2), denied(3)], "denied", "L1"),
    ("latest/1", [supported(1, occurred=on(8)), supported(2), denied(3)], "corroborated", "L2"),
    ("latest/1", [supported(1, occurred=on(8)), denied(3)], "asserted", "L3"),
    ("latest/1", [], "unassessed", "R7"),
]


@pytest.mark.parametrize(("policy", "facts", "status", "rule"), OTHERS)
def test_the_other_policies_answer_otherwise(policy: str, facts: list[Fact], status: str, rule: str) -> None:
    answer = assess(*facts, policy=policy)

    assert (answer.status, answer.rule, answer.policy) == (status, rule, policy)


# --- what an answer rests on ------------------------------------------------------------------------


def test_one_of_two_denials_does_not_decide_but_each_origin_counts() -> None:
    same_origin = assess(denied(1, 3), denied(2, 3))
    two_origins = assess(denied(1), denied(2))

    assert [ground.event for ground in same_origin.grounds.shown] == [event(2), event(3)]
    assert same_origin.decisive == ()
    assert two_origins.decisive == (event(2), event(3))


def test_a_denial_decides_that_keeps_its_source_from_supporting() -> None:
    answer = assess(supported(1, occurred=on(3)), denied(1, 3), denied(2, 3))

    assert answer.superseded.shown == (event(2),)
    assert answer.decisive == (event(3),)


def test_a_correction_that_changed_no_count_does_not_decide() -> None:
    answer = assess(supported(1), corrected(2, 1, attribution="documentary"))

    assert [ground.event for ground in answer.grounds.shown] == [event(3)]
    assert answer.decisive == ()  # without it, the statement that it put right would be back


def test_lists_are_cut_at_twenty_and_say_how_many_there_are() -> None:
    unnamed = [supported(n, attribution="unattributed") for n in range(1, 31)]

    answer = assess(*(echoed(n, 1) for n in range(1, 31)), *unnamed)

    assert (answer.grounds.total, len(answer.grounds.shown), len(answer.decisive)) == (30, SHOWN, SHOWN)
    assert (answer.set_aside.total, len(answer.set_aside.shown)) == (30, SHOWN)


def test_an_answer_names_one_origin_for_each_that_counts() -> None:
    one_speaker = assess(supported(1, 3), supported(1, 2), supported(2, 4))

    assert one_speaker.origins == (2, 4)
    assert one_speaker.counts.support_origins == 2


def test_a_ground_without_a_date_has_the_time_of_recording() -> None:
    [ground] = assess(ClaimDenied(source=1, origin=1)).grounds.shown

    assert ground.occurred is not None
    assert ground.occurred.basis == "assumed"
    assert ground.occurred.earliest == "2020-02-01T00:00:02.000000Z"


def test_a_denial_is_named_where_the_rule_rests_on_something_else() -> None:
    assert [g.event for g in assess(supported(1), denied(2), retracted(2, 1)).denials] == [event(3)]
    assert assess(supported(1), denied(2)).denials == ()


# --- attention --------------------------------------------------------------------------------------


verdict = ClaimAdjudicated(policy="standing/1", seen=1, status="asserted", verdict="mixed")
evidence = EvidenceAttached(document=1, media_type="text/plain", size=1)

ATTENTION: list[tuple[list[Fact], set[str]]] = [
    ([], set()),
    ([supported(1)], {"no_evidence"}),
    ([supported(1, documents=(1,))], set()),
    ([supported(1), evidence], set()),
    ([evidence, denied(1, attribution="unattributed")], {"who"}),
    ([evidence, supported(1, occurred=UNKNOWN)], {"when"}),
    ([evidence, supported(1, occurred=UNKNOWN), supported(1)], set()),
    ([evidence, denied(1), supported(2, occurred=on(8)), supported(3, occurred=on(8))], {"overtaken"}),
    ([evidence, denied(1), supported(2, occurred=on(8)), supported(3, occurred=on(6))], set()),
    ([evidence, denied(1), supported(2, 2, occurred=on(8)), supported(2, 3, occurred=on(8))], set()),
    ([evidence, denied(1), supported(2), echoed(3, 2, occurred=on(8)), supported(4, occurred=on(8))], set()),
    ([evidence, denied(1, occurred=UNKNOWN), supported(2, occurred=on(8)), supported(3, occurred=on(8))], {"when"}),
    ([evidence, supported(1), verdict], set()),
    ([evidence, denied(1), verdict], {"verdict_stale"}),
    ([denied(1, attribution="unattributed"), supported(2), ClaimWithdrawn()], set()),
]


@pytest.mark.parametrize(("facts", "attention"), ATTENTION)
def test_what_somebody_should_look_at(facts: list[Fact], attention: set[str]) -> None:
    assert set(assess(*facts).attention) == attention


def test_a_verdict_stands_beside_the_status_and_says_when_it_is_stale() -> None:
    fresh, stale = assess(supported(1), verdict).verdict, assess(supported(1), verdict, denied(2)).verdict

    assert fresh is not None
    assert stale is not None
    assert (fresh.verdict, fresh.status, fresh.stale) == ("mixed", "asserted", False)
    assert stale.stale


# --- what had been said by then ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said_by", "status"),
    [(day(4), "unassessed"), (day(5), "asserted"), (day(6), "denied"), (day(7), "asserted")],
)
def test_how_it_stood_by_what_had_been_said(said_by: str, status: str) -> None:
    assert assess(supported(1), denied(2), retracted(3, 2), said_by=said_by).status == status


def test_todays_corrections_hold_for_what_had_been_said_by_then() -> None:
    facts = [supported(1), supported(2), corrected(3, 2, 1), StatementWithdrawn(statement=event(2))]

    assert assess(*facts, said_by=day(5)).counts.support_origins == 1


def test_what_has_no_date_is_left_out_and_named() -> None:
    answer = assess(supported(1), denied(2, occurred=UNKNOWN), supported(3, occurred=on(4, 9)), said_by=day(6))

    assert answer.left_out.shown == (event(3),)
    assert answer.status == "asserted"  # what may have been said later is not taken as said by then


# --- one more ---------------------------------------------------------------------------------------


def test_one_more_statement_is_counted_in_place_also_when_its_source_changes_its_mind() -> None:
    claim = claim_of([ClaimRegistered(), supported(1), supported(2)])
    tally = Tally().follow(claim)

    for position, fact in enumerate([supported(3), echoed(4, 1), denied(1), supported(1, occurred=on(8))], 4):
        evolve(claim, position, leaf(position, fact))

        assert tally.follow(claim) is tally  # nothing was counted anew
        assert DEFAULT.assess(claim, tally) == DEFAULT.assess(claim, Tally.of(claim))


def test_a_fact_that_acts_on_what_was_counted_has_everything_counted_anew() -> None:
    claim = claim_of([ClaimRegistered(), supported(1)])
    tally = Tally().follow(claim)
    evolve(claim, 3, leaf(3, retracted(2, 1)))

    after = tally.follow(claim)

    assert after is not tally
    assert DEFAULT.assess(claim, after).status == "retracted"


# --- policies as such -------------------------------------------------------------------------------


def test_a_policy_is_never_changed_once_it_has_a_digest() -> None:
    """A change to the words of a rule needs a new version: these are what logs have recorded."""
    digests = {policy.id: policy.digest[:16] for policy in POLICIES.values()}

    assert digests == {
        "standing/1": "50beadd74dfd0d00",
        "strict/1": "9b60623a5247bab4",
        "precautionary/1": "9720df4f839f724d",
        "balanced/1": "0b0f793abc4951e1",
        "majority/1": "6956e5c775e24ef5",
        "latest/1": "06208b725ff84c5f",
    }


def test_a_policy_is_found_by_its_id_and_by_its_name() -> None:
    assert policy_named("standing/1") is DEFAULT
    assert policy_named("strict") is POLICIES["strict/1"]


def test_an_unknown_policy_is_answered_with_those_there_are() -> None:
    with pytest.raises(NotFound, match="choose one of standing/1, strict/1"):
        policy_named("standing/2")


def test_an_assessment_has_the_same_digest_for_the_same_facts() -> None:
    assert assess(supported(1)).digest == assess(supported(1)).digest
    assert assess(supported(1)).digest != assess(supported(2)).digest


def test_a_recall_is_a_change_after_which_what_was_printed_no_longer_stands() -> None:
    recalls = {(before, after) for before in get_args(Status) for after in get_args(Status) if is_recall(before, after)}
    every = set(get_args(Status))

    assert {after for before, after in recalls if before == "corroborated"} == every - {"corroborated"}
    assert {after for before, after in recalls if before == "denied"} == every - {"denied", "retracted"}
    assert {after for before, after in recalls if before == "asserted"} == {"retracted", "withdrawn"}
    assert {after for before, after in recalls if before == "disputed"} == {"retracted", "withdrawn"}
    assert not [after for before, after in recalls if before == "unassessed"]
