"""The five verbs on PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Final, Literal, Self

from events.contracts import LogOpened
from events.errors import Busy, Closed, Conflict, ForeignCursor, Invalid, LogError, OutcomeUnknown, ReadOnly
from events.log import PAGE, Proposed, Recorded, encode_append, opening
from events.postgres.bell import Bell
from events.postgres.commit import Append, Outcome, Restore, Work
from events.postgres.place import Place, place_of
from events.postgres.reader import Reader
from events.postgres.schema import prepare
from events.postgres.tail import Tail
from events.postgres.writer import Writer

_BYTES_WAITING: Final = 64 * 2**20
"""How many bytes may wait to be committed; the append that goes beyond it is still taken."""

_READERS: Final = 4


class PostgresLog:
    """A log in one schema of a database, for one event loop. Made by `open`; its verbs are `events.log.Log`'s."""

    def __init__(self, place: Place, *, busy_timeout: float, answer_timeout: float, waiting: int, poll: float) -> None:
        self.url = place.url
        self._place = place
        self._busy_timeout = busy_timeout
        self._answer_timeout = answer_timeout
        self._limit = waiting
        self._poll = poll
        self._reader = Reader(place, connections=_READERS, timeout=answer_timeout)
        self._writer: Writer | None = None
        self._tail = Tail()
        self._bell = Bell(place, timeout=answer_timeout, heard=self._look)
        self._news = asyncio.Event()  # set when there may be more than the tail holds
        self._followers = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._writing: asyncio.Task[None] | None = None
        self._failure: LogError | None = None  # one of these tasks ended while the log was open
        self._loop = asyncio.get_running_loop()
        self._id: str | None = None
        self._lineage: str | None = None
        self._closed = False
        # What waits or is being committed; both are bounded, so that a slow database meets callers early.
        self._asked: set[Work] = set()
        self._bytes = 0
        self._room = asyncio.Event()

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        writable: bool = True,
        create: Literal["new", "empty"] | None = "new",
        busy_timeout: float = 5.0,
        answer_timeout: float = 10.0,
        waiting: int = 4_096,
        poll: float = 1.0,
    ) -> Self:
        """Open the log in the schema that the URL names, and make its tables where there are none.

        `create` says what to do where there is no log yet: make a new one, make an empty one that waits
        to be restored, or refuse. Where it is not `writable`, the log is only read. `busy_timeout` is how
        many seconds an append waits for room, for a lock or for a server that doesn't answer yet,
        `answer_timeout` how many it waits for the answer to a commit, and then for one about its outcome;
        `waiting` how many appends may wait, and `poll` how many seconds a subscription waits before it
        looks for what another process wrote.

        Raises `SchemaMismatch` when the tables are older or newer, `Invalid` when there is no log or the
        server would not keep what it acknowledges, `Busy` when it can't be reached.
        """
        log = cls(place_of(url), busy_timeout=busy_timeout, answer_timeout=answer_timeout, waiting=waiting, poll=poll)
        try:
            await log._begin(create, writable=writable)
        except BaseException:
            await log.close()
            raise
        return log

    async def _begin(self, create: Literal["new", "empty"] | None, *, writable: bool) -> None:
        await prepare(self._place, may_make=writable and create is not None)
        if writable:
            self._writer = Writer(
                self._place, busy_timeout=self._busy_timeout, answer_timeout=self._answer_timeout, done=self._done
            )
            self._writing = await self._writer.open()
            self._writing.add_done_callback(self._ended)
        await self._learn_from_database()
        if self._id is None and self._writer is not None and create == "new":
            await self._open_new()
        self._tasks = [
            asyncio.create_task(work, name=f"follow {self.url}") for work in (self._bell.run(), self._follow())
        ]
        for task in self._tasks:
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Keep why a task of ours ended, and tell everybody: nobody is to wait for what never comes."""
        error = None if task.cancelled() else task.exception()
        if not self._closed:
            self._failure = error if isinstance(error, LogError) else _stopped(error)
            self._tail.ring()
        if task is self._writing:
            for work in [work for work in self._asked if not work.answer.done()]:
                work.answer.set_exception(_unanswered(error))

    async def _open_new(self) -> None:
        try:
            await self.append([opening()], after={"log": 0})
        except Conflict:  # another process was faster, and the log is the one it opened
            await self._learn_from_database()

    @property
    def id(self) -> str:
        if self._id is None:
            raise Invalid("this log is empty and has no id yet: restore into it first")
        return self._id

    @property
    def lineage(self) -> str:
        return self._lineage or self.id

    async def append(self, events: Sequence[Proposed], *, after: Mapping[str, int] = {}) -> Sequence[Recorded]:
        encoded = encode_append(events)
        return await self._do(Append.of(encoded, after, self._loop.create_future()))

    async def restore(self, events: Sequence[Recorded]) -> None:
        try:
            await self._do(Restore.of(events, self._loop.create_future()))
        except OutcomeUnknown:
            with suppress(LogError):  # a database that can't be read now either: the outcome is unknown all the same
                await self._learn_from_database()
            raise

    async def _do(self, work: Work) -> Sequence[Recorded]:
        if len(self._asked) >= self._limit or self._bytes > _BYTES_WAITING:
            await self._wait_for_room()
        writer = self._writer_or_refuse()
        self._asked.add(work)
        self._bytes += work.size
        writer.put(work)
        try:
            return await work.answer
        except asyncio.CancelledError:
            writer.drop(work)
            raise
        finally:
            self._asked.discard(work)
            self._bytes -= work.size
            self._room.set()

    def _writer_or_refuse(self) -> Writer:
        if self._closed:
            raise Closed("the log is closed")
        if self._writer is None:
            raise ReadOnly("this log is open for reading only: open it for writing")
        if self._failure is not None:
            raise self._failure
        return self._writer

    async def _wait_for_room(self) -> None:
        try:
            async with asyncio.timeout(self._busy_timeout):
                while len(self._asked) >= self._limit or self._bytes > _BYTES_WAITING:
                    self._room.clear()
                    await self._room.wait()
        except TimeoutError as error:
            raise Busy(f"{len(self._asked):,} appends are waiting: try again; nothing was written") from error

    def _done(self, outcome: Outcome) -> None:
        """Answer the callers of a batch, and tell the subscriptions of this process and of others."""
        for work, answer in outcome.answers:
            if not isinstance(answer, LogError) and answer:
                self._learn(answer[0])
            if work.answer.done():  # cancelled: it was recorded all the same
                continue
            if isinstance(answer, LogError):
                work.answer.set_exception(answer)
            else:
                work.answer.set_result(answer)
        if outcome.recorded or outcome.doubted:
            self._bell.ring()
            self._keep(outcome)

    async def _learn_from_database(self) -> None:
        first = await self._reader.first()
        if first is not None:
            self._learn(first)

    def _learn(self, event: Recorded) -> None:
        """Take the log's id from its first event; any other says nothing about it."""
        if event.position == 1 and isinstance(event.fact, LogOpened):  # in this order: any other needn't be decoded
            self._id, self._lineage = event.fact.log, event.fact.lineage

    async def head(self) -> int:
        return await self._reader.head()

    async def read(self, stream: str, *, after: int = 0, upto: int | None = None) -> AsyncIterator[Sequence[Recorded]]:
        while page := await self._reader.page_of(stream, after=after, upto=upto):
            yield page
            if len(page) < PAGE:
                return
            after = page[-1].position

    async def read_all(
        self, *, after: int = 0, upto: int | None = None, texts: bool = True
    ) -> AsyncIterator[Sequence[Recorded]]:
        head = await self._known_head(after)
        end = head if upto is None else min(upto, head)
        while after < end and (page := await self._reader.page(after=after, upto=end, texts=texts)):
            yield page
            after = page[-1].position

    async def subscribe(self, *, after: int = 0) -> AsyncIterator[Sequence[Recorded]]:
        try:
            head = await self._known_head(after)
        except Closed:  # also while it asked
            return
        with self._following(head):
            while not self._closed:
                if self._failure is not None:
                    raise self._failure
                grown = self._tail.grown  # taken before looking: what is committed meanwhile rings it
                page = self._tail.after(after)
                if page is None:
                    page = await self._page_or_nothing(after)
                if page:
                    yield page
                    after = page[-1].position
                else:
                    await _wait(grown, self._poll)

    @contextmanager
    def _following(self, head: int) -> Iterator[None]:
        """Count a subscription: the log is followed while there is one."""
        if self._followers == 0 and head > self._tail.end:
            self._tail.skip_to(head)  # nobody needed what lies between
        self._followers += 1
        self._look()
        try:
            yield
        finally:
            self._followers -= 1

    async def _known_head(self, after: int) -> int:
        head = await self.head()
        if after > head:
            raise ForeignCursor(after, head)
        return head

    async def _page_or_nothing(self, after: int) -> Sequence[Recorded]:
        try:
            return await self._reader.page(after=after)
        except (Busy, Closed, Invalid):  # the server is away or refuses us for a while: a subscription outlives that
            return []

    # --- following, for all subscriptions of the process ---------------------------------------------

    def _look(self) -> None:
        self._news.set()

    def _keep(self, outcome: Outcome) -> None:
        """Hand what we wrote to the subscriptions, unless others wrote before it: that must be read first."""
        if outcome.recorded and (outcome.erased or not self._followers):
            self._tail.skip_to(outcome.recorded[-1].position)  # who wants it reads the database: there a text is gone
        elif outcome.doubted or not self._tail.extend(outcome.recorded):
            self._look()

    async def _follow(self) -> None:
        """Read what others wrote, once for all subscriptions, until cancelled; what stops this stops them."""
        while True:
            await _wait(self._news, self._poll)
            self._news.clear()
            more = self._followers > 0
            while more:
                page = await self._page_or_nothing(self._tail.end)
                self._tail.extend(page)
                more = len(page) == PAGE

    async def close(self) -> None:
        self._closed = True
        self._tail.ring()
        for task in self._tasks:
            task.cancel()
        try:
            if self._writer is not None:
                await self._writer.close()
        finally:
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._reader.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()


def _stopped(cause: BaseException | None) -> Closed:
    error = Closed(f"the log has stopped at an error of its own: open it again; nothing was written ({cause!r})")
    error.__cause__ = cause
    return error


def _unanswered(cause: BaseException | None) -> OutcomeUnknown:
    error = OutcomeUnknown(f"the log stopped before it could answer: open it, and append the same again ({cause!r})")
    error.__cause__ = cause
    return error


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
