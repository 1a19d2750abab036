"""What the tables of a log on PostgreSQL hold, read for an audit: see `events.rows`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import starmap
from typing import Any, Final

import psycopg

from events.errors import Busy, Damaged, Invalid, LogError, SchemaMismatch
from events.postgres.place import TILES, Place
from events.postgres.schema import VERSION
from events.postgres.shape import LOOK, unlike
from events.rows import COLUMNS, ROWS, HeadRow, Row

_VERSION: Final = "SELECT version_num FROM alembic_version"
_HEAD: Final = "SELECT coalesce(max(position), 0) FROM events"
_HEADS: Final = """
    SELECT one, position, recorded_at, before, (SELECT coalesce(max(position), 0) FROM events) FROM head"""
_ASTRAY: Final = "SELECT position FROM events WHERE position < 1 OR position IS NULL ORDER BY position"
_PAGE: Final = f"FROM events WHERE position > %s AND position <= %s ORDER BY position LIMIT {ROWS}"
_FOUND: Final = "SELECT position, convert_to(id, 'UTF8'), convert_to(stream, 'UTF8'), leaf"
_ROWS: Final = f"{_FOUND}, wording_salt, wording, identity_salt, identity {_PAGE}"
_LEAVES: Final = f"{_FOUND}, NULL, NULL, NULL, NULL {_PAGE}"
_NAMING: Final = """
    SELECT position, leaf FROM events WHERE stream = %s AND position(%s IN leaf) > 0 AND position <= %s
    ORDER BY position"""
_MISTYPED: Final = f"""
    SELECT position, CASE {" ".join(f"WHEN {column} IS NULL THEN '{column}'" for column in COLUMNS[1:4])} END
    FROM events WHERE position IS NOT NULL AND ({" OR ".join(f"{column} IS NULL" for column in COLUMNS[1:4])})
    ORDER BY position"""
_TIMEOUT: Final = 60  # seconds


class PostgresRows:
    """The rows of a log in one schema: see `events.rows.Rows`. Reads each page in a transaction of its own."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._kept = f'SELECT bytes FROM "{place.schema}{TILES}".file WHERE path = %s'
        options = f"-c search_path={place.schema} -c statement_timeout={_TIMEOUT}s -c default_transaction_read_only=on"
        try:
            self._connection = psycopg.connect(place.dsn, autocommit=True, options=options, connect_timeout=_TIMEOUT)
        except psycopg.Error as error:
            raise Busy(f"{place.url} can't be reached: try again ({error})") from error
        try:
            self._check_version()
            self._fetch(_ROWS, 0, 0)  # that there is such a table is not to be found out later
        except BaseException:
            self.close()
            raise

    def _check_version(self) -> None:
        found = [version for (version,) in self._fetch(_VERSION)]
        if found != [VERSION]:
            raise SchemaMismatch(
                f"the log's tables are of version {' and '.join(found) or 'none'}, this code reads {VERSION}: "
                "use the version of the product that wrote them, or `verifier migrate`"
            )

    def head(self) -> int:
        """Return the highest position that a row has, 0 where there is none."""
        ((head,),) = self._fetch(_HEAD)
        return int(head)

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
        return [position for (position,) in self._fetch(_ASTRAY)]

    def mistyped(self) -> Sequence[tuple[int, str]]:
        """Return position and column where nothing stands and something must: all else the types see to."""
        return self._fetch(_MISTYPED)

    def unlike(self) -> Sequence[str]:
        """Return in what the schema is not what the migrations make."""
        return list(unlike(dict(self._fetch(LOOK))))

    def heads(self) -> Sequence[HeadRow] | None:
        """Return the rows that say how far the log reaches: one, in a log as it should be."""
        return list(starmap(HeadRow, self._fetch(_HEADS)))

    def beside(self, path: str) -> bytes | None:
        """Return what is kept in the schema of tiles under a path."""
        with self._connection.cursor(binary=True) as cursor:
            try:
                row = cursor.execute(self._kept, [path]).fetchone()
            except psycopg.errors.UndefinedTable:  # nobody has sealed this log yet
                return None
            except psycopg.Error as error:
                raise self._explain(error) from error
        if row is None:
            return None
        return row[0] if isinstance(row[0], bytes) else b""  # something stands there, and is no such file

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()

    def _fetch(self, statement: str, *values: int | str | bytes) -> list[Any]:
        try:
            with self._connection.cursor(binary=True) as cursor:
                return cursor.execute(statement, values or None).fetchall()
        except psycopg.Error as error:
            raise self._explain(error) from error

    def _explain(self, error: psycopg.Error) -> LogError:
        match error.sqlstate or "":
            case "42501":
                return Invalid(f"the role may not read {self._place.url}: grant it SELECT there ({error})")
            case "42P01" | "42703" | "42883" | "42804" | "3F000":
                return SchemaMismatch(f"{self._place.url} does not have the tables of a log ({error})")
            case "XX001" | "XX002":
                return Damaged(None, str(error))
            case _:
                return Busy(f"{self._place.url} could not answer: try again ({error})")
