"""Inject faults, one after the other, and stop at the first that the log or its views didn't survive."""

from __future__ import annotations

import argparse
import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from typing import get_args

from bench.faults import log, views
from bench.faults.fault import Fault, On, Side
from bench.faults.office import in_office
from bench.faults.trial import on_trial
from tests.postgres import Server, serving


class Run:
    """Faults that are injected, and where they fell."""

    def __init__(self, server: Server, chance: random.Random) -> None:
        self.fell: Counter[tuple[str, Side]] = Counter()
        self.answers: Counter[str] = Counter()
        self.events = 0
        self._server = server
        self._chance = chance

    async def inject(self, faults: int) -> None:
        """Inject at least so many, each kind equally often, in any order, on a new log for each round."""
        number = 0
        while self.fell.total() < faults:
            number += 1
            async with on_trial(self._server, f"trial_{number}", self._chance) as trial:
                await self._inject_all(log.FAULTS, trial)
                self.answers += trial.ledger.answers
                self.events += trial.recorded
            async with in_office(self._server, f"office_{number}", self._chance) as office:
                await self._inject_all(views.FAULTS, office)
                self.events += len(office.newsroom.recorded)
            say(f"{self.fell.total()} faults")

    async def _inject_all(self, faults: Sequence[Fault[On]], subject: On) -> None:
        for fault in self._chance.sample(faults, len(faults)):
            try:
                await fault.on(subject)
            except BaseException:
                say(f"not survived: {fault}")
                raise
            self.fell[fault.kind, fault.side] += 1

    def report(self) -> None:
        """Print how many faults of each kind fell on which side, and what callers were told."""
        sides = get_args(Side)
        say(f"{'':<24}{''.join(f'{side:>16}' for side in sides)}")
        for kind in dict.fromkeys(kind for kind, _ in self.fell):
            say(f"{kind:<24}{''.join(f'{self.fell[kind, side]:>16}' for side in sides)}")
        told = ", ".join(f"{count:,} {answer}" for answer, count in sorted(self.answers.items()))
        say(f"answers to appends that a fault met: {told}")
        say(f"{self.events:,} events: none that was acknowledged is lost, none is there twice, views equal a replay")


def say(line: str) -> None:
    """Say something to whoever watches."""
    print(line, flush=True)  # noqa: T201  # a person reads it


def main() -> None:
    """Run what the command line asks for; a fault that isn't survived ends it with a traceback and exit code 1."""
    parser = argparse.ArgumentParser(description="Inject faults into a log on PostgreSQL and its views.")
    parser.add_argument("--faults", type=int, default=200, help="how many at least (200)")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    given = parser.parse_args()
    say(f"seed {given.seed}")
    begun = time.monotonic()
    with serving() as server:
        run = Run(server, random.Random(given.seed))
        asyncio.run(run.inject(given.faults))
    run.report()
    say(f"{time.monotonic() - begun:.0f} s")


if __name__ == "__main__":
    main()
