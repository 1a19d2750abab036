"""Give every parser and verifier of `events.tlog` any input at all, for as long as wanted.

    python -m bench.fuzz_tlog                               ten minutes each, two at a time
    python -m bench.fuzz_tlog --seconds 60 --only open_note

`tests/events/tlog/fuzzing.py` says what an input is and what counts as a failure: any exception but `TlogError`,
and anything accepted that is not so. Hypothesis makes the inputs and, where one fails, the smallest that does.
A run begins anew with another seed every 2,000 inputs; the same `--seed` gives the same inputs in the same order.
Ends with 1 if anything failed.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed

from bench.measuring import say
from tests.events.tlog.fuzzing import TARGETS, Tally, fuzz

ROUND = 2_000
"""Inputs before the clock is looked at and the seed changes."""


def run(name: str, seconds: float, seed: int) -> tuple[Tally, str | None]:
    """Fuzz one target for so long: what came of it, and the failure, if there was one."""
    tally, seeds = Tally(), random.Random(f"{name} {seed}")
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            fuzz(name, ROUND, seeds.getrandbits(64), tally)
        except Exception as error:  # noqa: BLE001 - any exception is what is looked for, and is reported
            return tally, f"{type(error).__name__}: {error}\n" + "\n".join(getattr(error, "__notes__", []))
    return tally, None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600, help="for each target (default: 600)")
    parser.add_argument("--only", choices=sorted(TARGETS), action="append", help="this target; may be repeated")
    parser.add_argument("--jobs", type=int, default=2, help="targets at the same time (default: 2)")
    parser.add_argument("--seed", type=int, default=1, help="another one gives other inputs (default: 1)")
    wanted = parser.parse_args()

    names, inputs, failures = wanted.only or list(TARGETS), 0, 0
    with ProcessPoolExecutor(wanted.jobs) as processes:
        running = {processes.submit(run, name, wanted.seconds, wanted.seed): name for name in names}
        for done in as_completed(running):
            tally, failure = done.result()
            outcomes = ", ".join(f"{count:,} {outcome}" for outcome, count in tally.outcomes.most_common())
            say(f"  {running[done]:<20}{tally.runs:>12,} inputs: {outcomes}")
            inputs += tally.runs
            if failure is not None:
                failures += 1
                say(f"FAILED {running[done]}: {failure}")
    say(f"{inputs:,} inputs for {len(names)} targets, {wanted.seconds:g} s each, seed {wanted.seed}: {failures} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
