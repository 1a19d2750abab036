"""Replaying a log: the same statuses as live, and an eye for what was tampered with."""

from __future__ import annotations

import random

import pytest
from newsroom import Newsroom, improvise

from events.contracts import ClaimCorroborated
from events.log import Log, Recorded
from events.memory import MemoryLog
from verifier.fold import fold
from verifier.policy import policy_named
from verifier.replay import Finding, replay


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

    after = await replay(log, upto=before.position, digests=True)

    assert after.digest == before.digest
    assert after.findings == []


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


async def test_texts_that_were_changed_or_hidden_and_times_that_go_back_are_found() -> None:
    log = await MemoryLog.open()
    await improvise(Newsroom(log), random.Random(1), 20)
    events = [event async for page in log.read_all() for event in page]
    clean = await replay(log, digests=True)
    changed, hidden, late = events[3], events[5], events[8]
    assert changed.wording_raw and hidden.identity_raw
    _put(log, changed, wording_raw=b'{"text":"another text"}')
    _put(log, hidden, identity_raw=None, identity_salt=None)
    _put(log, late, leaf_raw=late.leaf_raw.replace(b'"recorded_at":"2', b'"recorded_at":"1'))

    findings = (await replay(log, digests=True)).findings

    assert clean.findings == []
    assert findings == [
        Finding(position=4, wrong="another digest", slot="wording"),
        Finding(position=6, wrong="lost or hidden", slot="identity"),
        Finding(position=9, wrong="time goes back"),
    ]


def _put(log: MemoryLog, event: Recorded, **changed: bytes | None) -> None:
    """Put an event into the log's store as a forger would, past all of its verbs."""
    names = ("position", "leaf_raw", "wording_salt", "wording_raw", "identity_salt", "identity_raw")
    raw = {name: getattr(event, name) for name in names}
    log._events[event.position - 1] = Recorded(**{**raw, **changed})


async def test_progress_is_told_up_to_the_end() -> None:
    log = await MemoryLog.open()
    await improvise(Newsroom(log), random.Random(1), 30)
    told: list[tuple[int, int]] = []

    replayed = await replay(log, upto=20, progress=lambda position, end: told.append((position, end)))

    assert told[-1] == (20, 20) == (replayed.position, 20)
