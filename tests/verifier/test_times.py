"""How people write times, and what they mean."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.contracts import Occurred
from verifier.commands import When
from verifier.errors import Invalid
from verifier.times import EARLIEST, LATEST, bounds, instant, occurred

RECORDED = "2020-02-01T00:00:00.000000Z"


@pytest.mark.parametrize(
    ("written", "earliest", "latest", "precision"),
    [
        ("2020", "2020-01-01T00:00:00.000000Z", "2020-12-31T23:59:59.999999Z", "year"),
        ("2020-02", "2020-02-01T00:00:00.000000Z", "2020-02-29T23:59:59.999999Z", "month"),
        ("2020-01-06", "2020-01-06T00:00:00.000000Z", "2020-01-06T23:59:59.999999Z", "day"),
        (" 2020-01-06 ", "2020-01-06T00:00:00.000000Z", "2020-01-06T23:59:59.999999Z", "day"),
        ("9999", "9999-01-01T00:00:00.000000Z", "9999-12-31T23:59:59.999999Z", "year"),
        ("2020-01-06T12Z", "2020-01-06T12:00:00.000000Z", "2020-01-06T12:59:59.999999Z", "hour"),
        ("2020-01-06T12:30Z", "2020-01-06T12:30:00.000000Z", "2020-01-06T12:30:59.999999Z", "minute"),
        ("2020-01-06 12:30", "2020-01-06T12:30:00.000000Z", "2020-01-06T12:30:59.999999Z", "minute"),
        ("2020-01-06t12:30z", "2020-01-06T12:30:00.000000Z", "2020-01-06T12:30:59.999999Z", "minute"),
        ("2020-01-06T00:30+03:00", "2020-01-05T21:30:00.000000Z", "2020-01-05T21:30:59.999999Z", "minute"),
        ("2020-01-06T12:30:15Z", "2020-01-06T12:30:15.000000Z", "2020-01-06T12:30:15.000000Z", "instant"),
        ("2020-01-06T12:30:15.5Z", "2020-01-06T12:30:15.500000Z", "2020-01-06T12:30:15.500000Z", "instant"),
        ("9999-12-31T23:59Z", "9999-12-31T23:59:00.000000Z", "9999-12-31T23:59:59.999999Z", "minute"),
        ("2020-01-05/2020-01-07", "2020-01-05T00:00:00.000000Z", "2020-01-07T23:59:59.999999Z", "range"),
        ("2019 / 2020-01", "2019-01-01T00:00:00.000000Z", "2020-01-31T23:59:59.999999Z", "range"),
    ],
)  # fmt: skip
def test_a_written_time_means_everything_it_may_mean(written: str, earliest: str, latest: str, precision: str) -> None:
    assert occurred(written) == Occurred(basis="explicit", earliest=earliest, latest=latest, precision=precision)


def test_a_time_that_nobody_gave_is_that_of_recording() -> None:
    assert occurred(None) == Occurred(basis="assumed")
    assert bounds(occurred(None), RECORDED) == (RECORDED, RECORDED)


def test_unknown_overlaps_every_time() -> None:
    assert occurred("Unknown") == Occurred(basis="explicit", precision="unknown")
    assert bounds(occurred("unknown"), RECORDED) == (EARLIEST, LATEST)
    assert EARLIEST < "0001-01-01T00:00:00.000000Z" < "9999-12-31T23:59:59.999999Z" < LATEST


@pytest.mark.parametrize(
    "written",
    [
        "", "yesterday", "06.01.2020", "2020-13", "2020-02-30", "0000", "20200106", "2020-W02", "2020-W02-1",
        "2020-1-6", "2020-01-06T25:00Z", "2020-01-06T12:30:61Z", "２０２０", "0001-01-01T00:00+05:00",
        "2020-01-07/2020-01-05", "2020/2021/2022", "unknown/2020", "2020/unknown", "/", "2020/",
    ],
)  # fmt: skip
def test_what_is_not_a_time_is_refused_with_what_to_write(written: str) -> None:
    with pytest.raises(Invalid) as refused:
        occurred(written)

    assert any(help in refused.value.detail for help in ("write 2020-01-06", "swap them"))


def test_a_longer_time_says_how_it_is_known() -> None:
    read = occurred(When(at="2020-01-06", basis="inferred", expression="on Monday"))

    assert read == Occurred(
        basis="inferred",
        earliest="2020-01-06T00:00:00.000000Z",
        latest="2020-01-06T23:59:59.999999Z",
        precision="day",
    )


def test_a_longer_time_may_have_both_its_bounds() -> None:
    read = occurred(When(earliest="2020-01-05", latest="2020-01-07T12:00Z"))

    assert (read.earliest, read.latest) == ("2020-01-05T00:00:00.000000Z", "2020-01-07T12:00:59.999999Z")
    assert read.precision == "range"


@pytest.mark.parametrize(
    "written",
    [
        When(),
        When(earliest="2020-01-05"),
        When(latest="2020-01-05"),
        When(at="2020", earliest="2020", latest="2020"),
        When(earliest="2020-01-07", latest="2020-01-05"),
        When(earliest="unknown", latest="2020"),
        When(at="unknown", precision="day"),
        When(at="2020-01-05", precision="unknown"),
    ],
)
def test_a_time_that_says_two_things_or_half_of_one_is_refused(written: When) -> None:
    with pytest.raises(Invalid):
        occurred(written)


def test_a_moment_is_the_beginning_or_the_end_of_a_written_time() -> None:
    assert instant("2020-01", "valid_from") == "2020-01-01T00:00:00.000000Z"
    assert instant("2020-01", "valid_to", end=True) == "2020-01-31T23:59:59.999999Z"


def test_a_moment_cannot_be_unknown() -> None:
    with pytest.raises(Invalid, match="valid_from can't be unknown"):
        instant("unknown", "valid_from")


@given(st.datetimes(), st.sampled_from(["year", "month", "day", "hour", "minute"]))
def test_a_moment_lies_within_every_time_that_is_written_from_it(moment: datetime, precision: str) -> None:
    length = {"year": 4, "month": 7, "day": 10, "hour": 13, "minute": 16}[precision]
    written = moment.isoformat()

    read = occurred(written[:length])

    assert read.precision == precision
    assert read.earliest is not None
    assert read.latest is not None
    assert read.earliest <= moment.isoformat(timespec="microseconds") + "Z" <= read.latest
