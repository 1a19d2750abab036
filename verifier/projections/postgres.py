"""Views in a schema of PostgreSQL's, beside the log's own.

The schema is `<log's schema>_views`: a backup of the log needs only the log's schema, and dropping this one throws
the views away and nothing else. Several processes have it open; whose turn it is to write says `lease`.

A commit waits for the disk (`synchronous_commit`), though views can be computed again: other processes have answered
by what they saw, and after a crash of the server must not find less than that. Whoever writes and then falls silent
in the middle of a transaction is cut off by the server after `silence` seconds, so that it can't hold on to its turn.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

import psycopg
from psycopg import sql
from sqlalchemy import Connection, Engine, create_engine, event, exc
from sqlalchemy.pool import QueuePool

from verifier.projections.database import CutOff, NoRoom, T, Unreadable, Work
from verifier.tables import Dialect, views

READERS: Final = 4
"""How many connections of one process read at the same time."""

TRIES: Final = 5
"""How often a reading begins anew whose tables were dropped, or whose connection was cut."""

VIEWS: Final = "_views"
"""How the name of the schema ends in which a log's views are."""

SILENCE: Final = 3.0
"""For how many seconds a process may fall silent in the middle of a transaction."""

_UNDEFINED: Final = ("42P01", "42703")
_AGAIN: Final = ("40001", "40P01", "55P03", "25P03", "25P04")
_DISK_FULL: Final = "53100"

_THERE: Final = "SELECT EXISTS (SELECT 1 FROM pg_tables WHERE schemaname = %s AND tablename = %s)"

_COMMON: Final = {"TimeZone": "UTC", "statement_timeout": "60s", "lock_timeout": "20s"}
_WRITES: Final = {"synchronous_commit": "on"}


class PostgresPlace:
    """The schema of the views of one log."""

    dialect: Dialect = "postgresql"
    readers = READERS

    def __init__(self, dsn: str, log_schema: str, *, silence: float = SILENCE, beside: str = VIEWS) -> None:
        """Name the place beside the log in a schema of a database: its name ends in `beside`."""
        self.schema = f"{log_schema}{beside}"
        self.anew = (
            f'stop every server of this log, drop the views (DROP SCHEMA "{self.schema}" CASCADE), and start again: new'
            " ones are built"
        )
        self.let_in = (
            "let the role make schemas in this database (GRANT CREATE ON DATABASE); where the schema belongs to another"
            f' role, drop it while no server runs (DROP SCHEMA "{self.schema}" CASCADE)'
        )
        self._dsn = dsn
        self._silence = {"idle_in_transaction_session_timeout": f"{silence * 1000:.0f}ms"}

    # --- connections ---------------------------------------------------------------------------------

    def engine(self, *, writes: bool) -> Engine:
        """Return what makes the one connection that writes, or those that only read."""
        settings = {**_COMMON, **self._silence, **(_WRITES if writes else {})}

        def connect() -> psycopg.Connection:
            connection = psycopg.connect(self._dsn, connect_timeout=10, autocommit=True, client_encoding="utf8")
            try:
                connection.execute(self._set(settings))
                connection.set_autocommit(False)
                connection.set_read_only(not writes)
            except BaseException:
                connection.close()
                raise
            return connection

        engine = create_engine(
            "postgresql+psycopg://",
            creator=connect,
            poolclass=QueuePool,
            pool_size=1 if writes else READERS,
            max_overflow=0,
            isolation_level="READ COMMITTED" if writes else "REPEATABLE READ",
            hide_parameters=True,
        )
        event.listen(engine, "before_cursor_execute", _without_nul, retval=True)
        return engine

    async def connect(self) -> psycopg.AsyncConnection:
        """Return a connection on which each statement is a transaction, for what takes long or only listens."""
        connection = await psycopg.AsyncConnection.connect(
            self._dsn, connect_timeout=10, autocommit=True, client_encoding="utf8"
        )
        try:
            await connection.execute(self._set({"TimeZone": "UTC"}))
        except BaseException:
            await connection.close()
            raise
        return connection

    def _set(self, settings: dict[str, str]) -> sql.Composed:
        statements = [sql.SQL("SET search_path TO {}").format(sql.Identifier(self.schema))]
        for name, value in settings.items():
            statements.append(sql.SQL("SET {} TO {}").format(sql.Identifier(name), sql.Literal(value)))
        return sql.SQL("; ").join(statements)

    # --- transactions --------------------------------------------------------------------------------

    def read(self, engine: Engine, work: Work[T]) -> T:
        """Do work on one state of the schema.

        Another process may drop the tables that a reading has just begun to read, once newer ones took their
        place: then it begins anew, and finds those.
        """
        for _ in range(TRIES):
            try:
                return self._once(engine, work, Engine.connect)
            except exc.DBAPIError as error:
                last = error
                if not (error.connection_invalidated or _state(error) in _UNDEFINED):
                    break
        raise last

    def write(self, engine: Engine, work: Work[T]) -> T:
        """Do work in one transaction."""
        return self._once(engine, work, Engine.begin)

    def _once(self, engine: Engine, work: Work[T], begin: Any) -> T:
        try:
            with begin(engine) as connection:
                return work(connection)
        except exc.DataError as error:
            if _state(error) is not None:
                raise
        # The driver itself refused: PostgreSQL has no texts with a NUL in them. They are looked for only now.
        with begin(engine.execution_options(without_nul=True)) as connection:
            return work(connection)

    def explain(self, error: exc.DBAPIError) -> Exception:
        """Translate what PostgreSQL says, or that it says nothing."""
        state = _state(error)
        if state == _DISK_FULL:
            return NoRoom(str(error.orig))
        if state in _UNDEFINED or (state or "").startswith("XX"):
            return Unreadable(str(error.orig))
        if state is None and isinstance(error, exc.DataError):
            return error
        if state is None or state in _AGAIN or state[:2] in ("08", "28", "53", "57"):
            return CutOff(str(error.orig).strip())
        return error

    def check(self, engine: Engine) -> None:
        """Make the schema where there is none. The server looks after the pages of its files itself."""
        with engine.begin() as connection:
            if connection.exec_driver_sql("SELECT to_regnamespace(%s)", (f'"{self.schema}"',)).scalar_one() is None:
                # Two processes may come here at once: the second waits, and finds what the first has made.
                connection.exec_driver_sql("SELECT pg_advisory_xact_lock(hashtext(%s))", (self.schema,))
                connection.exec_driver_sql(f'CREATE SCHEMA IF NOT EXISTS "{self.schema}"')

    def there(self, engine: Engine) -> bool:
        """Say whether there are views at all, also ones that this role may not read."""
        with engine.connect() as connection:
            looked_for = (self.schema, views.name)
            return bool(connection.exec_driver_sql(_THERE, looked_for).scalar_one())

    def scrub(self, engine: Engine) -> bool:
        """Leave it to `vacuum`, which takes too long to wait for."""
        return True

    async def vacuum(self) -> None:
        """Let go of the row versions that were erased. Copies of them remain where the server keeps any: in its
        write-ahead log and in free space, until these are used again."""
        async with await self.connect() as connection:
            tables = await connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
            for (name,) in await tables.fetchall():
                with suppress(psycopg.errors.UndefinedTable):  # it was dropped meanwhile, and what it held with it
                    await connection.execute(sql.SQL("VACUUM {}").format(sql.Identifier(name)))

    def clear(self) -> bool:
        """Throw nothing away: other processes may have it open."""
        return False


def _state(error: exc.DBAPIError) -> str | None:
    return getattr(error.orig, "sqlstate", None)


def _without_nul(
    connection: Connection, _cursor: object, statement: str, parameters: Any, _context: object, _many: bool
) -> tuple[str, Any]:
    """Show a NUL as the sign for it, where that was asked for."""
    if connection.get_execution_options().get("without_nul"):
        if isinstance(parameters, dict):
            parameters = _shown(parameters)
        else:
            parameters = [_shown(row) if isinstance(row, dict) else row for row in parameters]
    return statement, parameters


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value.replace("\0", "␀") if isinstance(value, str) else value for name, value in row.items()}
