"""What sealing costs, and how fast a log is audited and its past answers are given, beside limits, in one run.

    python -m bench.audit [--events N] [--only NAME …]

Sealing is compared with the same appends without it, turn by turn on the same machine. The *limit* of an audit reads
the same rows and takes SHA-256 over the same leaves, and does nothing else. Memory is that of a process which does
nothing but the audit, at N events and at ten times as many. Compare the ratios: the absolute figures are those of the
machine that printed them.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final

from bench.measuring import appends, as_body, clock, command, proposed, row, say
from bench.processes import rate_of
from events.keys import Keys
from events.log import APPEND_LIMIT, Log, Proposed
from events.open import open_log, rows_of, tiles_of
from events.sealed import Sealed
from events.sealer import EVERY, Sealer
from events.seals import Seals
from events.tlog import new_key
from verifier import batches
from verifier.app import Desk, open_desk
from verifier.client import Verifier
from verifier.garbage import collect_seldom

CALLERS: Final = 64
ROUNDS: Final = 5
PROOFS: Final = 500
FACTS: Final = 1_000
AUDIT: Final = (sys.executable, "-m", "verifier", "audit")
WITHOUT_REPLAY: Final = "from events.audit import audit; from events.audit.stored import Stored; audit(Stored(url))"
WITH_REPLAY: Final = "from events.audit import Trust; from verifier.audit import audit_log; audit_log(url, Trust())"
# What the kernel says of this program alone: what it says of a child counts what its parent was before.
PEAK: Final = """
import gc, sys
gc.disable()
url = sys.argv[1]
{}
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""

_KEYS: Final = Keys(name="bench.example/newsroom", private=(new_key("bench.example/newsroom"),))


class Sealing:
    """A sealer that runs beside whatever is measured."""

    def __init__(self, log: Log, folder: Path) -> None:
        self.sealed = Sealed(log, tiles_of(log.url))
        seals = Seals(folder / "seals")
        seals.begin(_KEYS)
        self._sealer = Sealer(log, self.sealed, seals, _KEYS, every=EVERY)
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Sealed:
        self._task = asyncio.create_task(self._sealer.run())
        return self.sealed

    async def __aexit__(self, *exc: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait({self._task})
        await self.sealed.tiles.close()


# --- sealing ---------------------------------------------------------------------------------------


async def measure_sealing(folder: Path, events: int) -> None:
    """The same appends with and without a sealer, in turns, each on a log of its own."""
    count = max(events // 20, 2_000)
    say(f"sealing, once a second, beside {CALLERS} callers that append one event each")
    rates: dict[bool, list[float]] = {False: [], True: []}
    for turn in range(ROUNDS):
        for with_seal in (False, True) if turn % 2 else (True, False):
            made = [proposed(number) for number in range(count)]
            rates[with_seal].append(await _appended(folder, f"{turn}{with_seal}", made, with_seal=with_seal))
    without, sealed = (statistics.median(rates[with_seal]) for with_seal in (False, True))
    ratios = [one / other for one, other in zip(rates[False], rates[True], strict=True)]
    row("without a sealer", without)
    row("with one", sealed, f"{statistics.median(ratios):.2f} × the cost of an append, median of {ROUNDS} pairs")


async def _appended(folder: Path, name: str, made: Sequence[Proposed], *, with_seal: bool) -> float:
    async with await open_log(f"sqlite:///{folder / f'sealing-{name}.db'}") as log:
        if not with_seal:
            return rate_of([await appends(log, CALLERS, made)])
        async with Sealing(log, folder / name) as sealed:
            saved = await appends(log, CALLERS, made)
            assert await sealed.reached(await log.head(), within=60) is not None
        return rate_of([saved])


# --- auditing --------------------------------------------------------------------------------------


async def filled(folder: Path, events: int) -> str:
    """Return the URL of a sealed log with so many events about a thousand claims, made once a run."""
    path = folder / f"audited-{events}.db"
    url = f"sqlite:///{path}"
    if path.exists():
        return url
    async with await open_log(url) as log, Sealing(log, folder / f"audited-{events}") as sealed:
        for start in range(0, events, APPEND_LIMIT):
            await log.append([proposed(number) for number in range(start, min(start + APPEND_LIMIT, events))])
        assert await sealed.reached(await log.head(), within=600) is not None
    return url


async def measure_audit(folder: Path, events: int) -> None:
    """A full audit, texts and replay included, in one process and in two."""
    url = await filled(folder, events)
    say(f"\nfull audit of {events:,} events: signature, leaves, tiles, columns, both texts, ids, replay")
    plain = _read_and_hashed(url)
    row("limit: the same rows read, SHA-256 over the leaves", plain)
    alone = 0.0
    for processes in (1, 2):
        rate = events / _seconds([*AUDIT, url, "--processes", str(processes)])
        alone = alone or rate
        beside = f"{plain / rate:.1f} × the limit's time" if processes == 1 else f"{rate / alone:.2f} × one process"
        row(f"`verifier audit`, {processes} process{'es' if processes > 1 else ''}, its start included", rate, beside)


def _read_and_hashed(url: str) -> float:
    rows = rows_of(url)
    with clock() as seconds:
        count = 0
        for page in rows.pages(after=0, upto=rows.head()):
            for one in page:
                sha256(b"\x00" + one[3]).digest()
            count += len(page)
    rows.close()
    return count / seconds()


async def measure_memory(folder: Path, events: int) -> None:
    """How much memory an audit takes at N events and at ten times as many, beside one of hardly any."""
    few = max(events // 10, 1_000)
    say(f"\nmemory of an audit of {few:,} and of {10 * few:,} events about a thousand claims, beyond one of ten events")
    urls = [await filled(folder, count) for count in (10, few, 10 * few)]
    for name, work in (
        ("everything but the replay", WITHOUT_REPLAY),
        ("with the replay, which keeps the claims", WITH_REPLAY),
    ):
        none, small, large = (_peak(work, url) for url in urls)
        say(f"  {name:<58}{small - none:>6.0f} MB, then {large - none:>5.0f} MB")


def _peak(work: str, url: str) -> float:
    """Return how many megabytes a program took at the most that does nothing else."""
    done = subprocess.run([sys.executable, "-c", PEAK.format(work), url], capture_output=True, check=True, text=True)
    return int(done.stdout) / 1024


def _seconds(program: Sequence[str]) -> float:
    """Run a program to its end, which must be a good one."""
    with clock() as seconds:
        subprocess.run(program, stdout=subprocess.DEVNULL, check=True)
    return seconds()


# --- answers ---------------------------------------------------------------------------------------


async def measure_proofs(folder: Path, events: int) -> None:
    """Inclusion proofs of events all over the log, each verified before it is handed out."""
    url = await filled(folder, events)
    async with await open_log(url, writable=False) as log:
        sealed = Sealed(log, tiles_of(url))
        seal = await sealed.seal()
        assert seal is not None
        dice, taken = random.Random(1), []
        for _ in range(PROOFS):
            position = dice.randrange(seal.size) + 1
            begun = time.perf_counter()
            await sealed.inclusions(seal, [position])
            taken.append(time.perf_counter() - begun)
        await sealed.tiles.close()
    say(f"\nan inclusion proof in a log of {seal.size:,}: {_cuts(taken)}")


async def measure_as_of(folder: Path, events: int) -> None:
    """How one claim with a thousand facts stood at positions all over its past."""
    url = f"sqlite:///{folder / 'past.db'}"
    async with open_desk(url) as desk:
        await _write(desk, events)
    async with Verifier.open(url, read_only=True) as verifier:
        claim = await anext(aiter(verifier.claims(text="The claim with a past")))
        positions = [event.position async for event in verifier.events(claim)]
        dice, taken = random.Random(1), []
        for _ in range(100):
            begun = time.perf_counter()
            await verifier.claim(claim, as_of=dice.choice(positions))
            taken.append(time.perf_counter() - begun)
        head = (await verifier.health()).head
    say(f"as_of of a claim with {len(positions):,} facts, in a log of {head:,}: {_cuts(taken)}")


async def _write(desk: Desk, events: int) -> None:
    """Record a claim with a thousand facts, and other claims until the log is as large."""
    lines = [{"key": "past", "type": "claim.registered", "text": "The claim with a past"}]
    lines += [{"key": f"o{n}", "type": "claim.registered", "text": f"Claim {n}"} for n in range(events // 2)]
    answered: list[dict[str, object]] = []
    for first in range(0, len(lines), batches.BATCH_LINES):
        answered += await batches.batch(desk, lines[first : first + batches.BATCH_LINES], "bench")
    claim = answered[0]["result"]["id"]  # type: ignore[index]  # an answer's own shape
    facts = [{"key": f"p{n}", "claim": claim, **as_body(command(n))} for n in range(FACTS - 1)]
    for first in range(0, len(facts), batches.BATCH_LINES):
        await batches.batch(desk, facts[first : first + batches.BATCH_LINES], "bench")


def _cuts(taken: Sequence[float]) -> str:
    cuts = statistics.quantiles(taken, n=100)
    return f"p50 {cuts[49] * 1e3:.2f} ms, p99 {cuts[98] * 1e3:.2f} ms"


# --- the whole run ---------------------------------------------------------------------------------

PARTS: dict[str, Callable[[Path, int], Coroutine[None, None, None]]] = {
    "sealing": measure_sealing,
    "audit": measure_audit,
    "memory": measure_memory,
    "proofs": measure_proofs,
    "as_of": measure_as_of,
}


def main() -> None:
    """Measure what is asked for, in a folder that goes away afterwards."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000, help="how many events the audited log has")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="only these parts")
    given = parser.parse_args()
    say(f"Python {sys.version.split()[0]}, SQLite {sqlite3.sqlite_version}, {os.cpu_count()} cores\n")
    collect_seldom()  # as the command line does
    with tempfile.TemporaryDirectory(prefix="bench-", dir=".") as folder:
        for name in given.only:
            with clock() as seconds:
                asyncio.run(PARTS[name](Path(folder).absolute(), given.events))
            say(f"  ({name}: {seconds():.0f} s)")


if __name__ == "__main__":
    main()
