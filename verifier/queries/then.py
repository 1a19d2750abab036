"""Claims as they stood, listed, and their changes as another policy would have made them.

Each question says what it `rests` on: a position, the policy of then or another one, and perhaps by what had been
said. Where the rows of the views tell it, they are read: the changes say which status a claim had, and the row of a
claim that has not moved since says how it stood. Every other claim is folded from the log. So that no question takes
for ever, a list looks at so many claims and says where it goes on.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Row, and_, func, or_, select, true

from events.contracts import AdjudicationWithdrawn, ClaimAdjudicated, type_of
from events.log import Log, Recorded
from verifier import render
from verifier.assessment import Assessment
from verifier.errors import Invalid
from verifier.fold import Folded, fold
from verifier.naming import normal
from verifier.policy import Policy, is_recall
from verifier.projections import Reading, Views
from verifier.projections.rows import sides_of
from verifier.queries.attention import BESIDE
from verifier.queries.claims import Answer, claim_answers, conditions
from verifier.queries.past import folded_answer
from verifier.sentences import explanation, label
from verifier.tables import TableSet

LOOKED_AT: Final = 2_000
"""How many claims one page of a list looks at."""

FOLDED: Final = 500
"""How many of them it folds, at the most."""

_VERDICTS: Final = (ClaimAdjudicated, AdjudicationWithdrawn)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rests:
    """What an answer about the past rests on. `of_then` says that the policy is the one that was in force."""

    log: str
    position: int
    recorded_at: str | None
    policy: Policy
    of_then: bool = True
    said_by: str | None = None

    def basis(self, state_digest: str | None = None) -> Answer:
        """Return it as answers tell it."""
        told = render.basis(self.log, self.position, self.recorded_at or None, self.policy, state_digest)
        return {**told, "said_by": self.said_by} if self.said_by else told

    def assess(self, folded: Folded) -> Assessment:
        """Say how a claim stands that was folded up to the position."""
        return folded.assess_said_by(self.policy, self.said_by) if self.said_by else folded.assess(self.policy)

    @property
    def by_changes(self) -> bool:
        """Whether the changes in the views say which status a claim had."""
        return self.of_then and self.said_by is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a list of claims is narrowed to."""

    status: str | None = None
    story: str | None = None
    sources: Collection[str] | None = None
    attention: str | None = None
    language: str | None = None
    text: str | None = None

    def conditions(self, tables: TableSet) -> list[ColumnElement[bool]]:
        """Return what must hold of the row of a claim that has not moved since."""
        return list(
            conditions(
                tables, status=self.status, story=self.story, sources=self.sources, attention=self.attention,
                language=self.language, text=self.text,
            )
        )  # fmt: skip

    def matches(self, folded: Folded, assessment: Assessment) -> bool:
        """Say whether a claim that was folded is among those asked for."""
        form, words = folded.claim.form, folded.names.wordings.get(folded.claim.wording)
        spoken = {source for (source, _), count in sides_of(folded).items() if count} if self.sources else set()
        return (
            self.status in (None, assessment.status)
            and (self.attention is None or self.attention in assessment.attention)
            and self.language in (None, form.language if form else "en")
            and (self.text is None or normal(self.text) in normal((words.text if words else None) or ""))
            and (self.sources is None or not spoken.isdisjoint(self.sources))
        )


# --- claims ----------------------------------------------------------------------------------------


async def claims_then(
    log: Log, views: Views, rests: Rests, wanted: Wanted, *, before: int, limit: int
) -> tuple[list[Answer], int | None]:
    """Return a page of claims as they stood, the latest registered first, and before which registration the list
    goes on, or `None` at its end.

    The page may have fewer than `limit`, and none at all, though the list goes on. Raises `Invalid` for a reason of
    attention that has no past.
    """
    if wanted.attention in BESIDE:
        raise Invalid(
            f"{wanted.attention} lies between claims and is answered about the present only: leave as_of, said_by and"
            " policy out",
            field="attention",
        )
    rows, floor = await views.read(partial(_candidates, rests=rests, wanted=wanted, before=before))
    found: list[tuple[Row[Any], Answer | None]] = []
    for row in rows:
        if _is_unmoved(row, rests):
            found.append((row, None))
        else:
            folded = await fold(log, row.id, upto=rests.position)
            assessment = rests.assess(folded)
            if wanted.matches(folded, assessment):
                since = msgspec.json.decode(row.erased)
                found.append((row, folded_answer(folded, assessment, rests.basis(assessment.digest), since=since)))
        if len(found) == limit:
            break
    items = await _answers(views, found, rests)
    looked_to = rows[-1].registered_at if len(rows) == FOLDED else floor + 1 if floor else None
    return items, found[-1][0].registered_at if len(found) == limit else looked_to


async def _answers(views: Views, found: Sequence[tuple[Row[Any], Answer | None]], rests: Rests) -> list[Answer]:
    """Return the answers in their order; the claims that have not moved are answered from their rows."""
    unmoved = [row for row, answer in found if answer is None]
    of_rows = iter(await views.read(lambda reading: claim_answers(reading, unmoved, rests.log)) if unmoved else [])
    return [answer if answer is not None else _of_then(next(of_rows), rests) for _, answer in found]


def _of_then(answer: Answer, rests: Rests) -> Answer:
    return {
        **answer,
        "attention": answer["computed"]["attention"],
        "basis": rests.basis(answer["basis"]["state_digest"]),
    }


def _is_unmoved(row: Row[Any], rests: Rests) -> bool:
    """Say whether the row of a claim says how it stood: nothing was recorded on it since, and its policy is meant."""
    return rests.said_by is None and row.position <= rests.position and row.policy == rests.policy.id


def _candidates(reading: Reading, rests: Rests, wanted: Wanted, before: int) -> tuple[Sequence[Row[Any]], int]:
    """Return the rows of claims that may be meant, and the registration down to which was looked (0: all)."""
    tables = reading.tables
    claims = tables.claims
    at = claims.c.registered_at
    there = [at < before, at <= rests.position, *([claims.c.story == wanted.story] if wanted.story else [])]
    down_to = select(at).where(*there).order_by(at.desc()).offset(LOOKED_AT).limit(1)
    floor = reading.connection.scalar(down_to) or 0
    moved: ColumnElement[bool] = or_(claims.c.position > rests.position, claims.c.policy != rests.policy.id)
    if rests.said_by is not None:
        moved = true()
    may = and_(moved, status_then(tables, rests) == wanted.status) if wanted.status and rests.by_changes else moved
    meant = or_(and_(~moved, *wanted.conditions(tables)), may)
    rows = select(claims).where(*there, at > floor, meant).order_by(at.desc()).limit(FOLDED)
    return reading.connection.execute(rows).all(), floor


def status_then(tables: TableSet, rests: Rests) -> ColumnElement[str]:
    """Return the status that a claim had under the policy of then: what its last change left."""
    claims, changes = tables.claims, tables.changes
    last = (
        select(changes.c.status)
        .where(changes.c.claim == claims.c.id, changes.c.position <= rests.position)
        .order_by(changes.c.position.desc())
        .limit(1)
        .scalar_subquery()
    )
    return func.coalesce(last, "unassessed")


# --- changes under another policy ------------------------------------------------------------------


async def history_under(log: Log, claim: str, rests: Rests, *, after: int, limit: int) -> tuple[Folded, list[Answer]]:
    """Return the changes of a claim's status after a position as a policy would have made them, in the shape of
    `answers.Change`, and the claim, folded from its beginning to the last of them."""
    folded = Folded(claim)
    status = folded.rule(rests.policy).status
    changes: list[Answer] = []
    async for page in log.read(f"claim:{claim}", upto=rests.position):
        for event in page:
            previous = status
            folded.apply((event,))
            status = folded.rule(rests.policy).status
            if event.position > after and (status != previous or isinstance(event.leaf.fact, _VERDICTS)):
                changes.append(_change(folded, event, previous, rests))
        if len(changes) >= limit:
            break
    return folded, changes[:limit]


def _change(folded: Folded, cause: Recorded, previous: Any, rests: Rests) -> Answer:
    claim, names, fact = folded.claim, folded.names, cause.leaf.fact
    assessment = folded.assess(rests.policy)
    words = names.wordings.get(claim.wording)
    basis = render.basis(rests.log, cause.position, cause.recorded_at, rests.policy, assessment.digest)
    return {
        "position": cause.position,
        "recorded_at": cause.recorded_at,
        "claim": claim.id,
        "story": claim.registered.story if claim.registered else None,
        "previous": previous,
        "status": assessment.status,
        "label": label(assessment, names),
        "rule": assessment.rule,
        "counts": msgspec.to_builtins(assessment.counts),
        "cause": cause.id,
        "cause_type": type_of(fact),
        "explanation": explanation(assessment, names),
        "recall": is_recall(previous, assessment.status) or isinstance(fact, AdjudicationWithdrawn),
        "verdict": assessment.verdict.verdict if assessment.verdict else None,
        "policy": rests.policy.id,
        "text": words.text if words else None,
        "basis": basis,
    }
