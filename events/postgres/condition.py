"""Looks at the schema of a log without opening it as one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from events.condition import Condition
from events.postgres.place import Place
from events.postgres.schema import VERSION, version
from events.postgres.session import connected

_TIMEOUT: Final = 10.0  # seconds
_CLOCK: Final = "SELECT clock_timestamp()"
# A table with its indexes, its large values and what a VACUUM has not freed yet.
_LOOK: Final = """
    SELECT current_setting('server_version'),
        coalesce((SELECT sum(pg_total_relation_size(oid)) FROM pg_class
            WHERE relnamespace = to_regnamespace($1) AND relkind = 'r'), 0)::bigint"""


async def examine(place: Place) -> Condition:
    """Say in what condition a log's schema is. Takes no lock and writes nothing.

    Raises `Busy` where the database can't be reached, `Invalid` where it refuses us, and `SchemaMismatch` for a schema
    that is not a log's.
    """
    found = await version(place)
    async with connected(place, name="examine", timeout=_TIMEOUT) as connection:
        server, used = await connection.fetchrow(_LOOK, place.schema)
        asked = datetime.now(UTC)
        clock = await connection.fetchval(_CLOCK)
        answered = datetime.now(UTC)
    return Condition(
        engine=f"PostgreSQL {server.split()[0]}",
        url=place.url,
        version=found,
        needed=VERSION,
        used=used,
        free=None,
        clock_ahead=(clock - (asked + (answered - asked) / 2)).total_seconds(),
    )
