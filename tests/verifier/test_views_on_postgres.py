"""Views that several processes have open: one keeps them, and they are always what a fresh replay gives.

Each `Sharer` is what one process has: connections, a tailer and turns of its own. One log in memory stands for all.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, TypeVar

import psycopg
import pytest
from keeping import built_anew, rows
from newsroom import Newsroom, improvise
from sqlalchemy import Connection, Engine, inspect, select, update

from events.contracts import ClaimCorroborated
from events.log import Log
from events.memory import MemoryLog
from tests.postgres import Server
from verifier.adopted import Adopted
from verifier.errors import Busy, Internal, NotReady
from verifier.projections import Reading, Views
from verifier.projections.database import Database, NoRoom
from verifier.projections.postgres import PostgresPlace
from verifier.projections.turns import Turns
from verifier.tables import VERSION, views
from verifier.tailer import Tailer

T = TypeVar("T")

TURN = 0.5
"""How many seconds a turn lasts here that isn't renewed."""

SILENCE = 2.0
"""For how many seconds a process may fall silent here in the middle of a transaction: more than a busy machine makes
anybody wait."""


class Place(PostgresPlace):
    """A place whose process freezes where a test says, and wakes when it says so; or whose writing fails."""

    def __init__(self, server: Server, schema: str) -> None:
        super().__init__(server.database, schema, silence=SILENCE)
        self.before: Callable[[], bool] = lambda: False
        self.within: Callable[[Connection], bool] = lambda connection: False
        self.fails: Callable[[Connection], Exception | None] = lambda connection: None
        self.failed = threading.Event()
        self.frozen = threading.Event()
        self.awake = threading.Event()

    def write(self, engine: Engine, work: Callable[[Connection], T]) -> T:
        def held(connection: Connection) -> T:
            result = work(connection)
            self._freeze(self.within(connection))
            if (failure := self.fails(connection)) is not None:
                self.failed.set()
                raise failure
            return result

        self._freeze(self.before())
        return super().write(engine, held)

    def _freeze(self, now: bool) -> None:
        if now:
            self.frozen.set()
            self.awake.wait()

    def wake(self) -> None:
        """Go on, and neither freeze nor fail again."""
        self.before, self.within, self.fails = lambda: False, lambda connection: False, lambda connection: None
        self.awake.set()


@dataclass
class Sharer:
    """A process that has the views open."""

    views: Views
    place: Place
    run: asyncio.Task[None]

    async def die(self) -> None:
        """Stop without a word to anybody: the turn isn't given up."""
        self.run.cancel()
        await asyncio.gather(self.run, return_exceptions=True)

    async def close(self) -> None:
        """End in good order."""
        await self.die()
        await self.views.close()


class Office:
    """A log and the processes that have its views open."""

    def __init__(self, server: Server, log: Log) -> None:
        self.log = log
        self.newsroom = Newsroom(log)
        self.server = server
        self.schema = f"shared_{secrets.token_hex(6)}"
        self.sharers: list[Sharer] = []
        self.turn = TURN

    async def open(self, place: Place | None = None) -> Sharer:
        """Open the views in one more process."""
        place, tailer = place or Place(self.server, self.schema), await Tailer.open(self.log)
        turns = Turns(place, tailer, seconds=self.turn)
        views = await Views.open(place, self.log, await Adopted.read(self.log), turns=turns)
        sharer = Sharer(views, place, asyncio.create_task(_run(tailer, views)))
        self.sharers.append(sharer)
        return sharer

    async def keeper(self) -> Sharer:
        """Open the views in a process, which keeps them."""
        sharer = await self.open()
        await until(lambda: sharer.views.kept_here)
        return sharer

    async def settle(self, *sharers: Sharer) -> None:
        """Wait until these contain everything that was recorded, and check that it is what a replay gives."""
        head = await self.log.head()
        for sharer in sharers:
            assert await sharer.views.reached(head, 20), sharer.views.error
            assert await rows(sharer.views) == await built_anew(self.log)


async def _run(tailer: Tailer, views: Views) -> None:
    """Run what a process has running."""
    hearing = asyncio.create_task(tailer.run())
    try:
        await views.run()
    finally:
        hearing.cancel()
        await asyncio.gather(hearing, return_exceptions=True)


@pytest.fixture
async def office(postgres: Server) -> AsyncIterator[Office]:
    """A log in memory, whose views are on PostgreSQL. Whatever was opened is closed at the end."""
    office = Office(postgres, await MemoryLog.open())
    yield office
    for sharer in office.sharers:
        sharer.place.wake()
        await sharer.close()
        assert sharer.views.error is None


async def until(holds: Callable[[], bool]) -> None:
    """Wait for a condition of which nobody tells."""
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110  # there is no event to wait for
            await asyncio.sleep(0.01)


async def tables_of(sharer: Sharer) -> set[str]:
    """The generations of which there are tables."""
    names = await sharer.views.read(lambda reading: inspect(reading.connection).get_table_names())
    return {name.rpartition("_")[2] for name in names if "_" in name}


# --- following -------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
async def test_one_process_keeps_the_views_and_the_others_see_the_same(office: Office, seed: int) -> None:
    first, second = await office.keeper(), await office.open()

    await improvise(office.newsroom, random.Random(seed), 120)

    await office.settle(first, second)
    assert [sharer.views.kept_here for sharer in office.sharers] == [True, False]


async def test_who_only_looks_is_woken_and_does_not_wait_for_its_next_look(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("verifier.projections.turns.POLL", 60)
    office.turn = 60
    await office.keeper()
    second = await office.open()
    claim = await office.newsroom.claim("The letter is authentic")

    for name in ("AFP", "Reuters", "Newsweek"):
        await office.newsroom.say(claim, name)
        assert await second.views.reached(await office.log.head(), 10)


# --- taking turns ----------------------------------------------------------------------------------


async def test_the_next_takes_over_at_once_when_the_keeper_closes(office: Office) -> None:
    first, second = await office.keeper(), await office.open()
    await improvise(office.newsroom, random.Random(1), 60)

    await first.close()
    office.sharers.remove(first)
    await improvise(office.newsroom, random.Random(2), 60)

    await office.settle(second)
    assert second.views.kept_here


async def test_the_next_takes_over_within_seconds_when_the_keeper_dies(office: Office) -> None:
    first, second = await office.keeper(), await office.open()
    await improvise(office.newsroom, random.Random(1), 60)

    await first.die()
    await improvise(office.newsroom, random.Random(2), 60)

    await office.settle(second)
    assert second.views.kept_here


async def test_a_keeper_that_froze_before_it_wrote_writes_nothing_when_it_wakes(office: Office) -> None:
    first, second = await office.keeper(), await office.open()
    await improvise(office.newsroom, random.Random(1), 60)
    await office.settle(first, second)

    first.place.before = lambda: True
    await improvise(office.newsroom, random.Random(2), 60)
    await until(lambda: second.views.kept_here)
    await office.settle(second)
    first.place.wake()
    await until(lambda: not first.views.kept_here)
    await improvise(office.newsroom, random.Random(3), 60)

    await office.settle(first, second)
    assert (first.views.kept_here, second.views.kept_here) == (False, True)


async def test_a_keeper_that_freezes_in_the_middle_of_a_transaction_is_cut_off(office: Office) -> None:
    first, second = await office.keeper(), await office.open()
    await improvise(office.newsroom, random.Random(1), 60)
    await office.settle(first, second)

    first.place.within = lambda connection: True
    await improvise(office.newsroom, random.Random(2), 60)
    await until(lambda: second.views.kept_here)
    await office.settle(second)
    first.place.wake()
    await until(lambda: not first.views.kept_here)
    await improvise(office.newsroom, random.Random(3), 60)

    await office.settle(first, second)


async def test_views_go_on_after_every_connection_was_cut(office: Office) -> None:
    first, second = await office.keeper(), await office.open()
    await improvise(office.newsroom, random.Random(1), 60)
    await office.settle(first, second)

    async with await psycopg.AsyncConnection.connect(office.server.superuser, autocommit=True) as superuser:
        await superuser.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'desk' AND backend_type = %s",
            ("client backend",),
        )
    await improvise(office.newsroom, random.Random(2), 60)

    await office.settle(first, second)


# --- a full disk -----------------------------------------------------------------------------------


def full(connection: Connection) -> Exception:
    """What writing fails with where there is no room at all."""
    return NoRoom("no space left on device")


def half_built(connection: Connection) -> bool:
    """Whether new views are being built beside the ones that serve."""
    return connection.scalar(select(views.c.position).where(~views.c.active, views.c.position > 0)) is not None


async def test_views_that_nobody_had_room_to_keep_go_on_by_themselves(office: Office) -> None:
    first, second = await office.keeper(), await office.open()
    await improvise(office.newsroom, random.Random(1), 60)
    await office.settle(first, second)

    for sharer in (first, second):
        sharer.place.fails = full
    await until(lambda: all("make room" in str(sharer.views.error) for sharer in (first, second)))
    await improvise(office.newsroom, random.Random(2), 60)
    for sharer in (first, second):
        sharer.place.wake()
    await until(lambda: first.views.error is None and second.views.error is None)

    await office.settle(first, second)


async def test_views_without_room_for_what_is_new_go_on_by_themselves(office: Office) -> None:
    first, second = await office.keeper(), await office.open()
    await improvise(office.newsroom, random.Random(1), 60)
    await office.settle(first, second)
    reached = first.views.position

    def full_beyond(connection: Connection) -> Exception | None:
        return full(connection) if connection.scalar(select(views.c.position)) != reached else None

    first.place.fails = full_beyond
    await improvise(office.newsroom, random.Random(2), 60)
    await until(lambda: "make room" in str(first.views.error))
    first.place.wake()
    await until(lambda: first.views.error is None)

    await office.settle(first, second)


async def test_a_rebuild_without_room_is_told_and_leaves_nothing_behind(office: Office) -> None:
    first, second = await office.keeper(), await office.open()
    await improvise(office.newsroom, random.Random(1), 60)
    await office.settle(first, second)

    first.place.fails = lambda connection: full(connection) if half_built(connection) else None
    with pytest.raises(Internal, match="make room"):
        await second.views.rebuild()
    first.place.wake()

    assert await tables_of(second) == {"1"}
    await second.views.rebuild()
    await office.settle(first, second)


async def test_views_of_another_content_serve_on_where_there_is_no_room_for_new_ones(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("verifier.projections.views.REBUILD_RETRY", 0.05)
    first = await _open_outdated(office, lambda connection: full(connection) if half_built(connection) else None)

    await improvise(office.newsroom, random.Random(2), 60)
    await office.settle(first)
    first.place.wake()
    await until(lambda: not first.views.outdated)

    await office.settle(first)


async def test_views_of_another_content_serve_on_where_new_ones_cannot_be_built(office: Office) -> None:
    first = await _open_outdated(office, lambda connection: KeyError("a bug") if half_built(connection) else None)

    await improvise(office.newsroom, random.Random(2), 60)

    await office.settle(first)
    assert first.views.outdated


async def _open_outdated(office: Office, fails: Callable[[Connection], Exception | None]) -> Sharer:
    """Open views that other code has built, and wait until building new ones has failed."""
    await improvise(office.newsroom, random.Random(1), 60)
    await (await office.keeper()).close()
    office.sharers.clear()
    await _set(office, version=VERSION + "-before")
    place = Place(office.server, office.schema)
    place.fails = fails
    sharer = await office.open(place)
    await asyncio.to_thread(place.failed.wait)
    return sharer


# --- views that can't be opened --------------------------------------------------------------------


async def test_no_table_is_dropped_that_is_not_of_the_views(office: Office) -> None:
    first = await office.keeper()
    await first.views._database.write(
        lambda connection: [connection.exec_driver_sql(f"CREATE TABLE {name} (x int)") for name in ("events", "old_9")]
    )

    await first.close()
    second = await office.keeper()
    await improvise(office.newsroom, random.Random(1), 1)

    assert await second.views.reached(1, 20)  # an event later, so that the turn has begun
    names = await second.views.read(lambda reading: inspect(reading.connection).get_table_names())
    assert "events" in names
    assert "old_9" not in names  # of a generation of some other code


async def test_a_role_that_may_not_have_the_schema_is_told_what_to_do(office: Office) -> None:
    await as_superuser(office, f'CREATE SCHEMA "{office.schema}_views"')

    with pytest.raises(NotReady, match=f'GRANT CREATE ON DATABASE.*DROP SCHEMA "{office.schema}_views" CASCADE'):
        await office.open()


async def test_views_that_cannot_be_read_say_how_to_be_rid_of_them(office: Office) -> None:
    await (await office.keeper()).close()
    office.sharers.clear()
    await as_superuser(office, f'ALTER TABLE "{office.schema}_views".views RENAME COLUMN position TO place')

    with pytest.raises(NotReady, match=f'DROP SCHEMA "{office.schema}_views" CASCADE'):
        await office.open()


async def test_a_database_of_views_that_is_away_is_told_as_such(office: Office) -> None:
    office.server = SimpleNamespace(database="postgresql://desk@127.0.0.1:9/desk")  # type: ignore[assignment]  # nobody

    with pytest.raises(Busy, match="see whether it runs, and try again"):
        await office.open()


async def as_superuser(office: Office, statement: str) -> None:
    """Run a statement as whoever may do everything."""
    async with await psycopg.AsyncConnection.connect(office.server.superuser, autocommit=True) as superuser:
        await superuser.execute(statement.encode())


# --- rebuilding ------------------------------------------------------------------------------------


async def test_a_rebuild_asked_of_one_process_is_done_by_the_keeper_while_both_read(office: Office) -> None:
    first, second = await office.keeper(), await office.open()
    await improvise(office.newsroom, random.Random(1), 100)
    told: list[int] = []
    read = 0

    async def read_on(sharer: Sharer) -> None:
        nonlocal read
        while not rebuilt.done():
            held = await rows(sharer.views)
            assert max(claim[2] for claim in held["claims"]) <= held["position"]
            read += 1

    await office.settle(first, second)
    rebuilt = asyncio.create_task(second.views.rebuild(lambda position, head: told.append(position)))
    await asyncio.gather(rebuilt, read_on(first), read_on(second), improvise(office.newsroom, random.Random(2), 60))

    await office.settle(first, second)
    assert read and told == sorted(told)
    assert await tables_of(second) == {"2"}
    assert first.views.kept_here


async def test_a_reading_whose_tables_are_dropped_begins_anew(office: Office) -> None:
    first, second = await office.keeper(), await office.open()
    await improvise(office.newsroom, random.Random(1), 60)
    await office.settle(first, second)
    begun, dropped = threading.Event(), threading.Event()
    generations: list[int] = []

    def read(reading: Reading) -> int:
        generations.append(reading.at.generation)
        begun.set()
        dropped.wait()
        return len(reading.connection.execute(select(reading.tables.claims)).all())

    reading = asyncio.create_task(second.views.read(read))
    await asyncio.to_thread(begun.wait)
    await first.views.rebuild()
    dropped.set()

    assert await reading == len((await rows(first.views))["claims"])
    assert generations == [1, 2]


async def test_a_rebuild_whose_keeper_dies_in_the_middle_is_dropped_and_done_by_the_next(office: Office) -> None:
    await improvise(office.newsroom, random.Random(1), 100)
    first, second = await office.keeper(), await office.open()
    await office.settle(first, second)

    first.place.within = half_built
    rebuilt = asyncio.create_task(second.views.rebuild())
    await asyncio.to_thread(first.place.frozen.wait)
    await first.die()
    await rebuilt

    await office.settle(second)
    assert second.views.kept_here
    assert await tables_of(second) == {"2"}


async def test_views_of_another_content_are_built_anew_by_whoever_keeps_them(office: Office) -> None:
    await improvise(office.newsroom, random.Random(1), 60)
    await (await office.keeper()).close()
    office.sharers.clear()
    await _set(office, version=VERSION + "-before")

    first = await office.open()
    await until(lambda: first.views.outdated)
    await until(lambda: not first.views.outdated)

    await office.settle(first)
    assert await first.views.read(lambda reading: reading.at.generation) == 2


@pytest.mark.parametrize(
    "changed", [{"version": "0.1"}, {"log": "log_aaaaaaaaaaaaaaaaaaaaaaaaaa"}, {"position": 9_999}]
)
async def test_views_that_cannot_be_of_this_log_and_code_are_made_anew(office: Office, changed: dict[str, Any]) -> None:
    await improvise(office.newsroom, random.Random(1), 60)
    await (await office.keeper()).close()
    office.sharers.clear()
    await _set(office, **changed)

    first, second = await office.open(), await office.open()
    await until(lambda: any(sharer.views.kept_here for sharer in (first, second)))
    await until(lambda: first.views.position < 9_999 and second.views.position < 9_999)

    await office.settle(first, second)


async def _set(office: Office, **values: Any) -> None:
    database = Database(Place(office.server, office.schema))
    await database.write(lambda connection: connection.execute(update(views).values(**values)))
    await database.close()


# --- texts -----------------------------------------------------------------------------------------


async def test_an_erased_text_is_in_no_row_and_every_process_counts_it(office: Office) -> None:
    first, second = await office.keeper(), await office.open()
    claim = await office.newsroom.claim("The wording that has to go")
    event = await office.newsroom.say(claim, "Jane Whistleblower", origin="what Jane saw", via=["AFP"])
    registered = (await anext(office.log.read(f"claim:{claim}")))[0].id
    await office.settle(first, second)
    assert "Jane" in str(await rows(second.views))

    await office.newsroom.erase(f"claim:{claim}", event, "identity")
    await office.newsroom.erase(f"claim:{claim}", registered, "wording")

    await office.settle(first, second)
    held = str(await rows(second.views))
    assert "Jane" not in held and "has to go" not in held
    assert first.views.erasures and second.views.erasures


async def test_texts_that_postgresql_cannot_hold_or_index_stop_nothing(office: Office) -> None:
    first, second = await office.keeper(), await office.open()
    dice = random.Random(1)
    long = "".join(chr(dice.randrange(0x4E00, 0x9FFF)) for _ in range(10_000))

    claim = await office.newsroom.claim(long)
    await office.newsroom.say(claim, long[:500], ClaimCorroborated)
    other = await office.newsroom.claim("before\0after")
    await office.newsroom.say(other, "A\0FP")

    head = await office.log.head()
    assert await first.views.reached(head, 10) and await second.views.reached(head, 10)
    texts = await second.views.read(lambda r: set(r.connection.scalars(select(r.tables.claims.c.text))))
    assert texts == {long, "before␀after"}
