"""The dashboard's forms, opened, filled in and sent over a socket as a browser without JavaScript does it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, fields
from typing import Any, get_args

import httpx
import pytest
from filling import Forms, drawn, fill, send

from verifier import commands
from verifier.client import Verifier
from verifier.commands import COMMANDS, ClaimCommand, SourceCommand, StoryCommand
from verifier.dashboard.forms import FORMS, Form, inputs
from verifier.fields import OF_EVERY_COMMAND, PARTS

HOSTILE = "<script>alert(1)</script>\" onload='x' \u202egnorw {{ 7*7 }}"


@pytest.fixture
async def browser(server: str) -> AsyncIterator[httpx.AsyncClient]:
    """What opens pages and sends forms as a browser does."""
    async with httpx.AsyncClient(base_url=server, headers={"accept": "text/html"}) as client:
        yield client


@dataclass(frozen=True, slots=True)
class Known:
    """What a newsroom knows before it opens a form."""

    claim: str
    said: str
    unnamed: str
    link: str
    publication: str
    other: str
    third: str
    story: str


@pytest.fixture
async def known(verifier: Verifier) -> Known:
    """A claim with everything that a form can stand beside, and two claims beside it."""
    other = await verifier.assert_claim("The letter is authentic", source="AFP", story="iraq-letter")
    third = await verifier.assert_claim("Troops will move within Iraq", source="Reuters", story="iraq-letter")
    claim = await verifier.assert_claim(
        "The US plans to withdraw", source="William Seely", origin="the letter", via=["AFP"], story="iraq-letter"
    )
    said = claim.statement
    unnamed = (await verifier.deny(claim, source="somebody", attribution="unattributed")).statement
    await verifier.corroborate(claim, source="Reuters", origin="a copy of the letter")
    link = (await verifier.link(claim, to=other.id)).statement
    publication = (await verifier.publish_claim(claim, address="https://example.org/1", day="2020-01-06")).statement
    await verifier.adjudicate(claim, "unprovable", reason="too early")
    await verifier.merge_origins(claim, kept="the letter", merged="a copy of the letter")
    return Known(claim.id, said, unnamed, link, publication, other.id, third.id, str(claim.story))


# --- the table -------------------------------------------------------------------------------------


def test_there_is_a_form_for_every_command_wherever_the_api_takes_it() -> None:
    there = {(form.on, form.command) for form in FORMS}

    assert len(there) == len(FORMS) == len({form.path for form in FORMS})
    assert {form.command for form in FORMS} == set(COMMANDS.values())
    assert there >= {("claim", command) for command in get_args(ClaimCommand)}
    assert there >= {("story", command) for command in get_args(StoryCommand)}
    assert there >= {("source", command) for command in get_args(SourceCommand)}


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.path)
def test_a_form_asks_for_every_field_of_its_command(form: Form) -> None:
    asked = {each.name for each in inputs(form)}
    own = {each.name for each in fields(form.command)} - set(OF_EVERY_COMMAND)
    parts = {f"{whole}_{part}" for whole, (_, parts) in PARTS.items() if whole in own for part in parts}

    assert asked - {"file"} == (own | parts) - ({"statement"} if form.command is commands.RegisterClaim else set())
    assert set(form.shown) <= asked
    assert all(each.shown for each in inputs(form) if each.required and each.kind != "hidden")


# --- every form records ----------------------------------------------------------------------------

Typing = Callable[[Known], dict[str, Any]]

TYPED: dict[str, Typing] = {
    "/claims/{id}/corroborate": lambda k: {
        "source": "an official", "attribution": "anonymous", "via": "Newsweek\nCNN", "occurred": "2020-01-06",
        "occurred_basis": "inferred", "occurred_expression": "Monday", "quote": "it is authentic",
        "quote_language": "en", "note": "by telephone",
    },
    "/claims/{id}/deny": lambda k: {"source": "Mark Esper", "standing": "authoritative"},
    "/claims/{id}/assert": lambda k: {"source": "The Washington Post"},
    "/claims/{id}/note": lambda k: {"source": "Pompeo", "kind": "comment", "quote": "We'll take a look"},
    "/claims/{id}/attach": lambda k: {"shows": "a scan of the letter"},
    "/claims/{id}/adjudicate": lambda k: {"verdict": "unprovable", "reason": "nobody knows"},
    "/claims/{id}/withdraw-verdict": lambda k: {"reason": "too early after all"},
    "/claims/{id}/publish": lambda k: {"address": "https://example.org/2", "day": "2020-01-07"},
    "/claims/{id}/link": lambda k: {"to": k.third[-8:], "kind": "related"},
    "/claims/{id}/merge-origins": lambda k: {"kept": "the letter", "merged": "somebody"},
    "/claims/{id}/split-origins": lambda k: {},
    "/claims/{id}/reword": lambda k: {"text": "The US will withdraw", "reason": "clearer"},
    "/claims/{id}/split": lambda k: {"into": f"{k.other}\n/claims/{k.third}"},
    "/claims/{id}/merge": lambda k: {"into": k.other},
    "/claims/{id}/withdraw": lambda k: {"reason": "registered twice"},
    "/claims/{id}/erase": lambda k: {"event": k.said, "slot": "wording", "basis": "court_order"},
    "/claims/{id}/retract": lambda k: {"statement": k.said, "by": "William Seely", "reason": "a draft"},
    "/claims/{id}/correct": lambda k: {"statement": k.said, "extent": "part", "reason": "a part only"},
    "/claims/{id}/attribute": lambda k: {"statement": k.unnamed, "source": "Mark Esper"},
    "/claims/{id}/undo": lambda k: {"statement": k.said, "reason": "a slip"},
    "/claims/{id}/unlink": lambda k: {"link": k.link},
    "/claims/{id}/unpublish": lambda k: {"publication": k.publication, "reason": "put right"},
    "/stories/{id}/merge-origins": lambda k: {"kept": "AFP", "merged": "Reuters"},
    "/stories/{id}/split-origins": lambda k: {},
    "/stories/{id}/erase": lambda k: {"slot": "wording", "basis": "other_legal"},
    "/sources/{id:path}/update": lambda k: {"role": "a wire", "aliases": "Agence France-Presse"},
    "/sources/{id:path}/erase": lambda k: {"slot": "wording", "basis": "other_legal"},
    "/enter/claim": lambda k: {"text": "A new one", "story": "iraq-letter", "accuses": "Somebody\nSomebody else"},
    "/enter/source": lambda k: {"name": "Matthew Tueller", "kind": "person", "role": "US Ambassador"},
    "/enter/story": lambda k: {"title": "airbus"},
    "/enter/policy": lambda k: {"policy": "strict/1", "reason": "more care"},
}  # fmt: skip


async def _ready(browser: httpx.AsyncClient, verifier: Verifier, form: Form, known: Known) -> str:
    """Make sure that there is what the form is about, and return its address."""
    source = await verifier.register_source("AFP", kind="wire", note="known for long")
    await verifier.open_story("another story", note="to be erased")
    id = {"claim": known.claim, "story": known.story, "source": source.id}.get(form.on, "")
    if form.path == "/stories/{id}/erase":
        id = (await verifier.open_story("told in court", note="to be erased")).id
    return form.path.replace("{id:path}", id).replace("{id}", id)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.path)
async def test_every_form_records_what_it_says_and_leads_to_what_it_is_about(
    browser: httpx.AsyncClient, verifier: Verifier, known: Known, form: Form
) -> None:
    path, typed = await _ready(browser, verifier, form, known), TYPED[form.path](known)
    if form.path == "/stories/{id}/split-origins":
        merged = await fill(browser, path.replace("split", "merge"), {"kept": "AFP", "merged": "Reuters"})
        assert merged.status_code == 303
    shown = await drawn(browser, path)
    if form.name == "split-origins":
        typed["merge"] = shown.choices["merge"][-1]
    if form.command is commands.Erase and form.on != "claim":
        typed["event"] = shown.choices["event"][-1]
    if form.name == "split":
        typed |= {name: "1, 2" for name in shown.names if name.startswith("statements:")}
    files = {"file": ("letter.txt", b"the letter", "text/plain")} if form.name == "attach" else None
    before = await _head(verifier)

    response = await send(browser, shown, typed, files=files)

    assert response.status_code == 303, Forms(response.text).text
    recorded = [event async for event in verifier.events(after=before)]
    assert form.type in [event.type for event in recorded]
    page = await browser.get(response.headers["location"])
    assert page.status_code == 200 and "Recorded:" in page.text
    again = await browser.get(response.headers["location"])
    assert "Recorded:" not in again.text, "told once"


async def _now(browser: httpx.AsyncClient, claim: str) -> dict[str, Any]:
    """The data of a claim's page, which knows everything that was recorded before it was asked for."""
    data: dict[str, Any] = (await browser.get(f"/claims/{claim}.json")).json()
    return data


async def _said(browser: httpx.AsyncClient, claim: str) -> list[dict[str, Any]]:
    """What was said about a claim, in the order of its recording."""
    data = await _now(browser, claim)
    said = [said for group in data["origins"] for said in group["statements"]] + data["notes"]
    return sorted(said, key=lambda said: said["position"])


async def _head(verifier: Verifier) -> int:
    return max([event.position async for event in verifier.events()], default=0)


async def test_what_was_typed_is_what_is_recorded(browser: httpx.AsyncClient, verifier: Verifier, known: Known) -> None:
    await fill(browser, f"/claims/{known.claim}/corroborate", TYPED["/claims/{id}/corroborate"](known))

    said = (await _said(browser, known.claim))[-1]
    assert (said["source_name"], said["via"], said["attribution"]) == ("an official", ["Newsweek", "CNN"], "anonymous")
    assert said["occurred"]["basis"] == "inferred"
    assert (said["quote"]["exact"], said["quote"]["language"]) == ("it is authentic", "en")
    assert (said["note"], said["recorded_by"]) == ("by telephone", "ada")


async def test_a_use_says_which_position_of_the_claim_the_form_showed(
    browser: httpx.AsyncClient, verifier: Verifier, known: Known
) -> None:
    position = (await _now(browser, known.claim))["claim"]["position"]

    await fill(browser, f"/claims/{known.claim}/publish", {"address": "https://example.org/9", "day": "2020-01-09"})

    assert (await _now(browser, known.claim))["claim"]["publications"][-1]["seen"] == position


async def test_enter_leads_to_every_form_that_begins_something(browser: httpx.AsyncClient) -> None:
    page = await browser.get("/enter")

    for form in FORMS:
        assert (f'href="{form.path}"' in page.text) == ("{" not in form.path), form.path


# --- undo ------------------------------------------------------------------------------------------


async def test_the_page_after_a_form_offers_to_undo_it(
    browser: httpx.AsyncClient, verifier: Verifier, known: Known
) -> None:
    before = (await _now(browser, known.claim))["claim"]
    sent = await fill(browser, f"/claims/{known.claim}/deny", {"source": "Mark Esper"})
    page = await browser.get(sent.headers["location"])
    undo = Forms(page.text).forms[0]

    undone = await send(browser, undo)
    twice = await send(browser, undo)

    assert (undone.status_code, twice.status_code) == (303, 303), undone.text
    after = (await _now(browser, known.claim))["claim"]
    assert after["texts"]["label"] == before["texts"]["label"]
    withdrawn = [event async for event in verifier.events() if event.type == "statement.withdrawn"]
    assert len(withdrawn) == 1, "undone once, however often it is asked for"


@pytest.mark.parametrize(
    ("name", "typed"),
    [
        ("link", {"kind": "contradicts"}),
        ("publish", {"address": "https://example.org/3", "day": "2020-01-06"}),
        ("adjudicate", {"verdict": "unprovable", "reason": "so far"}),
        ("merge-origins", {"kept": "the letter", "merged": "somebody"}),
        ("attribute", {"source": "Mark Esper"}),
    ],
)
async def test_what_can_be_taken_back_can_be_undone_with_one_button(
    browser: httpx.AsyncClient, known: Known, name: str, typed: dict[str, str]
) -> None:
    about = {"link": {"to": known.third}, "attribute": {"statement": known.unnamed}}.get(name, {})
    sent = await fill(browser, f"/claims/{known.claim}/{name}", {**typed, **about})
    page = await browser.get(sent.headers["location"])

    undone = await send(browser, Forms(page.text).forms[0])

    assert undone.status_code == 303, Forms(undone.text).text


# --- problems --------------------------------------------------------------------------------------


async def test_a_problem_stands_at_its_field_and_nothing_typed_is_lost(
    browser: httpx.AsyncClient, verifier: Verifier, known: Known
) -> None:
    typed = {"source": "Mark Esper", "occurred": "last Monday", "note": "two\nlines", "via": "CNN\nBBC"}

    response = await fill(browser, f"/claims/{known.claim}/deny", typed)

    assert response.status_code == 422
    page = Forms(response.text)
    [form] = page.forms
    assert {name: form.values[name][0] for name in typed} == typed
    assert 'id="i-occurred" name="occurred" aria-describedby="h-occurred" aria-invalid="true"' in response.text
    sent = await send(browser, form, {"occurred": "2020-01-06"})
    assert sent.status_code == 303


async def test_a_file_is_kept_while_the_form_comes_back(
    browser: httpx.AsyncClient, verifier: Verifier, known: Known
) -> None:
    file = {"file": ("letter.txt", b"a rare copy", "text/plain; charset=utf-8")}
    refused = await fill(browser, f"/claims/{known.claim}/attach", {"fetched_at": "once"}, files=file)
    assert refused.status_code == 422

    sent = await send(browser, Forms(refused.text).forms[0], {"fetched_at": "2020-01-06T10:00:00Z"})

    assert sent.status_code == 303, Forms(sent.text).text
    evidence = (await browser.get(f"/claims/{known.claim}.json")).json()["evidence"]
    assert [each["held"] for each in evidence] == [True]
    assert evidence[0]["size"] == len(b"a rare copy")


async def test_a_form_about_nothing_says_so(browser: httpx.AsyncClient) -> None:
    assert (await browser.get("/claims/clm_unknown/deny")).status_code == 404
    assert (await browser.get("/claims/clm_unknown/dance")).status_code == 404


# --- two editors -----------------------------------------------------------------------------------


async def test_the_second_of_two_editors_sees_what_the_first_recorded_before_theirs_is(
    browser: httpx.AsyncClient, verifier: Verifier, known: Known
) -> None:
    second = await drawn(browser, f"/claims/{known.claim}/deny")
    first = await fill(browser, f"/claims/{known.claim}/corroborate", {"source": "Newsweek", "note": "just now"})
    assert first.status_code == 303

    response = await send(browser, second, {"source": "Mark Esper", "note": "typed with care"})

    assert response.status_code == 412
    page = Forms(response.text)
    assert "Newsweek" in page.text and "just now" in page.text and "Record it all the same" in page.text
    [form] = page.forms
    assert form.values["note"] == ["typed with care"]
    denied = [said["source_name"] for said in await _said(browser, known.claim) if said["stance"] == "denied"]
    assert "Mark Esper" not in denied
    confirmed = await send(browser, form)
    assert confirmed.status_code == 303
    denied = [said["source_name"] for said in await _said(browser, known.claim) if said["stance"] == "denied"]
    assert denied.count("Mark Esper") == 1


async def test_a_double_click_and_a_reload_record_once(
    browser: httpx.AsyncClient, verifier: Verifier, known: Known
) -> None:
    form = await drawn(browser, f"/claims/{known.claim}/deny")

    clicks = await asyncio.gather(*(send(browser, form, {"source": "Mark Esper"}) for _ in range(4)))
    clicks.append(await send(browser, form, {"source": "Mark Esper"}))

    assert {click.status_code for click in clicks} == {303}
    sources = [said["source_name"] for said in await _said(browser, known.claim)]
    assert sources.count("Mark Esper") == 1


async def test_a_form_that_was_recorded_and_is_sent_with_other_words_asks_again(
    browser: httpx.AsyncClient, verifier: Verifier, known: Known
) -> None:
    form = await drawn(browser, f"/claims/{known.claim}/deny")
    await send(browser, form, {"source": "Mark Esper"})

    response = await send(browser, form, {"source": "Mike Pompeo"})

    assert response.status_code in (412, 422)
    again = Forms(response.text).forms[0]
    assert again.values["source"] == ["Mike Pompeo"] and again.values["key"] != form.values["key"]
    sent = await send(browser, again, {"position": str((await _now(browser, known.claim))["claim"]["position"])})
    assert sent.status_code == 303


# --- hostile and erased texts, foreign pages -------------------------------------------------------


async def test_hostile_words_are_words_in_every_form(browser: httpx.AsyncClient, verifier: Verifier) -> None:
    claim = await verifier.assert_claim(HOSTILE, source=f"the {HOSTILE}", story=HOSTILE, note=HOSTILE)
    for form in FORMS:
        if form.on != "claim":
            continue
        path = f"/claims/{claim.id}/{form.name}"

        shown = await browser.get(path)
        refused = await fill(
            browser,
            path,
            {name: HOSTILE for name in ("source", "note", "reason") if name in (await drawn(browser, path)).names}
            | {"position": "1"},
        )

        for response in (shown, refused):
            assert response.text.count("<script") == 1, path
            assert "alert(1)</script>" not in response.text and "onload='x'" not in response.text, path


async def test_a_text_that_was_erased_stands_in_no_form(
    browser: httpx.AsyncClient, verifier: Verifier, known: Known
) -> None:
    secret = "known to few"
    said = (await verifier.deny(known.claim, source="Mark Esper", note=secret)).statement
    for slot in ("wording", "identity"):
        sent = await fill(
            browser, f"/claims/{known.claim}/erase", {"event": said, "slot": slot, "basis": "court_order"}
        )
        assert sent.status_code == 303, Forms(sent.text).text

    for form in FORMS:
        if form.on == "claim":
            text = (await browser.get(f"/claims/{known.claim}/{form.name}")).text
            assert secret not in text and "Mark Esper" not in text, form.name


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"origin": "https://evil.example"}, 403), ({"origin": "null"}, 403), ({}, 403),
     ({"sec-fetch-site": "cross-site"}, 403), ({"sec-fetch-site": "same-origin"}, 303)],
    ids=["of elsewhere", "of nowhere", "that says nothing", "of another site", "of ours"],
)  # fmt: skip
async def test_a_form_is_taken_from_our_own_pages_only(
    browser: httpx.AsyncClient, verifier: Verifier, known: Known, headers: dict[str, str], status: int
) -> None:
    form = await drawn(browser, f"/claims/{known.claim}/deny")
    before = await _head(verifier)

    response = await browser.post(form.action, data={**form.values, "source": "Mark Esper"}, headers=headers)

    assert response.status_code == status
    assert (await _head(verifier) == before) == (status == 403)


async def test_a_cookie_that_nobody_of_us_made_shows_nothing(browser: httpx.AsyncClient, known: Known) -> None:
    name = f"done-{(await browser.get('/desk.json')).json()['log'][-12:]}"
    for value in ("nonsense", "eyJ9", "e30="):
        response = await browser.get(f"/claims/{known.claim}", headers={"cookie": f"{name}={value}"})
        assert response.status_code == 200 and "Recorded:" not in response.text
