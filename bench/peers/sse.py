"""Beside the feed: `sse-starlette` as its README has it, and the limit, bare TCP. Neither is part of the product.

    python -m bench.peers.sse starlette|tcp

Both take `POST /push` with the data of one message, number it, and send it to whoever has asked for anything else; the
answer is `{"written_at": number}`, as a command's answer says at which position it was recorded.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from collections.abc import AsyncIterator

import uvicorn
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from bench.subscribers import answering, listener


def starlette() -> Starlette:
    """Return an application in which each subscriber has a queue."""
    queues: set[asyncio.Queue[tuple[int, str]]] = set()
    numbers = itertools.count(1)

    async def push(request: Request) -> JSONResponse:
        number, data = next(numbers), (await request.body()).decode()
        for queue in queues:
            queue.put_nowait((number, data))
        return JSONResponse({"written_at": number})

    async def messages(queue: asyncio.Queue[tuple[int, str]]) -> AsyncIterator[ServerSentEvent]:
        queues.add(queue)
        try:
            while True:
                number, data = await queue.get()
                yield ServerSentEvent(data, event="change", id=str(number), sep="\n")
        finally:
            queues.discard(queue)

    async def feed(request: Request) -> EventSourceResponse:
        return EventSourceResponse(messages(asyncio.Queue()), sep="\n")

    return Starlette(routes=[Route("/push", push, methods=["POST"]), Route("/{rest:path}", feed)])


class Bare(asyncio.Protocol):
    """A connection that is written to, and no more HTTP than its readers need."""

    subscribed: set[asyncio.Transport] = set()  # noqa: RUF012  # of this process
    numbers = itertools.count(1)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._asked = b""

    def data_received(self, data: bytes) -> None:
        """Take what is pushed, or begin to send."""
        self._asked += data
        head, found, body = self._asked.partition(b"\r\n\r\n")
        if not found:
            return
        if head.startswith(b"GET"):
            self._asked = b""
            self.subscribed.add(self._transport)
            self._transport.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
        elif len(body) == int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]):
            self._asked, number = b"", next(self.numbers)
            frame = b"id: %d\nevent: change\ndata: %b\n\n" % (number, body)
            for transport in self.subscribed:
                transport.write(frame)
            answer = b'{"written_at":%d}' % number
            self._transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(answer), answer))

    def connection_lost(self, error: Exception | None) -> None:
        """Forget whoever has gone."""
        self.subscribed.discard(self._transport)


async def serve(kind: str) -> None:
    """Serve until the input ends."""
    loop = asyncio.get_running_loop()
    with listener() as socket:
        where = "http://{}:{}".format(*socket.getsockname())
        if kind == "tcp":
            await loop.create_server(Bare, sock=socket, backlog=8_192)
            await answering(where)
            return
        config = uvicorn.Config(
            starlette(), http="httptools", ws="none", lifespan="off", log_level="error", access_log=False
        )
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve([socket]))
        await answering(where)
        server.should_exit = server.force_exit = True
        await serving


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
