"""What whoever runs a server sees of it: probes, metrics, and the lines in its log."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx
import pytest
import structlog
from prometheus_client.parser import text_string_to_metric_families
from serving import served

from events.evidence import MemoryEvidence
from events.memory import MemoryLog
from events.sealed import Sealed
from events.tiles import MemoryTiles
from tests.postgres import serving
from verifier import api, logs
from verifier.adopted import Adopted
from verifier.app import Desk, assemble, open_desk
from verifier.commands import RegisterClaim
from verifier.errors import NotReady
from verifier.feed import Feed
from verifier.handler.appending import Caller
from verifier.health import readiness
from verifier.metrics import Metrics
from verifier.projections import Views
from verifier.projections.sqlite import SqlitePlace
from verifier.rebuilding import Rebuilding
from verifier.sealing import Sealing
from verifier.settings import LOOPBACK
from verifier.webhooks.clock import Clock
from verifier.webhooks.office import Office
from verifier.webhooks.opening import outbox_of

CANARY = "Xyzzy-canary"
"""A word that stands in texts, names and ids only."""

JSONL = "application/jsonl"


@asynccontextmanager
async def idle_desk(log: MemoryLog) -> AsyncIterator[Desk]:
    """A desk whose views don't follow its log."""
    adopted = await Adopted.read(log)
    views = await Views.open(SqlitePlace(), log, adopted)
    outbox = outbox_of("memory:", log.id, file=None)
    try:
        yield assemble(
            log, views, adopted, feed=Feed(log, views), rebuilding=Rebuilding(views), evidence=MemoryEvidence(),
            sealing=Sealing(log, Sealed(log, MemoryTiles()), None), webhooks=Office(log, outbox, None, Clock()),
        )  # fmt: skip
    finally:
        await outbox.close()
        await views.close()


def asking(desk: Desk, **more: Any) -> httpx.AsyncClient:
    """A client of a desk's API, without a socket."""
    app = api.build(desk, actor="ada", hosts=LOOPBACK, **more)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost")


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """The values of an exposition, by name and labels."""
    families = text_string_to_metric_families(text)
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def value(text: str, name: str, **labels: str) -> float:
    """One value of an exposition."""
    return samples(text)[name, frozenset(labels.items())]


def logged(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """What was logged as JSON so far."""
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


# --- alive and ready -------------------------------------------------------------------------------


def test_a_server_that_has_started_is_alive_and_ready(place: str) -> None:
    with served(place) as serving:
        alive, ready = (httpx.get(serving.address + path) for path in ("/healthz", "/readyz"))

    assert (alive.status_code, alive.json()) == (200, {"status": "alive"})
    assert (ready.status_code, ready.json()["status"], ready.json()["lag_events"]) == (200, "ok", 0)


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_a_probe_keeps_to_the_host_names_like_everybody_else(log_place: str, path: str) -> None:
    with served(log_place) as serving:
        named = httpx.get(serving.address + path, headers={"host": "localhost"})
        by_pod = httpx.get(serving.address + path, headers={"host": "10.1.2.3:8750"})

    assert (named.status_code, by_pod.status_code) == (200, 403)


async def test_a_server_is_not_ready_while_its_views_lag_too_far_behind() -> None:
    async with await MemoryLog.open(create="new") as log, idle_desk(log) as desk, asking(desk, ready_lag=1e-9) as http:
        await desk.handler.register(RegisterClaim(text="A claim", again=True), Caller(actor="ada", key="one"))

        late = await http.get("/readyz")
        await desk.views.catch_up()
        caught_up = await http.get("/readyz")

    assert (late.status_code, late.json()["type"]) == (503, "/problems/not-ready")
    assert (late.json()["head"], late.json()["views"], late.json()["lag_events"]) == (2, 0, 2)
    assert late.headers["retry-after"] == "1"
    assert caught_up.status_code == 200


async def test_a_lag_is_as_old_as_the_oldest_event_that_the_views_lack() -> None:
    async with await MemoryLog.open(create="new") as log, idle_desk(log) as desk:
        found = await readiness(desk)
        await desk.views.catch_up()
        later = await readiness(desk)

    assert (found.lag.events, later.lag.events) == (1, 0)
    assert found.lag.seconds < 30
    assert later.lag.seconds == 0, "an idle log has no lag, however old its head is"


async def test_a_server_whose_views_have_stopped_is_not_ready_and_says_why(place: str) -> None:
    async with open_desk(place) as desk, asking(desk) as http:
        desk.views.error = "the views stopped at 1: KeyError: 7"

        answered = await http.get("/readyz")

    assert answered.status_code == 503
    assert "KeyError: 7" in answered.json()["detail"]
    assert "writes go on" in answered.json()["detail"]


async def test_a_server_whose_log_is_gone_is_alive_and_not_ready() -> None:
    async with await MemoryLog.open(create="new") as log, idle_desk(log) as desk, asking(desk) as http:
        await log.close()

        alive, ready, metrics = [await http.get(path) for path in ("/healthz", "/readyz", "/metrics")]

    assert (alive.status_code, ready.status_code, metrics.status_code) == (200, 503, 200)
    assert value(metrics.text, "verifier_log_reachable") == 0


def test_a_server_whose_database_is_down_is_not_ready_until_it_is_back() -> None:
    with serving() as database, served(database.url("newsroom")) as server:
        database.kill()
        alive, down = (httpx.get(server.address + path) for path in ("/healthz", "/readyz"))
        database.restart()
        back = httpx.get(f"{server.address}/readyz")

    assert (alive.status_code, down.status_code, back.status_code) == (200, 503, 200)
    assert down.json()["type"] == "/problems/not-ready"
    assert database.password not in down.text


class Silent(MemoryLog):
    """A log that says nothing for a while."""

    silent = False

    async def head(self) -> int:
        if self.silent:
            await asyncio.Event().wait()
        return await super().head()


async def test_a_log_that_keeps_silent_is_not_waited_for() -> None:
    async with await Silent.open(create="new") as log, idle_desk(log) as desk:
        log.silent = True
        with pytest.raises(NotReady, match="has not answered within"):
            await readiness(desk, within=0.01)
        log.silent = False


async def test_metrics_do_not_wait_for_a_log_that_keeps_silent() -> None:
    async with await Silent.open(create="new") as log, idle_desk(log) as desk:
        log.silent = True
        async with asyncio.timeout(30):
            text = (await Metrics(desk, within=0.01).text()).decode()
        log.silent = False

    assert value(text, "verifier_log_reachable") == 0


# --- metrics ---------------------------------------------------------------------------------------


def test_metrics_count_requests_by_route_commands_by_fact_and_appends(place: str) -> None:
    with served(place) as serving, httpx.Client(base_url=serving.address) as http:
        claim = http.post("/api/v1/claims", json={"text": "A claim"}).json()
        for _ in range(3):
            http.get(f"/api/v1/claims/{claim['id']}", params={"at_least": claim["position"]})
        http.post(f"/api/v1/claims/{claim['id']}/events", json={"type": "claim.denied"})
        http.get("/nowhere")

        text = http.get("/metrics").text

    took = "verifier_http_request_duration_seconds_count"
    assert value(text, took, method="GET", route="/api/v1/claims/{id}", status="200") == 3
    assert value(text, took, method="POST", route="/api/v1/claims/{id}/events", status="422") == 1
    assert value(text, took, method="GET", route="none", status="404") == 1
    assert value(text, "verifier_commands_total", fact="claim.registered", outcome="recorded") == 1
    assert value(text, "verifier_commands_total", fact="claim.denied", outcome="invalid") == 1
    assert value(text, "verifier_append_duration_seconds_count", outcome="recorded") == 1
    assert value(text, "verifier_append_duration_seconds_bucket", outcome="recorded", le="+Inf") == 1
    assert value(text, "verifier_events_recorded_total") == 1
    assert value(text, "verifier_log_head_position") == value(text, "verifier_views_position") == claim["position"]
    assert value(text, "verifier_views_lag_events") == value(text, "verifier_views_lag_seconds") == 0
    assert value(text, "verifier_views_running") == value(text, "verifier_log_reachable") == 1
    assert value(text, "process_cpu_seconds_total") > 0


async def test_metrics_tell_what_the_views_lack_and_who_follows_the_feed() -> None:
    async with await MemoryLog.open(create="new") as log, idle_desk(log) as desk, asking(desk) as http:
        await desk.handler.register(RegisterClaim(text="A claim", again=True), Caller(actor="ada", key="one"))

        text = (await http.get("/metrics")).text

    assert value(text, "verifier_views_lag_events") == 2
    assert value(text, "verifier_views_lag_seconds") > 0
    assert value(text, "verifier_feed_readers") == 0
    assert value(text, "verifier_views_rebuild_ratio") == 1


async def test_two_servers_in_one_process_count_apart() -> None:
    async with (
        open_desk("memory:") as busy,
        open_desk("memory:") as idle,
        asking(busy) as at_busy,
        asking(idle) as at_idle,
    ):
        await at_busy.post("/api/v1/claims", json={"text": "A claim"})

        counted = [(await http.get("/metrics")).text for http in (at_busy, at_idle)]

    assert [value(text, "verifier_events_recorded_total") for text in counted] == [1, 0]


async def test_without_the_extra_metrics_say_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    monkeypatch.delitem(sys.modules, "verifier.metrics", raising=False)
    async with open_desk("memory:") as desk, asking(desk) as http:
        answered = await http.get("/metrics")

    assert (answered.status_code, answered.json()["type"]) == (404, "/problems/not-found")
    assert "pip install 'claim-verifier[metrics]'" in answered.json()["detail"]


# --- request ids and lines -------------------------------------------------------------------------


@pytest.mark.usefixtures("our_logs")
async def test_each_request_is_one_line_with_its_ids(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "json")
    body = {"text": "A claim", "correlation": "desk:42"}
    async with open_desk("memory:") as desk, asking(desk) as http:
        written = await http.post("/api/v1/claims", json=body, headers={"x-request-id": "proxy-7"})
        asked = await http.get("/api/v1/claims/clm_nothing")
        await http.get("/healthz")

    first, second = [line for line in logged(capsys) if line["event"] == "request"]
    assert written.headers["x-request-id"] == first["request"] == "proxy-7"
    assert (first["method"], first["route"], first["status"]) == ("POST", "/api/v1/claims", "200")
    assert (first["actor"], first["correlation"]) == ("ada", "desk:42")
    assert first["ms"] > 0
    assert asked.headers["x-request-id"] == asked.json()["request"] == second["request"]
    assert "correlation" not in second, "what was bound for one request is gone with it"


@pytest.mark.parametrize("given", ["two words", "a\tb", "a" * 65, "", "ü", '"'])
async def test_a_request_id_that_could_not_stand_in_a_log_is_replaced(given: str) -> None:
    async with open_desk("memory:") as desk, asking(desk) as http:
        answered = await http.get("/healthz", headers={"x-request-id": given.encode("latin-1")})

    assert answered.headers["x-request-id"] != given
    assert answered.headers["x-request-id"].isascii()


@pytest.mark.usefixtures("our_logs")
async def test_at_level_warning_requests_leave_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("warning", "json")
    async with open_desk("memory:") as desk, asking(desk) as http:
        await http.get("/api/v1/claims")

    assert logged(capsys) == []


@pytest.mark.usefixtures("our_logs")
def test_a_line_is_written_at_once_in_whatever_event_loop_it_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "json")
    logger = structlog.get_logger("verifier")

    async def say(what: str) -> list[str]:
        logger.info(what)
        return [line["event"] for line in logged(capsys)]

    assert [asyncio.run(say(what)) for what in ("first", "second")] == [["first"], ["second"]]


@pytest.mark.usefixtures("our_logs")
def test_a_stream_that_nobody_reads_any_more_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    nobody = os.fdopen(writer, "w")
    monkeypatch.setattr("sys.stderr", nobody)
    logs.configure("info", "json")

    structlog.get_logger("verifier").info("is anybody there?")

    with suppress(BrokenPipeError):
        nobody.close()


@pytest.mark.usefixtures("our_logs")
def test_lines_of_several_threads_are_whole(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "json")
    logger = structlog.get_logger("verifier")

    def say(thread: int) -> None:
        for number in range(100):
            logger.info("said", thread=thread, number=number, long="x" * 5_000)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(say, range(4)))

    said = [(line["thread"], line["number"]) for line in logged(capsys)]
    assert [[number for of, number in said if of == thread] for thread in range(4)] == [[*range(100)]] * 4


@pytest.mark.usefixtures("our_logs")
def test_a_line_that_cannot_be_encoded_is_written_all_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "json")

    structlog.get_logger("verifier").error("half a character: \ud83d", value=object())

    assert logged(capsys)[0]["event"].startswith("half a character: ")


@pytest.mark.usefixtures("our_logs")
def test_no_text_name_or_id_gets_into_metrics_or_logs(place: str, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("debug", "json")
    statement = {"type": "claim.asserted", "source": f"{CANARY} source", "quote": f"{CANARY} quote", "note": CANARY}
    with served(place) as serving, httpx.Client(base_url=f"{serving.address}/api/v1") as http:
        body = {"text": f"{CANARY} text", "story": f"{CANARY} story", "statement": statement}
        claim = http.post("/claims", json=body, headers={"idempotency-key": f"{CANARY}-key"}).json()
        http.get(f"/claims/{claim['id']}", params={"at_least": claim["position"]})
        http.get(f"/sources/{CANARY} source")
        http.get("/claims", params={"text": CANARY, "source": f"{CANARY} source", CANARY: CANARY})
        http.post(f"/claims/{claim['id']}/events", json={"type": CANARY, "note": CANARY})
        http.post("/batch", content=json.dumps({"key": CANARY, "type": CANARY}), headers={"content-type": JSONL})
        http.request("PROPFIND", f"/{CANARY}", headers={"x-request-id": f"{CANARY} {CANARY}"})
        text = http.get(f"{serving.address}/metrics").text
    lines = logged(capsys)

    assert len([line for line in lines if line["event"] == "request"]) == 8
    for told in (text, json.dumps(lines)):
        assert CANARY.lower() not in told.lower()
        assert claim["id"] not in told
        assert claim["statement"] not in told
    assert "log_" not in text.replace("verifier_log_", "")
