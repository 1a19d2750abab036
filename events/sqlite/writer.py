"""The one thread with the one connection that writes a log: group commit.

Callers queue; the thread takes what has queued while the last commit was in flight, records it in one
transaction, and answers each caller separately. Nothing waits on a timer: alone, a caller is committed
at once, and the busier the log, the larger the batches.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Final

from events.errors import Invalid, LogError, OutcomeUnknown
from events.sqlite.commit import Outcome, Restore, Work, perform
from events.sqlite.owner import Owner
from events.sqlite.schema import connect_writer, explain, migrate

BATCH_APPENDS: Final = 512
"""The most appends one commit takes."""

BATCH_BYTES: Final = 4 * 2**20
"""About the most bytes one commit takes; a larger append is committed alone."""

_PAGE_READ: Final = 250  # milliseconds within which whoever reads a page has read it
_WIPE_AGAIN: Final = 1.0  # seconds between attempts to wipe an erased text from the WAL file


class Writer:
    """The writing side of a log. Its methods are for the thread of the event loop."""

    def __init__(
        self,
        path: Path,
        *,
        connection: type[sqlite3.Connection],
        busy_timeout: float,
        done: Callable[[Outcome], None],
    ) -> None:
        self._path = path
        self._factory = connection
        self._busy_timeout = busy_timeout
        self._done = done
        # Shared without a lock: the loop adds to the right and removes the cancelled, the thread takes
        # from the left and puts back there. Each of these is one step under the interpreter's lock.
        self._queue: deque[Work] = deque()
        self._wake = threading.Event()
        self._stopping = False
        self._opened: Future[Owner] = Future()
        self._thread = threading.Thread(target=self._run, name=f"write {path.name}", daemon=True)
        # For the thread alone.
        self._connection: sqlite3.Connection | None = None  # `None` too after an error that left it in doubt
        self._unanswered: Outcome | None = None  # committed, but its callers were not told yet
        self._residue = False  # an erased text may still stand in the WAL file
        self._wipe_at = 0.0

    async def open(self) -> Owner:
        """Take the log, migrate it, and begin to write.

        Raises `LogInUse`, `ReadOnly`, `SchemaMismatch`, `Invalid`, `Damaged`; the log is let go of then.
        """
        self._thread.start()
        return await asyncio.wrap_future(self._opened)

    def put(self, work: Work) -> None:
        """Queue work. `done` is called with its answer, in the writing thread, in order of commits."""
        self._queue.append(work)
        if not self._wake.is_set():
            self._wake.set()

    def drop(self, work: Work) -> None:
        """Remove work whose caller was cancelled, unless it was taken already: then it goes on."""
        with suppress(ValueError):
            self._queue.remove(work)

    async def close(self) -> None:
        """Finish what has queued, then let go of the log: also if this call is cancelled."""
        self._stopping = True
        self._wake.set()
        await asyncio.to_thread(self._thread.join)

    # --- the thread ----------------------------------------------------------------------------------

    def _run(self) -> None:
        self._opened.set_running_or_notify_cancel()
        try:
            owner = Owner.of(self._path)
        except (LogError, OSError) as error:
            self._opened.set_exception(error)
            return
        try:
            if self._begin(owner):
                self._work()
        finally:
            self._disconnect()
            owner.release()

    def _begin(self, owner: Owner) -> bool:
        try:
            migrate(self._connect())
        except Exception as error:  # noqa: BLE001  # the end of this thread: whoever opens the log must hear of it
            why = explain(error) or Invalid(f"{self._path} can't be opened as a log: {error}")
            why.__cause__ = error if error is not why else error.__cause__
            self._opened.set_exception(why)
            return False
        self._opened.set_result(owner)
        return True

    def _work(self) -> None:
        while self._queue or not self._stopping:
            if not self._queue:
                self._wake.wait(_WIPE_AGAIN if self._residue else None)
                self._wake.clear()
            elif batch := self._take():
                outcome = self._record(batch)
                self._answer()
                self._unanswered = outcome
            if self._residue and time.monotonic() >= self._wipe_at:
                self._wipe()
            if not self._queue:
                self._answer()

    def _take(self) -> Sequence[Work]:
        """Take from the queue what can be committed together; empty where every caller has gone.

        No two appends of a batch share a stream or an event id, so each is judged by what is durable; one
        that has to wait keeps its place, also before later ones that share a key with it. A restore goes
        alone. An append whose caller was cancelled is left out; once taken, it goes on.
        """
        batch: list[Work] = []
        waiting: list[Work] = []
        keys: set[str] = set()
        size = 0
        while self._queue and len(batch) < BATCH_APPENDS and len(waiting) < BATCH_APPENDS:
            work = self._queue.popleft()
            if work.answer.cancelled():
                continue
            if isinstance(work, Restore):
                (waiting if batch or waiting else batch).append(work)
                break
            if keys.isdisjoint(work.keys) and (not batch or size + work.size <= BATCH_BYTES):
                batch.append(work)
                size += work.size
            else:
                waiting.append(work)
            keys |= work.keys
        self._queue.extendleft(reversed(waiting))
        return batch

    def _record(self, batch: Sequence[Work]) -> Outcome:
        """Record a batch, and settle what became of it where SQLite can't say.

        After an I/O error a commit may stand in the file all the same and come to light only after a
        crash, so looking proves nothing. The same ids are appended again, under the lock, on a new
        connection: what is there is found, what isn't is written. Only if that fails does nobody know.
        (A restore has no such second try: whether it stands, the head tells whoever goes on with it.)
        """
        try:
            return self._transact(batch)
        except Exception as error:  # noqa: BLE001  # the outermost loop: a bug must not leave callers waiting either
            if refusals := [(work, why) for work in batch if (why := explain(error))]:
                self._roll_back()
                return Outcome(list(refusals))
            self._disconnect()
            if any(isinstance(work, Restore) for work in batch):
                return Outcome([(work, _unknown(error)) for work in batch], doubted=True)
        try:
            outcome = self._transact(batch)
        except Exception as error:  # noqa: BLE001  # as above
            self._disconnect()
            return Outcome([(work, _unknown(error)) for work in batch], doubted=True)
        outcome.doubted = True  # what the first try left in the file is not among what the second recorded
        return outcome

    def _transact(self, batch: Sequence[Work]) -> Outcome:
        connection = self._connect()
        connection.execute("BEGIN IMMEDIATE")
        outcome = perform(connection, batch)
        self._answer()
        # A crash before the commit loses the batch, of which nobody was told. After it, nothing is lost.
        connection.commit()
        if outcome.erased:
            self._residue, self._wipe_at = True, 0.0
        return outcome

    def _answer(self) -> None:
        """Hand over the answers of the last commit.

        While callers queue, that is when the next commit is in flight: they wake and encode while this
        thread waits for the disk, and not while it needs the interpreter too.
        """
        outcome, self._unanswered = self._unanswered, None
        if outcome is not None:
            self._done(outcome)

    def _connect(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = connect_writer(self._path, connection=self._factory, busy_timeout=self._busy_timeout)
        return self._connection

    def _roll_back(self) -> None:
        try:
            if self._connection is not None:
                self._connection.rollback()
        except sqlite3.Error:
            self._disconnect()

    def _disconnect(self) -> None:
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def _wipe(self) -> None:
        """Empty the WAL file, which still holds what was erased from the table.

        A reader may be in the way. A page of ours is waited for, so that an erasure is answered once it is done;
        whoever reads for longer is not: then it is tried again later, and at closing.
        """
        with suppress(sqlite3.Error):
            connection = self._connect()
            connection.execute(f"PRAGMA busy_timeout = {0 if self._wipe_at else _PAGE_READ}")
            busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            connection.execute(f"PRAGMA busy_timeout = {round(self._busy_timeout * 1_000)}")
            self._residue = bool(busy)
        self._wipe_at = time.monotonic() + _WIPE_AGAIN


def _unknown(cause: Exception) -> OutcomeUnknown:
    error = OutcomeUnknown(f"nobody can say whether this was recorded: append it again, with the same ids ({cause!r})")
    error.__cause__ = cause
    return error
