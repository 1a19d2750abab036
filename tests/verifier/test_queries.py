"""The questions: each answered from one state, saying on what it rests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from newsroom import Newsroom

from events.contracts import (
    ClaimCorroborated,
    ClaimLinked,
    ClaimMerged,
    ClaimNoted,
    ClaimReworded,
    ClaimUnlinked,
    StatementAttributed,
    StatementCorrected,
    StatementRetracted,
    StatementWithdrawn,
    Wording,
)
from events.memory import MemoryLog
from verifier import answers
from verifier.adopted import Adopted
from verifier.client import Verifier
from verifier.errors import DuplicateClaim, Invalid, NotFound, ViewsBehind
from verifier.projections import Views
from verifier.projections.sqlite import SqlitePlace
from verifier.queries import Queries

PLAN = "The United States plans to withdraw its forces from Iraq"
LETTER = "The letter is authentic"


@dataclass
class Desk:
    """A log in memory with views that take events when they are told to."""

    log: MemoryLog
    newsroom: Newsroom
    views: Views
    queries: Queries

    async def claim(self, id: str, **asked: Any) -> answers.Claim:
        """Ask for a claim as the client does: the answer must have its shape."""
        await self.views.catch_up()
        return answers.Claim.model_validate(await self.queries.claim(id, **asked))

    async def page(self, asked: Any, shape: type[answers.Answer] | None = None) -> list[Any]:
        """Ask for a page and return its items, in their shape."""
        page = answers.Page.model_validate(await asked)
        return [shape.model_validate(item) for item in page.items] if shape else list(page.items)


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    """A desk."""
    log = await MemoryLog.open()
    adopted = await Adopted.read(log)
    views = await Views.open(SqlitePlace(), log, adopted)
    yield Desk(log, Newsroom(log), views, Queries(log, views, adopted))
    await views.close()


# --- one claim -------------------------------------------------------------------------------------


async def test_a_claim_is_answered_with_label_sentence_and_basis(desk: Desk) -> None:
    claim = await desk.newsroom.claim(PLAN)
    await desk.newsroom.say(claim, "AFP", origin="the letter", via=["Newsweek"])
    await desk.newsroom.deny(claim, "Mark Esper")

    answer = await desk.claim(claim)

    assert (answer.status, answer.label, answer.text) == ("denied", "denied by Mark Esper", PLAN)
    assert "the letter" in answer.explanation
    assert answer.basis.log == desk.log.id
    assert (answer.position, answer.basis.position) == (4, 4)
    assert answer.basis.policy == "standing/1"
    assert answer.basis.state_digest is not None and not answer.behind


async def test_rows_and_log_give_the_same_answer(desk: Desk) -> None:
    claim = await desk.newsroom.claim(PLAN)
    event = await desk.newsroom.say(claim, "AFP", origin="the letter", via=["Newsweek", "Reuters"])
    await desk.newsroom.deny(claim, "Mark Esper")
    await desk.newsroom.adjudicate(claim)
    await desk.newsroom.erase(f"claim:{claim}", event, "identity")
    await desk.views.catch_up()

    from_rows = await desk.queries.claim(claim)
    from_log = await desk.queries.claim(claim, as_of=await desk.log.head())

    assert from_rows == from_log


async def test_a_claim_stands_as_it_stood_at_a_position_and_at_a_time(desk: Desk) -> None:
    claim = await desk.newsroom.claim(PLAN)
    await desk.newsroom.say(claim, "AFP")
    await desk.newsroom.say(claim, "Reuters", ClaimCorroborated)
    await desk.newsroom.deny(claim, "Mark Esper")
    events = [event async for page in desk.log.read_all() for event in page]

    by_position = [(await desk.claim(claim, as_of=position)).status for position in (2, 3, 4, 5)]
    by_time = await desk.claim(claim, as_of=events[3].recorded_at)

    assert by_position == ["unassessed", "asserted", "corroborated", "denied"]
    assert (by_time.status, by_time.basis.position, by_time.basis.recorded_at) == (
        "corroborated",
        4,
        events[3].recorded_at,
    )


async def test_the_policy_of_then_decides_unless_another_one_is_named(desk: Desk) -> None:
    claim = await desk.newsroom.claim(PLAN)
    await desk.newsroom.say(claim, "AFP")
    await desk.newsroom.say(claim, "Reuters", ClaimCorroborated)
    await desk.newsroom.adopt("strict/1")

    now, then = await desk.claim(claim), await desk.claim(claim, as_of=4)
    other = await desk.claim(claim, policy="majority")

    assert (now.status, now.basis.policy, now.basis.position) == ("asserted", "strict/1", 5)
    assert (then.status, then.basis.policy) == ("corroborated", "standing/1")
    assert (other.status, other.basis.policy) == ("corroborated", "majority/1")


async def test_said_by_counts_what_had_been_said_and_names_what_has_no_date(desk: Desk) -> None:
    def on(day: str) -> Any:
        from verifier.times import occurred

        return occurred(day)

    claim = await desk.newsroom.claim(PLAN)
    await desk.newsroom.say(claim, "AFP", occurred=on("2020-01-06"))
    await desk.newsroom.deny(claim, "Mark Esper", occurred=on("2020-01-07"))
    undated = await desk.newsroom.deny(claim, "William Seely", occurred=on("unknown"))

    answer = await desk.claim(claim, said_by="2020-01-06")

    assert answer.status == "asserted"
    assert answer.computed.left_out == {"total": 1, "shown": [undated]}
    assert answer.basis.said_by == "2020-01-06T23:59:59.999999Z"


@pytest.mark.parametrize("as_of", [99, "99", "next week"])
async def test_a_past_that_this_log_has_not_is_refused(desk: Desk, as_of: int | str) -> None:
    claim = await desk.newsroom.claim(PLAN)

    with pytest.raises(Invalid):
        await desk.queries.claim(claim, as_of=as_of)


async def test_a_claim_that_is_not_there_is_not_found(desk: Desk) -> None:
    unknown = desk.newsroom.id("clm")

    for asked in (
        desk.queries.claim(unknown),
        desk.queries.statements(unknown),
        desk.queries.history(unknown),
    ):
        with pytest.raises(NotFound, match="look it up"):
            await asked


async def test_an_erased_wording_and_name_are_in_no_answer(desk: Desk) -> None:
    claim = await desk.newsroom.claim("Words that have to go")
    event = await desk.newsroom.deny(claim, "Jane Whistleblower", quote="a quote that has to go")
    registered = (await desk.page(desk.queries.events(f"claim:{claim}")))[0]["id"]
    await desk.views.catch_up()
    await desk.queries.statements(claim)  # so that somebody has it folded with its names
    by = await desk.newsroom.erase(f"claim:{claim}", registered, "wording")
    await desk.newsroom.erase(f"claim:{claim}", event, "identity")
    await desk.newsroom.erase(f"claim:{claim}", event, "wording")

    answer = await desk.claim(claim)
    everything = [
        answer,
        await desk.claim(claim, policy="strict/1"),
        await desk.queries.statements(claim),
        await desk.queries.history(claim),
        await desk.queries.claims(),
        await desk.queries.sources(),
        await desk.queries.events(),
    ]

    assert answer.status == "denied" and answer.text is None
    assert answer.texts.erased[registered] == by
    assert "Jane" not in str(everything) and "has to go" not in str(everything) and "have to go" not in str(everything)


async def test_names_are_found_however_many_a_claim_has(desk: Desk) -> None:
    claim = await desk.newsroom.claim(PLAN)
    for number in range(120):
        await desk.newsroom.say(claim, f"Source {number}")
    await desk.newsroom.deny(claim, "Mark Esper")

    answer = await desk.claim(claim)

    assert answer.label == "denied by Mark Esper"
    assert desk.newsroom.parties[claim]["Mark Esper"] == 121


# --- attention -------------------------------------------------------------------------------------


async def test_a_claim_is_contradicted_while_both_it_and_the_other_stand(desk: Desk) -> None:
    newsroom = desk.newsroom
    plan, stay = await newsroom.claim(PLAN), await newsroom.claim("The United States stays in Iraq")
    link = await newsroom.record(f"claim:{plan}", ClaimLinked(kind="contradicts", to=stay))
    await newsroom.record(f"claim:{plan}", ClaimLinked(kind="related", to=stay))
    await newsroom.say(plan, "AFP")
    alone = [await _contradicted(desk, claim) for claim in (plan, stay)]
    await newsroom.say(stay, "Reuters")
    together = [await _contradicted(desk, claim) for claim in (plan, stay)]
    listed = {claim.id for claim in await desk.page(desk.queries.claims(attention="contradicted"), answers.Claim)}
    await newsroom.deny(plan, "Mark Esper")
    denied = [await _contradicted(desk, claim) for claim in (plan, stay)]
    await newsroom.say(plan, "Mark Esper", occurred=_day("2999-01-01"))
    again = [await _contradicted(desk, claim) for claim in (plan, stay)]
    await newsroom.record(f"claim:{plan}", ClaimUnlinked(link=link))
    unlinked = [await _contradicted(desk, claim) for claim in (plan, stay)]

    assert alone == [False, False]
    assert together == [True, True]
    assert listed == {plan, stay}
    assert denied == [False, False]
    assert again == [True, True]
    assert unlinked == [False, False]


async def _contradicted(desk: Desk, claim: str) -> bool:
    answer = await desk.claim(claim)
    assert "contradicted" not in answer.computed.attention
    return "contradicted" in answer.attention


async def test_sources_with_names_alike_are_suggested_until_they_are_known_to_be_one(desk: Desk) -> None:
    newsroom = desk.newsroom
    claim, other = await newsroom.claim(PLAN), await newsroom.claim(LETTER)
    await newsroom.say(claim, "Mark Esper")
    await newsroom.say(claim, "Esper, Mark")
    await newsroom.say(claim, "Mary Esper")
    await newsroom.say(other, "Mark Esper")
    await newsroom.source("M. Esper")

    before = await desk.claim(claim)
    listed = [claim.id for claim in await desk.page(desk.queries.claims(attention="same_source"), answers.Claim)]
    suggested = {
        name: (await desk.queries.source(name))["same_source"] for name in ("Mark Esper", "M. Esper", "Mary Esper")
    }
    await newsroom.source("Esper, Mark", same_as="Mark Esper")
    after = await desk.claim(claim)

    assert "same_source" in before.attention and listed == [claim]
    assert suggested == {
        "Mark Esper": ["Esper, Mark", "M. Esper"],
        "M. Esper": ["Esper, Mark", "Mark Esper", "Mary Esper"],
        "Mary Esper": ["M. Esper"],
    }
    assert "same_source" not in after.attention
    assert (await desk.queries.source("Mark Esper"))["same_source"] == ["M. Esper"]


async def test_an_erased_name_suggests_nobody(desk: Desk) -> None:
    claim = await desk.newsroom.claim(PLAN)
    await desk.newsroom.say(claim, "Jane Whistleblower")
    event = await desk.newsroom.say(claim, "J. Whistleblower")
    before = await desk.claim(claim)
    await desk.newsroom.erase(f"claim:{claim}", event, "identity")

    after = await desk.claim(claim)

    assert "same_source" in before.attention
    assert "same_source" not in after.attention
    assert (await desk.queries.source("Jane Whistleblower"))["same_source"] == []


# --- waiting for the views -------------------------------------------------------------------------


async def test_wordings_asked_for_together_are_each_found_and_one_who_gives_up_disturbs_nobody(desk: Desk) -> None:
    story = await desk.newsroom.story("Iraq letter")
    letter, other = await desk.newsroom.claim(LETTER, story), await desk.newsroom.claim(LETTER)
    await desk.views.catch_up()
    ask = desk.queries.find_claim

    asked = [asyncio.create_task(ask(*wording)) for wording in ((story, LETTER), (None, LETTER), (story, PLAN))]
    given_up = asyncio.create_task(ask(story, LETTER.upper()))
    await asyncio.sleep(0)
    given_up.cancel()
    found = await asyncio.gather(*asked)
    plan = await desk.newsroom.claim(PLAN, story)
    await desk.views.catch_up()

    assert found == [letter, other, None]
    assert await asyncio.gather(ask(story, PLAN), ask(story, f" {LETTER}")) == [plan, letter]


async def test_views_that_do_not_come_are_a_problem_or_a_mark(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("verifier.queries.answering.WAIT", 0.01)
    claim = await desk.newsroom.claim(PLAN)
    await desk.views.catch_up()
    await desk.newsroom.say(claim, "AFP")

    with pytest.raises(ViewsBehind) as behind:
        await desk.queries.claim(claim, at_least=3)
    marked = answers.Claim.model_validate(await desk.queries.claim(claim, at_least=3, lenient=True))

    assert behind.value.position == 2
    assert marked.behind and (marked.status, marked.basis.position) == ("unassessed", 2)
    with pytest.raises(Invalid, match="beyond the head"):
        await desk.queries.claim(claim, at_least=4, lenient=True)


async def test_an_answer_waits_until_the_views_have_come(desk: Desk) -> None:
    claim = await desk.newsroom.claim(PLAN)

    waiting = asyncio.create_task(desk.queries.claim(claim, at_least=2))
    await desk.views.catch_up()

    assert (await waiting)["basis"]["position"] == 2


# --- lists -----------------------------------------------------------------------------------------


async def test_claims_are_listed_by_what_is_asked_for(desk: Desk) -> None:
    newsroom, claims = desk.newsroom, desk.queries.claims
    story = await newsroom.story("Iraq letter")
    plan = await newsroom.claim(PLAN, story)
    letter = await newsroom.claim(LETTER, story)
    other = await newsroom.claim("100% of the Klöße are gone", language="de")
    await newsroom.deny(plan, "Mark Esper")
    await newsroom.say(letter, "AFP", attribution="unattributed")
    await newsroom.say(other, "a neighbour", via=["AFP"])
    await newsroom.source("Agence France-Presse", same_as="AFP")
    await desk.views.catch_up()

    async def ids(**asked: Any) -> list[str]:
        return [claim.id for claim in await desk.page(claims(**asked), answers.Claim)]

    assert await ids() == [other, letter, plan]
    assert await ids(status="denied") == [plan]
    assert await ids(story="Iraq letter") == await ids(story=story) == [letter, plan]
    assert await ids(source="AFP") == await ids(source="agence  FRANCE-presse") == [other, letter]
    assert await ids(attention="who") == [letter]
    assert await ids(language="de") == [other]
    assert await ids(text="KLÖSSE") == await ids(text="100%") == [other]
    assert await ids(text="%") == [other]
    assert await ids(story="no such story") == []


async def test_pages_of_a_list_are_the_list_while_it_grows(desk: Desk) -> None:
    made = [await desk.newsroom.claim(f"Claim {number}") for number in range(7)]
    await desk.views.catch_up()

    seen: list[str] = []
    cursor = None
    while True:
        page = await desk.queries.claims(cursor=cursor, limit=3)
        seen += [item["id"] for item in page["items"]]
        await desk.newsroom.claim(f"Meanwhile {len(seen)}")
        await desk.views.catch_up()
        if (cursor := page["next"]) is None:
            break

    assert seen == made[::-1]


async def test_a_cursor_of_another_list_or_log_is_refused(desk: Desk) -> None:
    for number in range(3):
        await desk.newsroom.claim(f"Claim {number}")
        await desk.newsroom.story(f"Story {number}")
    await desk.views.catch_up()
    cursor = (await desk.queries.claims(limit=1))["next"]
    other = await MemoryLog.open()
    elsewhere = Queries(other, desk.views, await Adopted.read(other))

    for asked in (
        desk.queries.stories(cursor=cursor),
        elsewhere.claims(cursor=cursor),
        desk.queries.claims(cursor="nonsense"),
        desk.queries.claims(cursor="Ü"),
    ):
        with pytest.raises(Invalid, match="cursor"):
            await asked


async def test_a_history_tells_every_change_and_its_cause(desk: Desk) -> None:
    claim = await desk.newsroom.claim(PLAN)
    await desk.newsroom.say(claim, "AFP")
    await desk.newsroom.say(claim, "AFP")
    denial = await desk.newsroom.deny(claim, "Mark Esper")
    await desk.views.catch_up()

    first = await desk.queries.history(claim, limit=1)
    rest = await desk.page(desk.queries.history(claim, cursor=first["next"]), answers.Change)

    assert [change["status"] for change in first["items"]] == ["asserted"]
    assert [(c.previous, c.status, c.cause, c.cause_type, c.label) for c in rest] == [
        ("asserted", "denied", denial, "claim.denied", "denied by Mark Esper")
    ]
    assert rest[0].basis.position == 5


async def test_changes_of_one_position_are_never_divided(desk: Desk) -> None:
    for number in range(5):
        claim = await desk.newsroom.claim(f"Claim {number}")
        await desk.newsroom.say(claim, "AFP")
        await desk.newsroom.say(claim, "Reuters", ClaimCorroborated)
    await desk.newsroom.adopt("strict/1")
    await desk.views.catch_up()

    pages = []
    after = 0
    while after < await desk.log.head():
        page = await desk.queries.changes(after=after, limit=3)
        pages.append([change["position"] for change in page["items"]])
        after = page["position"]

    assert pages == [[3, 4, 6], [7, 9, 10], [12, 13, 15], [16], [17] * 5]
    with pytest.raises(Invalid, match="beyond the head"):
        await desk.queries.changes(after=99)


async def test_every_statement_says_what_became_of_it(desk: Desk) -> None:
    newsroom = desk.newsroom
    claim = await newsroom.claim(PLAN)
    stream, parties = f"claim:{claim}", newsroom.parties[claim]
    counted = await newsroom.say(claim, "AFP", via=["Newsweek"], quote="They will leave.")
    retracted = await newsroom.say(claim, "Reuters")
    withdrawn = await newsroom.say(claim, "Reuters", origin="a slip")
    unnamed = await newsroom.say(claim, "somebody", attribution="unattributed")
    partial = await newsroom.say(claim, "The Guardian", extent="part")
    note = await newsroom.say(claim, "The Guardian", ClaimNoted)
    wrong = await newsroom.say(claim, "William Seely")
    attributed = await newsroom.say(claim, "a voice", attribution="unattributed")
    before = await newsroom.say(claim, "Mark Esper", occurred=_day("2020-01-05"))
    after = await newsroom.deny(claim, "Mark Esper", occurred=_day("2020-01-07"))
    fact = StatementRetracted(by="source", party=parties["Reuters"], statement=retracted)
    await newsroom.record(stream, fact)
    await newsroom.record(stream, StatementWithdrawn(statement=withdrawn))
    names, identity = newsroom.said(claim, "William Seely", (), None)
    put_right = await newsroom.record(
        stream, StatementCorrected(by="desk", stance="denied", statement=wrong, **names), **identity
    )
    names, identity = newsroom.said(claim, "Mark Milley", (), None)
    names.pop("via")
    found = await newsroom.record(stream, StatementAttributed(statement=attributed, **names), **identity)

    first = await desk.queries.statements(claim, limit=4)
    items = await desk.page(desk.queries.statements(claim), answers.Statement)
    rest = await desk.page(desk.queries.statements(claim, cursor=first["next"]), answers.Statement)

    assert {item.event: item.standing for item in items} == {
        counted: "counted",
        retracted: "retracted",
        withdrawn: "withdrawn",
        unnamed: "set_aside",
        partial: "set_aside",
        note: "note",
        wrong: "corrected",
        attributed: "attributed",
        before: "superseded",
        after: "counted",
        put_right: "counted",
        found: "counted",
    }
    assert [item.event for item in rest] == [item.event for item in items[4:]]
    assert (items[0].source_name, items[0].via, items[0].origin_label) == ("AFP", ("Newsweek",), "AFP")
    assert items[0].quote == {"exact": "They will leave."}
    assert items[-1].source_name == "Mark Milley"


def _day(text: str) -> Any:
    from verifier.times import occurred

    return occurred(text)


# --- sources and stories ---------------------------------------------------------------------------


async def test_a_source_is_answered_with_how_its_claims_stand(desk: Desk) -> None:
    newsroom = desk.newsroom
    plan, letter = await newsroom.claim(PLAN), await newsroom.claim(LETTER)
    await newsroom.say(plan, "AFP")
    await newsroom.say(plan, "AFP")
    await newsroom.deny(plan, "Mark Esper", via=["AFP"])
    await newsroom.say(letter, "Agence France-Presse")
    await newsroom.source("AFP", role="a wire")
    await newsroom.source("Agence France-Presse", same_as="AFP")
    await desk.views.catch_up()

    by_alias = await desk.queries.source("agence france-presse")
    source = answers.Source.model_validate(by_alias)
    listed = await desk.page(desk.queries.sources(), answers.Source)

    assert (source.name, source.kind, source.role, source.statements) == ("AFP", "outlet", "a wire", 4)
    assert source.standing == {"support": {"denied": 1, "asserted": 1}, "carried": {"denied": 1}}
    assert [(claim["text"], claim["label"], claim["sides"]) for claim in source.claims] == [
        (LETTER, "asserted by one origin", {"support": 1}),
        (PLAN, "denied by Mark Esper", {"support": 2, "carried": 1}),
    ]
    assert [source.name for source in listed] == ["AFP", "Mark Esper"]
    with pytest.raises(NotFound):
        await desk.queries.source("nobody")


async def test_sources_come_by_name_in_pages(desk: Desk) -> None:
    claim = await desk.newsroom.claim(PLAN)
    for name in ("Reuters", "AFP", "Newsweek"):
        await desk.newsroom.say(claim, name)
    await desk.views.catch_up()

    first = await desk.queries.sources(limit=2)
    second = await desk.queries.sources(cursor=first["next"])

    assert [[source["name"] for source in page["items"]] for page in (first, second)] == [
        ["AFP", "Newsweek"],
        ["Reuters"],
    ]


async def test_a_story_is_answered_with_its_claims_by_status(desk: Desk) -> None:
    story = await desk.newsroom.story("Iraq letter")
    later = await desk.newsroom.story("Another story")
    plan, _letter = await desk.newsroom.claim(PLAN, story), await desk.newsroom.claim(LETTER, story)
    await desk.newsroom.deny(plan, "Mark Esper")
    await desk.views.catch_up()

    answer = answers.Story.model_validate(await desk.queries.story("IRAQ letter"))
    listed = await desk.page(desk.queries.stories(), answers.Story)

    assert (answer.id, answer.title, answer.claims) == (story, "Iraq letter", 2)
    assert answer.by_status == {"denied": 1, "unassessed": 1}
    assert [story.id for story in listed] == [later, story]
    with pytest.raises(NotFound):
        await desk.queries.story("no such story")


# --- events and looking up -------------------------------------------------------------------------


async def test_events_are_answered_as_they_are_recorded(desk: Desk) -> None:
    claim = await desk.newsroom.claim(PLAN)
    await desk.newsroom.say(claim, "AFP")

    first = await desk.queries.events(limit=2)
    rest = await desk.page(desk.queries.events(after=first["position"]), answers.Event)
    of_claim = await desk.page(desk.queries.events(f"claim:{claim}"), answers.Event)

    assert (first["position"], first["next"]) == (2, "2")
    assert [event.type for event in rest] == ["claim.asserted"]
    assert [event.position for event in of_claim] == [2, 3]
    assert of_claim[0].wording == {"text": PLAN}


async def test_a_wording_is_found_in_its_story_while_its_claim_takes_facts(desk: Desk) -> None:
    newsroom, find = desk.newsroom, desk.queries.find_claim
    story = await newsroom.story("Iraq letter")
    here, alone = await newsroom.claim(PLAN, story), await newsroom.claim(PLAN)
    reworded, ended = await newsroom.claim(LETTER, story), await newsroom.claim("Ended", story)
    registered = (await desk.page(desk.queries.events(f"claim:{reworded}")))[0]["id"]
    await newsroom.record(f"claim:{reworded}", ClaimReworded(replaces=registered), Wording(text="It is real"))
    await newsroom.record(f"claim:{ended}", ClaimMerged(assignments=(), into=here))
    await desk.views.catch_up()

    assert await find(story, "the UNITED states plans to  withdraw its forces from Iraq") == here
    assert await find(None, PLAN) == alone
    assert await find(story, LETTER) is None
    assert await find(story, "it is real") == reworded
    assert await find(story, "Ended") is None
    assert await desk.queries.claim_ids_of_story(story) == [here, reworded, ended]


async def test_the_end_of_an_id_is_enough(desk: Desk) -> None:
    claim = await desk.newsroom.claim(PLAN)
    event = await desk.newsroom.say(claim, "AFP")
    source = await desk.newsroom.source("AFP")
    await desk.views.catch_up()
    resolve = desk.queries.resolve

    assert await resolve("clm", claim[-6:]) == await resolve("clm", claim) == claim
    assert await resolve("evt", event[-8:]) == event
    assert await resolve("src", source[-6:]) == source
    with pytest.raises(NotFound):
        await resolve("clm", "zzzzzz")
    with pytest.raises(Invalid, match="too short"):
        await resolve("clm", claim[-5:])
    with pytest.raises(NotFound, match="clm, evt, src or sto"):
        await resolve("org", "zzzzzz")


async def test_an_end_that_several_ids_have_is_answered_with_all_of_them(tmp_path: Path) -> None:
    log = await MemoryLog.open()
    newsroom = Newsroom(log)
    twins = ["clm_aaaaaaaaaaaaaaaaaaaazzzzzz", "clm_bbbbbbbbbbbbbbbbbbbbzzzzzz"]
    # Ids are derived from keys: two with one end are never met, so they are given.
    newsroom.id = lambda prefix: twins.pop(0) if prefix == "clm" else Newsroom.id(newsroom, prefix)  # type: ignore[method-assign]
    both = [await newsroom.claim("One"), await newsroom.claim("Another")]
    adopted = await Adopted.read(log)
    views = await Views.open(SqlitePlace(), log, adopted)
    await views.catch_up()

    with pytest.raises(Invalid) as refused:
        await Queries(log, views, adopted).resolve("clm", "zzzzzz")
    await views.close()

    assert all(id in refused.value.detail for id in both)


async def test_the_first_registration_of_a_process_knows_every_wording_before_it(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'newsroom.db'}"
    async with Verifier.open(url) as verifier:
        first = await verifier.register("The letter is authentic", story="iraq")
    (tmp_path / "newsroom.views.db").unlink()

    async with Verifier.open(url) as verifier:
        with pytest.raises(DuplicateClaim) as refused:
            await verifier.register("The letter is authentic", story="iraq")

    assert refused.value.claim == first.id


async def test_asked_as_of_a_time_before_it_a_claim_was_not_registered_yet() -> None:
    async with Verifier.open("memory:") as verifier:
        claim = await verifier.register("They leave")

        with pytest.raises(NotFound, match="was not registered by position 1"):
            await verifier.claim(claim, as_of=1)
