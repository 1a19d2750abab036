"""Logs for every test. A test that takes `log` runs on every engine and doesn't know which."""

from __future__ import annotations

import secrets
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from events.log import Log
from events.open import open_log
from tests.postgres import Server, serving


def pytest_configure() -> None:
    """Let the programs that a test starts be interrupted, also where a shell started the tests in the background and
    has interrupts ignored, which every program inherits."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A real PostgreSQL, started when the first test needs it and shared by all: each test uses a schema of its own."""
    with serving() as server:
        yield server


@pytest.fixture
def postgres_url(postgres: Server) -> str:
    """The URL of a log on PostgreSQL that isn't there yet."""
    return postgres.url(f"newsroom_{secrets.token_hex(6)}")


ENGINES = ("memory", "sqlite", "postgres")


def url_on(engine: str, name: str, request: pytest.FixtureRequest, folder: Path) -> str:
    """The URL of a log that isn't there yet, on an engine."""
    match engine:
        case "memory":
            return "memory:"
        case "sqlite":
            return f"sqlite:///{folder}/{name}.db"
        case _:
            server: Server = request.getfixturevalue("postgres")
            return server.url(f"{name}_{secrets.token_hex(6)}")


@pytest.fixture(params=ENGINES)
def log_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a log that isn't there yet, on every engine."""
    return url_on(request.param, "newsroom", request, tmp_path)


@pytest.fixture(params=ENGINES)
def other_log_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of another log that isn't there yet: with `log_url`, every pair of engines."""
    return url_on(request.param, "other", request, tmp_path)


@pytest.fixture
async def log(log_url: str) -> AsyncIterator[Log]:
    """A new log, open, on every engine. It holds its `log.opened` and nothing else."""
    async with await open_log(log_url) as opened:
        yield opened


@pytest.fixture
async def empty_log(log_url: str) -> AsyncIterator[Log]:
    """A log without any event, open and waiting to be restored, on every engine."""
    async with await open_log(log_url.replace("newsroom", "restored"), create="empty") as opened:
        yield opened
