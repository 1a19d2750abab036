"""Forks, as an auditor sees them who kept one checkpoint: an older copy that went on, and history that was rewritten
and signed again with the real key. The sealer refuses both (see `tests/events/test_sealer.py`), and so does a witness.
"""

from __future__ import annotations

from asyncio import to_thread
from collections.abc import Sequence
from pathlib import Path

import pytest
from newsroom import Newsroom
from tampering import found
from witnessing import submission

from events.audit import Known, Trust
from events.keys import Keys
from events.log import Log, Recorded
from events.open import open_log, tiles_of
from events.sealed import Seal
from events.tiles import CHECKPOINT, VKEY
from events.tlog import format_head, leaf_hash, prove_consistency, sign_note, tree_root
from tests.events.making import everything
from tests.events.sealing import Place, as_restored, seal_all
from verifier.witness import held

COPIED, SEALED = 6, 10
"""Where the older copy ends, and where the checkpoint does that was kept."""


class Office:
    """A log that was sealed and of which an older copy was kept, and one that goes on from that copy."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.fork = f"sqlite:///{folder}/fork.db"
        self.place = Place(url, folder)
        self.seal: Seal
        self.events: Sequence[Recorded] = ()

    async def work(self) -> None:
        """Record and seal."""
        async with await open_log(self.url) as log:
            newsroom = Newsroom(log)
            claim = await newsroom.claim("The letter is authentic")
            for number in range(SEALED - 2):
                await newsroom.say(claim, f"Outlet {number}")
            self.seal = await seal_all(log, self.place)
            self.events = as_restored(await everything(log))

    async def go_on(self, size: int) -> Log:
        """Restore the older copy, and record other facts up to a size."""
        log = await open_log(self.fork, create="empty")
        await log.restore(self.events[:COPIED])
        newsroom = Newsroom(log, made=100)
        while await log.head() < size:
            await newsroom.story(f"Another story {newsroom.made}")
        return log


def kept(office: Office) -> Trust:
    """What an auditor has who kept the checkpoint."""
    return Trust(vkeys=office.place.keys.vkeys, known=[Known("kept", office.seal.note)])


@pytest.fixture
async def office(tmp_path: Path) -> Office:
    """An office whose log was sealed."""
    made = Office(f"sqlite:///{tmp_path}/newsroom.db", tmp_path)
    await made.work()
    return made


async def sign(log: Log, keys: Keys) -> bytes:
    """Sign a log as it is with the real key, past everything that the sealer looks at; return the checkpoint."""
    leaves = [event.leaf_raw for event in await everything(log)]
    note = sign_note(format_head(keys.name, len(leaves), tree_root(leaves)), keys.private)
    await tiles_of(log.url).write({CHECKPOINT: note, VKEY: "\n".join(keys.vkeys).encode()})
    return note


async def in_thread(where: str, trust: Trust) -> list[str]:
    """Audit, which blocks."""
    return await to_thread(found, where, trust)


async def test_an_older_copy_is_behind_the_checkpoint_that_was_kept(office: Office) -> None:
    async with await office.go_on(COPIED) as log:
        await sign(log, office.place.keys)

    findings = await in_thread(office.fork, kept(office))

    assert findings == [f"positions {COPIED + 1}–{SEALED}: behind: the log has 6 events, and kept was signed for 10"]


async def test_an_older_copy_that_went_on_is_another_history(office: Office) -> None:
    async with await office.go_on(SEALED + 5) as log:
        await sign(log, office.place.keys)

    assert await in_thread(office.fork, Trust(vkeys=office.place.keys.vkeys)) == []
    assert await in_thread(office.fork, kept(office)) == [
        f"positions 1–{SEALED}: history: kept was signed for 10 events with another root: the log was rewritten, or"
        " forked"
    ]


async def test_an_earlier_checkpoint_narrows_down_where_history_was_rewritten(office: Office) -> None:
    leaves = [event.leaf_raw for event in office.events]
    keys = office.place.keys
    earlier = sign_note(format_head(keys.name, COPIED, tree_root(leaves[:COPIED])), keys.private)
    async with await office.go_on(SEALED) as log:
        await sign(log, keys)

    both = Trust(vkeys=keys.vkeys, known=[Known("kept", office.seal.note), Known("earlier", earlier)])
    [finding] = await in_thread(office.fork, both)

    assert finding.startswith(f"positions {COPIED + 1}–{SEALED}: history")


async def test_a_witness_does_not_cosign_rewritten_history_though_the_real_key_signed_it(
    office: Office, tmp_path: Path
) -> None:
    ours = [leaf_hash(event.leaf_raw) for event in office.events]
    async with await office.go_on(SEALED + 5) as log:
        forged = await sign(log, office.place.keys)
        theirs = [leaf_hash(event.leaf_raw) for event in await everything(log)]
        same_size = sign_note(
            format_head(
                office.place.keys.name, SEALED, tree_root([e.leaf_raw for e in (await everything(log))[:SEALED]])
            ),
            office.place.keys.private,
        )
    with held(tmp_path / "witness", name="partner.example/w1", vkeys=office.place.keys.vkeys) as witness:
        first = witness.answer(submission(0, [], office.seal.note))[0]
        proof = prove_consistency(SEALED, SEALED + 5, lambda level, n, width: b"".join(theirs[:width]))
        grown = witness.answer(submission(SEALED, proof, forged))[0]
        again = witness.answer(submission(SEALED, [], same_size))[0]
        older = witness.answer(submission(COPIED, [], forged))

    assert len(ours) == SEALED
    assert (first, grown, again) == (200, 422, 409)
    assert older == (409, "text/x.tlog.size", f"{SEALED}\n".encode())
