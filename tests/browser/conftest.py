"""One browser for all tests of a process, and for each test a server that can be stopped and started again.

The browser lives in the loop of the session, so these tests and fixtures do too.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.browser.chromium import OFFLINE, Visitor, chromium
from tests.verifier.serving import check_log, only_errors, served
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


class Server:
    """A server with a log on disk. It comes back at the address at which it was."""

    def __init__(self, log: str) -> None:
        self.log, self.stopped = log, False
        self._port = 0
        self._running = ExitStack()

    def start(self) -> None:
        """Serve the log."""
        serving = self._running.enter_context(served(self.log, port=self._port))
        self.address, self._port = serving.address, int(serving.address.rpartition(":")[2])

    def stop(self) -> None:
        """Stop serving. To whoever has a page open, the connection is lost."""
        self._running.close()
        self.stopped = True


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server with a log of its own, which is checked at the end."""
    server = Server(f"sqlite:///{tmp_path}/newsroom.db")
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
    """Opens pages of the server. No page may have complained on its console by the end, except, where the test
    stopped the server, that it didn't reach it."""
    async with Visitor(browser, server.address) as visitor:
        yield visitor
    assert visitor.complaints(but=OFFLINE if server.stopped else None) == []
