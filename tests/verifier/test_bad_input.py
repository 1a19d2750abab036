"""Whatever is wrong is refused with a sentence that says what to do next, and nothing is written.

The same refusals hold over HTTP and embedded; what only bytes can be wrong about is tried over HTTP.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mistakes import HELD, INVALID, NO_CLAIM, NO_EVENT, RULES, UNKNOWN, Body, Desk, Mistake, denial, on, with_history
from serving import check_log, served
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from verifier import api, routes
from verifier.app import open_desk
from verifier.client.wire import problem
from verifier.commands import COMMANDS
from verifier.embedded import EmbeddedPort, open_embedded
from verifier.errors import (
    PROBLEMS,
    Conflict,
    Invalid,
    KeyReused,
    NotFound,
    Problem,
    TooLarge,
)
from verifier.queries.cursor import Cursor

ANY_JSON = {"content-type": "application/json"}


# --- where it is tried -----------------------------------------------------------------------------


class OverHttp:
    """A server, asked with nothing but an HTTP library."""

    def __init__(self, http: httpx.Client) -> None:
        self.http = http

    def order(self, path: str, body: Body, *, key: str, if_match: int | None = None) -> Body:
        headers = {"idempotency-key": key} | ({} if if_match is None else {"if-match": f'"{if_match}-abc"'})
        raw = json.dumps(body).encode()  # with escapes, so that it can say what no UTF-8 can
        return self._answer(self.http.post(path, content=raw, headers=headers | ANY_JSON))

    def ask(self, path: str, params: Body) -> Body:
        return self._answer(self.http.get(path, params=params))

    def put(self, sha256: str, data: bytes) -> None:
        self._answer(self.http.put(f"/evidence/{sha256}", content=data))

    def _answer(self, response: httpx.Response) -> Body:
        document: Body = response.json()
        if not response.is_success:
            raise problem(document, status=response.status_code)
        return document


class Embedded:
    """A log in this process."""

    def __init__(self, portal: BlockingPortal, port: EmbeddedPort) -> None:
        self._portal = portal
        self._port = port

    def order(self, path: str, body: Body, *, key: str, if_match: int | None = None) -> Body:
        return self._portal.call(lambda: self._port.write("POST", path, body, key=key, if_match=if_match))

    def ask(self, path: str, params: Body) -> Body:
        return self._portal.call(self._port.read, path, params)

    def put(self, sha256: str, data: bytes) -> None:
        self._portal.call(self._port.put_bytes, sha256, data, "text/plain")


@pytest.fixture(scope="module", params=["http", "embedded"])
def desk(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """The desk, once over HTTP and once embedded. What all tests together recorded is checked at the end."""
    log = f"sqlite:///{tmp_path_factory.mktemp(request.param)}/newsroom.db"
    if request.param == "http":
        with served(log) as serving, httpx.Client(base_url=f"{serving.address}/api/v1") as http:
            yield with_history(OverHttp(http))
    else:
        with start_blocking_portal() as portal:
            port = portal.call(lambda: open_embedded(log, actor="ada"))
            yield with_history(Embedded(portal, port))
            portal.call(port.close)
    asyncio.run(check_log(log))


# --- commands --------------------------------------------------------------------------------------


@pytest.mark.parametrize("mistake", [*UNKNOWN, *RULES, *INVALID], ids=lambda mistake: mistake.what)
def test_a_mistake_is_refused_says_what_to_do_and_writes_nothing(desk: Desk, mistake: Mistake) -> None:
    before = desk.head()
    body = _filled(desk, mistake.body(desk))

    with pytest.raises(Problem) as raised:
        desk.order(on(desk, mistake.where), body)

    assert type(raised.value) is mistake.refused, raised.value.detail
    assert {name: raised.value.extra.get(name) for name in mistake.extra} == mistake.extra
    assert _says_what_to_do(raised.value.detail)
    assert desk.head() == before


def _filled(desk: Desk, body: Body) -> Body:
    """Put ids where a list of a body names what the desk knows."""
    return {
        name: [on(desk, item) if isinstance(item, str) else item for item in value]
        if isinstance(value, list)
        else value
        for name, value in body.items()
    }


def _says_what_to_do(detail: str) -> bool:
    """Say whether a detail has two halves: what is wrong, and what to do about it."""
    wrong, colon, then = detail.replace(";", ":").partition(":")
    return len(wrong) > 5 and bool(colon) and len(then) > 5 and detail[:1] != " "


def test_a_key_that_is_used_for_another_command_is_refused(desk: Desk) -> None:
    path = f"/claims/{desk.other}/events"
    first = desk.order(path, {"type": "claim.asserted", "source": "AFP"}, key="once")
    before = desk.head()

    with pytest.raises(KeyReused):
        desk.order(path, {"type": "claim.asserted", "source": "Reuters"}, key="once")
    with pytest.raises(KeyReused):
        desk.order(f"/claims/{desk.claim}/events", {"type": "claim.asserted", "source": "AFP"}, key="once")
    again = desk.order(path, {"type": "claim.asserted", "source": "AFP"}, key="once")

    assert (again["statement"], again["effect"]) == (first["statement"], "already recorded")
    assert desk.head() == before


def test_a_claim_that_has_moved_on_is_refused_with_where_it_is(desk: Desk) -> None:
    position = desk.way.ask(f"/claims/{desk.claim}", {})["position"]
    before = desk.head()

    with pytest.raises(Conflict) as raised:
        desk.order(f"/claims/{desk.claim}/events", denial()(desk), if_match=position - 1)

    assert raised.value.position == position
    assert desk.head() == before


# --- questions -------------------------------------------------------------------------------------

QUESTIONS: list[tuple[str, str, Body, type[Problem]]] = [
    ("an unknown claim", f"/claims/{NO_CLAIM}", {}, NotFound),
    ("a claim's id that is none", "/claims/x", {}, NotFound),
    ("the statements of an unknown claim", f"/claims/{NO_CLAIM}/statements", {}, NotFound),
    ("the history of an unknown claim", f"/claims/{NO_CLAIM}/history", {}, NotFound),
    ("an unknown source", "/sources/Nobody", {}, NotFound),
    ("an unknown story", "/stories/nothing", {}, NotFound),
    ("the events of an unknown story", "/stories/nothing/events", {}, NotFound),
    ("a position beyond the head", "/claims/{claim}", {"as_of": "10000"}, Invalid),
    ("a past that is no time", "/claims/{claim}", {"as_of": "the other day"}, Invalid),
    ("a moment that is no time", "/claims/{claim}", {"said_by": "the other day"}, Invalid),
    ("an unknown policy", "/claims/{claim}", {"policy": "wishful/1"}, NotFound),
    ("views beyond the head", "/claims/{claim}", {"at_least": 10_000}, Invalid),
    ("events beyond the head", "/events", {"after": 10_000}, Invalid),
    ("a position below nothing", "/events", {"after": -1}, Invalid),
    ("a position that is no number", "/events", {"after": "now"}, Invalid),
    ("a page of nothing", "/claims", {"limit": 0}, Invalid),
    ("a page of everything", "/claims", {"limit": 100_000}, Invalid),
    ("an unknown parameter", "/claims", {"colour": "red"}, Invalid),
    ("a cursor that is none", "/claims", {"cursor": "ÿ"}, Invalid),
    ("a cursor of another list", "/sources", {"cursor": "{cursor}"}, Invalid),
]


@pytest.mark.parametrize(("path", "params", "refused"), [q[1:] for q in QUESTIONS], ids=[q[0] for q in QUESTIONS])
def test_a_question_that_has_no_answer_says_what_to_do(
    desk: Desk, path: str, params: Body, refused: type[Problem]
) -> None:
    cursor = desk.way.ask("/claims", {"limit": 1})["next"]
    given = {name: value.format(cursor=cursor) if isinstance(value, str) else value for name, value in params.items()}

    with pytest.raises(Problem) as raised:
        desk.way.ask(on(desk, path), given)

    assert type(raised.value) is refused, raised.value.detail
    assert _says_what_to_do(raised.value.detail)


@pytest.mark.parametrize("key", [(2**63,), (-1,), ("",), (1, 2), ()])
def test_a_cursor_that_somebody_made_up_is_refused(desk: Desk, key: tuple[Any, ...]) -> None:
    log = desk.way.ask("/health", {})["log"]

    with pytest.raises(Invalid):
        desk.way.ask("/claims", {"cursor": Cursor(log, "claims", 1, key).encode()})


def test_a_cursor_of_another_log_is_refused(desk: Desk) -> None:
    async def elsewhere() -> str:
        port = await open_embedded("memory:", actor="ada")
        for text in ("one", "two"):
            await port.write("POST", "/claims", {"text": text}, key=text, if_match=None)
        cursor: str = (await port.read("/claims", {"limit": 1}))["next"]
        await port.close()
        return cursor

    cursor = asyncio.run(elsewhere())

    with pytest.raises(Invalid, match="another log"):
        desk.way.ask("/claims", {"cursor": cursor})


# --- bytes -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def served_log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A server, and a client that sends what it is told."""
    log = f"sqlite:///{tmp_path_factory.mktemp('bytes')}/newsroom.db"
    with served(log) as serving, httpx.Client(base_url=f"{serving.address}/api/v1", timeout=20) as http:
        yield http
    asyncio.run(check_log(log))


def refusal(response: httpx.Response) -> Problem:
    """Return the problem that an answer is, after checking that it is one."""
    document = response.json()
    assert response.headers["content-type"] == "application/problem+json"
    assert document["status"] == response.status_code
    assert document["type"].rpartition("/")[2] in PROBLEMS
    assert document["title"]
    assert document["request"] == response.headers["x-request-id"]
    assert _says_what_to_do(document["detail"]), document["detail"]
    return problem(document, status=response.status_code)


BYTES = [
    ("a key twice", b'{"text": "one", "text": "two"}', "twice"),
    ("a key twice within", b'{"text": "one", "statement": {"source": "a", "source": "b"}}', "twice"),
    ("not a number", b'{"text": "one", "checkable": NaN}', "NaN"),
    ("infinity", b'{"text": "one", "checkable": -Infinity}', "Infinity"),
    ("a number too large for any", b'{"text": "one", "checkable": 1e999}', "number"),
    ("a number with too many digits", b'{"text": "one", "checkable": %s}' % (b"9" * 5_000), "body"),
    ("a lone surrogate", b'{"text": "\\ud83d"}', "surrogate"),
    ("a lone surrogate as a key", b'{"\\udc00": "x"}', "surrogate"),
    ("not UTF-8", b'{"text": "\xff"}', "UTF-8"),
    ("not JSON", b"{text: one}", "not JSON"),
    ("nothing", b"", "not JSON"),
    ("two bodies", b'{"text": "one"}{"text": "two"}', "not JSON"),
    ("a list", b"[]", "object"),
    ("a text", b'"claim"', "object"),
    ("null", b"null", "object"),
    ("a deep body", b'{"text": ' + b"[" * 30 + b"]" * 30 + b"}", "deeper"),
    ("a bottomless body", b"[" * 60_000, "deeper"),
]


@pytest.mark.parametrize(("body", "word"), [b[1:] for b in BYTES], ids=[b[0] for b in BYTES])
def test_bytes_that_are_no_command_are_refused(served_log: httpx.Client, body: bytes, word: str) -> None:
    response = served_log.post("/claims", content=body, headers=ANY_JSON)

    refused = refusal(response)
    assert isinstance(refused, Invalid)
    assert word in refused.detail
    assert _head(served_log) == 1


def _head(http: httpx.Client) -> int:
    head: int = http.get("/health").json()["head"]
    return head


@pytest.mark.parametrize("declared", [True, False])
def test_a_body_over_64_kib_is_refused_whether_or_not_it_says_so(served_log: httpx.Client, declared: bool) -> None:
    body = json.dumps({"text": "x", "note": "y" * 65_536}).encode()
    chunks = (body[at : at + 10_000] for at in range(0, len(body), 10_000))

    response = served_log.post("/claims", content=body if declared else chunks, headers=ANY_JSON)

    assert response.status_code == 413
    assert isinstance(refusal(response), TooLarge)
    assert _head(served_log) == 1


HEADERS = [
    ("no media type", {}, 422),
    ("a form", {"content-type": "application/x-www-form-urlencoded"}, 422),
    ("plain text", {"content-type": "text/plain"}, 422),
    ("a page of somewhere else", {**ANY_JSON, "origin": "https://evil.example"}, 403),
    ("a page of nowhere", {**ANY_JSON, "origin": "null"}, 403),
    ("a name that is not ours", {**ANY_JSON, "host": "evil.example"}, 403),
    ("a name that begins like ours", {**ANY_JSON, "host": "127.0.0.1.evil.example"}, 403),
    ("another log", {**ANY_JSON, "verifier-log": f"log_{'a' * 26}"}, 422),
    ("a key with a space", {**ANY_JSON, "idempotency-key": "a key"}, 422),
    ("a key that is too long", {**ANY_JSON, "idempotency-key": "k" * 129}, 422),
    ("an empty key", {**ANY_JSON, "idempotency-key": ""}, 422),
    ("a tag that is none", {**ANY_JSON, "if-match": '"yesterday"'}, 422),
]


@pytest.mark.parametrize(("headers", "status"), [h[1:] for h in HEADERS], ids=[h[0] for h in HEADERS])
def test_a_request_with_wrong_headers_is_refused(
    served_log: httpx.Client, headers: dict[str, str], status: int
) -> None:
    response = served_log.post("/claims", content=b'{"text": "x"}', headers=headers)

    assert response.status_code == status
    refusal(response)
    assert _head(served_log) == 1


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/claims?limit=1&limit=2", {}, 422),
        ("GET", "/claims", {"verifier-position": "now"}, 422),
        ("GET", "/claims", {"verifier-position": "10000"}, 422),
        ("GET", "/feed?after=10000", {}, 422),
        ("GET", "/feed", {"last-event-id": "10000"}, 422),
        ("GET", "/feed", {"last-event-id": "x"}, 422),
        ("GET", "/feed?colour=red", {}, 422),
        ("GET", "/events?after=10000", {"accept": "text/event-stream"}, 422),
        ("GET", "/events?limit=3", {"accept": "text/event-stream"}, 422),
        ("GET", "/events?after=10000", {"accept": "application/jsonl"}, 422),
        ("GET", "/nothing", {}, 404),
        ("DELETE", "/claims", {}, 405),
        ("PUT", f"/claims/{NO_CLAIM}", {}, 405),
        ("GET", f"/evidence/{'0' * 64}", {}, 404),
        ("GET", "/evidence/abc", {}, 422),
        ("PUT", "/evidence/..%2f..%2fetc", {}, 404),
        ("PUT", f"/evidence/{'A' * 64}", {}, 422),
        ("PUT", f"/evidence/{'0' * 64}", {}, 422),
        ("GET", "/claims/%ff", {}, 404),
        ("GET", "/claims/a%00b", {}, 404),
    ],
)
def test_an_address_that_has_no_answer_is_refused(
    served_log: httpx.Client, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    response = served_log.request(method, path, headers=headers, content=b"bytes" if method == "PUT" else None)

    assert response.status_code == status
    refusal(response)


STATUSES = {
    "invalid": 422,
    "not-found": 404,
    "refused": 409,
    "duplicate-claim": 409,
    "conflict": 412,
    "key-reused": 422,
    "too-large": 413,
    "views-behind": 503,
    "busy": 503,
    "read-only": 503,
    "disk-full": 503,
    "not-sealed": 503,
    "not-ready": 503,
    "internal": 500,
    "outcome-unknown": 503,
}


async def test_every_problem_has_its_status_and_what_passes_says_when_to_ask_again() -> None:
    async def raising(request: Request) -> Response:
        raise problem({"type": request.path_params["slug"], "detail": "something is wrong: do something about it"})

    async with open_desk("memory:") as desk:
        app = api.build(desk, actor="ada", hosts=["test"], pages=[Route("/raise/{slug}", raising)])
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as http:
            answered = {slug: await http.get(f"/raise/{slug}") for slug in STATUSES}

    assert {slug: response.status_code for slug, response in answered.items()} == STATUSES
    assert all(refusal(response) for response in answered.values())
    later = {"busy", "not-ready", "not-sealed", "views-behind"}
    assert {slug for slug, response in answered.items() if "retry-after" in response.headers} == later
    assert STATUSES.keys() == PROBLEMS.keys() - {"unreachable"}


# --- batches ---------------------------------------------------------------------------------------


def test_a_bad_line_of_a_batch_is_answered_by_its_own_line(served_log: httpx.Client) -> None:
    before = _head(served_log)
    lines = [
        b'{"key": "b1", "type": "claim.registered", "text": "a line of a batch"}',
        b"{nonsense",
        b'{"type": "claim.registered", "text": "no key"}',
        b'{"key": "b2", "type": "claim.denied", "source": "x"}',
        b'{"key": "b3", "type": "claim.denied", "source": "x", "claim": 5}',
        b'{"key": "b4", "type": ["x"]}',
        b'{"key": "b5"}',
        b"[]",
        b'{"key": "b6", "type": "claim.registered", "text": "one", "text": "two"}',
        b'{"key": "b7", "type": "claim.registered", "text": "%s"}' % (b"x" * 70_000),
        b'{"key": "a key", "type": "claim.registered", "text": "x"}',
    ]

    response = served_log.post("/batch", content=b"\n".join(lines), headers={"content-type": "application/jsonl"})

    answers = [json.loads(line) for line in response.content.splitlines()]
    assert [answer["ok"] for answer in answers] == [True] + [False] * 10
    assert all(_says_what_to_do(answer["problem"]["detail"]) for answer in answers[1:])
    assert _head(served_log) == before + 1


def test_a_batch_that_is_too_long_is_refused_as_a_whole(served_log: httpx.Client) -> None:
    before = _head(served_log)
    line = b'{"key": "k%d", "type": "claim.registered", "text": "line %d"}\n'

    many = served_log.post(
        "/batch", content=b"".join(line % (n, n) for n in range(1_001)), headers={"content-type": "application/jsonl"}
    )
    large = served_log.post("/batch", content=b" " * (2**20 + 1), headers={"content-type": "application/jsonl"})

    assert isinstance(refusal(many), TooLarge)
    assert isinstance(refusal(large), TooLarge)
    assert _head(served_log) == before


# --- anything at all -------------------------------------------------------------------------------

_TEXTS = st.text(max_size=20) | st.sampled_from(["claim.denied", "AFP", "2020", "unknown", NO_EVENT, NO_CLAIM, HELD])
_NUMBERS = st.integers() | st.floats(allow_nan=False)
_JSON = st.recursive(
    st.none() | st.booleans() | _NUMBERS | _TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3),
    max_leaves=8,
)
_FIELDS = sorted({name for command in COMMANDS.values() for name in command.__dataclass_fields__})
_BODIES = _JSON | st.dictionaries(st.sampled_from(_FIELDS), _JSON, max_size=6).flatmap(
    lambda body: st.sampled_from(sorted(COMMANDS)).map(lambda type: {**body, "type": type})
)


@pytest.mark.parametrize("route", routes.ORDERS, ids=lambda route: route.path)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=_BODIES)
def test_no_body_is_the_server_s_own_fault(served_log: httpx.Client, route: routes.Order, body: Any) -> None:
    claim = served_log.get("/claims?limit=1").json()["items"]
    path = route.path.replace("{id}", claim[0]["id"] if claim and route.path.startswith("/claims") else "x")

    response = served_log.post(path, content=json.dumps(body).encode(), headers=ANY_JSON)

    assert response.status_code < 500, response.text
