"""What holds for every claim: laws of the policies, and the fast way of counting against the slow one.

A failing example prints the `@reproduce_failure` line that brings it back. `LAW_EXAMPLES=5000` runs more.
"""

from __future__ import annotations

import gc
import random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from laws import ALL, assess, laws
from oracle import decisive, judge
from strategies import (
    ACCUSED,
    CLAIM,
    STATEMENTS,
    History,
    attributions,
    bodies,
    claim_of,
    day,
    histories,
    leaf,
    sources,
    standings,
    times,
)

from events.contracts import ClaimAsserted, ClaimDenied, Fact, OriginsMerged, Party, StatementRetracted
from events.leaf import Leaf
from verifier.assessment import Assessment
from verifier.claim import Claim, evolve
from verifier.commands import Deny
from verifier.decide import decide
from verifier.decide.known import Known
from verifier.names import Names
from verifier.policy import DEFAULT, POLICIES, Policy
from verifier.tally import Tally

STANDING = ["standing/1", "strict/1", "precautionary/1", "balanced/1"]
"""The policies that people publish by; the others, for comparison, break some of these laws."""

HEIGHT = {"denied": 0, "retracted": 0, "withdrawn": 0, "disputed": 1, "unassessed": 1, "asserted": 2, "corroborated": 3}
"""How far a status supports its claim."""

standing_policies = st.sampled_from(STANDING).map(POLICIES.__getitem__)


def more(history: History, *facts: Fact) -> list[Leaf]:
    start = len(history.facts) + 1
    return [*history.facts, *(leaf(position, fact) for position, fact in enumerate(facts, start))]


def outcome(assessment: Assessment) -> tuple[object, ...]:
    return assessment.status, assessment.rule, assessment.counts


# --- the whole set, in any order --------------------------------------------------------------------


@laws
@given(histories(), st.randoms())
def test_order_and_repetition_change_nothing(history: History, shuffle: random.Random) -> None:
    arrived = list(enumerate(history.facts, 1))
    arrived += shuffle.choices(arrived, k=len(arrived) // 2)
    shuffle.shuffle(arrived)
    claim, running = Claim(CLAIM), Tally()

    for position, fact in arrived:
        evolve(claim, position, fact)
        running = running.follow(claim)

        for policy in POLICIES.values():
            assert policy.assess(claim, running) == policy.assess(claim, Tally.of(claim))
    in_order = claim_of(history.facts)
    for policy in POLICIES.values():
        assert policy.assess(claim, running).digest == policy.assess(in_order, Tally.of(in_order)).digest


def test_a_claim_that_is_let_go_is_gone_without_a_collection() -> None:
    # The server lets claims go by the hundred thousand, and its collector hardly ever looks at what is old.
    gc.disable()
    gc.freeze()  # so that a collection looks only at what is made from here on
    try:
        let_go()
    finally:
        gc.unfreeze()
        gc.enable()


@laws
@given(histories(), st.sampled_from(ALL))
def let_go(history: History, policy: str) -> None:
    gc.collect()
    claim, tally = Claim(CLAIM), Tally()
    for position, fact in enumerate(history.facts, 1):
        evolve(claim, position, fact)
        tally = tally.follow(claim)
        POLICIES[policy].assess(claim, tally)
    del claim, tally

    assert gc.collect() == 0


@laws
@given(histories(max_size=16), st.sampled_from(ALL))
def test_what_is_counted_one_by_one_is_what_the_rules_say(history: History, policy: str) -> None:
    claim, running = Claim(CLAIM), Tally()
    for position, fact in enumerate(history.facts, 1):
        evolve(claim, position, fact)
        running = running.follow(claim)
        seen = history.facts[:position]

        assert_as_judged(POLICIES[policy].assess(claim, running), running, seen, policy)


@laws
@given(histories(), st.sampled_from(ALL), st.sampled_from([day(2), day(4), "2020-02-01T00:00:04.000000Z"]))
def test_what_had_been_said_by_a_moment_is_what_the_rules_say(history: History, policy: str, said_by: str) -> None:
    claim = claim_of(history.facts)
    tally = Tally.of(claim, said_by=said_by)

    assessment = POLICIES[policy].assess(claim, tally)

    assert_as_judged(assessment, tally, history.facts, policy, said_by)


def assert_as_judged(
    assessment: Assessment, tally: Tally, facts: list[Leaf], policy: str, said_by: str | None = None
) -> None:
    expected, counts = judge(facts, policy, said_by), assessment.counts
    assert (assessment.status, assessment.rule) == (expected.status, expected.rule)
    assert (counts.support_origins, counts.denial_origins, counts.outlets) == expected.counts
    assert assessment.grounds.total == len(expected.grounds)
    assert tuple(ground.event for ground in assessment.grounds.shown) == expected.grounds[:20]
    assert list(assessment.decisive) == decisive(facts, policy, said_by)
    assert {(aside.event, aside.reason) for aside in assessment.set_aside.shown} == expected.set_aside
    assert set(assessment.superseded.shown) == expected.superseded
    assert set(assessment.left_out.shown) == expected.left_out
    if expected.rule != "R0":
        assert ("who" in assessment.attention) == expected.unattributed
        assert ("overtaken" in assessment.attention) == (expected.overtaken and expected.status == "denied")
        counted = bool(tally.supports.total or tally.denials)
        assert ("no_evidence" in assessment.attention) == (counted and not expected.documented)


# --- echoes, retractions, merges, the accused -------------------------------------------------------


@laws
@given(histories(min_size=2, ended=False), standing_policies, sources, attributions, standings, times(), st.data())
def test_an_echo_of_a_counted_origin_never_raises_a_status(
    history: History,
    policy: Policy,
    source: int,
    attribution: str,
    standing: str,
    occurred: object,
    data: st.DataObject,
) -> None:
    claim = claim_of(history.facts)
    tally = Tally.of(claim)
    counted = [said.body.origin for said in tally.supports.first]
    assume(counted)
    origin = data.draw(st.sampled_from(counted))
    echo = ClaimAsserted(
        attribution=attribution, carries=True, occurred=occurred, origin=origin, source=source, standing=standing
    )

    after = assess(more(history, echo), policy)

    assert HEIGHT[after.status] <= HEIGHT[policy.assess(claim, tally).status]


@laws
@given(histories(min_size=2, ended=False), standing_policies, st.data())
def test_an_echo_by_a_new_source_changes_at_most_the_number_of_outlets(
    history: History, policy: Policy, data: st.DataObject
) -> None:
    claim = claim_of(history.facts)
    tally = Tally.of(claim)
    counted = [said.body.origin for said in tally.supports.first]
    assume(counted)
    origin, new_source = data.draw(st.sampled_from(counted)), 8

    before = policy.assess(claim, tally)
    after = assess(more(history, ClaimAsserted(carries=True, origin=origin, source=new_source)), policy)

    assert (after.status, after.rule) == (before.status, before.rule)
    assert after.counts.support_origins == before.counts.support_origins
    assert after.counts.denial_origins == before.counts.denial_origins
    assert after.counts.outlets - before.counts.outlets in (0, 1)  # 0 where the origin was retracted without a date


@laws
@given(histories(ended=False), standing_policies, bodies())
def test_retracting_the_only_denial_restores_the_status_before_it(
    history: History, policy: Policy, body: dict[str, object]
) -> None:
    before = assess(history.facts, policy)
    assume(before.counts.denial_origins == 0)
    denial = ClaimDenied(**body)
    denied = more(history, denial)
    taken_back = StatementRetracted(
        by="carrier" if denial.carries else "source", party=denial.source, statement=denied[-1].id
    )

    after = assess(more(history, denial, taken_back), policy)

    assert outcome(after) == outcome(before)


@laws
@given(histories(ended=False), standing_policies, st.lists(bodies(), min_size=2, max_size=5))
def test_merging_origins_that_carry_only_supports_never_raises_a_status(
    history: History, policy: Policy, supports: list[dict[str, object]]
) -> None:
    """Neither origin was denied or retracted. Merged with one that was retracted, an origin falls with it, and
    what falls can be the very anonymous voice that kept it from being firm."""
    ours = [7, 8]
    said = [ClaimAsserted(**{**body, "origin": ours[number % 2]}) for number, body in enumerate(supports)]
    before = assess(more(history, *said), policy)

    after = assess(more(history, *said, OriginsMerged(kept=7, merged=8)), policy)

    assert HEIGHT[after.status] <= HEIGHT[before.status]


@laws
@given(histories(ended=False))
def test_when_the_accused_denies_with_all_defaults_the_claim_is_disputed_never_denied(history: History) -> None:
    claim = claim_of(history.facts)
    before = DEFAULT.assess(claim, Tally.of(claim))
    accused = Party(id="src_" + "a" * 26, name="The accused")
    names = Names(parties={ACCUSED: accused}, party_numbers={accused.id: ACCUSED})
    known = Known(
        lineage="log_" + "a" * 26,
        actor="desk",
        command="0" * 64,
        claim=claim,
        names=names,
        parties={accused.name: accused},
    )

    [draft] = decide(known, Deny(source=accused.name))
    after = assess(more(history, draft.fact))

    expected = before.status if before.status in ("denied", "retracted") else "disputed"
    assert after.status == expected


# --- what an answer says about its facts ------------------------------------------------------------


@laws
@given(histories(min_size=1, max_size=16), st.sampled_from(ALL).map(POLICIES.__getitem__))
def test_without_a_decisive_fact_something_changes_and_without_one_set_aside_nothing_does(
    history: History, policy: Policy
) -> None:
    whole = assess(history.facts, policy)
    put_right = {fact.id for fact in history.facts if type(fact.fact) not in STATEMENTS.values()}

    for event in whole.decisive:
        assert outcome(assess_without(event, history, policy)) != outcome(whole)
    for event in {
        aside.event for aside in whole.set_aside.shown
    } - put_right:  # without a correction, the old one is back
        assert outcome(assess_without(event, history, policy)) == outcome(whole)


def assess_without(event: str, history: History, policy: Policy) -> Assessment:
    claim = Claim(CLAIM)
    for position, fact in enumerate(history.facts, 1):
        if fact.id != event:
            evolve(claim, position, fact)
    return policy.assess(claim, Tally.of(claim))


@pytest.mark.parametrize("policy", STANDING)
def test_a_late_echo_of_any_number_of_outlets_leaves_a_denied_claim_denied(policy: str) -> None:
    denied = [ClaimAsserted(source=1, origin=1, via=(2,)), ClaimDenied(source=3, origin=3)]
    echoes = [ClaimAsserted(carries=True, source=outlet, origin=1) for outlet in range(4, 44)]

    after = assess((leaf(position, fact) for position, fact in enumerate(denied + echoes, 1)), POLICIES[policy])

    assert after.status in ("denied", "disputed")
    assert (after.counts.support_origins, after.counts.outlets) == (1, 41)
