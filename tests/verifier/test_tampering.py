"""The tampering matrix: whatever is changed, taken away, added or swapped in what a checkpoint covers, an audit of
it finds, and names the place.

The tables and columns are read from the databases themselves: one that this matrix doesn't know fails it.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import psycopg
import pytest
from tampering import Made, audited, copied, found, make

from events.open import database_of
from tests.postgres import Server

TILED, OTHER, EDGE = 40, 90, 290
"""Two events in the tile that is full and so kept, and one at the edge, of which only the root is known."""

TEXTS: Final = ("wording_salt", "wording", "identity_salt", "identity")


class Table(Protocol):
    """A database into which anything can be written: its triggers are gone, as an attacker would see to first."""

    def run(self, statement: str) -> None:
        """Run a statement."""

    def columns(self) -> set[tuple[str, str]]:
        """Return each table of the log with each of its columns."""


Tampering = tuple[str, Sequence[str], str]
"""Which column, the statements, and how a finding must begin: where it is, and of which kind."""


def _swap(column: str, one: int, other: int) -> list[str]:
    return [
        f"""
        CREATE TEMPORARY TABLE swapped AS
        SELECT {one + other} - position AS position, {column} AS value FROM events
        WHERE position IN ({one}, {other})""",
        f"""
        UPDATE events SET {column} = (SELECT value FROM swapped WHERE swapped.position = events.position)
        WHERE position IN ({one}, {other})""",
        "DROP TABLE swapped",
    ]


def _of_events(blob: Callable[[str], str]) -> list[Tampering]:
    """Return what can be done to the table of events; `blob` makes bytes of an expression."""
    at = f"WHERE position = {TILED}"
    here, edge = f"position {TILED}: ", "positions 1–{size}: root"
    array, empty, other, salt = (blob(f"'{text}'") for text in ("[]", "", "other bytes here", "0123456789abcdef"))
    longer = blob("leaf || ' '")
    insert = f"INSERT INTO events (position, id, stream, leaf) SELECT {{}}, id || 'x', stream, leaf FROM events {at}"
    rows: list[Tampering] = [
        ("position", [f"UPDATE events SET position = 900 {at}"], f"{here}missing"),
        ("position", [f"UPDATE events SET position = 0 {at}"], "position 0: twice"),
        ("position", [f"UPDATE events SET position = -{TILED} {at}"], f"position -{TILED}: twice"),
        ("position", [f"UPDATE events SET position = 900 + position WHERE position > {EDGE}"],
         f"positions {EDGE + 1}–"),
        ("position", [
            f"UPDATE events SET position = 900 {at}",
            f"UPDATE events SET position = {TILED} WHERE position = {OTHER}",
            f"UPDATE events SET position = {OTHER} WHERE position = 900",
        ], f"{here}leaf"),
        ("id", [f"UPDATE events SET id = 'evt_other' {at}"], f"{here}column"),
        ("id", [f"UPDATE events SET id = id || 'x' {at}"], f"{here}column"),
        ("id", [
            f"UPDATE events SET id = 'held' || id {at}",
            f"UPDATE events SET id = (SELECT substr(e.id, 5) FROM events AS e WHERE e.position = {TILED}) || 'x'"
            f" WHERE position = {OTHER}",
        ], f"position {OTHER}: column"),
        ("stream", [f"UPDATE events SET stream = 'claim:other' {at}"], f"{here}column"),
        ("stream", ["UPDATE events SET stream = 'log' WHERE position = (SELECT max(position) FROM events)"],
         "position {size}: column"),
        ("stream", _swap("stream", 1, TILED), f"{here}column"),
        ("leaf", [f"UPDATE events SET leaf = {array} {at}"], f"{here}form"),
        ("leaf", [f"UPDATE events SET leaf = {empty} {at}"], f"{here}leaf"),
        ("leaf", _swap("leaf", TILED, OTHER), f"{here}leaf"),
        ("leaf", [f"UPDATE events SET leaf = {longer} WHERE position = {EDGE}"], edge),
        ("leaf", _swap("leaf", EDGE, EDGE + 1), edge),
        ("leaf", [f"DELETE FROM events {at}"], f"{here}missing"),
        ("leaf", [f"DELETE FROM events WHERE position > {EDGE}"], f"positions {EDGE + 1}–{{size}}: behind"),
        ("leaf", ["DELETE FROM events WHERE position = {size}"], "positions {size}–{size}: behind"),
        ("leaf", [f"DELETE FROM events WHERE position < {TILED}"], f"positions 1–{TILED - 1}: missing"),
        ("leaf", ["DELETE FROM events"], "positions 1–{size}: behind"),
        ("leaf", [insert.format(0)], "position 0: twice"),
        ("leaf", [insert.format("{size} + 1")],
         "position {next}: id"),
        ("leaf", [f"UPDATE events SET position = position + 1000 WHERE position > {TILED}",
                  insert.format(TILED + 1),
                  "UPDATE events SET position = position - 999 WHERE position > 1000"], f"position {TILED + 1}: leaf"),
    ]  # fmt: skip
    for column in TEXTS:
        kind = f"{here}text"
        and_more = blob(f"{column} || 'x'")
        beside = "wording" if column.startswith("wording") else "identity"
        rows += [
            (column, [f"UPDATE events SET {column} = {other} {at}"], kind),
            (column, [f"UPDATE events SET {column} = {empty} {at}"], kind),
            (column, [f"UPDATE events SET {column} = NULL {at}"], kind),
            (column, [f"UPDATE events SET {column} = {and_more} {at}"], kind),
            (column, _swap(column, TILED, OTHER), kind),
            (column, [f"UPDATE events SET {column} = NULL WHERE position = {EDGE}"], f"position {EDGE}: text"),
            (column, [f"UPDATE events SET {beside} = NULL, {beside}_salt = NULL {at}"], f"{here}lost or hidden"),
            (column, [
                f"UPDATE events SET {beside} = {array}, {beside}_salt = {salt}"
                f" WHERE position = (SELECT min(position) FROM events WHERE {beside} IS NULL)"
            ], f"position {{erased_{beside}}}: not erased"),
        ]  # fmt: skip
    return rows


_VERSION: Final[list[Tampering]] = [
    ("version_num", ["UPDATE alembic_version SET version_num = '0000'"], "log: storage"),
    ("version_num", ["DELETE FROM alembic_version"], "log: storage"),
    ("version_num", ["INSERT INTO alembic_version VALUES ('0000')"], "log: storage"),
]

_HEAD: Final[list[Tampering]] = [
    ("one", ["UPDATE head SET one = false"], "log: column"),
    ("position", ["UPDATE head SET position = position - 1"], "position {size}: column"),
    ("position", ["UPDATE head SET position = position + 1"], "position {size}: column"),
    ("recorded_at", ["UPDATE head SET recorded_at = '2999-01-01T00:00:00.000000Z'"], "position {size}: column"),
    ("before", ["UPDATE head SET before = '2999-01-01T00:00:00.000000Z'"], "log: column"),
    ("before", ["UPDATE head SET before = '2001-01-01T00:00:00.000000Z'"], "log: column"),
    ("before", ["UPDATE head SET before = recorded_at, recorded_at = before"], "position {size}: column"),
    ("one", ["DELETE FROM head"], "log: column"),
    ("one", ["INSERT INTO head SELECT false, position, recorded_at, before FROM head"], "log: column"),
]

# That bytes are not held, or are held of which no event speaks, is no finding: they may be erased at any time, and
# an event that names them may have been refused. What is covered is that they are the bytes of their hash.
_EVIDENCE: Final[list[Tampering]] = [
    ("sha256", [f"UPDATE evidence SET sha256 = '{'0' * 64}'"], "log: evidence"),
    ("sha256", ["UPDATE evidence SET sha256 = 'no hash'"], "log: evidence"),
    ("bytes", ["UPDATE evidence SET bytes = 'other bytes'"], "log: evidence"),
    ("bytes", ["UPDATE evidence SET bytes = ''"], "log: evidence"),
    ("bytes", [f"INSERT INTO evidence VALUES ('{'1' * 64}', 'bytes of something')"], "log: evidence"),
]

_ON_SQLITE: Final = {"events": _of_events(lambda text: f"CAST({text} AS BLOB)"), "alembic_version": _VERSION}
_ON_POSTGRES: Final = {
    "events": _of_events(lambda text: f"({text})::bytea"),
    "alembic_version": _VERSION,
    "head": _HEAD,
    "evidence": _EVIDENCE,
}


# --- the databases ---------------------------------------------------------------------------------


class OnSqlite:
    """A copy of a log's file."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        names = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        for (trigger,) in self._connection.execute(names).fetchall():
            self._connection.execute(f"DROP TRIGGER {trigger}")

    def run(self, statement: str) -> None:
        self._connection.execute(statement)

    def columns(self) -> set[tuple[str, str]]:
        """Return each table of the log with each of its columns."""
        tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        return {
            (table, column[1])
            for (table,) in self._connection.execute(tables).fetchall()
            for column in self._connection.execute(f"PRAGMA table_info({table})").fetchall()
        }

    def close(self) -> None:
        self._connection.close()


class OnPostgres:
    """A log's schema, put back by `restore` to what it was, with nothing that keeps anyone from anything."""

    def __init__(self, url: str) -> None:
        place = database_of(url)
        self._schema, self._saved = place.schema, f"{place.schema}_saved"
        self._connection = psycopg.connect(place.dsn, autocommit=True, options=f"-c search_path={place.schema}")
        self.run(f"CREATE SCHEMA {self._saved}")
        for table in sorted({table for table, _ in self.columns()}):
            self.run(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
            self.run(f"CREATE TABLE {self._saved}.{table} AS SELECT * FROM {table}")
        self.run("ALTER TABLE head DROP CONSTRAINT head_one_check")

    def run(self, statement: str) -> None:
        self._connection.execute(statement.encode())

    def columns(self) -> set[tuple[str, str]]:
        """Return each table of the log with each of its columns."""
        asked = "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = %s"
        return set(self._connection.execute(asked, [self._schema]).fetchall())

    def restore(self) -> None:
        """Put everything back."""
        for table in sorted({table for table, _ in self.columns()}):
            self.run(f"DELETE FROM {table}")
            self.run(f"INSERT INTO {table} SELECT * FROM {self._saved}.{table}")

    def close(self) -> None:
        """Let everything be kept from being changed again."""
        for table in sorted({table for table, _ in self.columns()}):
            self.run(f"ALTER TABLE {table} ENABLE TRIGGER ALL")
        self._connection.close()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A log on SQLite with everything around it."""
    folder = tmp_path_factory.mktemp("sealed")
    return make(f"sqlite:///{folder}/newsroom.db", folder)


@pytest.fixture
def copy(made: Made, tmp_path: Path) -> Made:
    """A copy of it to tamper with."""
    return copied(made, tmp_path / "copy")


def _places(made: Made) -> dict[str, int]:
    """Return the positions that tamperings speak of: the last, the next, and the first whose text was erased."""
    size = audited(made.url, made.trust).audited.head
    with contextlib.closing(sqlite3.connect(made.url.removeprefix("sqlite:///"))) as connection:
        first = "SELECT min(position) FROM events WHERE {} IS NULL"
        erased = {f"erased_{slot}": _only(connection.execute(first.format(slot))) for slot in ("wording", "identity")}
    return {"size": size, "next": size + 1, **erased}


def _only(cursor: Any) -> int:
    ((value,),) = cursor.fetchall()
    return int(value)


def _missed(where: str, made: Made, places: dict[str, int], tampering: Tampering) -> str | None:
    """Audit; return a sentence where what was done is not found, or not where it was done."""
    column, statements, expected = tampering
    findings = found(where, made.trust)
    wanted = expected.format(**places)
    if any(finding.startswith(wanted) for finding in findings):
        return None
    return f"{column}: {statements[0].strip()[:80]}: wanted {wanted!r}, found {findings[:4]}"


def test_an_untouched_log_has_no_findings_wherever_it_is_kept(made: Made) -> None:
    reports = [
        audited(made.url, made.trust),
        audited(str(made.folder), made.kept),
        audited(str(made.folder), made.trust, texts=made.texts),
        audited(str(made.export), made.kept),
    ]

    assert [report.audited.findings for report in reports] == [[], [], [], []]
    assert {(report.audited.covered, report.claims, report.agreeing) for report in reports} == {
        (reports[0].audited.head, reports[0].claims, 1)
    }


def test_every_table_and_column_on_sqlite_is_in_the_matrix(copy: Made) -> None:
    table = OnSqlite(Path(copy.url.removeprefix("sqlite:///")))

    there = table.columns()
    table.close()

    assert there == {(name, column) for name, rows in _ON_SQLITE.items() for column, _, _ in rows}


def test_whatever_is_done_to_a_log_on_sqlite_is_found(made: Made, tmp_path: Path) -> None:
    places = _places(made)
    missed = []
    for number, tampering in enumerate(row for rows in _ON_SQLITE.values() for row in rows):
        copy = copied(made, tmp_path / str(number))
        table = OnSqlite(Path(copy.url.removeprefix("sqlite:///")))
        for statement in tampering[1]:
            table.run(statement.format(**places))
        table.close()
        missed.append(_missed(copy.url, copy, places, tampering))

    assert [sentence for sentence in missed if sentence] == []


@pytest.fixture(scope="module")
def on_postgres(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The same log on PostgreSQL."""
    return make(postgres.url("tampered"), tmp_path_factory.mktemp("postgres"))


def test_whatever_is_done_to_a_log_on_postgresql_is_found(made: Made, on_postgres: Made) -> None:
    places = _places(made)  # both logs were made alike
    table = OnPostgres(on_postgres.url)
    there = table.columns()
    missed = []
    for tampering in (row for rows in _ON_POSTGRES.values() for row in rows):
        for statement in tampering[1]:
            table.run(statement.format(**places))
        missed.append(_missed(on_postgres.url, on_postgres, places, tampering))
        table.restore()
    table.close()
    clean = found(on_postgres.url, on_postgres.trust)

    assert [sentence for sentence in missed if sentence] == []
    assert there == {(name, column) for name, rows in _ON_POSTGRES.items() for column, _, _ in rows}
    assert clean == []
