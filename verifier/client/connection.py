"""Opening and closing: what the verbs and the questions of a verifier stand on."""

from __future__ import annotations

import re
from types import TracebackType
from typing import Any, Final, Self

import anyio

from verifier.client.feed import Feed
from verifier.client.http import HttpPort
from verifier.client.port import Port
from verifier.client.wire import Target, body, path_of
from verifier.commands import Command
from verifier.errors import Invalid
from verifier.keys import key_or_new

_HOST: Final = re.compile(r"[\w.-]+:\d+(/.*)?")


class Connection:
    """A way to a log, open between `async with` and its end."""

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        actor: str | None = None,
        read_only: bool = False,
        create: bool = True,
        timeout: float = 30.0,
        idle_timeout: float = 45.0,
    ) -> None:
        """Remember where the log is; nothing is opened yet.

        `timeout` is the time in which a call is settled, with all its attempts; `idle_timeout` the time
        after which a silent feed is taken for dead (a server sends something every 15 s). `actor` says
        who writes into a log that is opened in this process; a server knows that by itself. With
        `read_only` such a log is only read, while another process may write it; without `create` one that
        isn't there is refused, not made.
        """
        self._url = url
        self._token = token
        self._actor = actor
        self._read_only = read_only
        self._create = create
        self._timeout = timeout
        self._idle_timeout = idle_timeout
        self._opened: Port | None = None
        self._feeds: set[Feed[Any]] = set()

    @classmethod
    def open(
        cls,
        url: str,
        *,
        token: str | None = None,
        actor: str | None = None,
        read_only: bool = False,
        create: bool = True,
        timeout: float = 30.0,
        idle_timeout: float = 45.0,
    ) -> Self:
        """Name a log by URL: a server's address, `memory:` or `sqlite:///newsroom.db`. To be used with
        `async with`, which opens it."""
        return cls(
            url,
            token=token,
            actor=actor,
            read_only=read_only,
            create=create,
            timeout=timeout,
            idle_timeout=idle_timeout,
        )

    async def __aenter__(self) -> Self:
        """Open the log. A server is not asked before the first call.

        Raises `Invalid` for what names no log, and for an actor told to a server.
        """
        if self._opened is not None:
            raise RuntimeError("this verifier is open already: make another one")
        self._opened = await self._open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End every feed and give back what is held. May be called again."""
        port, self._opened = self._opened, None
        with anyio.CancelScope(shield=True):  # whoever is cancelled still gives back what they hold
            for feed in tuple(self._feeds):
                await feed.aclose()
            if port is not None:
                await port.close()

    async def _open(self) -> Port:
        if self._url.startswith(("http://", "https://")):
            if self._actor is not None:
                raise Invalid("a server knows by itself who writes: leave `actor` out and give a `token`")
            return HttpPort(self._url, token=self._token, timeout=self._timeout, idle_timeout=self._idle_timeout)
        if _HOST.fullmatch(self._url):
            raise Invalid(f"{self._url!r} names no log: a server's address begins with http://")
        # The one declared exception to the imports: embedded brings in everything that a server has.
        from verifier.embedded import open_embedded

        return await open_embedded(self._url, actor=self._actor, read_only=self._read_only, create=self._create)

    @property
    def _port(self) -> Port:
        if self._opened is None:
            raise RuntimeError("this verifier is not open: use it within `async with verifier:`")
        return self._opened

    async def _write(
        self, target: Target | None, command: Command, key: str | None, if_match: int | None
    ) -> dict[str, Any]:
        return await self._port.write(
            "POST", path_of(command, target), body(command), key=key_or_new(key), if_match=if_match
        )
