"""Sources and stories as they stood: how their claims stood at a position, by a moment, or under another policy.

A story is counted from the changes in the views wherever they tell it. Everything else is folded from the log; so a
count over too many claims is refused, and the claims themselves can be listed page by page instead.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import Row, func, select

from events.log import Log
from verifier.assessment import Assessment
from verifier.errors import Invalid
from verifier.fold import Folded, fold
from verifier.projections import Reading, Views
from verifier.projections.rows import sides_of
from verifier.queries.claims import Answer
from verifier.queries.sources import LATEST, named_as, source_row
from verifier.queries.then import FOLDED, Rests, status_then
from verifier.sentences import label


class Counted(NamedTuple):
    """A claim that was folded for a count, and how it stood."""

    folded: Folded
    assessment: Assessment


# --- stories ---------------------------------------------------------------------------------------


async def stories_then(
    log: Log, views: Views, rests: Rests, *, before: int, limit: int, story: str | None = None
) -> tuple[list[Answer], int | None]:
    """Return a page of the stories that there were, or the one that is asked for, the latest opened first, and before
    which one the list goes on, or `None` at its end. Titles are those of today.

    Raises `Invalid` where more claims would have to be folded than can be at once.
    """

    def read(reading: Reading) -> Sequence[Row[Any]]:
        stories = reading.tables.stories
        there = stories.c.position < before, stories.c.position <= rests.position
        meant = select(stories).where(*there, *([stories.c.id == story] if story else []))
        return reading.connection.execute(meant.order_by(stories.c.position.desc()).limit(limit + 1)).all()

    rows = await views.read(read)
    shown = rows[:limit]
    by_status = await _by_status(log, views, rests, [row.id for row in shown])
    items = [
        {
            "id": row.id,
            "title": row.title,
            "position": row.position,
            "claims": sum(by_status[row.id].values()),
            "by_status": by_status[row.id],
            "basis": rests.basis(),
            "behind": False,
        }
        for row in shown
    ]
    return items, shown[-1].position if len(rows) > limit else None


async def _by_status(log: Log, views: Views, rests: Rests, stories: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return how many claims of each story had which status."""
    if rests.by_changes:
        return await views.read(partial(_by_changes, rests=rests, stories=stories))
    by_status: dict[str, Counter[str]] = {story: Counter() for story in stories}
    ids = await views.read(partial(_claims_of, rests=rests, stories=stories))
    for folded, assessment in await _fold_all(log, rests, ids):
        registered = folded.claim.registered
        if registered is not None and registered.story is not None:
            by_status[registered.story][assessment.status] += 1
    return {story: dict(sorted(counts.items())) for story, counts in by_status.items()}


def _by_changes(reading: Reading, rests: Rests, stories: Sequence[str]) -> dict[str, dict[str, int]]:
    claims = reading.tables.claims
    stood = (
        select(claims.c.story, status_then(reading.tables, rests).label("status"))
        .where(claims.c.story.in_(stories), claims.c.registered_at <= rests.position)
        .subquery()
    )
    counted = select(stood.c.story, stood.c.status, func.count()).group_by(stood.c.story, stood.c.status)
    by_status: dict[str, dict[str, int]] = {story: {} for story in stories}
    for story, status, count in reading.connection.execute(counted.order_by(stood.c.story, stood.c.status)):
        by_status[story][status] = count
    return by_status


def _claims_of(reading: Reading, rests: Rests, stories: Sequence[str]) -> Sequence[str]:
    claims = reading.tables.claims
    there = claims.c.story.in_(stories), claims.c.registered_at <= rests.position
    return reading.connection.scalars(select(claims.c.id).where(*there).limit(FOLDED + 1)).all()


# --- sources ---------------------------------------------------------------------------------------


async def source_then(log: Log, views: Views, rests: Rests, id: str, same: Collection[str]) -> Answer | None:
    """Return a source in the shape of `answers.Source` as it stood, or `None` where nothing named it yet. Its names
    are those of today, and so is what it turned out to be.

    Raises `Invalid` where it has come up on more claims than can be folded at once.
    """
    row = await views.read(lambda reading: source_row(reading, id))
    counted = await _counted_of(log, views, rests, same)
    if row is None or not (counted or await _was_registered(log, rests, same)):
        return None
    standing: dict[str, Counter[str]] = {}
    statements = 0
    for one in counted:
        for side, count in _sides_in(one, same).items():
            standing.setdefault(side, Counter())[one.assessment.status] += 1
            statements += count if side != "accused" else 0
    return {
        **named_as(row),
        "statements": statements,
        "standing": {side: dict(sorted(by_status.items())) for side, by_status in sorted(standing.items())},
        "claims": [_claim_of(one, same) for one in counted[:LATEST]],
        "basis": rests.basis(),
        "behind": False,
    }


def _claim_of(counted: Counted, same: Collection[str]) -> Answer:
    folded, assessment = counted
    words = folded.names.wordings.get(folded.claim.wording)
    return {
        "id": folded.claim.id,
        "text": words.text if words else None,
        "status": assessment.status,
        "label": label(assessment, folded.names),
        "sides": _sides_in(counted, same),
    }


async def _was_registered(log: Log, rests: Rests, same: Collection[str]) -> bool:
    for id in same:
        async for _ in log.read(f"source:{id}", upto=rests.position):
            return True
    return False


async def _counted_of(log: Log, views: Views, rests: Rests, same: Collection[str]) -> list[Counted]:
    """Return the claims on which a source had a side by then, folded; the latest touched first."""

    def ids(reading: Reading) -> Sequence[str]:
        sides, claims = reading.tables.source_claims, reading.tables.claims
        ever = select(sides.c.claim).where(sides.c.source.in_(same))  # also where it has no statement any more
        there = claims.c.id.in_(ever), claims.c.registered_at <= rests.position
        return reading.connection.scalars(select(claims.c.id).where(*there).limit(FOLDED + 1)).all()

    counted = await _fold_all(log, rests, await views.read(ids))
    counted.sort(key=lambda one: one.folded.position, reverse=True)
    return [one for one in counted if _sides_in(one, same)]


def _sides_in(counted: Counted, same: Collection[str]) -> dict[str, int]:
    """Return how many statements a source had on which side of a claim."""
    sides: Counter[str] = Counter()
    for (source, side), statements in sides_of(counted.folded).items():
        if source in same and statements:
            sides[side] += statements
    return dict(sorted(sides.items()))


async def _fold_all(log: Log, rests: Rests, ids: Sequence[str]) -> list[Counted]:
    if len(ids) > FOLDED:
        raise Invalid(
            f"that is more than {FOLDED} claims to count anew: list the claims themselves, page by page, with the"
            " same as_of, said_by and policy",
            limit=FOLDED,
        )
    counted = []
    for id in ids:
        folded = await fold(log, id, upto=rests.position)
        counted.append(Counted(folded, rests.assess(folded)))
    return counted
