"""How fast the log, the views, the server and the client are, beside a limit and a peer, in one run.

    python -m bench.log [--quick] [--only NAME …]

Everything is measured with the durability that the product has: SQLite with `journal_mode=WAL` and
`synchronous=FULL`, PostgreSQL with `fsync=on` and `synchronous_commit=on`; every append is on disk before it is
acknowledged. The *limit* is the database alone, given the same rows for the same tables in batches of the
same size; the *peer* is the Python library `eventsourcing` on the same database, one aggregate event a
save, as durable. Compare the ratios: the absolute figures are those of the machine that printed them.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench.measuring import (
    FULL,
    QUICK,
    Scale,
    appends,
    as_body,
    clock,
    command,
    imported,
    measure_replay,
    proposed,
    registered,
    row,
    say,
    server,
)
from bench.postgres import measure_postgres
from bench.processes import Saved, at_once, rate_of
from events.leaf import decode_leaf
from events.open import open_log
from verifier import batches
from verifier.app import Desk, open_desk
from verifier.client import Verifier
from verifier.commands import AssertClaim
from verifier.garbage import collect_seldom
from verifier.handler.appending import Caller

SIZES = (1, 8, 64)
ROUNDS = 3
ROWS = (
    "SELECT position, id, stream, leaf, wording_salt, wording, identity_salt, identity FROM events WHERE position > 1"
)


# --- the limit and the peer ------------------------------------------------------------------------


def rows_of(path: Path) -> list[tuple[Any, ...]]:
    """Read back what a log holds, but for its first event."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute(ROWS).fetchall()


def plain(path: Path, of: Path, rows: Sequence[tuple[object, ...]], batch: int) -> float:
    """Write rows with the standard library into the same tables; return rows a second."""
    with contextlib.closing(sqlite3.connect(of)) as connection:
        tables = connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid").fetchall()
        first = connection.execute("SELECT * FROM events WHERE position = 1").fetchone()
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA secure_delete=ON")
        for (sql,) in tables:
            connection.execute(sql)
        connection.execute("INSERT INTO events VALUES (?,?,?,?,?,?,?,?)", first)
        with clock() as seconds:
            for start in range(0, len(rows), batch):
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany("INSERT INTO events VALUES (?,?,?,?,?,?,?,?)", rows[start : start + batch])
                connection.execute("COMMIT")
    return len(rows) / seconds()


def peer(folder: Path, callers: int, count: int) -> float | None:
    """Return the peer's saves a second; `None` where it isn't installed."""
    if find_spec("eventsourcing") is None:
        say("  (no peer: pip install eventsourcing)")
        return None
    from bench.peers import eventsourced

    settings = eventsourced.on_sqlite(str(folder / f"peer{callers}.db"))
    return rate_of(at_once(partial(eventsourced.saves, settings, callers), [count]))


# --- the log ---------------------------------------------------------------------------------------


async def measure_appends(folder: Path, scale: Scale) -> None:
    """Appends at 1, 8 and 64 callers, encoding and digests included, beside limit and peer."""
    say("appends, one event each; encoding and digests included; synchronous=FULL")
    say(f"we and the limit in turn, {ROUNDS} times: the middle of each")
    for callers in SIZES:
        count = scale.appends // 10 if callers == 1 else scale.appends
        turns = [await _one_turn(folder, callers, count, number) for number in range(ROUNDS)]
        saved, batch, _, _ = sorted(turns, key=lambda turn: rate_of([turn[0]]))[ROUNDS // 2]
        rate, cuts = rate_of([saved]), statistics.quantiles(saved.taken, n=100)
        row(f"{callers} caller(s): p50 {cuts[49]:.2f} ms, p99 {cuts[98]:.2f} ms", rate)
        limit = statistics.median(turn[2] for turn in turns)
        row(f"   plain sqlite3, batches of {batch}, as our commits", limit, f"{rate / limit:.2f} × the limit")
        if batch != callers:
            limit = statistics.median(turn[3] for turn in turns)
            row(f"   plain sqlite3, batches of {callers}", limit, f"{rate / limit:.2f} × that")
        other = peer(folder, callers, max(count // 20, 10 * callers))
        if other is not None:
            row(f"   eventsourcing, {callers} thread(s)", other, f"{rate / other:.1f} × the peer")


async def _one_turn(folder: Path, callers: int, count: int, number: int) -> tuple[Saved, int, float, float]:
    """Append; return what it took, the size of a commit, and what the limit takes in such batches, and in as large
    ones as there are callers."""
    path = folder / f"appends{callers}-{number}.db"
    async with await open_log(f"sqlite:///{path}") as log:
        saved = await appends(log, callers, [proposed(number) for number in range(count)])
    rows = rows_of(path)
    # One commit gives all that it holds one time.
    batch = round(len(rows) / len({decode_leaf(one[3]).recorded_at for one in rows}))
    limits = {size: plain(folder / f"limit{callers}-{number}-{size}.db", path, rows, size) for size in {batch, callers}}
    return saved, batch, limits[batch], limits[callers]


async def measure_import(folder: Path, scale: Scale) -> None:
    """Bulk import of commands, then replay and catch-up of the views over what it wrote."""
    path = folder / "import.db"
    async with open_desk(f"sqlite:///{path}") as desk:
        rate, followed = await imported(desk, scale.events)
    rows = rows_of(path)
    limit = plain(folder / "limit-import.db", path, rows, batches.BATCH_LINES)
    say(f"\nbulk import of {scale.events:,} commands: parsed, decided, appended, answered")
    row("import", rate)
    row("   and the views caught up, which wait during a batch", followed)
    row("   plain sqlite3 executemany of the same rows", limit, f"{rate / limit:.2f} × the limit")
    await measure_replay(f"sqlite:///{path}")
    await measure_catch_up(path, limit)


async def measure_catch_up(path: Path, limit: float) -> None:
    """Build the views anew from position 0."""
    path.with_suffix(".views.db").unlink()
    with clock() as seconds:
        async with open_desk(f"sqlite:///{path}") as desk:
            head = await desk.log.head()
            await desk.views.reached(head, 600)
    say("\ncatch-up of the views from position 0")
    row("catch-up", head / seconds(), f"{head / seconds() / limit:.2f} × plain executemany of the log's rows")


# --- one claim -------------------------------------------------------------------------------------


async def measure_one_claim(folder: Path, scale: Scale) -> None:
    """64 callers on one claim, and how the cost of a write grows with the claim."""
    say("\none claim")
    async with open_desk(f"sqlite:///{folder / 'one.db'}") as desk:
        busy, small, large = await registered(desk, 3)
        rate = await on_one(desk, busy, 64, scale.requests // 2)
        row("64 callers on one claim, none refused", rate)
        for first in range(0, scale.hot, batches.BATCH_LINES):
            lines = [
                {"key": f"h{n}", "claim": large, **as_body(command(n, outlets=20_000))}
                for n in range(first, min(first + batches.BATCH_LINES, scale.hot))
            ]
            await batches.batch(desk, lines, "bench")
        await on_one(desk, small, 1, 10)
        await desk.views.reached(await desk.log.head(), 600)
        times: dict[str, list[float]] = {small: [], large: []}
        for turn in range(200):
            for claim in (small, large):
                begun = time.perf_counter()
                await one(desk, claim, f"t{turn}{claim}", turn)
                times[claim].append(time.perf_counter() - begun)
        ten, many = (statistics.median(times[claim]) * 1e3 for claim in (small, large))
        say(f"  a write on a claim with ten statements: {ten:.2f} ms")
        say(f"  a write on a claim with {scale.hot:,}: {many:.2f} ms, {many / ten:.2f} × as long")


async def on_one(desk: Desk, claim: str, callers: int, count: int) -> float:
    """Write on one claim from several callers; return writes a second."""
    numbers = iter(range(count))

    async def caller() -> None:
        for number in numbers:
            await one(desk, claim, f"{callers}-{number}", number)

    with clock() as seconds:
        await asyncio.gather(*(caller() for _ in range(callers)))
    return count / seconds()


async def one(desk: Desk, claim: str, key: str, number: int) -> None:
    """Write one statement."""
    given = AssertClaim(source=f"Outlet {number % 50}", origin="the letter", attribution="documentary")
    await desk.handler.handle(claim, given, Caller(actor="bench", key=f"{claim}{key}"))


# --- the server and the client ---------------------------------------------------------------------


async def measure_http(folder: Path, scale: Scale) -> None:
    """HTTP writes at 64 connections, with the load generator on the same cores and the views following."""
    say("\nHTTP and the client; server, views and load generator share the machine's cores")
    async with server(f"sqlite:///{folder / 'served.db'}") as address:
        async with Verifier(address) as verifier:
            lines = [{"text": f"Claim {n}"} for n in range(500)]
            claims = [(await verifier.register(line["text"])).id for line in lines]
        host, _, port = address.removeprefix("http://").partition(":")
        with clock() as seconds:
            taken = await load(host, int(port), claims, scale.requests, 64)
        cuts = statistics.quantiles(taken, n=100)
        row(f"HTTP writes, 64 connections: p50 {cuts[49]:.1f} ms, p99 {cuts[98]:.1f} ms", scale.requests / seconds())
        await measure_client(address, claims, scale)


async def load(host: str, port: int, claims: Sequence[str], count: int, connections: int) -> list[float]:
    """Send writes over as many kept-alive connections, each the next as soon as the last is answered."""
    numbers = iter(range(count))
    taken: list[float] = []

    async def connection() -> None:
        reader, writer = await asyncio.open_connection(host, port)
        for number in numbers:
            body = json.dumps(as_body(command(number))).encode()
            head = (
                f"POST /api/v1/claims/{claims[number % len(claims)]}/events HTTP/1.1\r\nHost: {host}:{port}\r\n"
                f"Content-Type: application/json\r\nIdempotency-Key: w{number}\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            begun = time.perf_counter()
            writer.write(head.encode() + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            assert answer.split(b" ", 2)[1] in (b"200", b"201"), answer
            length = int(answer.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            taken.append((time.perf_counter() - begun) * 1e3)
        writer.close()

    await asyncio.gather(*(connection() for _ in range(connections)))
    return taken


async def measure_client(address: str, claims: Sequence[str], scale: Scale) -> None:
    """One client: 64 tasks, then batches."""
    async with Verifier(address) as verifier:
        numbers = iter(range(scale.requests))

        async def task() -> None:
            for number in numbers:
                await verifier.deny(claims[number % len(claims)], source=f"Outlet {number % 500}")

        with clock() as seconds:
            await asyncio.gather(*(task() for _ in range(64)))
        row("64 tasks through one client", scale.requests / seconds())
        commands = [(claims[n % len(claims)], command(n)) for n in range(scale.requests * 4)]
        with clock() as seconds:
            answers = await verifier.batch(commands)
        assert not any(isinstance(answer, Exception) for answer in answers)
        row("one client, batch", len(commands) / seconds())


# --- the whole run ---------------------------------------------------------------------------------

PARTS: dict[str, Callable[[Path, Scale], Coroutine[None, None, None] | None]] = {
    "appends": measure_appends,
    "import": measure_import,
    "claim": measure_one_claim,
    "http": measure_http,
    "postgres": measure_postgres,
}


def main() -> None:
    """Measure what is asked for, in a folder that goes away afterwards."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the work, for a first look")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="only these parts")
    given = parser.parse_args()
    say(f"Python {sys.version.split()[0]}, SQLite {sqlite3.sqlite_version}, {os.cpu_count()} cores")
    say("durability: on SQLite journal_mode=WAL, synchronous=FULL\n")
    collect_seldom()  # as the command line does
    with tempfile.TemporaryDirectory(prefix="bench-", dir=".") as folder:
        for name in given.only:
            measuring = PARTS[name](Path(folder).absolute(), QUICK if given.quick else FULL)
            if measuring is not None:
                asyncio.run(measuring)


if __name__ == "__main__":
    main()
