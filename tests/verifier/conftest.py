"""A real server on a real socket over a real log, for every test that wants one.

Whatever a test records there is checked at its end: it has the form that a log must have, and it can be
exported and restored.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
import structlog
from serving import check_log, only_errors, served

from verifier.app import Desk, open_desk
from verifier.client import Verifier


@pytest.fixture(autouse=True)
def quiet_logs() -> None:
    """Log only what goes wrong. For each test anew, because a command that serves sets its own logs."""
    only_errors()


@pytest.fixture
def our_logs() -> Iterator[None]:
    """Put back at the end what a test sets of the logs."""
    root = logging.getLogger()
    before, ours = (root.handlers[:], root.level), structlog.get_config()
    yield
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    structlog.configure(**ours)


@pytest.fixture
def log_place(tmp_path: Path) -> str:
    """The URL of a log on disk that isn't there yet."""
    return f"sqlite:///{tmp_path}/newsroom.db"


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, log_place: str) -> str:
    """The URL of a log that a server keeps, on every engine that keeps anything."""
    if request.param == "sqlite":
        return log_place
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def server(log_place: str) -> Iterator[str]:
    """The address of a server with a log of its own, which is checked at the end."""
    with served(log_place) as serving:
        yield serving.address
    asyncio.run(check_log(log_place))


@pytest.fixture
async def http(server: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client that speaks HTTP to the server, and nothing else."""
    async with httpx.AsyncClient(base_url=f"{server}/api/v1/") as client:
        yield client


@pytest.fixture
async def desk(log_place: str) -> AsyncIterator[Desk]:
    """A desk in this process, over a log on disk."""
    async with open_desk(log_place) as opened:
        yield opened


@pytest.fixture
async def verifier(server: str) -> AsyncIterator[Verifier]:
    """A client of the server."""
    async with Verifier(server) as opened:
        yield opened


@pytest.fixture
async def embedded() -> AsyncIterator[Verifier]:
    """A client of a log in this process."""
    async with Verifier.open("memory:", actor="ada") as opened:
        yield opened
