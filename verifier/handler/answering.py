"""What a write is answered with: the claim as it now stands, or in brief for writes in bulk and beside the claims."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from events.contracts import Fact
from events.log import Recorded
from verifier.effects import Before, effect
from verifier.fold import Folded
from verifier.handler.appending import Caller
from verifier.policy import Policy
from verifier.render import basis
from verifier.render import claim as render_claim


class Written(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A write that was recorded: the claim after it, how it stood before, and which events it made.

    `before` is `None` where the same command had been recorded earlier.
    """

    log: str
    folded: Folded
    policy: Policy
    before: Before | None
    recorded: Sequence[str]
    statement: str
    fact: Fact
    written_at: int
    position: int
    caller: Caller

    @property
    def effect(self) -> str:
        """How the write was understood."""
        if self.before is None:
            return "already recorded"
        return effect(self.folded, self.policy, self.before, self.statement, self.fact)


Answer = Callable[[Written], dict[str, Any]]
"""Turns a write into what is answered; called while nobody else can change the claim."""


def in_full(written: Written) -> dict[str, Any]:
    """Answer with the claim as it now stands, in the shape of `answers.Written`."""
    assessment = written.folded.assess(written.policy)
    return {
        **render_claim(written.folded, assessment, written.policy, written.log, written.position),
        "statement": written.statement,
        "written_at": written.written_at,
        "effect": written.effect,
        "recorded": written.recorded,
        "key": written.caller.key,
    }


def in_brief(written: Written) -> dict[str, Any]:
    """Answer with what was recorded and the status that followed, in the shape of `answers.Done`."""
    claim = written.folded.claim
    rule = written.folded.rule(written.policy)
    return {
        "id": claim.id,
        "statement": written.statement,
        "written_at": written.written_at,
        "effect": written.effect,
        "recorded": written.recorded,
        "key": written.caller.key,
        "basis": basis(written.log, written.position, claim.recorded_at, written.policy),
        "status": rule.status,
        "rule": rule.id,
    }


def done(id: str, recorded: Sequence[Recorded], effect: str, caller: Caller, log_id: str) -> dict[str, Any]:
    """Return the answer to a write on something else than a claim, in the shape of `answers.Done`."""
    return {
        "id": id,
        "statement": recorded[0].id,
        "written_at": recorded[-1].position,
        "effect": effect,
        "recorded": [event.id for event in recorded],
        "key": caller.key,
        "basis": basis(log_id, recorded[-1].position, recorded[-1].recorded_at),
    }
