"""A short run of what `python -m bench.fuzz_tlog` does for hours: any input, and no error but the documented one."""

from __future__ import annotations

import pytest

from tests.events.tlog.fuzzing import TARGETS, Tally, fuzz


@pytest.mark.parametrize("name", TARGETS)
def test_good_arguments_are_accepted(name: str) -> None:
    target = TARGETS[name]

    for good in target.good:
        assert target.holds(good, target.call(*good))


@pytest.mark.parametrize("name", TARGETS)
def test_whatever_it_is_given_it_answers_rightly_or_raises_the_documented_error(name: str) -> None:
    tally = Tally()

    fuzz(name, examples=60, number=1, tally=tally)

    assert tally.runs >= 60
