"""Looking a log over, and bringing its tables up to date: `verifier doctor` and `verifier migrate`, on every engine
that keeps anything."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from serving import served
from typer.testing import CliRunner

from events.log import Recorded
from events.open import database_of, open_log
from tests.postgres import Server
from verifier import doctor
from verifier.cli import app

Change = Callable[[str], None]


def typed(*words: object, code: int = 0) -> Any:
    """Run a command and check how it ends."""
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == code, f"{words}: {result.output}{result.exception!r}"
    return result


def examined(url: str, *, code: int = 0) -> dict[str, Any]:
    """Look a log over."""
    report: dict[str, Any] = json.loads(typed("doctor", "--log", url, "-o", "json", code=code).stdout)
    return report


def record(url: str) -> None:
    """Make a log with one claim."""
    typed("register", "They plan to leave", "--log", url)


def settle(address: str) -> None:
    """Wait until the views of a server contain what `record` recorded."""
    httpx.get(f"{address}/api/v1/claims", params={"at_least": 2}).raise_for_status()


@pytest.fixture
def change(place: str) -> Change:
    """Run a statement on the tables of the log, behind its back."""

    def change(statement: str) -> None:
        if place.startswith("sqlite"):
            with closing(sqlite3.connect(place.removeprefix("sqlite:///"), isolation_level=None)) as connection:
                connection.execute(statement)
            return
        found = database_of(place)
        with psycopg.connect(found.dsn, options=f"-c search_path={found.schema}", autocommit=True) as connection:
            connection.execute(statement.encode())

    return change


# --- doctor ----------------------------------------------------------------------------------------


def test_a_log_that_nobody_serves_is_looked_over(place: str) -> None:
    record(place)

    report = examined(place)

    assert report["wrong"] == []
    assert report["log"]["tables"] == report["log"]["tables_needed"]
    assert (report["log"]["head"], report["log"]["id"][:4]) == (2, "log_")
    assert report["disk"]["used_bytes"] > 0
    assert abs(report["clock"]["ahead_seconds"]) < 5
    assert report["server"] == {"address": None}


def test_a_server_is_looked_over_from_its_address(place: str) -> None:
    record(place)
    with served(place) as serving:
        settle(serving.address)
        report = examined(serving.address)

    assert report["server"]["ready"] is True
    assert (report["log"]["head"], report["views"]["lag_events"]) == (2, 0)
    assert report["wrong"] == []


def test_the_views_say_who_keeps_them(place: str) -> None:
    record(place)
    with served(place) as serving:
        settle(serving.address)
        head = serving.desk.log.id
        report = examined(place)

    assert report["log"]["id"] == head
    assert report["views"]["kept_by"].startswith("process ")
    assert report["views"]["position"] == 2


def test_a_password_is_never_shown(postgres_url: str) -> None:
    password = re.search(r":(\w+)@", postgres_url)
    assert password is not None

    said = [
        typed("migrate", "--log", postgres_url),
        typed("doctor", "--log", postgres_url),
        typed("doctor", "--log", postgres_url, "-o", "json"),
        typed("doctor", "--log", postgres_url.replace("127.0.0.1", "127.0.0.9"), code=1),
    ]

    assert all(password[1] not in result.output for result in said)


def test_views_that_are_not_there_yet_are_nothing_wrong(place: str) -> None:
    async def make_without_views() -> None:
        async with await open_log(place):
            pass

    asyncio.run(make_without_views())

    report = examined(place)

    assert (report["views"]["position"], report["wrong"]) == (None, [])


def test_a_damaged_file_of_views_is_named_with_what_to_do(log_place: str) -> None:
    record(log_place)
    Path(log_place.removeprefix("sqlite:///")).with_suffix(".views.db").write_bytes(b"no database at all" * 500)

    assert "start the server again" in typed("doctor", "--log", log_place, code=1).stderr


def test_views_that_the_role_may_not_read_are_named_with_what_to_do(postgres: Server, postgres_url: str) -> None:
    record(postgres_url)
    schema = f"{database_of(postgres_url).schema}_views"
    with psycopg.connect(postgres.superuser, autocommit=True) as superuser:
        superuser.execute(f'ALTER SCHEMA "{schema}" OWNER TO postgres'.encode())

    assert f'DROP SCHEMA "{schema}"' in typed("doctor", "--log", postgres_url, code=1).stderr


def test_the_table_shows_what_json_does(place: str) -> None:
    record(place)

    shown = typed("doctor", "--log", place).stdout

    for label in ("log engine", "log tables", "log head", "views kept by", "disk used bytes", "clock ahead seconds"):
        assert label in shown


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("DELETE FROM alembic_version", "run `verifier migrate`"),
        ("UPDATE alembic_version SET version_num = '9999'", "use a newer version of the product"),
    ],
)
def test_tables_of_another_version_are_named_with_what_to_do(
    place: str, change: Change, statement: str, says: str
) -> None:
    record(place)
    change(statement)

    result = typed("doctor", "--log", place, code=1)

    assert says in result.stderr


def test_an_event_from_the_future_is_named(place: str, tmp_path: Path) -> None:
    record(place)
    copy = f"sqlite:///{tmp_path}/future.db"

    async def restore_as_of_2999() -> None:
        async with await open_log(place, writable=False) as log, await open_log(copy, create="empty") as into:
            held = [event async for page in log.read_all() for event in page]
            await into.restore([dated(event, b"2999-01-01") for event in held])

    asyncio.run(restore_as_of_2999())

    assert "a clock was wrong: set it" in typed("doctor", "--log", copy, code=1).stderr


def dated(event: Recorded, day: bytes) -> Recorded:
    """An event as it would stand there if it had been recorded on another day."""
    leaf = re.sub(rb'("recorded_at":")\d{4}-\d\d-\d\d', rb"\g<1>" + day, event.leaf_raw)
    return Recorded(
        event.position, leaf, event.wording_salt, event.wording_raw, event.identity_salt, event.identity_raw
    )


def test_too_little_room_is_named(log_place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    record(log_place)
    monkeypatch.setattr(doctor, "LOW", 2**60)

    assert "make room" in typed("doctor", "--log", log_place, code=1).stderr


def test_views_that_lag_although_somebody_keeps_them_are_named(log_place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    record(log_place)

    async def with_views_that_stand_still() -> None:
        async with await open_log(log_place):  # holds the log as a server does whose views have stopped
            await asyncio.to_thread(examine)

    def examine() -> None:
        monkeypatch.setenv("VERIFIER_READY_LAG", "0.000001")
        result = typed("doctor", "--log", log_place, code=1)
        assert "the views lack" in result.stderr
        assert "verifier rebuild" in result.stderr

    asyncio.run(with_views_that_stand_still())


def test_a_server_that_does_not_answer_is_named() -> None:
    result = typed("doctor", "--log", "http://127.0.0.1:9", code=1)

    assert "http://127.0.0.1:9 doesn't answer" in result.stderr


def test_a_server_that_is_not_ready_is_named(log_place: str) -> None:
    with served(log_place) as serving:
        serving.desk.views.error = "the views stopped at 1: KeyError: 7"
        result = typed("doctor", "--log", serving.address, code=1)

    assert "KeyError: 7" in result.stderr


def test_a_log_that_is_not_there_is_not_made(place: str) -> None:
    typed("doctor", "--log", place, code=1)

    typed("doctor", "--log", place, code=1)


# --- migrate ---------------------------------------------------------------------------------------


def test_migrating_says_from_which_version_to_which(place: str) -> None:
    first, again = (typed("migrate", "--log", place).stdout for _ in range(2))

    assert "are now of version 0001; before: none" in first
    assert "are of version 0001: nothing to do" in again


def test_two_at_once_both_succeed(place: str) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "verifier", "migrate", "--log", place]

    running = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate()[0] for process in running]

    assert [process.returncode for process in running] == [0, 0]
    assert all("of version 0001" in text for text in said)
    record(place)


def test_a_log_that_is_being_served_needs_no_migration(log_place: str) -> None:
    with served(log_place):
        said = typed("migrate", "--log", log_place).stdout

    assert "nothing to do" in said


def test_newer_tables_are_refused_and_left_alone(place: str, change: Change) -> None:
    record(place)
    change("UPDATE alembic_version SET version_num = '9999'")

    result = typed("migrate", "--log", place, code=1)

    assert "use a newer version of the product" in result.stderr
    assert examined(place, code=1)["log"]["tables"] == "9999"


def test_a_server_cannot_be_migrated_from_afar() -> None:
    assert "give the log's own URL" in typed("migrate", "--log", "http://127.0.0.1:9", code=1).stderr
