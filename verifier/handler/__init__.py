"""The way of a command: answered at once if recorded before, else decided, appended, answered.

    resolve ──▶ decide ──▶ append(after = what I saw) ──▶ durable ──▶ assess, answer

Commands on one claim queue in this process, so only another process can beat them to it; then what
was missed is read and the command decided again, up to `TRIES` times, then *busy*. A cached claim may
decide yes, because `after` checks it under the log's lock, and never no: before a refusal the claim is
read anew.

If we are cancelled or crash around the append, nobody knows here whether it was recorded: the cached
claim is dropped, and the same key finds out.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from msgspec import structs

from events import errors as log_errors
from events.leaf import derive
from events.log import Log, Recorded
from verifier.adopted import Adopted
from verifier.commands import ClaimCommand, RegisterClaim
from verifier.effects import Before
from verifier.errors import Busy, DuplicateClaim, Problem
from verifier.fold import Folded, Folds, fold
from verifier.handler.answering import Answer, Written, in_full
from verifier.handler.appending import (
    TRIES,
    Appender,
    Caller,
    check_same,
    command_digest,
    jitter,
    key_reused,
    recorded_as,
)
from verifier.handler.deciding import Decider, named_claims
from verifier.handler.queues import Queues
from verifier.naming import normal, story_named
from verifier.registry import Registry

RECENT: Final = 10_000
"""How many wordings registered by this process are remembered while the views catch up."""

FindClaim = Callable[[str | None, str], Awaitable[str | None]]
"""Looks a wording up among the claims of a story, in the views."""


class Handler:
    """Records commands on claims. One per process and log."""

    def __init__(
        self,
        log: Log,
        *,
        adopted: Adopted,
        registry: Registry,
        folds: Folds,
        decider: Decider,
        queues: Queues,
        find_claim: FindClaim,
    ) -> None:
        self._log = log
        self._adopted = adopted
        self._registry = registry
        self._folds = folds
        self._decider = decider
        self._queues = queues
        self._find_claim = find_claim
        self._appender = Appender(log, folds, registry)
        self._recent: dict[tuple[str | None, str], str] = {}

    async def register(self, command: RegisterClaim, caller: Caller, *, answer: Answer = in_full) -> dict[str, Any]:
        """Register a claim, with its first statement if it has one, in one append, and answer with it.

        Raises a `Problem`; after any but `OutcomeUnknown` nothing was recorded.
        """
        claim_id = derive("clm", caller.actor, caller.key)
        story = None if command.story is None else story_named(self._log.lineage, command.story)
        wording = (story, normal(command.text))
        async with self._queues.hold(f"wording:{wording}", claim_id):
            folded = self._folds.cached(claim_id)
            if folded is None or not folded.position:
                # Only a command that is asked again can find its own claim in the log.
                taken = None if command.again else await self._claim_with(wording, command.text)
                folded = await self._folds.fresh(claim_id) if taken or command.again else Folded(claim_id)
                if taken not in (None, claim_id) and not folded.position:
                    self._folds.drop(claim_id)
                    raise DuplicateClaim(
                        f"the story has this wording already as {taken}: use it, or ask for another with `again`",
                        claim=taken,
                    )
            written = await self._run(folded, command, caller)
            self._remember(wording, claim_id)
            return answer(written)

    async def handle(
        self, claim_id: str, command: ClaimCommand, caller: Caller, *, answer: Answer = in_full
    ) -> dict[str, Any]:
        """Record a command on a claim, and answer with the claim as it now stands.

        Raises a `Problem`; after any but `OutcomeUnknown` nothing was recorded.
        """
        async with self._queues.hold(claim_id, *named_claims(command)):
            folded = self._folds.cached(claim_id) or await self._folds.fresh(claim_id)
            return answer(await self._run(folded, command, caller))

    # --- one command, again and again until it is settled --------------------------------------------

    async def _run(self, folded: Folded, command: RegisterClaim | ClaimCommand, caller: Caller) -> Written:
        digest = command_digest(command, folded.claim.id, caller.key)
        first = caller.event_id(0)
        fresh = False
        for attempt in range(TRIES):
            if first in folded.claim.events:
                return await self._again(await self._folds.fresh(folded.claim.id), first, digest, caller)
            try:
                decision = await self._decider.decide(folded, command, caller, digest)
            except Problem:
                if fresh:
                    if not folded.position:
                        self._folds.drop(folded.claim.id)  # nobody registered it
                    raise
                folded, fresh = await self._folds.fresh(folded.claim.id), True
                continue
            await self._decider.erase_bytes(decision)
            try:
                recorded = await self._appender.append(decision.drafts, caller, command, decision.after)
                if not recorded[0].again:
                    written = self.take(folded, recorded, caller)
                    if folded.stale_names:  # what was erased is not in the answer either
                        written = structs.replace(written, folded=await self._folds.fresh(folded.claim.id))
                    return written
                folded = await self._folds.fresh(folded.claim.id)
            except log_errors.Conflict:
                await jitter(attempt)
                folded, fresh = await self._folds.fresh(folded.claim.id), True
            except log_errors.IdempotencyMismatch as error:
                folded = await self._folds.fresh(folded.claim.id)
                if first not in folded.claim.events:
                    raise key_reused(caller.key) from error
        raise Busy("others are writing to this claim all the time: wait and try again with the same key")

    def take(self, folded: Folded, recorded: Sequence[Recorded], caller: Caller) -> Written:
        """Take what was just recorded for a command into the cached claim, whose queue is held."""
        before = Before.of(folded, self._adopted.at())
        stream = f"claim:{folded.claim.id}"
        folded.apply([event for event in recorded if event.stream == stream])
        if folded.stale_names:
            self._folds.drop(folded.claim.id)
        else:
            self._folds.keep(folded)
        for event in recorded:
            if event.stream != stream:
                self._take_elsewhere(event)
        return self._written(folded, recorded, caller, before=before, position=recorded[-1].position)

    def _take_elsewhere(self, event: Recorded) -> None:
        """Take a fact that a write on one claim recorded on another one, or on its story."""
        self._registry.learn(event)
        other = self._folds.cached(event.stream.removeprefix("claim:"))
        if other is not None:
            other.apply((event,))
            self._folds.keep(other)

    async def _again(self, folded: Folded, first: str, digest: str, caller: Caller) -> Written:
        """Answer a command that was recorded before: the claim as it stands, and what was recorded then."""
        recorded = await recorded_as(self._log, folded.claim.events[first], caller)
        check_same(recorded[0], digest, caller)
        return self._written(folded, recorded, caller, before=None, position=folded.position)

    def _written(
        self, folded: Folded, recorded: Sequence[Recorded], caller: Caller, *, before: Before | None, position: int
    ) -> Written:
        stream = f"claim:{folded.claim.id}"
        last_here = next(event for event in reversed(recorded) if event.stream == stream)
        return Written(
            log=self._log.id,
            folded=folded,
            policy=self._adopted.at(),
            before=before,
            recorded=[event.id for event in recorded],
            statement=last_here.id,
            fact=last_here.fact,
            written_at=last_here.position,
            position=position,
            caller=caller,
        )

    # --- wordings ------------------------------------------------------------------------------------

    async def _claim_with(self, wording: tuple[str | None, str], text: str) -> str | None:
        """Return the claim that has a wording. What this process registered is looked at itself: the views
        may not know it yet, and it may have ended or been reworded since."""
        recent = self._recent.get(wording)
        if recent is not None:
            folded = await fold(self._log, recent)
            words = folded.names.wordings.get(folded.claim.wording)
            if folded.claim.ended is None and words is not None and normal(words.text or "") == wording[1]:
                return recent
            del self._recent[wording]
        found = await self._find_claim(wording[0], text)
        return None if found == recent else found

    def _remember(self, wording: tuple[str | None, str], claim_id: str) -> None:
        self._recent.setdefault(wording, claim_id)
        while len(self._recent) > RECENT:
            del self._recent[next(iter(self._recent))]
