"""Count the events that a store's live subscribers never see, beside how fast it records them.

    python -m bench.missing                         20,000 events, every store that is installed
    python -m bench.missing --only ours --seed 7

Four processes write, each with four writers, and each has two subscribers that are cut off at random moments
and go on after the last position they have seen, as a program does whose connection broke. A subscriber
*missed* an event when it has seen a later one and has still not been given this one five seconds after the
writers ended; the log is then read again, as the judge. Where it has seen no later one it is *behind*.

All stores on PostgreSQL use one server, which makes each commit durable; UmaDB runs its own server.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Final

from bench.postgres import durability
from bench.processes import at_once, share
from bench.stores import STORES, Part, Store
from tests.postgres import Server, serving

PROCESSES: Final = 4
WRITERS: Final = 16
SUBSCRIBERS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What went wrong for one subscriber; all zero where nothing did."""

    missing: int  # recorded, never seen, though a later one was
    repeated: int
    disordered: int  # seen first after a later one
    behind: int  # recorded, not seen in time, and nothing later was either


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one run."""

    rate: float  # appends a second, from the first process that began to the last that ended
    reconnects: int
    recorded: int  # how many events the log holds afterwards
    findings: Sequence[Finding]


def judge(recorded: Sequence[int], seen: Sequence[int]) -> Finding:
    """Compare the positions that a subscriber saw, as they came, with those that the log holds."""
    distinct = set(seen)
    furthest = max(seen, default=0)
    unseen = set(recorded) - distinct
    missing = sum(position < furthest for position in unseen)
    repeated = len(seen) - len(distinct)
    disordered, last, before = 0, 0, set[int]()
    for position in seen:
        disordered += position < last and position not in before
        last = max(last, position)
        before.add(position)
    return Finding(missing=missing, repeated=repeated, disordered=disordered, behind=len(unseen) - missing)


def watch(store: Store, server: Server, *, appends: int, seed: int) -> Outcome:
    """Write to a store with all writers while all subscribers look, and judge what they saw."""
    with store.made(server) as place:
        parts = [
            Part(
                place=place.words,
                process=process,
                writers=[share(appends, WRITERS, writer) for writer in range(process, WRITERS, PROCESSES)],
                subscribers=SUBSCRIBERS // PROCESSES,
                after=place.after,
                total=appends,
                seed=seed,
            )
            for process in range(PROCESSES)
        ]
        reports = at_once(store.work, parts)
        recorded = [position for position in place.positions() if position > place.after]
    return Outcome(
        rate=appends / (max(report.ended for report in reports) - min(report.begun for report in reports)),
        reconnects=sum(report.reconnects for report in reports),
        recorded=len(recorded),
        findings=[judge(recorded, seen) for report in reports for seen in report.seen],
    )


# --- the whole run ---------------------------------------------------------------------------------


def say(line: str = "") -> None:
    """Print a line at once, so that a long run shows where it is."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def show(store: Store, outcome: Outcome, appends: int) -> None:
    """Print what became of one store: each subscriber, the worst of them, and all together."""
    say(f"\n{store.title}: {outcome.rate:,.0f} appends/s, {outcome.reconnects} reconnects")
    if outcome.recorded != appends:
        say(f"  the log holds {outcome.recorded:,} of {appends:,} events")
    say(f"  {'subscriber':<14}{'missing':>10}{'repeated':>10}{'disordered':>12}{'behind':>10}")
    rows = [(str(number), finding) for number, finding in enumerate(outcome.findings, 1)]
    for title, which in (("worst", max), ("total", sum)):
        counts = {
            name: which(getattr(finding, name) for finding in outcome.findings) for name in Finding.__dataclass_fields__
        }
        rows.append((title, Finding(**counts)))
    for title, found in rows:
        say(f"  {title:<14}{found.missing:>10,}{found.repeated:>10,}{found.disordered:>12,}{found.behind:>10,}")


def main() -> None:
    """Watch each store that is asked for and installed, on one server."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--appends", type=int, default=20_000, help="how many events in all")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="of the moments of the cuts")
    parser.add_argument("--only", nargs="+", choices=STORES, default=list(STORES), help="only these stores")
    given = parser.parse_args()
    say(f"{given.appends:,} events from {WRITERS} writers in {PROCESSES} processes, {SUBSCRIBERS} subscribers")
    say(f"seed {given.seed}")
    with serving() as server:
        say(f"PostgreSQL: {durability(server)}; UmaDB: as it is delivered, which is synchronous")
        for store in (STORES[name] for name in given.only):
            if find_spec(store.needs) is None:
                say(f"\n{store.title}: not installed; pip install {store.needs}")
            else:
                show(store, watch(store, server, appends=given.appends, seed=given.seed), given.appends)


if __name__ == "__main__":
    main()
