"""Which generations of tables there are: one is served, another may be under way, the rest is dropped."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, insert, inspect, select, update

from verifier.projections.generation import Generation
from verifier.projections.reading import Served
from verifier.tables import SHAPE, VERSION, TableSet, views


def find_or_make(connection: Connection, served: Served, log_id: str, head: int) -> tuple[Generation, bool]:
    """Find the generation to serve, or make one, and drop every other; say whether other code built what it holds."""
    views.create(connection, checkfirst=True)
    row = _find(connection, log_id, head)
    for table in leftovers(connection, but=row.generation if row else None):
        drop(connection, table)
    if row is None:
        return make(connection, served.tables(1), log_id, active=True), False
    return Generation(served.tables(row.generation), row.position, row.recorded_at), row.version != VERSION


def _find(connection: Connection, log_id: str, head: int) -> Row[Any] | None:
    """Return the row of the generation to serve: of this log and shape, and not beyond the log's head."""
    row = connection.execute(select(views).where(views.c.active)).one_or_none()
    usable = row is not None and (
        row.log == log_id and row.version.partition(".")[0] == str(SHAPE) and row.position <= head
    )
    return row if usable else None


def make(connection: Connection, tables: TableSet, log_id: str, *, active: bool) -> Generation:
    """Make the tables of a generation, at position 0."""
    tables.metadata.create_all(connection)
    connection.execute(
        insert(views).values(
            generation=tables.generation, version=VERSION, log=log_id, position=0, recorded_at=None, active=active
        )
    )
    return Generation(tables, 0, None)


_NUMBERED: Final = re.compile(r"[a-z_]+_(?P<generation>\d+)")
"""How the tables of a generation are named; no other table is ours to drop."""


def activate(connection: Connection, generation: int) -> None:
    """Serve this generation from here on, and no other."""
    connection.execute(update(views).values(active=views.c.generation == generation))


def leftovers(connection: Connection, *, but: int | None) -> Sequence[str]:
    """Forget every generation but one, and return the tables to drop, also those of a shape that this code can't
    read."""
    connection.execute(delete(views).where(views.c.generation != (but or 0)))
    found = [_NUMBERED.fullmatch(name) for name in inspect(connection).get_table_names()]
    return [name[0] for name in found if name and name["generation"] != str(but)]


def drop(connection: Connection, table: str) -> None:
    """Drop a table, if it is there."""
    connection.exec_driver_sql(f'DROP TABLE IF EXISTS "{table}"')
