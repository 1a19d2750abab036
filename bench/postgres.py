"""How fast the log is on PostgreSQL: the part `postgres` of `bench/log.py`.

One server for everything, and in one run. The *limit* is asyncpg, writing the rows that our log holds into a
table with the same columns and indexes, in as large batches, each in a transaction of its own: by a multi-row
INSERT, the faster of its two forms, and by COPY. It numbers, checks and answers nothing.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import asyncpg

from bench.measuring import Scale, appends, clock, imported, measure_replay, proposed, row, say
from bench.processes import Saved, at_once, meet, rate_of, share
from events.log import Recorded
from events.open import database_of, open_log
from tests.postgres import Server, serving
from verifier.app import open_desk
from verifier.garbage import collect_seldom

CALLERS: Final = (1, 8, 64, 512)
PROCESSES: Final = (1, 3)
ROUNDS: Final = 3  # of us and the limit in turn; the middle one is printed
BULK: Final = 1_000  # events in one append

_DURABILITY: Final = ("server_version", "fsync", "synchronous_commit", "full_page_writes")
_COLUMNS: Final = ("position", "id", "stream", "leaf", "wording_salt", "wording", "identity_salt", "identity")
_TYPES: Final = ("bigint", "text", "text", "bytea", "bytea", "bytea", "bytea", "bytea")


def durability(server: Server) -> str:
    """Say what the server is set to, as it says itself."""

    async def ask() -> list[str]:
        connection = await asyncpg.connect(server.database)
        try:
            return [await connection.fetchval("SELECT current_setting($1)", name) for name in _DURABILITY]
        finally:
            await connection.close()

    return ", ".join(f"{name}={value}" for name, value in zip(_DURABILITY, asyncio.run(ask()), strict=True))


# --- our log, in one process of several --------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What one process appends."""

    url: str
    callers: int
    first: int
    count: int


def ours(part: Share) -> Saved:
    """Append from as many tasks, one event an append."""
    collect_seldom()  # as the command line does
    return asyncio.run(_ours(part))


async def _ours(part: Share) -> Saved:
    events = [proposed(number) for number in range(part.first, part.first + part.count)]
    async with await open_log(part.url) as log:
        await asyncio.to_thread(meet)
        return await appends(log, part.callers, events)


def bulk(part: Share) -> Saved:
    """Append from one caller, as many events an append as a bulk import has."""
    collect_seldom()
    return asyncio.run(_bulk(part))


async def _bulk(part: Share) -> Saved:
    events = [proposed(number) for number in range(part.first, part.first + part.count)]
    async with await open_log(part.url) as log:
        meet()
        begun = time.time()
        for start in range(0, len(events), BULK):
            await log.append(events[start : start + BULK])
        return Saved(begun, time.time(), [0.0] * len(events))


# --- the limit -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """Rows a second that the database alone takes, in batches of one size."""

    batch: int
    insert: float
    copy: float


def limits(source: str, *batches: int) -> Sequence[Limit]:
    """Write the rows of a log again, in batches as large as its own commits and in those given."""
    [found] = at_once(partial(_limits, batches=batches), [source])
    return found


def _limits(source: str, batches: Sequence[int]) -> Sequence[Limit]:
    meet()
    return asyncio.run(_write_again(source, batches))


async def _write_again(source: str, batches: Sequence[int]) -> Sequence[Limit]:
    place = database_of(source)
    connection = await asyncpg.connect(place.dsn, server_settings={"search_path": place.schema})
    try:
        rows = await connection.fetch(f"SELECT {', '.join(_COLUMNS)} FROM events WHERE position > 1 ORDER BY position")
        commits = len({Recorded(one["position"], one["leaf"]).recorded_at for one in rows})
        sizes = dict.fromkeys((round(len(rows) / commits), *batches))
        return [await _limit(connection, [tuple(one) for one in rows], batch) for batch in sizes]
    finally:
        await connection.close()


async def _limit(connection: asyncpg.Connection, rows: Sequence[tuple[object, ...]], batch: int) -> Limit:
    batches = [rows[start : start + batch] for start in range(0, len(rows), batch)]
    rates = []
    for write in (_by_values, _by_arrays, _by_copy):
        await connection.execute("CREATE TABLE plain (LIKE events INCLUDING ALL)")
        with clock() as seconds:
            await write(connection, batches)
        rates.append(len(rows) / seconds())
        await connection.execute("DROP TABLE plain")
    return Limit(batch=batch, insert=max(rates[:2]), copy=rates[2])


Batches = Sequence[Sequence[tuple[object, ...]]]


async def _by_values(connection: asyncpg.Connection, batches: Batches) -> None:
    places = [
        "(" + ", ".join(f"${number * len(_COLUMNS) + at + 1}" for at in range(len(_COLUMNS))) + ")"
        for number in range(len(batches[0]))
    ]
    whole = await connection.prepare(f"INSERT INTO plain VALUES {', '.join(places)}")
    for batch in batches:
        # The last one may be shorter.
        insert = (
            whole
            if len(batch) == len(places)
            else await connection.prepare(f"INSERT INTO plain VALUES {', '.join(places[: len(batch)])}")
        )
        await insert.fetch(*(value for one in batch for value in one))


async def _by_arrays(connection: asyncpg.Connection, batches: Batches) -> None:
    arrays = ", ".join(f"${at}::{kind}[]" for at, kind in enumerate(_TYPES, 1))
    insert = await connection.prepare(f"INSERT INTO plain SELECT * FROM unnest({arrays})")
    for batch in batches:
        await insert.fetch(*zip(*batch, strict=True))


async def _by_copy(connection: asyncpg.Connection, batches: Batches) -> None:
    for batch in batches:
        await connection.copy_records_to_table("plain", records=batch)


# --- the peers -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Another store, running."""

    title: str
    floor: str  # what we promise beside it, if anything
    saves: Callable[[int, int], Saved]  # with so many callers, so many events


@contextmanager
def peers(server: Server) -> Iterator[Sequence[Peer]]:
    """Run the peers that are installed, and name those that are not."""
    running: list[Peer] = []
    if find_spec("eventsourcing") is None:
        say("  (not installed: pip install eventsourcing)")
    else:
        running += [_eventsourced(server, functions=False), _eventsourced(server, functions=True)]
    if find_spec("umadb") is None:
        say("  (not installed: pip install umadb)")
    with _umadb() if find_spec("umadb") is not None else nullcontext() as url:
        if url is not None:
            from bench.peers import uma

            running.append(Peer(title="UmaDB", floor="at least 1", saves=partial(uma.appends, url)))
        yield running


def _eventsourced(server: Server, *, functions: bool) -> Peer:
    from bench.peers import eventsourced

    schema = f"peer_{'functions' if functions else 'default'}"
    asyncio.run(_make_schema(server, schema))
    settings = eventsourced.make(eventsourced.on_postgres(server.database, schema, functions=functions))
    title, floor = ("eventsourcing", "at least 8")
    if functions:
        title, floor = "eventsourcing by functions, which loses events", ""
    return Peer(title=title, floor=floor, saves=partial(eventsourced.saves, settings))


async def _make_schema(server: Server, schema: str) -> None:
    connection = await asyncpg.connect(server.database)
    await connection.execute(f"CREATE SCHEMA {schema}")
    await connection.close()


def _umadb() -> AbstractContextManager[str]:
    from bench.peers import uma

    return uma.served()


def _saves(peer: Callable[[int, int], Saved], part: tuple[int, int]) -> Saved:
    return peer(*part)


# --- the part --------------------------------------------------------------------------------------


def measure_postgres(folder: Path, scale: Scale) -> None:
    """Appends, bulk import, a desk's import and replay on a PostgreSQL of its own, which keeps its files elsewhere."""
    del folder
    with serving() as server, peers(server) as running:
        say(f"\nPostgreSQL: {durability(server)}; appends of one event each, encoding and digests included")
        for processes in PROCESSES:
            for callers in CALLERS:
                if callers >= processes:
                    _measure_appends(server, running, scale, callers=callers, processes=processes)
        _measure_bulk(server, scale)
        asyncio.run(_measure_desk(server.url("desk"), scale))


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """Our log, and directly after it the limit, so that both met the same machine."""

    rate: float
    taken: Sequence[float]
    limits: Sequence[Limit]  # the first in batches as large as our commits

    @property
    def ratio(self) -> float:
        """How many of the limit's rows a second we reach."""
        return self.rate / self.limits[0].insert


def _round(url: str, callers: int, processes: int, count: int) -> Round:
    asyncio.run(_make(url))
    shares = [
        Share(
            url=url,
            callers=share(callers, processes, number),
            first=sum(share(count, processes, earlier) for earlier in range(number)),
            count=share(count, processes, number),
        )
        for number in range(processes)
    ]
    saved = at_once(ours, shares)
    waiting = -(-callers // processes)  # the most that one commit could take
    return Round(
        rate=rate_of(saved), taken=[one for report in saved for one in report.taken], limits=limits(url, waiting)
    )


def _show_limits(rate: float, limits: Sequence[Limit], floor: str = "") -> None:
    for one in limits:
        row(f"   INSERT of {one.batch} row(s), a transaction each", one.insert, f"{rate / one.insert:.2f} ×{floor}")
        row(f"   COPY of {one.batch} row(s), a transaction each", one.copy, f"{rate / one.copy:.2f} ×")
        floor = ""


def _measure_appends(server: Server, running: Sequence[Peer], scale: Scale, *, callers: int, processes: int) -> None:
    count = scale.appends // {1: 10, 8: 3}.get(callers, 1)
    urls = [server.url(f"appends{callers}by{processes}_{number}") for number in range(ROUNDS)]
    middle = sorted((_round(url, callers, processes, count) for url in urls), key=lambda one: one.ratio)[ROUNDS // 2]
    cuts = statistics.quantiles(middle.taken, n=100)
    title = f"{callers} caller(s) in {processes} process(es): p50 {cuts[49]:.2f} ms, p99 {cuts[98]:.2f} ms"
    row(title, middle.rate, f"{middle.limits[0].batch} to a commit")
    # One caller takes at most 1.6 times as long; 64 are at least half as fast.
    _show_limits(middle.rate, middle.limits, {1: "; at least 0.63", 64: "; at least 0.5"}.get(callers, ""))
    few = max(count // 10, 10 * callers)
    parts = [(share(callers, processes, number), share(few, processes, number)) for number in range(processes)]
    for peer in running:
        other = rate_of(at_once(partial(_saves, peer.saves), parts))
        floor = f"; {peer.floor}" if callers == 64 and peer.floor else ""
        row(f"   {peer.title}", other, f"{middle.rate / other:.1f} ×{floor}")


def _measure_bulk(server: Server, scale: Scale) -> None:
    url = server.url("bulk")
    asyncio.run(_make(url))
    say(f"\nbulk import into PostgreSQL: appends of {BULK:,} events, one after another")
    rate = rate_of(at_once(bulk, [Share(url=url, callers=1, first=0, count=scale.events)]))
    row("import, events", rate, "at least 20,000")
    _show_limits(rate, limits(url))


async def _measure_desk(url: str, scale: Scale) -> None:
    async with open_desk(url) as desk:
        rate, followed = await imported(desk, scale.events)
    say(f"\nbulk import of {scale.events:,} commands on PostgreSQL: parsed, decided, appended, answered")
    row("import", rate)
    row("   and the views caught up, which wait during a batch", followed)
    await measure_replay(url, beside="at least 100,000")


async def _make(url: str) -> None:
    await (await open_log(url)).close()
