"""The dashboard's pages, asked for over a socket as a browser does, and read as a parser reads them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest

from verifier.client import Verifier
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


def addresses(plan: str) -> list[str]:
    """The address of every page, with the claim in it."""
    return [each.path.replace("{id}", plan) for each in PAGES]


# --- what every page keeps -------------------------------------------------------------------------


async def test_every_page_forbids_what_does_not_come_from_this_server(browser: httpx.AsyncClient, plan: str) -> None:
    for path in addresses(plan):
        headers = (await browser.get(path)).headers

        policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
        assert policy.pop("default-src") == policy.pop("base-uri") == policy.pop("frame-ancestors") == "'none'", path
        assert set(policy.values()) == {"'self'"}, path
        assert headers["x-content-type-options"] == "nosniff", path
        assert headers["cache-control"] == "no-store", path
        assert headers["referrer-policy"] == "same-origin", path


async def test_no_page_holds_a_script_a_style_or_an_address_from_elsewhere(
    browser: httpx.AsyncClient, plan: str
) -> None:
    for path in addresses(plan):
        read = await page(browser, path)

        for tag, attributes in read.elements:
            assert tag != "style" and "style" not in attributes, path
            assert not [name for name in attributes if name.startswith("on")], path
            for name in ("src", "href", "action"):
                assert (attributes.get(name) or "/").startswith(("/", "#")), (path, attributes)
        assert [script["type"] for script in read.all("script")] == ["module"], path


async def test_every_page_names_itself_its_parts_and_its_twin(browser: httpx.AsyncClient, plan: str) -> None:
    for path in addresses(plan):
        read = await page(browser, path)

        assert [element["lang"] for element in read.all("html")] == ["en"], path
        assert len(read.all("main")) == len(read.all("h1")) == len(read.all("title")) == 1, path
        assert all("aria-label" in nav for nav in read.all("nav")), path
        twin = next(link["href"] for link in read.all("link") if link["rel"] == "alternate")
        assert (await browser.get(str(twin))).json()["title"], path


async def test_a_page_and_its_twin_show_the_same_data(browser: httpx.AsyncClient, plan: str) -> None:
    for path in addresses(plan):
        read = await page(browser, path)
        twin = next(str(link["href"]) for link in read.all("link") if link["rel"] == "alternate")

        response = await browser.get(twin)

        assert response.headers["content-type"] == "application/json"
        assert response.headers["cache-control"] == "no-store"
        if "claim" in response.json():
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

    for path in addresses(claim.id):
        response = await browser.get(path)
        read = Read(response.text)
        assert response.status_code == 200
        assert len(read.all("script")) == 1, path
        assert not [a for _, a in read.elements if "onload" in a], path
        assert "{{ 7*7 }}" in read.text or path == "/", path
        label = next(" ".join(read.words[n : n + 1]) for n, word in enumerate(read.words) if "denied by no" in word)
        assert "\u202e" not in label, "in a sentence of ours, nothing turns the direction"


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
    assert read.all("body")[0]["data-feed"] == f"/api/v1/feed?claim={plan}"
    assert {said.event async for said in verifier.statements(plan)} <= {a.get("id") for _, a in read.elements}


async def test_a_claim_as_it_stood_then_is_shown_as_it_stood_then(
    browser: httpx.AsyncClient, verifier: Verifier, plan: str
) -> None:
    history = [change async for change in verifier.history(plan)]

    read = await page(browser, f"/claims/{plan}", as_of=history[0].position)

    assert "asserted by one origin" in read.text and "denied" not in read.text


async def test_an_erased_wording_is_named_as_erased(browser: httpx.AsyncClient, verifier: Verifier, plan: str) -> None:
    event = [event.id async for event in verifier.events(plan) if event.type == "claim.registered"]
    await verifier.erase(plan, event=event[0], slot="wording", basis="court_order")

    for path in (f"/claims/{plan}", "/live"):
        read = await page(browser, path)
        assert "The wording was erased" in read.text and "plans to withdraw" not in read.text, path
