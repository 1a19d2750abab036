"""Tiles in a schema beside the log's, so that every process that has the log open can serve them.

The schema is `<log's schema>_tiles`: a backup of the log needs only the log's own, and dropping this one throws away
nothing that can't be computed again.

One process at a time writes. Its turn is an advisory lock of the session that also writes: a session that was cut off
has lost the lock and can't write any more, so nobody writes who has lost the turn without knowing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Final

import asyncpg

from events.errors import Busy, Invalid, LogError
from events.postgres.place import TILES, Place
from events.postgres.session import LOST, close, connect, explain_reading, explain_writing
from events.tiles import Lost

LOOK: Final = 1.0
"""Seconds between two looks whether the turn is free: nobody tells when another process ends."""

_SECONDS: Final = 10.0  # how long a statement may take

_MAKE: Final = """
    CREATE SCHEMA IF NOT EXISTS "{schema}";
    CREATE TABLE IF NOT EXISTS "{schema}".file (path text PRIMARY KEY, bytes bytea NOT NULL)"""
_TAKE: Final = "SELECT pg_try_advisory_lock(hashtextextended($1, 0))"
_THERE: Final = "SELECT to_regclass($1) IS NOT NULL"
_READ: Final = "SELECT bytes FROM file WHERE path = $1"
_WRITE: Final = """
    INSERT INTO file SELECT * FROM unnest($1::text[], $2::bytea[])
    ON CONFLICT (path) DO UPDATE SET bytes = excluded.bytes"""
_CLEAR: Final = "DELETE FROM file"
_NOT_THERE: Final = ("42P01", "3F000")


class PostgresTiles:
    """Tiles in the database of a log: see `events.tiles.Tiles`.

    Raises `Busy` where the server can't be reached or the turn was lost, `Invalid` where it refuses us, `DiskFull`.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._schema = f"{place.schema}{TILES}"
        self._reading: asyncpg.Connection | None = None
        self._writing: asyncpg.Connection | None = None
        self._free = asyncio.Lock()  # a connection answers one question at a time

    @property
    def place(self) -> str:
        return f"the schema {self._schema} of its database"

    async def read(self, path: str) -> bytes | None:
        async with self._free:
            kept = self._reading is not None
            try:
                return await self._read(path)
            except (*LOST, asyncpg.PostgresError) as error:
                lost = error
            if kept and self._reading is not None and self._reading.is_closed():
                with suppress(*LOST, asyncpg.PostgresError):  # the connection was lost since it was used last
                    return await self._read(path)
            raise explain_reading(lost, self._place) from lost

    async def _read(self, path: str) -> bytes | None:
        if self._reading is None or self._reading.is_closed():
            self._reading = await self._connect("tiles, reading")
        try:
            data: bytes | None = await self._reading.fetchval(_READ, path)
        except asyncpg.PostgresError as error:
            if error.sqlstate in _NOT_THERE:
                return None  # nobody has sealed this log yet
            raise
        return data

    async def write(self, files: Mapping[str, bytes]) -> None:
        await self._do(_WRITE, list(files), list(files.values()))

    async def clear(self) -> None:
        await self._do(_CLEAR)

    async def _do(self, statement: str, *values: object) -> None:
        if self._writing is None or self._writing.is_closed():
            raise self._lost()
        try:
            await self._writing.execute(statement, *values)
        except (*LOST, asyncpg.PostgresError) as error:
            raise self._explain(error) from error

    @asynccontextmanager
    async def turn(self, waits: Callable[[], None] | None = None) -> AsyncIterator[Lost]:
        connection = self._writing = await self._connect("tiles")
        lost = Lost()

        def ended(_: object) -> None:
            if not lost.done():
                lost.set_result(self._lost())

        connection.add_termination_listener(ended)
        try:
            await self._wait(connection, waits)
            yield lost
        finally:
            self._writing = None
            await close(connection)

    async def _wait(self, connection: asyncpg.Connection, waits: Callable[[], None] | None) -> None:
        try:
            while not await connection.fetchval(_TAKE, self._schema):
                if waits is not None:
                    waits()
                await asyncio.sleep(LOOK)  # nobody tells when it is free
            if not await connection.fetchval(_THERE, f'"{self._schema}".file'):
                await connection.execute(_MAKE.format(schema=self._schema))
        except (*LOST, asyncpg.PostgresError) as error:
            raise self._explain(error) from error

    async def _connect(self, name: str) -> asyncpg.Connection:
        return await connect(self._place, name=name, timeout=_SECONDS, settings={"search_path": self._schema})

    def _explain(self, error: Exception) -> LogError:
        if isinstance(error, asyncpg.InsufficientPrivilegeError):
            return Invalid(
                f"the role may not keep tiles in {self._schema}: let it make schemas in this database (GRANT CREATE ON"
                f" DATABASE), or give it that schema ({error})"
            )
        return explain_writing(error) or self._lost()

    def _lost(self) -> Busy:
        return Busy(f"the connection to {self._place.url} was lost, and with it the turn at sealing: it is taken again")

    async def close(self) -> None:
        if self._reading is not None:
            await close(self._reading)
            self._reading = None
