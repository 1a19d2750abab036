"""How a write was understood, in one line: what it counts as, or why it doesn't count."""

from __future__ import annotations

from typing import Final

import msgspec

from events.contracts import (
    ClaimNoted,
    ClaimRegistered,
    Fact,
    Statement,
    StatementAttributed,
    StatementCorrected,
    StatementRetracted,
    StatementWithdrawn,
    Status,
    type_of,
)
from verifier.claim import Said
from verifier.fold import Folded
from verifier.policy import Policy
from verifier.tally import is_eligible

_KNOWN: Final = {
    "on_record": "on the record",
    "documentary": "in a document",
    "first_hand": "first-hand",
    "anonymous": "described",
}
_SIMPLE: Final = {
    "origins.merged": "the two origins count as one",
    "origins.split": "the two origins count apart again",
    "evidence.attached": "evidence attached",
    "claim.adjudicated": "verdict recorded; the status stays what the facts say",
    "adjudication.withdrawn": "verdict withdrawn",
    "claim.linked": "linked; links are never counted",
    "claim.unlinked": "link taken back",
    "claim.reworded": "reworded; the statements stay",
    "claim.split": "split; the claim takes no more facts",
    "claim.merged": "merged; the claim takes no more facts",
    "claim.withdrawn": "withdrawn; the claim takes no more facts",
    "claim.published": "publication recorded",
    "claim.unpublished": "publication taken down",
    "text.erased": "text erased; the status stays",
}


class Before(msgspec.Struct, frozen=True, gc=False):
    """How a claim stood before a write, as far as an effect tells of it."""

    status: Status
    support_origins: int

    @classmethod
    def of(cls, folded: Folded, policy: Policy) -> Before:
        """Look at a claim before something is recorded on it."""
        return cls(folded.rule(policy).status, folded.count().support_origins)


def effect(folded: Folded, policy: Policy, before: Before, event: str, fact: Fact) -> str:
    """Return how a fact was understood, now that the claim has it."""
    match fact:
        case ClaimNoted():
            return f"noted: {fact.kind.replace('_', ' ')}; kept out of every count"
        case StatementCorrected() | StatementAttributed():
            return f"put right: {_statement(folded, before, event)}"
        case Statement():
            return _statement(folded, before, event)
        case StatementRetracted():
            return "retracted" + _moved(before, Before.of(folded, policy))
        case StatementWithdrawn():
            return "undone: it counts nowhere" + _moved(before, Before.of(folded, policy))
        case ClaimRegistered():
            return "registered" if fact.checkable else "registered as an open question"
        case _:
            return _SIMPLE.get(type_of(fact), "recorded")


def _moved(before: Before, after: Before) -> str:
    return f"; {before.status} became {after.status}" if before.status != after.status else "; the status stays"


def _statement(folded: Folded, before: Before, event: str) -> str:
    said, tally = folded.claim.find(event), folded.count()
    if said is None or said.side == "none":
        noted = said is not None and isinstance(said.body, ClaimNoted)
        return "kept out of every count" if noted else "stands for nothing any more"
    body = said.body
    if body.attribution == "unattributed":
        return "set aside: the speaker is not identified"
    if said.side == "support" and body.extent == "part":
        return "set aside: speaks of a part only"
    if tally.is_fallen(said):
        return "fallen: what it repeats was retracted"
    if tally.is_superseded(said):
        return "superseded: the same source said otherwise later"
    how = f"{_party_kind(said)}, {_KNOWN[body.attribution]}"
    if said.side == "denial":
        return f"counted: {'denial' if is_eligible(said) else 'weak denial'}, {how}"
    if tally.support_origins > before.support_origins:
        return f"counted: new origin, {how}"
    if tally.is_echo(said):
        return f"echo of {folded.names.origin(body.origin)}"
    return f"counted: {'with what the same source said already, ' if tally.joins_its_source(said) else ''}{how}"


def _party_kind(said: Said) -> str:
    if said.body.standing == "interested":
        return "interested"
    return "unnamed" if said.body.attribution == "anonymous" else "named"
