"""Following a log on PostgreSQL: wake-ups between processes, and a server that goes away."""

from __future__ import annotations

import asyncio

import pytest
from console import NEVER, by_hand, pids, until, verify
from making import erased, following, next_page, said, taken

from events.errors import (
    Closed,
)
from events.log import Log
from events.open import database_of, open_log
from events.postgres import PostgresLog
from tests.postgres import Server


@pytest.fixture
def log_url(postgres_url: str) -> str:
    """The URL of `log`, which is on PostgreSQL here."""
    return postgres_url


async def test_what_another_process_writes_wakes_a_subscription(log: Log, postgres_url: str) -> None:
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


async def test_a_listener_that_lost_its_connection_looks_by_itself(log: Log, postgres_url: str) -> None:
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


async def test_an_erasure_by_another_process_reaches_what_is_kept_in_memory(log: Log, postgres_url: str) -> None:
    [event] = await log.append([said()])
    async with await open_log(postgres_url) as other, following(other) as pages:
        await taken(pages, 2)
        await log.append([erased(event.id)])
        await taken(pages, 1)

        async with following(other, after=1) as late:
            [now, _] = await taken(late, 2)

    assert now.wording_raw is None


async def test_what_stops_the_following_stops_appends_and_says_so(log: Log, postgres_url: str) -> None:
    async with by_hand(postgres_url) as connection, following(log, after=1) as pages:
        watching = asyncio.create_task(next_page(pages))
        await connection.execute(
            "ALTER TABLE events DISABLE TRIGGER USER; ALTER TABLE events ALTER leaf DROP NOT NULL;"
            f"INSERT INTO events VALUES (2, 'evt', 'log', NULL); NOTIFY \"{database_of(postgres_url).channel}\""
        )

        for attempt in (watching, log.append([said()])):
            with pytest.raises(Closed, match="open it again") as refusal:
                await attempt

        assert isinstance(refusal.value.__cause__, TypeError)
