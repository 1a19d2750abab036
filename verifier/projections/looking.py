"""Looks at views from outside: how far they are and who keeps them, without opening or changing them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, select

from verifier.projections.database import Database, Place, as_problems
from verifier.projections.lease import TABLE as TURN
from verifier.tables import VERSION, views

_ROWS: Final = select(views.c.log, views.c.version, views.c.position, views.c.active)
_TURN: Final = f"SELECT holder, until > clock_timestamp() AS lasts FROM {TURN}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Views as they stand: of which log, at which position, whether this code wrote them, how far new ones beside
    them are, and, where several processes take turns, whose turn it is."""

    log: str
    position: int
    current: bool
    rebuilding: int | None
    keeper: str | None


async def look_at(place: Place) -> Seen | None:
    """Say how views are that other processes may keep; `None` where there are none yet.

    Raises `NotReady` where they can't be read, and `Busy` where their database can't be reached, with what to do.
    """
    database = Database(place)
    try:
        with as_problems(place):
            return await database.read(_look) if await database.there() else None
    finally:
        await database.close()


def _look(connection: Connection) -> Seen | None:
    rows = connection.execute(_ROWS).all()
    served = next((row for row in rows if row.active), None)
    if served is None:
        return None
    keeper = None
    if connection.dialect.name == "postgresql":
        turn = connection.exec_driver_sql(_TURN).one()
        keeper = turn.holder if turn.lasts else None
    return Seen(
        log=served.log,
        position=served.position,
        current=served.version == VERSION,
        rebuilding=next((row.position for row in rows if not row.active), None),
        keeper=keeper,
    )
