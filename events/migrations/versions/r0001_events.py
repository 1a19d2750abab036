"""Make the table of events, and the triggers that keep it append-only."""

from __future__ import annotations

from alembic import op

from events.migrations import postgres_0001, sqlite_0001

revision = "0001"
down_revision = None

_STATEMENTS = {"sqlite": sqlite_0001.STATEMENTS, "postgresql": postgres_0001.STATEMENTS}


def upgrade() -> None:
    """Make the table of events, and the triggers that keep it append-only."""
    for statement in _STATEMENTS[op.get_context().dialect.name]:
        op.execute(statement)


def downgrade() -> None:
    """Refuse: facts are not thrown away."""
    raise NotImplementedError("a log is never migrated back: restore a copy from before")
