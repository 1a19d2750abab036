"""Kill a process that writes a log, at random moments, and see what it kept.

    python -m bench.crash                  60 kills
    python -m bench.crash --kills 500 --seed 7

Each kill (SIGKILL, so nothing of the process's own can help) meets a child with several callers: some
appends were acknowledged, some are unfinished. It falls before a commit, inside it or after it, as the
child's own announcements tell. After each, the whole log is read again:

- every acknowledged append is there, at the positions that were acknowledged, with its content;
- every unfinished one is there wholly, side by side, or not at all, and asked for again it is there once;
- there is nothing else, no gap, and SQLite finds its file in order.

This tries the process and the operating system, not the disk: a lost power supply is not simulated.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final, Literal

from events.contracts import ClaimAsserted, Identity, Wording
from events.leaf import derive, text_digest
from events.log import Proposed, Recorded
from events.sqlite import SqliteLog

Phase = Literal["before", "inside", "after"]

PHASES: Final[dict[str, Phase]] = {"begun": "before", "committing": "inside", "committed": "after"}
"""Where a kill falls, by what the child announced last about a commit."""

CALLERS: Final = 8
"""How many append at once."""

LINGER: Final = 200e-6
"""How many seconds a child stays in the moments that are aimed at."""

NUMBERS_PER_CHILD: Final = 1_000_000
"""More appends than a child can make, so that no two children use one number."""


def append_number(number: int) -> Sequence[Proposed]:
    """Return the events of an append: one to three, over two streams. The number says it all, so that the
    parent knows what the child wanted."""
    return [
        Proposed(
            id=derive("evt", "crash", f"{number}", f"{ordinal}"),
            stream=f"claim:{derive('clm', 'crash', f'{number + ordinal % 2}')}",
            fact=ClaimAsserted(source=1, origin=1),
            identity=Identity(actor="crash"),
            wording=Wording(note=f"append {number}, event {ordinal}"),
        )
        for ordinal in range(number % 3 + 1)
    ]


# --- the child -------------------------------------------------------------------------------------


def say(*words: object) -> None:
    """Announce something to the parent, in one write, so that a kill can't tear it."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


class Announcing(sqlite3.Connection):
    """A connection that announces how far each commit is, and lingers before and after it: the moments
    there are else too short to be hit."""

    def execute(self, statement: str, *values: Sequence[object]) -> sqlite3.Cursor:  # type: ignore[override]  # narrower
        # It takes what the writer calls it with, and no more.
        cursor = super().execute(statement, *values)
        if statement.startswith("BEGIN"):
            say("begun")
            spin(LINGER)
        return cursor

    def commit(self) -> None:
        say("committing")
        super().commit()
        say("committed")
        spin(LINGER)


async def write_until_killed(path: Path, first: int) -> None:
    """Append with several callers at once, for ever, and announce it."""
    numbers = count(first)

    async def caller(log: SqliteLog) -> None:
        for number in numbers:
            events = append_number(number)
            say("queued", number)
            recorded = await log.append(events)
            say("acknowledged", number, recorded[0].position)

    async with await SqliteLog.open(path, connection=Announcing) as log:
        await asyncio.gather(*(caller(log) for _ in range(CALLERS)))


# --- the parent ------------------------------------------------------------------------------------


@dataclass
class Kill:
    """One kill: where it fell, and what the child had been told by then."""

    phase: Phase
    acknowledged: dict[int, int]  # append number -> position of its first event
    unfinished: set[int]


@dataclass
class Crash:
    """A log that is written by one child after another, each of which is killed."""

    path: Path
    chance: random.Random
    children: int = 0
    expected: dict[int, int] = field(default_factory=dict)  # append number -> position of its first event

    def kill(self, aim: Phase) -> Kill:
        """Let a child write, kill it about where it was aimed at, and check what it left."""
        self.children += 1
        killed = self._kill_a_child(aim)
        asyncio.run(self._verify(killed))
        return killed

    def _kill_a_child(self, aim: Phase) -> Kill:
        first = self.children * NUMBERS_PER_CHILD
        command = [sys.executable, "-m", "bench.crash", "--child", str(self.path), str(first)]
        root = Path(__file__).resolve().parents[1]
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=root) as child:
            assert child.stdout is not None
            announced = announcements(child.stdout.fileno())
            commits = self.chance.randint(3, 30)
            killed = Kill("before", {}, set())
            for word, *numbers in announced:
                note(killed, word, *numbers)
                if word == "committed":
                    commits -= 1
                if commits < 0 and PHASES.get(word) == aim and killed.acknowledged:
                    spin(self.chance.uniform(0, 100e-6))
                    child.send_signal(signal.SIGKILL)
                    break
            for word, *numbers in announced:  # what it had announced before the signal reached it
                note(killed, word, *numbers)
        assert killed.acknowledged and killed.unfinished, "the child ended by itself"
        return killed

    async def _verify(self, killed: Kill) -> None:
        self.expected |= killed.acknowledged
        async with await SqliteLog.open(self.path) as log:
            events = [event async for page in log.read_all() for event in page]
            check_whole(events)
            places = {event.id: event.position for event in events}
            for number in killed.unfinished:
                found = [places.get(event.id) for event in append_number(number)]
                assert all(found) or not any(found), f"half of append {number} was recorded: {found}"
                recorded = await log.append(append_number(number))
                assert not any(found) or [event.position for event in recorded] == found
                self.expected[number] = recorded[0].position
            events = [event async for page in log.read_all() for event in page]
        check_whole(events)
        self._check_content(events)
        self._check_file()

    def _check_content(self, events: Sequence[Recorded]) -> None:
        accounted = 1  # log.opened
        for number, position in self.expected.items():
            proposed = append_number(number)
            recorded = events[position - 1 : position - 1 + len(proposed)]
            assert len(recorded) == len(proposed), f"append {number} was acknowledged and is gone"
            for event, wanted in zip(recorded, proposed, strict=True):
                assert event.same_content(wanted), f"append {number} is not as it was acknowledged"
                assert event.wording_salt and event.wording_raw
                assert event.leaf.wording == text_digest(event.wording_salt, "wording", event.wording_raw)
            accounted += len(proposed)
        assert accounted == len(events), "there are events that nobody asked for"

    def _check_file(self) -> None:
        connection = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True)
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        connection.close()


def check_whole(events: Sequence[Recorded]) -> None:
    """Check that the positions of a whole log have no gap, and that its times never decrease."""
    assert [event.position for event in events] == list(range(1, len(events) + 1)), "there is a gap"
    times = [event.recorded_at for event in events]
    assert times == sorted(times), "time went back"


def announcements(descriptor: int) -> Iterator[list[str]]:
    """Yield what a child announces, word by word, until it ends."""
    rest = b""
    while raw := os.read(descriptor, 65_536):
        *lines, rest = (rest + raw).split(b"\n")
        yield from (line.decode().split() for line in lines)


def note(killed: Kill, word: str, number: str = "0", position: str = "0") -> None:
    """Write down what the child announced."""
    match word:
        case "queued":
            killed.unfinished.add(int(number))
        case "acknowledged":
            killed.unfinished.remove(int(number))
            killed.acknowledged[int(number)] = int(position)
        case _:
            killed.phase = PHASES[word]


def spin(seconds: float) -> None:
    """Let a very short time pass; too short for a sleep."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def main() -> None:
    """Run what the command line asks for, in the parent or in a child."""
    parser = argparse.ArgumentParser(description="Kill a process that writes a log, and see what it kept.")
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    parser.add_argument("--child", nargs=2, metavar=("PATH", "FIRST"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        asyncio.run(write_until_killed(Path(given.child[0]), int(given.child[1])))
        return
    print(f"seed {given.seed}")  # noqa: T201  # a person reads it
    aims: Sequence[Phase] = list(PHASES.values())
    with tempfile.TemporaryDirectory() as folder:
        crash = Crash(Path(folder) / "newsroom.db", random.Random(given.seed))
        fell = Counter(crash.kill(aims[number % 3]).phase for number in range(given.kills))
    print(", ".join(f"{fell[phase]} {phase} the commit" for phase in aims))  # noqa: T201  # as above
    print(f"{len(crash.expected):,} appends, every acknowledged one is there, none by half")  # noqa: T201  # as above
    if given.kills >= 50 and min(fell[phase] for phase in aims) < 5:
        sys.exit("too few kills in one of the phases: run it again")


if __name__ == "__main__":
    main()
