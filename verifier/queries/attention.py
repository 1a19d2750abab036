"""What somebody should look at that no claim's own facts can tell: it lies between claims, or in names.

So it is no part of `computed`, which is the same for ever under the same basis: it is answered beside that, and
as it stands now.

`contradicted`  the claim stands, and so does one that is linked with it as contradicting it, either way round.
`same_source`   two of its sources have names that look alike and are not known to be the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, bindparam, exists, func, or_, select

from verifier.projections import Reading
from verifier.tables import GENERATIONS, TableSet

BESIDE: Final = ("contradicted", "same_source")
"""The reasons that are answered beside the computed ones."""

STANDS: Final = ("asserted", "corroborated")
"""The statuses of a claim that stands, so that none that contradicts it can."""


def attention_beside(reading: Reading, ids: Collection[str]) -> dict[str, list[str]]:
    """Return what somebody should look at about each of some claims; often nothing."""
    return {
        id: [reason for reason, holds in zip(BESIDE, holding, strict=True) if holds]
        for id, *holding in reading.connection.execute(_beside(reading.tables), {"ids": list(ids)})
    }


def needs_attention(tables: TableSet, reason: str) -> ColumnElement[bool]:
    """Return the condition that a claim needs attention for a reason."""
    claims = tables.claims
    match reason:
        case "contradicted":
            return and_(claims.c.status.in_(STANDS), _is_contradicted(tables))
        case "same_source":
            return _has_names_alike(tables)
        case _:
            return claims.c.attention.contains(f",{reason},", autoescape=True)


def claims_by_attention(reading: Reading) -> dict[str, int]:
    """Count the claims that somebody should look at by the reason; one claim may have several."""
    claims = reading.tables.claims
    counts: Counter[str] = Counter()
    for reasons, of_claims in reading.connection.execute(
        select(claims.c.attention, func.count()).group_by(claims.c.attention)
    ):
        for reason in filter(None, reasons.split(",")):
            counts[reason] += of_claims
    for reason, of_some in zip(BESIDE, _of_some(reading.tables), strict=True):
        # The few claims that may have it are named first, so that no database looks at every claim.
        meant = claims.c.id.in_(of_some), needs_attention(reading.tables, reason)
        counts[reason] += reading.connection.scalar(select(func.count()).select_from(claims).where(*meant)) or 0
    return {reason: count for reason, count in sorted(counts.items()) if count}


def _of_some(tables: TableSet) -> tuple[Any, Any]:
    """Select the claims that may have each of the reasons that lie between claims or in names."""
    links, alike = tables.contradictions, tables.alike
    linked = select(links.c.claim).where(links.c.links > 0)
    return linked.union(select(links.c.other).where(links.c.links > 0)), select(alike.c.claim)


@lru_cache(GENERATIONS)
def _beside(tables: TableSet) -> Select[Any]:
    claims = tables.claims
    reasons = [needs_attention(tables, reason) for reason in BESIDE]
    return select(claims.c.id, *reasons).where(claims.c.id.in_(bindparam("ids", expanding=True)))


def _is_contradicted(tables: TableSet) -> ColumnElement[bool]:
    """A link of the claim's own, or of another, sets it against one that stands."""
    claims, links = tables.claims, tables.contradictions
    other = claims.alias()
    stands = and_(links.c.links > 0, other.c.status.in_(STANDS))
    return or_(
        exists().where(links.c.claim == claims.c.id, other.c.id == links.c.other, stands),
        exists().where(links.c.other == claims.c.id, other.c.id == links.c.claim, stands),
    )


def _has_names_alike(tables: TableSet) -> ColumnElement[bool]:
    """Two of the claim's sources look alike, and neither is known to be the other, nor both to be a third."""
    claims, alike, sources = tables.claims, tables.alike, tables.sources

    def survivor(source: ColumnElement[str]) -> ColumnElement[str]:
        same_as = select(sources.c.same_as).where(sources.c.id == source).scalar_subquery()
        return func.coalesce(same_as, source)

    return exists().where(alike.c.claim == claims.c.id, survivor(alike.c.one) != survivor(alike.c.other))
