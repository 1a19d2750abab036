"""The form that a log's file must have: the tables, indexes and triggers that the migrations make, and no others."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Final

from events.migrations.sqlite_0001 import STATEMENTS

_MASTER: Final = "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_stat%'"  # ANALYZE makes these
_BY_ALEMBIC: Final = {"alembic_version": "table", "sqlite_autoindex_alembic_version_1": "index"}
_MOST: Final = 100
"""How many contradictions are told."""
_CACHE: Final = 65_536
"""How many KiB of the file are kept in memory while it is compared with its indexes."""


def unlike(connection: sqlite3.Connection) -> Iterator[str]:
    """Yield in what a file is unlike one that the migrations make, then where SQLite finds that it contradicts itself.

    What stands in an index and not in its table, or the other way round, only the second finds. Raises
    `sqlite3.Error` where the file can't be read.
    """
    found, expected = _objects(connection), _expected()
    for name in sorted(found.keys() | expected.keys()):
        if name not in found:
            yield f"the {expected[name][0]} {name} is not there"
        elif name not in expected:
            yield f"the {found[name][0]} {name} is there, and no version of the product makes it"
        elif found[name] != expected[name]:
            yield f"the {found[name][0]} {name} is not as the product makes it"
    connection.execute(f"PRAGMA cache_size=-{_CACHE}")  # each row is looked for in every index, anywhere in it
    for (raw,) in connection.execute(f"PRAGMA integrity_check({_MOST})").fetchall():
        said = _text(raw)
        if said != "ok":
            yield f"the file contradicts itself: {said}"


def _expected() -> dict[str, tuple[str, str]]:
    with closing(sqlite3.connect(":memory:")) as fresh:
        for statement in STATEMENTS:
            fresh.execute(statement)
        return _objects(fresh) | {name: (type, "") for name, type in _BY_ALEMBIC.items()}


def _objects(connection: sqlite3.Connection) -> dict[str, tuple[str, str]]:
    """Return each object by its name: its type and its statement.

    How Alembic words its own table is left to Alembic: what must stand in it is checked where the file is opened.
    """
    rows = [tuple(map(_text, row)) for row in connection.execute(_MASTER)]
    return {name: (type, "" if name in _BY_ALEMBIC else statement) for type, name, statement in rows}


def _text(raw: object) -> str:
    if isinstance(raw, bytes):
        return raw.decode(errors="replace")
    return "" if raw is None else str(raw)
