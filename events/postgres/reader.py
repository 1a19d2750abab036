"""A few connections that only read.

A page is one statement, so no read transaction outlives it, and no snapshot holds up the server's cleaning.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import starmap
from typing import Any, Final

import asyncpg

from events.errors import Closed, Damaged
from events.log import PAGE, Recorded
from events.postgres.place import Place
from events.postgres.session import LOST, close, connect, explain_reading, holds

_END: Final = 2**63 - 1
_HEAD: Final = "SELECT position FROM head"
_FIRST: Final = "SELECT position, leaf FROM events WHERE position = 1"
_LEAVES: Final = f"""
    SELECT position, leaf FROM events
    WHERE position > $1 AND position <= $2 ORDER BY position LIMIT {PAGE}"""
_ALL: Final = f"""
    SELECT position, leaf, wording_salt, wording, identity_salt, identity FROM events
    WHERE position > $1 AND position <= $2 ORDER BY position LIMIT {PAGE}"""
_STREAM: Final = f"""
    SELECT position, leaf, wording_salt, wording, identity_salt, identity FROM events
    WHERE stream = $3 AND position > $1 AND position <= $2 ORDER BY position LIMIT {PAGE}"""


class Reader:
    """The reading side of one log in one process."""

    def __init__(self, place: Place, *, connections: int, timeout: float) -> None:
        self._place = place
        self._timeout = timeout
        self._free = asyncio.Semaphore(connections)
        self._idle: list[asyncpg.Connection] = []
        self._busy: set[asyncpg.Connection] = set()
        self._closed = False

    async def head(self) -> int:
        """Return the position of the last event, 0 where there is none."""
        [row] = await self._fetch(_HEAD)
        return int(row[0])

    async def first(self) -> Recorded | None:
        """Return the leaf of the first event, `None` where there is none."""
        rows = await self._fetch(_FIRST)
        return Recorded(*rows[0]) if rows else None

    async def page(self, *, after: int, upto: int | None = None, texts: bool = True) -> Sequence[Recorded]:
        """Return the next events of the log after a position, empty where there are none.

        Raises `Damaged` where one is missing.
        """
        page = await self._page(_ALL if texts else _LEAVES, after, _END if upto is None else upto)
        if page and (page[0].position != after + 1 or page[-1].position != after + len(page)):
            raise Damaged(after + 1, "an event is missing between here and the next page")
        return page

    async def page_of(self, stream: str, *, after: int, upto: int | None = None) -> Sequence[Recorded]:
        """Return the next events of a stream after a position, empty where there are none."""
        if not holds(stream):  # PostgreSQL can't look for it
            return []
        return await self._page(_STREAM, after, _END if upto is None else upto, stream)

    async def close(self) -> None:
        """Close the connections; what is being read ends with `Closed`."""
        self._closed = True
        for connection in self._busy:
            connection.terminate()
        while self._idle:
            await close(self._idle.pop())

    async def _page(self, statement: str, *values: str | int) -> Sequence[Recorded]:
        return list(starmap(Recorded, await self._fetch(statement, *values)))

    async def _fetch(self, statement: str, *values: str | int) -> Sequence[Any]:
        """Run a statement. One that meets a connection which the server has dropped is tried on another."""
        async with self._free:
            while True:
                self._check_open()
                kept = bool(self._idle)
                connection = self._idle.pop() if kept else await self._connect()
                try:
                    return await self._fetch_on(connection, statement, *values)
                except (*LOST, asyncpg.PostgresError) as error:
                    self._check_open()
                    if not (kept and connection.is_closed()):
                        raise explain_reading(error, self._place) from error

    async def _fetch_on(self, connection: asyncpg.Connection, statement: str, *values: str | int) -> Sequence[Any]:
        self._busy.add(connection)
        try:
            async with asyncio.timeout(self._timeout):
                rows: Sequence[Any] = await connection.fetch(statement, *values)
        except BaseException:
            connection.terminate()
            raise
        finally:
            self._busy.discard(connection)
        if self._closed:
            connection.terminate()
        else:
            self._idle.append(connection)
        return rows

    async def _connect(self) -> asyncpg.Connection:
        settings = {"default_transaction_read_only": "on"}
        return await connect(self._place, name="reader", timeout=self._timeout, settings=settings)

    def _check_open(self) -> None:
        if self._closed:
            raise Closed("the log is closed")
