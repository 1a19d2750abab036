"""The bytes of snapshots in a table beside the log, so that every process that has the log open has them too."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterable, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import asyncpg

from events.errors import DamagedEvidence, LogError, OutcomeUnknown
from events.evidence import check_hash, whole
from events.postgres.place import Place
from events.postgres.session import connected, explain_reading, explain_writing

_DURABLE: Final = """
    SELECT set_config('synchronous_commit', 'on', false)
    WHERE current_setting('synchronous_commit') IN ('off', 'local')"""
# Bytes that were damaged are replaced by whole ones.
_PUT: Final = """
    INSERT INTO evidence VALUES ($1, $2) ON CONFLICT (sha256) DO UPDATE SET bytes = excluded.bytes"""
_GET: Final = "SELECT bytes FROM evidence WHERE sha256 = $1"
_HAS: Final = "SELECT EXISTS (SELECT FROM evidence WHERE sha256 = $1)"
_ERASE: Final = "DELETE FROM evidence WHERE sha256 = $1"
_ALL: Final = "SELECT sha256 FROM evidence ORDER BY sha256"

_SECONDS: Final = 60.0
"""How long a snapshot may take on its way to the server or back."""

_CONNECTIONS: Final = 3
"""How many calls go on at once; any other waits."""


class PostgresEvidence:
    """Snapshots in the schema of a log: see `events.evidence.Snapshots`.

    Each call has a connection of its own, because snapshots are few beside events, and large. Raises, beside what
    is said there, `Busy` where the server can't be reached, `Invalid` where it refuses us, `ReadOnly` and
    `SchemaMismatch`; after each of them nothing was changed.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._free = asyncio.Semaphore(_CONNECTIONS)

    async def put(self, data: bytes | AsyncIterable[bytes], *, sha256: str) -> None:
        """Keep these bytes: see `Snapshots`. Damaged ones are replaced by whole ones."""
        incoming = await whole(data, sha256)  # before a connection is taken: they may come slowly
        async with self._connected(_explain_changing) as connection:
            await connection.execute(_DURABLE)
            await connection.execute(_PUT, sha256, incoming)

    async def get(self, sha256: str) -> bytes | None:
        """Return the bytes, hashed again."""
        check_hash(sha256)
        async with self._connected(explain_reading) as connection:
            data: bytes | None = await connection.fetchval(_GET, sha256)
        if data is not None and hashlib.sha256(data).hexdigest() != sha256:
            raise DamagedEvidence(sha256)
        return data

    async def has(self, sha256: str) -> bool:
        """Say whether the bytes are held."""
        check_hash(sha256)
        async with self._connected(explain_reading) as connection:
            return bool(await connection.fetchval(_HAS, sha256))

    async def erase(self, sha256: str) -> None:
        """Remove the bytes. What the server still holds of them goes with the next VACUUM, its WAL and its backups."""
        check_hash(sha256)
        async with self._connected(_explain_changing) as connection:
            await connection.execute(_DURABLE)
            await connection.execute(_ERASE, sha256)

    async def all(self) -> list[str]:
        """Return the hashes of all snapshots held, in order."""
        async with self._connected(explain_reading) as connection:
            return [row["sha256"] for row in await connection.fetch(_ALL)]

    @asynccontextmanager
    async def _connected(self, explain: Callable[[Exception, Place], LogError]) -> AsyncIterator[asyncpg.Connection]:
        async with self._free, connected(self._place, name="evidence", timeout=_SECONDS, explain=explain) as connection:
            yield connection


def _explain_changing(error: Exception, place: Place) -> LogError:
    return explain_writing(error) or OutcomeUnknown(
        f"the connection to {place.url} was lost, and nobody can say whether the snapshot was kept or erased:"
        f" do the same again ({error!r})"
    )
