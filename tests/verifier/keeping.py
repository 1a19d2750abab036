"""What views hold, as it is compared: with each other, and with views that were never anything but built anew."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import select

from events.log import Log
from verifier.adopted import Adopted
from verifier.projections import Reading, Views
from verifier.projections.sqlite import SqlitePlace


async def rows(of: Views) -> dict[str, Any]:
    """Everything that views hold, as far as it has a meaning: a side on which nothing stands is no row."""

    def read(reading: Reading) -> dict[str, Any]:
        tables = reading.tables
        held = {
            table.name.rpartition("_")[0]: sorted(map(tuple, reading.connection.execute(select(table))))
            for table in (
                tables.changes,
                tables.sources,
                tables.stories,
                tables.contradictions,
                tables.alike,
                tables.publications,
            )
        }
        held["claims"] = sorted(map(tuple, reading.connection.execute(select(tables.claims))))
        sides = tables.source_claims
        held["sides"] = sorted(map(tuple, reading.connection.execute(select(sides).where(sides.c.statements > 0))))
        names: dict[tuple[str, str], dict[str, Any]] = {}
        for row in reading.connection.execute(select(tables.names)):
            names.setdefault((row.claim, row.kind), {}).update(msgspec.json.decode(row.names))
        return {**held, "names": names, "position": reading.at.position, "recorded_at": reading.at.recorded_at}

    return await of.read(read)


async def built_anew(log: Log, *, upto: int | None = None) -> dict[str, Any]:
    """What views hold that were never anything but read from the log in one go."""
    fresh = await Views.open(SqlitePlace(), log, await Adopted.read(log))
    try:
        async for page in log.read_all(upto=upto):
            await fresh._take([page])
        return await rows(fresh)
    finally:
        await fresh.close()
