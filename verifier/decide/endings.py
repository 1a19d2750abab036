"""The end of a claim that goes on in others: each statement is recorded there, with its original time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from events.contracts import (
    Assignment,
    ClaimMerged,
    ClaimSplit,
    Origin,
    Party,
    Wording,
)
from verifier.claim import Claim, Said
from verifier.commands import Merge, Split
from verifier.decide.acts import corrected_time
from verifier.decide.known import Draft, Known, Mentions, Other, other_claim, plain, scope_of
from verifier.decide.statements import STANCES
from verifier.errors import Invalid, NotFound, Refused
from verifier.naming import origin_id, source_id, unnamed_source_id
from verifier.tally import Tally

DERIVED_LIMIT: Final = 1_000
"""How many statements a split or merge may carry over in one append."""


def carried_over(known: Known) -> list[Said]:
    """Return the statements that go on: those that stand for something and that no retraction felled."""
    tally = Tally.of(known.claim)
    return [said for said in known.claim.current() if said.side != "none" and not tally.is_fallen(said)]


def split(known: Known, command: Split) -> list[Draft]:
    """Divide the claim: its end, then each live statement on every claim that it was assigned to.

    Raises `Refused` where a live statement is left out, or a claim that goes on takes no statements.
    """
    others = {name: other_claim(known, name) for name in command.into}
    into = tuple(others[name].claim.id for name in command.into)
    if len(set(into)) != len(into):
        raise Invalid("a claim is named twice: name each claim that goes on once", field="into")
    by_name = others | {other.claim.id: other for other in others.values()}
    current = {said.id: said for said in carried_over(known)}
    if unknown := sorted(set(command.statements) - current.keys()):
        raise NotFound(f"{unknown[0]} is not a live statement of this claim: look its id up in the claim's events")
    if missing := sorted(current.keys() - set(command.statements)):
        raise Refused(
            f"say for every live statement to which claims it speaks; missing: {', '.join(missing[:5])}"
            f"{' …' if len(missing) > 5 else ''}",
            rule="statements-not-assigned",
            missing=missing[:20],
        )
    if foreign := sorted({n for names in command.statements.values() for n in names} - by_name.keys()):
        raise Invalid(f"{foreign[0]} is not among the claims that go on: name it in `into`", field="statements")
    check_go_on(others.values())
    targets = {
        event: list({by_name[name].claim.id: by_name[name] for name in names}.values())
        for event, names in command.statements.items()
    }
    fact = ClaimSplit(assignments=assignments(targets, into), into=into)
    return [plain(known, fact, reason=command.reason), *derived(known, current, targets)]


def merge(known: Known, command: Merge) -> list[Draft]:
    """Let the claim go on in another one: its end, then each live statement there."""
    other = other_claim(known, command.into)
    check_go_on([other])
    current = {said.id: said for said in carried_over(known)}
    targets = {event: [other] for event in current}
    fact = ClaimMerged(assignments=assignments(targets, (other.claim.id,)), into=other.claim.id)
    return [plain(known, fact, reason=command.reason), *derived(known, current, targets)]


def check_go_on(others: Iterable[Other]) -> None:
    """Refuse a claim that has ended itself: two claims could point at each other, and go on nowhere."""
    for other in others:
        if other.claim.ended is not None:
            raise Refused(
                f"{other.claim.id} has ended itself: name a claim that goes on",
                rule="claim-ended",
                claim=other.claim.id,
            )


def assignments(targets: Mapping[str, list[Other]], into: tuple[str, ...]) -> tuple[Assignment, ...]:
    """Return, statement by statement, the claims that it speaks to from now on, by their places in `into`."""
    return tuple(
        Assignment(statement=event, claims=tuple(into.index(other.claim.id) + 1 for other in others))
        for event, others in sorted(targets.items())
    )


def derived(known: Known, current: Mapping[str, Said], targets: Mapping[str, list[Other]]) -> list[Draft]:
    """Draft every statement anew on the claims that it was assigned to, at most `DERIVED_LIMIT` of them."""
    count = sum(len(others) for others in targets.values())
    if count > DERIVED_LIMIT:
        raise Refused(
            f"{count:,} statements would be carried over, the limit is {DERIVED_LIMIT:,}: withdraw the claim instead",
            rule="too-many-statements",
        )
    for other in {o.claim.id: o for others in targets.values() for o in others}.values():
        check_takes(other.claim)
    mentions: dict[str, Mentions] = {}
    sources = origin_sources(known)
    drafts = []
    for event, others in sorted(targets.items()):
        for other in others:
            there = mentions.setdefault(other.claim.id, Mentions(other.claim, other.names))
            drafts.append(derive(known, current[event], other, there, sources))
    return drafts


def check_takes(claim: Claim) -> None:
    """Refuse to carry statements over to a claim that takes none."""
    if not claim.checkable:
        raise Refused(
            f"{claim.id} is an open question and takes no statements: name a checkable claim",
            rule="not-checkable",
            claim=claim.id,
        )


def derive(known: Known, said: Said, other: Other, mentions: Mentions, sources: Mapping[str, str]) -> Draft:
    """Record a statement of the old claim on another one, with its original time and that claim's numbers."""
    body = said.body
    party = {number: mentions.party(identified(known, number)) for number in (body.source, *body.via)}
    documents = {
        number: mentions.document(known.names.documents[number])
        for number in (*body.documents, *([body.quoted_in] if body.quoted_in else []))
        if number in known.names.documents
    }
    fact = STANCES[said.stance](
        attribution=body.attribution,
        carries=body.carries,
        derived_from=said.id,
        documents=tuple(documents[n] for n in body.documents if n in documents),
        extent=body.extent,
        occurred=corrected_time(said),
        origin=mentions.origin(origin_there(known, said, other, sources)),
        quoted=body.quoted if body.quoted_in in documents else None,
        quoted_in=documents.get(body.quoted_in or 0),
        source=party[body.source],
        standing=body.standing,
        via=tuple(party[number] for number in body.via),
    )
    return Draft(stream=f"claim:{other.claim.id}", fact=fact, wording=Wording(), identity=mentions.identity(known))


def origin_there(known: Known, said: Said, other: Other, sources: Mapping[str, str]) -> Origin:
    """Return the origin of a statement as the other claim knows it.

    Merges are carried over: what counts as one origin here must not count as two there. A label means one
    thing within a story or a claim, so where the scope changes, the same label or source means the origin
    that it means there.
    """
    number = known.claim.origin_roots().get(said.body.origin, said.body.origin)
    origin = known.names.origins.get(number)
    if origin is None:
        id = origin_id(known.lineage, known.claim.id, f"origin {number}")
        return Origin(id=id, label="an origin that was erased")
    if origin.id not in sources:
        return origin
    return Origin(id=origin_id(known.lineage, scope_of(other.claim), sources[origin.id]), label=origin.label)


def origin_sources(known: Known) -> dict[str, str]:
    """Return, for the origins of a claim, the source or label that each was derived from, as far as it shows."""
    labels = [source_id(known.lineage, origin.label) for origin in known.names.origins.values()]
    return {origin_id(known.lineage, known.scope, source): source for source in (*labels, *known.names.party_numbers)}


def identified(known: Known, number: int) -> Party:
    """Return whom a number means; one that was erased goes on as somebody of this claim."""
    party = known.names.parties.get(number)
    return party or Party(
        id=unnamed_source_id(known.lineage, known.claim.id, f"party {number}"), name="a name that was erased"
    )
