"""The case that the product was made from, played through its client: how every claim stands at every
checkpoint, and one test for each trap that a product can fall into. TR… are the file's own names for them."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from serving import served

from events.archive import export
from events.open import open_log
from verifier.answers import Change, Claim, Done, Event, Source, Statement, Written
from verifier.case import Case, Step, letter, play
from verifier.client import Verifier
from verifier.commands import AssertClaim, Corroborate, Deny, First, Quotation, RegisterClaim
from verifier.errors import Problem, Refused

MARKS = '"“”„«»‘‹›'
"""Quotation marks; an apostrophe is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """The case as it was played, with everything that the log then says."""

    case: Case
    steps: Sequence[Step]
    claims: dict[str, Claim]
    statements: dict[str, list[Statement]]
    events: Sequence[Event]
    changes: Sequence[Change]
    sources: Sequence[Source]
    text: bytes

    def step(self, name: str) -> Step:
        return next(step for step in self.steps if step.checkpoint.name.startswith(name))

    def event(self, id: str) -> Event:
        """Return the event that a statement of the file became."""
        (recorded,) = self.steps[-1].statements[id]
        return next(event for event in self.events if event.id == recorded)


async def record(url: str) -> Played:
    case = letter()
    async with Verifier.open(url) as verifier:
        steps = [step async for step in play(verifier, case)]
        ids = steps[-1].claims
        return Played(
            case=case,
            steps=steps,
            claims={name: await verifier.claim(id) for name, id in ids.items()},
            statements={name: [said async for said in verifier.statements(id)] for name, id in ids.items()},
            events=[event async for event in verifier.events()],
            changes=[change async for change in verifier.changes()],
            sources=[source async for source in verifier.sources()],
            text=await verifier.evidence(case.sha256),
        )


@pytest.fixture(scope="module", params=["embedded", "over HTTP"])
def played(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """The case, played to its end: embedded, and by a server on a log on disk."""
    if request.param == "embedded":
        yield asyncio.run(record("memory:"))
        return
    with served(f"sqlite:///{tmp_path_factory.mktemp('letter')}/letter.db") as serving:
        yield asyncio.run(record(serving.address))


# --- the checkpoints -------------------------------------------------------------------------------


@pytest.mark.parametrize("checkpoint", [checkpoint.name[:2] for checkpoint in letter().checkpoints])
def test_every_claim_stands_as_a_careful_editor_has_it(played: Played, checkpoint: str) -> None:
    step = played.step(checkpoint)

    stands = {name: as_the_file_says_it(claim) for name, claim in step.standing.items()}

    assert stands == {
        name: {
            "status": expected.status,
            "rule": expected.rule,
            "support_origins": expected.support_origins,
            "denial_origins": expected.denial_origins,
            "outlets": expected.outlets,
            "set_aside": [(step.statements[event][0], reason) for event, reason in expected.set_aside],
        }
        for name, expected in step.checkpoint.expected.items()
    }


def as_the_file_says_it(claim: Claim) -> dict[str, Any]:
    counts = claim.counts
    return {
        "status": claim.status,
        "rule": claim.rule,
        "support_origins": counts.support_origins,
        "denial_origins": counts.denial_origins,
        "outlets": counts.outlets,
        "set_aside": [(aside["event"], aside["reason"]) for aside in claim.computed.set_aside["shown"]],
    }


def test_the_last_checkpoint_names_every_claim(played: Played) -> None:
    assert set(played.steps[-1].checkpoint.expected) == set(played.case.claims) == set(played.claims)


def test_the_end_says_in_a_sentence_why(played: Played) -> None:
    plan, authentic = played.claims["clm:withdraw"], played.claims["clm:letter-authentic"]

    assert plan.explanation.startswith(
        "Denied by Mark Esper, on the record, 6 January 2020. "
        "Asserted by one origin, the letter, carried by 4 outlets, which count once."
    )
    assert authentic.explanation == "Corroborated by two origins, a copy seen by AFP and a senior Pentagon official."


async def test_played_again_it_records_nothing_and_ends_the_same(embedded: Verifier) -> None:
    first = [step async for step in play(embedded)]
    head = (await embedded.health()).head

    again = [step async for step in play(embedded)]

    assert (await embedded.health()).head == head
    assert again[-1] == first[-1]


# --- the traps -------------------------------------------------------------------------------------


def test_tr1_an_authentic_letter_is_not_a_plan(played: Played) -> None:
    after_esper = played.step("T5").standing

    assert played.steps[-1].claims["clm:withdraw"] != played.steps[-1].claims["clm:letter-authentic"]
    assert after_esper["clm:letter-authentic"].status == "corroborated"
    assert after_esper["clm:withdraw"].status == "denied"


def test_tr2_four_outlets_that_carry_one_document_are_one_origin(played: Played) -> None:
    before_esper = played.step("T4").standing["clm:withdraw"]
    ever = {change.status for change in played.changes if change.claim == before_esper.id}

    assert (before_esper.counts.outlets, before_esper.counts.support_origins) == (4, 1)
    assert "corroborated" not in ever


def test_tr4_what_pompeo_said_the_day_before_is_no_answer_to_the_letter(played: Played) -> None:
    (pompeo,) = [said for said in played.statements["clm:withdraw"] if said.source_name == "Pompeo"]

    assert (pompeo.stance, pompeo.standing) == ("none", "note")
    assert pompeo.occurred is not None
    assert pompeo.occurred["earliest"].startswith("2020-01-05")


def test_tr5_the_paragraph_on_spacex_is_another_story_without_a_link(played: Played) -> None:
    letters = played.claims["clm:withdraw"].story
    others = {name: claim for name, claim in played.claims.items() if claim.story != letters}
    ids = {claim.id for claim in others.values()}

    assert set(others) == {"clm:spacex-explosion", "clm:spacex-dock"}
    assert all(not claim.links for claim in others.values())
    assert all(link["to"] not in ids for claim in played.claims.values() for link in claim.links)


def test_tr6_the_dangling_quotation_is_kept_changes_nothing_and_asks_who_said_it(played: Played) -> None:
    before, after = (played.step(name).standing["clm:withdraw"] for name in ("T5", "T6"))
    (dangling,) = [said for said in played.statements["clm:withdraw"] if said.event == played.event("e08").id]

    assert (after.status, after.rule, after.counts) == (before.status, before.rule, before.counts)
    assert (dangling.attribution, dangling.standing) == ("unattributed", "set_aside")
    assert dangling.quote is not None
    assert dangling.quote["exact"] == '"That letter is inconsistent of where we are right now"'
    assert "who" in after.attention
    assert "who" not in before.attention


def test_tr7_so_is_the_second_one_about_hours_of_darkness(played: Played) -> None:
    claim = played.claims["clm:darkness-quote"]
    (words,) = played.statements["clm:darkness-quote"]

    assert (claim.status, claim.label) == ("unassessed", "an open question")
    assert (words.attribution, words.stance) == ("unattributed", "none")
    assert words.quote is not None
    assert "during hours of darkness" in words.quote["exact"]
    assert "who" in claim.attention


def test_tr8_the_official_has_a_description_counts_once_and_nobody_holds_a_name(played: Played) -> None:
    confirmed = played.event("e05")
    assert confirmed.identity is not None
    (official,) = [p for p in confirmed.identity["parties"].values() if "official" in p["name"]]
    (said,) = [said for said in played.statements["clm:letter-authentic"] if said.event == confirmed.id]

    assert {name for name, value in official.items() if value} == {"id", "name"}
    assert official["name"] == said.source_name == "a senior Pentagon official"
    assert official["id"] not in {source.id for source in played.sources if source.role or source.aliases}
    assert official["id"] not in {event.stream.partition(":")[2] for event in played.events}
    assert played.claims["clm:letter-authentic"].counts.support_origins == 2


async def test_tr8_the_same_description_elsewhere_is_not_taken_for_the_same_person(embedded: Verifier) -> None:
    official: dict[str, Any] = {"source": "a senior Pentagon official", "attribution": "anonymous"}
    one = await embedded.assert_claim("The letter is authentic", story="letter", **official)
    other = await embedded.assert_claim("The letter was sent", story="letter", **official)

    ids = {said.source_id for claim in (one, other) async for said in embedded.statements(claim)}

    assert len(ids) == 2


def test_tr11_what_one_document_says_twice_has_one_origin(played: Played) -> None:
    claim = played.claims["clm:cjtf-name"]

    assert len(played.statements["clm:cjtf-name"]) == 2
    assert (claim.status, claim.counts.support_origins) == ("asserted", 1)


async def test_tr13_forty_late_echoes_leave_it_denied(embedded: Verifier) -> None:
    plan = await withdrawal(embedded, said_of("clm:withdraw"))
    echoes = [AssertClaim(source=f"outlet {n}", origin="the letter", occurred="2020-01-07") for n in range(40)]

    told(await embedded.batch((plan, echo) for echo in echoes))

    late = await embedded.claim(plan)
    assert (late.status, late.counts.support_origins, late.counts.outlets) == ("denied", 1, 44)


async def test_tr14_every_order_of_the_statements_on_the_plan_ends_denied(embedded: Verifier) -> None:
    by_event: dict[str, list[First]] = {}
    for said in letter().said:
        if said.claim == "clm:withdraw" and said.id.startswith("e"):
            by_event.setdefault(said.id, []).append(replace(said.command, quote=None))
    orders = [[statement for event in order for statement in by_event[event]] for order in permutations(by_event)]
    assert len(orders) == letter().raw["invariants"]["permutations_of_withdraw_events_checked"]
    register = [RegisterClaim(text=f"The United States plans to withdraw, {n}") for n in range(len(orders))]
    plans = [answer.id for answer in told(await embedded.batch(register))]

    told(await embedded.batch((plan, said) for plan, order in zip(plans, orders, strict=True) for said in order))

    ends = [as_the_file_says_it(claim) | {"set_aside": len(claim.computed.set_aside["shown"])}
            async for claim in embedded.claims()]  # fmt: skip
    assert len(ends) == len(orders)
    assert ends == len(orders) * [
        {"status": "denied", "rule": "R3", "support_origins": 1, "denial_origins": 1, "outlets": 4, "set_aside": 1}
    ]


async def test_tr15_no_plans_now_says_nothing_of_a_plan_in_march(embedded: Verifier) -> None:
    plan = await withdrawal(embedded, said_of("clm:withdraw"))
    march = replace(letter().claims["clm:withdraw"], text="The United States plans to withdraw (as of 1 March 2020).",
                    valid_from="2020-03-01")  # fmt: skip

    later = await embedded.send(march)

    assert isinstance(later, Written)
    assert later.id != plan.id
    assert later.status == "unassessed"
    assert (await embedded.claim(plan)).valid_from == "2020-01-06T00:00:00.000000Z"


def test_tr16_an_opinion_that_presupposes_the_plan_adds_no_support(played: Played) -> None:
    plan, opinion = played.claims["clm:withdraw"], played.claims["clm:major-moment"]

    assert [(link["kind"], link["to"]) for link in opinion.links] == [("presupposes", plan.id)]
    assert (opinion.kind, opinion.checkable, opinion.status) == ("opinion", False, "unassessed")
    assert plan.counts.support_origins == 1


async def test_tr16_an_opinion_takes_no_stance(embedded: Verifier) -> None:
    opinion = await embedded.send(letter().claims["clm:major-moment"])

    with pytest.raises(Refused, match="open question"):
        await embedded.assert_claim(opinion.id, source="the seed article")


def test_tr17_no_sentence_of_ours_has_a_quotation_mark(played: Played) -> None:
    sentences = [text for claim in played.claims.values() for text in (claim.label, claim.explanation)]
    sentences += [text for change in played.changes for text in (change.label, change.explanation)]
    sentences += [text for step in played.steps for claim in step.standing.values() for text in (claim.explanation,)]

    assert [sentence for sentence in sentences if any(mark in sentence for mark in MARKS)] == []


async def test_tr17_neither_the_log_nor_an_export_puts_espers_words_between_quotation_marks(tmp_path: Path) -> None:
    place = f"sqlite:///{tmp_path}/letter.db"
    played = await record(place)
    file = io.BytesIO()
    async with await open_log(place, writable=False, create=None) as log:
        await export(log, file)

    exported = [json.loads(line) for line in file.getvalue().splitlines()]
    wordings = [json.loads(line["wording"]) for line in exported if line.get("wording")]
    texts = list(strings([wordings, [event.wording for event in played.events]]))

    assert sum("no plans to pull out" in text for text in texts) >= 4  # both statements of it, twice
    assert not any(mark + "The United States has no plans" in text for mark in MARKS for text in texts)


@pytest.mark.parametrize(
    ("event", "expression", "day", "basis"),
    [
        ("e07", "Monday", "2020-01-06", "inferred"),
        ("e20", "Fox News Sunday", "2020-01-05", "inferred"),
        ("e21", "Friday", "2020-01-03", "inferred"),
        ("e22", "On Jan. 5, 2020", "2020-01-05", "explicit"),
    ],
)
def test_tr18_a_relative_date_keeps_its_words_and_says_that_it_was_worked_out(
    played: Played, event: str, expression: str, day: str, basis: str
) -> None:
    recorded = played.event(event)
    assert recorded.wording is not None
    occurred = recorded.fact["occurred"]

    assert recorded.wording["expression"] == expression
    assert (occurred["earliest"][:10], occurred["latest"][:10]) == (day, day)
    assert (occurred["basis"], occurred["precision"]) == (basis, "day")
    assert ("certain" if basis == "explicit" else "inferred, high") in recorded.wording["note"]


def test_tr18_a_date_that_can_not_be_resolved_stays_unknown(played: Played) -> None:
    assert played.event("e26").fact["occurred"]["precision"] == "unknown"


def test_tr19_every_quote_was_looked_up_and_stands_where_it_says(played: Played) -> None:
    quotes = [event for event in played.events if (event.wording or {}).get("quote")]

    assert len(quotes) == len(played.case.said)
    assert {event.fact["quoted"] for event in quotes} == {"found"}
    for event in quotes:
        assert event.wording is not None
        quote = event.wording["quote"]
        assert played.text.decode()[quote["start"] : quote["end"]] == quote["exact"]


@pytest.mark.parametrize("words", ["We respect your sovereign decision", "We respect your sovereignty decisiom"])
async def test_tr19_one_changed_letter_is_not_found(embedded: Verifier, words: str) -> None:
    case = letter()
    claim = await embedded.register("The letter speaks of a sovereignty decision")
    await embedded.attach(claim, case.text)

    with pytest.raises(Refused) as refusal:
        await embedded.assert_claim(
            claim.id, source="another outlet", quote=Quotation(exact=words, document=case.sha256)
        )

    assert refusal.value.rule == "quote-not-found"


# --- the coarse variant: one claim, three events ---------------------------------------------------


def coarse() -> tuple[str, dict[str, First]]:
    """Return the claim and the three statements."""
    raw = letter().raw["coarse_variant"]
    kinds = {"asserted": AssertClaim, "corroborated": Corroborate, "denied": Deny}
    statements = {
        event["id"]: kinds[event["type"]](
            source=event["source"],
            origin=event["origin"],
            attribution=event.get("attribution", "on_record"),
            via=tuple(event.get("via", ())),
            occurred=event["occurred_at"],
        )
        for event in raw["events"]
    }
    return raw["claim"]["text"], statements


async def test_the_coarse_claim_goes_from_asserted_to_corroborated_to_denied(embedded: Verifier) -> None:
    text, statements = coarse()
    claim = await embedded.register(text)

    statuses = [claim.status]
    for statement in statements.values():
        statuses.append(stands(await embedded.send(statement, on=claim)).status)  # noqa: PERF401  # one after the other

    assert statuses == letter().raw["coarse_variant"]["expected_by_step"]


@pytest.mark.parametrize("order", list(permutations(coarse()[1])), ids=" ".join)
async def test_tr14_the_coarse_claim_ends_denied_in_every_order(embedded: Verifier, order: tuple[str, ...]) -> None:
    text, statements = coarse()

    claim = await withdrawal(embedded, [statements[event] for event in order], text=text)

    assert claim.status == letter().raw["coarse_variant"]["expected_for_every_order"]


async def test_the_coarse_claim_stays_denied_after_forty_late_echoes(embedded: Verifier) -> None:
    text, statements = coarse()
    claim = await withdrawal(embedded, list(statements.values()), text=text)

    told(await embedded.batch((claim, AssertClaim(source=f"outlet {n}", origin="the letter")) for n in range(40)))

    assert (await embedded.claim(claim)).status == letter().raw["coarse_variant"]["after_40_late_echoes"]


async def test_the_coarse_claim_is_corroborated_once_esper_retracts(embedded: Verifier) -> None:
    text, statements = coarse()
    claim = await withdrawal(embedded, list(statements.values()), text=text)

    after = await embedded.retract(claim, claim.statement, by="Mark Esper")

    assert after.status == letter().raw["coarse_variant"]["after_esper_retracts"]


async def test_the_coarse_claim_is_disputed_if_only_an_interested_party_denies(embedded: Verifier) -> None:
    text, statements = coarse()
    statements["k3"] = replace(statements["k3"], standing="interested")

    claim = await withdrawal(embedded, list(statements.values()), text=text)

    assert claim.status == letter().raw["coarse_variant"]["if_denier_were_only_an_interested_party"]


# --- helpers ---------------------------------------------------------------------------------------


def said_of(claim: str) -> list[First]:
    """Return what the file records on a claim, without the quotes, whose document this log doesn't hold."""
    return [replace(said.command, quote=None) for said in letter().said if said.claim == claim]


async def withdrawal(verifier: Verifier, statements: Sequence[First], *, text: str | None = None) -> Written:
    """Register the claim on the plan, or one of this wording, and record statements on it."""
    claim = letter().claims["clm:withdraw"]
    written = stands(await verifier.send(replace(claim, text=text) if text else claim))
    for statement in statements:
        written = stands(await verifier.send(statement, on=written))
    return written


def stands(answer: Written | Done) -> Written:
    assert isinstance(answer, Written)
    return answer


def told(answers: Sequence[Done | Problem]) -> list[Done]:
    """Return the answers of a batch, of which no line was refused."""
    return [answer for answer in answers if isinstance(answer, Done) or pytest.fail(str(answer))]


def strings(value: Any) -> Iterator[str]:
    """Return every text in a JSON value."""
    match value:
        case str():
            yield value
        case dict():
            for inner in value.values():
                yield from strings(inner)
        case list() | tuple():
            for inner in value:
                yield from strings(inner)
