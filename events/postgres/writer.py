"""The one task with the one connection that writes a log: group commit.

Callers queue; the task takes what has queued while the last commit was in flight, records it in one
transaction, and answers each caller separately. Nothing waits on a timer: alone, a caller is committed
at once, and the busier the log, the larger the batches. Other processes do the same; the head's row lock
orders them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

import asyncpg
from asyncpg.prepared_stmt import PreparedStatement

from events.errors import Busy, Invalid, LogError, OutcomeUnknown
from events.postgres.commit import Outcome, Restore, Work, perform, prepare
from events.postgres.place import Place
from events.postgres.session import LOST, close, connect, explain_reading, explain_writing

BATCH_APPENDS: Final = 512
"""The most appends one commit takes."""

BATCH_BYTES: Final = 4 * 2**20
"""About the most bytes one commit takes; a larger append is committed alone."""

_WORTH_HALVING: Final = 48
"""From so many callers on, two commits overlapping with their encoding beat one commit for all."""

_FIRST_PAUSE: Final = 0.02  # seconds between attempts to connect, or to settle an outcome, doubled each time
_LAST_PAUSE: Final = 0.5

_DURABLE: Final = "SELECT current_setting('fsync') = 'on', current_setting('synchronous_commit') IN ('off', 'local')"


class Writer:
    """The writing side of a log in one process. Its methods are for the event loop it was made in."""

    def __init__(
        self,
        place: Place,
        *,
        busy_timeout: float,
        answer_timeout: float,
        done: Callable[[Outcome], None],
    ) -> None:
        self._place = place
        self._busy_timeout = busy_timeout
        self._answer_timeout = answer_timeout
        self._done = done
        self._queue: deque[Work] = deque()
        self._wake = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None
        self._connection: asyncpg.Connection | None = None  # `None` too after an error that left it in doubt
        self._appending: PreparedStatement  # on that connection

    async def open(self) -> asyncio.Task[None]:
        """Connect, and begin to write; return the task that does. It ends when this is closed.

        Raises `Invalid`, `Busy`, `SchemaMismatch`; nothing is left behind then.
        """
        await self._connect(asyncio.get_running_loop().time() + self._busy_timeout)
        self._task = asyncio.create_task(self._run(), name=f"write {self._place.url}")
        return self._task

    def put(self, work: Work) -> None:
        """Queue work. `done` is called with its answer, in order of commits."""
        self._queue.append(work)
        self._wake.set()

    def drop(self, work: Work) -> None:
        """Remove work whose caller was cancelled, unless it was taken already: then it goes on."""
        with suppress(ValueError):
            self._queue.remove(work)

    async def close(self) -> None:
        """Finish what has queued, then let go of the connection: also if this call is cancelled."""
        self._stopping = True
        self._wake.set()
        if self._task is not None:
            await asyncio.wait([self._task])

    # --- the task ------------------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            while self._queue or not self._stopping:
                if not self._queue:
                    await self._wake.wait()
                    self._wake.clear()
                elif batch := self._take():
                    await self._commit(batch)
        finally:
            await self._disconnect()

    async def _commit(self, batch: Sequence[Work]) -> None:
        """Record one batch after another, and answer callers while the next one is in flight.

        They wake and encode while the server works, and not while it waits for us. Where nobody has queued
        meanwhile, half of the callers are answered first: what they bring is on its way when the others wake.
        """
        outcome = await self._record(batch)
        while True:
            if not self._queue and len(outcome.answers) >= _WORTH_HALVING:
                first, outcome = outcome.halves()
                self._done(first)
                await asyncio.sleep(0)  # they have queued what they bring at once
            following = self._take()
            if not following:
                break
            commit = asyncio.create_task(self._record(following))  # its first step comes before any caller wakes
            self._done(outcome)
            outcome = await commit
        self._done(outcome)

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

    async def _record(self, batch: Sequence[Work]) -> Outcome:
        """Record a batch, and settle what became of it where the server can't say.

        After a lost connection the commit may stand, or come to stand while we look, so finding nothing
        proves nothing. The same ids are appended again, under the lock, on a new connection, until there
        is an answer: what is there is found, what isn't is written. Without one in time, nobody knows.
        (A restore has no such second try: whether it stands, the head tells whoever goes on with it.)
        """
        clock = asyncio.get_running_loop().time
        deadline, pause = clock() + self._busy_timeout, _FIRST_PAUSE
        doubt: Exception | None = None
        while True:
            try:
                connection = await self._connect(deadline)
            except LogError as why:  # nothing was asked of the server, at least not this time
                return _unknown(batch, doubt) if doubt else Outcome([(work, why) for work in batch])
            try:
                return await self._transact(connection, batch, doubted=doubt is not None)
            except Exception as error:  # noqa: BLE001  # the outermost loop: a bug must not leave callers waiting
                refusal = explain_writing(error)
                if refusal is not None and doubt is None:
                    return Outcome([(work, refusal) for work in batch])
                self._abandon()
                if any(isinstance(work, Restore) for work in batch):
                    return _unknown(batch, error)
                deadline = deadline if doubt else clock() + self._answer_timeout
                doubt = error
                if clock() + pause > deadline:
                    return _unknown(batch, doubt)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LAST_PAUSE)

    async def _transact(self, connection: asyncpg.Connection, batch: Sequence[Work], *, doubted: bool) -> Outcome:
        # The server ends a statement that takes too long; this bounds the wait for a server that has gone silent.
        async with asyncio.timeout(self._answer_timeout + self._busy_timeout):
            outcome = await perform(connection, self._appending, batch)
        outcome.doubted = doubted  # what the first try left in the log is not among what the last one recorded
        return outcome

    async def _connect(self, deadline: float) -> asyncpg.Connection:
        """Return the connection, a new one if need be, trying until the deadline."""
        pause = _FIRST_PAUSE
        while self._connection is None or self._connection.is_closed():
            self._connection = None
            try:
                self._connection = await self._new_connection()
            except Busy:
                if asyncio.get_running_loop().time() + pause > deadline:
                    raise
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LAST_PAUSE)
        return self._connection

    async def _new_connection(self) -> asyncpg.Connection:
        settings = {"lock_timeout": str(round(self._busy_timeout * 1_000))}
        connection = await connect(self._place, name="writer", timeout=self._answer_timeout, settings=settings)
        try:
            keeps, weak = await connection.fetchrow(_DURABLE)
            if not keeps:
                raise Invalid(
                    f"{self._place.url} is on a server with fsync = off, which loses what it acknowledged when the"
                    " machine stops: set fsync = on"
                )
            if weak:  # stronger settings, which wait for replicas, are left as they are
                await connection.execute("SET synchronous_commit = on")
            self._appending = await prepare(connection)
        except BaseException as error:
            connection.terminate()
            if isinstance(error, (*LOST, asyncpg.PostgresError)):
                raise explain_reading(error, self._place) from error
            raise
        return connection

    def _abandon(self) -> None:
        """Drop the connection without a word to a server that may have fallen silent."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await close(connection)


def _unknown(batch: Sequence[Work], cause: Exception) -> Outcome:
    answers: list[tuple[Work, OutcomeUnknown]] = []
    for work in batch:
        error = OutcomeUnknown(
            f"nobody can say whether this was recorded: append it again, with the same ids ({cause!r})"
        )
        error.__cause__ = cause
        answers.append((work, error))
    return Outcome(list(answers), doubted=True)
