"""Several processes that write one log on PostgreSQL, and one that is stuck."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from console import holding_the_head, pids, until, verify
from making import a_claim, all_of, everything, following, next_page, said, taken

from events.errors import (
    Busy,
    Closed,
    Conflict,
    OutcomeUnknown,
)
from events.log import Log, Recorded
from events.open import open_log
from events.postgres import PostgresLog


@pytest.fixture
def log_url(postgres_url: str) -> str:
    """The URL of `log`, which is on PostgreSQL here."""
    return postgres_url


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


async def test_a_stuck_session_is_ended_and_the_append_behind_it_goes_on(log: Log, postgres_url: str) -> None:
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


# --- a task that is gone ---------------------------------------------------------------------------


async def test_an_append_is_refused_and_none_waits_for_ever_when_the_task_that_writes_has_gone(
    log: Log, postgres_url: str
) -> None:
    [writer] = [task for task in asyncio.all_tasks() if task.get_name() == f"write {log.url}"]
    async with holding_the_head(postgres_url) as connection, following(log, after=1) as pages:
        taken_up, watching = asyncio.create_task(log.append([said()])), asyncio.create_task(next_page(pages))
        await until(lambda: pids(connection, "writer", waiting=True))
        queued = asyncio.create_task(log.append([said()]))
        await asyncio.sleep(0)

        writer.cancel()  # as whoever cancels all tasks of a loop does

        for waiting in (taken_up, queued):
            with pytest.raises(OutcomeUnknown, match="append the same again"):
                await waiting
        for attempt in (log.append([said()]), watching):
            with pytest.raises(Closed, match="open it again"):
                await attempt
