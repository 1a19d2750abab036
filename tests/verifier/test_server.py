"""Starting and stopping a server, and what it can be told."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import socket
import sys
import time
from pathlib import Path

import httpx
import pytest
import structlog
from serving import served
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from events.errors import LogInUse
from events.open import open_log
from verifier import api, logs
from verifier.app import Desk
from verifier.client import Verifier
from verifier.errors import Invalid, ReadOnly
from verifier.server import Serving, bind, serve
from verifier.settings import FILE, LOOPBACK, Settings

STREAMS = 300


@pytest.fixture(autouse=True)
def no_settings_of_the_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Run in an empty folder, without any `VERIFIER_*`."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("VERIFIER_")]:
        monkeypatch.delenv(name)


def settings(log: str, **flags: object) -> Settings:
    return Settings.load({"log": log, "port": 0, **flags})


# --- stopping --------------------------------------------------------------------------------------


async def test_a_server_with_300_open_streams_stops_within_a_second(log_place: str) -> None:
    serving = asyncio.get_running_loop().create_future()
    running = asyncio.create_task(serve(settings(log_place), ready=serving.set_result))
    now_serving: Serving = await serving
    host, port = now_serving.address.removeprefix("http://").split(":")

    async def follow() -> asyncio.StreamReader:
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /api/v1/feed HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
        writers.append(writer)
        return reader

    writers: list[asyncio.StreamWriter] = []
    readers = await asyncio.gather(*(follow() for _ in range(STREAMS)))

    began = time.monotonic()
    now_serving.stop()
    ended = await asyncio.gather(*(reader.read() for reader in readers))
    await running
    took = time.monotonic() - began
    for writer in writers:
        writer.close()

    assert all(rest.endswith(b"0\r\n\r\n") for rest in ended), "each stream is ended, none is cut off"
    assert took < 1


async def test_a_request_in_flight_is_answered_before_the_server_is_gone(log_place: str) -> None:
    data = b"bytes that take their time"
    with served(log_place) as serving:
        host, port = serving.address.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        head = (
            f"PUT /api/v1/evidence/{hashlib.sha256(data).hexdigest()} HTTP/1.1\r\nhost: localhost\r\n"
            f"content-length: {len(data)}\r\nexpect: 100-continue\r\n\r\n"
        )
        writer.write(head.encode())
        assert b" 100 " in await reader.readuntil(b"\r\n\r\n"), "the server waits for the bytes"

        serving.stop()
        writer.write(data)
        answer = await reader.readline()
        writer.close()

    assert b" 200 " in answer


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_stops_the_server_and_closes_the_log(tmp_path: Path, number: signal.Signals) -> None:
    log = tmp_path / "newsroom.db"
    script = (
        "import asyncio; from verifier.server import serve; from verifier.settings import Settings;"
        f"asyncio.run(serve(Settings.load({{'log': 'sqlite:///{log}', 'port': 0}}),"
        " ready=lambda serving: print(serving.address, flush=True)))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE, env=environment
    )
    assert process.stdout is not None
    while not (address := (await process.stdout.readline()).decode().strip()).startswith("http://"):
        pass
    async with Verifier(address) as verifier:
        await verifier.register("A claim")

    process.send_signal(number)
    await process.stdout.read()
    code = await process.wait()

    assert code == 0
    assert not log.with_name("newsroom.db-wal").exists(), "what was written is in the log's file"
    async with await open_log(f"sqlite:///{log}") as reopened:
        assert await reopened.head() == 2


def test_a_server_that_was_stopped_goes_on_with_what_it_had(log_place: str) -> None:
    body = {"text": "A claim", "statement": {"type": "claim.asserted", "source": "AFP"}}
    answers = []
    for _ in range(2):
        with served(log_place) as serving:
            response = httpx.post(f"{serving.address}/api/v1/claims", json=body, headers={"idempotency-key": "once"})
            answers.append(response.json())

    first, again = answers
    assert again["effect"] == "already recorded"
    assert (again["id"], again["statement"], again["position"]) == (first["id"], first["statement"], first["position"])


# --- where it may listen ---------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "newsroom.example", ""])
def test_a_server_refuses_to_listen_beyond_its_own_machine(host: str) -> None:
    with pytest.raises(Invalid, match=r"127\.0\.0\.1") as raised:
        bind(host, 0)

    assert raised.value.extra["field"] == "host"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_server_listens_at_every_loopback_address(host: str) -> None:
    with bind(host, 0) as listener:
        assert listener.getsockname()[0] in ("127.0.0.1", "::1")


async def test_a_port_that_is_taken_is_named_with_the_flag_that_changes_it(log_place: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(Invalid, match="--port") as raised:
            await serve(settings(log_place, port=port))

    assert str(port) in raised.value.detail


async def test_a_log_that_is_served_already_sends_you_to_its_address(log_place: str) -> None:
    with served(log_place) as serving:
        with pytest.raises(ReadOnly) as raised:
            await serve(settings(log_place))
        with pytest.raises(LogInUse, match=serving.address):
            await open_log(log_place)

    assert raised.value.extra["address"] == serving.address


def test_a_server_answers_to_the_names_it_was_told(log_place: str) -> None:
    with served(log_place, hosts="desk.example, localhost") as serving:
        told = httpx.get(f"{serving.address}/api/v1/health", headers={"host": "Desk.example:8750"})
        not_told = httpx.get(f"{serving.address}/api/v1/health")

    assert (told.status_code, not_told.status_code) == (200, 403)
    assert "desk.example" in not_told.json()["detail"]


# --- what nobody foresaw ---------------------------------------------------------------------------


@pytest.mark.usefixtures("our_logs")
async def test_an_unforeseen_error_is_answered_with_an_id_and_logged_once(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    async def broken(request: Request) -> Response:
        raise RuntimeError("nobody thought of this")

    logs.configure("info", "json")
    app = api.build(desk, actor="ada", hosts=LOOPBACK, pages=[Route("/broken", broken)])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as http:
        response = await http.get("/broken")

    logged = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert response.status_code == 500
    assert response.json()["type"] == "/problems/internal"
    assert "nobody thought" not in response.text, "what went wrong is nobody's business outside"
    assert response.json()["request"] == response.headers["x-request-id"]
    assert {line["request"] for line in logged} == {response.headers["x-request-id"]}
    (failed,) = [line for line in logged if line["level"] == "error"]
    assert "RuntimeError: nobody thought of this" in failed["exception"]


@pytest.mark.usefixtures("our_logs")
def test_what_went_wrong_is_logged_without_the_words_it_went_wrong_with(capsys: pytest.CaptureFixture[str]) -> None:
    """A log on the screen or in a file is no place from which a text could be erased."""

    def broken(name: str) -> None:
        raise RuntimeError("nobody thought of this")

    logs.configure("info", "console")
    try:
        broken("".join(["a protected", " source"]))
    except RuntimeError as error:
        structlog.get_logger("verifier").error("a request failed", exc_info=error)

    logged = capsys.readouterr().err
    assert "RuntimeError: nobody thought of this" in logged
    assert "a protected source" not in logged


# --- settings --------------------------------------------------------------------------------------


def test_a_flag_is_stronger_than_the_environment_than_the_file_than_the_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path(FILE).write_text('port = 1\nhost = "localhost"\nlog_level = "error"\nhosts = ["a.example"]\n')
    monkeypatch.setenv("VERIFIER_PORT", "2")
    monkeypatch.setenv("VERIFIER_HOST", "::1")

    loaded = Settings.load({"port": 3, "actor": None})

    assert (loaded.port, loaded.host, loaded.log_level, loaded.hosts) == (3, "::1", "error", ("a.example",))
    assert loaded.log == "sqlite:///newsroom.db"
    assert [loaded.origin(name) for name in ("port", "host", "log_level", "log", "actor")] == [
        "flag",
        "VERIFIER_HOST",
        FILE,
        "default",
        "default",
    ]


def test_host_names_may_be_divided_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VERIFIER_HOSTS", "desk.example, 127.0.0.1,")

    assert Settings.load().hosts == ("desk.example", "127.0.0.1")


def test_a_value_that_is_none_is_named_with_where_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VERIFIER_PORT", "eighty")

    with pytest.raises(Invalid, match=r"port \(VERIFIER_PORT\)"):
        Settings.load()


@pytest.mark.parametrize(("text", "says"), [("prot = 8750", "no setting prot"), ("port = = 1", "not TOML")])
def test_a_file_with_a_mistake_is_refused(text: str, says: str) -> None:
    Path(FILE).write_text(text)

    with pytest.raises(Invalid, match=says):
        Settings.load()


def test_every_setting_says_what_it_means() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name


@pytest.mark.usefixtures("our_logs")
@pytest.mark.parametrize("form", ["console", "json"])
def test_logs_are_written_for_people_or_for_machines(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    loaded = Settings.load({"log_format": form, "log_level": "warning"})
    logs.configure(loaded.log_level, loaded.log_format)

    structlog.get_logger(__name__).info("not this")
    structlog.get_logger(__name__).warning("this", position=3)

    (line,) = capsys.readouterr().err.splitlines()
    assert "this" in line
    assert (json.loads(line)["position"] == 3) if form == "json" else ("position" in line)
