"""Where the webhooks of a log are kept, by its URL."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from events.open import database_of
from verifier.projections.lease import Lease
from verifier.projections.sqlite import SqlitePlace
from verifier.webhooks.outbox import Outbox

SCHEMA: str = "_webhooks"
"""How the name of the schema ends that stands beside a log's for its webhooks."""


def outbox_of(url: str, log_id: str, *, file: Path | None) -> Outbox:
    """Return what is kept of the webhooks of a log: in a schema beside it, in this file, or in memory. Opens nothing
    yet."""
    if url.startswith("postgresql:"):
        from verifier.projections.postgres import PostgresPlace  # here, because the driver is an extra

        database = database_of(url)
        place = PostgresPlace(database.dsn, database.schema, beside=SCHEMA)
        return Outbox(place, log_id, file=None, lease=Lease(holder=f"process {os.getpid()} on {socket.gethostname()}"))
    return Outbox(SqlitePlace(file, durable=True), log_id, file=file, lease=None)


def webhooks_place(log_file: Path | None) -> Path | None:
    """Return where the webhooks of a log in a file are: beside it."""
    return None if log_file is None else log_file.with_suffix(".webhooks.db")
