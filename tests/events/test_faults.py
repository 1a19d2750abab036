"""Whatever strikes a log on PostgreSQL, before a commit or between it and its answer: nothing that was acknowledged
is lost, nothing is there twice or by half, and the log goes on.

`python -m bench.faults` does the same many more times.
"""

from __future__ import annotations

import random
import secrets

import pytest

from bench.faults.fault import Fault
from bench.faults.log import FAULTS
from bench.faults.trial import Trial, on_trial
from tests.postgres import Server


@pytest.mark.parametrize("fault", FAULTS, ids=str)
async def test_a_log_survives(postgres: Server, fault: Fault[Trial]) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201  # pytest shows it where the test fails

    async with on_trial(postgres, f"trial_{secrets.token_hex(6)}", random.Random(seed)) as trial:
        await fault.on(trial)
