"""Claims and their changes as answers, from the rows of the views. Sentences are rendered here, when read."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Row, Select, and_, bindparam, func, or_, select

from events.contracts import Origin, Party, Wording
from verifier import render
from verifier.assessment import Assessment
from verifier.names import Names
from verifier.naming import normal
from verifier.policy import POLICIES
from verifier.projections import Reading
from verifier.queries.attention import attention_beside, needs_attention
from verifier.sentences import explanation, label
from verifier.tables import BLOCK, GENERATIONS, TableSet

Answer = dict[str, Any]

ENDED: Final = ("withdrawn", "merged", "split")
"""The statuses of claims that take no more facts."""

_CLAIMS_AT_ONCE: Final = 1_000
_assessments = msgspec.json.Decoder(Assessment)


def claims_where(
    reading: Reading,
    *,
    before: int,
    limit: int,
    status: str | None = None,
    story: str | None = None,
    sources: Collection[str] | None = None,
    attention: str | None = None,
    language: str | None = None,
    text: str | None = None,
) -> Sequence[Row[Any]]:
    """Return the rows of claims, the latest registered first, before one registered at a position."""
    claims = reading.tables.claims
    wanted = select(claims).where(
        claims.c.registered_at < before,
        *conditions(
            reading.tables, status=status, story=story, sources=sources, attention=attention, language=language,
            text=text,
        ),
    )  # fmt: skip
    return reading.connection.execute(wanted.order_by(claims.c.registered_at.desc()).limit(limit)).all()


def conditions(
    tables: TableSet,
    *,
    status: str | None = None,
    story: str | None = None,
    sources: Collection[str] | None = None,
    attention: str | None = None,
    language: str | None = None,
    text: str | None = None,
) -> Iterator[ColumnElement[bool]]:
    """Yield what must hold of the row of a claim that is asked for."""
    claims = tables.claims
    for column, value in ((claims.c.status, status), (claims.c.story, story), (claims.c.language, language)):
        if value is not None:
            yield column == value
    if attention is not None:
        yield needs_attention(tables, attention)
    if text is not None:
        yield claims.c.text_key.contains(normal(text), autoescape=True)
    if sources is not None:
        sides = tables.source_claims
        yield claims.c.id.in_(select(sides.c.claim).where(sides.c.source.in_(sources), sides.c.statements > 0))


def claims_by_status(reading: Reading) -> dict[str, int]:
    """Count the claims by their status."""
    status = reading.tables.claims.c.status
    return {row[0]: row[1] for row in reading.connection.execute(select(status, func.count()).group_by(status))}


def claim_row(reading: Reading, id: str) -> Row[Any] | None:
    """Return the row of one claim."""
    return reading.connection.execute(_one_claim(reading.tables), {"of_id": id}).one_or_none()


@lru_cache(GENERATIONS)
def _one_claim(tables: TableSet) -> Select[Any]:
    return select(tables.claims).where(tables.claims.c.id == bindparam("of_id"))


def claim_answers(reading: Reading, rows: Sequence[Row[Any]], log_id: str) -> list[Answer]:
    """Return claims in the shape of `answers.Claim`."""
    assessments = [_assessments.decode(row.computed) for row in rows]
    names = names_for(reading, assessments)
    beside = attention_beside(reading, [row.id for row in rows])
    return [
        _claim(reading, row, assessment, names[row.id], beside[row.id], log_id)
        for row, assessment in zip(rows, assessments, strict=True)
    ]


def _claim(
    reading: Reading, row: Row[Any], assessment: Assessment, names: Names, beside: Sequence[str], log_id: str
) -> Answer:
    wording = Wording(text=row.text, place=row.place, note=row.note)
    return {
        **msgspec.json.decode(row.public),
        "attention": [*assessment.attention, *beside],
        "computed": msgspec.json.decode(row.computed),
        "texts": render.texts(assessment, names, wording, msgspec.json.decode(row.erased)),
        "basis": render.basis(
            log_id, reading.at.position, reading.at.recorded_at, POLICIES[row.policy], assessment.digest
        ),
        "behind": False,
    }


# --- changes ---------------------------------------------------------------------------------------


def changes_after(
    reading: Reading,
    after: int,
    limit: int,
    upto: int | None = None,
    **asked: Any,
) -> tuple[Sequence[Row[Any]], int]:
    """Return about so many changes after a position, up to another or the views' own, and the position up to which
    these are all; `asked` as `which_changes` has it.

    The changes of one position stay together: where they alone are more than the limit, all of them come.
    """
    changes = reading.tables.changes
    upto = reading.at.position if upto is None else upto
    these = list(which_changes(reading.tables, **asked))
    wanted = _changes(reading).where(changes.c.position > after, changes.c.position <= upto, *these)
    rows = reading.connection.execute(
        wanted.order_by(changes.c.position, changes.c.claim).limit(limit + 1)
    ).all()  # fmt: skip
    if len(rows) <= limit:
        return rows, upto
    last = rows[-1].position
    whole = [row for row in rows if row.position < last]
    if whole:
        return whole, last - 1
    all_of_it = _changes(reading).where(changes.c.position == last, *these).order_by(changes.c.claim)
    return reading.connection.execute(all_of_it).all(), last


def which_changes(
    tables: TableSet,
    *,
    claim: str | None = None,
    story: str | None = None,
    status: str | None = None,
    sources: Collection[str] | None = None,
    recalls: bool = False,
) -> Iterator[ColumnElement[bool]]:
    """Yield what must hold of a change that is asked for: of one claim, within one story, to one status, of a claim
    that has something to do with one of these sources, or only recalls."""
    changes, sides = tables.changes, tables.source_claims
    for column, value in ((changes.c.claim, claim), (changes.c.status, status), (changes.c.story, story)):
        if value is not None:
            yield column == value
    if sources is not None:
        yield changes.c.claim.in_(select(sides.c.claim).where(sides.c.source.in_(sources)))
    if recalls:
        yield changes.c.recall


def changes_before(reading: Reading, before: tuple[int, str], limit: int, **asked: Any) -> Sequence[Row[Any]]:
    """Return changes before one at a position and of a claim, the newest first; `asked` as `which_changes` has it."""
    changes = reading.tables.changes
    position, claim = before
    wanted = _changes(reading).where(
        or_(changes.c.position < position, and_(changes.c.position == position, changes.c.claim < claim)),
        *which_changes(reading.tables, **asked),
    )
    newest = wanted.order_by(changes.c.position.desc(), changes.c.claim.desc())
    return reading.connection.execute(newest.limit(limit)).all()


def changes_of(reading: Reading, claim: str, after: int, limit: int, upto: int) -> Sequence[Row[Any]]:
    """Return the changes of one claim after a position and up to another, in order."""
    changes = reading.tables.changes
    wanted = _changes(reading).where(changes.c.claim == claim, changes.c.position > after, changes.c.position <= upto)
    return reading.connection.execute(wanted.order_by(changes.c.position).limit(limit)).all()


def latest_changes(reading: Reading, after: int, limit: int) -> tuple[Sequence[Row[Any]], int]:
    """Return the last changes of all claims after a position, the latest first, and how many there are."""
    changes = reading.tables.changes
    beyond = changes.c.position > after
    wanted = _changes(reading).where(beyond).order_by(changes.c.position.desc(), changes.c.claim).limit(limit)
    total = select(func.count()).select_from(changes).where(beyond)
    return reading.connection.execute(wanted).all(), reading.connection.scalar(total) or 0


def quiet_claims(reading: Reading, since: int, limit: int) -> tuple[Sequence[Row[Any]], int]:
    """Return the claims that take facts and had none after a position, the latest touched first, and how many."""
    claims = reading.tables.claims
    quiet = claims.c.position <= since, claims.c.status.not_in(ENDED)
    wanted = select(claims).where(*quiet).order_by(claims.c.position.desc()).limit(limit)
    total = select(func.count()).select_from(claims).where(*quiet)
    return reading.connection.execute(wanted).all(), reading.connection.scalar(total) or 0


def recalled_uses(reading: Reading, limit: int) -> tuple[Sequence[Row[Any]], int]:
    """Return the publications that stand though their claim was recalled since what they saw of it, the latest
    recalled first, and how many there are."""
    used, changes = reading.tables.publications, reading.tables.changes
    recall = func.max(changes.c.position).label("recalled_at")
    wanted: Select[Any] = (
        select(used.c.claim, used.c.event, used.c.position, used.c.seen, recall)
        .join(changes, and_(changes.c.claim == used.c.claim, changes.c.position > used.c.seen, changes.c.recall))
        .where(used.c.live)
        .group_by(used.c.claim, used.c.event, used.c.position, used.c.seen)
    )
    total = select(func.count()).select_from(wanted.subquery())
    latest = wanted.order_by(recall.desc(), used.c.position.desc()).limit(limit)
    return reading.connection.execute(latest).all(), reading.connection.scalar(total) or 0


def change_answers(reading: Reading, rows: Sequence[Row[Any]], log_id: str) -> list[Answer]:
    """Return changes in the shape of `answers.Change`."""
    assessments = [_assessments.decode(row.computed) for row in rows]
    names = names_for(reading, assessments)
    return [
        _change(row, assessment, names[row.claim], log_id) for row, assessment in zip(rows, assessments, strict=True)
    ]


def _changes(reading: Reading) -> Select[Any]:
    changes, claims = reading.tables.changes, reading.tables.claims
    return select(changes, claims.c.text).join(claims, claims.c.id == changes.c.claim)


def _change(row: Row[Any], assessment: Assessment, names: Names, log_id: str) -> Answer:
    policy = POLICIES[assessment.policy]
    return {
        "position": row.position,
        "recorded_at": row.recorded_at,
        "claim": row.claim,
        "story": row.story,
        "previous": row.previous,
        "status": row.status,
        "label": label(assessment, names),
        "rule": assessment.rule,
        "counts": msgspec.to_builtins(assessment.counts),
        "cause": row.cause,
        "cause_type": row.cause_type,
        "explanation": explanation(assessment, names),
        "recall": row.recall,
        "verdict": assessment.verdict.verdict if assessment.verdict else None,
        "policy": policy.id,
        "text": row.text,
        "basis": render.basis(log_id, row.position, row.recorded_at, policy, assessment.digest),
    }


# --- names -----------------------------------------------------------------------------------------


def names_for(reading: Reading, assessments: Iterable[Assessment]) -> dict[str, Names]:
    """Return, for each claim, the names that its sentences need, as far as nobody erased them."""
    names: dict[str, Names] = {}
    blocks: set[int] = set()
    for assessment in assessments:
        names.setdefault(assessment.claim, Names())
        blocks |= {number // BLOCK for number in _numbers(assessment)}
    claims = sorted(names)
    for start in range(0, len(claims), _CLAIMS_AT_ONCE):
        _read_names(reading, claims[start : start + _CLAIMS_AT_ONCE], blocks, names)
    return names


def _numbers(assessment: Assessment) -> Iterator[int]:
    """Yield the numbers of every party and origin that an assessment mentions."""
    yield from assessment.origins
    for ground in (*assessment.grounds.shown, *assessment.denials):
        yield from ground.via
        if ground.source is not None:
            yield ground.source
        if ground.origin is not None:
            yield ground.origin


def _read_names(reading: Reading, claims: Sequence[str], blocks: Collection[int], names: dict[str, Names]) -> None:
    wanted = {"claims": list(claims), "blocks": list(blocks)}
    for row in reading.connection.execute(_some_names(reading.tables), wanted):
        known = names[row.claim]
        for local, (id, name) in msgspec.json.decode(row.names).items():
            if row.kind == "party":
                known.parties[int(local)] = Party(id=id, name=name)
            else:
                known.origins[int(local)] = Origin(id=id, label=name)


@lru_cache(GENERATIONS)
def _some_names(tables: TableSet) -> Select[Any]:
    # Not by tuples of claim and block: SQLite would look through the whole table for them.
    claim, block = tables.names.c.claim, tables.names.c.block
    wanted = claim.in_(bindparam("claims", expanding=True)), block.in_(bindparam("blocks", expanding=True))
    return select(tables.names).where(*wanted)
