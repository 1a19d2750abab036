"""The feed: every change of a status, as it happens, to as many as follow it.

One message for each position of the log that changed something, encoded once, into a ring of frames that
every subscriber reads at its own index. Who falls off the ring, or begins further back, reads the rows by
itself until it is back, and costs nobody else anything: there is no queue per subscriber.

The feed keeps no checkpoint: a subscriber goes on after the position it has seen last (`Last-Event-ID`). A
heartbeat tells how far the views are, so that a reader who filters goes on from there, too.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

import msgspec

from events.errors import ForeignCursor
from events.log import Log, Recorded
from verifier import render
from verifier.errors import Invalid, ViewsBehind
from verifier.projections import Reading, Views
from verifier.queries.claims import change_answers, changes_after

RING_FRAMES: Final = 4_096
"""How many frames are kept for subscribers that are a little behind."""

RING_BYTES: Final = 16 * 2**20
"""How many bytes these frames may have together."""

PAGE: Final = 200
"""About how many changes are read from the rows at once."""

HEARTBEAT: Final = 15.0
"""How many seconds pass between two heartbeats."""

POLL: Final = 1.0
"""How many seconds pass before we look for changes without having been woken."""

Message = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What one position changed: as a message, and as the bytes of a server-sent event. A heartbeat has no
    message."""

    position: int
    data: bytes
    message: Message | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which changes a subscriber wants; what is left out doesn't matter."""

    claim: str | None = None
    story: str | None = None
    status: str | None = None

    def of(self, frame: Frame) -> Frame | None:
        """Return what is wanted of a frame: all of it, less, or nothing."""
        if frame.message is None or self == EVERYTHING:
            return frame
        changes = frame.message["changes"]
        wanted = [change for change in changes if self._wants(change)]
        if len(wanted) == len(changes):
            return frame
        return frame_of({**frame.message, "changes": wanted}) if wanted else None

    def _wants(self, change: Message) -> bool:
        return (
            (self.claim is None or change["claim"] == self.claim)
            and (self.story is None or change["story"] == self.story)
            and (self.status is None or change["status"] == self.status)
        )


EVERYTHING: Final = Wanted()


class Feed:
    """The changes of one log. Subscribers are served from when `run` is, and until `stop`."""

    def __init__(
        self,
        log: Log,
        views: Views,
        *,
        frames: int = RING_FRAMES,
        size: int = RING_BYTES,
        heartbeat: float = HEARTBEAT,
        poll: float = POLL,
    ) -> None:
        self._log = log
        self._views = views
        self._frames = frames
        self._size = size
        self._heartbeat = heartbeat
        self._poll = poll
        self._ring: list[Frame] = []
        self._floor = views.position  # the ring has every change after this position …
        self._ceiling = views.position  # … and up to this one
        self._trimmed = 0  # how many frames have left the ring: the number of the first one in it
        self._bytes = 0
        self._erasures = views.erasures
        self.subscribers = 0
        """How many streams are open."""
        self._grown = asyncio.Event()  # replaced when the ring grows, so that everyone who waits wakes once
        self._stopped = asyncio.Event()

    # --- following the views -------------------------------------------------------------------------

    async def run(self) -> None:
        """Fill the ring as the views move, until `stop` or until cancelled."""
        loop = asyncio.get_running_loop()
        due = loop.time() + self._heartbeat
        while not self._stopped.is_set():
            if self.subscribers:
                self._views.burst.wanted()
            await self._views.moved(self._ceiling, min(self._poll, max(0.0, due - loop.time())))
            try:
                await self._fill()
            except ViewsBehind:  # their database can't be reached, and nobody tells when it can: look again
                await asyncio.sleep(min(self._poll, max(0.0, due - loop.time())))
            if loop.time() >= due:
                self._push([Frame(position=self._ceiling, data=heartbeat(self._ceiling))])
                due = loop.time() + self._heartbeat

    def stop(self) -> None:
        """End every stream, promptly: the server goes down."""
        self._stopped.set()
        self._wake()

    async def _fill(self) -> None:
        self._purge()
        if not self.subscribers:  # nobody reads the ring: it begins anew with the next one
            self._clear()
            self._floor = self._ceiling = self._views.position
            return
        while self._ceiling < self._views.position:
            frames, upto = await self._read_whole(self._ceiling)
            self._push(frames)
            self._ceiling = upto

    def _push(self, frames: Sequence[Frame]) -> None:
        if frames:
            self._ring += frames
            self._bytes += sum(len(frame.data) for frame in frames)
            self._trim()
            self._wake()

    def _trim(self) -> None:
        gone = max(0, len(self._ring) - self._frames)
        self._bytes -= sum(len(frame.data) for frame in self._ring[:gone])
        while self._bytes > self._size and gone < len(self._ring) - 1:
            self._bytes -= len(self._ring[gone].data)
            gone += 1
        self._drop(gone)

    def _drop(self, count: int) -> None:
        if count:
            self._floor = self._ring[count - 1].position
            self._trimmed += count
            del self._ring[:count]

    def _purge(self) -> None:
        """Drop what was rendered before a text was erased: it may hold a name that is gone."""
        if self._erasures != self._views.erasures:
            self._erasures = self._views.erasures
            self._clear()

    def _clear(self) -> None:
        self._drop(len(self._ring))
        self._floor, self._bytes = self._ceiling, 0

    def _wake(self) -> None:
        self._grown.set()
        self._grown = asyncio.Event()

    async def _read_whole(self, after: int) -> tuple[list[Frame], int]:
        """Read the changes after a position, once more where a text was erased meanwhile: they may hold it."""
        while True:
            erasures = self._views.erasures
            read = await self._read(after)
            if erasures == self._views.erasures:
                return read

    async def _read(self, after: int) -> tuple[list[Frame], int]:
        """Read the changes after a position from the rows: whole positions, and up to where they are all."""

        def read(reading: Reading) -> tuple[list[Message], int]:
            rows, upto = changes_after(reading, after, PAGE)
            return change_answers(reading, rows, self._log.id), upto

        changes, upto = await self._views.read(read)
        return [frame_of(message) for message in _messages(changes, self._log.id)], upto

    # --- subscribing ---------------------------------------------------------------------------------

    async def begin(self, after: int | None) -> int:
        """Return the position after which a subscription begins: the views' own where none is given.

        Raises `Invalid` for a position beyond the log's head.
        """
        if after is None:
            return self._views.position
        head = await self._log.head()
        if after > head:
            raise Invalid(str(ForeignCursor(after, head)), field="after", position=head)
        return after

    async def frames(
        self, after: int | None = None, *, claim: str | None = None, story: str | None = None, status: str | None = None
    ) -> AsyncGenerator[bytes]:
        """Yield server-sent events, each time one or more whole ones, until `stop`.

        After `after`, in order, no position left out and none twice. Raises `Invalid` where it lies beyond
        the head: ask `begin` first to know it before the answer begins.
        """
        async with aclosing(self._follow(after, Wanted(claim=claim, story=story, status=status))) as frames:
            async for some in frames:
                yield b"".join([frame.data for frame in some])

    async def messages(
        self, after: int | None = None, *, claim: str | None = None, story: str | None = None, status: str | None = None
    ) -> AsyncGenerator[Message]:
        """Yield what `frames` does, as messages and without heartbeats."""
        async with aclosing(self._follow(after, Wanted(claim=claim, story=story, status=status))) as frames:
            async for some in frames:
                for frame in some:
                    if frame.message is not None:
                        yield frame.message

    async def _follow(self, after: int | None, wanted: Wanted) -> AsyncGenerator[list[Frame]]:
        seen = await self.begin(after)
        number: int | None = None  # of the next frame in the ring, while we are on it
        self.subscribers += 1
        try:
            while not self._stopped.is_set():
                grown = self._grown  # taken before looking: what is pushed meanwhile sets it
                self._purge()
                if number is None or number < self._trimmed:
                    if seen < self._floor:
                        frames, seen = await self._read_whole(seen)
                    else:
                        frames = []
                        number = self._trimmed + bisect_right(self._ring, seen, key=lambda frame: frame.position)
                else:
                    frames = _beyond(seen, self._ring[number - self._trimmed :])
                    number = self._trimmed + len(self._ring)
                    if not frames:
                        await grown.wait()
                        continue
                    seen = frames[-1].position
                if some := [frame for given in frames if (frame := wanted.of(given)) is not None]:
                    yield some
        finally:
            self.subscribers -= 1

    # --- raw events ----------------------------------------------------------------------------------

    async def event_frames(self, after: int | None = None) -> AsyncGenerator[bytes]:
        """Yield every event of the log after a position (left out: from now) as server-sent events, each time
        one or more whole ones, until `stop`."""
        seen = await self._log.head() if after is None else await self.begin(after)
        async with aclosing(self._pages(seen)) as pages:
            async for page in pages:
                seen = page[-1].position if page else seen
                yield b"".join(map(event_frame, page)) or heartbeat(seen)

    async def event_messages(self, after: int | None = None) -> AsyncGenerator[Message]:
        """Yield what `event_frames` does, as messages and without heartbeats."""
        seen = await self._log.head() if after is None else await self.begin(after)
        async with aclosing(self._pages(seen)) as pages:
            async for page in pages:
                for event in page:
                    yield render.event(event)

    async def _pages(self, after: int) -> AsyncGenerator[Sequence[Recorded]]:
        """Yield pages of the log's events until `stop`, and an empty one where none came for a time."""
        pages = self._log.subscribe(after=after)
        stopped = asyncio.ensure_future(self._stopped.wait())
        page = asyncio.ensure_future(anext(pages, None))
        try:
            while True:
                await asyncio.wait({page, stopped}, timeout=self._heartbeat, return_when=asyncio.FIRST_COMPLETED)
                if stopped.done() or (page.done() and page.result() is None):
                    return
                if page.done():
                    yield page.result() or ()
                    page = asyncio.ensure_future(anext(pages, None))
                else:
                    yield ()
        finally:
            stopped.cancel()
            page.cancel()
            await asyncio.wait({page, stopped})


def frame_of(message: Message) -> Frame:
    """Encode a message, once for everybody."""
    data = msgspec.json.encode(message)
    return Frame(
        position=message["position"],
        data=b"id: %d\nevent: change\ndata: %b\n\n" % (message["position"], data),
        message=message,
    )


def event_frame(event: Recorded) -> bytes:
    """Encode a recorded event as a server-sent event."""
    return b"id: %d\nevent: event\ndata: %b\n\n" % (event.position, msgspec.json.encode(render.event(event)))


def heartbeat(position: int) -> bytes:
    """Return a comment that says how far we are. Its id moves a reader on that filters; without data it is
    no event."""
    return b": position %d\nid: %d\n\n" % (position, position)


def _messages(changes: Sequence[Message], log_id: str) -> Iterator[Message]:
    """Gather the changes of each position into one message."""
    for position, together in groupby(changes, key=lambda change: change["position"]):
        some = list(together)
        yield {"position": position, "recorded_at": some[0]["recorded_at"], "log": log_id, "changes": some}


def _beyond(seen: int, frames: list[Frame]) -> list[Frame]:
    """Return the frames that are new to somebody who has seen a position; a heartbeat may repeat it."""
    if not frames or frames[0].position > seen:
        return frames
    return [frame for frame in frames if frame.position > seen or (frame.message is None and frame.position == seen)]
