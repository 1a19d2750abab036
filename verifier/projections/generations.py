"""Which generations of tables there are: one is served, another may be under way, the rest is dropped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, inspect, select, update

from verifier.projections.lease import TABLE as TURN
from verifier.tables import SHAPE, VERSION, TableSet, views


def find(connection: Connection, log_id: str, head: int) -> Row[Any] | None:
    """Return the row of the generation to serve: of this log and shape, and not beyond the log's head."""
    row = connection.execute(select(views).where(views.c.active)).one_or_none()
    usable = row is not None and (
        row.log == log_id and row.version.partition(".")[0] == str(SHAPE) and row.position <= head
    )
    return row if usable else None


def make(connection: Connection, tables: TableSet, log_id: str, *, active: bool) -> None:
    """Make the tables of a generation, at position 0."""
    tables.metadata.create_all(connection)
    connection.execute(
        insert(views).values(
            generation=tables.generation, version=VERSION, log=log_id, position=0, recorded_at=None, active=active
        )
    )


def activate(connection: Connection, generation: int) -> None:
    """Serve this generation from here on, and no other."""
    connection.execute(update(views).values(active=views.c.generation == generation))


def leftovers(connection: Connection, *, but: int | None) -> Sequence[str]:
    """Forget every generation but one, and return the tables to drop, also those of a shape that this code can't
    read."""
    connection.execute(delete(views).where(views.c.generation != (but or 0)))
    names = inspect(connection).get_table_names()
    return [name for name in names if name not in (views.name, TURN) and name.rpartition("_")[2] != str(but)]


def drop(connection: Connection, table: str) -> None:
    """Drop a table, if it is there."""
    connection.exec_driver_sql(f'DROP TABLE IF EXISTS "{table}"')
