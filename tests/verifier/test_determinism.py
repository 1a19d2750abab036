"""The same facts give the same states: on every engine, under every condition, and by a second opinion.

`python -m bench.determinism` does the same for any log, with several versions of Python.
"""

from __future__ import annotations

import io
import json
import random
import sys
from pathlib import Path

import pytest
from hypothesis import given
from laws import ALL, assess, laws
from newsroom import Newsroom, improvise
from state_oracle import canonical, digest_of, root, state, states_of
from strategies import CLAIM, History, histories

from bench.determinism import conditions, digests, positions_of, replayed
from events.archive import export, restore
from events.log import Log
from events.memory import MemoryLog
from events.tlog import leaf_hash, tree_root, verify_inclusion
from verifier.policy import POLICIES
from verifier.replay import replay
from verifier.states import state_of


async def a_log(seed: int, events: int) -> MemoryLog:
    """Return a log of random events, the same for the same seed but for its id and times."""
    log = await MemoryLog.open()
    await improvise(Newsroom(log), random.Random(seed), events)
    return log


async def leaves_of(log: Log) -> list[bytes]:
    return [event.leaf_raw async for page in log.read_all(texts=False) for event in page]


async def exported(log: Log) -> io.BytesIO:
    file = io.BytesIO()
    await export(log, file)
    file.seek(0)
    return file


async def test_every_engine_gives_the_digests_that_the_leaves_alone_give(empty_log: Log) -> None:
    original = await a_log(7, 100)
    leaves = await leaves_of(original)
    await restore(empty_log, await exported(original))

    found = await digests(empty_log, page=11)

    assert found == [digest_of(leaves[:position]) for position in positions_of(len(leaves))]
    assert len(found) == 20
    assert [(await replay(empty_log, upto=position)).digest for position in (20, 60)] == [
        digest_of(leaves[:20]),
        digest_of(leaves[:60]),
    ]


async def test_hash_seeds_time_zones_and_sizes_of_pages_change_nothing(tmp_path: Path) -> None:
    log = await a_log(8, 300)
    file = tmp_path / "log.jsonl"
    file.write_bytes((await exported(log)).getvalue())
    here = await digests(log, page=512)

    for condition in conditions([sys.executable]):
        assert replayed(file, condition) == here, condition


@pytest.mark.parametrize("policy", ALL)
async def test_every_policy_has_the_states_that_its_rules_say(policy: str) -> None:
    log = await a_log(9, 80)
    leaves = await leaves_of(log)

    done = await replay(log, policy=POLICIES[policy])

    assert {id: state_of(done.assess(id)) for id in done.folded} == states_of(leaves, policy)
    assert done.digest == digest_of(leaves, policy)


@laws
@given(histories())
def test_any_history_has_the_state_that_the_rules_say(history: History) -> None:
    facts = list(enumerate(history.facts, 1))

    for policy in POLICIES.values():
        assert state_of(assess(history.facts, policy)) == canonical(state(CLAIM, facts, policy.id))


async def test_wherever_a_status_a_count_a_rule_or_an_attention_differs_the_digest_does() -> None:
    log = await a_log(10, 60)
    leaves = await leaves_of(log)
    seen: dict[str, list[dict[str, object]]] = {}

    for position in positions_of(len(leaves)):
        for policy in ALL:
            states = states_of(leaves[:position], policy)
            told = [json.loads(states[id]) for id in sorted(states)]
            known = seen.setdefault(root([states[id] for id in sorted(states)]).hex(), told)
            assert known == told
            assert (await replay(log, upto=position, policy=POLICIES[policy])).digest in seen


async def test_one_claim_s_state_is_proved_to_be_in_the_digest() -> None:
    log = await a_log(11, 400)
    done = await replay(log)
    assert done.claims > 5

    for id in done.folded:
        proof = done.prove(id)

        assert (proof.state, proof.root) == (state_of(done.assess(id)), done.digest)
        verify_inclusion(proof.index, proof.size, leaf_hash(proof.state), list(proof.proof), bytes.fromhex(proof.root))


def test_the_root_of_the_oracle_is_that_of_rfc_6962() -> None:
    entries = [str(number).encode() for number in range(20)]

    for size in range(len(entries)):
        assert root(entries[:size]) == tree_root(entries[:size])
