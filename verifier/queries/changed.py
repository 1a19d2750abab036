"""Changes as a sender reads them: which there are, which of them a source has to do with, and one of them to send."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final

import msgspec
from sqlalchemy import Row, func, select

from verifier.projections import Reading
from verifier.queries.claims import Answer, change_answers, changes_of, claim_row
from verifier.queries.sources import same_sources

AT_ONCE: Final = 1_000
"""How many claims one statement names: one position may change them all, and a database takes no more than so many."""


def batched(claims: Iterable[str], size: int) -> Iterator[list[str]]:
    """Yield claims, so many at a time."""
    left = iter(claims)
    while some := list(islice(left, size)):
        yield some


def changed_after(reading: Reading, after: int, limit: int) -> tuple[Sequence[Row[Any]], int]:
    """Return so many changes after a position, without what they rest on, and the position up to which these are all.

    The changes of one position stay together: where they alone are more than the limit, all of them come.
    """
    changes = reading.tables.changes
    columns = [changes.c[name] for name in ("position", "claim", "story", "previous", "status", "recall")]
    wanted = select(*columns).order_by(changes.c.position, changes.c.claim)
    rows = reading.connection.execute(wanted.where(changes.c.position > after).limit(limit + 1)).all()
    if len(rows) <= limit:
        return rows, max(after, reading.at.position)
    last = rows[-1].position
    if whole := [row for row in rows if row.position < last]:
        return whole, last - 1
    return reading.connection.execute(wanted.where(changes.c.position == last)).all(), last


def claims_with(reading: Reading, source: str, claims: Collection[str]) -> set[str]:
    """Return those of some claims on which a source, by whatever name, has said something, still standing or not."""
    sides, found = reading.tables.source_claims, set[str]()
    _, same = same_sources(reading, source)
    for some in batched(claims, AT_ONCE):
        wanted = select(sides.c.claim).where(sides.c.source.in_(same), sides.c.claim.in_(some))
        found.update(reading.connection.scalars(wanted))
    return found


def one_change(reading: Reading, claim: str, position: int, log_id: str) -> Answer | None:
    """Return the change of a claim at a position in the shape of `answers.Change`, `None` where there is none."""
    rows = changes_of(reading, claim, position - 1, 1, position)
    return change_answers(reading, rows, log_id)[0] if rows else None


def recalled_at(reading: Reading, claim: str, position: int) -> int | None:
    """Return where a claim was recalled last, up to a position."""
    changes = reading.tables.changes
    recalls = changes.c.claim == claim, changes.c.recall, changes.c.position <= position
    last: int | None = reading.connection.scalar(select(func.max(changes.c.position)).where(*recalls))
    return last


def is_published(reading: Reading, claim: str) -> bool:
    """Say whether a claim has uses that nobody has taken down or put right."""
    row = claim_row(reading, claim)
    return row is not None and bool(msgspec.json.decode(row.public)["publications"])
