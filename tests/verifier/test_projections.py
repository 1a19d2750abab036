"""The views: always what a fresh replay gives, whatever happens while they follow."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from keeping import built_anew, rows
from newsroom import Newsroom, improvise
from sqlalchemy import inspect, select, update

from events.contracts import ClaimCorroborated, ClaimLinked, PolicyAdopted
from events.log import Log
from events.memory import MemoryLog
from events.open import open_log
from verifier.adopted import Adopted
from verifier.projections import Views
from verifier.projections.database import Database
from verifier.projections.generation import Generation, Overtaken
from verifier.projections.sqlite import SqlitePlace
from verifier.rebuilding import Rebuilding
from verifier.replay import replay
from verifier.tables import VERSION, TableSet, views


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where the views are."""
    return tmp_path / "newsroom.views.db"


@asynccontextmanager
async def opened(place: Path | None, log: Log) -> AsyncIterator[Views]:
    """Views that are open and don't follow."""
    opened = await Views.open(SqlitePlace(place), log, await Adopted.read(log))
    try:
        yield opened
    finally:
        await opened.close()


@asynccontextmanager
async def following(place: Path | None, log: Log) -> AsyncIterator[Views]:
    """Views that follow the log."""
    async with opened(place, log) as following:
        run = asyncio.create_task(following.run())
        try:
            yield following
        finally:
            run.cancel()
            await asyncio.gather(run, return_exceptions=True)
    assert following.error is None


@pytest.mark.parametrize("seed", range(6))
async def test_views_that_followed_equal_views_built_anew(log: Log, place: Path, seed: int) -> None:
    newsroom = Newsroom(log)

    async with following(place, log) as views:
        await improvise(newsroom, random.Random(seed), 120)
        assert await views.reached(await log.head(), 10)

        assert await rows(views) == await built_anew(log)


@pytest.mark.parametrize("seed", range(3))
async def test_every_claim_stands_as_a_replay_says(log: Log, seed: int) -> None:
    await improvise(Newsroom(log), random.Random(seed), 150)

    async with opened(None, log) as views:
        await views.catch_up()
        held = await views.read(lambda reading: reading.connection.execute(select(reading.tables.claims)).all())

    replayed = await replay(log)
    assert {row.id: row.computed for row in held} == {
        id: msgspec.json.encode(replayed.assess(id), order="sorted") for id in replayed.folded
    }


@pytest.mark.parametrize("seed", range(4))
async def test_changes_are_the_same_however_the_log_is_paged(seed: int) -> None:
    log = await MemoryLog.open()
    dice = random.Random(seed)
    await improvise(Newsroom(log), dice, 150)
    events = [event async for page in log.read_all() for event in page]
    whole = await built_anew(log)

    async with opened(None, log) as views:
        while events:
            pages = []
            while events and (not pages or dice.random() < 0.6):
                size = dice.randrange(1, 40)
                pages.append(events[:size])
                events = events[size:]
            await views._take(pages)
            if dice.random() < 0.3:
                views._active.forget()

        assert await rows(views) == whole


# --- the checkpoint --------------------------------------------------------------------------------


async def test_of_two_owners_only_one_moves_the_checkpoint(place: Path) -> None:
    log = await MemoryLog.open()
    newsroom = Newsroom(log)
    await newsroom.say(await newsroom.claim("The letter is authentic"), "AFP")
    page = [event async for page in log.read_all() for event in page]
    adopted = await Adopted.read(log)

    async with opened(place, log):
        database = Database(SqlitePlace(place))
        first, second = Generation(TableSet(1), 0, None), Generation(TableSet(1), 0, None)
        await first.take([page], log, adopted, database)
        with pytest.raises(Overtaken):
            await second.take([page], log, adopted, database)
        await database.close()

    async with opened(place, log) as views:
        assert await rows(views) == await built_anew(log)


async def test_views_whose_checkpoint_was_moved_go_on_from_it(place: Path) -> None:
    log = await MemoryLog.open()
    newsroom = Newsroom(log)
    claim = await newsroom.claim("The letter is authentic")

    async with following(place, log) as views, opened(place, log) as other:
        assert await views.reached(2, 10)
        other._active = Generation(TableSet(1), views.position, views.recorded_at)
        await newsroom.say(claim, "AFP")
        await asyncio.gather(other.catch_up(), views.reached(3, 10), return_exceptions=True)
        await newsroom.say(claim, "Reuters", ClaimCorroborated)

        assert await views.reached(4, 10)
        assert await rows(views) == await built_anew(log)


@pytest.mark.parametrize("steps", range(0, 40, 3))
async def test_a_page_that_is_cancelled_leaves_rows_and_checkpoint_in_step(place: Path, steps: int) -> None:
    log = await MemoryLog.open()
    await improvise(Newsroom(log), random.Random(7), 40)

    async with opened(place, log) as views:
        taking = asyncio.create_task(views.catch_up())
        for _ in range(steps):
            await asyncio.sleep(0)
        taking.cancel()
        await asyncio.gather(taking, return_exceptions=True)

        held = await rows(views)
        assert held == await built_anew(log, upto=held["position"])
        await views.catch_up()
        assert await rows(views) == await built_anew(log)


async def test_views_that_meet_a_policy_they_do_not_know_stop_and_say_why(place: Path) -> None:
    log = await MemoryLog.open()
    newsroom = Newsroom(log)
    await newsroom.claim("The letter is authentic")

    async with opened(place, log) as views:
        await views.catch_up()
        await newsroom.record("log", PolicyAdopted(digest="0" * 64, policy="later/7"))
        await asyncio.wait_for(views.run(), 10)

        assert "later/7" in (views.error or "")
        assert (await rows(views))["position"] == 2
        assert not await views.reached(3, 10)


async def test_a_damaged_file_of_views_is_made_anew_when_it_is_opened(log: Log, tmp_path: Path) -> None:
    place = tmp_path / "newsroom.views.db"
    await improvise(Newsroom(log), random.Random(3), 60)
    async with opened(place, log) as views:
        await views.catch_up()
    with place.open("r+b") as file:
        file.seek(8_192)
        file.write(b"\xff" * 8_192)

    async with opened(place, log) as views:
        begun = views.position
        await views.catch_up()

        assert begun == 0
        assert await rows(views) == await built_anew(log)


async def test_views_without_room_say_so_and_go_on_when_there_is_some(log: Log, tmp_path: Path) -> None:
    newsroom = Newsroom(log)
    async with following(tmp_path / "newsroom.views.db", log) as views:
        await views.reached(await log.head(), 10)
        # A full disk, as SQLite itself makes one: no page more than there are.
        pages = await views._database.write(lambda c: c.exec_driver_sql("PRAGMA page_count").scalar_one())
        await views._database.write(lambda c: c.exec_driver_sql(f"PRAGMA max_page_count={pages}").scalar_one())
        await improvise(newsroom, random.Random(4), 200)

        full = await views.reached(await log.head(), 10)
        said = views.error or ""
        await views._database.write(lambda c: c.exec_driver_sql("PRAGMA max_page_count=1000000").scalar_one())
        while not await views.reached(await log.head(), 10):
            await views.moved(views.position, 0.1)

        assert (full, "make room" in said) == (False, True)
        assert views.error is None
        assert await rows(views) == await built_anew(log)


async def test_a_rebuild_that_fails_says_so_and_the_views_go_on_serving(log: Log, tmp_path: Path) -> None:
    newsroom = Newsroom(log)
    await improvise(newsroom, random.Random(5), 60)
    async with following(tmp_path / "newsroom.views.db", log) as views:
        await views.reached(await log.head(), 10)
        pages = await views._database.write(lambda c: c.exec_driver_sql("PRAGMA page_count").scalar_one())
        await views._database.write(lambda c: c.exec_driver_sql(f"PRAGMA max_page_count={pages}").scalar_one())
        rebuilding = Rebuilding(views)

        rebuilding.start()
        await asyncio.wait_for(rebuilding.ended(), 10)

        assert "the rebuild failed" in (rebuilding.failure or "")
        assert await rows(views) == await built_anew(log)


# --- rebuilding ------------------------------------------------------------------------------------


async def test_a_rebuild_goes_on_while_facts_are_recorded_and_read(log: Log, place: Path) -> None:
    newsroom = Newsroom(log)
    await improvise(newsroom, random.Random(1), 60)
    told: list[int] = []

    async with following(place, log) as views:
        await views.reached(await log.head(), 10)
        positions = [views.position]

        async def read_on() -> None:
            while not rebuilt.done():
                held = await rows(views)
                assert {claim[2] for claim in held["claims"]} and max(c[2] for c in held["claims"]) <= held["position"]
                positions.append(held["position"])

        rebuilt = asyncio.create_task(views.rebuild(lambda position, head: told.append(position)))
        await asyncio.gather(rebuilt, read_on(), improvise(newsroom, random.Random(2), 60))
        assert await views.reached(await log.head(), 10)

        assert positions == sorted(positions)
        assert told == sorted(told) and told[-1] > 60
        assert await rows(views) == await built_anew(log)
        generation = await views.read(lambda reading: reading.at.generation)
        assert generation == 2


async def test_a_rebuild_leaves_only_the_new_tables(place: Path) -> None:
    log = await MemoryLog.open()

    async with opened(place, log) as views:
        await views.rebuild()
        names = await views.read(lambda reading: inspect(reading.connection).get_table_names())

    assert "claims_2" in names
    assert not [name for name in names if name.endswith("_1")]


async def test_views_of_another_content_serve_until_new_ones_are_built(place: Path) -> None:
    log = await MemoryLog.open()
    newsroom = Newsroom(log)
    await newsroom.claim("The letter is authentic")
    async with opened(place, log) as old:
        await old.catch_up()
    await _set(place, version=VERSION + "-before")

    async with opened(place, log) as served:
        assert served.position == 2
        assert served.outdated
        await served.rebuild()
        assert await rows(served) == await built_anew(log)
    async with opened(place, log) as views:
        assert not views.outdated


@pytest.mark.parametrize("changed", [{"version": "0.1"}, {"log": "log_aaaaaaaaaaaaaaaaaaaaaaaaaa"}, {"position": 99}])
async def test_views_that_cannot_be_of_this_log_and_code_are_made_anew(place: Path, changed: dict[str, Any]) -> None:
    log = await MemoryLog.open()
    await Newsroom(log).claim("The letter is authentic")
    async with opened(place, log) as old:
        await old.catch_up()
    await _set(place, **changed)

    async with opened(place, log) as views:
        assert views.position == 0
        await views.catch_up()
        assert await rows(views) == await built_anew(log)


async def test_a_file_that_is_not_views_is_made_anew(place: Path) -> None:
    log = await MemoryLog.open()
    _overwrite(place)

    async with opened(place, log) as views:
        await views.catch_up()
        assert await rows(views) == await built_anew(log)


async def test_the_file_may_be_deleted_between_two_runs(place: Path) -> None:
    log = await MemoryLog.open()
    await improvise(Newsroom(log), random.Random(3), 30)
    async with following(place, log) as views:
        await views.reached(await log.head(), 10)
    _delete(place)

    async with following(place, log) as views:
        assert await views.reached(await log.head(), 10)
        assert await rows(views) == await built_anew(log)


def _overwrite(place: Path) -> None:
    place.write_bytes(b"this was never a database, and it is long enough to be looked at" * 100)


def _delete(place: Path) -> None:
    place.unlink()


async def _set(place: Path, **values: Any) -> None:
    database = Database(SqlitePlace(place))
    await database.write(lambda connection: connection.execute(update(views).values(**values)))
    await database.close()


# --- erasing ---------------------------------------------------------------------------------------


async def test_an_erased_text_is_gone_from_the_bytes_of_the_views(tmp_path: Path, place: Path) -> None:
    async with await open_log(f"sqlite:///{tmp_path}/newsroom.db") as log:
        newsroom = Newsroom(log)
        claim = await newsroom.claim("The wording that has to go")
        other = await newsroom.claim("Another wording")
        event = await newsroom.say(claim, "Jane Whistleblower", origin="what Jane saw", via=["AFP"])
        registered = (await log.read(f"claim:{claim}").__anext__())[0].id
        await newsroom.deny(other, "Mark Esper")

        async with following(place, log) as views:
            await views.reached(await log.head(), 10)
            assert _bytes_of(place, "Jane") and _bytes_of(place, "has to go")
            await newsroom.erase(f"claim:{claim}", event, "identity")
            assert await views.reached(await log.head(), 10)  # else both may be taken, and counted, at once
            await newsroom.erase(f"claim:{claim}", registered, "wording")
            assert await views.reached(await log.head(), 10)

            assert not _bytes_of(place, "Jane")
            assert not _bytes_of(place, "has to go")
            assert _bytes_of(place, "Another wording")
            assert views.erasures == 2
            assert await rows(views) == await built_anew(log)


async def test_a_text_that_was_read_before_it_was_erased_is_in_no_row() -> None:
    log = await MemoryLog.open()
    newsroom = Newsroom(log)
    claim = await newsroom.claim("The letter is authentic")
    said = await newsroom.say(claim, "Jane Whistleblower")
    await newsroom.source("Jane Doe")
    read = [event async for page in log.read_all() for event in page]
    await newsroom.erase(f"claim:{claim}", said, "identity")
    await newsroom.erase(read[-1].stream, read[-1].id, "identity")
    read += [event async for page in log.read_all(after=len(read)) for event in page]

    async with opened(None, log) as views:
        await views._take([read])

        held = await rows(views)
        assert "Jane" not in str(held)
        assert held == await built_anew(log)


async def test_a_link_that_is_taken_together_with_an_erasure_has_its_row() -> None:
    log = await MemoryLog.open()
    newsroom = Newsroom(log)
    claim, other = await newsroom.claim("The letter is authentic"), await newsroom.claim("The letter is forged")
    said = await newsroom.say(claim, "AFP")
    pages = [[event async for page in log.read_all() for event in page]]
    await newsroom.record(f"claim:{claim}", ClaimLinked(kind="contradicts", to=other))
    pages += [[event async for page in log.read_all(after=4) for event in page]]
    await newsroom.erase(f"claim:{claim}", said, "wording")
    pages += [[event async for page in log.read_all(after=5) for event in page]]

    async with opened(None, log) as views:
        await views._take(pages[:1])
        await views._take(pages[1:])

        assert await rows(views) == await built_anew(log)


def _bytes_of(place: Path, text: str) -> bool:
    return any(text.encode() in file.read_bytes() for file in place.parent.glob(place.name + "*"))


# --- waiting ---------------------------------------------------------------------------------------


async def test_who_waits_is_told_when_the_views_have_come_so_far(place: Path) -> None:
    log = await MemoryLog.open()

    async with following(place, log) as views:
        waiting = asyncio.create_task(views.reached(2, 10))
        await Newsroom(log).claim("The letter is authentic")

        assert await waiting
        assert not await views.reached(3, 0.01)


async def test_a_change_is_written_only_where_a_status_or_a_verdict_changed() -> None:
    log = await MemoryLog.open()
    newsroom = Newsroom(log)
    claim = await newsroom.claim("The United States plans to withdraw")
    await newsroom.say(claim, "AFP")
    await newsroom.say(claim, "AFP")
    await newsroom.say(claim, "Reuters", ClaimCorroborated)
    await newsroom.adjudicate(claim, status="corroborated")
    await newsroom.deny(claim, "Mark Esper")

    held = await built_anew(log)

    assert [(change[0], change[4], change[5], change[8]) for change in held["changes"]] == [
        (3, "unassessed", "asserted", False),
        (5, "asserted", "corroborated", False),
        (6, "corroborated", "corroborated", False),
        (7, "corroborated", "denied", True),
    ]
