"""The wake-up between processes: who has committed rings, and everybody who listens looks.

It only saves time. A ring that is lost, or a connection that is, costs a listener the rest of its poll.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import asyncpg

from events.errors import LogError
from events.postgres.place import Place
from events.postgres.session import LOST, close, connect

_QUIET: Final = 0.01  # seconds between two rings: more often, nobody would be woken any sooner
_FIRST_PAUSE: Final = 0.05  # seconds between attempts to connect, doubled each time
_LAST_PAUSE: Final = 1.0


class Bell:
    """One connection that listens and rings, for as long as `run` runs."""

    def __init__(self, place: Place, *, timeout: float, heard: Callable[[], None]) -> None:
        self._place = place
        self._timeout = timeout
        self._heard = heard
        self._wanted = asyncio.Event()  # set when it is to be rung, and when the connection is lost
        self._channel = f'"{place.channel}"'

    def ring(self) -> None:
        """Wake whoever listens, soon."""
        self._wanted.set()

    async def run(self) -> None:
        """Listen, and ring when asked to, until cancelled; a connection that is lost is replaced."""
        pause = _FIRST_PAUSE
        while True:
            try:
                connection = await self._connect()
            except LogError:  # also where it refuses us: it may think better of it, and readers are told
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LAST_PAUSE)
                continue
            pause = _FIRST_PAUSE
            try:
                await self._serve(connection)
            except (*LOST, asyncpg.PostgresError):
                self._heard()  # whatever rang meanwhile was not heard
            finally:
                await close(connection)

    async def _connect(self) -> asyncpg.Connection:
        # A ring is a commit, which need not be durable.
        settings = {"synchronous_commit": "off"}
        return await connect(self._place, name="bell", timeout=self._timeout, settings=settings)

    async def _serve(self, connection: asyncpg.Connection) -> None:
        connection.add_termination_listener(lambda _: self._wanted.set())
        ours = connection.get_server_pid()
        await connection.add_listener(self._place.channel, lambda _, pid, *__: pid == ours or self._heard())
        self._heard()  # what was committed before we listened
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            await connection.execute(f"NOTIFY {self._channel}")
            await asyncio.sleep(_QUIET)
