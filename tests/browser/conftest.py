"""One browser for all tests of a process, and for each test a server that can be stopped and started again.

The browser lives in the loop of the session, so these tests and fixtures do too.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from events.keys import Keys
from events.seals import Seals
from events.tlog import new_key
from tests.browser.chromium import OFFLINE, Visitor, chromium
from tests.browser.newsdesk import Newsdesk, record
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
    """A server with a log on disk, which it seals. It comes back at the address at which it was."""

    def __init__(self, folder: Path) -> None:
        self.log, self.stopped = f"sqlite:///{folder}/newsroom.db", False
        self._port = 0
        self._sealing = {"seal_key": new_key("example.org/newsroom"), "seals": folder / "seals"}
        Seals(folder / "seals").begin(Keys.parse(str(self._sealing["seal_key"]), "the test"))
        self._running = ExitStack()

    def start(self) -> None:
        """Serve the log."""
        serving = self._running.enter_context(served(self.log, port=self._port, **self._sealing))
        self.address, self._port = serving.address, int(serving.address.rpartition(":")[2])

    def stop(self) -> None:
        """Stop serving. To whoever has a page open, the connection is lost."""
        self._running.close()
        self.stopped = True


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A server with something on every page, a client of it, and where things stand."""

    server: Server
    verifier: Verifier
    desk: Newsdesk


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
