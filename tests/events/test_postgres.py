"""What is PostgreSQL's own: triggers, schemas, several writers, wake-ups, and a server that goes away."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

import asyncpg
import pytest
from making import a_claim, all_of, erased, everything, following, next_page, said, taken
from wire import Moment, wired

from events.errors import (
    Busy,
    Conflict,
    Damaged,
    DiskFull,
    Invalid,
    LogError,
    OutcomeUnknown,
    ReadOnly,
    SchemaMismatch,
)
from events.log import Log, Recorded
from events.open import database_of, migrate_log, open_log
from events.postgres import PostgresLog
from events.postgres.schema import VERSION
from events.postgres.session import connect
from tests.postgres import Server

T = TypeVar("T")

NEVER = 600.0  # seconds: a poll that no test lives to see


@pytest.fixture
async def log(postgres_url: str) -> AsyncIterator[PostgresLog]:
    """A new log."""
    async with await PostgresLog.open(postgres_url) as opened:
        yield opened


@asynccontextmanager
async def by_hand(url: str, *, patience: float = 30.0) -> AsyncIterator[asyncpg.Connection]:
    """Connect to the schema of a log as somebody with a console would."""
    connection = await connect(database_of(url), name="by hand", timeout=patience)
    try:
        yield connection
    finally:
        connection.terminate()


@asynccontextmanager
async def holding_the_head(url: str, *, patience: float = 30.0) -> AsyncIterator[asyncpg.Connection]:
    """Hold the head's lock, until the end or until the server has had enough of it."""
    async with by_hand(url, patience=patience) as connection:
        await connection.execute("BEGIN")
        await connection.execute("SELECT position FROM head FOR UPDATE")
        yield connection


async def pids(connection: asyncpg.Connection, name: str, *, waiting: bool = False) -> Sequence[int]:
    """Return the server processes of the connections with a name, of this log; waiting for a lock if asked."""
    rows = await connection.fetch(
        "SELECT pid FROM pg_stat_activity WHERE application_name = $1 AND (NOT $2 OR wait_event_type = 'Lock')"
        " AND datname = current_database()",
        f"verifier {name}",
        waiting,
    )
    return [row["pid"] for row in rows]


async def until(look: Callable[[], Awaitable[T]]) -> T:
    """Look again and again until there is something to see, and return it."""
    while not (seen := await look()):  # noqa: ASYNC110  # the server rings no bell for these
        await asyncio.sleep(0)
    return seen


async def verify(log: Log) -> Sequence[Recorded]:
    """Re-read a whole log and check all that can be checked; return its events."""
    events = await everything(log)
    assert [event.position for event in events] == list(range(1, len(events) + 1))
    assert len({event.id for event in events}) == len(events)
    times = [event.recorded_at for event in events]
    assert times == sorted(times)
    assert await log.head() == len(events)
    return events


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
    log: PostgresLog, postgres_url: str, statement: str
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


# --- the version of the tables ---------------------------------------------------------------------


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


async def test_an_older_log_is_refused_until_it_is_migrated(log: PostgresLog, postgres_url: str) -> None:
    async with by_hand(postgres_url) as connection:
        await connection.execute("DELETE FROM alembic_version")

    for writable in (True, False):
        with pytest.raises(SchemaMismatch, match="verifier migrate"):
            await open_log(postgres_url, writable=writable)


async def test_a_newer_log_is_refused_and_not_touched(log: PostgresLog, postgres_url: str) -> None:
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


async def test_the_version_can_be_seen_by_hand(log: PostgresLog, postgres_url: str) -> None:
    alembic = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "alembic", "-x", f"url={postgres_url}", "current", stdout=asyncio.subprocess.PIPE
    )

    shown, _ = await alembic.communicate()

    assert alembic.returncode == 0
    assert f"{VERSION} (head)" in shown.decode()


# --- several writers -------------------------------------------------------------------------------


async def test_logs_that_write_at_once_give_gapless_positions_and_each_subscriber_sees_all(postgres_url: str) -> None:
    first = await open_log(postgres_url)
    async with first, await open_log(postgres_url) as second, await open_log(postgres_url) as third:
        logs = (first, second, third)

        async def write(log: Log) -> None:
            for _ in range(10):
                await asyncio.gather(*(log.append([said(), said()]) for _ in range(5)))

        async def follow(log: Log) -> Sequence[Recorded]:
            async with following(log) as pages:
                return await taken(pages, 1 + 300)

        followed = await asyncio.gather(*(follow(log) for log in logs), *(write(log) for log in logs))

        written = await verify(first)
        assert len(written) == 301
        assert all(seen == written for seen in followed[:3])


async def test_of_two_logs_that_saw_the_same_one_is_told_of_the_other(postgres_url: str) -> None:
    stream = a_claim()
    async with await open_log(postgres_url) as one, await open_log(postgres_url) as other:
        attempts = [log.append([said(stream)], after={stream: 0}) for log in (one, other) * 5]

        answers = await asyncio.gather(*attempts, return_exceptions=True)

        assert sum(isinstance(answer, Conflict) for answer in answers) == 9
        assert len(await all_of(one, stream)) == 1


async def test_an_append_repeated_through_another_log_is_recorded_once(postgres_url: str) -> None:
    events = [said(), said()]
    async with await open_log(postgres_url) as one, await open_log(postgres_url) as other:
        answers = await asyncio.gather(*(log.append(events) for log in (one, other) * 5))

        assert len(await verify(one)) == 3
        assert all(answer == answers[0] for answer in answers)
        assert sum(not answer[0].again for answer in answers) == 1


# --- a session that is stuck -----------------------------------------------------------------------


async def test_a_stuck_session_is_ended_and_the_append_behind_it_goes_on(log: PostgresLog, postgres_url: str) -> None:
    async with holding_the_head(postgres_url, patience=0.2):
        [event] = await log.append([said()])

    assert await verify(log) == await everything(log)
    assert event.position == 2


async def test_an_append_that_waits_too_long_says_busy_and_wrote_nothing(postgres_url: str) -> None:
    event = said()
    async with await PostgresLog.open(postgres_url, busy_timeout=0.1) as log:
        async with holding_the_head(postgres_url):
            with pytest.raises(Busy):
                await log.append([event])

        assert len(await verify(log)) == 1
        assert [recorded.again for recorded in await log.append([event])] == [False]


# --- faults: failed and not persisted, failed but persisted ----------------------------------------


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
async def test_a_restore_that_failed_goes_on_from_the_head(log: PostgresLog, postgres_url: str, moment: Moment) -> None:
    await log.append([said(), said()])
    original = await everything(log)
    async with wired(f"{postgres_url}_copy") as (wire, url), await open_log(url, create="empty") as copy:
        wire.cut(moment, original[0].id)

        with pytest.raises(OutcomeUnknown):
            await copy.restore(original)
        await copy.restore(original[await copy.head() :])

        assert await verify(copy) == original
        assert copy.id == log.id


async def test_a_commit_whose_backend_is_terminated_is_settled(log: PostgresLog, postgres_url: str) -> None:
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


async def interfere(connection: asyncpg.Connection, statement: str) -> None:
    """Have the database run a statement in the middle of each append."""
    await connection.execute(
        "CREATE FUNCTION interfere() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN {statement}; RETURN NULL; END $$;"
        " CREATE TRIGGER interferes AFTER INSERT ON events EXECUTE FUNCTION interfere()"
    )


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
        ("XX001", Damaged),
    ],
)
async def test_what_the_database_says_is_told_in_the_words_of_the_log(
    log: PostgresLog, postgres_url: str, sqlstate: str, error: type[LogError]
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


# --- following -------------------------------------------------------------------------------------


async def test_what_another_process_writes_wakes_a_subscription(log: PostgresLog, postgres_url: str) -> None:
    async with await PostgresLog.open(postgres_url, poll=NEVER) as other, following(other, after=1) as pages:
        for _ in range(3):
            recorded = await log.append([said()])

            assert await next_page(pages) == recorded


async def test_a_wake_up_that_is_lost_costs_only_time(postgres_url: str) -> None:
    async with await PostgresLog.open(postgres_url, poll=0.05) as log, following(log, after=1) as pages:
        async with by_hand(postgres_url) as connection:  # which doesn't ring
            await connection.execute(
                "SELECT append('{0}', '{evt_silent}', '{log}', '{a}', '{z}', '{s}', '{w}', '{s}', '{i}',"
                " '{}', '{}', '{}', '{}', '{}', '{}', '{}')"
            )

        [event] = await taken(pages, 1)

    assert event.position == 2


async def test_a_listener_that_lost_its_connection_looks_by_itself(log: PostgresLog, postgres_url: str) -> None:
    async with await PostgresLog.open(postgres_url, poll=NEVER) as other, following(other, after=1) as pages:
        async with by_hand(postgres_url) as connection:
            for pid in await until(lambda: pids(connection, "bell")):
                await connection.execute(f"SELECT pg_terminate_backend({pid}, 5000)")

        recorded = await log.append([said()])

        assert await next_page(pages) == recorded


async def test_a_subscription_survives_the_server_restarting(postgres: Server, postgres_url: str) -> None:
    async with (
        await PostgresLog.open(postgres_url, poll=0.05, busy_timeout=60.0) as first,
        await PostgresLog.open(postgres_url, poll=0.05) as second,
        following(first) as own,
        following(second) as others,
    ):
        await taken(others, 1)
        for stop in (postgres.stop, postgres.kill):
            await asyncio.to_thread(stop)
            waiting = asyncio.create_task(first.append([said(), said()]))
            await asyncio.to_thread(postgres.restart)

            recorded = await waiting

            assert await taken(others, 2) == recorded
        assert await taken(own, 5) == await verify(second)


async def test_an_erasure_by_another_process_reaches_what_is_kept_in_memory(
    log: PostgresLog, postgres_url: str
) -> None:
    [event] = await log.append([said()])
    async with await open_log(postgres_url) as other, following(other) as pages:
        await taken(pages, 2)
        await log.append([erased(event.id)])
        await taken(pages, 1)

        async with following(other, after=1) as late:
            [now, _] = await taken(late, 2)

    assert now.wording_raw is None


# --- opening it ---------------------------------------------------------------------------


async def test_without_the_extra_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("events.open.find_spec", lambda _: None)

    with pytest.raises(Invalid, match=r"pip install 'claim-verifier\[postgres\]'"):
        await open_log("postgresql://127.0.0.1/desk")


async def test_a_password_is_never_shown(postgres: Server, postgres_url: str) -> None:
    secret = postgres.password
    async with await open_log(postgres_url) as log:
        assert secret not in log.url
        assert database_of(postgres_url).schema in log.url
        assert secret not in repr(database_of(postgres_url))
    for wrong in (
        postgres_url.replace(secret, secret + "x"),
        postgres_url.replace("/desk?", "/nowhere?"),
        postgres_url.replace("schema=", "schema=Not-"),
        postgres_url.replace(f":{postgres.port}/", ":port/"),
        postgres_url.replace("postgresql:", "postgres:"),
        postgres_url.replace("@", "%40"),
    ):
        with pytest.raises(Invalid) as refusal:
            await open_log(wrong, create=None)
        assert secret not in str(refusal.value)


async def test_a_server_that_does_not_answer_is_busy_and_named_without_the_password(postgres_url: str) -> None:
    async with wired(postgres_url) as (_, url):
        pass  # now nothing listens there

    with pytest.raises(Busy) as refusal:
        await open_log(url)

    assert "127.0.0.1" in str(refusal.value)
    assert database_of(url).dsn.split("@", maxsplit=1)[0] not in str(refusal.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://127.0.0.1", "postgresql://127.0.0.1?schema=verifier"),
        ("postgresql://ada:secret@db:5433/news?schema=desk", "postgresql://ada@db:5433/news?schema=desk"),
        ("postgresql://ada:se%40cret@[::1]:5433/news", "postgresql://ada@[::1]:5433/news?schema=verifier"),
        ("postgresql://ada@one:1,two:2/news", "postgresql://ada@one:1,two:2/news?schema=verifier"),
        ("postgresql:///news?host=/run/pg&password=secret&schema=desk", "postgresql:///news?schema=desk"),
    ],
)
def test_a_url_is_shown_without_what_is_secret(url: str, shown: str) -> None:
    assert database_of(url).url == shown


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ada:sec/ret@db/news",
        "postgresql://ada:sec:ret/news",
        "postgresql://ada:secret/news",
        "postgresql://db/news?secret",
        "postgresql://db/news?schema=Secret",
        "postgresql://db/news?schema=pg_x",
        "postgresql://db/news?schema=a&schema=b",
    ],
)
def test_a_url_that_can_not_be_read_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(Invalid) as refusal:
        database_of(url)

    assert "secret" not in str(refusal.value)
    assert refusal.value.__cause__ is None
