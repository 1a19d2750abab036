"""How fast the log, the views, the server and the client are, beside a limit and a peer, in one run.

    python bench/log.py [--quick] [--only NAME …]

Everything is measured with the durability that the product has: SQLite with `journal_mode=WAL` and
`synchronous=FULL`, every append on disk before it is acknowledged. The *limit* is the standard
library's `sqlite3` writing the same rows into the same tables in batches of the same size; the *peer*
is the Python library `eventsourcing` on SQLite, one aggregate event a save, as durable. Compare the ratios:
the absolute figures are those of the machine that printed them.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import os
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from events.contracts import ClaimDenied, Identity, Occurred, Origin, Party, Quote, Wording
from events.leaf import derive
from events.log import Log, Proposed
from events.open import open_log
from verifier import batches
from verifier.app import Desk, open_desk
from verifier.client import Verifier
from verifier.commands import AssertClaim, Corroborate, Deny
from verifier.garbage import collect_seldom
from verifier.handler.appending import Caller
from verifier.policy import DEFAULT
from verifier.replay import replay

SIZES = (1, 8, 64)
ROWS = (
    "SELECT position, id, stream, leaf, wording_salt, wording, identity_salt, identity FROM events WHERE position > 1"
)


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is done in each part."""

    appends: int
    events: int
    requests: int
    hot: int


FULL = Scale(appends=30_000, events=100_000, requests=6_000, hot=100_000)
QUICK = Scale(appends=3_000, events=10_000, requests=600, hot=5_000)


def say(line: str = "") -> None:
    """Print a line at once, so that a long run shows where it is."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def row(name: str, rate: float, beside: str = "") -> None:
    """Print one figure."""
    say(f"  {name:<58}{rate:>12,.0f}/s  {beside}")


@contextlib.contextmanager
def clock() -> Iterator[Callable[[], float]]:
    """Measure the seconds of a block; read them after it."""
    gc.collect()
    begun = time.perf_counter()
    ended: list[float] = []
    yield lambda: ended[0]
    ended.append(time.perf_counter() - begun)


# --- what is written -------------------------------------------------------------------------------


def proposed(number: int, claims: int = 1_000) -> Proposed:
    """Return a typical event: a denial with a date, a quote and three names."""
    esper, reuters = derive("src", "esper"), derive("src", "reuters")
    return Proposed(
        id=derive("evt", "bench", str(number), "0"),
        stream=f"claim:{derive('clm', str(number % claims))}",
        fact=ClaimDenied(
            source=1,
            origin=1,
            via=(2,),
            occurred=Occurred(
                basis="inferred",
                earliest="2020-01-06T00:00:00.000000Z",
                latest="2020-01-06T23:59:59.999999Z",
                precision="day",
            ),
        ),
        identity=Identity(
            actor="bench",
            command="f" * 64,
            parties={"1": Party(id=esper, name="Mark Esper"), "2": Party(id=reuters, name="Reuters")},
            origins={"1": Origin(id=derive("org", "esper"), label="Mark Esper")},
        ),
        wording=Wording(quote=Quote(exact="The United States has no plans to pull out militarily from Iraq")),
    )


def command(number: int, *, outlets: int = 500) -> AssertClaim | Corroborate | Deny:
    """Return a typical command: most support, some deny."""
    source = f"Outlet {number % outlets}"
    if number % 10 == 9:
        return Deny(source=source, occurred="2020-01-06")
    if number % 10 == 5:
        return Corroborate(source=source, via=(f"Outlet {(number + 1) % outlets}",), occurred="2020-01-05")
    return AssertClaim(source=source, origin="the letter", attribution="documentary", occurred="2020-01-04")


# --- the limit and the peer ------------------------------------------------------------------------


def rows_of(path: Path) -> list[tuple[object, ...]]:
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
    try:
        from peer import saves
    except ImportError:
        say("  (no peer: pip install eventsourcing)")
        return None
    return saves(folder, callers, count)


# --- the log ---------------------------------------------------------------------------------------


async def appends(log: Log, callers: int, first: int, count: int) -> tuple[float, list[float]]:
    """Append one event at a time from as many callers; return appends a second and each one's milliseconds."""
    events = iter([proposed(number) for number in range(first, first + count)])
    taken: list[float] = []

    async def caller() -> None:
        for event in events:
            begun = time.perf_counter()
            await log.append((event,))
            taken.append((time.perf_counter() - begun) * 1e3)

    with clock() as seconds:
        await asyncio.gather(*(caller() for _ in range(callers)))
    return count / seconds(), taken


async def measure_appends(folder: Path, scale: Scale) -> None:
    """Appends at 1, 8 and 64 callers, encoding and digests included, beside limit and peer."""
    say("appends, one event each; encoding and digests included; synchronous=FULL")
    for callers in SIZES:
        path = folder / f"appends{callers}.db"
        count = scale.appends // 10 if callers == 1 else scale.appends
        async with await open_log(f"sqlite:///{path}") as log:
            rate, taken = await appends(log, callers, 0, count)
        rows = rows_of(path)
        limit = plain(folder / f"limit{callers}.db", path, rows, callers)
        other = peer(folder, callers, max(count // 20, 10 * callers))
        cuts = statistics.quantiles(taken, n=100)
        row(f"{callers} caller(s): p50 {cuts[49]:.2f} ms, p99 {cuts[98]:.2f} ms", rate)
        row(f"   plain sqlite3, batches of {callers}", limit, f"{rate / limit:.2f} × the limit")
        if other is not None:
            row(f"   eventsourcing, {callers} thread(s)", other, f"{rate / other:.1f} × the peer")


async def measure_import(folder: Path, scale: Scale) -> None:
    """Bulk import of commands, then replay and catch-up of the views over what it wrote."""
    path = folder / "import.db"
    async with open_desk(f"sqlite:///{path}") as desk:
        claims = await registered(desk, scale.events // 20)
        lines = [{"key": f"i{n}", "claim": claims[n % len(claims)], **as_body(command(n))} for n in range(scale.events)]
        start = await desk.log.head()
        with clock() as followed:
            with clock() as seconds:
                for first in range(0, len(lines), batches.BATCH_LINES):
                    answers = await batches.batch(desk, lines[first : first + batches.BATCH_LINES], "bench")
                    assert all(answer["ok"] for answer in answers)
            await desk.views.reached(start + scale.events, 600)
        rate = scale.events / seconds()
        assert await desk.log.head() == start + scale.events
    rows = rows_of(path)
    limit = plain(folder / "limit-import.db", path, rows, batches.BATCH_LINES)
    say(f"\nbulk import of {scale.events:,} commands: parsed, decided, appended, answered")
    row("import", rate)
    row("   and the views caught up, which wait during a batch", scale.events / followed())
    row("   plain sqlite3 executemany of the same rows", limit, f"{rate / limit:.2f} × the limit")
    await measure_replay(path)
    await measure_catch_up(path, limit)


async def measure_replay(path: Path) -> None:
    """Read, decode and fold the whole log, and assess every claim; digests off and on."""
    say("\nreplay: read, decode, fold, assess every claim at the end")
    async with await open_log(f"sqlite:///{path}", writable=False) as log:
        head = await log.head()
        for digests in (False, True):
            with clock() as seconds:
                replayed = await replay(log, policy=DEFAULT, digests=digests)
            assert replayed.position == head
            row(f"digests {'on' if digests else 'off'}", head / seconds())


async def measure_catch_up(path: Path, limit: float) -> None:
    """Build the views anew from position 0."""
    path.with_suffix(".views.db").unlink()
    with clock() as seconds:
        async with open_desk(f"sqlite:///{path}") as desk:
            head = await desk.log.head()
            await desk.views.reached(head, 600)
    say("\ncatch-up of the views from position 0")
    row("catch-up", head / seconds(), f"{head / seconds() / limit:.2f} × plain executemany of the log's rows")


def as_body(given: AssertClaim | Corroborate | Deny) -> dict[str, object]:
    """Return a command as a line of JSON would have it."""
    names = ("type", "source", "via", "origin", "attribution", "occurred")
    return {name: value for name in names if (value := getattr(given, name)) not in (None, ())}


async def registered(desk: Desk, count: int) -> list[str]:
    """Register claims and return their ids."""
    lines = [{"key": f"c{n}", "type": "claim.registered", "text": f"Claim {n}"} for n in range(count)]
    ids: list[str] = []
    for first in range(0, count, batches.BATCH_LINES):
        answers = await batches.batch(desk, lines[first : first + batches.BATCH_LINES], "bench")
        ids += [answer["result"]["id"] for answer in answers]
    return ids


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


@contextlib.asynccontextmanager
async def server(folder: Path) -> AsyncIterator[str]:
    """Run the real server in a process of its own, on a free port."""
    environment = {**os.environ, "VERIFIER_ACTOR": "bench"}
    process = subprocess.Popen(  # noqa: ASYNC220  # started once, before anything is timed
        [sys.executable, "-m", "verifier", "serve", "--log", f"sqlite:///{folder / 'served.db'}", "--port", "0"],
        stdout=subprocess.PIPE,
        env=environment,
        text=True,
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if "http://" in line:
                yield "http://" + line.split("http://")[1].split()[0].rstrip("/.,")
                break
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


async def measure_http(folder: Path, scale: Scale) -> None:
    """HTTP writes at 64 connections, with the load generator on the same cores and the views following."""
    say("\nHTTP and the client; server, views and load generator share the machine's cores")
    async with server(folder) as address:
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

PARTS: dict[str, Callable[[Path, Scale], Awaitable[None]]] = {
    "appends": measure_appends,
    "import": measure_import,
    "claim": measure_one_claim,
    "http": measure_http,
}


def main() -> None:
    """Measure what is asked for, in a folder that goes away afterwards."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the work, for a first look")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="only these parts")
    given = parser.parse_args()
    say(f"Python {sys.version.split()[0]}, SQLite {sqlite3.sqlite_version}, {os.cpu_count()} cores")
    say("durability: WAL, synchronous=FULL\n")
    collect_seldom()  # as the command line does
    with tempfile.TemporaryDirectory(prefix="bench-", dir=".") as folder:
        for name in given.only:
            asyncio.run(PARTS[name](Path(folder).absolute(), QUICK if given.quick else FULL))


if __name__ == "__main__":
    main()
