"""Tampering below the rows: with the form of the tables, with indexes, with kept tiles and with files beside.

Whoever has the file of a log can do more than change a value: he can let an index lie, loosen a table so that a column
takes what it never may, or leave things where the audit might stumble over them. All of it is found, and named.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

import psycopg
import pytest
from tampering import Made, copied, found, make
from typer.testing import CliRunner

from events.open import database_of
from tests.postgres import Server
from verifier.audit import audit_log
from verifier.cli import app

COLUMNS: Final = "id, stream, leaf, wording_salt, wording, identity_salt, identity"
BY_STREAM: Final = "CREATE INDEX events_by_stream ON events (stream, position)"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A log on SQLite with everything around it."""
    folder = tmp_path_factory.mktemp("sealed")
    return make(f"sqlite:///{folder}/newsroom.db", folder)


@pytest.fixture
def copy(made: Made, tmp_path: Path) -> Made:
    """A copy of it to tamper with."""
    return copied(made, tmp_path / "copy")


def file_of(made: Made) -> Path:
    """Return the file of the log."""
    return Path(made.url.removeprefix("sqlite:///"))


def tamper(made: Made, *statements: str) -> None:
    """Run statements in the file of the log, without its triggers."""
    with closing(sqlite3.connect(file_of(made), isolation_level=None)) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            connection.execute(statement)


def loosened(position: str = "position INTEGER PRIMARY KEY") -> list[str]:
    """Return the statements after which the table of events takes anything."""
    return [
        "ALTER TABLE events RENAME TO old",
        f"CREATE TABLE events ({position}, {COLUMNS})",
        "INSERT INTO events SELECT * FROM old",
        "DROP TABLE old",
    ]


def told(findings: list[str], beginning: str) -> bool:
    """Return whether a finding begins like this."""
    return any(finding.startswith(beginning) for finding in findings)


# --- the form of the tables ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "object"),
    [
        ("DROP TRIGGER events_are_kept", "the trigger events_are_kept"),
        ("CREATE TABLE more (one)", "the table more"),
        ("CREATE VIEW head AS SELECT 1", "the view head"),
        ("DROP INDEX events_by_stream", "the index events_by_stream"),
        ("CREATE INDEX more ON events (leaf)", "the index more"),
        ("CREATE TRIGGER more AFTER INSERT ON events BEGIN SELECT 1; END", "the trigger more"),
    ],
)
def test_whatever_the_migrations_do_not_make_or_that_lacks_is_named(copy: Made, statement: str, object: str) -> None:
    with closing(sqlite3.connect(file_of(copy))) as connection:
        connection.execute(statement)

    (finding,) = found(copy.url, copy.trust)

    assert finding.startswith(f"log: storage: {object} is ")


def test_what_analyze_leaves_is_no_finding(copy: Made) -> None:
    with closing(sqlite3.connect(file_of(copy))) as connection:
        connection.execute("ANALYZE")

    assert found(copy.url, copy.trust) == []


def test_a_loose_table_is_found_though_every_row_is_as_it_was(copy: Made) -> None:
    tamper(copy, *loosened())

    assert told(found(copy.url, copy.trust), "log: storage: the table events is not as the product makes it")


def test_a_log_without_its_table_of_events_is_a_finding(copy: Made) -> None:
    tamper(copy, "DROP TABLE events")

    assert told(found(copy.url, copy.trust), "log: storage")


# --- indexes that lie ------------------------------------------------------------------------------


def let_the_index_lie(made: Made, where: str) -> None:
    """Make the index by stream leave rows out, and let it look as it was made, with all the triggers in place."""
    with closing(sqlite3.connect(file_of(made), isolation_level=None)) as connection:
        connection.execute("DROP INDEX events_by_stream")
        connection.execute(f"{BY_STREAM} WHERE {where}")
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_master SET sql = ? WHERE name = 'events_by_stream'", [BY_STREAM])


def test_an_index_that_hides_an_event_is_found(copy: Made) -> None:
    let_the_index_lie(copy, "position <> 3")

    findings = found(copy.url, copy.trust)

    assert findings
    assert all(finding.startswith("log: storage: the file contradicts itself") for finding in findings)


def test_an_index_does_not_hide_an_attestation_from_the_replay(copy: Made) -> None:
    false = b"0" * 64
    with closing(sqlite3.connect(file_of(copy))) as connection:
        (leaf,) = connection.execute("SELECT leaf FROM events WHERE instr(leaf, 'statuses.attested')").fetchone()
    at = leaf.index(b'"root":"') + 8
    forged = leaf[:at] + false + leaf[at + 64 :]
    tamper(copy, f"UPDATE events SET leaf = x'{forged.hex()}' WHERE leaf = x'{leaf.hex()}'")
    let_the_index_lie(copy, "stream <> 'log'")

    assert any(": attestation: " in finding for finding in found(copy.url, copy.trust))


# --- columns that hold what they never may ---------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("stream", "NULL"),
        ("stream", "CAST(stream AS BLOB)"),
        ("id", "NULL"),
        ("id", "CAST(id AS BLOB)"),
        ("id", "7"),
        ("leaf", "CAST(leaf AS TEXT)"),
        ("leaf", "NULL"),
        ("leaf", "7"),
        ("wording", "CAST(wording AS TEXT)"),
        ("wording", "1.5"),
        ("identity_salt", "CAST('0123456789abcdef' AS TEXT)"),
    ],
)
def test_a_column_that_holds_another_kind_of_value_is_named(copy: Made, column: str, value: str) -> None:
    tamper(copy, *loosened(), f"UPDATE events SET {column} = {value} WHERE position = 3")

    assert told(found(copy.url, copy.trust), f"position 3: column: its {column} is not the kind of value it must be")


@pytest.mark.parametrize(("column", "value"), [("id", "CAST(id AS BLOB)"), ("leaf", "NULL"), ("wording", "'a text'")])
def test_what_a_table_took_while_it_was_loose_is_named_when_it_says_that_it_is_strict(
    copy: Made, column: str, value: str
) -> None:
    with closing(sqlite3.connect(file_of(copy), isolation_level=None)) as connection:
        (strict,) = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'events'").fetchone()
        triggers = connection.execute("SELECT sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
    say = "UPDATE sqlite_master SET sql = '{}' WHERE name = 'events'"
    loose = strict.replace(" STRICT", "").replace(" NOT NULL", "")
    tamper(copy, "PRAGMA writable_schema = ON", say.format(loose))
    tamper(copy, f"UPDATE events SET {column} = {value} WHERE position = 3", *(sql for (sql,) in triggers))
    tamper(copy, "PRAGMA writable_schema = ON", say.format(strict))

    findings = found(copy.url, copy.trust)

    assert told(findings, "log: storage: the file contradicts itself")
    assert told(findings, f"position 3: column: its {column} is not the kind of value it must be")


@pytest.mark.parametrize("position", ["'abc'", "CAST('abc' AS BLOB)", "NULL", "3.5", "3.0"])
def test_a_position_that_is_no_whole_number_is_no_position(copy: Made, position: str) -> None:
    tamper(copy, *loosened("position"), f"UPDATE events SET position = {position} WHERE position = 300")

    findings = found(copy.url, copy.trust)

    assert told(findings, "log: twice: a row stands at a position that nobody reads")
    assert told(findings, "position 300: missing")


@pytest.mark.parametrize("position", [10**12, 2**63 - 1])
@pytest.mark.parametrize("processes", [1, 2])
def test_a_row_very_far_away_ends_the_audit_and_does_not_stop_it(copy: Made, position: int, processes: int) -> None:
    tamper(copy, f"INSERT INTO events SELECT {position}, 'an id', stream, leaf, NULL, NULL, NULL, NULL FROM events "
                 "WHERE position = 5")  # fmt: skip

    report = audit_log(copy.url, copy.trust, processes=processes)

    missing = [finding for finding in report.audited.findings if finding.kind == "missing"]
    assert missing[-1].upto == position
    assert "was not audited" in missing[-1].what


def test_an_attestation_that_is_no_bytes_is_a_finding(copy: Made) -> None:
    tamper(copy, *loosened(), "UPDATE events SET stream = 'log', leaf = 7 WHERE position = 300")

    assert told(found(copy.url, copy.trust), "position 300: column: its leaf is not stored as bytes")


def test_an_attestation_in_another_stream_is_a_finding(copy: Made) -> None:
    with closing(sqlite3.connect(file_of(copy))) as connection:
        select = "SELECT position, leaf FROM events WHERE instr(leaf, 'statuses.attested')"
        position, leaf = connection.execute(select).fetchone()
        (stream,) = connection.execute("SELECT stream FROM events WHERE stream LIKE 'claim:%'").fetchone()
    moved = leaf.replace(b'"stream":"log"', b'"stream":"%b"' % stream.encode())
    tamper(copy, f"UPDATE events SET stream = '{stream}', leaf = x'{moved.hex()}' WHERE position = {position}")

    assert told(found(copy.url, copy.trust), f"position {position}: attestation: it attests statuses, and where")


# --- the same on PostgreSQL ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def on_postgres(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The same log on PostgreSQL."""
    return make(postgres.url("tampered_storage"), tmp_path_factory.mktemp("postgres"))


OPEN: Final = "ALTER TABLE events DISABLE TRIGGER ALL"
SHUT: Final = "ALTER TABLE events ENABLE TRIGGER ALL"
AT: Final = "WHERE position = 40"
HOLD: Final = "CREATE TABLE public.held AS SELECT * FROM events WHERE position = 40"
NOT_HELD: Final = "DROP TABLE public.held"
_PARTIAL: Final = BY_STREAM + " WHERE position <> 3"
_TILE: Final = "UPDATE tampered_storage_tiles.file SET bytes = {} WHERE path = 'tile/0/000'"

ON_POSTGRES: Final[list[tuple[list[str], list[str], str]]] = [
    ([OPEN], [SHUT], "log: storage: the trigger events_are_final of events is not as the product makes it"),
    (["DROP INDEX events_by_stream"], [BY_STREAM], "log: storage: the index events_by_stream is not there"),
    (["DROP INDEX events_by_stream", _PARTIAL], ["DROP INDEX events_by_stream", BY_STREAM],
     "log: storage: the index events_by_stream is not as the product makes it"),
    (["CREATE VIEW more AS SELECT 1 AS one"], ["DROP VIEW more"], "log: storage: the column more.one is there"),
    (["ALTER TABLE events ENABLE ROW LEVEL SECURITY"], ["ALTER TABLE events DISABLE ROW LEVEL SECURITY"],
     "log: storage: the table events is not as the product makes it"),
    *((
        [HOLD, OPEN, f"ALTER TABLE events ALTER {column} DROP NOT NULL", f"UPDATE events SET {column} = NULL {AT}"],
        [f"UPDATE events SET {column} = (SELECT {column} FROM public.held) {AT}",
         f"ALTER TABLE events ALTER {column} SET NOT NULL", SHUT, NOT_HELD],
        f"position 40: column: its {column} is not the kind of value it must be",
    ) for column in ("id", "stream", "leaf")),
    ([OPEN, "DROP INDEX erasures", "ALTER TABLE events RENAME leaf TO other"],
     ["ALTER TABLE events RENAME other TO leaf", SHUT,
      """CREATE INDEX erasures ON events (position) WHERE position('"type":"text.erased"'::bytea IN leaf) > 0"""],
     "log: storage"),
    (["ALTER TABLE events RENAME TO other"], ["ALTER TABLE other RENAME TO events"], "log: storage"),
    (["CREATE TABLE public.kept AS SELECT * FROM tampered_storage_tiles.file", _TILE.format("substr(bytes, 1, 4096)")],
     [_TILE.format("(SELECT k.bytes FROM public.kept AS k WHERE k.path = 'tile/0/000')"), "DROP TABLE public.kept"],
     "position 129: tile"),
]  # fmt: skip


def test_what_is_done_to_the_schema_of_a_log_on_postgresql_is_found(on_postgres: Made) -> None:
    place = database_of(on_postgres.url)
    missed = []
    with psycopg.connect(place.dsn, autocommit=True, options=f"-c search_path={place.schema}") as connection:
        for does, undoes, beginning in ON_POSTGRES:
            for statement in does:
                connection.execute(statement.encode())
            findings = found(on_postgres.url, on_postgres.trust)
            if not told(findings, beginning):
                missed.append(f"{does[-1]}: wanted {beginning!r}, found {findings[:4]}")
            for statement in undoes:
                connection.execute(statement.encode())

    assert missed == []
    assert found(on_postgres.url, on_postgres.trust) == []


# --- kept tiles ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("length", "beginning"),
    [(0, "position 1: tile"), (4096, "position 129: tile"), (8191, "position 256: tile"), (8193, "position 256: tile"),
     (8224, "position 256: tile")],
)  # fmt: skip
def test_a_kept_tile_that_was_cut_off_or_lengthened_is_found(copy: Made, length: int, beginning: str) -> None:
    tile = file_of(copy).with_suffix(".tiles") / "tile/0/000"
    os.truncate(tile, length)

    assert told(found(copy.url, copy.trust), beginning)


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to(path)], ids=["pipe", "loop"])
def test_what_is_no_file_in_place_of_a_tile_is_found(copy: Made, make: Callable[[Path], None]) -> None:
    stored = file_of(copy).with_suffix(".tiles") / "tile" / "0" / "000"
    published = copy.folder / "tile" / "0" / "000"
    for path in (stored, published):
        path.unlink()
        make(path)

    assert told(found(copy.url, copy.trust), "position 1: tile")
    assert told(found(str(copy.folder), copy.trust), "positions 1–256: tile: tile 0 of level 0 is not there")


def test_a_folder_in_place_of_a_kept_tile_is_found(copy: Made) -> None:
    tile = file_of(copy).with_suffix(".tiles") / "tile/0/000"
    tile.unlink()
    tile.mkdir()

    assert told(found(copy.url, copy.trust), "position 1: tile")


# --- files of a published log ----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["0", "256", "300", "007", "1000000", "٣"])
@pytest.mark.parametrize("tile", ["entries/000", "entries/001", "0/000", "1/000"])
def test_a_part_with_a_width_that_none_has_is_found(copy: Made, tile: str, name: str) -> None:
    part = copy.folder / f"tile/{tile}.p" / name
    part.parent.mkdir(exist_ok=True)
    part.write_bytes(b"anything")

    (finding,) = found(str(copy.folder), copy.trust)

    assert finding.startswith(f"log: file: tile/{tile}.p/{name} is there")


def test_what_cannot_be_read_of_a_published_log_is_an_error_and_no_finding(copy: Made) -> None:
    folder = copy.folder / "tile/entries/001.p"
    for part in folder.iterdir():
        part.unlink()
    folder.rmdir()
    folder.symlink_to(folder)  # nobody can read that, not even root

    with pytest.raises(OSError, match=r"001\.p"):
        found(str(copy.folder), copy.trust)


def test_a_line_of_texts_that_lacks_is_found_whatever_stands_at_the_end(copy: Made) -> None:
    lines = copy.texts.read_bytes().splitlines(keepends=True)
    copy.texts.write_bytes(b"".join([*lines[:39], *lines[40:], b"junk\n"]))

    findings = found(str(copy.folder), copy.trust, texts=copy.texts)

    assert told(findings, "position 40: file: the line of this position is not there")


# --- places that are none --------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/.", "/folder.db"])
def test_a_place_that_is_no_file_is_a_plain_error(tmp_path: Path, path: str) -> None:
    (tmp_path / "folder.db").mkdir()

    result = CliRunner().invoke(app, ["audit", f"sqlite:///{tmp_path}{path}"])

    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert "is not a file" in result.output
