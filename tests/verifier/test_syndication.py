"""The changes for feed readers: JSON Feed 1.1 and Atom, the same in both, read by a parser that others wrote."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any
from xml.etree import ElementTree

import feedparser
import httpx
import pytest

from verifier.client import Verifier

ATOM = "{http://www.w3.org/2005/Atom}"

HOSTILE = [
    pytest.param("<script>alert(1)</script> & \"more\" 'than' ]]> that", id="markup"),
    pytest.param("\x0b\x0c\x1b[31mred\x7f\x85 \ufffe\uffff", id="control characters"),
    pytest.param("\u202eesrever\u202d \u2066isolated \u2067never closed", id="bidi"),
    pytest.param("خطة الانسحاب من العراق", id="right to left"),
    pytest.param("a\r\nb\n\nc\u2028d", id="line breaks"),
    pytest.param("x" * 10_000, id="long"),
]


async def page(http: httpx.AsyncClient, address: str) -> Any:
    """Return a document, parsed: JSON, or as feedparser has it, which must find nothing wrong."""
    answer = (await http.get(address)).raise_for_status()
    if "json" in answer.headers["content-type"]:
        return answer.json()
    parsed = feedparser.parse(answer.content, response_headers={"content-type": answer.headers["content-type"]})
    assert not parsed.bozo, parsed.get("bozo_exception")
    assert parsed.version == "atom10"
    return parsed


async def ids_of_all(http: httpx.AsyncClient, address: str, meanwhile: Callable[[], Awaitable[Any]]) -> list[str]:
    """Follow the pages to the last; return the ids of the items."""
    ids: list[str] = []
    while True:
        document = await page(http, address)
        if "feed.json" in address:
            ids += [item["id"] for item in document["items"]]
            on = document.get("next_url")
        else:
            ids += [entry.id for entry in document.entries]
            on = next((link.href for link in document.feed.links if link.rel == "next"), None)
        if on is None:
            return ids
        address = on
        await meanwhile()


@pytest.fixture
async def letter(verifier: Verifier) -> dict[str, str]:
    """A story with a claim that was recalled, and a claim beside it; the ids by name."""
    plan = await verifier.assert_claim("The US plans to withdraw", source="AFP", story="iraq-letter")
    await verifier.corroborate(plan, source="Reuters")
    await verifier.deny(plan, source="Mark Esper")
    other = await verifier.assert_claim("Something else", source="AFP")
    return {"plan": plan.id, "other": other.id}


async def test_a_json_feed_has_what_its_specification_requires(http: httpx.AsyncClient, letter: dict[str, str]) -> None:
    answer = await http.get("feed.json?story=iraq-letter")
    document = answer.json()

    assert answer.headers["content-type"] == "application/feed+json"
    assert document["version"] == "https://jsonfeed.org/version/1.1"
    assert document["title"] == "Changes of statuses: iraq-letter"
    assert document["feed_url"] == str(http.base_url) + "feed.json?story=iraq-letter"
    for item in document["items"]:
        assert isinstance(item["id"], str) and item["content_text"]
        assert item["url"].startswith("http://")
        assert datetime.fromisoformat(item["date_published"]).tzinfo is not None
        assert all(isinstance(tag, str) for tag in item["tags"])
    assert [item["title"] for item in document["items"]] == [
        "Recall: denied by Mark Esper: The US plans to withdraw",
        "corroborated by two origins: The US plans to withdraw",
        "asserted by one origin: The US plans to withdraw",
    ]
    first = document["items"][0]
    assert first["_verifier"]["claim"] == letter["plan"]
    assert first["url"].endswith(f"/claims/{letter['plan']}?as_of={first['_verifier']['position']}")


async def test_atom_says_the_same(http: httpx.AsyncClient, letter: dict[str, str]) -> None:
    answer = await http.get("feed.atom")
    items, parsed = (await page(http, "feed.json"))["items"], await page(http, "feed.atom")

    assert answer.headers["content-type"].startswith("application/atom+xml")
    assert [entry.id for entry in parsed.entries] == [item["id"] for item in items]
    assert [entry.title for entry in parsed.entries] == [item["title"] for item in items]
    assert [entry.link for entry in parsed.entries] == [item["url"] for item in items]
    assert [entry.content[0].value for entry in parsed.entries] == [item["content_text"] for item in items]
    assert [[tag.term for tag in entry.tags] for entry in parsed.entries] == [item["tags"] for item in items]
    assert parsed.entries[0].updated == parsed.feed.updated == items[0]["date_published"]
    root = ElementTree.fromstring(answer.content)
    for element in (root, *root.findall(f"{ATOM}entry")):  # RFC 4287, 4.1.1 and 4.1.2
        assert [len(element.findall(ATOM + name)) for name in ("id", "title", "updated")] == [1, 1, 1]
    assert root.findtext(f"{ATOM}author/{ATOM}name")


@pytest.mark.parametrize("kind", ["json", "atom"])
@pytest.mark.parametrize(
    ("query", "titles"),
    [
        ("claim={other}", ["asserted by one origin: Something else"]),
        ("status=corroborated", ["corroborated by two origins: The US plans to withdraw"]),
        ("recalls=true", ["Recall: denied by Mark Esper: The US plans to withdraw"]),
        ("recalls=true&claim={other}", []),
        ("source=Mark Esper&status=denied", ["Recall: denied by Mark Esper: The US plans to withdraw"]),
        ("source=nobody", []),
        ("story=no such story", []),
    ],
    ids=["claim", "status", "corrections", "both", "source", "no source", "no story"],
)
async def test_a_document_is_narrowed(
    http: httpx.AsyncClient, letter: dict[str, str], kind: str, query: str, titles: list[str]
) -> None:
    document = await page(http, f"feed.{kind}?{query.format(**letter)}")

    found = document["items"] if kind == "json" else document.entries
    assert [item["title"] for item in found] == titles


@pytest.mark.parametrize("kind", ["json", "atom"])
async def test_the_pages_have_every_change_once_while_more_come(
    http: httpx.AsyncClient, verifier: Verifier, kind: str
) -> None:
    claims = [await verifier.assert_claim(f"Claim {number}", source="AFP") for number in range(7)]
    for claim in claims:
        await verifier.corroborate(claim, source="Reuters")
    await verifier.adopt_policy("strict/1")  # one position with many changes
    (last,) = {change.position async for change in verifier.changes() if change.recall}
    before = [(change.position, change.claim) async for change in verifier.changes()]

    async def more() -> None:
        await verifier.assert_claim(f"Meanwhile {await http.get('health')}"[:40], source="AFP", again=True)

    ids = await ids_of_all(http, f"feed.{kind}?limit=3", more)
    everything = (await page(http, "feed.json?limit=200"))["items"]

    assert len(before) == len(ids) == len(set(ids)) == 21
    old = [item for item in everything if item["_verifier"]["position"] <= last]
    assert ids == [item["id"] for item in old]


async def test_an_item_keeps_its_id_wherever_it_is_asked_for(
    http: httpx.AsyncClient, server: str, letter: dict[str, str]
) -> None:
    (one,) = (await page(http, "feed.json?recalls=true"))["items"]
    async with httpx.AsyncClient(base_url=server.replace("127.0.0.1", "localhost") + "/api/v1/") as other:
        (same,) = (await page(other, f"feed.json?claim={letter['plan']}&status=denied"))["items"]
        feeds = [(await page(one, "feed.atom?recalls=true")).feed.id for one in (http, other)]

    assert one["id"] == same["id"]
    assert feeds[0] == feeds[1] != (await page(http, "feed.atom")).feed.id


@pytest.mark.parametrize("kind", ["json", "atom"])
async def test_what_a_reader_has_is_not_sent_again(
    http: httpx.AsyncClient, verifier: Verifier, letter: dict[str, str], kind: str
) -> None:
    address = f"feed.{kind}?recalls=true"
    tag = (await http.get(address)).headers["etag"]
    again = await http.get(address, headers={"if-none-match": f'W/{tag}, "other"'})
    await verifier.assert_claim("Something that is no recall", source="AFP")
    still = await http.get(address, headers={"if-none-match": tag})
    await verifier.retract(letter["other"], await _said(verifier, letter["other"]), by="AFP")
    changed = await http.get(address, headers={"if-none-match": tag})

    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert still.status_code == 304
    assert changed.status_code == 200 and changed.headers["etag"] != tag


async def _said(verifier: Verifier, claim: str) -> str:
    return (await anext(verifier.statements(claim))).event


async def test_a_page_that_has_a_next_one_stays_the_same_while_nothing_of_it_changes(
    http: httpx.AsyncClient, verifier: Verifier, letter: dict[str, str]
) -> None:
    address = f"feed.json?claim={letter['plan']}&limit=1"
    before = await http.get(address)
    await verifier.assert_claim("Something new", source="AFP")

    assert "next_url" in before.json()
    assert (await http.get(address, headers={"if-none-match": before.headers["etag"]})).status_code == 304


async def test_by_time_a_reader_has_a_document_only_as_it_was_given(
    http: httpx.AsyncClient, letter: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "last-modified" not in (await http.get("feed.atom")).headers  # more may come within this second
    monkeypatch.setattr("verifier.api.syndicated.SETTLED", timedelta(seconds=-2))
    at = (await http.get("feed.atom")).headers["last-modified"]

    async def asked(since: str, **more: str) -> int:
        return (await http.get("feed.atom", headers={"if-modified-since": since, **more})).status_code

    assert await asked(at) == 304
    assert await asked("Fri, 31 Dec 2100 00:00:00 GMT") == 200
    assert await asked(at, **{"if-none-match": '"other"'}) == 200  # the tag counts


@pytest.mark.parametrize("text", HOSTILE)
async def test_whatever_is_claimed_is_text_and_breaks_nothing(
    http: httpx.AsyncClient, verifier: Verifier, text: str
) -> None:
    await verifier.assert_claim(text, source=f"Source {text[:400]}", story=text[:400])

    raw = (await http.get("feed.atom")).content
    (item,) = (await page(http, "feed.json"))["items"]
    (entry,) = ElementTree.fromstring(raw).findall(f"{ATOM}entry")

    assert not (await page(http, "feed.atom")).bozo
    assert entry.findtext(f"{ATOM}title") == item["title"]
    assert {element.tag.removeprefix(ATOM) for element in entry} == {
        "id", "title", "updated", "published", "link", "category", "content",
    }  # fmt: skip
    assert not set(item["title"] + item["content_text"]) & set("\x0b\x1b\x7f\x85\u202e\u202d\u2066\u2067\ufffe\r")
    if text.isprintable():
        assert text in item["title"]


@pytest.mark.parametrize("kind", ["json", "atom"])
async def test_an_erased_text_is_in_no_document(http: httpx.AsyncClient, verifier: Verifier, kind: str) -> None:
    claim = await verifier.assert_claim("The secret wording", source="AFP")
    denied = await verifier.deny(claim, source="Jane Whistleblower")
    before = await http.get(f"feed.{kind}?claim={claim.id}")
    await verifier.erase(claim, claim.recorded[0], slot="wording", basis="court_order")
    await verifier.erase(claim, denied.statement, slot="identity", basis="court_order")

    after = await http.get(f"feed.{kind}?claim={claim.id}", headers={"if-none-match": before.headers["etag"]})

    assert "secret" in before.text and "Jane" in before.text
    assert after.status_code == 200
    assert "secret" not in after.text and "Jane" not in after.text
    assert "a wording that was erased" in after.text and "a text that was erased" in after.text


@pytest.mark.parametrize("kind", ["json", "atom"])
async def test_a_log_without_changes_has_a_valid_document(http: httpx.AsyncClient, kind: str) -> None:
    document = await page(http, f"feed.{kind}")

    assert (document["items"] if kind == "json" else document.entries) == []


@pytest.mark.parametrize(
    ("query", "status"),
    [("claim=clm_aaaaaaaaaaaaaaaaaaaaaaaaaa", 404), ("cursor=nonsense", 422), ("limit=0", 422), ("limit=1001", 422),
     ("after=3", 422)],
)  # fmt: skip
async def test_what_can_t_be_asked_for_is_refused(http: httpx.AsyncClient, query: str, status: int) -> None:
    assert (await http.get(f"feed.json?{query}")).status_code == status
    assert (await http.get(f"feed.atom?{query}")).status_code == status
