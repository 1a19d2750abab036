"""Faults of PostgreSQL, each failed and not persisted, and failed but persisted; and what it is told as."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import asyncpg
import pytest
from console import a_role, by_hand, holding_the_head, interfere, pids, until, verify
from making import all_of, everything, said
from wire import Moment, wired

from events.errors import (
    Busy,
    Damaged,
    DiskFull,
    Invalid,
    LogError,
    OutcomeUnknown,
    ReadOnly,
    SchemaMismatch,
)
from events.log import Log
from events.open import database_of, open_log
from events.postgres import PostgresLog
from tests.postgres import Server


@pytest.fixture
def log_url(postgres_url: str) -> str:
    """The URL of `log`, which is on PostgreSQL here."""
    return postgres_url


@pytest.mark.parametrize("moment", ["before the request", "before the answer"])
async def test_a_lost_connection_is_settled_by_appending_the_same_again(postgres_url: str, moment: Moment) -> None:
    events, neighbour = [said(), said()], said()
    async with wired(postgres_url) as (wire, url), await open_log(url) as log:
        await log.append([said()])
        wire.cut(moment, events[0].id)

        recorded, [other] = await asyncio.gather(log.append(events), log.append([neighbour]))

        assert wire.cuts == 1
        assert [event.id for event in recorded] == [event.id for event in events]
        assert not any(event.again for event in (*recorded, other))
        assert len(await verify(log)) == 1 + 1 + 3


@pytest.mark.parametrize(("moment", "kept"), [("before the request", False), ("before the answer", True)])
async def test_a_caller_whose_append_can_not_be_settled_asks_again_and_it_is_there_once(
    postgres_url: str, moment: Moment, kept: bool
) -> None:
    event = said()
    async with wired(postgres_url) as (wire, url), await PostgresLog.open(url, answer_timeout=0.1) as log:
        wire.cut(moment, event.id, times=10**6)

        with pytest.raises(OutcomeUnknown):
            await log.append([event])

        wire.cut(moment, event.id, times=0)
        [recorded] = await log.append([event])
        assert recorded.again is kept
        assert len(await verify(log)) == 2


@pytest.mark.parametrize("moment", ["before the request", "before the answer"])
async def test_a_restore_that_failed_goes_on_from_the_head(log: Log, postgres_url: str, moment: Moment) -> None:
    await log.append([said(), said()])
    original = await everything(log)
    async with wired(f"{postgres_url}_copy") as (wire, url), await open_log(url, create="empty") as copy:
        wire.cut(moment, original[0].id)

        with pytest.raises(OutcomeUnknown):
            await copy.restore(original)
        await copy.restore(original[await copy.head() :])

        assert await verify(copy) == original
        assert copy.id == log.id


async def test_a_commit_whose_backend_is_terminated_is_settled(log: Log, postgres_url: str) -> None:
    async with by_hand(postgres_url) as console, holding_the_head(postgres_url) as holder:
        waiting = asyncio.create_task(log.append([said()]))
        [stuck] = await until(lambda: pids(console, "writer", waiting=True))
        await console.execute(f"SELECT pg_terminate_backend({stuck}, 5000)")
        await holder.execute("COMMIT")

        [event] = await waiting

    assert (event.position, event.again) == (2, False)
    assert len(await verify(log)) == 2


async def test_a_killed_server_loses_nothing_that_it_acknowledged(postgres: Server, postgres_url: str) -> None:
    events = [said() for _ in range(200)]
    async with await PostgresLog.open(postgres_url, busy_timeout=60.0, answer_timeout=60.0) as log:
        writing = [asyncio.create_task(log.append([event])) for event in events]
        await asyncio.wait(writing, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.to_thread(postgres.kill)
        later = [asyncio.create_task(log.append([said()])) for _ in range(10)]
        await asyncio.to_thread(postgres.restart)

        acknowledged = [await append for append in (*writing, *later)]

        assert [event for [event] in sorted(acknowledged, key=lambda one: one[0].position)] == (await verify(log))[1:]


@pytest.mark.parametrize(
    ("sqlstate", "error"),
    [
        ("53100", DiskFull),
        ("25006", ReadOnly),
        ("42501", ReadOnly),
        ("55P03", Busy),
        ("57014", Busy),
        ("40P01", Busy),
        ("42P01", SchemaMismatch),
        ("42703", SchemaMismatch),
        ("XX001", Damaged),
        ("P0001", ReadOnly),
        ("22012", ReadOnly),
    ],
)
async def test_what_the_database_says_is_told_in_the_words_of_the_log(
    log: Log, postgres_url: str, sqlstate: str, error: type[LogError]
) -> None:
    event = said()
    async with by_hand(postgres_url) as connection:
        await interfere(connection, f"RAISE EXCEPTION 'no' USING ERRCODE = '{sqlstate}'")

        with pytest.raises(error):
            await log.append([event])

        await connection.execute("DROP TRIGGER interferes ON events")
    assert len(await verify(log)) == 1
    assert [recorded.again for recorded in await log.append([event])] == [False]


async def test_a_statement_that_takes_too_long_is_ended_and_wrote_nothing(postgres_url: str) -> None:
    async with await PostgresLog.open(postgres_url, answer_timeout=0.2) as log, by_hand(postgres_url) as connection:
        await interfere(connection, "PERFORM pg_sleep(30)")

        with pytest.raises(Busy):
            await log.append([said()])

        assert len(await verify(log)) == 1


async def test_an_append_that_is_committed_but_not_understood_is_not_said_to_be_lost(postgres_url: str) -> None:
    known, new = said(), said()
    async with await PostgresLog.open(postgres_url, answer_timeout=0.1) as log, by_hand(postgres_url) as connection:
        await log.append([known])
        # From now on, events can only be looked at in the transaction that records.
        await connection.execute(
            "CREATE FUNCTION refuse_to_look() RETURNS boolean LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE 'no' USING ERRCODE = '57014'; END $$;"
            "CREATE POLICY p ON events"
            " USING (current_setting('verifier.recording', true) = 'on' OR refuse_to_look()) WITH CHECK (true);"
            "ALTER TABLE events FORCE ROW LEVEL SECURITY; ALTER TABLE events ENABLE ROW LEVEL SECURITY"
        )

        answers = await asyncio.gather(log.append([known]), log.append([new]), return_exceptions=True)

        await connection.execute("ALTER TABLE events NO FORCE ROW LEVEL SECURITY")
        assert all(isinstance(answer, OutcomeUnknown) for answer in answers)
        assert [event.id for event in await verify(log)][1:] == [known.id, new.id]


async def test_damage_is_told_without_a_position_that_nobody_knows(log: Log, postgres_url: str) -> None:
    async with by_hand(postgres_url) as connection:
        await interfere(connection, "RAISE EXCEPTION 'no' USING ERRCODE = 'XX001'")

        with pytest.raises(Damaged) as damage:
            await log.append([said()])

    assert damage.value.position is None


# --- reading ---------------------------------------------------------------------------------------

READING: Sequence[Callable[[Log], Awaitable[object]]] = (
    everything,
    lambda log: all_of(log, "log"),
    lambda log: log.head(),
    lambda log: anext(aiter(log.subscribe())),
)


@asynccontextmanager
async def reading(url: str) -> AsyncIterator[tuple[Log, asyncpg.Connection]]:
    """Open a log that is only read, in a database that is about to suffer."""
    async with (
        await open_log(url) as written,
        by_hand(url) as connection,
        await PostgresLog.open(url, writable=False, answer_timeout=0.2) as log,
    ):
        await written.append([said()])
        yield log, connection


@pytest.mark.parametrize("verb", READING)
async def test_a_reader_who_is_kept_waiting_is_told_to_try_again(
    postgres_url: str, verb: Callable[[Log], Awaitable[object]]
) -> None:
    async with reading(postgres_url) as (log, connection):
        await connection.execute("BEGIN; LOCK TABLE events, head IN ACCESS EXCLUSIVE MODE")

        with pytest.raises(Busy, match="did not answer in time"):
            await verb(log)


@pytest.mark.parametrize("verb", READING)
async def test_a_reader_whose_tables_have_gone_is_told_to_migrate(
    postgres_url: str, verb: Callable[[Log], Awaitable[object]]
) -> None:
    async with reading(postgres_url) as (log, connection):
        await connection.execute("ALTER TABLE events RENAME TO of_old; ALTER TABLE head RENAME TO head_of_old")

        with pytest.raises(SchemaMismatch, match="verifier migrate"):
            await verb(log)


@pytest.mark.parametrize("verb", READING[::3])
async def test_a_reader_is_told_that_an_event_is_missing(
    postgres_url: str, verb: Callable[[Log], Awaitable[object]]
) -> None:
    async with reading(postgres_url) as (log, connection):
        await connection.execute("ALTER TABLE events DISABLE TRIGGER USER; DELETE FROM events WHERE position = 1")

        with pytest.raises(Damaged, match="position 1: an event is missing"):
            await verb(log)


@pytest.mark.parametrize("verb", READING)
async def test_a_role_that_may_not_read_is_told_which_right_it_needs(
    postgres: Server, log: Log, postgres_url: str, verb: Callable[[Log], Awaitable[object]]
) -> None:
    schema = database_of(postgres_url).schema
    async with a_role(postgres, postgres_url) as (role, url, superuser):
        await superuser.execute(
            f"GRANT USAGE ON SCHEMA {schema} TO {role}; GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {role}"
        )
        async with await open_log(url, writable=False) as as_role:
            await superuser.execute(f"REVOKE SELECT ON ALL TABLES IN SCHEMA {schema} FROM {role}")

            with pytest.raises(Invalid, match="SELECT"):
                await verb(as_role)
