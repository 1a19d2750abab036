"""Where tiles are kept, on every engine, and the right edge of the tree that they make."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path

import pytest

from events.edge import Edge, tile_root
from events.errors import Busy, Invalid
from events.log import Log
from events.open import tiles_of
from events.tiles import CHECKPOINT, FileTiles, Tiles
from events.tlog import Frontier, tile_path
from tests.events.sealing import cut_off
from tests.postgres import Server


@pytest.fixture
async def tiles(log: Log, log_url: str) -> AsyncIterator[Tiles]:
    """The tiles beside a log: none yet."""
    made = tiles_of(log_url)
    yield made
    await made.close()


async def test_what_was_kept_is_read_again(tiles: Tiles) -> None:
    async with tiles.turn():
        await tiles.write({tile_path(0, 0): b"one", tile_path(0, 1_234_067): b"two"})
        await tiles.write({tile_path(0, 0): b"three", CHECKPOINT: b"four"})

    kept = [await tiles.read(path) for path in (tile_path(0, 0), "tile/0/x001/x234/067", CHECKPOINT, "log/vkey")]
    assert kept == [b"three", b"two", b"four", None]


async def test_where_nothing_was_ever_kept_nothing_is_found(tiles: Tiles) -> None:
    assert await tiles.read(CHECKPOINT) is None


async def test_everything_can_be_removed(tiles: Tiles) -> None:
    async with tiles.turn():
        await tiles.write({CHECKPOINT: b"one"})
        await tiles.clear()

        assert await tiles.read(CHECKPOINT) is None


async def test_a_folder_of_tiles_can_be_served_as_it_is(tmp_path: Path) -> None:
    await FileTiles(tmp_path / "newsroom.tiles").write({tile_path(0, 1_000): b"one"})

    path = tmp_path / "newsroom.tiles" / "tile" / "0" / "x001" / "000"
    assert path.read_bytes() == b"one"
    assert path.stat().st_mode & 0o777 == 0o644
    assert [found.name for found in path.parent.iterdir()] == ["000"]


def test_a_url_that_names_no_log_has_no_tiles() -> None:
    with pytest.raises(Invalid, match="does not name a log"):
        tiles_of("nowhere:")


# --- turns, where several processes may write ------------------------------------------------------------


async def test_one_process_has_the_turn_and_the_next_waits(postgres: Server, postgres_url: str) -> None:
    one, two = tiles_of(postgres_url), tiles_of(postgres_url)
    order: list[str] = []

    async def wait() -> None:
        async with two.turn(lambda: order.append("waits")):
            order.append("two")
            await two.write({CHECKPOINT: b"two"})

    async with one.turn():
        waiting = asyncio.create_task(wait())
        while not order:  # noqa: ASYNC110  # the server tells nobody
            await asyncio.sleep(0)
        await one.write({CHECKPOINT: b"one"})
        order.append("one")
    await waiting

    assert (order[0], list(dict.fromkeys(order))) == ("waits", ["waits", "one", "two"])
    assert await one.read(CHECKPOINT) == b"two"
    await one.close()


async def test_who_was_cut_off_has_lost_the_turn_and_writes_nothing(postgres: Server, postgres_url: str) -> None:
    one, two = tiles_of(postgres_url), tiles_of(postgres_url)
    with pytest.raises(Busy, match="the turn at sealing"):
        async with one.turn() as lost:
            await one.write({CHECKPOINT: b"one"})
            assert not lost.done()
            await cut_off(postgres)
            assert isinstance(await lost, Busy)
            async with two.turn():
                await two.write({CHECKPOINT: b"two"})
            await one.write({CHECKPOINT: b"late"})

    assert await two.read(CHECKPOINT) == b"two"
    await two.close()


async def test_a_connection_for_reading_that_was_lost_is_made_again(postgres: Server, postgres_url: str) -> None:
    tiles = tiles_of(postgres_url)
    async with tiles.turn():
        await tiles.write({CHECKPOINT: b"one"})
    assert await tiles.read(CHECKPOINT) == b"one"

    await cut_off(postgres)

    assert await tiles.read(CHECKPOINT) == b"one"
    await tiles.close()


# --- the edge --------------------------------------------------------------------------------------------


def hashes(count: int) -> list[bytes]:
    """Hashes to build a tree of."""
    return [sha256(b"%d" % number).digest() for number in range(count)]


@pytest.mark.parametrize("size", [1, 2, 3, 255, 256, 257, 511, 512, 1_000, 65_535, 65_536, 65_537])
async def test_the_edge_has_the_root_of_the_tree_and_is_loaded_from_its_tiles(size: int) -> None:
    leaves = hashes(size)
    frontier, edge = Frontier(), Edge()
    for leaf in leaves:
        frontier.append(leaf)

    full = edge.add(leaves)

    async def leaf_hashes(begin: int, end: int) -> list[bytes]:
        return leaves[begin:end]

    async def full_tile(level: int, n: int) -> bytes:
        return full[level, n]

    loaded = await Edge.load(size, leaf_hashes, full_tile)
    assert edge.root() == loaded.root() == frontier.root()
    assert len(full) == size // 256 + size // 65_536
    grown = edge.grown(hashes(300))
    assert (edge.size, edge.root()) == (size, frontier.root())  # this one stayed as it was
    assert loaded.add(hashes(300)) == edge.add(hashes(300))
    assert grown.root() == edge.root()
    assert loaded.root() == edge.root()


def test_a_full_tile_is_the_hashes_of_its_leaves_and_its_root_goes_up() -> None:
    leaves = hashes(256)
    edge = Edge()

    full = edge.add(leaves)

    assert full == {(0, 0): b"".join(leaves)}
    assert edge.partial(1, 0, 1) == tile_root(b"".join(leaves)) == edge.root()


def test_the_edge_gives_the_beginning_of_its_last_tiles_and_nothing_else() -> None:
    leaves = hashes(300)
    edge = Edge()
    edge.add(leaves)

    assert edge.partial(0, 1, 44) == b"".join(leaves[256:])
    assert edge.partial(0, 1, 2) == b"".join(leaves[256:258])
    assert [edge.partial(*tile) for tile in [(0, 1, 45), (0, 0, 256), (0, 2, 1), (1, 1, 1), (2, 0, 1)]] == [None] * 5
