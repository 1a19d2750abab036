"""One state of the views as it is read: a transaction, its tables, and the checkpoint that it shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, select

from verifier.projections.database import Unreadable
from verifier.tables import GENERATIONS, SHAPE, Dialect, TableSet, views

_CHECKPOINT: Final = select(
    views.c.generation, views.c.position, views.c.recorded_at, views.c.log, views.c.version
).where(views.c.active)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """How far the served views are: the last event they contain, and its time."""

    generation: int
    position: int
    recorded_at: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One state of the views: a transaction, its tables, and the checkpoint that it shows."""

    connection: Connection
    tables: TableSet
    at: Checkpoint


class Served:
    """Finds the generation that is served, which may be another one at each reading."""

    def __init__(self, log_id: str, dialect: Dialect) -> None:
        self._log_id = log_id
        self._dialect = dialect
        self._sets: dict[int, TableSet] = {}

    def tables(self, generation: int) -> TableSet:
        """Return the tables of a generation, the same object while it is remembered."""
        tables = self._sets.get(generation)
        if tables is None:
            if len(self._sets) > GENERATIONS:
                self._sets.clear()
            tables = self._sets[generation] = TableSet(generation, self._dialect)
        return tables

    def reading(self, connection: Connection) -> Reading:
        """Begin to read. Raises `Unreadable` for views of another log or shape."""
        row = connection.execute(_CHECKPOINT).one()
        if row.log != self._log_id or row.version.partition(".")[0] != str(SHAPE):
            raise Unreadable("they are of another log, or of another version of the product")
        at = Checkpoint(generation=row.generation, position=row.position, recorded_at=row.recorded_at)
        return Reading(connection=connection, tables=self.tables(row.generation), at=at)
