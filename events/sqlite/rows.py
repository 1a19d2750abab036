"""What the tables of a log on SQLite hold, read for an audit: see `events.rows`."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from events.errors import Damaged, Invalid, SchemaMismatch
from events.rows import COLUMNS, ROWS, HeadRow, Row
from events.sqlite.schema import VERSION, check_version, connect_reader, explain
from events.sqlite.shape import unlike

# No statement but one reads through an index: what an index leaves out is to be found.
_FROM: Final = "FROM events NOT INDEXED"
_WHOLE: Final = "typeof(position) = 'integer'"
_HEAD: Final = f"SELECT position {_FROM} WHERE {_WHOLE} ORDER BY position DESC LIMIT 1"
_ASTRAY: Final = f"SELECT position {_FROM} WHERE position < 1"
_UNPLACED: Final = f"SELECT NULL {_FROM} WHERE NOT {_WHOLE}"
_PAGE: Final = f"{_FROM} WHERE position > ? AND position <= ? AND {_WHOLE} ORDER BY position LIMIT {ROWS}"
_ROWS: Final = f"SELECT {', '.join(COLUMNS)} {_PAGE}"
_LEAVES: Final = f"SELECT position, id, stream, leaf, NULL, NULL, NULL, NULL {_PAGE}"
_NAMING: Final = f"""
    SELECT position, leaf FROM events WHERE stream = ? AND instr(leaf, ?) > 0 AND position <= ? AND {_WHOLE}
    ORDER BY position"""
_TYPES: Final = {
    "id": "'text'",
    "stream": "'text'",
    "leaf": "'blob'",
    **dict.fromkeys(COLUMNS[4:], "'blob', 'null'"),
}
_MISTYPED: Final = f"""
    SELECT position, CASE
        {" ".join(f"WHEN typeof({column}) NOT IN ({types}) THEN '{column}'" for column, types in _TYPES.items())}
    END AS wrong {_FROM} WHERE {_WHOLE} AND wrong IS NOT NULL ORDER BY position"""


def _check_version(connection: sqlite3.Connection) -> None:
    check_version(connection)
    if connection.execute("SELECT version_num FROM alembic_version").fetchall() != [(VERSION,)]:
        raise SchemaMismatch("the log's tables have several versions: they were changed by hand")


class SqliteRows:
    """The rows of a log in one SQLite file: see `events.rows.Rows`. Takes no lock and writes nothing."""

    def __init__(self, path: Path, *, tiles: Path, busy_timeout: float = 5.0) -> None:
        self._tiles = tiles
        if not path.exists():
            raise Invalid(f"there is no log at {path}: check the name")
        if not path.is_file():
            raise Invalid(f"{path} is not a file, so no log: check the name")
        self._connection = _opened(path, busy_timeout)
        try:
            self._ask(_check_version)
            self._fetch(_ROWS, 0, 0)  # that there is such a table is not to be found out later
        except BaseException:
            self.close()
            raise
        self._connection.text_factory = bytes  # what isn't UTF-8 is there to be found, not to fail on

    def head(self) -> int:
        """Return the highest position that a row has, 0 where there is none."""
        return max((head for (head,) in self._fetch(_HEAD)), default=0)

    def pages(self, *, after: int, upto: int, texts: bool = True) -> Iterator[Sequence[Row]]:
        """Yield the rows after a position, up to another, in order."""
        while after < upto and (page := self._fetch(_ROWS if texts else _LEAVES, after, upto)):
            yield page
            after = page[-1][0]

    def naming(self, part: bytes, *, stream: str, upto: int) -> Iterator[tuple[int, bytes]]:
        """Yield position and leaf of the rows of a stream up to a position whose leaf has these bytes in it."""
        yield from self._fetch(_NAMING, stream, part, upto)

    def astray(self) -> Sequence[int | None]:
        """Return the positions of rows that no reader comes to."""
        statements = [_ASTRAY, _UNPLACED] if self._unlike else [_ASTRAY]
        return [position for statement in statements for (position,) in self._fetch(statement)]

    def mistyped(self) -> Sequence[tuple[int, str]]:
        """Return position and column where another kind of value stands than the log writes."""
        return [(position, column.decode()) for position, column in self._fetch(_MISTYPED)] if self._unlike else []

    def unlike(self) -> Sequence[str]:
        """Return in what the file is not what the migrations make, or contradicts itself."""
        return self._unlike

    @cached_property
    def _unlike(self) -> Sequence[str]:
        """What `events.sqlite.shape` finds. Where it finds nothing, the table is STRICT, and each value of the kind
        that its column takes: then nobody needs to look at every row for that."""
        said: list[str] = self._ask(lambda connection: list(unlike(connection)))
        return said

    def heads(self) -> Sequence[HeadRow] | None:
        """Return `None`: the head is the last row itself."""
        return None

    def beside(self, path: str) -> bytes | None:
        """Return what is kept in the folder of tiles under a path."""
        place = self._tiles / path
        try:
            if place.is_file():
                return place.read_bytes()
        except FileNotFoundError:
            return None
        return b"" if os.path.lexists(place) else None  # something stands there, and is no such file

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def _fetch(self, statement: str, *values: int | str | bytes) -> list[Any]:
        return list(self._ask(lambda connection: connection.execute(statement, values).fetchall()))

    def _ask(self, question: Any) -> Any:  # a function of the connection; whatever it returns
        try:
            return question(self._connection)
        except sqlite3.Error as error:
            raise explain(error) or Damaged(None, f"the log can't be read: {error}") from error


def _opened(path: Path, busy_timeout: float) -> sqlite3.Connection:
    try:
        return connect_reader(path, busy_timeout=busy_timeout)
    except sqlite3.Error as error:
        raise explain(error) or Damaged(None, f"the log can't be read: {error}") from error
