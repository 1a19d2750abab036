"""One browser for all tests of a process, and for each test a server that can be stopped and started again.

The browser lives in the loop of the session, so these tests and fixtures do too.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.browser.chromium import OFFLINE, Visitor, chromium
from tests.browser.newsdesk import record
from tests.browser.sealed_server import Recorded, Server
from tests.verifier.serving import check_log, only_errors
from verifier.client import Verifier


@pytest.fixture(autouse=True)
def quiet_logs() -> None:
    """Log only what goes wrong, and to standard error."""
    only_errors()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Chromium, started when the first test needs it."""
    async with chromium() as started:
        yield started


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server with a log of its own, which is checked at the end."""
    server = Server(tmp_path)
    server.start()
    yield server
    server.stop()
    asyncio.run(check_log(server.log))


@pytest_asyncio.fixture(loop_scope="session")
async def verifier(server: Server) -> AsyncIterator[Verifier]:
    """A client of the server."""
    async with Verifier(server.address) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="session")
async def visit(browser: Browser, server: Server) -> AsyncIterator[Visitor]:
    """Opens pages of the server. No page may have complained on its console by the end, but, where the test stopped
    the server, that it didn't reach it."""
    async with Visitor(browser, server.address) as visitor:
        yield visitor
    if server.stopped:
        visitor.expected = OFFLINE
    assert visitor.complaints == []


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def recorded(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Recorded]:
    """Something on every page, recorded once for all tests that only read."""
    server = Server(tmp_path_factory.mktemp("recorded"))
    only_errors()
    server.start()
    try:
        async with Verifier(server.address) as opened:
            yield Recorded(server=server, verifier=opened, desk=await record(opened))
    finally:
        server.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def look(browser: Browser, recorded: Recorded) -> AsyncIterator[Visitor]:
    """Opens pages on which something stands, to read. No page may have complained on its console by the end."""
    async with Visitor(browser, recorded.server.address) as visitor:
        yield visitor
    assert visitor.complaints == []
