"""Replaying a log: the same statuses as live, and the same digest for the same states."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from contextlib import closing

import pytest
from newsroom import Newsroom, improvise

from events.audit import Trust
from events.contracts import ClaimCorroborated
from events.log import Log
from events.memory import MemoryLog
from events.open import open_log
from verifier.audit import audit_log
from verifier.fold import fold
from verifier.policy import policy_named
from verifier.replay import replay


@pytest.mark.parametrize("seed", range(3))
async def test_a_replay_gives_what_each_claim_gives_by_itself(log: Log, seed: int) -> None:
    await improvise(Newsroom(log), random.Random(seed), 120)

    replayed = await replay(log)

    assert replayed.claims == sum(replayed.by_status.values()) > 0
    for id, (position, digest) in replayed.states.items():
        alone = (await fold(log, id)).assess(replayed.rules)
        assert (alone.position, alone.digest) == (position, digest)


async def test_a_replay_to_a_position_gives_what_stood_there_under_the_policy_of_then() -> None:
    log = await MemoryLog.open()
    newsroom = Newsroom(log)
    claim = await newsroom.claim("The letter is authentic")
    await newsroom.say(claim, "AFP")
    await newsroom.say(claim, "Reuters", ClaimCorroborated)
    await newsroom.adopt("strict/1")

    then, now = await replay(log, upto=4), await replay(log)
    other = await replay(log, policy=policy_named("majority/1"))

    assert (then.position, then.policy, then.assess(claim).status) == (4, "standing/1", "corroborated")
    assert (now.position, now.policy, now.assess(claim).status) == (5, "strict/1", "asserted")
    assert (other.policy, other.assess(claim).status) == ("majority/1", "corroborated")


async def test_an_erasure_changes_no_status_and_no_digest() -> None:
    log = await MemoryLog.open()
    newsroom = Newsroom(log)
    claim = await newsroom.claim("The letter is authentic")
    event = await newsroom.say(claim, "AFP")
    before = await replay(log)
    await newsroom.erase(f"claim:{claim}", event, "identity")

    after = await replay(log, upto=before.position)

    assert after.digest == before.digest


async def test_equal_states_have_one_digest_and_others_another() -> None:
    log = await MemoryLog.open()
    newsroom = Newsroom(log)
    claim = await newsroom.claim("The letter is authentic")
    registered = await replay(log)
    await newsroom.story("A story that is nobody's claim")
    with_a_story = await replay(log)
    await newsroom.say(claim, "AFP")
    asserted = await replay(log)

    assert registered.digest == with_a_story.digest
    assert asserted.digest != registered.digest


async def test_a_time_that_goes_back_changes_no_status_and_an_audit_finds_it(log_place: str) -> None:
    async with await open_log(log_place) as log:
        await improvise(Newsroom(log), random.Random(1), 20)
        before = await replay(log)
    with closing(sqlite3.connect(log_place.removeprefix("sqlite:///"), isolation_level=None)) as file:
        ((trigger,),) = file.execute("SELECT sql FROM sqlite_master WHERE name = 'events_are_final'").fetchall()
        file.execute("DROP TRIGGER events_are_final")
        file.execute(
            """UPDATE events SET leaf = CAST(replace(leaf, '"recorded_at":"2', '"recorded_at":"1') AS BLOB)
            WHERE position = 9"""
        )
        file.execute(trigger)

    async with await open_log(log_place) as log:
        after = await replay(log)
    found = await asyncio.to_thread(audit_log, log_place, Trust())

    assert after.by_status == before.by_status
    assert [(finding.kind, finding.position) for finding in found.audited.findings] == [("time", 9)]


async def test_progress_is_told_up_to_the_end() -> None:
    log = await MemoryLog.open()
    await improvise(Newsroom(log), random.Random(1), 30)
    told: list[tuple[int, int]] = []

    replayed = await replay(log, upto=20, progress=lambda position, end: told.append((position, end)))

    assert told[-1] == (20, 20) == (replayed.position, 20)
