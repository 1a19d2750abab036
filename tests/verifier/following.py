"""A log in memory with a feed that runs, and how its frames are read."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from newsroom import Newsroom

from events.memory import MemoryLog
from verifier.adopted import Adopted
from verifier.feed import Feed
from verifier.projections import Views
from verifier.projections.sqlite import SqlitePlace
from verifier.queries import Queries


@dataclass
class Desk:
    """A log in memory with everything that a feed needs, followed."""

    log: MemoryLog
    newsroom: Newsroom
    views: Views
    feed: Feed
    queries: Queries

    async def settle(self) -> int:
        """Wait until the views contain the head, and return it."""
        head = await self.log.head()
        assert await self.views.reached(head, 10)
        return head


@asynccontextmanager
async def desk(**of_feed: Any) -> AsyncIterator[Desk]:
    """A desk that runs."""
    log = await MemoryLog.open()
    adopted = await Adopted.read(log)
    views = await Views.open(SqlitePlace(), log, adopted)
    feed = Feed(log, views, **of_feed)
    async with asyncio.timeout(30):
        running = [asyncio.create_task(views.run()), asyncio.create_task(feed.run())]
        try:
            yield Desk(log, Newsroom(log), views, feed, Queries(log, views, adopted))
        finally:
            feed.stop()
            for task in running:
                task.cancel()
            results = await asyncio.gather(*running, return_exceptions=True)
            await views.close()
    assert all(result is None or isinstance(result, asyncio.CancelledError) for result in results)
    assert views.error is None


def parse(data: bytes) -> list[tuple[str, int, Any]]:
    """Read server-sent events: their kind, id and data; a heartbeat has no data."""
    read = []
    for block in data.decode().removesuffix("\n\n").split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.split("\n"))
        read.append((lines.get("event", "heartbeat"), int(lines["id"]), json.loads(lines.get("data", "null"))))
    return read


async def positions(frames: AsyncIterator[bytes], upto: int) -> list[int]:
    """Read the positions of changes until a position has come."""
    seen: list[int] = []
    async with aclosing(frames) as some:
        async for data in some:
            seen += [position for kind, position, _ in parse(data) if kind == "change"]
            if seen and seen[-1] >= upto:
                return seen
    return seen


async def all_changes(desk: Desk) -> list[int]:
    """The positions that changed something, as the rows have them."""
    page = await desk.queries.changes(limit=10_000)
    return sorted({change["position"] for change in page["items"]})
