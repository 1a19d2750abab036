"""What if this were recorded: decided as a command is, applied to a claim that nobody else has, and forgotten.

The same decision and the same `evolve` as live; only nothing is appended, no bytes are touched, and no claim that
others see is changed. So it is what recording it would be answered with, as long as nothing else comes first.
"""

from __future__ import annotations

from typing import Any

from events.leaf import now
from events.log import Log, encode_append
from verifier import render
from verifier.adopted import Adopted
from verifier.commands import ClaimCommand
from verifier.effects import Before, effect
from verifier.fold import Folds
from verifier.handler.appending import Caller, command_digest, proposed
from verifier.handler.deciding import Decider


class WhatIf:
    """Answers what a command on a claim would come to. Records nothing."""

    def __init__(self, log: Log, *, adopted: Adopted, decider: Decider) -> None:
        self._log = log
        self._adopted = adopted
        self._decider = decider

    async def ask(self, claim_id: str, command: ClaimCommand, caller: Caller) -> dict[str, Any]:
        """Return the claim as it would stand, in the shape of `answers.Written`: `basis` says that it is speculative,
        `written_at` is 0, and `recorded` is empty.

        Raises the `Problem` with which the command would be refused.
        """
        folded = await Folds(self._log).fresh(claim_id)  # of our own: it is about to say what nobody recorded
        digest = command_digest(command, claim_id, caller.key)
        drafts = (await self._decider.decide(folded, command, caller, digest)).drafts
        head = max(await self._log.head(), folded.position)
        policy = self._adopted.at(head)
        before = Before.of(folded, policy)
        # They stand at the claim's last position, so that every position in the answer is one that there is.
        at, moment = folded.position, max(now(), folded.claim.recorded_at)
        events = [
            encoded.recorded(at, moment)
            for encoded in encode_append(proposed(drafts, caller, command, caller.event_id(0)))
            if encoded.leaf.stream == f"claim:{claim_id}"
        ]
        folded.apply(events)
        stands = render.claim(folded, folded.assess(policy), policy, self._log.id, head)
        return {
            **stands,
            "basis": {**stands["basis"], "speculative": True},
            "statement": events[-1].id,
            "written_at": 0,
            "effect": effect(folded, policy, before, events[-1].id, events[-1].fact),
            "recorded": [],
            "key": caller.key,
        }
