"""Rebuild the views of a log that goes on being read and written, and check every answer given meanwhile.

    python -m bench.rebuild [--quick] [--postgres] [--events COUNT] [--writes RATE] [--reads RATE] [--open CLAIMS]

A log is filled and served by real servers, each in a process of its own: one on SQLite, two on PostgreSQL, where the
first keeps the views and the second is asked. So many facts a second are recorded (on SQLite by commands over HTTP, on
PostgreSQL by a third process that appends to the log) and so many claims and lists asked for, first for a while as it
is, then while the views are built anew. None of these requests may fail. Afterwards
every claim that was answered is folded from the log as it stood at the position that its answer states, and must
equal it: an answer comes from the old views or from the new ones, and from nothing between them.

So many claims are *open* at a time, as news is: what is recorded goes round these until each has twenty statements,
then the next ones are opened. With more open than a server holds in memory (about ten thousand), each fact has its
claim read from the log anew, and a rebuild takes many times as long.

Servers, writer, readers, the rebuild and PostgreSQL share the machine's cores.
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
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count, islice
from pathlib import Path
from typing import Any, Final

import httpx

from bench.measuring import as_body, command, say, server
from events.contracts import ClaimAsserted, ClaimDenied, ClaimRegistered, Identity, Occurred, Origin, Party, Wording
from events.leaf import derive
from events.log import PAGE, Log, Proposed
from events.open import open_log
from tests.postgres import serving
from verifier.adopted import Adopted
from verifier.fold import Folded, catch_up
from verifier.garbage import collect_seldom
from verifier.naming import origin_id, source_id
from verifier.queries.past import folded_answer

BEFORE: Final = 15.0
"""For how many seconds requests are measured before the rebuild begins."""

LISTED: Final = 20
"""How many claims a list has."""

ON_EACH: Final = 20
"""How many statements there are on each claim."""

DAY: Final = Occurred(
    basis="explicit", earliest="2020-01-06T00:00:00.000000Z", latest="2020-01-06T23:59:59.999999Z", precision="day"
)


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


# --- the log ---------------------------------------------------------------------------------------


def claim_id(number: int) -> str:
    """Return the id of the claim that is registered as this one."""
    return derive("clm", "bench", str(number))


def facts(log_id: str, at_a_time: int) -> Iterator[Proposed]:
    """Yield facts as commands would have recorded them: so many claims registered, then statements on each of them in
    turn, of which some deny; then the next claims."""
    for first in count(0, at_a_time):
        numbers = range(first, first + at_a_time)
        for number in numbers:
            yield proposed(number, "registered", ClaimRegistered(), wording=Wording(text=f"Claim {number}"))
        for local in range(1, ON_EACH + 1):
            name = f"Outlet {local}"
            source = source_id(log_id, name)
            party, record = Party(id=source, name=name), ClaimDenied if local % 10 == 9 else ClaimAsserted
            for number in numbers:
                yield proposed(
                    number,
                    str(local),
                    record(source=local, origin=local, occurred=DAY),
                    parties={str(local): party},
                    origins={str(local): Origin(id=origin_id(log_id, claim_id(number), source), label=name)},
                )


def proposed(number: int, key: str, fact: Any, *, wording: Wording = Wording(), **names: Any) -> Proposed:  # noqa: B008
    """Return a fact on a claim with the texts that a command gives it."""
    identity = Identity(actor="bench", command="f" * 64, **names)
    stream, event = f"claim:{claim_id(number)}", derive("evt", "bench", str(number), key)
    return Proposed(id=event, stream=stream, fact=fact, wording=wording, identity=identity)


async def fill(url: str, events: int, at_a_time: int) -> tuple[list[str], Iterator[Proposed]]:
    """Record facts; return the claims that were registered, and the facts that would come next."""
    async with await open_log(url) as log:
        coming = facts(log.id, at_a_time)
        for first in range(0, events, PAGE):
            await log.append(list(islice(coming, min(PAGE, events - first))))
    rounds, begun = divmod(events, at_a_time * (ON_EACH + 1))
    return [claim_id(number) for number in range(rounds * at_a_time + min(begun, at_a_time))], coming


# --- the load --------------------------------------------------------------------------------------


Write = Callable[[int], Coroutine[Any, Any, None]]
"""Writes, or asks for, what has this number."""


async def steadily(rate: float, over: asyncio.Event, ask: Write) -> None:
    """Ask so many times a second, whether or not the answers have come."""
    clock = asyncio.get_running_loop().time
    begun = clock()
    async with asyncio.TaskGroup() as tasks:
        for number in range(sys.maxsize):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), begun + number / rate - clock())
            if over.is_set():
                return
            tasks.create_task(ask(number))


def over_http(http: httpx.AsyncClient, claims: Sequence[str], seen: list[Seen]) -> Write:
    """Write commands through the server that is asked."""

    async def write(number: int) -> None:
        body = as_body(command(number))
        await seen[-1].ask("write", http.post(f"claims/{claims[number % len(claims)]}/events", json=body))

    return write


def to_log(log: Log, coming: Iterator[Proposed], seen: list[Seen]) -> Write:
    """Write facts to the log, beside its servers."""

    async def write(_number: int) -> None:
        begun, fact = time.perf_counter(), next(coming)
        await log.append((fact,))
        seen[-1].taken["append"].append((time.perf_counter() - begun) * 1e3)

    return write


@contextlib.asynccontextmanager
async def under_load(
    http: httpx.AsyncClient, claims: Sequence[str], seen: list[Seen], given: argparse.Namespace, write: Write
) -> AsyncIterator[None]:
    """Write and read meanwhile; what was asked goes to the last one that has seen."""
    over, dice = asyncio.Event(), random.Random(0)

    async def read(number: int) -> None:
        now = seen[-1]
        if number % 4:
            now.keep(await now.ask("claim", http.get(f"claims/{dice.choice(claims)}")))
        else:
            page = await now.ask("list", http.get("claims", params={"limit": LISTED}))
            for claim in page["items"]:
                now.keep(claim)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(steadily(given.writes, over, write))
        tasks.create_task(steadily(given.reads, over, read))
        yield
        over.set()


async def rebuild(http: httpx.AsyncClient) -> float:
    """Ask for a rebuild and wait for its end; return how many seconds it took."""
    begun = time.perf_counter()
    health = (await http.post("rebuild", json={})).raise_for_status().json()
    while health["rebuilding"] is not None:
        await asyncio.sleep(0.1)  # a server tells nobody how far it is: it is asked
        health = (await http.get("health")).raise_for_status().json()
    if health["detail"] is not None:
        raise SystemExit(f"the rebuild failed: {health['detail']}")
    return time.perf_counter() - begun


async def caught_up(http: httpx.AsyncClient) -> int:
    """Wait until the views have the whole log; return its head."""
    while True:
        health = (await http.get("health")).raise_for_status().json()
        if health["views"] == health["head"]:
            return int(health["head"])
        await asyncio.sleep(0.1)  # as above


# --- the check -------------------------------------------------------------------------------------


async def check(url: str, seen: Seen) -> None:
    """Fold every claim that was answered, as it stood at each position that was stated, and compare."""
    async with await open_log(url, writable=False) as log:
        adopted = await Adopted.read(log)
        for claim, answers in seen.claims.items():
            folded = Folded(claim)
            for position in sorted(answers):
                await catch_up(log, folded, upto=position)
                policy = adopted.at(position)
                answer = answers[position]
                expected = folded_answer(folded, folded.assess(policy), answer["basis"])
                if answer != expected:
                    seen.failures[f"{claim} at {position} is not what its facts give"] += 1


def report(name: str, seen: Seen, seconds: float) -> None:
    """Print how long requests took."""
    say(f"{name}, {seconds:.0f} s")
    for kind, taken in sorted(seen.taken.items()):
        cuts = statistics.quantiles(taken, n=100)
        say(
            f"  {kind:<6}{len(taken):>8,} requests, {len(taken) / seconds:>6,.0f}/s:"
            f" p50 {cuts[49]:.1f} ms, p99 {cuts[98]:.1f} ms, max {max(taken):.1f} ms"
        )


async def measure(url: str, given: argparse.Namespace) -> bool:
    """Fill, serve, rebuild under load and check; say whether nothing failed."""
    begun = time.perf_counter()
    claims, coming = await fill(url, given.events, given.open)
    took = time.perf_counter() - begun
    say(f"{given.events:,} facts on {len(claims):,} claims, {given.open:,} open at a time, recorded in {took:.0f} s")
    async with contextlib.AsyncExitStack() as running:
        begun = time.perf_counter()
        addresses = [await running.enter_async_context(server(url)) for _ in range(2 if given.postgres else 1)]
        limits = httpx.Limits(max_connections=64)
        http = await running.enter_async_context(
            httpx.AsyncClient(base_url=f"{addresses[-1]}/api/v1/", timeout=60, limits=limits)
        )
        head = await caught_up(http)
        say(f"views built from nothing in {time.perf_counter() - begun:.0f} s, with nothing else to do")
        seen = [Seen()]
        if given.postgres:
            write = to_log(await running.enter_async_context(await open_log(url)), coming, seen)
        else:
            write = over_http(http, claims[-given.open :], seen)
        async with under_load(http, claims, seen, given, write):
            await asyncio.sleep(BEFORE)  # what is measured is what happens meanwhile
            seen.append(Seen())
            seconds = await rebuild(http)
    report("before", seen[0], BEFORE)
    report("during the rebuild", seen[1], seconds)
    say(f"a rebuild of {head:,} events during {given.writes} writes and {given.reads} reads a second")
    say(f"  {seconds:.1f} s, {head / seconds:,.0f} events/s")
    for kind in ("claim", "list"):
        before, during = (statistics.quantiles(one.taken[kind], n=100)[98] for one in seen)
        say(f"  p99 of {kind}: {during / before:.2f} × that before")
    for one in seen:
        await check(url, one)
    failures = seen[0].failures + seen[1].failures
    say(f"  {sum(one.answers for one in seen):,} answers compared with the log, {sum(failures.values())} failures")
    for failure, times in failures.most_common(10):
        say(f"    {times} × {failure}")
    return not failures


def main() -> None:
    """Measure, in a place that goes away afterwards; exit with 1 where anything failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="10,000 events, for a first look")
    parser.add_argument("--postgres", action="store_true", help="on PostgreSQL, with two servers")
    parser.add_argument("--events", type=int, default=100_000, help="how many facts the log holds (100,000)")
    parser.add_argument("--writes", type=int, default=100, help="how many writes a second go on (100)")
    parser.add_argument("--reads", type=int, default=100, help="how many reads a second go on (100)")
    parser.add_argument("--open", type=int, default=1_000, help="how many claims are open at a time (1,000)")
    given = parser.parse_args()
    if given.quick:
        given.events = 10_000
    collect_seldom()  # as the command line does
    with contextlib.ExitStack() as places:
        if given.postgres:
            url = places.enter_context(serving()).url("rebuild")
        else:
            folder = places.enter_context(tempfile.TemporaryDirectory(prefix="bench-", dir="."))
            url = f"sqlite:///{Path(folder).absolute() / 'served.db'}"
        fine = asyncio.run(measure(url, given))
    sys.exit(0 if fine else 1)


if __name__ == "__main__":
    main()
