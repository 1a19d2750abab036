"""The two streams: changes of statuses, and the events of the log. Their frames come encoded; here they are sent.

A stream ends when its reader goes away, or when the feed is stopped because the server goes down.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Send

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
        return _Stream(desk.feed.frames(after, **routes.narrowed(desk, params)), EVENT_STREAM)

    return endpoint


def events(desk: Desk, page: Endpoint) -> Endpoint:
    """Make the endpoint that gives the events of the log: as a page, as lines or as a stream, by `Accept`."""

    async def endpoint(request: Request) -> Response:
        accept = request.headers.get("accept", "")
        if EVENT_STREAM not in accept and not any(lines in accept for lines in LINES):
            return await page(request)
        params = routes.params_of(parameters.EventsParams, query_of(request))
        if EVENT_STREAM not in accept:
            after = await desk.feed.begin(params.after)
            upto = None if params.as_of is None else await routes.position(desk, params.as_of)
            return _Stream(_lines(desk, after, params.limit, upto), LINES[0])
        for name in ("limit", "as_of"):
            if getattr(params, name) is not None:
                raise Invalid(f"a stream of events has no end: leave `{name}` out", field=name)
        after = await desk.feed.begin(_after(request, params.after))
        return _Stream(desk.feed.event_frames(after), EVENT_STREAM)

    return endpoint


def _after(request: Request, given: int | None) -> int | None:
    """Return where a stream goes on: a browser that comes back asks by header for more than the address says."""
    last = last_event_of(request)
    return given if last is None else last


class _Stream(StreamingResponse):
    """Sends what a generator yields, and closes it however that ends."""

    def __init__(self, pages: AsyncGenerator[bytes], media_type: str) -> None:
        super().__init__(pages, headers=_HEADERS, media_type=media_type)
        self._pages = pages

    async def stream_response(self, send: Send) -> None:
        async with aclosing(self._pages):
            await super().stream_response(send)


async def _lines(desk: Desk, after: int, limit: int | None, upto: int | None) -> AsyncGenerator[bytes]:
    """Yield events as JSON Lines, up to a position or the head that there was at the beginning."""
    if limit is not None:
        upto = after + limit if upto is None else min(upto, after + limit)
    async with aclosing(desk.log.read_all(after=after, upto=upto)) as pages:  # type: ignore[type-var]  # a generator
        async for page in pages:
            yield b"".join(_encode(render.event(event)) + b"\n" for event in page)
