"""What `python -m bench.missing` counts: a short run of it on our log, and its judge.

The long one does the same with ten times as many events, and with other stores.
"""

from __future__ import annotations

from bench.missing import Finding, judge, watch
from bench.stores import STORES
from tests.postgres import Server

NOTHING = Finding(missing=0, repeated=0, disordered=0, behind=0)


def test_every_subscriber_sees_every_event_once_and_in_order(postgres: Server) -> None:
    outcome = watch(STORES["ours"], postgres, appends=2_000, seed=3)

    assert outcome.recorded == 2_000
    assert outcome.findings == [NOTHING] * 8
    assert outcome.reconnects > 0


def test_the_judge_finds_nothing_wrong_with_what_was_seen_in_order() -> None:
    assert judge([2, 3, 5], seen=[2, 3, 5]) == NOTHING


def test_the_judge_counts_what_was_passed_over_apart_from_what_has_not_come_yet() -> None:
    found = judge([1, 2, 3, 4, 5, 6], seen=[1, 3, 4])

    assert found == Finding(missing=1, repeated=0, disordered=0, behind=2)


def test_the_judge_counts_what_came_twice_apart_from_what_came_late() -> None:
    found = judge([1, 2, 3, 4], seen=[1, 3, 3, 2, 1, 4])

    assert found == Finding(missing=0, repeated=2, disordered=1, behind=0)
