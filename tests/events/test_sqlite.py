"""What is SQLite's own: triggers, the lock, group commit, migrations, and a disk that fails."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from making import a_claim, all_of, erased, everything, following, next_page, said, taken

from events.errors import (
    Busy,
    Conflict,
    DiskFull,
    IdempotencyMismatch,
    Invalid,
    LogInUse,
    OutcomeUnknown,
    ReadOnly,
    SchemaMismatch,
)
from events.leaf import text_digest
from events.log import Recorded
from events.open import holder_of, open_log
from events.sqlite import SqliteLog
from events.sqlite.schema import VERSION, connect_writer


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The file of a log that isn't there yet."""
    return tmp_path / "newsroom.db"


@pytest.fixture
async def log(path: Path) -> AsyncIterator[SqliteLog]:
    """A new log."""
    async with await SqliteLog.open(path) as opened:
        yield opened


async def verify(log: SqliteLog) -> Sequence[Recorded]:
    """Re-read a whole log and check all that can be checked; return its events."""
    events = await everything(log)
    assert [event.position for event in events] == list(range(1, len(events) + 1))
    assert len({event.id for event in events}) == len(events)
    times = [event.recorded_at for event in events]
    assert times == sorted(times)
    for event in events:
        if event.wording_salt and event.wording_raw:
            assert event.leaf.wording == text_digest(event.wording_salt, "wording", event.wording_raw)
    return events


def on_disk(path: Path) -> bytes:
    """Return every byte of a log's file and of those beside it."""
    return b"".join(file.read_bytes() for file in sorted(path.parent.iterdir()))


class Disk:
    """A disk that does at each commit what the test tells it, and otherwise what a disk does.

    `lost` fails the commit before it is written, `kept` after, `held` waits in the middle of it.
    """

    def __init__(self) -> None:
        self.script: list[str] = []
        self.commits = 0
        self.reached = threading.Event()  # a held commit has begun
        self.released = threading.Event()
        disk = self

        class Connection(sqlite3.Connection):
            def commit(self) -> None:
                disk.commit(super().commit)

        self.connection = Connection

    def commit(self, commit: Callable[[], None]) -> None:
        self.commits += 1
        match self.script.pop(0) if self.script else "":
            case "lost":
                raise self.error()
            case "kept":
                commit()
                raise self.error()
            case "held":
                self.reached.set()
                self.released.wait()
                commit()
            case _:
                commit()

    def error(self) -> sqlite3.Error:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
        return error

    async def hold(self, log: SqliteLog) -> asyncio.Task[Sequence[Recorded]]:
        """Append an event, and return while its commit is in flight."""
        self.script = ["held"]
        task = asyncio.create_task(log.append([said()]))
        await asyncio.to_thread(self.reached.wait)
        return task


@pytest.fixture
def disk() -> Disk:
    """A disk that can fail."""
    return Disk()


async def queued(log: SqliteLog, *notes: tuple[str, str]) -> list[asyncio.Task[Sequence[Recorded]]]:
    """Queue appends, each of one event with a stream and a note, and return while they wait."""
    tasks = [asyncio.create_task(log.append([said(stream, note=note)])) for stream, note in notes]
    await asyncio.sleep(0)  # each runs until it has queued
    return tasks


# --- the database refuses --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM events",
        "DELETE FROM events WHERE position = 2",
        "UPDATE events SET position = 7 WHERE position = 2",
        "UPDATE events SET rowid = 7 WHERE position = 2",
        "UPDATE events SET id = 'evt_other' WHERE position = 2",
        "UPDATE events SET stream = 'log' WHERE position = 2",
        "UPDATE events SET leaf = x'7b7d' WHERE position = 2",
        "UPDATE events SET leaf = NULL WHERE position = 2",
        "UPDATE events SET wording = x'7b7d' WHERE position = 2",
        "UPDATE events SET wording_salt = zeroblob(16) WHERE position = 2",
        "UPDATE events SET identity = x'7b7d' WHERE position = 2",
        "UPDATE events SET identity_salt = zeroblob(16) WHERE position = 2",
        "UPDATE OR REPLACE events SET id = (SELECT id FROM events WHERE position = 1) WHERE position = 2",
        "INSERT OR REPLACE INTO events SELECT position, id, stream, x'7b7d', NULL, NULL, NULL, NULL FROM events",
        "INSERT OR REPLACE INTO events (position, id, stream, leaf) SELECT 3, id, stream, leaf FROM events LIMIT 1",
        "INSERT INTO events (position, id, stream, leaf) VALUES (9, 'evt_gap', 'log', x'7b7d')",
        "INSERT INTO events (id, stream, leaf) VALUES ('evt_unnumbered', 'log', x'7b7d')",
    ],
)
async def test_the_database_refuses_to_lose_or_change_an_event(log: SqliteLog, path: Path, statement: str) -> None:
    await log.append([said()])
    before = await everything(log)

    stranger = sqlite3.connect(path, isolation_level=None)
    with pytest.raises(sqlite3.IntegrityError):
        stranger.execute(statement)
    stranger.close()

    assert await everything(log) == before


async def test_an_erased_text_is_gone_from_the_files(log: SqliteLog, path: Path) -> None:
    [event] = await log.append([said(note="the name of the witness")])
    assert b"the name of the witness" in on_disk(path)

    await log.append([erased(event.id)])

    assert b"the name of the witness" not in on_disk(path)


async def test_an_erased_text_is_gone_from_the_files_once_no_reader_is_in_the_way(path: Path) -> None:
    async with await SqliteLog.open(path) as log:
        [event] = await log.append([said(note="the name of the witness")])
        stranger = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)
        stranger.execute("BEGIN")
        stranger.execute("SELECT count(*) FROM events").fetchone()

        await log.append([erased(event.id)])
        stranger.close()

    assert b"the name of the witness" not in on_disk(path)


async def test_a_text_whose_erasure_is_restored_is_gone_from_the_files(
    log: SqliteLog, tmp_path_factory: pytest.TempPathFactory
) -> None:
    copy_path = tmp_path_factory.mktemp("copy") / "newsroom.db"
    [event] = await log.append([said(note="the name of the witness")])
    old = await everything(log)
    await log.append([erased(event.id)])

    async with await SqliteLog.open(copy_path, create="empty") as copy:
        await copy.restore(old)
        assert b"the name of the witness" in on_disk(copy_path)

        await copy.restore(await everything(log, after=2))

        assert b"the name of the witness" not in on_disk(copy_path)


# --- one writer ------------------------------------------------------------------------------------


async def test_a_second_writer_is_told_where_the_first_one_serves(log: SqliteLog, path: Path) -> None:
    log.announce("http://127.0.0.1:8750")

    with pytest.raises(LogInUse) as caught:
        await SqliteLog.open(path)

    assert (caught.value.address, caught.value.pid) == ("http://127.0.0.1:8750", os.getpid())
    assert "http://127.0.0.1:8750" in str(caught.value)


async def test_a_writer_that_serves_nowhere_is_named_by_its_process(log: SqliteLog, path: Path) -> None:
    log.announce("http://127.0.0.1:8750")
    log.announce(None)

    with pytest.raises(LogInUse) as caught:
        await SqliteLog.open(path)

    assert (caught.value.address, caught.value.pid) == (None, os.getpid())


async def test_the_same_file_by_another_name_is_the_same_log(log: SqliteLog, path: Path) -> None:
    alias = path.with_name("alias.db")
    alias.symlink_to(path)

    with pytest.raises(LogInUse):
        await SqliteLog.open(alias)


async def test_a_closed_log_can_be_written_by_the_next(log: SqliteLog, path: Path) -> None:
    await log.append([said()])
    await log.close()

    async with await SqliteLog.open(path) as again:
        assert again.id == log.id
        await again.append([said()])
        assert len(await verify(again)) == 3


async def test_a_closed_log_is_one_file_and_its_lock(log: SqliteLog, path: Path) -> None:
    await everything(log)

    await log.close()

    assert {file.name for file in path.parent.iterdir()} == {"newsroom.db", "newsroom.db.lock"}


# --- any reader ------------------------------------------------------------------------------------


async def test_a_log_can_be_read_while_another_process_may_write_it(log: SqliteLog, path: Path) -> None:
    async with await SqliteLog.open(path, writable=False) as reader:
        recorded = await log.append([said()])

        assert reader.id == log.id
        assert await reader.head() == 2
        assert await everything(reader, after=1) == recorded


async def test_a_reader_follows_what_another_process_writes(log: SqliteLog, path: Path) -> None:
    async with await SqliteLog.open(path, writable=False, poll=0.01) as reader, following(reader) as pages:
        await taken(pages, 1)
        recorded = await log.append([said(), said()])

        assert await taken(pages, 2) == recorded


async def test_a_log_can_be_read_when_nobody_writes_it(log: SqliteLog, path: Path) -> None:
    await log.append([said()])
    await log.close()

    async with await SqliteLog.open(path, writable=False) as reader:
        assert len(await verify(reader)) == 2


async def test_a_log_opened_for_reading_takes_nothing(log: SqliteLog, path: Path) -> None:
    async with await SqliteLog.open(path, writable=False) as reader:
        with pytest.raises(ReadOnly):
            await reader.append([said()])
        with pytest.raises(ReadOnly):
            await reader.restore([])
        with pytest.raises(ReadOnly):
            reader.announce("http://127.0.0.1:8750")


async def test_a_log_that_is_not_there_is_not_made_by_a_reader(path: Path) -> None:
    with pytest.raises(Invalid):
        await SqliteLog.open(path, writable=False)

    assert list(path.parent.iterdir()) == []


async def test_a_folder_that_is_not_there_is_named(path: Path) -> None:
    with pytest.raises(Invalid, match="nowhere"):
        await SqliteLog.open(path.parent / "nowhere" / "newsroom.db")


# --- what is acknowledged is on the disk ------------------------------------------------------------


def test_a_commit_returns_only_when_it_is_on_the_disk(path: Path) -> None:
    connection = connect_writer(path, connection=sqlite3.Connection, busy_timeout=1.0)

    [(synchronous,)] = connection.execute("PRAGMA synchronous")
    [(journal,)] = connection.execute("PRAGMA journal_mode")
    connection.close()

    # No test can pull the plug: this is what SQLite documents to survive it.
    assert (synchronous, journal) == (2, "wal")  # 2 is FULL


async def test_nobody_sees_an_event_before_its_commit_has_returned(path: Path, disk: Disk) -> None:
    async with await SqliteLog.open(path, connection=disk.connection) as log, following(log, after=1) as pages:
        waiting = asyncio.create_task(next_page(pages))
        appending = await disk.hold(log)

        seen = (await log.head(), len(await everything(log)), appending.done(), waiting.done())
        disk.released.set()

        assert seen == (1, 1, False, False)
        assert await waiting == await appending


@pytest.mark.parametrize("failures", [["lost", "lost"], ["kept", "lost"], ["lost", "kept"], ["kept", "kept"]])
async def test_a_text_is_gone_if_and_only_if_its_erasure_is_recorded(
    path: Path, disk: Disk, failures: list[str]
) -> None:
    async with await SqliteLog.open(path, connection=disk.connection) as log:
        [event] = await log.append([said()])
        disk.script = list(failures)

        with pytest.raises(OutcomeUnknown):
            await log.append([erased(event.id)])

        [now, *erasure] = await everything(log, after=1)
        assert (now.wording_raw is None) == bool(erasure) == ("kept" in failures)


# --- group commit ----------------------------------------------------------------------------------


async def test_callers_who_queue_while_a_commit_is_in_flight_share_the_next_one(path: Path, disk: Disk) -> None:
    async with await SqliteLog.open(path, connection=disk.connection) as log:
        first = await disk.hold(log)
        others = await queued(log, *((a_claim(), "a note") for _ in range(100)))
        before = disk.commits

        disk.released.set()
        await asyncio.gather(first, *others)

        assert disk.commits == before + 1
        assert len(await verify(log)) == 1 + 1 + 100


async def test_what_has_to_wait_keeps_its_place(path: Path, disk: Disk) -> None:
    async with await SqliteLog.open(path, connection=disk.connection) as log:
        first = await disk.hold(log)
        one, other = a_claim(), a_claim()
        tasks = await queued(log, (one, "1"), (other, "2"), (one, "3"), (other, "4"), (one, "5"))

        disk.released.set()
        await asyncio.gather(first, *tasks)

        in_one = [event.wording.note for event in await all_of(log, one) if event.wording]
        in_other = [event.wording.note for event in await all_of(log, other) if event.wording]
        assert (in_one, in_other) == (["1", "3", "5"], ["2", "4"])


async def test_what_has_to_wait_goes_before_later_ones_that_share_a_stream_with_it(path: Path, disk: Disk) -> None:
    async with await SqliteLog.open(path, connection=disk.connection) as log:
        first = await disk.hold(log)
        one, other = a_claim(), a_claim()
        appends = [[said(one)], [said(one), said(other, note="earlier")], [said(other, note="later")]]
        tasks = [asyncio.create_task(log.append(events)) for events in appends]
        await asyncio.sleep(0)  # each runs until it has queued

        disk.released.set()
        await asyncio.gather(first, *tasks)

        assert [event.wording.note for event in await all_of(log, other) if event.wording] == ["earlier", "later"]


async def test_an_append_is_judged_by_what_queued_just_before_it(path: Path, disk: Disk) -> None:
    async with await SqliteLog.open(path, connection=disk.connection) as log:
        first = await disk.hold(log)
        written, read, twice, kept = said(), said(), said(), said()

        tasks = [
            asyncio.create_task(call)
            for call in (
                log.append([written]),
                log.append([said(written.stream)], after={written.stream: 0}),
                log.append([read]),
                log.append([said()], after={read.stream: 0}),
                log.append([twice]),
                log.append([said(event_id=twice.id)]),
                log.append([kept]),
                log.append([erased(kept.id)]),
            )
        ]
        await asyncio.sleep(0)  # each runs until it has queued
        disk.released.set()
        await asyncio.wait([first, *tasks])

        refusals = [type(task.exception()) for task in tasks if task.exception()]
        assert refusals == [Conflict, Conflict, IdempotencyMismatch]
        assert [event.wording is None for event in await all_of(log, kept.stream)] == [True]


async def test_an_append_cancelled_while_it_queues_is_never_recorded(path: Path, disk: Disk) -> None:
    async with await SqliteLog.open(path, connection=disk.connection) as log:
        first = await disk.hold(log)
        cancelled, kept = await queued(log, (a_claim(), "cancelled"), (a_claim(), "kept"))

        cancelled.cancel()
        await asyncio.wait([cancelled])
        disk.released.set()
        await asyncio.gather(first, kept)

        assert [event.wording.note for event in await verify(log) if event.wording] == [None, "a note", "kept"]


async def test_an_append_cancelled_while_it_is_committed_goes_on(path: Path, disk: Disk) -> None:
    async with await SqliteLog.open(path, connection=disk.connection) as log:
        disk.script = ["held"]
        event = said()
        task = asyncio.create_task(log.append([event]))
        await asyncio.to_thread(disk.reached.wait)

        task.cancel()
        await asyncio.wait([task])
        disk.released.set()

        [recorded] = await log.append([event])
        assert recorded.position == 2
        assert len(await verify(log)) == 2


async def test_a_caller_who_finds_the_queue_full_is_told_to_come_again(path: Path, disk: Disk) -> None:
    async with await SqliteLog.open(path, connection=disk.connection, waiting=1, busy_timeout=0.01) as log:
        first = await disk.hold(log)

        with pytest.raises(Busy):
            await log.append([said()])

        disk.released.set()
        await first
        await log.append([said()])
        assert len(await verify(log)) == 3


async def test_a_caller_who_finds_the_queue_full_gets_the_next_place(path: Path, disk: Disk) -> None:
    async with await SqliteLog.open(path, connection=disk.connection, waiting=1) as log:
        first = await disk.hold(log)
        [second] = await queued(log, (a_claim(), "second"))

        disk.released.set()

        assert [(await task)[0].position for task in (first, second)] == [2, 3]


async def test_a_file_that_somebody_keeps_locked_makes_callers_come_again(path: Path) -> None:
    async with await SqliteLog.open(path, busy_timeout=0.01) as log:
        stranger = sqlite3.connect(path, isolation_level=None)
        stranger.execute("BEGIN IMMEDIATE")

        with pytest.raises(Busy):
            await log.append([said()])

        stranger.close()
        await log.append([said()])
        assert len(await verify(log)) == 2


# --- a disk that fails: each failure twice, not persisted and persisted ----------------------------


@pytest.mark.parametrize("failure", ["lost", "kept"])
async def test_a_commit_that_failed_is_settled_by_appending_the_same_again(
    path: Path, disk: Disk, failure: str
) -> None:
    async with await SqliteLog.open(path, connection=disk.connection) as log:
        disk.script = [failure]
        events = [said(), said()]

        recorded = await log.append(events, after={events[0].stream: 0})

        assert [event.position for event in recorded] == [2, 3]
        assert (await verify(log))[1:] == recorded


@pytest.mark.parametrize("failures", [["lost", "lost"], ["kept", "lost"], ["lost", "kept"], ["kept", "kept"]])
async def test_a_caller_whose_append_can_not_be_settled_asks_again_and_it_is_there_once(
    path: Path, disk: Disk, failures: list[str]
) -> None:
    async with await SqliteLog.open(path, connection=disk.connection) as log:
        disk.script = list(failures)
        event = said()

        with pytest.raises(OutcomeUnknown):
            await log.append([event], after={event.stream: 0})

        [recorded] = await log.append([event], after={event.stream: 0})
        assert recorded.position == 2
        assert (await verify(log))[1:] == [recorded]


@pytest.mark.parametrize("failure", ["lost", "kept"])
async def test_a_restore_that_failed_goes_on_from_the_head(
    log: SqliteLog, path: Path, disk: Disk, failure: str
) -> None:
    await log.append([said(), said()])
    original = await everything(log)

    async with await SqliteLog.open(
        path.with_name("restored.db"), create="empty", connection=disk.connection
    ) as restored:
        disk.script = [failure]
        with pytest.raises(OutcomeUnknown):
            await restored.restore(original)
        await restored.restore(original[await restored.head() :])

        assert await verify(restored) == original
        assert restored.id == log.id


async def test_after_a_failure_the_neighbours_are_recorded_too(path: Path, disk: Disk) -> None:
    async with await SqliteLog.open(path, connection=disk.connection) as log:
        first = await disk.hold(log)
        tasks = await queued(log, *((a_claim(), "a note") for _ in range(20)))
        disk.script = ["kept"]

        disk.released.set()
        await asyncio.gather(first, *tasks)

        assert len(await verify(log)) == 1 + 1 + 20


@pytest.mark.parametrize("failures", [["kept"], ["kept", "lost"]])
async def test_a_subscription_sees_an_event_of_which_the_commit_failed_and_was_kept(
    path: Path, disk: Disk, failures: list[str]
) -> None:
    async with await SqliteLog.open(path, connection=disk.connection, poll=0.01) as log, following(log) as pages:
        await taken(pages, 1)
        disk.script = list(failures)
        event = said()

        with suppress(OutcomeUnknown):
            await log.append([event])

        async with asyncio.timeout(10):
            [seen] = await taken(pages, 1)
        assert seen.id == event.id


async def test_a_full_disk_loses_nothing_that_was_acknowledged(path: Path) -> None:
    class Small(sqlite3.Connection):
        def __init__(self, *args: object, **kwargs: object) -> None:
            super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # whatever sqlite3.connect passes
            self.execute("PRAGMA max_page_count = 60")

    acknowledged: list[Recorded] = []
    async with await SqliteLog.open(path, connection=Small) as log:
        with pytest.raises(DiskFull):
            for _ in range(1_000):
                acknowledged += await log.append([said(note="x" * 1_000), said(note="y" * 1_000)])

        assert (await verify(log))[1:] == acknowledged

    async with await SqliteLog.open(path) as log:
        acknowledged += await log.append([said()])
        assert (await verify(log))[1:] == acknowledged


async def test_a_file_that_became_read_only_is_said_to_be(path: Path) -> None:
    class Guarded(sqlite3.Connection):
        read_only = False

        # Narrower than the method it overrides: it takes what the writer calls it with.
        def execute(self, statement: str, values: Sequence[object] = ()) -> sqlite3.Cursor:  # type: ignore[override]  # as above
            if statement.startswith("BEGIN") and Guarded.read_only:
                super().execute("PRAGMA query_only = ON")
            return super().execute(statement, values)

    async with await SqliteLog.open(path, connection=Guarded) as log:
        Guarded.read_only = True

        with pytest.raises(ReadOnly):
            await log.append([said()])

        assert len(await verify(log)) == 1


# --- migrations ------------------------------------------------------------------------------------


def version_in(path: Path) -> str:
    connection = sqlite3.connect(path)
    try:
        [(version,)] = connection.execute("SELECT version_num FROM alembic_version")
        return str(version)
    finally:
        connection.close()


def write_a_letter(path: Path) -> bytes:
    """Write what is no database, and longer than the header of one; return it."""
    letter = b"Sir, in due deference to the sovereignty of the Republic of Iraq" * 20
    path.write_bytes(letter)
    return letter


def execute_in(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(statement)
    connection.close()


async def test_the_version_in_the_code_is_the_newest_migration(log: SqliteLog, path: Path) -> None:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory.from_config(Config("alembic.ini"))

    assert scripts.get_current_head() == VERSION == version_in(path)


async def test_an_older_file_is_migrated_when_it_is_opened(path: Path) -> None:
    execute_in(path, "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")

    async with await SqliteLog.open(path) as log:
        await log.append([said()])

        assert version_in(path) == VERSION
        assert len(await verify(log)) == 2


async def test_an_older_file_is_not_read_before_it_is_migrated(path: Path) -> None:
    execute_in(path, "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")

    with pytest.raises(SchemaMismatch):
        await SqliteLog.open(path, writable=False)


async def test_a_migration_that_fails_leaves_the_file_as_it_was(path: Path, disk: Disk) -> None:
    disk.script = ["lost"]
    with pytest.raises(Invalid):
        await SqliteLog.open(path, connection=disk.connection)

    async with await SqliteLog.open(path) as log:
        assert len(await verify(log)) == 1


@pytest.mark.parametrize("writable", [True, False])
async def test_a_newer_file_is_refused(log: SqliteLog, path: Path, writable: bool) -> None:
    await log.close()
    execute_in(path, "UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(SchemaMismatch, match="9999"):
        await SqliteLog.open(path, writable=writable)

    assert version_in(path) == "9999"


async def test_a_database_of_something_else_is_refused_and_not_touched(path: Path) -> None:
    execute_in(path, "CREATE TABLE recipes (name TEXT)")

    with pytest.raises(SchemaMismatch):
        await SqliteLog.open(path)

    stranger = sqlite3.connect(path)
    assert stranger.execute("SELECT name FROM sqlite_master").fetchall() == [("recipes",)]
    stranger.close()


async def test_a_file_that_is_no_database_is_refused_and_not_touched(path: Path) -> None:
    before = write_a_letter(path)

    with pytest.raises(Invalid):
        await SqliteLog.open(path)

    assert on_disk(path) == before


async def test_a_log_can_be_migrated_by_hand(path: Path) -> None:
    from alembic.config import main

    main(["-c", "alembic.ini", "-x", f"url=sqlite:///{path}", "upgrade", "head"])

    async with await SqliteLog.open(path) as log:
        assert len(await verify(log)) == 1


async def test_what_a_killed_holder_left_in_the_lock_file_counts_for_nothing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'newsroom.db'}"
    async with await open_log(url):
        pass
    left = f'{{"address": "http://127.0.0.1:8750", "pid": {os.getpid()}}}'
    (tmp_path / "newsroom.db.lock").write_text(left)

    unheld = holder_of(url)
    async with await open_log(url):
        held = holder_of(url)

    assert unheld is None
    assert held is not None
    assert (held.pid, held.address) == (os.getpid(), None)
