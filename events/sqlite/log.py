"""The five verbs on a SQLite file."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal, Self

from events.contracts import LogOpened
from events.errors import Busy, Closed, ForeignCursor, Invalid, LogError, OutcomeUnknown, ReadOnly
from events.log import PAGE, Proposed, Recorded, encode_append, opening
from events.sqlite.commit import Append, Outcome, Restore, Work
from events.sqlite.owner import Owner
from events.sqlite.reader import Reader
from events.sqlite.tail import Tail
from events.sqlite.writer import Writer

_BYTES_WAITING: Final = 64 * 2**20
"""How many bytes may wait to be committed; the append that goes beyond it is still taken."""


class SqliteLog:
    """A log in one SQLite file, for one event loop. Made by `open`; its verbs are those of `events.log.Log`."""

    def __init__(self, path: Path, url: str, reader: Reader, *, busy_timeout: float, waiting: int, poll: float) -> None:
        self.url = url
        self._path = path
        self._reader = reader
        self._busy_timeout = busy_timeout
        self._limit = waiting
        self._poll = poll
        self._tail = Tail()
        self._loop = asyncio.get_running_loop()
        self._writer: Writer | None = None
        self._owner: Owner | None = None
        self._id: str | None = None
        self._lineage: str | None = None
        self._closed = False
        # What waits or is being committed; both are bounded, so that a slow disk meets callers early.
        self._waiting = 0
        self._bytes = 0
        self._room = asyncio.Event()

    @classmethod
    async def open(
        cls,
        path: str | Path,
        *,
        writable: bool = True,
        create: Literal["new", "empty"] | None = "new",
        connection: type[sqlite3.Connection] = sqlite3.Connection,
        busy_timeout: float = 5.0,
        waiting: int = 4_096,
        poll: float = 1.0,
    ) -> Self:
        """Open the log in a file, migrating its tables when they are older.

        `create` says what to do where there is no log yet: make a new one, make an empty one that waits
        to be restored, or refuse. Where it is not `writable`, the file is only read, and another process
        may write it. `connection` is the class of the connection that writes, `busy_timeout` how many
        seconds an append waits for room or for a lock, `waiting` how many appends may wait, and `poll`
        how many seconds a subscription waits before it looks for what another process wrote.

        Raises `LogInUse` when another process writes the log, `SchemaMismatch` when its tables are newer,
        `Invalid` when there is none, `ReadOnly` when it can't be written.
        """
        file = _locate(path, may_make=writable and create is not None)
        reader = Reader(file, threads=4, busy_timeout=busy_timeout)
        log = cls(file, f"sqlite:///{path}", reader, busy_timeout=busy_timeout, waiting=waiting, poll=poll)
        try:
            await log._begin(connection if writable else None, create)
        except BaseException:
            await log.close()
            raise
        return log

    async def _begin(self, connection: type[sqlite3.Connection] | None, create: Literal["new", "empty"] | None) -> None:
        if connection is not None:
            self._writer = Writer(
                self._path, connection=connection, busy_timeout=self._busy_timeout, done=self._done_in_thread
            )
            self._owner = await self._writer.open()
        await self._reader.check()
        await self._learn_from_file()
        if self._id is None and self._writer is not None and create == "new":
            await self.append([opening()])

    @property
    def id(self) -> str:
        if self._id is None:
            raise Invalid("this log is empty and has no id yet: restore into it first")
        return self._id

    @property
    def lineage(self) -> str:
        return self._lineage or self.id

    def announce(self, address: str | None) -> None:
        """Say where this log is served: another process that wants to write is told by `LogInUse`."""
        if self._owner is None:
            raise ReadOnly("this log is open for reading only")
        self._owner.announce(address)

    async def append(self, events: Sequence[Proposed], *, after: Mapping[str, int] = {}) -> Sequence[Recorded]:
        encoded = encode_append(events)
        return await self._do(Append.of(encoded, after, self._loop.create_future()))

    async def restore(self, events: Sequence[Recorded]) -> None:
        try:
            await self._do(Restore.of(events, self._loop.create_future()))
        except OutcomeUnknown:
            with suppress(LogError):  # a file that can't be read now either: the outcome is unknown all the same
                await self._learn_from_file()
            raise

    async def _do(self, work: Work) -> Sequence[Recorded]:
        if self._waiting >= self._limit or self._bytes > _BYTES_WAITING:
            await self._wait_for_room()
        writer = self._writer_or_refuse()
        self._waiting += 1
        self._bytes += work.size
        writer.put(work)
        try:
            return await work.answer
        except asyncio.CancelledError:
            writer.drop(work)
            raise
        finally:
            self._waiting -= 1
            self._bytes -= work.size
            self._room.set()

    def _writer_or_refuse(self) -> Writer:
        if self._closed:
            raise Closed("the log is closed")
        if self._writer is None:
            raise ReadOnly("this log is open for reading only: open it for writing")
        return self._writer

    async def _wait_for_room(self) -> None:
        try:
            async with asyncio.timeout(self._busy_timeout):
                while self._waiting >= self._limit or self._bytes > _BYTES_WAITING:
                    self._room.clear()
                    await self._room.wait()
        except TimeoutError as error:
            raise Busy(f"{self._waiting:,} appends are waiting: try again; nothing was written") from error

    def _done_in_thread(self, outcome: Outcome) -> None:
        try:
            self._loop.call_soon_threadsafe(self._done, outcome)
        except RuntimeError:  # the loop was closed before the log, so nobody waits for an answer
            return

    def _done(self, outcome: Outcome) -> None:
        """Answer the callers of a batch, and tell the subscriptions."""
        for work, answer in outcome.answers:
            if self._id is None and not isinstance(answer, LogError) and answer:
                self._learn(answer[0])
            if work.answer.done():  # cancelled: it was recorded all the same
                continue
            if isinstance(answer, LogError):
                work.answer.set_exception(answer)
            else:
                work.answer.set_result(answer)
        if outcome.recorded or outcome.doubted:
            self._tail.extend(outcome)

    async def _learn_from_file(self) -> None:
        first = await self._reader.first()
        if first is not None:
            self._learn(first)

    def _learn(self, event: Recorded) -> None:
        """Take the log's id from its first event; any other says nothing about it."""
        match event:
            case Recorded(position=1, fact=LogOpened(log=log_id, lineage=lineage)):
                self._id, self._lineage = log_id, lineage

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
            await self._known_head(after)
        except Closed:  # also while it asked
            return
        while not self._closed:
            grown = self._tail.grown  # taken before looking: what is committed meanwhile rings it
            page = self._tail.after(after)
            if page is None:
                page = await self._page_or_nothing(after)
            if page:
                yield page
                after = page[-1].position
            else:
                await self._wait(grown)

    async def _known_head(self, after: int) -> int:
        head = await self.head()
        if after > head:
            raise ForeignCursor(after, head)
        return head

    async def _page_or_nothing(self, after: int) -> Sequence[Recorded]:
        try:
            return await self._reader.page(after=after)
        except (Busy, Closed):  # the file is locked for a while, or we are closed: a subscription outlives the one
            return []

    async def _wait(self, grown: asyncio.Event) -> None:
        try:
            async with asyncio.timeout(self._poll):
                await grown.wait()
        except TimeoutError:
            return

    async def close(self) -> None:
        self._closed = True
        self._tail.ring()
        try:
            await self._reader.close()  # first, so that the writer is the last to go and takes the WAL file with it
        finally:
            if self._writer is not None:
                await self._writer.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()


def _locate(path: str | Path, *, may_make: bool) -> Path:
    """Return the one name of a log's file, by which its lock is found too."""
    file = Path(path).resolve()
    if not file.exists() and not may_make:
        raise Invalid(f"there is no log at {file}: check the name, or record something to make one")
    return file
