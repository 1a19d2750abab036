"""Run the migrations of a log's tables: on the connection a log hands over, or by hand (see `alembic.ini`)."""

from __future__ import annotations

from pathlib import Path

from alembic import context
from sqlalchemy import Connection, create_engine, make_url

from events.open import database_of
from events.sqlite.owner import Owner


def migrate(connection: Connection) -> None:
    """Run what was asked for in the transaction of this connection."""
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()


def migrate_by_hand(url: str) -> None:
    """Run what was asked for on the log at this URL; on SQLite as its owner, so that no server that has it open is
    disturbed. On PostgreSQL `verifier migrate` is safer: it makes sure that nobody else migrates."""
    if url.startswith("postgresql:"):
        place = database_of(url)
        from events.postgres.schema import engine_of  # here, because it is an extra

        with engine_of(place).begin() as connection:
            migrate(connection)
        return
    owner = Owner.of(Path(make_url(url).database or "").resolve())
    try:
        with create_engine(url).begin() as connection:
            migrate(connection)
    finally:
        owner.release()


connection = context.config.attributes.get("connection")
if connection is not None:
    migrate(connection)
else:
    migrate_by_hand(context.get_x_argument(as_dictionary=True)["url"])
