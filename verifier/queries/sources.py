"""Sources and stories as answers, from the rows of the views: a count by status and side, never a score."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Row, Select, and_, bindparam, func, or_, select

from verifier import render
from verifier.likeness import alike, last_word
from verifier.naming import source_id
from verifier.projections import Reading
from verifier.queries.claims import Answer, claim_answers
from verifier.tables import GENERATIONS, TableSet

LATEST: Final = 20
"""How many of a source's claims stand in its answer; `claims(source=…)` lists them all."""

COMPARED: Final = 1_000
"""With how many names that end in the same word a name is compared."""

_AT_ONCE: Final = 1_000

CHAIN: Final = 20
"""How many times a source may be the same as another one before we stop following."""


def same_sources(reading: Reading, id: str) -> tuple[str, set[str]]:
    """Return the source that an id stands for today, and every id that stands for it."""
    target_of, aliases_of = _same_as(reading.tables)
    for _ in range(CHAIN):
        target = reading.connection.scalar(target_of, {"of_id": id})
        if target is None:
            break
        id = target
    same, new = {id}, {id}
    while new:
        found = reading.connection.scalars(aliases_of, {"ids": list(new)})
        new = set(found) - same
        same |= new
    return id, same


@lru_cache(GENERATIONS)
def _same_as(tables: TableSet) -> tuple[Select[Any], Select[Any]]:
    sources = tables.sources
    return (
        select(sources.c.same_as).where(sources.c.id == bindparam("of_id")),
        select(sources.c.id).where(sources.c.same_as.in_(bindparam("ids", expanding=True))),
    )


def sources_of(reading: Reading, claims: Collection[str]) -> dict[str, frozenset[str]]:
    """Return, for each claim, every source that has said or carried something about it or is accused by it, by every
    id that stands for the same today."""
    parties: dict[str, set[str]] = {claim: set() for claim in claims}
    of_claims, of_sources = _involved(reading.tables)
    for some in batched(sorted(claims)):
        for row in reading.connection.execute(of_claims, {"claims": some}):
            parties[row.claim].update(id for id, _name in msgspec.json.decode(row.names).values())
    same: dict[str, set[str]] = {}
    new = set().union(*parties.values())
    while new:  # as far as sources lead to others that are the same
        met = new
        new = set()
        for some in batched(sorted(met)):
            for row in reading.connection.execute(of_sources, {"ids": some}):
                one, other = same.get(row.id, {row.id}), same.get(row.same_as, {row.same_as})
                new |= {row.id, row.same_as} - met - same.keys()
                together = one | other
                same.update(dict.fromkeys(together, together))
    return {
        claim: frozenset(those.union(*(same[id] for id in those if id in same))) for claim, those in parties.items()
    }


def batched(items: Sequence[str]) -> Iterator[list[str]]:
    """Yield as many at once as a statement takes."""
    for start in range(0, len(items), _AT_ONCE):
        yield list(items[start : start + _AT_ONCE])


@lru_cache(GENERATIONS)
def _involved(tables: TableSet) -> tuple[Select[Any], Select[Any]]:
    names, sources = tables.names, tables.sources
    ids: Any = bindparam("ids", expanding=True)
    return (
        select(names.c.claim, names.c.names).where(
            names.c.claim.in_(bindparam("claims", expanding=True)), names.c.kind == "party"
        ),
        select(sources.c.id, sources.c.same_as).where(
            sources.c.same_as.is_not(None), or_(sources.c.id.in_(ids), sources.c.same_as.in_(ids))
        ),
    )


def source_rows(reading: Reading, after: tuple[str, str], limit: int) -> Sequence[Row[Any]]:
    """Return the rows of sources that are no alias, by name, after a name and id."""
    sources = reading.tables.sources
    name = _name(reading)
    beyond = or_(name > after[0], and_(name == after[0], sources.c.id > after[1]))
    wanted = select(sources, name.label("shown")).where(sources.c.same_as.is_(None), beyond)
    return reading.connection.execute(wanted.order_by(name, sources.c.id).limit(limit)).all()


def source_row(reading: Reading, id: str) -> Row[Any] | None:
    """Return the row of one source."""
    sources = reading.tables.sources
    return reading.connection.execute(
        select(sources, _name(reading).label("shown")).where(sources.c.id == id)
    ).one_or_none()  # fmt: skip


def source_answer(reading: Reading, row: Row[Any], same: Collection[str], log_id: str, *, lineage: str) -> Answer:
    """Return a source in the shape of `answers.Source`."""
    sides, claims = reading.tables.source_claims, reading.tables.claims
    counted = reading.connection.execute(
        select(sides.c.side, claims.c.status, func.count(sides.c.claim.distinct()), func.sum(sides.c.statements))
        .join(claims, claims.c.id == sides.c.claim)
        .where(sides.c.source.in_(same), sides.c.statements > 0)
        .group_by(sides.c.side, claims.c.status)
    )
    standing: dict[str, dict[str, int]] = {}
    statements = 0
    for side, status, of_claims, of_statements in counted:
        standing.setdefault(side, {})[status] = of_claims
        statements += of_statements if side != "accused" else 0
    return {
        **named_as(row),
        "statements": statements,
        "standing": standing,
        "same_source": _names_alike(reading, row, same, lineage),
        "basis": render.basis(log_id, reading.at.position, reading.at.recorded_at),
        "behind": False,
    }


def named_as(row: Row[Any]) -> Answer:
    """Return what a source is called and known to be."""
    return {
        "id": row.id,
        "name": row.shown or None,
        "kind": row.kind,
        "role": row.role,
        "aliases": msgspec.json.decode(row.aliases),
        "same_as": row.same_as,
        "protected": row.protected,
    }


def _names_alike(reading: Reading, row: Row[Any], same: Collection[str], lineage: str) -> list[str]:
    """Return the names of sources that look like this one's: what it could be, and is not known to be.

    Protected sources are never among them, and who is only described within one claim isn't either.
    """
    if not row.shown or row.protected:
        return []
    word = {"word": last_word(row.shown)}
    registered, mentioned = _ending_in(reading.tables)
    known = list(reading.connection.execute(registered, word))
    known += [
        found for found in reading.connection.execute(mentioned, word) if source_id(lineage, found[1]) == found[0]
    ]
    names = {name for id, name in known if id not in same and alike(name, row.shown)}
    return sorted(names)[:LATEST]


@lru_cache(GENERATIONS)
def _ending_in(tables: TableSet) -> tuple[Select[Any], Select[Any]]:
    """Select the sources whose name ends in a word: those that are registered, and those only mentioned."""
    sources, sides = tables.sources, tables.source_claims
    registered = select(sources.c.id, sources.c.name).where(
        sources.c.last_word == bindparam("word"), sources.c.same_as.is_(None), ~sources.c.protected
    )
    mentioned = (
        select(sides.c.source, func.min(sides.c.name))
        .join(sources, and_(sources.c.id == sides.c.source, ~sources.c.registered))
        .where(sides.c.last_word == bindparam("word"))
        .group_by(sides.c.source)
    )
    return registered.limit(COMPARED), mentioned.limit(COMPARED)


def latest_claims(reading: Reading, same: Collection[str], log_id: str) -> list[Answer]:
    """Return the claims that a source spoke about or carried last, with the sides on which it stands."""
    sides, claims = reading.tables.source_claims, reading.tables.claims
    on: dict[str, dict[str, int]] = {}
    spoken = select(sides.c.claim).where(sides.c.source.in_(same), sides.c.statements > 0)
    wanted = select(claims).where(claims.c.id.in_(spoken)).order_by(claims.c.position.desc()).limit(LATEST)
    rows = reading.connection.execute(wanted).all()
    of_these = select(sides.c.claim, sides.c.side, func.sum(sides.c.statements)).where(
        sides.c.source.in_(same), sides.c.claim.in_([row.id for row in rows]), sides.c.statements > 0
    )
    for claim, side, statements in reading.connection.execute(of_these.group_by(sides.c.claim, sides.c.side)):
        on.setdefault(claim, {})[side] = statements
    return [
        {
            "id": claim["id"],
            "text": claim["texts"]["text"],
            "status": claim["computed"]["status"],
            "label": claim["texts"]["label"],
            "sides": on[claim["id"]],
        }
        for claim in claim_answers(reading, rows, log_id)
    ]


def _name(reading: Reading) -> ColumnElement[str]:
    """Name a source as it was registered, or else as a claim names it, or else not at all."""
    sources, sides = reading.tables.sources, reading.tables.source_claims
    said = select(func.min(sides.c.name)).where(sides.c.source == sources.c.id).scalar_subquery()
    return func.coalesce(sources.c.name, said, "")


# --- stories ---------------------------------------------------------------------------------------


def story_rows(reading: Reading, before: int, limit: int) -> Sequence[Row[Any]]:
    """Return the rows of stories, the latest opened first, before one opened at a position."""
    stories = reading.tables.stories
    wanted = select(stories).where(stories.c.position < before).order_by(stories.c.position.desc())
    return reading.connection.execute(wanted.limit(limit)).all()


def story_answers(reading: Reading, rows: Sequence[Row[Any]], log_id: str) -> list[Answer]:
    """Return stories in the shape of `answers.Story`."""
    claims = reading.tables.claims
    counted = reading.connection.execute(
        select(claims.c.story, claims.c.status, func.count())
        .where(claims.c.story.in_([row.id for row in rows]))
        .group_by(claims.c.story, claims.c.status)
    )
    by_status: dict[str, dict[str, int]] = {row.id: {} for row in rows}
    for story, status, claims_there in counted:
        by_status[story][status] = claims_there
    return [
        {
            "id": row.id,
            "title": row.title,
            "position": row.position,
            "claims": sum(by_status[row.id].values()),
            "by_status": by_status[row.id],
            "basis": render.basis(log_id, reading.at.position, reading.at.recorded_at),
            "behind": False,
        }
        for row in rows
    ]
