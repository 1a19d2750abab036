"""The dashboard's pages, asked for over a socket as a browser does, and read as a parser reads them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import httpx
import pytest
from newsroom import Newsroom
from serving import served

from events.keys import Keys
from events.seals import Seals
from events.tlog import new_key
from verifier.app import Desk
from verifier.client import Verifier
from verifier.commands import Quotation
from verifier.dashboard.pages import PAGES
from verifier.dashboard.statics import statics

HOSTILE = "<script>alert(1)</script>\" onload='x' \u202egnorw\u202c {{ 7*7 }} \r\ndata: x"


@pytest.fixture
async def browser(server: str) -> AsyncIterator[httpx.AsyncClient]:
    """What asks for pages as a browser does."""
    async with httpx.AsyncClient(base_url=server, headers={"accept": "text/html"}) as client:
        yield client


class Read(HTMLParser):
    """A page taken apart: its elements with their attributes, and its words."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for found, attributes in self.elements if found == tag]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


async def page(browser: httpx.AsyncClient, path: str, **params: Any) -> Read:
    """Ask for a page that is there."""
    response = await browser.get(path, params=params)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    return Read(response.text)


@pytest.fixture
async def plan(verifier: Verifier) -> str:
    """A claim that was asserted and then denied."""
    claim = await verifier.assert_claim("The US plans to withdraw", source="William Seely", story="iraq-letter")
    await verifier.deny(claim, source="Mark Esper", occurred="2020-01-06")
    return claim.id


async def addresses(verifier: Verifier, claim: str) -> list[str]:
    """The address of every page, with a claim, its story and its first source in it."""
    story = (await verifier.claim(claim)).story
    source = await anext(said.source_id async for said in verifier.statements(claim))
    ids = {"/claims/{id}": claim, "/stories/{id}": story or "", "/sources/{id:path}": source or ""}
    return [re.sub(r"\{.*\}", ids.get(each.path, ""), each.path) for each in PAGES]


# --- what every page keeps -------------------------------------------------------------------------


async def test_every_page_forbids_what_does_not_come_from_this_server(
    browser: httpx.AsyncClient, verifier: Verifier, plan: str
) -> None:
    for path in await addresses(verifier, plan):
        headers = (await browser.get(path)).headers

        policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
        assert policy.pop("default-src") == policy.pop("base-uri") == policy.pop("frame-ancestors") == "'none'", path
        assert set(policy.values()) == {"'self'"}, path
        assert headers["x-content-type-options"] == "nosniff", path
        assert headers["cache-control"] == "no-store", path
        assert headers["referrer-policy"] == "same-origin", path


async def test_no_page_holds_a_script_a_style_or_an_address_from_elsewhere(
    browser: httpx.AsyncClient, verifier: Verifier, plan: str
) -> None:
    for path in await addresses(verifier, plan):
        read = await page(browser, path)

        for tag, attributes in read.elements:
            assert tag != "style" and "style" not in attributes, path
            assert not [name for name in attributes if name.startswith("on")], path
            for name in ("src", "href", "action"):
                assert (attributes.get(name) or "/").startswith(("/", "#")), (path, attributes)
        assert [script["type"] for script in read.all("script")] == ["module"], path


async def test_every_page_names_itself_its_parts_and_its_twin(
    browser: httpx.AsyncClient, verifier: Verifier, plan: str
) -> None:
    for path in await addresses(verifier, plan):
        read = await page(browser, path)

        assert [element["lang"] for element in read.all("html")] == ["en"], path
        assert len(read.all("main")) == len(read.all("h1")) == 1 and read.all("title"), path
        assert all("aria-label" in nav for nav in read.all("nav")), path
        twin = next(link["href"] for link in read.all("link") if link["rel"] == "alternate")
        assert (await browser.get(str(twin))).json()["title"], path


async def test_a_page_and_its_twin_show_the_same_data(
    browser: httpx.AsyncClient, verifier: Verifier, plan: str
) -> None:
    for path in await addresses(verifier, plan):
        read = await page(browser, path)
        twin = next(str(link["href"]) for link in read.all("link") if link["rel"] == "alternate")

        response = await browser.get(twin)

        assert response.headers["content-type"] == "application/json"
        assert response.headers["cache-control"] == "no-store"
        if path.startswith("/claims/"):
            assert response.json()["claim"]["texts"]["explanation"] in read.text, path


async def test_what_pages_use_may_be_kept_for_ever_under_its_name(browser: httpx.AsyncClient) -> None:
    read = await page(browser, "/live")
    named = {str(a.get("href") or a.get("src")) for tag, a in read.elements if tag in ("link", "script")}

    for static in statics().values():
        assert static.path in named
        response = await browser.get(static.path)
        assert response.content == static.data
        assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert response.headers["content-type"].startswith(static.media_type)
        other = re.sub(r"\.[0-9a-f]{12}\.", ".000000000000.", static.path)
        assert (await browser.get(other)).status_code == 404, "a name that changes with the content"


async def test_a_page_is_sent_small_to_whoever_takes_it_so(server: str, verifier: Verifier) -> None:
    for number in range(20):
        await verifier.assert_claim(f"Claim {number}", source="AFP")
    async with httpx.AsyncClient(base_url=server) as client:
        small = await client.get("/live", headers={"accept-encoding": "gzip"})
        plain = await client.get("/live", headers={"accept-encoding": "identity"})

    assert small.headers["content-encoding"] == "gzip" and "content-encoding" not in plain.headers
    assert small.text == plain.text
    assert int(small.headers["content-length"]) < len(plain.content) / 3


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("/claims/clm_unknown", 404, "look it up in the list of claims"),
        ("/live?cursor=nonsense", 422, "use the `next` of an answer"),
        ("/live?colour=red", 422, "colour"),
        ("/live?status=denied&status=asserted", 422, "keep one of them"),
    ],
    ids=["no such claim", "no cursor", "no such parameter", "given twice"],
)
async def test_a_problem_is_a_page_that_says_what_to_do(
    browser: httpx.AsyncClient, path: str, status: int, says: str
) -> None:
    response = await browser.get(path)

    assert response.status_code == status
    assert "content-security-policy" in response.headers
    read = Read(response.text)
    assert says in read.text
    assert response.headers["x-request-id"] in read.text
    assert "/live" in [link["href"] for link in read.all("a")]
    twin = await browser.get(path.replace("?", ".json?") if "?" in path else f"{path}.json")
    assert (twin.status_code, twin.headers["content-type"]) == (status, "application/problem+json")


async def test_hostile_words_are_words_on_every_page(browser: httpx.AsyncClient, verifier: Verifier) -> None:
    claim = await verifier.assert_claim(HOSTILE, source=f"the {HOSTILE}", story=HOSTILE, note=HOSTILE)
    await verifier.deny(claim, source=f"no {HOSTILE}")

    for path in await addresses(verifier, claim.id):
        response = await browser.get(path)
        read = Read(response.text)
        assert response.status_code == 200
        assert len(read.all("script")) == 1, path
        assert not [a for _, a in read.elements if "onload" in a], path
        labels = [word for word in read.words if "denied by no" in word]
        assert labels or path.strip("/") in ("enter", "stories", "sources", "search", "audit"), path
        assert not [word for word in labels if "\u202e" in word], "in a sentence of ours, nothing turns the direction"
        assert ("{{ 7*7 }}" in read.text) or path in ("/enter", "/search", "/audit"), path


# --- live ------------------------------------------------------------------------------------------


async def test_live_counts_the_claims_by_status_and_shows_each_with_its_label(
    browser: httpx.AsyncClient, verifier: Verifier, plan: str
) -> None:
    await verifier.assert_claim("The letter is authentic", source="AFP")

    read = await page(browser, "/live")
    data = (await browser.get("/live.json")).json()

    assert data["by_status"] == {"denied": 1, "asserted": 1}
    assert "denied by Mark Esper" in read.text and "asserted by one origin" in read.text
    assert f"/claims/{plan}" in [link["href"] for link in read.all("a")]
    assert [item["text"] for item in data["changes"]] == [
        "The letter is authentic", "The US plans to withdraw", "The US plans to withdraw",
    ]  # fmt: skip


async def test_live_narrows_its_table_down_by_what_stands_in_the_address(
    browser: httpx.AsyncClient, verifier: Verifier, plan: str
) -> None:
    await verifier.assert_claim("The letter is authentic", source="AFP")

    for narrowed in ({"status": "denied"}, {"text": "withdraw"}, {"source": "Mark Esper"}, {"story": "iraq-letter"}):
        data = (await browser.get("/live.json", params={**narrowed, "language": ""})).json()
        assert [claim["id"] for claim in data["claims"]["items"]] == [plan], narrowed
    read = await page(browser, "/live", status="corroborated")
    assert "No claim is like that." in read.text


async def test_live_goes_on_with_older_claims_page_by_page(browser: httpx.AsyncClient, verifier: Verifier) -> None:
    claims = [(await verifier.assert_claim(f"Claim {number}", source="AFP")).id for number in range(5)]

    seen: list[str] = []
    path: str | None = "/live?limit=2&status=asserted"
    while path:
        read = await page(browser, path)
        seen += [str(row["id"]) for row in read.all("tr") if "id" in row]
        path = next((str(link["href"]) for link in read.all("a") if link.get("rel") == "next"), None)
        assert path is None or "status=asserted" in path

    assert seen == claims[::-1]


async def test_the_changes_after_the_position_of_a_page_are_those_that_it_does_not_show(
    browser: httpx.AsyncClient, verifier: Verifier, plan: str
) -> None:
    first = (await browser.get("/live.json")).json()
    assert first["changes"]
    shown = {(item["position"], item["claim"]) for item in first["changes"]}
    written = await verifier.retract(plan, await last_statement(verifier, plan), by="Mark Esper")

    read = await page(browser, "/live", after=first["position"], at_least=written.written_at)
    then = (await browser.get("/live.json", params={"after": first["position"], "at_least": written.written_at})).json()

    new = {(item["position"], item["claim"]) for item in then["changes"]}
    assert new == {(written.written_at, plan)} and not new & shown
    assert read.all("body")[0]["data-position"] == str(then["position"])
    assert then["position"] >= written.written_at


async def last_statement(verifier: Verifier, claim: str) -> str:
    return [said.event async for said in verifier.statements(claim)][-1]


# --- claim -----------------------------------------------------------------------------------------


async def test_a_claim_shows_its_label_its_explanation_and_who_said_what(
    browser: httpx.AsyncClient, verifier: Verifier, plan: str
) -> None:
    claim = await verifier.claim(plan)

    read = await page(browser, f"/claims/{plan}")

    assert claim.label in read.text and claim.explanation in read.text
    assert "William Seely" in read.text and "Mark Esper" in read.text
    assert read.all("body")[0]["data-feed"] == f"/api/v1/events?claim={plan}"
    assert {said.event async for said in verifier.statements(plan)} <= {a.get("id") for _, a in read.elements}


async def test_a_claim_as_it_stood_then_is_shown_as_it_stood_then(
    browser: httpx.AsyncClient, verifier: Verifier, plan: str
) -> None:
    history = [change async for change in verifier.history(plan)]

    facts = [event async for event in verifier.events(plan)]
    step = next(number for number, fact in enumerate(facts, 1) if fact.position == history[0].position)

    by_position = (await browser.get(f"/claims/{plan}.json", params={"as_of": history[0].position})).json()
    by_step = (await browser.get(f"/claims/{plan}.json", params={"step": step})).json()
    read = await page(browser, f"/claims/{plan}", step=step)

    assert by_position == by_step
    asked = await verifier.claim(plan, as_of=history[0].position)
    assert by_step["claim"]["basis"] == asked.basis.model_dump(exclude={"said_by", "speculative"})
    assert by_step["claim"]["texts"]["label"] == asked.label == "asserted by one origin"
    assert read.text.index("As we knew it") < read.text.index("asserted by one origin")
    [slider] = [field for field in read.all("input") if field["type"] == "range"]
    assert (slider["name"], slider["min"], slider["max"], slider["value"]) == ("step", "1", str(len(facts)), str(step))
    assert "data-feed" not in read.all("body")[0], "the past doesn't change"


async def test_an_erased_wording_is_named_as_erased(browser: httpx.AsyncClient, verifier: Verifier, plan: str) -> None:
    event = [event.id async for event in verifier.events(plan) if event.type == "claim.registered"]
    await verifier.erase(plan, event=event[0], slot="wording", basis="court_order")

    for path in (f"/claims/{plan}", "/live"):
        read = await page(browser, path)
        assert "The wording was erased" in read.text and "plans to withdraw" not in read.text, path


async def test_the_outlets_of_one_letter_look_like_one_origin(
    browser: httpx.AsyncClient, verifier: Verifier, plan: str
) -> None:
    for outlet in ("AFP", "Reuters", "Newsweek", "BBC"):
        await verifier.corroborate(plan, source="the paper", origin="the letter", via=[outlet])
    await verifier.corroborate(plan, source="Abdel Mahdi")
    merged = await verifier.corroborate(plan, source="his office")
    await verifier.merge_origins(plan, kept="Abdel Mahdi", merged="his office")

    groups = (await browser.get(f"/claims/{plan}.json")).json()["origins"]
    read = await page(browser, f"/claims/{plan}")

    assert [(group["side"], group["label"], len(group["statements"])) for group in groups] == [
        ("support", "William Seely", 1),
        ("support", "the letter", 4),
        ("support", "Abdel Mahdi", 2),
        ("denial", "Mark Esper", 1),
    ]
    assert "One origin, 4 outlets" in read.text
    assert merged.statement in {attributes.get("id") for _, attributes in read.elements}


async def test_every_decisive_fact_is_linked_and_stands_on_the_page(
    browser: httpx.AsyncClient, verifier: Verifier, plan: str
) -> None:
    decisive = (await verifier.claim(plan)).computed.decisive

    read = await page(browser, f"/claims/{plan}")

    assert decisive and {f"#{event}" for event in decisive} <= {str(link.get("href")) for link in read.all("a")}
    assert set(decisive) <= {attributes.get("id") for _, attributes in read.elements}


async def test_a_step_that_there_is_not_is_refused_with_what_there_is(browser: httpx.AsyncClient, plan: str) -> None:
    response = await browser.get(f"/claims/{plan}?step=99")

    assert response.status_code == 422
    assert "this claim has 3 facts" in Read(response.text).text


async def test_the_other_policies_stand_side_by_side(browser: httpx.AsyncClient, verifier: Verifier, plan: str) -> None:
    data = (await browser.get(f"/claims/{plan}.json")).json()

    assert {each["policy"]: each["label"] for each in data["policies"]} == {
        policy["id"]: (await verifier.claim(plan, policy=policy["id"])).label for policy in await verifier.policies()
    }
    assert [each["policy"] for each in data["policies"] if each["in_force"]] == ["standing/1"]


async def test_a_quote_stands_in_its_context_beside_the_document_with_its_bytes(
    browser: httpx.AsyncClient, verifier: Verifier, plan: str
) -> None:
    letter = b"Sir, we respect your sovereign decision to order our departure."
    document = hashlib.sha256(letter).hexdigest()
    await verifier.attach(plan, letter, shows="the letter")
    quote = Quotation(exact="sovereign decision", document=document)
    await verifier.corroborate(plan, source="AFP", quote=quote)

    read = await page(browser, f"/claims/{plan}")

    assert "sovereign decision" in read.text and "the letter" in read.text
    assert f"/api/v1/evidence/{document}" in [link["href"] for link in read.all("a")]


# --- desk ------------------------------------------------------------------------------------------


async def test_a_recall_stands_on_the_desk_until_its_use_is_taken_down(
    browser: httpx.AsyncClient, verifier: Verifier
) -> None:
    claim = await verifier.assert_claim("A carrier is on its way", source="The Navy Times")
    claim = await verifier.corroborate(claim, source="Reuters")
    used = await verifier.publish_claim(claim, address="https://example.org/carrier", day="2020-01-06")
    assert (await browser.get("/desk.json")).json()["recalls"] == []
    denied = await verifier.deny(claim.id, source="The Pentagon", occurred="2020-01-07")
    await verifier.publish_claim(denied, address="https://example.org/denied", day="2020-01-07")

    data = (await browser.get("/desk.json")).json()
    read = await page(browser, "/")
    await verifier.unpublish_claim(claim.id, used.statement)
    after = (await browser.get("/desk.json")).json()

    assert [(use["publication"], use["address"], use["recalled_at"]) for use in data["recalls"]] == [
        (used.statement, "https://example.org/carrier", denied.written_at)
    ], "the use that came after the recall knew of it"
    assert data["recalled"] == 1 and "denied by The Pentagon" in read.text
    assert after["recalls"] == [] and after["recalled"] == 0


async def test_the_desk_shows_what_changed_since_the_reader_has_seen_the_changes(
    browser: httpx.AsyncClient, verifier: Verifier, plan: str
) -> None:
    read = await page(browser, "/")
    assert "Last changes" in read.text and "plans to withdraw" in read.text

    seen = next(str(link["href"]) for link in read.all("a") if str(link["href"]).startswith("/seen"))
    response = await browser.get(seen)
    assert (response.status_code, response.headers["location"]) == (303, "/")
    assert "HttpOnly" in response.headers["set-cookie"] and "SameSite=lax" in response.headers["set-cookie"]
    nothing = await page(browser, "/")
    await verifier.assert_claim("The letter is authentic", source="AFP")
    data = (await browser.get("/desk.json")).json()

    assert "Nothing has changed since." in nothing.text
    assert [change["text"] for change in data["changes"]] == ["The letter is authentic"] and data["new"] == 1


async def test_a_position_that_the_log_does_not_have_is_not_remembered(browser: httpx.AsyncClient, plan: str) -> None:
    for position in ("999999999", "-1", "", "9" * 30, "x"):
        response = await browser.get("/seen", params={"position": position})

        assert response.status_code == 303 and "set-cookie" not in response.headers, position


async def test_the_desk_counts_what_needs_attention_and_leads_to_it(
    browser: httpx.AsyncClient, verifier: Verifier, plan: str
) -> None:
    await verifier.assert_claim("The letter is authentic", source="somebody", attribution="unattributed")
    await verifier.corroborate(plan, source="M. Esper")

    data = (await browser.get("/desk.json")).json()
    counted = {each["reason"]: each["claims"] for each in data["attention"]}

    assert counted.keys() >= {"who", "same_source"}
    for reason, claims in counted.items():
        listed = (await browser.get("/live.json", params={"attention": reason})).json()["claims"]["items"]
        assert len(listed) == claims, reason


async def test_quiet_claims_are_those_that_take_facts_and_had_none_since(desk: Desk) -> None:
    newsroom = Newsroom(desk.log)
    first, second = await newsroom.claim("First"), await newsroom.claim("Second")
    since = await desk.log.head()
    await newsroom.say(first, "AFP")
    assert await desk.views.reached(await desk.log.head(), 2.0)

    quiet = await desk.queries.quiet(since=since)

    assert [claim["id"] for claim in quiet["items"]] == [second] == list(quiet["touched"])
    assert quiet["total"] == 1


# --- the others ------------------------------------------------------------------------------------


async def test_a_story_lists_its_claims_and_counts_them_by_status(
    browser: httpx.AsyncClient, verifier: Verifier, plan: str
) -> None:
    await verifier.assert_claim("The letter is authentic", source="AFP", story="iraq-letter")
    await verifier.assert_claim("Another story", source="AFP", story="brexit")

    read = await page(browser, "/stories/iraq-letter")
    data = (await browser.get("/stories/iraq-letter.json")).json()
    stories = await page(browser, "/stories")

    assert data["story"]["by_status"] == {"asserted": 1, "denied": 1}
    assert "The letter is authentic" in read.text and "Another story" not in read.text
    assert "iraq-letter" in stories.text and "brexit" in stories.text


async def test_a_source_lists_what_it_said_with_how_each_claim_stands_and_no_score(
    browser: httpx.AsyncClient, verifier: Verifier, plan: str
) -> None:
    await verifier.assert_claim("The letter is authentic", source="Mark Esper")

    read = await page(browser, "/sources/Mark Esper")
    data = (await browser.get("/sources/Mark Esper.json")).json()

    assert data["source"]["standing"] == {"denial": {"denied": 1}, "support": {"asserted": 1}}
    assert [[said["stance"] for said in each] for each in data["said"].values()] == [["asserted"], ["denied"]]
    assert "denied by Mark Esper" in read.text and "%" not in read.text


async def test_search_finds_claims_by_their_words_and_names_as_they_are(
    browser: httpx.AsyncClient, verifier: Verifier, plan: str
) -> None:
    words = await page(browser, "/search", text="WITHDRAW")
    name = await page(browser, "/search", text="Mark Esper")
    story = await page(browser, "/search", text="iraq-letter")
    nothing = await page(browser, "/search", text="no such words")

    assert f"/claims/{plan}" in [link["href"] for link in words.all("a")] and "denied by Mark Esper" in words.text
    assert "Source: Mark Esper" in name.text and "Story: iraq-letter" in story.text
    assert "No claim has these words." in nothing.text


async def test_audit_says_why_there_is_no_checkpoint(browser: httpx.AsyncClient, plan: str) -> None:
    read = await page(browser, "/audit")
    data = (await browser.get("/audit.json")).json()

    assert data["checkpoint"] is None and data["unsealed"] in read.text
    assert data["health"]["head"] >= 4


async def test_audit_hands_over_the_proof_of_an_event(log_place: str, tmp_path: Path) -> None:
    key, seals = new_key("example.org/newsroom"), tmp_path / "seals"
    Seals(seals).begin(Keys.parse(key, "the test"))
    with served(log_place, seal_key=key, seals=seals) as serving:
        async with Verifier(serving.address) as verifier, httpx.AsyncClient(base_url=serving.address) as client:
            written = await verifier.assert_claim("The letter is authentic", source="AFP")
            await verifier.receipt(written.written_at)  # waits until it is sealed
            read = await page(client, "/audit", position=written.written_at)

    assert [attributes for _, attributes in read.elements if "data-leaf" in attributes]
    assert written.statement in read.text and "example.org/newsroom" in read.text


async def test_a_badge_shows_a_status_with_its_label_and_may_stand_on_any_page(
    browser: httpx.AsyncClient, verifier: Verifier
) -> None:
    claim = await verifier.assert_claim(HOSTILE, source="AFP")
    await verifier.deny(claim, source=f"no {HOSTILE}")

    response = await browser.get(f"/claims/{claim.id}/badge.svg")

    assert response.headers["content-type"].startswith("image/svg+xml")
    assert response.headers["cross-origin-resource-policy"] == "cross-origin"
    assert response.headers["cache-control"] == "no-cache"
    drawn = ElementTree.fromstring(response.content)
    assert "denied by no" in (drawn.get("aria-label") or "")
    assert {element.tag.rpartition("}")[2] for element in drawn.iter()} <= {"svg", "title", "rect", "g", "path", "text"}
    assert (await browser.get("/claims/clm_unknown/badge.svg")).status_code == 404


async def test_a_text_as_long_as_may_be_is_shortened_in_lists_and_whole_on_its_page(
    browser: httpx.AsyncClient, verifier: Verifier
) -> None:
    words = "withdraw " * 1_000
    claim = await verifier.assert_claim(words, source="AFP")

    live = await browser.get("/live")
    whole = await page(browser, f"/claims/{claim.id}")

    assert len(live.text) < 20_000
    assert whole.text.count("withdraw") >= 1_000
