"""Connections that only read, in a few threads, each used by one thread at a time.

A page is one statement, so no read transaction outlives it and checkpoints are never held up.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import starmap
from pathlib import Path
from typing import Any, Final, TypeVar

from events.errors import Closed, Damaged, Invalid
from events.log import PAGE, Recorded
from events.sqlite.schema import check_version, connect_reader, explain

T = TypeVar("T")

_END: Final = 2**63 - 1
_HEAD: Final = "SELECT coalesce(max(position), 0) FROM events"
_FIRST: Final = "SELECT position, leaf FROM events WHERE position = 1"
_LEAVES: Final = f"""
    SELECT position, leaf FROM events
    WHERE position > ? AND position <= ? ORDER BY position LIMIT {PAGE}"""
_ALL: Final = f"""
    SELECT position, leaf, wording_salt, wording, identity_salt, identity FROM events
    WHERE position > ? AND position <= ? ORDER BY position LIMIT {PAGE}"""
_STREAM: Final = f"""
    SELECT position, leaf, wording_salt, wording, identity_salt, identity FROM events
    WHERE stream = ? AND position > ? AND position <= ? ORDER BY position LIMIT {PAGE}"""


class Reader:
    """The reading side of one log in one process."""

    def __init__(self, path: Path, *, threads: int, busy_timeout: float) -> None:
        self._path = path
        self._busy_timeout = busy_timeout
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=f"read {path.name}")
        self._idle: list[sqlite3.Connection] = []  # shared without a lock: to push and to pop are one step each
        self._closed = False

    async def check(self) -> None:
        """Check that there is a log of this version. Raises `Invalid`, `SchemaMismatch`, `Damaged`."""
        await self._run(check_version)

    async def head(self) -> int:
        """Return the position of the last event, 0 where there is none."""
        (head,) = await self._row(_HEAD)
        return int(head)

    async def first(self) -> Recorded | None:
        """Return the leaf of the first event, `None` where there is none."""
        row = await self._row(_FIRST)
        return Recorded(*row) if row else None

    async def page(self, *, after: int, upto: int | None = None, texts: bool = True) -> Sequence[Recorded]:
        """Return the next events of the log after a position, empty where there are none."""
        return await self._page(_ALL if texts else _LEAVES, after, _END if upto is None else upto)

    async def page_of(self, stream: str, *, after: int, upto: int | None = None) -> Sequence[Recorded]:
        """Return the next events of a stream after a position, empty where there are none."""
        return await self._page(_STREAM, stream, after, _END if upto is None else upto)

    async def close(self) -> None:
        """Finish what is being read, then close the connections."""
        self._closed = True
        await asyncio.to_thread(self._threads.shutdown)
        while self._idle:
            self._idle.pop().close()

    async def _row(self, statement: str) -> Any:  # as sqlite3 says: a tuple of whatever was asked for, or `None`
        return await self._run(lambda connection: connection.execute(statement).fetchone())

    async def _page(self, statement: str, *values: str | int) -> Sequence[Recorded]:
        return await self._run(lambda connection: list(starmap(Recorded, connection.execute(statement, values))))

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._closed:
            raise Closed("the log is closed")
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._with_connection, work)

    def _with_connection(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._connect()
        try:
            return work(connection)
        except sqlite3.Error as error:
            raise explain(error) or Damaged(None, f"the log can't be read: {error}") from error
        finally:
            self._idle.append(connection)

    def _connect(self) -> sqlite3.Connection:
        try:
            return connect_reader(self._path, busy_timeout=self._busy_timeout)
        except sqlite3.OperationalError as error:
            raise Invalid(f"there is no log at {self._path}: {error}") from error
