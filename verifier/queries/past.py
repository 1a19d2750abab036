"""A claim as it stood, folded from the log: at a position or time, by what had been said, under any policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from events.contracts import ClaimNoted, Statement, StatementAttributed, Wording, type_of
from events.leaf import canonical
from events.log import Log, Recorded
from verifier import render
from verifier.assessment import Assessment
from verifier.claim import Said
from verifier.errors import Invalid
from verifier.fold import Folded, Folds
from verifier.queries.claims import Answer
from verifier.tally import Tally
from verifier.times import instant

_STANCES: Final = {"claim.asserted": "asserted", "claim.corroborated": "corroborated", "claim.denied": "denied"}


async def position_of(log: Log, as_of: int | str) -> int:
    """Return the position that a position or a recorded time means: the last one recorded by then.

    Raises `Invalid` for a position beyond the head, and for what is neither.
    """
    head = await log.head()
    if isinstance(as_of, int) or as_of.isdecimal():
        position = int(as_of)
        if position > head:
            raise Invalid(
                f"position {position} lies beyond the head of this log, {head}: give one it has", field="as_of"
            )
        return position
    moment = instant(as_of, "as_of", end=True)
    low, high = 0, head  # recorded at the latest then; the one after `high` was recorded later
    while low < high:
        middle = (low + high + 1) // 2
        if await recorded_at(log, middle) <= moment:
            low = middle
        else:
            high = middle - 1
    return low


async def recorded_at(log: Log, position: int) -> str:
    """Return when a position was recorded; empty for position 0."""
    if position:
        async for page in log.read_all(after=position - 1, upto=position, texts=False):
            return page[0].recorded_at
    return ""


async def fresh(folds: Folds, claim_id: str) -> Folded:
    """Fold a claim with everything the log has of it, and without any text that was erased."""
    folded = await folds.fresh(claim_id)
    if folded.stale_names:  # a text was erased since this was folded, perhaps only now: read it again
        folded = await folds.fresh(claim_id)
    return folded


def folded_answer(
    folded: Folded, assessment: Assessment, basis: Answer, *, since: Mapping[str, str] | None = None
) -> Answer:
    """Return a folded claim in the shape of `answers.Claim`. `since` gives the events of it whose texts were erased,
    maybe after the position to which it was folded, each with the event that erased it."""
    state, names = folded.claim, folded.names
    erased = render.erased(names) | {event: by for event, by in (since or {}).items() if event in state.events}
    return {
        **msgspec.json.decode(canonical(render.public(state))),
        "attention": list(assessment.attention),
        "computed": msgspec.json.decode(canonical(assessment)),
        "texts": render.texts(assessment, names, names.wordings.get(state.wording), erased),
        "basis": basis,
        "behind": False,
    }


# --- statements ------------------------------------------------------------------------------------


def statement_answers(folded: Folded, events: Sequence[Recorded], said_by: str | None = None) -> list[Answer]:
    """Return those of a claim's events that are statements, in the shape of `answers.Statement`; with `said_by`, those
    that had been said by that moment, and what became of them by what had been."""
    tally = Tally.of(folded.claim, said_by=said_by) if said_by else folded.count()
    statements = (event for event in events if isinstance(event.fact, Statement | StatementAttributed))
    roots = folded.claim.origin_roots()
    return [
        _statement(folded, tally, roots, event, said)
        for event in statements
        if (said := folded.claim.find(event.id)) is None or said_by is None or said.latest <= said_by
    ]


def _statement(folded: Folded, tally: Tally, roots: Mapping[int, int], event: Recorded, said: Said | None) -> Answer:
    fact, identity, wording = event.fact, event.identity, event.wording or Wording()
    body: Statement = said.body if said else fact  # type: ignore[assignment]  # a note is its own body
    source = folded.names.parties.get(body.source)
    origin = folded.names.origins.get(body.origin)
    documents = identity.documents if identity else {}
    return {
        "event": event.id,
        "claim": folded.claim.id,
        "position": event.position,
        "recorded_at": event.recorded_at,
        "recorded_by": identity.actor if identity else None,
        "type": type_of(fact),
        "stance": said.stance if said else "none",
        "kind": fact.kind if isinstance(fact, ClaimNoted) else None,
        "source": body.source,
        "source_id": source.id if source else None,
        "source_name": source.name if source else None,
        "via": [folded.names.party(carrier) for carrier in body.via],
        "carries": body.carries,
        "origin": body.origin,
        "origin_label": origin.label if origin else None,
        "counts_as": roots.get(body.origin, body.origin),
        "attribution": body.attribution,
        "extent": body.extent,
        "as_party": body.standing,
        "occurred": msgspec.to_builtins(body.occurred),
        "documents": [documents[str(number)] for number in body.documents if str(number) in documents],
        "derived_from": body.derived_from,
        "quote": msgspec.to_builtins(wording.quote),
        "note": wording.note,
        "reason": wording.reason,
        "standing": _standing(folded, tally, event.id, said),
    }


def _standing(folded: Folded, tally: Tally, id: str, said: Said | None) -> str:
    """Say what became of a statement. What fell with somebody else's retraction is retracted, too."""
    claim = folded.claim
    if id in claim.withdrawn:
        return "withdrawn"
    act = claim.standing_in(id)
    if act in claim.attributions:
        return "attributed"
    if act in claim.said:
        return "corrected"
    if said is None or id in claim.notes:
        return "note"
    if act in claim.retractions or tally.is_fallen(said):
        return "retracted"
    if said.body.attribution == "unattributed" or said.side == "none":
        return "set_aside"
    if said.side == "support" and said.body.extent == "part":
        return "set_aside"
    return "superseded" if tally.is_superseded(said) else "counted"
