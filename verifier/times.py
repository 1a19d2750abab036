"""How people write times, and what they mean: `2020-01-06` is a day, `unknown` overlaps everything.

Pure: no clock. A time without a zone is UTC.
"""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from events.contracts import Basis, Occurred, Precision
from events.leaf import timestamp
from verifier.commands import Occurred as Written
from verifier.errors import Invalid

EARLIEST: Final = ""
"""Sorts before every time: the earliest bound of an unknown one."""

LATEST: Final = "~"
"""Sorts after every time: the latest bound of an unknown one."""

_HELP = "write 2020-01-06, 2020-01, 2020, 2020-01-06T12:30Z, 2020-01-05/2020-01-07 or unknown"
_DATE = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?", re.ASCII)
_MOMENT = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}(?P<minute>:\d{2}(?P<second>:\d{2}([.,]\d{1,6})?)?)?([Zz]|[+-]\d{2}:?\d{2})?", re.ASCII
)
_TICK = timedelta(microseconds=1)


def occurred(written: Written | None) -> Occurred:
    """Return what a written time means; `None` means when we recorded it.

    Raises `Invalid` for what is not a time, or ends before it begins.
    """
    if written is None:
        return Occurred()
    if isinstance(written, str):
        return _between(*_read(written), basis="explicit")
    if written.at is not None:
        if written.earliest or written.latest:
            raise Invalid("a time has either `at` or its bounds, not both: leave one out", field="occurred")
        earliest, latest, precision = _read(written.at)
    elif written.earliest and written.latest:
        earliest, latest, precision = _read_range(written.earliest, written.latest)
    else:
        raise Invalid("a time has `at`, or both `earliest` and `latest`: give one of the two", field="occurred")
    if written.precision is not None and (written.precision == "unknown") != (precision == "unknown"):
        raise Invalid("a time is either given or unknown: leave `precision` or the time out", field="occurred")
    return _between(earliest, latest, written.precision or precision, basis=written.basis)


def instant(written: str, field: str, *, end: bool = False) -> str:
    """Return the moment at which a written time begins (or ends), as the log writes it."""
    earliest, latest, _ = _read(written)
    moment = latest if end else earliest
    if moment is None:
        raise Invalid(f"{field} can't be unknown here: leave it out", field=field)
    return moment


def bounds(time: Occurred, recorded_at: str) -> tuple[str, str]:
    """Return the earliest and latest moment, as strings that compare; unknown overlaps every time."""
    if time.precision == "unknown":
        return EARLIEST, LATEST
    earliest = time.earliest or time.latest or recorded_at
    return earliest, time.latest or earliest


def _between(earliest: str | None, latest: str | None, precision: Precision, *, basis: Basis) -> Occurred:
    if earliest is not None and latest is not None and latest < earliest:
        raise Invalid(f"the time ends at {latest}, before it begins at {earliest}: swap them", field="occurred")
    return Occurred(basis=basis, earliest=earliest, latest=latest, precision=precision)


@lru_cache(4_096)  # a text is read more than once a command, and many share one
def _read(text: str) -> tuple[str | None, str | None, Precision]:
    text = text.strip()
    if text.lower() == "unknown":
        return None, None, "unknown"
    if "/" in text:
        first, _, second = text.partition("/")
        return _read_range(first, second)
    return _read_one(text)


def _read_range(first: str, second: str) -> tuple[str, str, Precision]:
    return _read_one(first.strip())[0], _read_one(second.strip())[1], "range"


def _read_one(text: str) -> tuple[str, str, Precision]:
    try:
        if match := _DATE.fullmatch(text):
            return _date(*match.groups())
        if match := _MOMENT.fullmatch(text):
            return _moment(text.upper(), match)
    except (ValueError, OverflowError) as error:  # a 30 February, or a moment outside the years 1 to 9999
        raise Invalid(f"{text!r} is not a time: {_HELP}", field="occurred") from error
    raise Invalid(f"{text!r} is not a time: {_HELP}", field="occurred")


def _moment(text: str, match: re.Match[str]) -> tuple[str, str, Precision]:
    moment = datetime.fromisoformat(text)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if match["second"]:
        return timestamp(moment), timestamp(moment), "instant"
    length = timedelta(minutes=1) if match["minute"] else timedelta(hours=1)
    return timestamp(moment), timestamp(moment + (length - _TICK)), "minute" if match["minute"] else "hour"


def _date(year: str, month: str | None, day: str | None) -> tuple[str, str, Precision]:
    first = datetime(int(year), int(month or 1), int(day or 1), tzinfo=UTC)
    precision: Precision = "day" if day else "month" if month else "year"
    last_month = first.month if month else 12
    last_day = first.day if day else monthrange(first.year, last_month)[1]
    last = datetime(first.year, last_month, last_day, 23, 59, 59, 999_999, tzinfo=UTC)
    return timestamp(first), timestamp(last), precision
