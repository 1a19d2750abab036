"""Rebuild the views of a server that goes on reading and writing, and check every answer it gives meanwhile.

    python bench/rebuild.py [--quick] [--events COUNT] [--writes RATE]

A log is filled and served by the real server in a process of its own. Then a rebuild is asked for over HTTP,
while so many facts a second are recorded and readers ask for claims and lists as fast as they are answered.
None of these requests may fail. Afterwards every claim that was answered is folded from the log as it stood
at the position that its answer states, and must equal it: an answer comes from the old views or from the new
ones, and from nothing between them.

Server, writer, readers and the rebuild share the machine's cores.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import statistics
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
from log import as_body, command, registered, say, server

from events.open import open_log
from verifier import batches
from verifier.adopted import Adopted
from verifier.app import open_desk
from verifier.fold import Folded, catch_up
from verifier.garbage import collect_seldom
from verifier.queries.past import folded_answer

READERS: Final = 4
"""How many readers there are, each with one request in flight."""

LISTED: Final = 20
"""How many claims a reader lists at once."""


@dataclass
class Seen:
    """What was asked: how long each request took, what failed, and what was answered on each claim by position."""

    taken: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    failures: Counter[str] = field(default_factory=Counter)
    claims: dict[str, dict[int, dict[str, Any]]] = field(default_factory=lambda: defaultdict(dict))
    answers: int = 0

    async def ask(self, kind: str, asking: Awaitable[httpx.Response]) -> dict[str, Any]:
        """Wait for an answer, count it and return what it says."""
        begun = time.perf_counter()
        response = await asking
        self.taken[kind].append((time.perf_counter() - begun) * 1e3)
        if not response.is_success:
            self.failures[f"{kind}: {response.status_code} {response.text[:200]}"] += 1
        answer: dict[str, Any] = response.json()
        return answer

    def keep(self, claim: dict[str, Any]) -> None:
        """Keep an answer on a claim; two that state the same position must be the same."""
        self.answers += 1
        position = claim["basis"]["position"]
        if self.claims[claim["id"]].setdefault(position, claim) != claim:
            self.failures[f"{claim['id']} was answered in two ways at {position}"] += 1


async def fill(place: Path, events: int) -> list[str]:
    """Record about so many facts, twenty on each claim, and return the claims."""
    async with open_desk(f"sqlite:///{place}") as desk:
        claims = await registered(desk, events // 21)
        lines = [{"key": f"i{n}", "claim": claims[n % len(claims)], **as_body(command(n))} for n in range(events)]
        for first in range(0, events - len(claims), batches.BATCH_LINES):
            await batches.batch(desk, lines[first : first + batches.BATCH_LINES], "bench")
        await desk.views.reached(await desk.log.head(), 600)
    return claims


@contextlib.asynccontextmanager
async def under_load(http: httpx.AsyncClient, claims: Sequence[str], writes: int, seen: Seen) -> AsyncIterator[None]:
    """Let a writer and the readers work meanwhile."""
    over = asyncio.Event()

    async def write() -> None:
        clock = asyncio.get_running_loop().time
        begun = clock()
        async with asyncio.TaskGroup() as tasks:
            for number in range(sys.maxsize):
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(over.wait(), begun + number / writes - clock())
                if over.is_set():
                    break
                path = f"claims/{claims[number % len(claims)]}/events"
                tasks.create_task(seen.ask("write", http.post(path, json=as_body(command(number)))))

    async def read(dice: random.Random) -> None:
        cursor: dict[str, str] = {}
        while not over.is_set():
            seen.keep(await seen.ask("claim", http.get(f"claims/{dice.choice(claims)}")))
            page = await seen.ask("list", http.get("claims", params={"limit": LISTED, **cursor}))
            cursor = {"cursor": page["next"]} if page["next"] else {}
            for claim in page["items"]:
                seen.keep(claim)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(write())
        for seed in range(READERS):
            tasks.create_task(read(random.Random(seed)))
        yield
        over.set()


async def rebuild(http: httpx.AsyncClient) -> float:
    """Ask for a rebuild and wait for its end; return how many seconds it took."""
    begun = time.perf_counter()
    health = (await http.post("rebuild", json={})).raise_for_status().json()
    while health["rebuilding"] is not None:
        await asyncio.sleep(0.05)  # a server tells nobody how far it is: it is asked
        health = (await http.get("health")).raise_for_status().json()
    return time.perf_counter() - begun


async def check(place: Path, seen: Seen) -> None:
    """Fold every claim that was answered, as it stood at each position that was stated, and compare."""
    async with await open_log(f"sqlite:///{place}", writable=False) as log:
        adopted = await Adopted.read(log)
        for claim, answers in seen.claims.items():
            folded = Folded(claim)
            for position in sorted(answers):
                await catch_up(log, folded, upto=position)
                policy = adopted.at(position)
                answer = answers[position]
                expected = folded_answer(folded, folded.assess(policy), policy, answer["basis"])
                if answer != expected:
                    seen.failures[f"{claim} at {position} is not what its facts give"] += 1


async def measure(folder: Path, events: int, writes: int) -> bool:
    """Fill, serve, rebuild under load and check; say whether nothing failed."""
    place, seen = folder / "served.db", Seen()
    claims = await fill(place, events)
    async with server(folder) as address, httpx.AsyncClient(base_url=f"{address}/api/v1/", timeout=60) as http:
        head = (await http.get("health")).raise_for_status().json()["head"]
        async with under_load(http, claims, writes, seen):
            seconds = await rebuild(http)
    await check(place, seen)
    say(f"a rebuild of {head:,} events during {writes} writes a second and {READERS} readers")
    say(f"  {seconds:.1f} s, {head / seconds:,.0f} events/s")
    for kind, taken in sorted(seen.taken.items()):
        cuts = statistics.quantiles(taken, n=100)
        say(
            f"  {kind:<6}{len(taken):>7,} requests, {len(taken) / seconds:>6,.0f}/s:"
            f" p50 {cuts[49]:.1f} ms, p99 {cuts[98]:.1f} ms, max {max(taken):.1f} ms"
        )
    positions = len({position for answers in seen.claims.values() for position in answers})
    say(f"  {seen.answers:,} answers on {len(seen.claims):,} claims at {positions:,} positions compared with the log")
    say(f"  {sum(seen.failures.values())} failures")
    for failure, times in seen.failures.most_common(10):
        say(f"    {times} × {failure}")
    return not seen.failures


def main() -> None:
    """Measure, in a folder that goes away afterwards; exit with 1 where anything failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="5,000 events, for a first look")
    parser.add_argument("--events", type=int, default=100_000, help="how many facts the log holds (100,000)")
    parser.add_argument("--writes", type=int, default=100, help="how many writes a second go on (100)")
    given = parser.parse_args()
    collect_seldom()  # as the command line does
    with tempfile.TemporaryDirectory(prefix="bench-", dir=".") as folder:
        fine = asyncio.run(measure(Path(folder).absolute(), 5_000 if given.quick else given.events, given.writes))
    sys.exit(0 if fine else 1)


if __name__ == "__main__":
    main()
