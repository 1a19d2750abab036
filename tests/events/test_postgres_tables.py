"""The tables of a log on PostgreSQL: what they refuse, their version, and who may make them."""

from __future__ import annotations

import asyncio
import sys

import asyncpg
import pytest
from console import a_role, by_hand, interfere, until, verify
from making import erased, following, next_page, said

from events.errors import (
    Invalid,
    SchemaMismatch,
)
from events.log import Log
from events.open import database_of, migrate_log, open_log
from events.postgres.schema import VERSION
from tests.postgres import Server


@pytest.fixture
def log_url(postgres_url: str) -> str:
    """The URL of `log`, which is on PostgreSQL here."""
    return postgres_url


# --- the database itself ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM events",
        "DELETE FROM events WHERE position = 2",
        "TRUNCATE events",
        "TRUNCATE events CASCADE",
        "UPDATE events SET leaf = 'other' WHERE position = 2",
        "UPDATE events SET id = 'other' WHERE position = 2",
        "UPDATE events SET stream = 'other' WHERE position = 2",
        "UPDATE events SET position = 7 WHERE position = 2",
        "UPDATE events SET wording = 'other' WHERE position = 2",
        "UPDATE events SET identity_salt = 'other' WHERE position = 2",
        "UPDATE events SET wording = NULL, wording_salt = NULL WHERE position = 2",  # the log does not say so
        "UPDATE events SET identity = NULL, identity_salt = NULL WHERE position = 3",  # it says so of the wording
        "UPDATE events SET wording = NULL WHERE position = 2",
        "INSERT INTO events SELECT 5, 'evt_new', stream, leaf FROM events WHERE position = 2",
        "INSERT INTO events SELECT 7, 'evt_new', stream, leaf FROM events WHERE position = 2",
        "UPDATE head SET position = 1",
        "UPDATE head SET recorded_at = ''",
        "DELETE FROM head",
        "TRUNCATE head",
        "INSERT INTO head VALUES (false, 0, '', '')",
    ],
)
async def test_the_database_refuses_to_lose_change_or_misplace_an_event(
    log: Log, postgres_url: str, statement: str
) -> None:
    _, second = await log.append([said(), said()])
    await log.append([erased(second.id)])
    before = await verify(log)

    async with by_hand(postgres_url) as connection:
        with pytest.raises(asyncpg.PostgresError) as refusal:
            await connection.execute(statement)

    assert refusal.value.sqlstate == "23001"
    assert await verify(log) == before


async def test_two_logs_share_a_database_and_nothing_else(postgres: Server, postgres_url: str) -> None:
    event = said()

    async with (
        await open_log(postgres_url) as one,
        await open_log(f"{postgres_url}_other") as other,
        following(other, after=1) as pages,
    ):
        await one.append([event, said()])
        [recorded] = await other.append([event])

        assert one.id != other.id
        assert recorded.position == 2
        assert await next_page(pages) == [recorded]


async def test_a_schema_that_holds_something_else_is_refused_and_not_touched(postgres_url: str) -> None:
    schema = database_of(postgres_url).schema
    async with by_hand(postgres_url) as connection:
        await connection.execute(f"CREATE SCHEMA {schema}; CREATE TABLE {schema}.events (a int)")

        for attempt in (open_log(postgres_url), migrate_log(postgres_url)):
            with pytest.raises(SchemaMismatch):
                await attempt

        assert await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = $1", schema) == 1


async def test_an_acknowledged_commit_is_durable_whatever_the_role_is_set_to(postgres: Server) -> None:
    url = postgres.url("durable", options="-c synchronous_commit=off -c default_transaction_isolation=serializable")
    async with await open_log(url) as log, by_hand(url) as connection:
        await connection.execute("CREATE TABLE seen (what text)")
        await interfere(
            connection,
            "INSERT INTO seen SELECT current_setting(unnest(ARRAY['synchronous_commit', 'transaction_isolation']))",
        )

        await log.append([said()])

        assert [row["what"] for row in await connection.fetch("SELECT what FROM seen")] == ["on", "read committed"]


async def test_a_server_that_would_lose_what_it_acknowledged_is_refused(postgres: Server, postgres_url: str) -> None:
    async def set_fsync(value: str) -> None:
        await superuser.execute(f"ALTER SYSTEM SET fsync = {value}")
        await superuser.execute("SELECT pg_reload_conf()")
        await until(lambda: superuser.fetchval("SELECT current_setting('fsync') = $1", value))

    superuser = await asyncpg.connect(postgres.superuser)
    try:
        await set_fsync("off")
        with pytest.raises(Invalid, match="fsync = on"):
            await open_log(postgres_url)
    finally:
        await set_fsync("on")
        await superuser.close()


# --- their version ---------------------------------------------------------------------------------


async def test_a_log_that_is_not_there_is_made_once_by_all_who_open_it(postgres_url: str) -> None:
    logs = await asyncio.gather(*(open_log(postgres_url) for _ in range(4)), migrate_log(postgres_url))

    opened = [log for log in logs if not isinstance(log, str)]
    assert len({log.id for log in opened}) == 1
    assert len(await verify(opened[0])) == 1
    for log in opened:
        await log.close()


async def test_a_log_that_is_not_there_is_not_made_by_a_reader(postgres_url: str) -> None:
    with pytest.raises(Invalid, match="there is no log"):
        await open_log(postgres_url, writable=False)


async def test_an_older_log_is_refused_until_it_is_migrated(log: Log, postgres_url: str) -> None:
    async with by_hand(postgres_url) as connection:
        await connection.execute("DELETE FROM alembic_version")

    for writable in (True, False):
        with pytest.raises(SchemaMismatch, match="verifier migrate"):
            await open_log(postgres_url, writable=writable)


async def test_a_newer_log_is_refused_and_not_touched(log: Log, postgres_url: str) -> None:
    async with by_hand(postgres_url) as connection:
        await connection.execute("UPDATE alembic_version SET version_num = '9999'")

        for attempt in (open_log(postgres_url), open_log(postgres_url, writable=False), migrate_log(postgres_url)):
            with pytest.raises(SchemaMismatch, match="newer version of the product"):
                await attempt

        assert await connection.fetchval("SELECT version_num FROM alembic_version") == "9999"


async def test_migrating_makes_the_tables_and_does_nothing_the_second_time(postgres_url: str) -> None:
    assert await migrate_log(postgres_url) == VERSION
    assert await migrate_log(postgres_url) == VERSION

    async with await open_log(postgres_url) as log:
        assert len(await verify(log)) == 1


async def test_the_version_can_be_seen_by_hand(log: Log, postgres_url: str) -> None:
    alembic = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "alembic", "-x", f"url={postgres_url}", "current", stdout=asyncio.subprocess.PIPE
    )

    shown, _ = await alembic.communicate()

    assert alembic.returncode == 0
    assert f"{VERSION} (head)" in shown.decode()


# --- who may make them -----------------------------------------------------------------------------


async def test_a_role_that_may_not_make_a_schema_is_told_which_right_it_needs(
    postgres: Server, postgres_url: str
) -> None:
    async with a_role(postgres, postgres_url) as (_, url, _):
        with pytest.raises(Invalid, match="CREATE on the database"):
            await open_log(url)


async def test_a_role_that_may_not_make_tables_in_a_schema_is_told_which_right_it_needs(
    postgres: Server, postgres_url: str
) -> None:
    schema = database_of(postgres_url).schema
    async with a_role(postgres, postgres_url) as (role, url, superuser):
        await superuser.execute(f"CREATE SCHEMA {schema}; GRANT USAGE ON SCHEMA {schema} TO {role}")

        with pytest.raises(Invalid, match="CREATE on the schema"):
            await open_log(url)


async def test_a_schema_that_is_there_is_enough_for_a_role_that_may_make_none(
    postgres: Server, postgres_url: str
) -> None:
    schema = database_of(postgres_url).schema
    async with a_role(postgres, postgres_url) as (role, url, superuser):
        await superuser.execute(f"CREATE SCHEMA {schema}; GRANT USAGE, CREATE ON SCHEMA {schema} TO {role}")

        async with await open_log(url) as log:
            assert len(await verify(log)) == 1
