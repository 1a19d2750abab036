"""The feed under many subscribers: what arrives, how late, how many a second, and what it takes.

    python -m bench.feed [--quick] [--subscribers COUNT] [--idle COUNT] [--minutes MINUTES] [--alone]

A real server on a log on disk runs in a process of its own, its subscribers in this one. Changes are made by commands
over HTTP. It is measured

  steady     ten changes a second: what is missing, and how long it takes from when a change is recorded, which is
             before its commit, to its receipt by each subscriber
  speed      as many changes as go, of which at most four are not yet with everybody
  burst      a thousand changes in one batch
  stopped    steady, with one subscriber that reads nothing any more, and then all that it left
  idle       the memory that subscribers take to whom nothing is sent
  over time  with --minutes: steady for so long, and the memory meanwhile

beside `sse-starlette` and bare TCP, which send the same bytes to the same subscribers (`pip install sse-starlette`;
with --alone, nothing else is measured). Server, subscribers and writer share the machine's cores.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from bench.measuring import say
from bench.subscribers import Poster, Receipts, Served, answering, quiet_collector, served, subscribed
from verifier.garbage import collect_seldom
from verifier.logs import configure
from verifier.server import Serving, serve
from verifier.settings import Settings

API: Final = "/api/v1"
RATE: Final = 10
AHEAD: Final = 4
BURST: Final = 1_000

Write = Callable[[int], Awaitable[int]]
"""Makes the change with this number and returns its position."""


@dataclass(frozen=True, slots=True)
class Target:
    """What is measured: a server, the path of its stream, and how a change is made there."""

    name: str
    server: Served
    path: str
    write: Write


# --- what is written -------------------------------------------------------------------------------


class Newsroom:
    """Makes changes by commands: each claim that is registered is asserted once, and so changes once."""

    def __init__(self, address: str) -> None:
        self._poster = Poster(address)
        self._claims: list[str] = []
        self._made = 0

    async def prepare(self, count: int) -> None:
        """Register so many claims more."""
        left = count
        while left > 0:
            some = min(left, 500)
            lines = [{"type": "claim.registered", "text": f"Claim {self._made + n}", "key": f"c{self._made + n}"}
                     for n in range(some)]  # fmt: skip
            for answer in await self._batch(lines):
                self._claims.append(answer["result"]["id"])
            self._made += some
            left -= some

    async def assert_one(self, number: int) -> int:
        """Assert the next claim; return the position of the change."""
        body = json.dumps({"type": "claim.asserted", "source": f"Outlet {number % 500}", "occurred": "2020-01-06"})
        answer = await self._poster.post(f"{API}/claims/{self._claims.pop()}/events", body.encode())
        return int(json.loads(answer)["written_at"])

    async def assert_many(self, count: int) -> list[int]:
        """Assert so many claims in one batch."""
        lines = [{"type": "claim.asserted", "claim": self._claims.pop(), "source": "AFP", "key": f"a{self._made}-{n}"}
                 for n in range(count)]  # fmt: skip
        return [answer["result"]["written_at"] for answer in await self._batch(lines)]

    async def _batch(self, lines: list[dict[str, Any]]) -> list[Any]:
        body = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        answers = (await self._poster.post(f"{API}/batch", body, "application/jsonl")).splitlines()
        return [json.loads(answer) for answer in answers]


def pusher(address: str, frame: bytes) -> Write:
    """Push the data of a frame of ours, each time with the present time."""
    poster = Poster(address)
    data = frame[frame.index(b"data: ") + 6 : frame.index(b"\n\n", frame.index(b"data: "))]
    before, _, after = data.partition(b'"recorded_at":"')
    after = after[after.index(b'"') :]

    async def push(number: int) -> int:
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z").encode()
        answer = await poster.post("/push", before + b'"recorded_at":"' + now + after)
        return int(json.loads(answer)["written_at"])

    return push


# --- what is measured ------------------------------------------------------------------------------


async def at_rate(write: Write, changes: int) -> list[int]:
    """Make changes at a steady rate; return their positions."""
    clock = time.perf_counter
    begun, positions = clock(), []
    for number in range(changes):
        await asyncio.sleep(max(0.0, begun + number / RATE - clock()))
        positions.append(await write(number))
    return positions


async def steady(target: Target, subscribers: int, seconds: float) -> tuple[Receipts, bool]:
    """Ten changes a second for so many seconds; print what came of it, and say whether it is as it should be."""
    receipts = Receipts(subscribers)
    async with subscribed(target.server.address, target.path, receipts, subscribers):
        await target.server.ask()
        positions = await at_rate(target.write, int(seconds * RATE))
        await arrived(receipts, positions)
        stall, memory = await target.server.ask()
    return receipts, lateness(target.name, receipts, positions, stall, memory)


async def arrived(receipts: Receipts, positions: list[int]) -> None:
    """Wait until everybody has these changes, or until it has taken too long for all to come."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(30):
            for position in positions:
                await receipts.whole(position)


def lateness(name: str, receipts: Receipts, positions: list[int], stall: float, memory: float) -> bool:
    """Print what was missing and how late the rest was; say whether nothing was missing."""
    missing = receipts.missing(positions)
    cuts = statistics.quantiles(receipts.late, n=100)
    say(
        f"  {name:<16}{len(positions) * receipts.expected:>10,} receipts, {missing} missing, {receipts.disorder} out of"
        f" order: p50 {cuts[49]:.1f} ms, p99 {cuts[98]:.1f} ms, max {max(receipts.late):.1f} ms;"
        f" stall {stall:.0f} ms, {memory:.0f} MB"
    )
    return missing == 0 and receipts.disorder == 0


async def speed(target: Target, subscribers: int, changes: int) -> float:
    """Make changes as fast as they are received; return deliveries a second."""
    receipts = Receipts(subscribers)
    ahead, positions = asyncio.Semaphore(AHEAD), list[int]()

    async def received(position: int) -> None:
        await receipts.whole(position)
        ahead.release()

    async with subscribed(target.server.address, target.path, receipts, subscribers), asyncio.TaskGroup() as tasks:
        await target.server.ask()
        begun = time.perf_counter()
        for number in range(changes):
            await ahead.acquire()
            positions.append(await target.write(number))
            tasks.create_task(received(positions[-1]))
        await arrived(receipts, positions)
        seconds = time.perf_counter() - begun
        stall, _ = await target.server.ask()
    rate = len(receipts.late) / seconds
    say(f"  {target.name:<16}{rate:>10,.0f} deliveries/s, {receipts.missing(positions)} missing; stall {stall:.0f} ms")
    return rate


async def burst(target: Target, newsroom: Newsroom, subscribers: int) -> bool:
    """Make many changes at once; print how long it took until everybody had all of them."""
    await newsroom.prepare(BURST)
    receipts = Receipts(subscribers)
    async with subscribed(target.server.address, target.path, receipts, subscribers):
        await target.server.ask()
        begun = time.perf_counter()
        positions = await newsroom.assert_many(BURST)
        recorded = time.perf_counter()
        await arrived(receipts, positions)
        ended = time.perf_counter()
        stall, memory = await target.server.ask()
    missing = receipts.missing(positions)
    say(
        f"  {BURST:,} changes recorded in {recorded - begun:.2f} s and with everybody {ended - recorded:.2f} s later:"
        f" {len(receipts.late) / (ended - begun):,.0f} deliveries/s, {missing} missing, stall {stall:.0f} ms,"
        f" {memory:.0f} MB"
    )
    return missing == 0 and receipts.disorder == 0


async def stopped(target: Target, subscribers: int, seconds: float) -> bool:
    """Steady, while one more subscriber reads nothing; then it reads all that it left."""
    receipts, of_one = Receipts(subscribers), Receipts(1)
    async with (
        subscribed(target.server.address, target.path, receipts, subscribers),
        subscribed(target.server.address, target.path, of_one, 1) as (one,),
    ):
        one.transport.pause_reading()
        await target.server.ask()
        positions = await at_rate(target.write, int(seconds * RATE))
        await arrived(receipts, positions)
        stall, memory = await target.server.ask()
        fine = lateness("the others", receipts, positions, stall, memory)
        one.transport.resume_reading()
        await arrived(of_one, positions)
        say(f"  whoever stopped{len(positions):>11,} changes, of which {of_one.missing(positions)} missing in the end")
        return fine and of_one.missing(positions) == 0 and of_one.disorder == 0


async def idle(target: Target, newsroom: Newsroom, subscribers: int) -> bool:
    """Print the memory that idle subscribers take, and whether one change still reaches them all."""
    await newsroom.prepare(1)
    _, before = await target.server.ask()
    receipts = Receipts(subscribers)
    async with subscribed(target.server.address, target.path, receipts, subscribers):
        _, after = await target.server.ask()
        position = await target.write(0)
        await arrived(receipts, [position])
        _, later = await target.server.ask()
    say(
        f"  {subscribers:,} subscribers: {before:.0f} MB before, {after:.0f} MB with them,"
        f" {(after - before) * 1_024 / subscribers:.1f} kB for each, {later:.0f} MB after one change to all of them"
    )
    return receipts.missing([position]) == 0


async def over_time(target: Target, newsroom: Newsroom, subscribers: int, minutes: float) -> bool:
    """Steady for minutes; print the memory at each."""
    receipts = Receipts(subscribers)
    positions: list[int] = []
    async with subscribed(target.server.address, target.path, receipts, subscribers):
        await target.server.ask()
        for minute in range(int(minutes)):
            await newsroom.prepare(60 * RATE)
            receipts.late.clear()
            now = await at_rate(target.write, 60 * RATE)
            await arrived(receipts, now)
            positions += now
            stall, memory = await target.server.ask()
            lateness(f"minute {minute + 1}", receipts, now, stall, memory)
    return receipts.missing(positions) == 0 and receipts.disorder == 0


# --- the run ---------------------------------------------------------------------------------------


async def measure(given: argparse.Namespace, folder: Path) -> bool:
    """Measure everything that was asked for; say whether nothing was missing."""
    many, fine = given.subscribers, list[bool]()
    async with contextlib.AsyncExitStack() as running:
        server = await running.enter_async_context(served("bench.feed", "--serve", f"sqlite:///{folder / 'feed.db'}"))
        newsroom = Newsroom(server.address)
        ours = Target("the feed", server, f"{API}/feed", newsroom.assert_one)
        await newsroom.prepare(int(2 * given.seconds * RATE) + given.changes)
        if given.minutes:
            say(f"\n{many:,} subscribers, {RATE} changes a second, for {given.minutes} minutes")
            return await over_time(ours, newsroom, many, given.minutes)
        say(f"\nsteady: {many:,} subscribers, {RATE} changes a second for {given.seconds:.0f} s")
        receipts, right = await steady(ours, many, given.seconds)
        fine.append(right)
        beside = [] if given.alone else [
            Target(name, at, "/", pusher(at.address, receipts.frame))
            for name, kind in (("sse-starlette", "starlette"), ("bare TCP", "tcp"))
            for at in [await running.enter_async_context(served("bench.peers.sse", kind))]
        ]  # fmt: skip
        for target in beside:
            await steady(target, many, given.seconds)
        say(f"\nspeed: {many:,} subscribers, {given.changes:,} changes, {len(receipts.frame):,} bytes in a frame")
        for target in (ours, *beside):
            await speed(target, many, given.changes)
        say(f"\nburst: {many:,} subscribers")
        fine.append(await burst(ours, newsroom, many))
        say(f"\nstopped: {many:,} subscribers and one that stops reading")
        fine.append(await stopped(ours, many, given.seconds))
        say("\nidle")
        fine.append(await idle(ours, newsroom, given.idle))
    return all(fine)


async def serve_watched(log: str) -> None:
    """Serve a log as `verifier serve` does, in the server's process, and say how it fares."""
    serving: list[Serving] = []
    up = asyncio.Event()

    def ready(one: Serving) -> None:
        serving.append(one)
        up.set()

    settings = Settings.load({"log": log, "port": 0, "actor": "bench"})
    configure(settings.log_level, settings.log_format)
    task = asyncio.create_task(serve(settings, ready))
    await asyncio.wait({task, waiting := asyncio.create_task(up.wait())}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if serving:
        await answering(serving[0].address)
        serving[0].stop()
    await task


def main() -> None:
    """Measure, in a place that goes away afterwards; exit with 1 where anything was missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few seconds of each, for a first look")
    parser.add_argument("--subscribers", type=int, default=1_000, help="how many subscribers (1,000)")
    parser.add_argument("--idle", type=int, default=5_000, help="how many idle ones (5,000)")
    parser.add_argument("--minutes", type=int, default=0, help="only this: steady for so many minutes")
    parser.add_argument("--alone", action="store_true", help="only the feed, without what is beside it")
    parser.add_argument("--serve", metavar="LOG", help=argparse.SUPPRESS)
    given = parser.parse_args()
    collect_seldom()  # as the command line does
    if given.serve:
        asyncio.run(serve_watched(given.serve))
        return
    given.seconds, given.changes = (4.0, 100) if given.quick else (20.0, 400)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=".") as folder, quiet_collector():
        fine = asyncio.run(measure(given, Path(folder).absolute()))
    sys.exit(0 if fine else 1)


if __name__ == "__main__":
    main()
