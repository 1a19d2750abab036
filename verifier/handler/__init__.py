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

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from msgspec import Struct, structs

from events import errors as log_errors
from events.leaf import derive
from events.log import Log, Proposed, Recorded
from verifier.adopted import Adopted
from verifier.commands import ClaimCommand, Erase, Link, Merge, RegisterClaim, Split
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
    proposed,
    recorded_as,
    translate,
)
from verifier.handler.deciding import Decider, named_claims
from verifier.handler.queues import Queues
from verifier.naming import normal, story_named
from verifier.registry import Registry
from verifier.slices import Slices

RECENT: Final = 10_000
"""How many wordings registered by this process are remembered while the views catch up."""

APPENDED_AT_ONCE: Final = 256
"""How many commands on different claims one append takes."""

READ_AT_ONCE: Final = 16
"""How many claims that are not cached are read from the log at the same time."""

FindClaim = Callable[[str | None, str], Awaitable[str | None]]
"""Looks a wording up among the claims of a story, in the views."""


class Asked(Struct, frozen=True, kw_only=True):
    """A command on a claim, and who asks."""

    claim: str
    command: ClaimCommand
    caller: Caller


class Decided(Struct, frozen=True):
    """A command that was decided on a claim as it was folded, and waits to be appended with others."""

    asked: Asked
    folded: Folded
    events: Sequence[Proposed]
    after: Mapping[str, int]


def can_join(command: ClaimCommand) -> bool:
    """Say whether a command concerns its claim alone, so that it can be recorded with commands on others."""
    return not isinstance(command, Erase | Link | Merge | Split)


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
        story = None if command.story is None else story_named(self._log.id, command.story)
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

    async def handle_together(
        self, asked: Sequence[Asked], *, answer: Answer = in_full
    ) -> list[dict[str, Any] | Problem]:
        """Record commands on different claims in one append, and answer each by itself, in their order.

        Each must be one of those that `can_join`. One that can't be recorded with the others, because it was
        recorded before, is refused, or another process was faster, goes its own way after them (`handle`).
        """
        done: dict[str, dict[str, Any] | Problem] = {}
        async with self._queues.hold(*(one.claim for one in asked)):
            await self._read_missing(asked)
            async with asyncio.TaskGroup() as group:
                appends = []
                for start in range(0, len(asked), APPENDED_AT_ONCE):
                    decided = await self._decide_each(asked[start : start + APPENDED_AT_ONCE])
                    if decided:  # while this is being written, the next are decided
                        appends.append((decided, group.create_task(self._append_all(decided))))
                for decided, appended in appends:
                    done |= await self._answer_each(decided, await appended, answer)
        alone = [one for one in asked if one.claim not in done]
        answers = await asyncio.gather(*(self._by_itself(one, answer) for one in alone))
        done |= {one.claim: answered for one, answered in zip(alone, answers, strict=True)}
        return [done[one.claim] for one in asked]

    async def _by_itself(self, asked: Asked, answer: Answer) -> dict[str, Any] | Problem:
        try:
            return await self.handle(asked.claim, asked.command, asked.caller, answer=answer)
        except Problem as problem:
            return problem

    async def _read_missing(self, asked: Sequence[Asked]) -> None:
        missing = [one.claim for one in asked if self._folds.cached(one.claim) is None]
        for start in range(0, len(missing), READ_AT_ONCE):
            await asyncio.gather(*map(self._folds.fresh, missing[start : start + READ_AT_ONCE]))

    async def _decide_each(self, asked: Sequence[Asked]) -> list[Decided]:
        """Decide the commands that can be decided on what is cached; leave out the others."""
        decided = []
        slices = Slices()
        for one in asked:
            folded = self._folds.cached(one.claim)
            first = one.caller.event_id(0)
            if folded is None or first in folded.claim.events:
                continue
            digest = command_digest(one.command, one.claim, one.caller.key)
            with suppress(Problem):
                decision = await self._decider.decide(folded, one.command, one.caller, digest)
                events = proposed(decision.drafts, one.caller, one.command, first)
                decided.append(Decided(one, folded, events, decision.after))
            if slices.over:
                await slices.rest()
        return decided

    async def _append_all(self, decided: Sequence[Decided]) -> Sequence[Recorded] | log_errors.LogError:
        events = [event for one in decided for event in one.events]
        after = {stream: position for one in decided for stream, position in one.after.items()}
        try:
            return await self._appender.append_all(events, after)
        except log_errors.LogError as error:
            return error

    async def _answer_each(
        self, decided: Sequence[Decided], recorded: Sequence[Recorded] | log_errors.LogError, answer: Answer
    ) -> dict[str, dict[str, Any] | Problem]:
        """Answer commands that were appended together, by claim; leave out those that must be tried alone."""
        match recorded:
            case log_errors.Conflict() | log_errors.IdempotencyMismatch() | log_errors.Invalid():
                return {}  # of one of them, so nothing was written
            case log_errors.LogError():
                return {one.asked.claim: translate(recorded, one.asked.caller.key) for one in decided}
        if recorded[0].again:
            return {}
        done: dict[str, dict[str, Any] | Problem] = {}
        slices, rest = Slices(), iter(recorded)
        for one in decided:
            here = [next(rest) for _ in one.events]
            done[one.asked.claim] = answer(self._take(one.folded, here, one.asked.caller))
            if slices.over:
                await slices.rest()
        return done

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
                    written = self._take(folded, recorded, caller)
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

    def _take(self, folded: Folded, recorded: Sequence[Recorded], caller: Caller) -> Written:
        """Take what was just recorded into the cached claim."""
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
