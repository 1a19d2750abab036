"""Publishing: a folder that any tlog-tiles client can follow, never ahead of its files, and without a text."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from newsroom import Newsroom
from tampering import found

from events.audit import Trust
from events.errors import Busy, Damaged, Invalid
from events.log import Log
from events.open import open_log, tiles_of
from events.publish import Published, publish, publish_texts
from events.tlog import (
    leaf_hash,
    open_checkpoint,
    parse_entry_bundle,
    prove_inclusion,
    root_at,
    tile_path,
    verify_inclusion,
)
from tests.events.sealing import NAME, HeldTiles, Place, a_key, grow, seal_all


async def published(log: Log, place: Place, folder: Path) -> Published:
    """Seal all of a log and publish it."""
    await seal_all(log, place)
    return await publish(log, place.tiles, folder)


def files(folder: Path) -> set[str]:
    """The paths of everything in a folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def place(log_url: str, tmp_path: Path) -> Place:
    """What sealing needs, on every engine."""
    return Place(log_url, tmp_path)


async def test_a_client_of_tiles_follows_the_folder_with_nothing_else(log: Log, place: Place, tmp_path: Path) -> None:
    await grow(log, 300)
    done = await published(log, place, tmp_path / "public")

    def read_tile(level: int, n: int, width: int) -> bytes:
        return (tmp_path / "public" / tile_path(level, n, width)).read_bytes()

    size, root = open_checkpoint((tmp_path / "public/checkpoint").read_bytes(), NAME, place.keys.vkeys)
    last = parse_entry_bundle((tmp_path / "public/tile/entries/001.p/45").read_bytes())[-1]
    verify_inclusion(300, size, leaf_hash(last), prove_inclusion(300, size, read_tile), root)
    assert (done.size, done.root, root_at(size, read_tile)) == (301, root.hex(), root)
    await place.tiles.close()


async def test_publishing_again_writes_what_is_new_and_lets_partial_files_go(
    log: Log, place: Place, tmp_path: Path
) -> None:
    folder = tmp_path / "public"
    await grow(log, 19)
    first = await published(log, place, folder)
    same = await publish(log, place.tiles, folder)
    await grow(log, 280)
    second = await published(log, place, folder)

    assert (first.size, first.files, same.files, second.size) == (20, 4, 2, 300)
    assert files(folder) == {
        "checkpoint", "log/vkey", "tile/0/000", "tile/0/001.p/44", "tile/1/000.p/1",
        "tile/entries/000", "tile/entries/001.p/44",
    }  # fmt: skip
    await place.tiles.close()


async def test_what_a_reader_finds_under_an_older_checkpoint_stays_until_the_full_file_is_there(
    log: Log, place: Place, tmp_path: Path
) -> None:
    folder = tmp_path / "public"
    await grow(log, 19)
    await published(log, place, folder)
    await grow(log, 20)

    await published(log, place, folder)

    assert {"tile/0/000.p/20", "tile/0/000.p/40", "tile/entries/000.p/20"} <= files(folder)
    await place.tiles.close()


async def test_cut_short_the_checkpoint_is_the_old_one_and_publishing_goes_on(
    log: Log, place: Place, tmp_path: Path
) -> None:
    folder = tmp_path / "public"
    await grow(log, 300)
    await published(log, place, folder)
    before = (folder / "checkpoint").read_bytes()
    await grow(log, 300)
    await seal_all(log, place)

    with pytest.raises(OSError, match="cut"):
        await publish(log, place.tiles, folder, progress=_cut)
    cut = (folder / "checkpoint").read_bytes()
    (folder / "tile/entries/001").write_bytes(b"torn by a power cut")
    done = await publish(log, place.tiles, folder)

    assert cut == before
    assert done.size == 601
    assert await asyncio.to_thread(found, str(folder), Trust(vkeys=place.keys.vkeys)) == []
    await place.tiles.close()


async def test_no_file_takes_its_name_before_it_is_on_the_disk(
    log: Log, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whatever is under its name when the power goes must be whole: the full tile is read before the part of it.
    on_disk: set[str] = set()
    early: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def synced(descriptor: int) -> None:
        fsync(descriptor)
        on_disk.add(str(Path(f"/dev/fd/{descriptor}").resolve()))

    def renamed(part: Path, target: Path) -> Path:
        if str(part.resolve()) not in on_disk:
            early.append(str(target))
        return replace(part, target)

    await grow(log, 300)
    await seal_all(log, place)
    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    await publish(log, place.tiles, tmp_path / "public")

    assert early == []
    await place.tiles.close()


def _cut(done: int, total: int) -> None:
    if done > 500:
        raise OSError("cut short")


async def test_one_publishes_into_a_folder_at_a_time(log: Log, place: Place, tmp_path: Path) -> None:
    folder = tmp_path / "public"
    await grow(log, 300)
    await seal_all(log, place)
    held = HeldTiles(place.tiles, "read", tile_path(0, 0))
    one = asyncio.create_task(publish(log, held, folder))
    await held.begun.wait()

    with pytest.raises(Busy, match="another process publishes"):
        await publish(log, place.tiles, folder)
    held.go_on.set()

    assert (await one).size == (await publish(log, place.tiles, folder)).size == 301
    await place.tiles.close()


async def test_it_publishes_into_a_folder_of_its_own(log: Log, place: Place, tmp_path: Path) -> None:
    folder = tmp_path / "public"
    folder.mkdir()
    (folder / "texts.jsonl").write_text("not for everyone")
    await grow(log, 3)

    with pytest.raises(Invalid, match=r"texts\.jsonl"):
        await published(log, place, folder)

    assert files(folder) == {"texts.jsonl"}
    await place.tiles.close()


async def test_a_first_time_that_was_killed_as_it_wrote_the_checkpoint_goes_on(
    log: Log, place: Place, tmp_path: Path
) -> None:
    folder = tmp_path / "public"
    folder.mkdir()
    (folder / ".checkpoint.k3j2h1g0").write_text("example.org/newsr")
    await grow(log, 3)

    await published(log, place, folder)

    assert await asyncio.to_thread(found, str(folder), Trust(vkeys=place.keys.vkeys)) == []
    await place.tiles.close()


async def test_a_file_that_was_lost_is_put_back(log: Log, place: Place, tmp_path: Path) -> None:
    folder = tmp_path / "public"
    await grow(log, 300)
    await published(log, place, folder)
    (folder / "tile/0/000").unlink()
    (folder / "tile/entries/000").unlink()

    await publish(log, place.tiles, folder)

    assert await asyncio.to_thread(found, str(folder), Trust(vkeys=place.keys.vkeys)) == []
    await place.tiles.close()


async def test_nothing_is_published_that_does_not_go_on_from_what_is(log: Log, place: Place, tmp_path: Path) -> None:
    folder = tmp_path / "public"
    with pytest.raises(Invalid, match="sealed yet"):
        await publish(log, place.tiles, folder)
    async with await open_log(f"sqlite:///{tmp_path}/another.db") as another:
        elsewhere = Place(another.url, tmp_path / "another", place.keys)
        await grow(another, 9)
        await published(another, elsewhere, folder)
    await grow(log, 5)
    await seal_all(log, place)
    with pytest.raises(Invalid, match="behind"):
        await publish(log, place.tiles, folder)
    await grow(log, 10)
    await seal_all(log, place)

    with pytest.raises(Invalid, match="another history"):
        await publish(log, place.tiles, folder)
    await place.tiles.close()


async def test_another_key_does_not_publish_into_the_folder(log: Log, place: Place, tmp_path: Path) -> None:
    await grow(log, 5)
    await published(log, place, tmp_path / "public")
    async with await open_log(f"sqlite:///{tmp_path}/another.db") as another:
        elsewhere = Place(another.url, tmp_path / "another", a_key("example.org/another"))
        await seal_all(another, elsewhere)

        with pytest.raises(Invalid, match="another folder"):
            await publish(another, elsewhere.tiles, tmp_path / "public")
    await place.tiles.close()


async def test_no_text_is_published_and_the_texts_are_for_their_owner_only(
    log: Log, place: Place, tmp_path: Path
) -> None:
    folder, texts = tmp_path / "public", tmp_path / "texts.jsonl"
    newsroom = Newsroom(log)
    claim = await newsroom.claim("A sentence that nobody may read there")
    await newsroom.say(claim, "A protected name", quote="Words of a protected name")
    done = await published(log, place, folder)
    await publish_texts(log, texts, size=done.size, published=folder)

    everything = b"".join((folder / path).read_bytes() for path in files(folder))
    assert b"nobody may read" not in everything and b"protected" not in everything
    assert b"nobody may read" in texts.read_bytes() and texts.stat().st_mode & 0o077 == 0
    with pytest.raises(Invalid, match="not for everyone"):
        await publish_texts(log, folder / "texts.jsonl", size=done.size, published=folder)
    await place.tiles.close()


async def test_a_log_that_is_not_what_was_sealed_is_not_published(tmp_path: Path) -> None:
    import sqlite3

    url = f"sqlite:///{tmp_path}/newsroom.db"
    place = Place(url, tmp_path)
    async with await open_log(url) as log:
        await grow(log, 300)
        await seal_all(log, place)
    with sqlite3.connect(tmp_path / "newsroom.db") as connection:
        connection.execute("DROP TRIGGER events_are_final")
        connection.execute("UPDATE events SET leaf = CAST(leaf || ' ' AS BLOB) WHERE position = 40")
    connection.close()

    async with await open_log(url, writable=False) as log:
        with pytest.raises(Damaged, match="position 40"):
            await publish(log, tiles_of(url), tmp_path / "public")

    assert not (tmp_path / "public/checkpoint").exists()
