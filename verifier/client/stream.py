"""Reading server-sent events so that nothing is lost and nothing comes twice.

A connection may end anywhere: half a message was never handed over, and the next connection asks for
what comes after the last whole one.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final

import anyio
import httpx
import msgspec
from httpx_sse import EventSource, ServerSentEvent, SSEError

from verifier.client.address import shown
from verifier.client.port import Message, Params
from verifier.client.retry import asked_to_wait, backoff, problem_of
from verifier.errors import Internal, Unreachable

_RETRIED: Final = frozenset({429, 502, 503, 504})


class _NotNow(Exception):
    """The server answers and can't serve the stream yet."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds


class Stream(AsyncIterator[Message]):
    """The messages of one stream in order of position, over as many connections as it takes."""

    def __init__(self, http: httpx.AsyncClient, path: str, params: Params, *, patience: float) -> None:
        """Follow `path` by `http`, whose read timeout is the time after which a silent connection is dead:
        heartbeats count. `patience` is how long the first connection is tried for."""
        self._http = http
        self._path = path
        self._params = params
        self._after = int(params["after"])
        self._patience = patience
        self._response: httpx.Response | None = None
        self._events: AsyncGenerator[ServerSentEvent, None] | None = None
        self._reading = False  # whether a task waits in `_events`
        self._began: float | None = None  # when the first connection was tried
        self._log: str | None = None  # which log it was, once there was one
        self._failures = 0  # since the last message
        self._closed = False
        self.since: float | None = None
        """When the present connection began (`time.time()`); nothing while there is none."""

    async def __anext__(self) -> Message:
        """Wait for the next message or mark, and for the server to come back if it goes away.

        Raises `Unreachable` if nothing answers at the beginning, and every problem that waiting can't mend.
        """
        while not self._closed:
            try:
                message = await self._read()
            except (SSEError, msgspec.MsgspecError) as error:
                await self._drop()
                raise Internal(f"{self._http.base_url.host} answers, but not with a feed: {error}") from error
            except _NotNow as answer:
                await self._pause(answer.seconds)
            except httpx.RequestError as error:
                await self._drop()
                await self._lost(error)
            else:
                if message is not None and message["position"] > self._after:
                    self._after = message["position"]
                    self._failures = 0
                    return message
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Hang up. A task that waits for a message is told that there are no more."""
        self._closed = True
        await self._drop()

    async def _read(self) -> Message | None:
        """Return the next message of this connection, or `None` for an event without one."""
        if self._events is None:
            self._events = await self._connect()
        self._reading = True
        try:
            event = await anext(self._events)
        except StopAsyncIteration:
            raise httpx.RemoteProtocolError("the stream ended") from None
        finally:
            self._reading = False
        if event.data:
            return msgspec.json.decode(event.data, type=Message)
        # A heartbeat says how far the log is, although nothing of it was wanted here.
        return {"position": int(event.id)} if event.id.isdecimal() else None

    async def _connect(self) -> AsyncGenerator[ServerSentEvent, None]:
        headers = {"accept": "text/event-stream", "cache-control": "no-store", "last-event-id": str(self._after)}
        if self._log:  # a position means nothing in another log, so such a server must refuse
            headers["verifier-log"] = self._log
        params = {**self._params, "after": self._after}
        request = self._http.build_request("GET", self._path, params=params, headers=headers)
        if self._began is None:
            self._began = anyio.current_time()
        response = await self._http.send(request, stream=True)
        if not response.is_success:
            await response.aread()  # which gives the connection back
            if response.status_code in _RETRIED:
                raise _NotNow(asked_to_wait(response))
            raise problem_of(response)
        self._response = response
        self.since = time.time()
        self._log = response.headers.get("verifier-log", "")
        return EventSource(response).aiter_sse()

    async def _lost(self, error: httpx.RequestError) -> None:
        if self._log is None and self._began is not None and anyio.current_time() >= self._began + self._patience:
            where = shown(str(self._http.base_url))
            raise Unreachable(f"nothing answers at {where} ({error}): start the server") from error
        await self._pause(0.0)

    async def _pause(self, seconds: float) -> None:
        # The first time after a message there is nothing to be polite about: most likely one connection broke.
        if not self._closed and (self._failures or seconds):
            await anyio.sleep(max(seconds, backoff(self._failures)))
        self._failures += 1

    async def _drop(self) -> None:
        self.since = None
        response, self._response = self._response, None
        events, self._events = self._events, None
        if response is not None:
            await response.aclose()
        # Without a response they come to their end, after what is left of the last chunk. Closing them would leave
        # httpx's own generators inside unfinished. If another task waits in them, it brings them to their end.
        if events is not None and not self._reading:
            with contextlib.suppress(httpx.HTTPError, httpx.StreamError):
                async for _ in events:
                    pass
