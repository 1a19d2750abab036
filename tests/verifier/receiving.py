"""Receivers of webhooks for tests: real ones, on a real socket, that answer as they are told; and a clock that can be
moved on by days."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Any, Self

import pytest
import standardwebhooks.webhooks
from standardwebhooks.webhooks import Webhook

from verifier.webhooks.clock import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A request as it came."""

    body: bytes
    headers: dict[str, str]

    @property
    def message(self) -> dict[str, Any]:
        """What it says."""
        return json.loads(self.body)

    @property
    def data(self) -> dict[str, Any]:
        """The change it is about."""
        return self.message["data"]

    @property
    def id(self) -> str:
        """The id of the message."""
        return self.headers["webhook-id"]

    def checked(self, *secrets: str | None) -> Self:
        """Verify the signature with each of some secrets, by the package of the standard, and return this."""
        for secret in secrets:
            assert secret is not None
            Webhook(secret).verify(self.body, self.headers)
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """How a receiver answers: with a status and headers; late, after an event; by hanging up; or never."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    after: asyncio.Event | None = None
    hang_up: bool = False


OK = Answer()

Behaviour = Callable[[Received], Answer]


class Receiver:
    """A receiver. `received` is everything that reached it, `taken` what it answered with a 2xx."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.taken: list[Received] = []
        self.behaviour: Behaviour = lambda received: OK
        self.url = ""
        self.at_once = 0
        self.most_at_once = 0
        self._moved = asyncio.Condition()

    async def until(self, there: Callable[[], bool], within: float = 20.0) -> None:
        """Wait until what was received is so."""
        async with asyncio.timeout(within), self._moved:
            await self._moved.wait_for(there)

    async def got(self, count: int) -> list[Received]:
        """Wait until so many messages were taken, and return them."""
        await self.until(lambda: len(self.taken) >= count)
        return self.taken

    async def asked(self, count: int) -> list[Received]:
        """Wait until so many requests came, however they were answered, and return them."""
        await self.until(lambda: len(self.received) >= count)
        return self.received

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection."""
        with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode("latin-1").split("\r\n")[1:-2]
                headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
                received = Received(body=await reader.readexactly(int(headers["content-length"])), headers=headers)
                await self._answer(received, writer)
        writer.close()

    async def _answer(self, received: Received, writer: asyncio.StreamWriter) -> None:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            answer = self.behaviour(received)
            await self._note(self.received, received)
            if answer.after is not None:
                await answer.after.wait()
        finally:
            self.at_once -= 1
        if answer.hang_up:
            raise ConnectionError
        lines = [f"HTTP/1.1 {answer.status} so", *(f"{name}: {value}" for name, value in answer.headers.items())]
        if 200 <= answer.status < 300:  # once it is answered, whether or not the sender still hears it
            await self._note(self.taken, received)
        writer.write("\r\n".join([*lines, "content-length: 2", "", "ok"]).encode())
        await writer.drain()

    async def _note(self, where: list[Received], received: Received) -> None:
        async with self._moved:
            where.append(received)
            self._moved.notify_all()


@asynccontextmanager
async def receiving(behaviour: Behaviour = lambda received: OK) -> AsyncIterator[Receiver]:
    """Have a receiver on a free port of this machine."""
    receiver = Receiver()
    receiver.behaviour = behaviour
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    try:
        yield receiver
    finally:
        server.close()


class Hands(Clock):
    """A clock that waits for nothing: where somebody waits for a time, and nothing happens meanwhile, it is that time.

    `shown` makes the package that verifies signatures look at this clock, too.
    """

    SOON = 0.02  # real seconds in which something may still happen

    def __init__(self) -> None:
        self.ahead = 0.0

    def now(self) -> float:
        return super().now() + self.ahead

    async def within(self, seconds: float | None, event: asyncio.Event) -> None:
        if seconds is None:
            await event.wait()
            return
        until = self.now() + seconds
        await super().within(min(seconds, self.SOON), event)
        if not event.is_set():
            self.ahead += max(0.0, until - self.now())

    def at(self, received: Received) -> Received:
        """Put the clock to when a message was sent, so that its signature is verified as of then, and return it."""
        self.ahead += int(received.headers["webhook-timestamp"]) - self.now()
        return received

    def shown(self, monkeypatch: pytest.MonkeyPatch) -> Self:
        """Let signatures be verified by this clock."""
        hands = self

        class Shown(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> datetime:
                return datetime.fromtimestamp(hands.now(), tz)

        monkeypatch.setattr(standardwebhooks.webhooks, "datetime", Shown)
        return self
