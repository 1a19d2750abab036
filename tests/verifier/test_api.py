"""The HTTP API, asked over a socket with nothing but an HTTP library."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from httpx_sse import EventSource, ServerSentEvent
from serving import served

from events.keys import Keys
from events.seals import Seals
from events.tlog import new_key
from verifier import answers, routes
from verifier.api.edge import STATUS
from verifier.api.reading import BATCH_LIMIT
from verifier.batches import BATCH_LINES
from verifier.client import batch as client_batch
from verifier.commands import COMMANDS
from verifier.errors import PROBLEMS, type_uri

Body = dict[str, Any]

LETTER = b"Sir, we respect your sovereign decision to order our departure."
HASH = hashlib.sha256(LETTER).hexdigest()
LINES = {"content-type": "application/jsonl"}


async def recorded(http: httpx.AsyncClient, path: str, body: Body, **headers: str) -> Body:
    """Record something, and return the answer."""
    response = await http.post(path, json=body, headers={name.replace("_", "-"): v for name, v in headers.items()})
    assert response.status_code == 200, response.text
    answer: Body = response.json()
    return answer


async def a_claim(http: httpx.AsyncClient, text: str = "The US plans to withdraw", **more: Any) -> Body:
    return await recorded(http, "claims", {"text": text, **more})


def asserted(source: str, **more: Any) -> Body:
    return {"type": "claim.asserted", "source": source, **more}


async def batch(http: httpx.AsyncClient, *lines: Body) -> list[Body]:
    """Send a batch, and return its answers."""
    raw = "\n".join(json.dumps(line) for line in lines)
    response = await http.post("batch", content=raw, headers=LINES)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/jsonl"
    return [json.loads(line) for line in response.text.splitlines()]


# --- every route -----------------------------------------------------------------------------------


@pytest.fixture
async def sealed(log_place: str, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """As `http`, and the log is sealed."""
    key, seals = new_key("example.org/newsroom"), tmp_path / "seals"
    Seals(seals).begin(Keys.parse(key, "the test"))
    with served(log_place, seal_key=key, seals=seals) as serving:
        async with httpx.AsyncClient(base_url=f"{serving.address}/api/v1/") as client:
            yield client


@pytest.mark.parametrize("route", routes.QUESTIONS, ids=lambda route: route.path)
async def test_every_question_is_answered_in_its_shape(sealed: httpx.AsyncClient, route: routes.Question) -> None:
    http = sealed
    written = await a_claim(http, story="iraq-letter", statement=asserted("AFP"))
    hook = (await http.post("webhooks", json={"url": "https://cms.example.org/hook", "status": "denied"})).json()
    ids = {
        "claims": written["id"], "stories": "iraq-letter", "sources": "AFP", "ids": "clm", "webhooks": hook["id"],
    }  # fmt: skip
    path = route.path.replace("{id}", ids.get(route.path.split("/")[1], "")).strip("/")
    path = path.replace("{prefix}", "clm").replace("{tail}", written["id"][-8:])
    path = path.replace("{position}", str(written["written_at"]))
    await http.post("attestations", json={})

    response = await http.get(path, headers={"verifier-position": response_position(written)})

    assert response.status_code == 200, response.text
    getattr(answers, route.answer).model_validate(response.json())
    if "basis" in response.json():
        assert int(response.headers["verifier-position"]) >= written["written_at"]


def response_position(written: Body) -> str:
    return str(written["basis"]["position"])


async def test_every_command_of_the_table_is_recorded(http: httpx.AsyncClient) -> None:
    """One life of a desk, in which every fact that has a verb is recorded once."""
    plan = await a_claim(http, story="iraq-letter")
    other, third, fourth = [(await a_claim(http, text))["id"] for text in ("other", "third", "fourth")]
    done = {"claim.registered"}

    async def record(type: str, path: str = f"claims/{plan['id']}/events", **body: Any) -> str:
        written = await recorded(http, path, {"type": type, **body})
        getattr(answers, "Written" if path.startswith("claims") else "Done").model_validate(written)
        done.add(type)
        statement: str = written["statement"]
        return statement

    said = await record("claim.asserted", source="William Seely", via=["AFP"], documents=[HASH])
    await record("claim.corroborated", source="Reuters")
    denied = await record("claim.denied", source="Mark Esper", occurred="2020-01-06")
    await record("claim.noted", source="the embassy", kind="no_reply")
    unknown = await record("claim.asserted", source="somebody", attribution="unattributed")
    await record("statement.attributed", statement=unknown, source="Mark Milley")
    await record("statement.retracted", statement=said, by="AFP")
    corrected = await record("statement.corrected", statement=denied, extent="part")
    await record("statement.withdrawn", statement=corrected)
    merge = await record("origins.merged", kept="Reuters", merged="Mark Milley")
    await record("origins.split", merge=merge)
    await record("evidence.attached", sha256=HASH, size=len(LETTER))
    await record("claim.adjudicated", verdict="false", reason="denied by the one who decides")
    await record("adjudication.withdrawn")
    link = await record("claim.linked", to=other, kind="presupposes")
    await record("claim.unlinked", link=link)
    await record("claim.reworded", text="The United States plans to withdraw")
    used = await record("claim.published", address="https://example.org/1", day="2020-01-06")
    await record("claim.unpublished", publication=used)
    await record("text.erased", event=said, slot="identity", basis="court_order")
    live = [s for s in (await listed(http, f"claims/{plan['id']}/statements")) if s["standing"] == "counted"]
    await record("claim.split", into=[other, third], statements={s["event"]: [other] for s in live})
    await record("claim.merged", f"claims/{other}/events", into=third)
    await record("claim.withdrawn", f"claims/{fourth}/events", reason="not a claim")
    await record("source.registered", "sources", name="Agence France-Presse")
    await record("source.updated", "sources/AFP/events", source="AFP", same_as="Agence France-Presse")
    await record("story.opened", "stories", title="Brexit")
    await record("origins.merged", "stories/Brexit/events", kept="a memo", merged="the leaked memo")
    await record("policy.adopted", "policies", policy="strict/1")

    assert done == set(COMMANDS)


async def listed(http: httpx.AsyncClient, path: str) -> list[Body]:
    items: list[Body] = (await http.get(path)).json()["items"]
    return items


async def test_the_openapi_document_has_every_route_with_its_body_answers_and_problems(http: httpx.AsyncClient) -> None:
    document = (await http.get("openapi.json")).json()

    described = {
        (method.upper(), path.removeprefix("/api/v1")): operation
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if path.startswith("/api/v1")
    }
    tabled = {(route.method, route.path) for route in (*routes.QUESTIONS, *routes.ORDERS)}
    streams_and_bytes = {
        *(
            ("GET", path)
            for path in ("/feed", "/feed.json", "/feed.atom", "/evidence/{sha256}", "/events/{position}/proof")
        ),
        ("POST", "/batch"),
        ("PUT", "/evidence/{sha256}"),
    }
    assert described.keys() == tabled | streams_and_bytes
    assert len({operation["operationId"] for operation in described.values()}) == len(described)
    for (method, path), operation in described.items():
        assert operation["summary"].endswith("."), path
        assert ("requestBody" in operation) == (method != "GET"), path
        assert {"200", "500"} <= operation["responses"].keys(), path
        assert "application/problem+json" in operation["responses"]["500"]["content"], path
        in_path = {p["name"] for p in operation["parameters"] if p["in"] == "path"}
        assert in_path == {part.strip("{}") for part in path.split("/") if part.startswith("{")}, path


async def test_every_reference_of_the_openapi_document_leads_somewhere(http: httpx.AsyncClient) -> None:
    text = (await http.get("openapi.json")).text
    schemas = json.loads(text)["components"]["schemas"]

    named = {part.partition('"')[0] for part in text.split("#/components/schemas/")[1:]}

    assert named <= schemas.keys()
    assert {"Written", "Done", "Claim", "Page", "Event", "Problem", "Deny", "Quotation"} <= named
    assert schemas["Deny"]["properties"]["correlation"]["anyOf"][0]["pattern"]


@pytest.mark.parametrize("slug", PROBLEMS)
async def test_the_type_of_a_problem_is_an_address_that_answers(server: str, slug: str) -> None:
    async with httpx.AsyncClient(base_url=server) as http:
        page = await http.get(type_uri(slug))

    assert page.status_code == 200
    assert PROBLEMS[slug].title in page.text
    assert str(STATUS.get(PROBLEMS[slug], "never sent")) in page.text


# --- writing ---------------------------------------------------------------------------------------


def test_a_server_takes_every_batch_that_a_client_cuts() -> None:
    assert client_batch.LINES <= BATCH_LINES
    assert client_batch.BYTES <= BATCH_LIMIT


async def test_a_command_sent_twice_with_its_key_is_recorded_once(http: httpx.AsyncClient) -> None:
    claim = await a_claim(http)
    path = f"claims/{claim['id']}/events"

    first = await recorded(http, path, asserted("AFP"), idempotency_key="once")
    await recorded(http, path, asserted("Reuters"))
    again = await recorded(http, path, asserted("AFP"), idempotency_key="once")

    assert again["effect"] == "already recorded"
    assert (again["statement"], again["written_at"]) == (first["statement"], first["written_at"])
    assert again["computed"]["counts"]["support_origins"] == 2, "the claim is answered as it stands now"


async def test_a_registration_sent_twice_with_its_key_is_recorded_once(http: httpx.AsyncClient) -> None:
    body = {"text": "The letter is authentic", "story": "iraq-letter", "statement": asserted("AFP")}

    first = await recorded(http, "claims", body, idempotency_key="once")
    again = await recorded(http, "claims", body, idempotency_key="once")

    assert again["effect"] == "already recorded"
    assert (again["id"], again["statement"]) == (first["id"], first["statement"])


async def test_a_command_without_a_key_is_told_the_one_that_was_made_for_it(http: httpx.AsyncClient) -> None:
    claim = await a_claim(http)
    path = f"claims/{claim['id']}/events"

    first = await recorded(http, path, asserted("AFP"))
    again = await recorded(http, path, asserted("AFP"), idempotency_key=first["key"])

    assert (again["statement"], again["effect"]) == (first["statement"], "already recorded")


async def test_the_etag_of_an_answer_lets_a_write_through_until_the_claim_moves_on(http: httpx.AsyncClient) -> None:
    claim = await a_claim(http)
    path = f"claims/{claim['id']}/events"
    seen = {"verifier-position": str(claim["written_at"])}
    tag = (await http.get(f"claims/{claim['id']}", headers=seen)).headers["etag"]

    let_through = await http.post(path, json=asserted("AFP"), headers={"if-match": tag})
    refused = await http.post(path, json=asserted("Reuters"), headers={"if-match": tag})
    with_the_new_one = await http.post(
        path, json=asserted("Reuters"), headers={"if-match": let_through.headers["etag"]}
    )

    assert [let_through.status_code, refused.status_code, with_the_new_one.status_code] == [200, 412, 200]
    assert refused.json()["position"] == let_through.json()["position"]


async def test_the_actor_is_the_server_s_and_is_recorded(http: httpx.AsyncClient) -> None:
    claim = await a_claim(http)

    event = (await listed(http, f"claims/{claim['id']}/events"))[0]

    assert event["identity"]["actor"] == "ada"


async def test_sixty_four_writers_on_one_claim_are_all_recorded(http: httpx.AsyncClient) -> None:
    claim = await a_claim(http)
    path = f"claims/{claim['id']}/events"

    written = await asyncio.gather(*(recorded(http, path, asserted(f"source {n}")) for n in range(64)))

    last = max(written, key=lambda answer: answer["position"])
    assert len({answer["statement"] for answer in written}) == 64
    assert last["computed"]["counts"]["support_origins"] == 64


async def test_one_wording_registered_by_many_at_once_becomes_one_claim(http: httpx.AsyncClient) -> None:
    answered = await asyncio.gather(*(http.post("claims", json={"text": "One wording"}) for _ in range(8)))

    statuses = sorted(response.status_code for response in answered)
    assert statuses == [200] + [409] * 7
    registered = next(response.json()["id"] for response in answered if response.status_code == 200)
    assert {r.json()["claim"] for r in answered if r.status_code == 409} == {registered}


async def test_a_source_may_be_named_by_a_name_with_a_slash(http: httpx.AsyncClient) -> None:
    await recorded(http, "sources", {"name": "AP/Reuters pool"})

    updated = await http.post("sources/AP%2FReuters%20pool/events", json={
        "type": "source.updated", "source": "AP/Reuters pool", "role": "a pool",
    })  # fmt: skip
    shown = await http.get("sources/AP%2FReuters%20pool", params={"at_least": updated.json()["written_at"]})

    assert shown.json()["role"] == "a pool"


# --- reading ---------------------------------------------------------------------------------------


async def test_a_reader_who_names_the_position_of_a_write_sees_it(http: httpx.AsyncClient) -> None:
    claim = await a_claim(http)
    for n in range(20):
        written = await recorded(http, f"claims/{claim['id']}/events", asserted(f"source {n}"))

        by_parameter = await http.get(f"claims/{claim['id']}", params={"at_least": written["written_at"]})
        by_header = await http.get(f"claims/{claim['id']}", headers={"verifier-position": str(written["written_at"])})

        assert by_parameter.json()["position"] == written["position"]
        assert (by_header.json()["position"], by_header.json()["behind"]) == (written["position"], False)


async def test_an_answer_that_is_still_the_same_is_not_sent_again(http: httpx.AsyncClient) -> None:
    claim = await a_claim(http)
    path, seen = f"claims/{claim['id']}", {"verifier-position": str(claim["written_at"])}
    tag = (await http.get(path, headers=seen)).headers["etag"]

    same = await http.get(path, headers={"if-none-match": tag})
    await recorded(http, f"{path}/events", asserted("AFP"))
    other = await http.get(path, headers={"if-none-match": tag, "verifier-position": "3"})

    assert (same.status_code, same.content) == (304, b"")
    assert other.status_code == 200
    assert other.headers["etag"] != tag


async def test_every_answer_says_which_log_and_which_request_it_was(http: httpx.AsyncClient) -> None:
    health = await http.get("health", headers={"origin": str(http.base_url)[:-8]})

    assert health.status_code == 200
    assert health.headers["verifier-log"] == health.json()["log"]
    same = await http.get("health", headers={"verifier-log": health.json()["log"]})
    assert same.status_code == 200
    assert same.headers["x-request-id"] != health.headers["x-request-id"]


async def test_a_list_is_read_page_by_page_and_followed_from_where_it_ends(http: httpx.AsyncClient) -> None:
    texts = [f"claim {n}" for n in range(7)]
    for text in texts:
        last = await a_claim(http, text)

    pages, cursor = [], None
    while True:
        params = {"limit": 3, "at_least": last["written_at"]} | ({"cursor": cursor} if cursor else {})
        page = (await http.get("claims", params=params)).json()
        pages.append([claim["texts"]["text"] for claim in page["items"]])
        if (cursor := page["next"]) is None:
            break

    assert pages == [texts[:-4:-1], texts[3:0:-1], texts[:1]]
    assert page["position"] == last["written_at"]


# --- streams ---------------------------------------------------------------------------------------


async def frames(http: httpx.AsyncClient, path: str, **headers: str) -> AsyncIterator[ServerSentEvent]:
    """Follow a stream, frame by frame."""
    sent = {"accept": "text/event-stream"} | {name.replace("_", "-"): value for name, value in headers.items()}
    async with http.stream("GET", path, headers=sent, timeout=20) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        async for event in EventSource(response).aiter_sse():
            yield event


async def first(count: int, stream: AsyncIterator[ServerSentEvent]) -> list[ServerSentEvent]:
    """Return so many frames that carry something, and hang up."""
    taken = []
    async for event in stream:
        if event.data:
            taken.append(event)
        if len(taken) == count:
            break
    await stream.aclose()  # type: ignore[attr-defined]  # a generator
    return taken


async def test_a_feed_goes_on_after_the_last_event_that_was_received(http: httpx.AsyncClient) -> None:
    claim = await a_claim(http, statement=asserted("AFP"))
    await recorded(http, f"claims/{claim['id']}/events", asserted("Reuters"))
    before = await first(2, frames(http, "feed?after=0"))

    denied = await recorded(http, f"claims/{claim['id']}/events", {"type": "claim.denied", "source": "Mark Esper"})
    after = await first(1, frames(http, "feed?after=0", last_event_id=before[-1].id))

    assert [event.id for event in (*before, *after)] == ["3", "4", "5"]
    change = json.loads(after[0].data)["changes"][0]
    answers.Change.model_validate(change)
    assert (change["previous"], change["status"]) == ("corroborated", "denied")
    assert change["cause"] == denied["statement"]


async def test_a_feed_without_a_beginning_begins_now(http: httpx.AsyncClient) -> None:
    claim = await a_claim(http, statement=asserted("AFP"))
    await http.get(f"claims/{claim['id']}", params={"at_least": claim["written_at"]})

    async with http.stream("GET", "feed", timeout=20) as response:
        await recorded(http, f"claims/{claim['id']}/events", {"type": "claim.denied", "source": "Mark Esper"})
        async for event in EventSource(response).aiter_sse():
            if event.data:
                break

    assert event.id == "4"


async def test_a_feed_may_be_narrowed_to_a_story_by_its_title(http: httpx.AsyncClient) -> None:
    await a_claim(http, "elsewhere", statement=asserted("AFP"))
    here = await a_claim(http, "here", story="iraq-letter", statement=asserted("AFP"))

    (change,) = await first(1, frames(http, "feed?after=0&story=iraq-letter"))

    assert json.loads(change.data)["changes"][0]["claim"] == here["id"]


async def test_the_events_come_as_a_page_as_lines_and_as_a_stream(http: httpx.AsyncClient) -> None:
    await a_claim(http, statement=asserted("AFP"))

    page = (await http.get("events", params={"after": 1, "limit": 1})).json()
    lines = await http.get("events", headers={"accept": "application/jsonl"})
    one_line = await http.get("events?after=1&limit=1", headers={"accept": "application/jsonl"})
    streamed = await first(3, frames(http, "events?after=0"))

    events = [json.loads(line) for line in lines.text.splitlines()]
    assert [event["type"] for event in events] == ["log.opened", "claim.registered", "claim.asserted"]
    assert (page["items"], page["next"]) == (events[1:2], "2")
    assert json.loads(one_line.text) == events[1]
    assert [json.loads(event.data) for event in streamed] == events
    assert [event.id for event in streamed] == ["1", "2", "3"]
    answers.Event.model_validate(events[2])


# --- batches ---------------------------------------------------------------------------------------


async def test_the_lines_of_a_batch_on_one_claim_are_recorded_in_their_order(http: httpx.AsyncClient) -> None:
    one, two = (await a_claim(http, "one"))["id"], (await a_claim(http, "two"))["id"]
    lines = [{"key": f"k{n}", "claim": (one, two)[n % 2], **asserted(f"source {n}")} for n in range(100)]

    answered = await batch(http, *lines)

    assert [answer["key"] for answer in answered] == [line["key"] for line in lines]
    assert all(answer["ok"] for answer in answered)
    for claim in (one, two):
        positions = [a["result"]["written_at"] for a in answered if a["result"]["id"] == claim]
        assert positions == sorted(positions)
        shown = await http.get(f"claims/{claim}", params={"at_least": positions[-1]})
        assert shown.json()["computed"]["counts"]["support_origins"] == 50
    answers.Done.model_validate(answered[-1]["result"])
    assert answered[-1]["result"]["status"] == "corroborated"


async def test_a_batch_takes_every_kind_of_command_and_may_be_sent_again(http: httpx.AsyncClient) -> None:
    claim = (await a_claim(http))["id"]
    lines = [
        {"key": "1", "type": "claim.registered", "text": "other", "statement": asserted("AFP")},
        {"key": "2", "claim": claim, **asserted("AFP")},
        {"key": "3", "type": "source.registered", "name": "Reuters"},
        {"key": "4", "type": "source.updated", "source": "Reuters", "role": "a wire"},
        {"key": "5", "type": "story.opened", "title": "Brexit"},
        {"key": "6", "type": "policy.adopted", "policy": "strict/1"},
    ]
    undoing = {"key": "7", "story": "Brexit", "type": "origins.merged", "kept": "a memo", "merged": "the memo"}

    answered = [*(await batch(http, *lines)), *(await batch(http, undoing))]
    again = [*(await batch(http, *lines)), *(await batch(http, undoing))]

    assert all(answer["ok"] for answer in answered), answered
    assert [a["result"]["effect"] for a in again] == ["already recorded"] * 7
    assert [a["result"]["statement"] for a in again] == [a["result"]["statement"] for a in answered]


async def test_a_line_that_is_refused_stops_no_other(http: httpx.AsyncClient) -> None:
    claim = (await a_claim(http))["id"]

    answered = await batch(
        http,
        {"key": "1", "claim": claim, **asserted("AFP")},
        {"key": "2", "claim": claim, **asserted("AFP", attribution="documentary")},
        {"key": "3", "claim": claim, **asserted("Reuters")},
    )

    assert [answer["ok"] for answer in answered] == [True, False, True]
    assert answered[1]["problem"]["rule"] == "document-not-named"


# --- evidence --------------------------------------------------------------------------------------


async def test_bytes_are_kept_given_back_and_searched_for_a_quote(http: httpx.AsyncClient) -> None:
    claim = (await a_claim(http))["id"]
    path = f"claims/{claim}/events"
    quote = {"exact": "your sovereign decision", "document": HASH, "prefix": "we respect "}
    not_held = await recorded(http, path, asserted("AFP", quote=quote))

    kept = await http.put(f"evidence/{HASH}", content=LETTER, headers={"content-type": "text/plain"})
    twice = await http.put(f"evidence/{HASH}", content=LETTER)
    found = await recorded(http, path, asserted("Reuters", quote=quote))
    back = await http.get(f"evidence/{HASH}")

    assert (kept.status_code, twice.status_code) == (200, 200)
    assert back.content == LETTER
    assert back.headers["content-type"] == "application/octet-stream"
    assert back.headers["content-disposition"].startswith("attachment")
    assert back.headers["x-content-type-options"] == "nosniff"
    checked = {event["id"]: event["fact"].get("quoted") for event in await listed(http, path)}
    assert (checked[not_held["statement"]], checked[found["statement"]]) == ("bytes_not_held", "found")


async def test_bytes_are_streamed_and_may_be_larger_than_any_command(http: httpx.AsyncClient) -> None:
    chunk = bytes(range(256)) * 4_096
    digest = hashlib.sha256(chunk * 5).hexdigest()

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield chunk

    kept = await http.put(f"evidence/{digest}", content=chunks())

    assert kept.json() == {"sha256": digest}
    assert (await http.get(f"evidence/{digest}")).content == chunk * 5


async def test_bytes_of_another_hash_or_beyond_the_limit_are_not_kept(http: httpx.AsyncClient) -> None:
    wrong = await http.put(f"evidence/{HASH}", content=b"other bytes")
    reader, writer = await asyncio.open_connection(http.base_url.host, http.base_url.port)
    request = f"PUT /api/v1/evidence/{HASH} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {50 * 2**20 + 1}\r\n\r\n"
    writer.write(request.encode())
    large = await reader.readline()
    writer.close()

    assert wrong.status_code == 422
    assert large.startswith(b"HTTP/1.1 413")
    assert (await http.get(f"evidence/{HASH}")).status_code == 404
