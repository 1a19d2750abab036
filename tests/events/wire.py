"""A wire between a log and its server that can be cut at a chosen moment, before a request arrives or after."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Literal
from urllib.parse import urlsplit

Moment = Literal["before the request", "before the answer"]


class Wire:
    """Passes bytes between its own port and the server's. Made by `wired`."""

    def __init__(self, port: int) -> None:
        self.cuts = 0
        self._port = port
        self._marker = b""
        self._moment: Moment = "before the request"
        self._times = 0
        self._ways: set[asyncio.Task[None]] = set()

    def cut_now(self) -> None:
        """Cut every connection there is, whatever is on its way."""
        self.cuts += 1
        for way in self._ways:
            way.cancel()

    def cut(self, moment: Moment, marker: str, *, times: int = 1) -> None:
        """Cut the connection at which a request with this marker in it comes by, as often as it is said."""
        self._marker, self._moment, self._times = marker.encode(), moment, times

    async def passes(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass everything on, both ways, until one side has gone or the wire is cut."""
        try:
            from_server, to_server = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:  # the server is away
            writer.close()
            return
        answering = asyncio.Event()
        ways = [
            asyncio.create_task(self._requests(reader, to_server, answering)),
            asyncio.create_task(self._answers(from_server, writer, answering)),
        ]
        self._ways.update(ways)
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._ways.difference_update(ways)
            for way in ways:
                way.cancel()
            for end in (writer, to_server):
                end.close()

    async def _requests(
        self, reader: asyncio.StreamReader, to_server: asyncio.StreamWriter, answering: asyncio.Event
    ) -> None:
        with suppress(OSError):
            while chunk := await reader.read(2**16):
                if self._times and self._marker in chunk:
                    self._times -= 1
                    self.cuts += 1
                    if self._moment == "before the request":
                        return
                    answering.set()
                to_server.write(chunk)

    async def _answers(
        self, from_server: asyncio.StreamReader, writer: asyncio.StreamWriter, answering: asyncio.Event
    ) -> None:
        with suppress(OSError):
            while chunk := await from_server.read(2**16):
                if answering.is_set():
                    return
                writer.write(chunk)


@asynccontextmanager
async def wired(url: str) -> AsyncIterator[tuple[Wire, str]]:
    """Put a wire before the server of a log, and return it with the URL that goes through it."""
    port = urlsplit(url).port
    assert port is not None
    wire = Wire(port)
    server = await asyncio.start_server(wire.passes, "127.0.0.1", 0)
    try:
        yield wire, url.replace(f":{port}/", f":{server.sockets[0].getsockname()[1]}/")
    finally:
        server.close()
