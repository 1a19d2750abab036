"""What the parts of `bench/log.py` share: how much is done, what is written, and how a figure is printed."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass

from bench.processes import Saved
from events.contracts import ClaimDenied, Identity, Occurred, Origin, Party, Quote, Wording
from events.leaf import derive
from events.log import Log, Proposed
from events.open import open_log
from verifier import batches
from verifier.app import Desk
from verifier.commands import AssertClaim, Corroborate, Deny
from verifier.policy import DEFAULT
from verifier.replay import replay


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


async def appends(log: Log, callers: int, events: Sequence[Proposed]) -> Saved:
    """Append one event at a time from as many callers."""
    waiting = iter(events)
    taken: list[float] = []

    async def caller() -> None:
        for event in waiting:
            begun = time.perf_counter()
            await log.append((event,))
            taken.append((time.perf_counter() - begun) * 1e3)

    gc.collect()
    begun = time.time()
    await asyncio.gather(*(caller() for _ in range(callers)))
    return Saved(begun, time.time(), taken)


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


async def imported(desk: Desk, count: int) -> tuple[float, float]:
    """Import `count` commands in batches; return commands a second, and the same until the views had caught up."""
    claims = await registered(desk, count // 20)
    lines = [{"key": f"i{n}", "claim": claims[n % len(claims)], **as_body(command(n))} for n in range(count)]
    start = await desk.log.head()
    with clock() as followed:
        with clock() as seconds:
            for first in range(0, len(lines), batches.BATCH_LINES):
                answers = await batches.batch(desk, lines[first : first + batches.BATCH_LINES], "bench")
                assert all(answer["ok"] for answer in answers)
        await desk.views.reached(start + count, 600)
    assert await desk.log.head() == start + count
    return count / seconds(), count / followed()


async def measure_replay(url: str, beside: str = "") -> None:
    """Read, decode and fold the whole log, and assess every claim."""
    say("\nreplay: read, decode, fold, assess every claim at the end")
    async with await open_log(url, writable=False) as log:
        head = await log.head()
        with clock() as seconds:
            replayed = await replay(log, policy=DEFAULT)
        assert replayed.position == head
        row("events", head / seconds(), beside)


@contextlib.asynccontextmanager
async def server(log: str) -> AsyncIterator[str]:
    """Serve a log by the real server in a process of its own, on a free port; yield its address."""
    environment = {**os.environ, "VERIFIER_ACTOR": "bench"}
    process = subprocess.Popen(  # noqa: ASYNC220  # started once, before anything is timed
        [sys.executable, "-m", "verifier", "serve", "--log", log, "--port", "0"],
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
