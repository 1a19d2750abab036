"""A process that writes a log with several callers at once, and announces it, until it is killed.

`write_until_killed` is what the process does; a `Child` is what its parent knows of it.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Final

from bench.crash import CALLERS, append_number, say
from bench.faults.gates import until
from bench.faults.ledger import Ask, Ledger
from bench.faults.trial import Trial
from events.open import open_log

ROOT: Final = Path(__file__).resolve().parents[2]
"""Where the packages lie that a process needs."""


async def write_until_killed(url: str, first: int) -> None:
    """Append for ever, beginning with a number."""
    numbers = count(first)
    async with await open_log(url) as log:

        async def caller() -> None:
            for number in numbers:
                say("queued", number)
                recorded = await log.append(append_number(number))
                say("acknowledged", number, recorded[0].position)

        await asyncio.gather(*(caller() for _ in range(CALLERS)))


class Child:
    """A process that writes, as far as it has announced what it does."""

    def __init__(self, process: asyncio.subprocess.Process, ledger: Ledger) -> None:
        self.asks: dict[int, Ask] = {}
        self._process = process
        self._ledger = ledger
        self._hearing = asyncio.create_task(self._hear())

    async def has_written(self, appends: int) -> None:
        """Wait until so many appends were acknowledged."""

        async def enough() -> bool:
            await asyncio.sleep(0)
            assert not self._hearing.done(), "the process that writes ended by itself"
            return sum(ask.position is not None for ask in self.asks.values()) >= appends

        await until(enough)

    async def kill(self) -> None:
        """Kill it, and hear what it had announced before."""
        self._process.kill()
        await self._hearing
        await self._process.wait()

    async def _hear(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            match line.split():
                case [b"queued", number]:
                    self.asks[int(number)] = self._ledger.ask(append_number(int(number)))
                case [b"acknowledged", number, position]:
                    self.asks[int(number)].position = int(position)


@asynccontextmanager
async def child(trial: Trial, url: str) -> AsyncIterator[Child]:
    """Start a process that writes, and wait until it has written something."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.faults.writer", str(trial.numbers_for_a_child()),
        stdout=asyncio.subprocess.PIPE, cwd=ROOT, env={**os.environ, "VERIFIER_LOG": url},
    )  # fmt: skip
    writing = Child(process, trial.ledger)
    try:
        await writing.has_written(trial.chance.randint(3, 40))
        yield writing
    finally:
        if process.returncode is None:
            await writing.kill()


if __name__ == "__main__":
    asyncio.run(write_until_killed(os.environ["VERIFIER_LOG"], int(sys.argv[1])))
