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
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Final

from events.errors import ForeignCursor
from events.log import Log, Recorded
from verifier import render
from verifier.bell import Bell
from verifier.errors import Invalid, ViewsBehind
from verifier.frames import EVERYTHING, Frame, Message, Wanted, event_frame, frames_of, mark
from verifier.picking import Picked, Picker
from verifier.projections import Reading, Views
from verifier.queries.claims import change_answers, changes_after
from verifier.queries.sources import sources_of

RING_FRAMES: Final = 4_096
"""How many frames are kept for subscribers that are a little behind."""

RING_BYTES: Final = 16 * 2**20
"""How many bytes these frames may have together."""

SLICE: Final = 16 * 2**10
"""About how many bytes a subscriber is sent at once, so that no buffer grows and nobody waits long for his turn."""

PAGE: Final = 200
"""About how many changes are read from the rows at once."""

HEARTBEAT: Final = 15.0
"""How many seconds pass between two heartbeats."""

POLL: Final = 1.0
"""How many seconds pass before we look for changes without having been woken."""


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
        self._grown = Bell()  # rung when the ring has grown
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
                self._push([mark(self._ceiling)])
                due = loop.time() + self._heartbeat

    def stop(self) -> None:
        """End every stream, promptly: the server goes down."""
        self._stopped.set()
        self._grown.ring()

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
            self._grown.ring()

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

    async def _read_whole(self, after: int, wanted: Wanted = EVERYTHING) -> tuple[list[Frame], int]:
        """Read the changes after a position, once more where a text was erased meanwhile: they may hold it."""
        while True:
            erasures = self._views.erasures
            read = await self._read(after, wanted)
            if erasures == self._views.erasures:
                return read

    async def _read(self, after: int, wanted: Wanted) -> tuple[list[Frame], int]:
        """Read the changes after a position from the rows: whole positions, and up to where they are all.

        Of what isn't wanted, much is left where it is; who wants something looks once more.
        """

        def read(reading: Reading) -> tuple[list[Frame], int]:
            rows, upto = changes_after(
                reading, after, PAGE, claim=wanted.claim, story=wanted.story, status=wanted.status,
                recalls=wanted.recalls,
            )  # fmt: skip
            changes = change_answers(reading, rows, self._log.id)
            sources = sources_of(reading, {change["claim"] for change in changes})
            return list(frames_of(changes, sources, self._log.id)), upto

        return await self._views.read(read)

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

    async def frames(self, after: int | None = None, wanted: Wanted = EVERYTHING) -> AsyncGenerator[bytes]:
        """Yield server-sent events, each time one or more whole ones, until `stop`.

        After `after`, in order, no position left out and none twice. Raises `Invalid` where it lies beyond
        the head: ask `begin` first to know it before the answer begins.
        """
        async with aclosing(self._follow(after, wanted)) as frames:
            async for some in frames:
                yield some[0].data if len(some) == 1 else b"".join([frame.data for frame in some])

    async def messages(self, after: int | None = None, wanted: Wanted = EVERYTHING) -> AsyncGenerator[Message]:
        """Yield what `frames` does, as messages and marks."""
        async with aclosing(self._follow(after, wanted)) as frames:
            async for some in frames:
                for frame in some:
                    yield {"position": frame.position} if frame.message is None else frame.message

    async def _follow(self, after: int | None, wanted: Wanted) -> AsyncGenerator[list[Frame]]:
        seen = await self.begin(after)
        number: int | None = None  # of the next frame in the ring, while we are on it
        everything, clock = wanted == EVERYTHING, asyncio.get_running_loop().time
        due = clock() + self._heartbeat
        self.subscribers += 1
        try:
            with self._grown.joined() as group:
                while not self._stopped.is_set():
                    grown = group.event  # taken before looking: what is pushed meanwhile sets it
                    self._purge()
                    if number is None or number < self._trimmed:
                        if seen < self._floor:
                            frames, seen = await self._read_whole(seen, wanted)
                        else:
                            frames = []
                            number = self._trimmed + bisect_right(self._ring, seen, key=lambda frame: frame.position)
                    elif number == self._trimmed + len(self._ring):
                        await grown.wait()
                        continue
                    else:
                        given = _slice(self._ring, number - self._trimmed)
                        number += len(given)
                        frames = _beyond(seen, given)
                        seen = max(seen, given[-1].position)
                    some = frames if everything else [got for frame in frames if (got := wanted.of(frame))]
                    if not some and clock() >= due:  # long among what isn't wanted: say how far we are
                        some = [mark(seen)]
                    if some:
                        due = clock() + self._heartbeat
                        yield some
                    if number is None or number < self._trimmed + len(self._ring):
                        await asyncio.sleep(0)  # there is more: others first
        finally:
            self.subscribers -= 1

    # --- raw events ----------------------------------------------------------------------------------

    async def event_frames(self, after: int | None = None, picked: Picked = Picked()) -> AsyncGenerator[bytes]:  # noqa: B008
        """Yield events of the log after a position (left out: from now) as server-sent events, each time one or more
        whole ones, until `stop`."""
        async with aclosing(self._picked(after, picked)) as pages:
            async for page, seen in pages:
                yield b"".join(map(event_frame, page)) or mark(seen).data

    async def event_messages(self, after: int | None = None, picked: Picked = Picked()) -> AsyncGenerator[Message]:  # noqa: B008
        """Yield what `event_frames` does, as messages and marks."""
        async with aclosing(self._picked(after, picked)) as pages:
            async for page, seen in pages:
                for event in page:
                    yield render.event(event)
                if not page:
                    yield {"position": seen}

    async def _picked(self, after: int | None, picked: Picked) -> AsyncGenerator[tuple[Sequence[Recorded], int]]:
        """Yield what is wanted of each page with how far we are; nothing where nothing came of it for a time."""
        seen = await self._log.head() if after is None else await self.begin(after)
        picker, clock = Picker(self._log, picked), asyncio.get_running_loop().time
        due = clock() + self._heartbeat
        async with aclosing(self._pages(seen)) as pages:
            async for page in pages:
                wanted = await picker.of(page)
                seen = page[-1].position if page else seen
                if wanted or clock() >= due:
                    due = clock() + self._heartbeat
                    yield wanted, seen

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


def _slice(ring: Sequence[Frame], start: int) -> list[Frame]:
    """Return the frames from a place on, as many as are sent at once, and one at least."""
    end, size = start, 0
    while end < len(ring) and (size < SLICE or end == start):
        size += len(ring[end].data)
        end += 1
    return list(ring[start:end])


def _beyond(seen: int, frames: list[Frame]) -> list[Frame]:
    """Return the frames that are new to somebody who has seen a position; a heartbeat may repeat it."""
    if not frames or frames[0].position > seen:
        return frames
    return [frame for frame in frames if frame.position > seen or (frame.message is None and frame.position == seen)]
