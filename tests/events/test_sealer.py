"""The sealer on every engine: what it signs, what it goes on from, what it refuses, and what a crash leaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from events.errors import Busy, Damaged, SealRefused
from events.keys import Keys
from events.log import Log
from events.open import open_log
from events.sealed import Seal, Sealed
from events.tiles import CHECKPOINT, VKEY
from events.tlog import (
    leaf_hash,
    new_key,
    open_checkpoint,
    parse_entry_bundle,
    sign_checkpoint,
    split_note,
    tile_path,
    verify_inclusion,
)
from tests.events.making import everything, next_page, said
from tests.events.sealing import (
    NAME,
    BrokenSeals,
    BrokenTiles,
    HeldSeals,
    HeldTiles,
    LingeringTiles,
    Place,
    a_key,
    as_restored,
    grow,
    root_of,
    seal_all,
    sealed_here,
    sealing,
)


@pytest.fixture
async def place(log_url: str, tmp_path: Path) -> AsyncIterator[Place]:
    """Tiles beside the log, an empty second place, and a new key."""
    made = Place(log_url, tmp_path)
    yield made
    await made.tiles.close()


@pytest.fixture
async def empty(empty_log: Log) -> Log:
    """A log to restore a copy into."""
    return empty_log


# --- signing -----------------------------------------------------------------------------------------


async def test_what_is_signed_is_the_root_over_the_leaves(log: Log, place: Place) -> None:
    await grow(log, 300)

    seal = await seal_all(log, place)

    assert open_checkpoint(seal.note, NAME, list(place.keys.vkeys)) == (301, await root_of(log, 301))
    assert place.last == seal == await place.beside()


async def test_what_is_recorded_is_sealed_while_the_log_grows(log: Log, place: Place) -> None:
    async with sealing(log, place) as sealed:
        for _ in range(5):
            await grow(log, 3)
            head = await log.head()
            seal = await sealed.reached(head, within=10)

            assert seal is not None and seal.root == await root_of(log, seal.size)


async def test_sealing_goes_on_where_it_ended(log: Log, place: Place) -> None:
    await grow(log, 600)
    await seal_all(log, place)
    await grow(log, 500)

    seal = await seal_all(log, place)

    assert (seal.size, seal.root) == (1_101, await root_of(log, 1_101))


async def test_nothing_new_is_nothing_signed_again(log: Log, place: Place) -> None:
    first = await seal_all(log, place)

    assert await seal_all(log, place) == first


async def test_a_log_without_events_is_not_signed(empty: Log, place: Place) -> None:
    async with sealing(empty, place) as sealed:
        assert await sealed.reached(1, within=0.05) is None

    assert place.last is not None and place.last.size == 0  # as it was when signing under this name began


# --- keys ----------------------------------------------------------------------------------------------


async def test_while_two_keys_are_there_a_checkpoint_carries_a_signature_of_each(log: Log, place: Place) -> None:
    old = place.keys
    await seal_all(log, place)
    place.keys = Keys(name=NAME, private=(*old.private, new_key(NAME)))

    async with sealing(log, place) as sealed:
        while len(split_note((await place.beside() or pytest.fail()).note)[1]) < 2:
            await grow(log, 1)
            await sealed.reached(await log.head(), within=10)

    last = place.last
    assert last is not None
    assert [Seal.read(last.note, [vkey]).size for vkey in place.keys.vkeys] == [last.size, last.size]
    assert (await place.tiles.read(VKEY) or b"").decode().split() == list(place.keys.vkeys)


async def test_the_old_key_is_retired_once_the_new_one_has_signed(log: Log, place: Place) -> None:
    place.keys = Keys(name=NAME, private=(*place.keys.private, new_key(NAME)))
    await seal_all(log, place)
    place.keys = Keys(name=NAME, private=place.keys.private[1:])
    await grow(log, 1)

    seal = await seal_all(log, place)

    assert open_checkpoint(seal.note, NAME, list(place.keys.vkeys)) == (2, await root_of(log, 2))


async def test_a_key_that_never_signed_is_refused(log: Log, place: Place) -> None:
    await seal_all(log, place)
    place.keys = a_key()

    with pytest.raises(SealRefused, match="put back the key that signed"):
        await seal_all(log, place)


async def test_a_key_of_another_name_is_refused(log: Log, place: Place) -> None:
    await seal_all(log, place)
    place.keys = a_key("example.org/other")

    with pytest.raises(SealRefused, match=r"example\.org/newsroom"):
        await seal_all(log, place)


# --- forks -----------------------------------------------------------------------------------------------


async def test_an_older_copy_is_refused(log: Log, empty: Log, place: Place) -> None:
    await grow(log, 20)
    seal = await seal_all(log, place)
    await empty.restore(as_restored((await everything(log))[:15]))

    with pytest.raises(SealRefused, match="ends at 15, and 21 events") as refused:
        await seal_all(empty, place)

    assert "verifier fork" in str(refused.value)
    assert place.last == seal


@pytest.mark.parametrize("tiles_too", [True, False])
@pytest.mark.parametrize("common", [15, 300])
async def test_an_older_copy_that_grew_beyond_the_seal_is_refused(
    log: Log, empty: Log, place: Place, common: int, tiles_too: bool
) -> None:
    await grow(log, common + 5)
    seal = await seal_all(log, place)
    await empty.restore(as_restored((await everything(log))[:common]))
    await grow(empty, 600)
    if tiles_too:  # the tiles beside the copy are those of the copy, as a backup of the folder would have them
        async with place.tiles.turn():
            await place.tiles.clear()

    with pytest.raises(SealRefused, match="doesn't continue"):
        await seal_all(empty, place)

    assert place.last == seal


async def test_an_older_copy_that_lost_nothing_that_was_sealed_goes_on(log: Log, empty: Log, place: Place) -> None:
    await grow(log, 300)
    await seal_all(log, place)
    await empty.restore(as_restored(await everything(log)))
    await grow(empty, 10)

    seal = await seal_all(empty, place)

    assert (seal.size, seal.root) == (311, await root_of(empty, 311))


async def test_rewritten_history_is_refused_though_the_real_key_signed_it(
    log: Log, empty: Log, place: Place, tmp_path: Path
) -> None:
    await grow(log, 10)
    seal = await seal_all(log, place)
    await empty.restore(as_restored((await everything(log))[:5]))
    await grow(empty, 20)
    elsewhere = Place("memory:", tmp_path / "elsewhere", place.keys)
    forged = await seal_all(empty, elsewhere)  # whoever has the key can sign it, in a place of his own
    async with place.tiles.turn():
        await place.tiles.write({CHECKPOINT: forged.note})

    place.tiles = LingeringTiles(place.tiles)  # and nobody finds it there until we have said so
    with pytest.raises(SealRefused, match="doesn't continue"):
        await seal_all(empty, place)

    assert place.last == seal


async def test_the_same_history_with_the_real_key_goes_on(log: Log, empty: Log, place: Place, tmp_path: Path) -> None:
    await grow(log, 10)
    await seal_all(log, place)
    await empty.restore(as_restored(await everything(log)))
    await grow(empty, 20)
    elsewhere = Place("memory:", tmp_path / "elsewhere", place.keys)
    ahead = await seal_all(empty, elsewhere)
    async with place.tiles.turn():
        await place.tiles.write({CHECKPOINT: ahead.note})

    assert (await seal_all(empty, place)).root == ahead.root


async def test_a_second_place_that_was_put_back_is_brought_forward(log: Log, place: Place) -> None:
    old = await seal_all(log, place)
    await grow(log, 5)
    new = await seal_all(log, place)
    place.seals.write(NAME, old.note)

    assert await seal_all(log, place) == new == place.last


async def test_a_signature_that_somebody_else_made_meanwhile_ends_sealing(log: Log, place: Place) -> None:
    seed, root = bytes(range(32)), bytes(32)
    with pytest.raises(SealRefused, match="somebody else signs"):
        async with sealing(log, place) as sealed:
            await sealed.reached(1, within=10)
            place.seals.write(NAME, sign_checkpoint(NAME, seed, 1, root))
            await grow(log, 1)
            await sealed.reached(2, within=0.2)


async def test_two_can_not_sign_under_one_name(log: Log, place: Place, tmp_path: Path) -> None:
    other = Place("memory:", tmp_path, place.keys)
    async with await open_log("memory:") as another, sealing(log, place) as sealed:
        await sealed.reached(1, within=10)

        with pytest.raises(Busy, match="another process signs"):
            await seal_all(another, other)


# --- crashes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [False, True], ids=["and it is not there", "but it is there"])
async def test_the_second_place_breaks_while_a_seal_is_kept(
    log: Log, place: Place, tmp_path: Path, after: bool
) -> None:
    first = await seal_all(log, place)
    await grow(log, 300)
    whole, place.seals = place.seals, BrokenSeals(tmp_path / "seals", after=after)
    with pytest.raises(OSError, match="went away"):
        await seal_all(log, place)
    assert await place.beside() == first
    place.seals = whole
    assert (place.last == first) is not after

    seal = await seal_all(log, place)

    assert (seal.size, seal.root) == (301, await root_of(log, 301))
    assert seal == place.last == await place.beside()


@pytest.mark.parametrize("after", [False, True], ids=["and it is not there", "but it is there"])
async def test_the_tiles_break_while_a_seal_is_kept(log: Log, place: Place, after: bool) -> None:
    first = await seal_all(log, place)
    await grow(log, 300)
    whole, place.tiles = place.tiles, BrokenTiles(place.tiles, after=after)
    with pytest.raises(OSError, match="went away"):
        await seal_all(log, place)
    place.tiles = whole
    assert (await place.beside() == first) is not after
    signed = place.last

    assert await seal_all(log, place) == signed == await place.beside()


async def test_a_cancelled_sealer_lets_go_of_the_name_when_the_seal_that_it_is_keeping_is_kept(
    log: Log, place: Place, tmp_path: Path
) -> None:
    place.seals = slow = HeldSeals(tmp_path / "seals")
    running = asyncio.create_task(place.sealer(log, Sealed(log, place.tiles)).run())
    await asyncio.to_thread(slow.begun.wait)

    for _ in range(2):  # cancelled again while it waits
        running.cancel()
        for _ in range(5):
            await asyncio.sleep(0)
    free_before = is_free(place)
    slow.go_on.set()
    await asyncio.wait({running})

    assert running.cancelled()
    assert (free_before, is_free(place)) == (False, True)
    assert place.last is not None


def is_free(place: Place) -> bool:
    """Say whether nobody signs for the name."""
    try:
        with place.seals.hold(NAME):
            return True
    except Busy:
        return False


# --- tiles that are lost or damaged ---------------------------------------------------------------------------


async def test_tiles_that_were_deleted_are_computed_again(log: Log, place: Place) -> None:
    await grow(log, 600)
    seal = await seal_all(log, place)
    tile = await place.tiles.read(tile_path(0, 1))
    async with place.tiles.turn():
        await place.tiles.clear()

    assert await seal_all(log, place) == seal
    assert await place.tiles.read(tile_path(0, 1)) == tile


@pytest.mark.parametrize("damage", [b"", bytes(8192), bytes(100)])
async def test_a_damaged_tile_is_computed_again(log: Log, place: Place, damage: bytes) -> None:
    await grow(log, 600)
    seal = await seal_all(log, place)
    async with place.tiles.turn():
        await place.tiles.write({tile_path(0, 0): damage, CHECKPOINT: b"torn"})

    assert await seal_all(log, place) == seal == await place.beside()
    assert await Sealed(log, place.tiles).tile(0, 0, 256) == b"".join(
        leaf_hash(event.leaf_raw) for event in (await everything(log))[:256]
    )


async def test_a_reader_is_not_misled_by_a_tile_that_is_damaged(log: Log, place: Place) -> None:
    await grow(log, 5_000)  # more than a reader takes from the log alone
    seal = await seal_all(log, place)
    async with place.tiles.turn():
        await place.tiles.write({tile_path(0, 1): bytes(8192)})
    reader = Sealed(log, place.tiles)

    assert await reader.seal() == seal
    for inclusion in await reader.inclusions(seal, [1, 300, 5_001]):
        verify_inclusion(inclusion.index, seal.size, leaf_hash(inclusion.leaf), inclusion.proof, seal.root)


async def test_a_reader_refuses_a_log_that_does_not_give_the_root_that_was_signed(
    log: Log, empty: Log, place: Place
) -> None:
    await grow(log, 300)
    await seal_all(log, place)
    await empty.restore(as_restored((await everything(log))[:5]))
    await grow(empty, 400)

    with pytest.raises(Damaged, match="don't give the root"):
        await Sealed(empty, place.tiles).seal()


async def test_a_tile_that_a_reader_mended_while_others_were_kept_is_kept_with_the_next(log: Log, place: Place) -> None:
    await grow(log, 600)
    await seal_all(log, place)  # so that the next who seals has no tile in memory
    whole, place.tiles = place.tiles, (held := HeldTiles(place.tiles, "write", tile_path(0, 2)))
    async with sealing(log, place) as sealed:
        await sealed_here(sealed, 601)
        await whole.write({tile_path(0, 0): bytes(8192)})
        await grow(log, 200)
        await held.begun.wait()
        mended = await sealed.tile(0, 0, 256)
        held.go_on.set()
        await sealed.reached(801, within=10)
        await grow(log, 1)
        await sealed.reached(802, within=10)

    assert mended == await whole.read(tile_path(0, 0)) != bytes(8192)


# --- reading ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 700])
async def test_every_event_has_a_proof(log: Log, place: Place, size: int) -> None:
    await grow(log, size - 1)
    seal = await seal_all(log, place)
    reader = Sealed(log, place.tiles)  # as another process reads
    events = await everything(log)
    positions = sorted({1, 2, size // 2, size - 1, size} & set(range(1, size + 1)))

    inclusions = await reader.inclusions(await reader.seal() or pytest.fail(), positions)

    for position, inclusion in zip(positions, inclusions, strict=True):
        assert inclusion.leaf == events[position - 1].leaf_raw
        verify_inclusion(inclusion.index, seal.size, leaf_hash(inclusion.leaf), inclusion.proof, seal.root)


async def test_tiles_and_bundles_reach_as_far_as_the_seal(log: Log, place: Place) -> None:
    await grow(log, 299)
    await seal_all(log, place)
    await grow(log, 300)
    reader = Sealed(log, place.tiles)
    leaves = [event.leaf_raw for event in await everything(log)]

    assert await reader.tile(0, 1, 44) == b"".join(map(leaf_hash, leaves[256:300]))
    assert await reader.tile(0, 1, 45) is None
    assert await reader.tile(0, 2, 1) is None
    assert await reader.tile(1, 0, 2) is None
    assert len(await reader.tile(1, 0, 1) or b"") == 32
    assert parse_entry_bundle(await reader.entries(1, 44) or b"") == leaves[256:300]
    assert await reader.entries(1, 45) is None


async def test_a_reader_follows_what_another_process_seals(log: Log, place: Place) -> None:
    reader = Sealed(log, place.tiles)
    assert await reader.seal() is None
    for _ in range(3):
        await grow(log, 400)
        seal = await seal_all(log, place)

        assert await reader.seal() == seal
        assert len(await reader.tile(0, seal.size // 256, seal.size % 256) or b"") == seal.size % 256 * 32


async def test_a_log_that_is_not_what_was_sealed_gives_no_proof(log: Log, empty: Log, place: Place) -> None:
    await grow(log, 600)
    await seal_all(log, place)
    events = await everything(log)
    await empty.restore(as_restored([*events[:5], events[6], events[5], *events[7:]]))
    reader = Sealed(empty, place.tiles)
    seal = await reader.seal() or pytest.fail()

    assert [inclusion.index for inclusion in await reader.inclusions(seal, [5, 200])] == [4, 199]
    with pytest.raises(Damaged, match="position 7"):
        await reader.inclusions(seal, [7])
    with pytest.raises(Damaged, match="position 6: the leaf"):
        await reader.entries(0, 50)


async def test_a_read_that_has_begun_ends_though_sealing_does(log: Log, place: Place) -> None:
    await grow(log, 600)
    await seal_all(log, place)
    place.tiles = held = HeldTiles(place.tiles, "read")
    async with sealing(log, place) as sealed:
        seal = await sealed_here(sealed, 601)
        held.slow = tile_path(0, 0)
        reading = asyncio.create_task(sealed.inclusions(seal, [1]))
        await held.begun.wait()
    held.go_on.set()

    (inclusion,) = await reading
    verify_inclusion(0, seal.size, leaf_hash(inclusion.leaf), inclusion.proof, seal.root)
    assert (await sealed.inclusions(seal, [1]))[0] == inclusion  # begun afterwards
    with pytest.raises(Busy, match="ask again"):
        await Sealed(log, place.tiles).hashes(0, 0, 1)  # nothing is known there yet


async def test_who_waits_for_a_seal_gets_that_of_the_next_who_seals(log: Log, place: Place) -> None:
    async with sealing(log, place) as sealed:
        await sealed.reached(1, within=10)
        waiting = asyncio.create_task(sealed.reached(3, within=10))
        await asyncio.sleep(0)
    await grow(log, 2)
    seal = await seal_all(log, place)

    assert await waiting == seal


async def test_a_subscription_is_left_when_sealing_ends(log: Log, place: Place) -> None:
    async with sealing(log, place) as sealed:
        await sealed.reached(1, within=10)

    await log.append([said()])
    pages = log.subscribe(after=1)
    assert len(await next_page(pages) or ()) == 1
    await pages.aclose()  # type: ignore[attr-defined]  # a generator
