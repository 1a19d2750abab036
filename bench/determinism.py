"""Replay one log under other conditions, and see that every state digest is the same.

    python -m bench.determinism sqlite:///newsroom.db
    python -m bench.determinism sqlite:///newsroom.db --python python3.12 --python python3.13

Each replay is a process of its own: with each interpreter that is given, under several hash seeds, time zones and
sizes of pages. It prints the state digest at 20 positions. The log is handed over as an export, so any engine will do,
and each interpreter needs this product's packages.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from events.archive import export, restore
from events.log import Log, Recorded
from events.memory import MemoryLog
from events.open import open_log
from verifier.replay import Folding

POSITIONS: Final = 20
"""At how many positions the digests are compared."""

PAGES: Final = (1, 7, 512)
SEEDS: Final = ("0", "1", "4711")
ZONES: Final = ("UTC", "Asia/Baghdad", "America/St_Johns")


class Condition(NamedTuple):
    """Under what a log is replayed."""

    python: str
    seed: str
    zone: str
    page: int


def conditions(pythons: Sequence[str]) -> Iterator[Condition]:
    """Yield what is tried: each seed, zone and size of page once with each interpreter, in turning company."""
    for python, (number, seed) in itertools.product(pythons, enumerate(SEEDS)):
        yield Condition(python, seed, ZONES[number], PAGES[number])


def positions_of(head: int) -> list[int]:
    """Return the positions at which the digests are compared: evenly spread, the head the last."""
    return sorted({head * number // POSITIONS for number in range(1, POSITIONS + 1)})


async def digests(log: Log, page: int) -> list[str]:
    """Return the state digests of a log, folded in pages of a size, under the policy in force at each position."""
    events = [event async for some in log.read_all(texts=False) for event in some]
    return list(_digests(events, page))


def _digests(events: Sequence[Recorded], page: int) -> Iterator[str]:
    folding, taken = Folding(), 0
    for position in positions_of(len(events)):
        while taken < position:
            upto = min(taken + page, position)
            folding.take(events[taken:upto])
            taken = upto
        yield folding.digest(folding.in_force)


def replayed(exported: Path, condition: Condition) -> list[str]:
    """Replay an export in a process of its own, and return the digests that it printed."""
    done = subprocess.run(
        [condition.python, "-m", "bench.determinism", "--child", str(exported), "--page", str(condition.page)],
        env={**os.environ, "PYTHONHASHSEED": condition.seed, "TZ": condition.zone},
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{condition} failed:\n{done.stderr}")
    return done.stdout.split()


async def _child(exported: BinaryIO, page: int) -> None:
    async with await MemoryLog.open(create="empty") as log:
        await restore(log, exported)
        sys.stdout.write("\n".join(await digests(log, page)) + "\n")


async def _export(url: str, to: BinaryIO) -> None:
    async with await open_log(url, writable=False, create=None) as log:
        await export(log, to)


def main() -> None:
    """Compare, and end with exit code 1 where anything differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log", nargs="?", help="the log's URL")
    parser.add_argument("--python", action="append", help="an interpreter; may be given several times")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--page", type=int, default=512, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        with Path(given.child).open("rb") as file:
            asyncio.run(_child(file, given.page))
        return
    if not given.log:
        parser.error("give the URL of a log")
    with tempfile.TemporaryDirectory() as place:
        exported = Path(place, "log.jsonl")
        with exported.open("wb") as file:
            asyncio.run(_export(given.log, file))
        first: list[str] | None = None
        for condition in conditions(given.python or [sys.executable]):
            found = replayed(exported, condition)
            first = first or found
            same = "the same" if found == first else "DIFFERENT"
            sys.stdout.write(f"{condition.python}, hash seed {condition.seed}, {condition.zone}, pages of "
                             f"{condition.page}: {len(found)} digests, {same}\n")  # fmt: skip
            if found != first:
                sys.exit(1)


if __name__ == "__main__":
    main()
