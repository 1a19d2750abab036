"""The three questions on everything that can be asked: as of, said by, under which policy; each with its basis.

What an answer about the past must be is known without it: it was written down when that was the present.
"""

from __future__ import annotations

import io
import json
import random
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from newsroom import Newsroom, improvise

from events.archive import export, restore
from events.contracts import ClaimCorroborated, Occurred
from events.log import Log
from events.open import open_log
from verifier import answers
from verifier.app import Desk, open_desk
from verifier.client import Verifier
from verifier.errors import Invalid, NotFound
from verifier.policy import POLICIES

Answer = dict[str, Any]


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    """A desk over a log in memory."""
    async with open_desk("memory:") as opened:
        yield opened


async def level(desk: Desk) -> int:
    """Wait until the views have everything, and return the head."""
    head = await desk.log.head()
    assert await desk.views.reached(head, 20)
    return head


async def all_of(list_page: Any, **asked: Any) -> list[Answer]:
    """Return a list page by page."""
    items: list[Answer] = []
    cursor = None
    while True:
        page = answers.Page.model_validate(await list_page(cursor=cursor, **asked))
        items += page.items
        if page.next is None:
            return items
        cursor = page.next


def computed(items: list[Answer]) -> list[Answer]:
    return [item["computed"] for item in items]


def day(number: int) -> Occurred:
    date = f"2020-01-{number:02}T12:00:00.000000Z"
    return Occurred(basis="explicit", earliest=date, latest=date)


# --- claims ----------------------------------------------------------------------------------------


FILTERS: list[Answer] = [
    {},
    *({"status": status} for status in ("unassessed", "asserted", "corroborated", "disputed", "denied", "retracted")),
    {"story": "Iraq letter"},
    {"source": "AFP"},
    {"attention": "who"},
    {"attention": "no_evidence"},
    {"text": "claim 1"},
    {"language": "en"},
    {"status": "denied", "story": "Iraq letter", "source": "Mark Esper"},
]


@pytest.mark.parametrize("seed", range(3))
async def test_a_list_of_claims_as_of_a_position_is_the_list_that_was_shown_there(desk: Desk, seed: int) -> None:
    newsroom, dice = Newsroom(desk.log), random.Random(seed)
    shown: dict[int, list[list[Answer]]] = {}
    for _ in range(4):
        await improvise(newsroom, dice, 40)
        at = await level(desk)
        shown[at] = [computed(await all_of(desk.queries.claims, **wanted)) for wanted in FILTERS]

    for at, lists in shown.items():
        then = [computed(await all_of(desk.queries.claims, as_of=at, limit=3, **wanted)) for wanted in FILTERS]

        for wanted, was, now in zip(FILTERS, lists, then, strict=True):
            if "source" in wanted or "text" in wanted:  # what was erased since can't be searched any more
                assert all(claim in was for claim in now), wanted
            else:
                assert now == was, wanted


@pytest.mark.parametrize("policy", POLICIES)
async def test_a_list_by_another_policy_has_each_claim_as_it_stands_by_that(desk: Desk, policy: str) -> None:
    await improvise(Newsroom(desk.log), random.Random(4), 150)
    at = await level(desk)

    listed = await all_of(desk.queries.claims, policy=policy, limit=4)
    denied = await all_of(desk.queries.claims, policy=policy, status="denied", as_of=at)

    for claim in listed:
        alone = await desk.queries.claim(claim["id"], policy=policy)
        assert alone == claim
    assert computed(denied) == [one for one in computed(listed) if one["status"] == "denied"]
    assert len(listed) == len(await all_of(desk.queries.claims))


async def test_a_list_by_what_had_been_said_leaves_out_what_was_said_later(desk: Desk) -> None:
    newsroom = Newsroom(desk.log)
    claim, other = await newsroom.claim("The letter is authentic"), await newsroom.claim("The letter was sent")
    await newsroom.say(claim, "AFP", occurred=day(6))
    await newsroom.deny(claim, "Mark Esper", occurred=day(8))
    undated = await newsroom.say(other, "AFP", occurred=Occurred(basis="explicit", precision="unknown"))
    await level(desk)

    asserted = answers.Page.model_validate(await desk.queries.claims(said_by="2020-01-07", status="asserted"))
    everything = computed(await all_of(desk.queries.claims, said_by="2020-01-07"))

    assert [item["id"] for item in asserted.items] == [claim]
    assert asserted.basis.said_by == "2020-01-07T23:59:59.999999Z"
    assert [one["left_out"]["shown"] for one in everything] == [[undated], []]


async def test_a_list_goes_on_from_the_position_where_it_began_though_the_log_grows(desk: Desk) -> None:
    newsroom = Newsroom(desk.log)
    claims = [await newsroom.claim(f"Claim {number}") for number in range(6)]
    await level(desk)

    first = answers.Page.model_validate(await desk.queries.claims(policy="strict", limit=4))
    await newsroom.say(claims[0], "AFP")
    await newsroom.claim("Another one")
    await level(desk)
    second = answers.Page.model_validate(await desk.queries.claims(policy="strict", limit=4, cursor=first.next))

    listed = [*first.items, *second.items]
    assert [item["id"] for item in listed] == claims[::-1]
    assert {item["computed"]["status"] for item in listed} == {"unassessed"}
    assert second.basis == first.basis
    assert second.next is None


async def test_a_page_looks_at_so_many_claims_and_says_where_it_goes_on(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("verifier.queries.then.LOOKED_AT", 7)
    monkeypatch.setattr("verifier.queries.then.FOLDED", 3)
    newsroom = Newsroom(desk.log)
    claims = [await newsroom.claim(f"Claim {number}") for number in range(20)]
    for claim in claims[:2]:
        await newsroom.say(claim, "AFP")
    at = await level(desk)
    for claim in claims:
        await newsroom.say(claim, "Reuters")
    await level(desk)

    first = answers.Page.model_validate(await desk.queries.claims(as_of=at, status="asserted"))
    found = await all_of(desk.queries.claims, as_of=at, status="asserted")
    everything = await all_of(desk.queries.claims, as_of=at)

    assert (first.items, first.next is None) == ((), False)
    assert [item["id"] for item in found] == claims[1::-1]
    assert [item["id"] for item in everything] == claims[::-1]


async def test_what_lies_between_claims_has_no_past(desk: Desk) -> None:
    with pytest.raises(Invalid, match="present only"):
        await desk.queries.claims(as_of=1, attention="contradicted")


# --- what was said, and what has changed -----------------------------------------------------------


async def test_statements_as_of_then_are_those_that_were_recorded_and_what_had_become_of_them(desk: Desk) -> None:
    newsroom = Newsroom(desk.log)
    claim = await newsroom.claim("The letter is authentic")
    first = await newsroom.say(claim, "Mark Esper", occurred=day(5))
    at = await level(desk)
    second = await newsroom.deny(claim, "Mark Esper", occurred=day(7))
    await level(desk)

    now, then, said = [
        [(one["event"], one["standing"]) for one in (await desk.queries.statements(claim, **asked))["items"]]
        for asked in ({}, {"as_of": at}, {"said_by": "2020-01-06"})
    ]

    assert now == [(first, "superseded"), (second, "counted")]
    assert then == said == [(first, "counted")]


async def test_a_history_ends_at_the_position_and_another_policy_has_one_of_its_own(desk: Desk) -> None:
    newsroom = Newsroom(desk.log)
    claim = await newsroom.claim("The letter is authentic")
    await newsroom.say(claim, "AFP")
    await newsroom.say(claim, "Reuters", ClaimCorroborated)
    at = await level(desk)
    await newsroom.deny(claim, "an official", attribution="anonymous")
    await newsroom.adjudicate(claim)
    await level(desk)

    now, then, strict, wary, own = [
        [
            answers.Change.model_validate(one)
            for one in await all_of(desk.queries.history, claim=claim, limit=2, **asked)
        ]
        for asked in ({}, {"as_of": at}, *({"policy": name} for name in ("strict", "precautionary", "standing")))
    ]

    assert [change.status for change in now] == ["asserted", "corroborated", "disputed", "disputed"]
    assert then == now[:2]
    assert [change.status for change in strict] == ["asserted", "disputed", "disputed"]
    assert [(change.status, change.policy) for change in wary][-1] == ("denied", "precautionary/1")
    assert own == now


@pytest.mark.parametrize(
    ("question", "asked"),
    [
        ("statements", {"said_by": "2999-01-01"}),
        ("statements", {"as_of": "2999-01-01"}),
        ("history", {"as_of": "2999-01-01"}),
        ("history", {"policy": "balanced"}),
    ],
)
async def test_what_was_said_and_changed_goes_on_from_the_position_where_it_began(
    desk: Desk, question: str, asked: Answer
) -> None:
    newsroom = Newsroom(desk.log)
    claim = await newsroom.claim("The letter is authentic")
    await newsroom.say(claim, "AFP", occurred=day(5))
    await newsroom.say(claim, "Reuters", ClaimCorroborated, occurred=day(6))
    await newsroom.deny(claim, "Mark Esper", occurred=day(7))
    await level(desk)
    ask = getattr(desk.queries, question)

    whole = answers.Page.model_validate(await ask(claim, **asked))
    first = answers.Page.model_validate(await ask(claim, limit=2, **asked))
    await newsroom.say(claim, "Mark Esper", occurred=day(8))
    await newsroom.adjudicate(claim)
    await newsroom.adopt("strict/1")
    await level(desk)
    second = answers.Page.model_validate(await ask(claim, cursor=first.next, **asked))

    assert len(whole.items) == 3
    assert (*first.items, *second.items) == whole.items
    assert (second.next, second.position, second.basis) == (None, first.position, first.basis)
    with pytest.raises(Invalid, match="another list"):
        await ask(claim, cursor=first.next)


async def test_changes_and_events_as_of_then_are_those_up_to_there(desk: Desk) -> None:
    await improvise(Newsroom(desk.log), random.Random(5), 60)
    at = await level(desk)
    changes, events = await desk.queries.changes(), await desk.queries.events()
    await improvise(Newsroom(desk.log, made=1_000), random.Random(6), 20)
    await level(desk)

    changes_then = await desk.queries.changes(as_of=at)
    events_then = await desk.queries.events(as_of=at)

    assert [(one["position"], one["status"]) for one in changes_then["items"]] == [
        (one["position"], one["status"]) for one in changes["items"]
    ]
    assert [one["leaf"] for one in events_then["items"]] == [one["leaf"] for one in events["items"]]
    for page in (changes_then, events_then):
        assert (page["position"], page["basis"]["position"], page["next"]) == (at, at, None)


# --- sources and stories ---------------------------------------------------------------------------


async def test_sources_and_stories_stood_as_they_were_shown_then(desk: Desk) -> None:
    newsroom = Newsroom(desk.log)
    await newsroom.source("AFP")
    story = await newsroom.story("Iraq letter")
    claims = [await newsroom.claim(f"Claim {number}", story) for number in range(4)]
    for claim in claims:
        await newsroom.say(claim, "AFP", via=["Newsweek"])
    await newsroom.say(claims[0], "Reuters")
    at = await level(desk)
    then = [
        await desk.queries.source("AFP"), await desk.queries.source("Newsweek"),
        await desk.queries.story("Iraq letter"), (await desk.queries.stories())["items"],
    ]  # fmt: skip
    await newsroom.story("Another story")
    await newsroom.deny(claims[1], "AFP")
    await newsroom.deny(claims[2], "Mark Esper")
    await newsroom.claim("Claim 5", story)
    await level(desk)

    asked = [
        await desk.queries.source("AFP", as_of=at), await desk.queries.source("Newsweek", as_of=at),
        await desk.queries.story("Iraq letter", as_of=at), (await desk.queries.stories(as_of=at))["items"],
    ]  # fmt: skip

    for was, found in zip(then[:2], asked[:2], strict=True):
        names = ("id", "name", "statements", "standing")
        assert [found[name] for name in names] == [was[name] for name in names]
        assert {one["id"]: (one["status"], one["sides"]) for one in found["claims"]} == {
            one["id"]: (one["status"], one["sides"]) for one in was["claims"]
        }
    assert asked[2] == {**then[2], "basis": asked[2]["basis"]}
    assert [one["id"] for one in asked[3]] == [story]
    with pytest.raises(NotFound):
        await desk.queries.source("Mark Esper", as_of=at)
    with pytest.raises(NotFound):
        await desk.queries.story("Another story", as_of=at)


async def test_sources_and_stories_are_counted_by_another_policy_and_by_what_had_been_said(desk: Desk) -> None:
    newsroom = Newsroom(desk.log)
    story = await newsroom.story("Iraq letter")
    claim = await newsroom.claim("The letter is authentic", story)
    await newsroom.say(claim, "AFP", occurred=day(5))
    await newsroom.say(claim, "Reuters", occurred=day(7))
    await level(desk)

    async def statuses(**asked: str) -> tuple[Answer, Answer]:
        found = await desk.queries.story(story, **asked)
        return found["by_status"], (await desk.queries.source("AFP", **asked))["standing"]["support"]

    assert await statuses() == ({"corroborated": 1}, {"corroborated": 1})
    assert await statuses(policy="strict") == ({"asserted": 1}, {"asserted": 1})
    assert await statuses(said_by="2020-01-06") == ({"asserted": 1}, {"asserted": 1})


async def test_a_count_over_too_many_claims_is_refused_with_a_way_out(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("verifier.queries.counts.FOLDED", 2)
    newsroom = Newsroom(desk.log)
    story = await newsroom.story("Iraq letter")
    for number in range(3):
        await newsroom.say(await newsroom.claim(f"Claim {number}", story), "AFP")
    at = await level(desk)

    with pytest.raises(Invalid, match="list the claims"):
        await desk.queries.source("AFP", as_of=at)
    with pytest.raises(Invalid, match="list the claims"):
        await desk.queries.story(story, policy="strict")
    assert (await desk.queries.story(story, as_of=at))["by_status"] == {"asserted": 3}  # the changes tell it


async def test_a_text_that_was_erased_since_names_the_event_that_erased_it(desk: Desk) -> None:
    newsroom = Newsroom(desk.log)
    claim = await newsroom.claim("The letter is authentic")
    event = await newsroom.say(claim, "AFP")
    at = await level(desk)
    erased = await newsroom.erase(f"claim:{claim}", event, "identity")
    await newsroom.erase(f"claim:{claim}", await newsroom.say(claim, "Reuters"), "identity")
    await level(desk)

    alone = await desk.queries.claim(claim, as_of=at)
    [listed] = await all_of(desk.queries.claims, as_of=at)

    assert alone["texts"]["erased"] == {event: erased}
    assert "AFP" not in json.dumps(alone)
    assert listed == alone


# --- one basis, one answer -------------------------------------------------------------------------


async def by_its_basis(desk: Desk, answer: Answer) -> bytes:
    """Ask again for what an answer rests on; return what is computed, as bytes."""
    basis = answer["basis"]
    asked = {"as_of": basis["position"], "policy": basis["policy"], "said_by": basis.get("said_by")}
    return as_bytes(await desk.queries.claim(answer["id"], **asked))


def as_bytes(answer: Answer) -> bytes:
    return json.dumps(answer["computed"], sort_keys=True).encode()


async def test_a_repeated_basis_gives_the_same_bytes_after_a_restart_an_erasure_and_a_move(
    place: str, other_log_url: str
) -> None:
    given: list[Answer] = []
    async with open_desk(place) as desk:
        newsroom, dice = Newsroom(desk.log), random.Random(12)
        for _ in range(3):
            await improvise(newsroom, dice, 40)
            await level(desk)
            given += await all_of(desk.queries.claims)
            given += await all_of(desk.queries.claims, said_by="2020-01-06")
        await improvise(newsroom, dice, 40)
        events = [event async for page in desk.log.read_all() for event in page]
        for event in events[::5]:
            if event.stream.startswith("claim:") and event.identity_raw is not None:
                await newsroom.erase(event.stream, event.id, "identity")
        assert [await by_its_basis(desk, answer) for answer in given] == [as_bytes(answer) for answer in given]

    async with open_desk(place) as desk, await open_log(other_log_url, create="empty") as copy:
        assert [await by_its_basis(desk, answer) for answer in given] == [as_bytes(answer) for answer in given]
        await _move(desk, copy)
    if other_log_url != "memory:":
        async with open_desk(other_log_url) as desk:
            await level(desk)
            assert [await by_its_basis(desk, answer) for answer in given] == [as_bytes(answer) for answer in given]


async def _move(desk: Desk, copy: Log) -> None:
    file = io.BytesIO()
    await export(desk.log, file)
    file.seek(0)
    await restore(copy, file)


# --- over HTTP and from the client -----------------------------------------------------------------

THREE = ("as_of", "said_by", "policy")
TAKES: dict[str, tuple[str, ...]] = {
    "claims": THREE,
    "claims/{id}": THREE,
    "claims/{id}/events": ("as_of",),
    "claims/{id}/statements": ("as_of", "said_by"),
    "claims/{id}/history": ("as_of", "policy"),
    "sources/AFP": THREE,
    "sources/AFP/events": ("as_of",),
    "stories": ("as_of",),
    "stories/iraq-letter": THREE,
    "stories/iraq-letter/events": ("as_of",),
    "events": ("as_of",),
    "changes": ("as_of",),
}
"""Which of the three questions each address takes."""


@pytest.mark.parametrize("path", TAKES)
async def test_an_address_takes_the_questions_that_mean_something_there(http: httpx.AsyncClient, path: str) -> None:
    body = {
        "text": "The letter is authentic",
        "story": "iraq-letter",
        "statement": {"type": "claim.asserted", "source": "AFP"},
    }
    written = (await http.post("claims", json=body)).json()
    await http.post("sources", json={"name": "AFP"})
    await http.post("claims", json={**body, "text": "The letter was sent"})
    at = written["basis"]["position"]
    told = {"as_of": str(at), "said_by": "2030-01-01", "policy": "strict"}

    for question, value in told.items():
        response = await http.get(path.format(id=written["id"]), params={question: value})
        if question not in TAKES[path]:
            assert response.status_code == 422, question
            continue
        if path == "sources/AFP/events" and question == "as_of":
            assert response.json()["items"] == []  # registered later
        basis = response.json()["basis"]
        assert response.status_code == 200, response.text
        assert question != "as_of" or basis["position"] == at
        assert question != "policy" or basis["policy"] == "strict/1"
        assert question != "said_by" or basis["said_by"].startswith("2030-01-01")


async def test_lines_of_events_end_at_the_position_and_a_stream_takes_none(http: httpx.AsyncClient) -> None:
    for number in range(3):
        await http.post("claims", json={"text": f"Claim {number}"})

    lines = await http.get("events", params={"as_of": "3"}, headers={"accept": "application/jsonl"})
    stream = await http.get("events", params={"as_of": "3"}, headers={"accept": "text/event-stream"})

    assert [json.loads(line)["position"] for line in lines.text.splitlines()] == [1, 2, 3]
    assert stream.status_code == 422


async def test_the_client_asks_all_three(verifier: Verifier) -> None:
    plan = await verifier.assert_claim("The US plans to withdraw", source="AFP", occurred="2020-01-05", story="letter")
    plan = await verifier.corroborate(plan, source="Reuters", occurred="2020-01-07")
    at = plan.position
    plan = await verifier.deny(plan, source="Mark Esper", occurred="2020-01-08")

    assert [claim.status async for claim in verifier.claims(as_of=at)] == ["corroborated"]
    assert [claim.status async for claim in verifier.claims(said_by="2020-01-06")] == ["asserted"]
    assert [claim.status async for claim in verifier.claims(policy="majority")] == ["corroborated"]
    assert [said.stance async for said in verifier.statements(plan, as_of=at)] == ["asserted", "corroborated"]
    assert [said.stance async for said in verifier.statements(plan, said_by="2020-01-06")] == ["asserted"]
    assert [change.status async for change in verifier.history(plan, as_of=at)] == ["asserted", "corroborated"]
    assert [change.status async for change in verifier.history(plan, policy="strict")] == ["asserted", "denied"]
    assert (await verifier.source("AFP", as_of=at)).standing == {"support": {"corroborated": 1}}
    assert (await verifier.story("letter", policy="strict", as_of=at)).by_status == {"asserted": 1}
    assert [story.by_status async for story in verifier.stories(as_of=at)] == [{"corroborated": 1}]
    assert [change.status async for change in verifier.changes(as_of=at)] == ["asserted", "corroborated"]
    assert [event.position async for event in verifier.events(as_of=3)] == [1, 2, 3]
