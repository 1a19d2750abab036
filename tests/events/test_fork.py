"""Going on under a new name, on every pair of engines: what a fork says, what it keeps, and that it can be sealed."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from events.contracts import LogOpened
from events.errors import Invalid
from events.evidence import MemoryEvidence
from events.fork import fork
from events.leaf import check_form, new_id, text_digest
from events.log import Log
from events.memory import MemoryLog
from events.open import open_log
from events.sealed import Seal
from events.tlog import cosign, format_head, new_key, parse_head, split_note
from tests.events.making import erased, everything, said
from tests.events.sealing import NAME, Place, a_key, as_restored, grow, root_of, seal_all


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Where the old log is sealed, with its key."""
    return Place("memory:", tmp_path)


@pytest.fixture
async def copy(log: Log, place: Place) -> AsyncIterator[tuple[Log, Seal]]:
    """A copy that lost the last five of 21 events, and the seal of all of them."""
    gone = said()
    await log.append([gone])
    await log.append([erased(gone.id)])
    await grow(log, 18)
    seal = await seal_all(log, place)
    async with await MemoryLog.open(create="empty") as restored:
        await restored.restore(as_restored((await everything(log))[:16]))
        yield restored, seal


@pytest.fixture
async def new(other_log_url: str) -> AsyncIterator[Log]:
    """An empty log to fork into."""
    async with await open_log(other_log_url, create="empty") as opened:
        yield opened


@pytest.mark.parametrize("log_url", ["memory:"])
async def test_a_fork_says_what_was_sealed_before_and_keeps_every_other_fact(
    copy: tuple[Log, Seal], new: Log, place: Place
) -> None:
    old, seal = copy

    done = await fork(old, new, seal.note, vkeys=place.keys.vkeys, actor="ada")

    before, after = await everything(old), await everything(new)
    assert after[1:] == before[1:]
    assert isinstance(after[0].fact, LogOpened) and after[0].fact.fork is not None
    assert parse_head(split_note(after[0].fact.fork.encode())[0])[:3] == (NAME, 21, seal.root)
    assert (done.log, done.held, done.lost) == (new.id, 16, 5)
    assert new.id != old.id == new.lineage


@pytest.mark.parametrize("log_url", ["memory:"])
async def test_the_first_fact_of_a_fork_is_a_whole_event_with_the_time_of_the_one_it_replaces(
    copy: tuple[Log, Seal], new: Log, place: Place
) -> None:
    old, seal = copy

    await fork(old, new, seal.note, vkeys=place.keys.vkeys, actor="ada")

    first, *_ = await everything(new)
    check_form(first.leaf, first.leaf_raw)
    assert first.recorded_at == (await everything(old))[0].recorded_at
    assert first.wording_raw and first.wording_salt and first.identity
    assert text_digest(first.wording_salt, "wording", first.wording_raw) == first.leaf.wording
    assert f"forked {first.recorded_at[:4]}" in str(first.wording)
    assert first.identity.actor == "ada"


@pytest.mark.parametrize("log_url", ["memory:"])
async def test_a_fork_of_a_fork_is_of_the_same_line(copy: tuple[Log, Seal], new: Log, place: Place) -> None:
    old, seal = copy
    async with await MemoryLog.open(create="empty") as between:
        await fork(old, between, seal.note, vkeys=place.keys.vkeys, actor="ada")

        await fork(between, new, seal.note, vkeys=place.keys.vkeys, actor="ada")

    assert new.lineage == old.id


async def test_a_fork_is_known_as_one_when_it_is_opened_again(tmp_path: Path, place: Place) -> None:
    url = f"sqlite:///{tmp_path}/fork.db"
    async with await MemoryLog.open() as old, await open_log(url, create="empty") as made:
        seal = await seal_all(old, place)
        await fork(old, made, seal.note, vkeys=place.keys.vkeys, actor="ada")

    async with await open_log(url, writable=False, create=None) as again:
        assert again.lineage == old.id != again.id


@pytest.mark.parametrize("log_url", ["memory:"])
async def test_a_fork_goes_on_and_is_sealed_under_a_name_of_its_own(
    copy: tuple[Log, Seal], new: Log, tmp_path: Path, place: Place
) -> None:
    old, seal = copy
    await fork(old, new, seal.note, vkeys=place.keys.vkeys, actor="ada")
    await grow(new, 4)

    sealed = await seal_all(new, Place("memory:", tmp_path, a_key("example.org/second")))

    assert (sealed.name, sealed.size, sealed.root) == ("example.org/second", 20, await root_of(new, 20))


async def test_snapshots_go_along(place: Place) -> None:
    old, new, letter = MemoryEvidence(), MemoryEvidence(), b"a letter"
    sha256 = hashlib.sha256(letter).hexdigest()
    await old.put(letter, sha256=sha256)
    async with await MemoryLog.open() as log, await MemoryLog.open(create="empty") as made:
        seal = await seal_all(log, place)

        await fork(log, made, seal.note, vkeys=place.keys.vkeys, actor="ada", evidence=(old, new))

    assert await new.get(sha256) == letter


async def test_cosignatures_stay_with_the_checkpoint_and_do_not_fill_the_fact(place: Place) -> None:
    witnesses = [new_key(f"witness.example/{number}", 4) for number in range(40)]
    async with await MemoryLog.open() as log, await MemoryLog.open(create="empty") as made:
        seal = await seal_all(log, place)
        cosigned = seal.note + b"".join(cosign(seal.note, witness, 1) for witness in witnesses)

        await fork(log, made, cosigned, vkeys=place.keys.vkeys, actor="ada")

        (first,) = await everything(made)
    assert isinstance(first.fact, LogOpened) and first.fact.fork == seal.note.decode()


async def test_what_is_no_checkpoint_of_a_log_is_refused(place: Place) -> None:
    async with await MemoryLog.open() as log, await MemoryLog.open(create="empty") as made:
        seal = await seal_all(log, place)
        unsigned = seal.note.partition(b"\n\n")[0] + b"\n\n"
        foreign = unsigned + cosign(seal.note, new_key("witness.example/one", 4), 1)

        for note in (b"", b"a text", unsigned, foreign):
            with pytest.raises(Invalid, match="checkpoint"):
                await fork(log, made, note, vkeys=place.keys.vkeys, actor="ada")

        assert await made.head() == 0


async def test_a_checkpoint_that_no_known_key_of_its_log_has_signed_is_refused(place: Place) -> None:
    forger, other = a_key(), a_key("example.org/other")
    async with await MemoryLog.open() as log, await MemoryLog.open(create="empty") as made:
        seal = await seal_all(log, place)
        forged = forger.sign(format_head(NAME, 99, bytes(32)))
        signature = seal.note.partition(b"\n\n")[2]
        moved = format_head(NAME, 99, bytes(32)).encode() + b"\n" + signature

        for note, vkeys, why in [
            (forged, place.keys.vkeys, "is not signed by a known key"),
            (moved, place.keys.vkeys, "is not signed by a known key"),
            (seal.note, other.vkeys, "no public key of example.org/newsroom is known"),
            (seal.note, (), "--vkey"),
            (seal.note, ["no key"], "--vkey"),
        ]:
            with pytest.raises(Invalid, match=why):
                await fork(log, made, note, vkeys=vkeys, actor="ada")

        assert await made.head() == 0


async def test_a_signature_that_nobody_has_checked_does_not_come_into_the_fact(place: Place) -> None:
    async with await MemoryLog.open() as log, await MemoryLog.open(create="empty") as made:
        seal = await seal_all(log, place)
        stranger = a_key().sign(split_note(seal.note)[0]).partition(b"\n\n")[2]

        await fork(log, made, seal.note + stranger, vkeys=place.keys.vkeys, actor="ada")

        (first,) = await everything(made)
    assert isinstance(first.fact, LogOpened) and first.fact.fork == seal.note.decode()


async def test_an_empty_log_is_not_forked(place: Place) -> None:
    async with await MemoryLog.open() as log, await MemoryLog.open(create="empty") as empty:
        seal = await seal_all(log, place)

        with pytest.raises(Invalid, match="is empty"):
            await fork(empty, empty, seal.note, vkeys=place.keys.vkeys, actor="ada")


async def test_a_log_is_not_forked_into_one_that_holds_something(log: Log, place: Place) -> None:
    seal = await seal_all(log, place)
    async with await MemoryLog.open() as other:
        with pytest.raises(Invalid, match="not empty"):
            await fork(log, other, seal.note, vkeys=place.keys.vkeys, actor="ada")


async def test_a_lineage_has_the_form_of_an_id(place: Place) -> None:
    async with await MemoryLog.open() as log:
        assert log.lineage == log.id
        with pytest.raises(Invalid, match="lineage"):
            first, *_ = await everything(log)
            raw = first.leaf_raw.replace(b'"log":', b'"lineage":"%b","log":' % new_id("log").upper().encode())
            check_form(type(first)(1, raw).leaf, raw)
