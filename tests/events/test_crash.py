"""A process that is killed while it writes loses nothing it acknowledged, and leaves nothing by half.

`python -m bench.crash` does the same many more times.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from bench.crash import Crash, Phase


@pytest.mark.parametrize("aim", ["before", "inside", "after"])
def test_a_killed_writer_loses_nothing_that_it_acknowledged(tmp_path: Path, aim: Phase) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201  # pytest shows it where the test fails
    crash = Crash(tmp_path / "newsroom.db", random.Random(seed))

    kills = [crash.kill(aim) for _ in range(2)]

    for kill in kills:
        assert kill.acknowledged
        assert kill.unfinished
