"""The stores whose subscribers `bench/missing.py` watches: what one process of each does, and where it is kept."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from bench.processes import meet
from events.contracts import ClaimAsserted, Identity, Wording
from events.leaf import derive
from events.log import Log, Proposed
from events.open import open_log
from tests.postgres import Server

GRACE: Final = 5.0  # seconds that a subscriber has, after the writers ended, to see what it hasn't yet
CONNECTED: Final = 0.15  # seconds that a subscriber stays connected, on average


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one process does."""

    place: Mapping[str, str]  # where the store is, in words of its own
    process: int
    writers: Sequence[int]  # how many events each one appends
    subscribers: int
    after: int  # where they begin
    total: int  # how many events there will be after that, from all processes
    seed: int

    def moments(self, subscriber: int) -> random.Random:
        """Return where a subscriber takes the moments from at which it is cut off."""
        return random.Random(f"{self.seed} {self.process} {subscriber}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one process saw: when it wrote, and each subscriber's positions, as they came."""

    begun: float
    ended: float
    seen: Sequence[Sequence[int]]
    reconnects: int


@dataclass(slots=True)
class Sight:
    """What one subscriber has seen, and whether it goes on."""

    total: int
    last: int
    positions: list[int] = field(default_factory=list)
    distinct: set[int] = field(default_factory=set)
    deadline: float = float("inf")  # by the monotonic clock; set once all writers have ended
    connects: int = 0

    def saw(self, position: int) -> None:
        """Note a position; the next connection goes on after it."""
        self.positions.append(position)
        self.distinct.add(position)
        self.last = position

    @property
    def over(self) -> bool:
        """Whether there is nothing more to see, or no time."""
        return len(self.distinct) >= self.total or time.monotonic() > self.deadline


def report(begun: float, ended: float, sights: Sequence[Sight]) -> Report:
    """Return what a process saw."""
    seen = [sight.positions for sight in sights]
    return Report(begun=begun, ended=ended, seen=seen, reconnects=sum(sight.connects - 1 for sight in sights))


# --- our log, in one process -----------------------------------------------------------------------


def ours(part: Part) -> Report:
    """Write and subscribe as a server of ours does: one log, and tasks."""
    return asyncio.run(_ours(part))


async def _ours(part: Part) -> Report:
    sights = [Sight(part.total, part.after) for _ in range(part.subscribers)]
    async with await open_log(part.place["url"]) as log, asyncio.TaskGroup() as tasks:
        await asyncio.to_thread(meet)
        for number, sight in enumerate(sights):
            tasks.create_task(_look(log, part.place["url"], sight, part.moments(number)))
        begun = time.time()
        writers = (_write(log, f"{part.process}-{writer}", count) for writer, count in enumerate(part.writers))
        await asyncio.gather(*writers)
        ended = time.time()
        await asyncio.to_thread(meet)
        for sight in sights:
            sight.deadline = time.monotonic() + GRACE
    return report(begun, ended, sights)


async def _write(log: Log, writer: str, count: int) -> None:
    stream = f"claim:{derive('clm', 'missing', writer)}"
    for number in range(count):
        event = Proposed(
            id=derive("evt", "missing", writer, f"{number}"),
            stream=stream,
            fact=ClaimAsserted(source=1, origin=1),
            identity=Identity(actor=f"writer {writer}"),
            wording=Wording(note=f"{number}"),
        )
        await log.append((event,))


async def _look(shared: Log, url: str, sight: Sight, moments: random.Random) -> None:
    while not sight.over:
        sight.connects += 1
        # As a subscriber of this server, or of one that only reads: the one is woken by its neighbours in the
        # process, the other by what the database tells it.
        own = moments.random() < 0.5
        connection: AbstractAsyncContextManager[Log] = (
            await open_log(url, writable=False) if own else nullcontext(shared)
        )
        async with connection as log:
            try:
                async with asyncio.timeout(moments.expovariate(1 / CONNECTED)):
                    async for page in log.subscribe(after=sight.last):
                        for event in page:
                            sight.saw(event.position)
                        if sight.over:
                            break
            except TimeoutError:
                continue


# --- a peer, in one process ------------------------------------------------------------------------


def threads(
    part: Part,
    write: Callable[[int], None],
    subscribe: Callable[[int, float], AbstractContextManager[Iterator[int]]],
) -> Report:
    """Write and subscribe in threads, as the peers do."""
    sights = [Sight(part.total, part.after) for _ in range(part.subscribers)]

    def look(sight: Sight, moments: random.Random) -> None:
        while not sight.over:
            sight.connects += 1
            with subscribe(sight.last, moments.expovariate(1 / CONNECTED)) as positions:
                for position in positions:
                    sight.saw(position)
                    if sight.over:
                        break

    with ThreadPoolExecutor(len(part.writers) + part.subscribers) as pool:
        meet()
        looking = [pool.submit(look, sight, part.moments(number)) for number, sight in enumerate(sights)]
        begun = time.time()
        for writing in [pool.submit(write, count) for count in part.writers]:
            writing.result()
        ended = time.time()
        meet()
        for sight in sights:
            sight.deadline = time.monotonic() + GRACE
        for one in looking:
            one.result()
    return report(begun, ended, sights)


def eventsourced(part: Part) -> Report:
    """Write and subscribe with an application of `eventsourcing`."""
    from bench.peers import eventsourced as peer

    with peer.opened(part.place) as application:
        return threads(part, partial(peer.save, application), partial(peer.subscribed, application))


def uma(part: Part) -> Report:
    """Write and subscribe with a client of UmaDB."""
    from umadb import Client

    from bench.peers import uma as peer

    with closing(Client(part.place["url"])) as client:
        return threads(part, partial(peer.append, client), partial(peer.subscribed, client))


# --- the stores ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A store, empty, and how to read back what it recorded."""

    words: Mapping[str, str]
    after: int  # what is in it already
    positions: Callable[[], Sequence[int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """One of those that are compared."""

    title: str
    needs: str  # the package that brings it
    work: Callable[[Part], Report]
    made: Callable[[Server], AbstractContextManager[Place]]


@contextmanager
def our_place(server: Server) -> Iterator[Place]:
    """Make a log in a schema of its own."""
    url = server.url("missing")

    async def positions() -> list[int]:
        async with await open_log(url, writable=False) as log:
            return [event.position async for page in log.read_all() for event in page]

    async def make() -> None:
        await (await open_log(url)).close()

    asyncio.run(make())
    yield Place(words={"url": url}, after=1, positions=lambda: asyncio.run(positions()))  # after `log.opened`


@contextmanager
def peers_place(server: Server, *, functions: bool) -> Iterator[Place]:
    """Make the peer's tables in a schema of their own."""
    import psycopg

    from bench.peers import eventsourced as peer

    schema = f"peer_{'functions' if functions else 'default'}"
    with psycopg.connect(server.database) as connection:
        connection.execute(f"CREATE SCHEMA {schema}")
    words = peer.make(peer.on_postgres(server.database, schema, functions=functions))
    yield Place(words=words, after=0, positions=lambda: peer.positions(words))


@contextmanager
def uma_place(server: Server) -> Iterator[Place]:
    """Run UmaDB's server; PostgreSQL's idles meanwhile."""
    from bench.peers import uma as peer

    with peer.served() as url:
        yield Place(words={"url": url}, after=0, positions=lambda: peer.positions(url))


STORES: Final[Mapping[str, Store]] = {
    "ours": Store(title="ours, on PostgreSQL", needs="asyncpg", work=ours, made=our_place),
    "eventsourcing": Store(
        title="eventsourcing on PostgreSQL, default mode",
        needs="eventsourcing",
        work=eventsourced,
        made=partial(peers_place, functions=False),
    ),
    "eventsourcing-functions": Store(
        title="eventsourcing on PostgreSQL, POSTGRES_ENABLE_DB_FUNCTIONS",
        needs="eventsourcing",
        work=eventsourced,
        made=partial(peers_place, functions=True),
    ),
    "umadb": Store(title="UmaDB, its own server", needs="umadb", work=uma, made=uma_place),
}
