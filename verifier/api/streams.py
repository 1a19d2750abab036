"""The two streams: changes of statuses, and the events of the log. Their frames come encoded; here they are sent.

A stream ends when its reader goes away, or when the feed is stopped because the server goes down.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from verifier import parameters, render, routes
from verifier.api.endpoints import Endpoint
from verifier.api.reading import LINES, last_event_of, query_of
from verifier.app import Desk
from verifier.errors import Invalid

EVENT_STREAM: Final = "text/event-stream"

_HEADERS: Final = {"cache-control": "no-store", "x-accel-buffering": "no"}
_encode = msgspec.json.Encoder().encode


def feed(desk: Desk) -> Endpoint:
    """Make the endpoint that streams the changes of statuses."""

    async def endpoint(request: Request) -> Response:
        params = routes.params_of(parameters.FeedParams, query_of(request))
        after = await desk.feed.begin(_after(request, params.after))
        return Stream(desk.feed.frames(after, routes.wanted(desk, params)), EVENT_STREAM)

    return endpoint


def events(desk: Desk, page: Endpoint) -> Endpoint:
    """Make the endpoint that gives the events of the log: as a page, as lines or as a stream, by `Accept`."""

    async def endpoint(request: Request) -> Response:
        accept = request.headers.get("accept", "")
        if EVENT_STREAM not in accept and not any(lines in accept for lines in LINES):
            return await page(request)
        if EVENT_STREAM in accept:
            asked = routes.params_of(parameters.FollowParams, _without_end(query_of(request)))
            after = await desk.feed.begin(_after(request, asked.after))
            return Stream(desk.feed.event_frames(after, await routes.picked(desk, asked)), EVENT_STREAM)
        params = routes.params_of(parameters.EventsParams, query_of(request))
        after = await desk.feed.begin(params.after)
        upto = None if params.as_of is None else await routes.position(desk, params.as_of)
        return Stream(_lines(desk, after, params.limit, upto), LINES[0])

    return endpoint


def _after(request: Request, given: int | None) -> int | None:
    """Return where a stream goes on: a browser that comes back asks by header for more than the address says."""
    last = last_event_of(request)
    return given if last is None else last


def _without_end(query: dict[str, str]) -> dict[str, str]:
    for name in ("limit", "as_of"):
        if name in query:
            raise Invalid(f"a stream of events has no end: leave `{name}` out", field=name)
    return query


class Stream(Response):
    """Sends what a generator yields, and closes it however that ends: also when its reader goes away."""

    # Starlette's own has two tasks more for each stream, and some steps more for each thing that is sent.

    def __init__(self, pages: AsyncGenerator[bytes], media_type: str) -> None:
        super().__init__(headers=_HEADERS, media_type=media_type)
        del self.headers["content-length"]
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until there is no more, or nobody any more."""
        sending = asyncio.current_task()
        assert sending is not None
        listening = asyncio.ensure_future(_gone(receive))

        def end(_: object) -> None:
            sending.cancel()

        listening.add_done_callback(end)
        try:
            async with aclosing(self._pages):
                await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                async for page in self._pages:
                    await send({"type": "http.response.body", "body": page, "more_body": True})
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        except asyncio.CancelledError:
            if not listening.done() or sending.uncancel():
                raise  # somebody else ends us
        finally:
            listening.remove_done_callback(end)
            listening.cancel()


async def _gone(receive: Receive) -> None:
    """Wait until the reader goes away."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _lines(desk: Desk, after: int, limit: int | None, upto: int | None) -> AsyncGenerator[bytes]:
    """Yield events as JSON Lines, up to a position or the head that there was at the beginning."""
    if limit is not None:
        upto = after + limit if upto is None else min(upto, after + limit)
    async with aclosing(desk.log.read_all(after=after, upto=upto)) as pages:  # type: ignore[type-var]  # a generator
        async for page in pages:
            yield b"".join(_encode(render.event(event)) + b"\n" for event in page)
