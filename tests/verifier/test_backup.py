"""Backups that are made while writing goes on, and restored elsewhere: every event and every status is the same.

The commands are those of docs/howto/back-up.md.
"""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import shlex
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
import pytest
from serving import served

from events.archive import export, restore
from events.errors import ForeignCursor
from events.log import Log, Recorded
from events.open import open_log
from tests.postgres import Server
from verifier.app import open_desk
from verifier.client import Verifier
from verifier.replay import replay

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "back-up.md"
ROOT = Path(__file__).parents[2]

COPY_OF_THE_FILE = (
    """python -c "import sqlite3; sqlite3.connect('file:newsroom.db?mode=ro', uri=True)"""
    r""".execute(\"VACUUM INTO 'copy.db'\")"""
    '"'
)
DUMP = 'pg_dump --format=custom --schema=newsroom --file=newsroom.dump "$DATABASE"'
RESTORE = 'pg_restore --no-owner --exit-on-error --dbname="$OTHER_DATABASE" newsroom.dump'
EXPORT = "verifier export newsroom.jsonl"


async def run(command: str, folder: Path, **variables: str) -> None:
    """Type a command of the page in a folder. `BIN` is where the programs lie that aren't ours."""
    assert command in PAGE.read_text(), f"the page has no such command: {command}"
    path = os.pathsep.join([*filter(None, [variables.get("BIN")]), os.environ["PATH"]])
    environment = {**os.environ, **variables, "PYTHONPATH": str(ROOT), "PATH": path}
    ours = shlex.quote(sys.executable)
    typed = re.sub("^python ", f"{ours} ", re.sub("^verifier ", f"{ours} -m verifier ", command))
    process = await asyncio.create_subprocess_shell(
        typed, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()


@asynccontextmanager
async def written_all_the_time(address: str) -> AsyncIterator[None]:
    """Have somebody write through a server until the end of the block, and a moment of it before and after."""
    count, more = 0, asyncio.Condition()

    async def write() -> None:
        nonlocal count
        async with Verifier(address) as verifier:
            while True:
                claim = await verifier.assert_claim(f"Claim {count}", source="AFP", story="iraq-letter")
                await verifier.deny(claim, source="Mark Esper")
                async with more:
                    count += 1
                    more.notify_all()

    async def until(number: int) -> None:
        async with more:
            await more.wait_for(lambda: count >= number)

    writing = asyncio.create_task(write())
    try:
        await until(10)
        yield
        await until(count + 10)
    finally:
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)


async def everything(log: Log, upto: int | None = None) -> Sequence[Recorded]:
    """Read a log, or the beginning of it."""
    return [event async for page in log.read_all(upto=upto) for event in page]


async def check_is_a_prefix(copy: str, original: str) -> int:
    """Check that a restored log is the original as it was at some position, event by event and status by status;
    return that position."""
    async with await open_log(copy, writable=False) as restored, await open_log(original, writable=False) as log:
        head = await restored.head()
        assert await everything(restored) == await everything(log, head)
        assert restored.id == log.id
        assert (await replay(restored)).digest == (await replay(log, upto=head)).digest
        return head


async def check_goes_on(url: str) -> None:
    """Check that a restored log is a log: it takes facts, and its views show what it held."""
    async with open_desk(url) as desk:
        head = await desk.log.head()
        assert await desk.views.reached(head, 30)
    async with Verifier.open(url) as verifier:
        claim = await verifier.register("After the restore", story="iraq-letter")
        assert claim.position == head + 1
        assert len([item async for item in verifier.claims(status="denied")]) >= 10


# --- both engines ----------------------------------------------------------------------------------


async def test_an_export_made_while_writing_goes_on_restores_to_the_same(place: str, tmp_path: Path) -> None:
    copy = f"sqlite:///{tmp_path}/restored.db"
    with served(place) as serving:
        async with written_all_the_time(serving.address):
            await run(EXPORT, tmp_path, VERIFIER_LOG=place)
        await run("verifier restore newsroom.jsonl --log sqlite:///restored.db", tmp_path)

        head = await check_is_a_prefix(copy, place)

    assert head > 20
    await check_goes_on(copy)


async def test_an_export_moves_a_log_to_the_other_engine_and_back(
    log_place: str, postgres_url: str, tmp_path: Path
) -> None:
    back = f"sqlite:///{tmp_path}/back.db"
    async with Verifier.open(log_place) as verifier:
        claim = await verifier.assert_claim("They plan to leave", source="AFP")
        await verifier.deny(claim, source="Mark Esper")

    for here, there in [(log_place, postgres_url), (postgres_url, back)]:
        await move(here, there, tmp_path / f"{len(here)}.jsonl")

    assert await check_is_a_prefix(postgres_url, log_place) == 4
    assert await check_is_a_prefix(back, log_place) == 4


async def move(here: str, there: str, file: Path) -> None:
    """Export a log and restore it elsewhere."""
    with file.open("wb") as written:
        async with await open_log(here, writable=False) as log:
            await export(log, written)
    with file.open("rb") as read:
        async with await open_log(there, create="empty") as log:
            await restore(log, read)


# --- a file of SQLite's ----------------------------------------------------------------------------


async def test_a_copy_of_the_file_made_while_writing_goes_on_is_the_log(log_place: str, tmp_path: Path) -> None:
    with served(log_place) as serving:
        async with written_all_the_time(serving.address):
            await run(COPY_OF_THE_FILE, tmp_path)

        head = await check_is_a_prefix(f"sqlite:///{tmp_path}/copy.db", log_place)

    assert head > 20
    await check_goes_on(f"sqlite:///{tmp_path}/copy.db")


# --- a schema of PostgreSQL's ----------------------------------------------------------------------


@pytest.fixture
def other_database(postgres: Server) -> str:
    """The URL of another database of the same role, empty."""
    name = f"elsewhere_{secrets.token_hex(6)}"
    with psycopg.connect(postgres.superuser, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} OWNER desk".encode())
    return f"{postgres.database.rpartition('/')[0]}/{name}"


async def test_a_dump_of_the_schema_made_while_writing_goes_on_is_the_log(
    postgres: Server, other_database: str, tmp_path: Path
) -> None:
    place, copy = postgres.url("newsroom"), f"{other_database}?schema=newsroom"
    variables = {"BIN": str(postgres.binaries), "DATABASE": postgres.database, "OTHER_DATABASE": other_database}
    with served(place) as serving:
        async with written_all_the_time(serving.address):
            await run(DUMP, tmp_path, **variables)
        await run(RESTORE, tmp_path, **variables)

        head = await check_is_a_prefix(copy, place)

    assert head > 20
    await check_goes_on(copy)
    with psycopg.connect(other_database) as connection, pytest.raises(psycopg.Error):
        connection.execute("DELETE FROM newsroom.events")


# --- a backup that is older than the log -----------------------------------------------------------


async def test_a_backup_that_lost_its_tail_refuses_the_cursors_that_it_never_gave(
    log_place: str, tmp_path: Path
) -> None:
    async with Verifier.open(log_place) as verifier:
        await verifier.register("A claim")
        await run(COPY_OF_THE_FILE, tmp_path)
        lost = await verifier.register("Another claim", key="k")

    copy = f"sqlite:///{tmp_path}/copy.db"
    async with await open_log(copy) as restored:
        with pytest.raises(ForeignCursor):
            await anext(aiter(restored.read_all(after=lost.position)))
    async with Verifier.open(copy) as verifier:
        again = await verifier.register("Another claim", key="k")

    assert (again.id, again.position) == (lost.id, lost.position), "sent again with its key, it is recorded anew"
