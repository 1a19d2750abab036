"""A claim as its facts leave it: what each fact changes, whatever came before it."""

from __future__ import annotations

import pytest
from strategies import CLAIM, claim_of, day, event, leaf, on

from events.contracts import (
    FACTS,
    AdjudicationWithdrawn,
    ClaimAdjudicated,
    ClaimAsserted,
    ClaimDenied,
    ClaimLinked,
    ClaimMerged,
    ClaimNoted,
    ClaimPublished,
    ClaimRegistered,
    ClaimReworded,
    ClaimUnlinked,
    ClaimUnpublished,
    ClaimWithdrawn,
    EvidenceAttached,
    Fact,
    OriginsMerged,
    OriginsSplit,
    StatementAttributed,
    StatementCorrected,
    StatementRetracted,
    StatementWithdrawn,
)
from verifier.claim import _CHANGES, Claim, evolve

said = ClaimAsserted(source=1, origin=1, via=(2,), occurred=on(5))
unattributed = ClaimAsserted(source=1, origin=1, via=(2, 3), attribution="unattributed", occurred=on(5))
retracted = StatementRetracted(by="source", party=1, statement=event(1))


def live(*facts: Fact) -> list[str]:
    """The ids of the statements that nobody withdrew or replaced."""
    return [statement.id for statement in claim_of(facts).current()]


def test_a_fact_that_was_seen_already_changes_nothing() -> None:
    claim = claim_of([said])
    evolve(claim, 1, leaf(1, said))

    assert len(claim.said) == 1
    assert claim.events == {event(1): 1}
    assert len(claim.unread) == 1


def test_the_position_is_that_of_the_last_fact_in_the_log_not_of_the_last_to_arrive() -> None:
    claim = Claim(CLAIM)
    evolve(claim, 2, leaf(2, said))
    evolve(claim, 1, leaf(1, ClaimRegistered()))

    assert (claim.position, claim.recorded_at) == (2, leaf(2, said).recorded_at)


def test_every_fact_about_a_claim_changes_it() -> None:
    elsewhere = {"source.registered", "source.updated", "story.opened", "log.opened", "policy.adopted"}
    without_effect = {"statuses.attested", "text.erased", "identity.read"}

    assert {FACTS[name] for name in FACTS.keys() - elsewhere - without_effect} == _CHANGES.keys()


def test_numbers_go_on_after_the_highest_that_any_fact_used() -> None:
    claim = claim_of(
        [
            ClaimRegistered(accuses=(3,)),
            ClaimAsserted(source=1, origin=2, via=(5, 4), documents=(2,)),
            ClaimNoted(source=6, origin=1, quoted_in=7),
            StatementAttributed(statement=event(2), source=2, origin=9),
            OriginsMerged(kept=1, merged=10),
            EvidenceAttached(document=8, media_type="text/plain", size=1),
        ]
    )

    assert (claim.last_party, claim.last_origin, claim.last_document) == (6, 10, 8)


# --- statements that are acted on -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "current"),
    [
        pytest.param([said], [1], id="a statement stands"),
        pytest.param([said, StatementWithdrawn(statement=event(1))], [], id="withdrawn, it is gone"),
        pytest.param([said, retracted], [1], id="retracted, it is current: who knows what else fell with it"),
        pytest.param(
            [said, StatementCorrected(by="desk", stance="denied", statement=event(1), source=1, origin=1)],
            [2],
            id="corrected, the correction stands in its place",
        ),
        pytest.param(
            [
                said,
                StatementCorrected(by="desk", stance="denied", statement=event(1), source=1, origin=1),
                StatementWithdrawn(statement=event(2)),
            ],
            [1],
            id="the correction withdrawn, it stands again",
        ),
        pytest.param(
            [unattributed, StatementAttributed(statement=event(1), source=4, origin=4)],
            [2],
            id="attributed, the attribution stands in its place",
        ),
        pytest.param(
            [
                unattributed,
                StatementAttributed(statement=event(1), source=4, origin=4),
                StatementCorrected(by="desk", stance="asserted", statement=event(2), source=5, origin=5),
            ],
            [3],
            id="an attribution is corrected like any statement",
        ),
        pytest.param(
            [
                unattributed,
                StatementAttributed(statement=event(1), source=4, origin=4),
                StatementWithdrawn(statement=event(2)),
            ],
            [1],
            id="the attribution withdrawn, nobody knows who again",
        ),
    ],
)
def test_what_is_current_after(facts: list[Fact], current: list[int]) -> None:
    assert live(*facts) == [event(position) for position in current]


def test_an_attribution_names_the_speaker_and_keeps_the_time_and_the_carriers() -> None:
    claim = claim_of([unattributed, StatementAttributed(statement=event(1), source=3, origin=4, standing="interested")])

    [statement] = claim.current()

    assert statement.body.source == 3
    assert statement.body.via == (2,)  # a speaker is not among his own carriers
    assert statement.body.origin == 4
    assert statement.body.attribution == "on_record"
    assert statement.body.standing == "interested"
    assert (statement.earliest, statement.latest) == (day(5), day(5))
    assert statement.replaces == event(1)
    assert claim.find(event(1)) is not None  # what was attributed can still be looked up


def test_what_acted_on_a_statement_can_be_named_until_it_is_withdrawn() -> None:
    claim = claim_of([said, retracted])
    assert claim.standing_in(event(1)) == event(2)

    evolve(claim, 3, leaf(3, StatementWithdrawn(statement=event(2))))
    assert claim.standing_in(event(1)) is None
    assert claim.live_retractions() == []


# --- origins ----------------------------------------------------------------------------------------


def test_merged_origins_count_as_the_one_that_was_kept() -> None:
    claim = claim_of([OriginsMerged(kept=1, merged=2), OriginsMerged(kept=3, merged=1)])

    assert claim.origin_roots() == {1: 3, 2: 3}


def test_a_split_undoes_its_merge_and_no_other() -> None:
    claim = claim_of([OriginsMerged(kept=1, merged=2), OriginsMerged(kept=1, merged=3), OriginsSplit(merge=event(1))])

    assert claim.origin_roots() == {3: 1}


def test_merges_that_close_a_circle_still_name_one_origin() -> None:
    circle = [OriginsMerged(kept=1, merged=2), OriginsMerged(kept=2, merged=3), OriginsMerged(kept=3, merged=1)]

    roots = claim_of(circle).origin_roots()

    assert {roots.get(origin, origin) for origin in (1, 2, 3)} == {1}


# --- verdicts, links, wording, publications, the end ------------------------------------------------


def verdict(**more: object) -> ClaimAdjudicated:
    return ClaimAdjudicated(policy="standing/1", seen=1, status="asserted", verdict="mixed", **more)


@pytest.mark.parametrize(
    ("facts", "standing"),
    [
        ([], None),
        ([verdict()], 1),
        ([verdict(), verdict(replaces=event(1))], 2),
        ([verdict(), AdjudicationWithdrawn(adjudication=event(1))], None),
        ([verdict(), verdict(replaces=event(1)), AdjudicationWithdrawn(adjudication=event(2))], None),
    ],
    ids=["none", "one", "replaced", "withdrawn", "the replacement withdrawn"],
)
def test_the_verdict_that_stands(facts: list[Fact], standing: int | None) -> None:
    found = claim_of(facts).verdict

    assert (found.id if found else None) == (event(standing) if standing else None)


def test_the_wording_is_that_of_the_last_rewording() -> None:
    facts: list[Fact] = [ClaimRegistered(kind="event")]
    assert claim_of(facts).wording == event(1)
    assert claim_of(facts).form == ClaimRegistered(kind="event")

    facts += [ClaimReworded(replaces=event(1), kind="decision"), ClaimReworded(replaces=event(2), kind="content")]
    assert claim_of(facts).wording == event(3)
    assert claim_of(facts).form == ClaimReworded(replaces=event(2), kind="content")


def test_links_and_publications_are_kept_beside_what_took_them_back() -> None:
    claim = claim_of(
        [
            ClaimLinked(kind="contradicts", to="clm_b"),
            ClaimUnlinked(link=event(1)),
            ClaimPublished(day="2020-01-06", seen=1, status="asserted"),
            ClaimUnpublished(publication=event(3)),
        ]
    )

    assert (claim.links.keys(), claim.links_gone) == ({event(1)}, {event(1)})
    assert (claim.publications.keys(), claim.publications_gone) == ({event(3)}, {event(3)})


@pytest.mark.parametrize("end", [ClaimWithdrawn(), ClaimMerged(assignments=(), into="clm_b")])
def test_a_claim_ends_once(end: Fact) -> None:
    claim = claim_of([ClaimRegistered(), end])

    assert claim.ended == (event(2), end)


def test_an_open_question_takes_no_stances() -> None:
    assert claim_of([ClaimRegistered()]).checkable
    assert not claim_of([ClaimRegistered(checkable=False)]).checkable
    assert not claim_of([]).checkable


def test_a_statement_came_to_us_through_its_carriers_or_from_the_source_itself() -> None:
    carried, direct = claim_of([said, ClaimDenied(source=4, origin=4)]).said.values()

    assert carried.outlets == (2,)
    assert direct.outlets == (4,)
