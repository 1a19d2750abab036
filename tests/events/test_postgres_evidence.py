"""Snapshots on PostgreSQL: a connection that is lost, and how many there are."""

from __future__ import annotations

import asyncio
import hashlib

import pytest
from console import a_role, by_hand, pids, until
from wire import Moment, wired

from events.errors import (
    Busy,
    OutcomeUnknown,
    SchemaMismatch,
)
from events.log import Log
from events.open import database_of, evidence_of
from tests.postgres import Server

LETTER = b"Sir, in due deference to the sovereignty of the Republic of Iraq"
HASH = hashlib.sha256(LETTER).hexdigest()


@pytest.fixture
def log_url(postgres_url: str) -> str:
    """The URL of `log`, which is on PostgreSQL here."""
    return postgres_url


@pytest.mark.parametrize(("moment", "kept"), [("before the request", False), ("before the answer", True)])
async def test_when_nobody_knows_whether_a_snapshot_was_kept_it_is_put_again(
    log: Log, postgres_url: str, moment: Moment, kept: bool
) -> None:
    snapshots = evidence_of(postgres_url)
    async with wired(postgres_url) as (wire, url):
        wire.cut(moment, HASH)

        with pytest.raises(OutcomeUnknown, match="do the same again"):
            await evidence_of(url).put(LETTER, sha256=HASH)

        await until(lambda: gone(postgres_url))
        assert await snapshots.has(HASH) is kept
        await evidence_of(url).put(LETTER, sha256=HASH)
    assert await snapshots.get(HASH) == LETTER


@pytest.mark.parametrize(("moment", "kept"), [("before the request", True), ("before the answer", False)])
async def test_when_nobody_knows_whether_a_snapshot_was_erased_it_is_erased_again(
    log: Log, postgres_url: str, moment: Moment, kept: bool
) -> None:
    snapshots = evidence_of(postgres_url)
    await snapshots.put(LETTER, sha256=HASH)
    async with wired(postgres_url) as (wire, url):
        wire.cut(moment, HASH)

        with pytest.raises(OutcomeUnknown, match="do the same again"):
            await evidence_of(url).erase(HASH)

        await until(lambda: gone(postgres_url))
        assert await snapshots.has(HASH) is kept
        await evidence_of(url).erase(HASH)
    assert await snapshots.get(HASH) is None


async def test_a_snapshot_that_could_not_be_read_was_only_asked_for(log: Log, postgres_url: str) -> None:
    async with wired(postgres_url) as (wire, url):
        wire.cut("before the answer", HASH)

        with pytest.raises(Busy):
            await evidence_of(url).get(HASH)


async def test_a_snapshot_that_is_refused_is_said_to_be_not_written(log: Log, postgres_url: str) -> None:
    async with by_hand(postgres_url) as connection:
        await connection.execute("ALTER TABLE evidence RENAME TO of_old")

    with pytest.raises(SchemaMismatch):
        await evidence_of(postgres_url).put(LETTER, sha256=HASH)


async def test_many_calls_at_once_are_content_with_few_connections(
    postgres: Server, log: Log, postgres_url: str
) -> None:
    schema = database_of(postgres_url).schema
    async with a_role(postgres, postgres_url, limit=3) as (role, url, superuser):
        await superuser.execute(
            f"GRANT USAGE ON SCHEMA {schema} TO {role}; GRANT SELECT ON {schema}.evidence TO {role}"
        )
        snapshots = evidence_of(url)

        held = await asyncio.gather(*(snapshots.has(HASH) for _ in range(20)))

    assert held == [False] * 20


async def gone(url: str) -> bool:
    """Say whether the server has noticed that the connections of snapshots are lost."""
    async with by_hand(url) as connection:
        return not await pids(connection, "evidence")
