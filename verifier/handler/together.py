"""Commands on different claims, decided one after another and recorded in one append; each is answered by itself.

One that can't be recorded with the others, because it was recorded before, is refused, its claim can't be read
now, or another process was faster, goes its own way after them: `Handler.handle` decides it anew.

If we are cancelled around an append, nobody knows here whether it was recorded: the claims of it are dropped from
the cache, and the same keys find out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from msgspec import Struct

from events import errors as log_errors
from events.log import Log, Proposed, Recorded
from verifier.commands import ClaimCommand, Erase, Link, Merge, Split
from verifier.errors import Problem
from verifier.fold import Folded, Folds
from verifier.handler import Handler
from verifier.handler.answering import Answer, in_full
from verifier.handler.appending import Appender, Caller, command_digest, proposed, translate
from verifier.handler.deciding import Decider
from verifier.handler.queues import Queues
from verifier.registry import Registry
from verifier.slices import Slices

APPENDED_AT_ONCE: Final = 256
"""How many commands on different claims one append takes."""

READ_AT_ONCE: Final = 16
"""How many claims that are not cached are read from the log at the same time."""

Answered = dict[str, Any] | Problem


class Request(Struct, frozen=True, gc=False, kw_only=True):
    """A command on a claim, and who asks."""

    claim: str
    command: ClaimCommand
    caller: Caller


class Decided(Struct, frozen=True, gc=False):
    """A request that was decided on its claim as it was folded, and waits to be appended with others."""

    request: Request
    folded: Folded
    events: Sequence[Proposed]
    after: Mapping[str, int]


def can_join(command: ClaimCommand) -> bool:
    """Say whether a command concerns its claim alone, so that it can be recorded with commands on others."""
    return not isinstance(command, Erase | Link | Merge | Split)


class Together:
    """Records commands on different claims. One per process and log, beside its `Handler`."""

    def __init__(
        self, log: Log, handler: Handler, *, registry: Registry, folds: Folds, decider: Decider, queues: Queues
    ) -> None:
        self._handler = handler
        self._folds = folds
        self._decider = decider
        self._queues = queues
        self._appender = Appender(log, folds, registry)

    async def handle(self, requests: Sequence[Request], *, answer: Answer = in_full) -> list[Answered]:
        """Record commands, no two on one claim and each such as `can_join`, and answer each, in their order."""
        done: dict[str, Answered] = {}
        async with self._queues.hold(*(request.claim for request in requests)):
            await self._read_missing(requests)
            async with asyncio.TaskGroup() as group:
                appends = []
                for start in range(0, len(requests), APPENDED_AT_ONCE):
                    decided = await self._decide(requests[start : start + APPENDED_AT_ONCE])
                    if decided:  # while this is being written, the next are decided
                        appends.append((decided, group.create_task(self._append(decided))))
                for decided, appended in appends:
                    done |= await self._answer(decided, await appended, answer)
        alone = [request for request in requests if request.claim not in done]
        answers = await asyncio.gather(*(self._by_itself(request, answer) for request in alone))
        done |= {request.claim: answered for request, answered in zip(alone, answers, strict=True)}
        return [done[request.claim] for request in requests]

    async def _by_itself(self, request: Request, answer: Answer) -> Answered:
        try:
            return await self._handler.handle(request.claim, request.command, request.caller, answer=answer)
        except Problem as problem:
            return problem
        except log_errors.LogError as error:
            return translate(error, request.caller.key)

    async def _read_missing(self, requests: Sequence[Request]) -> None:
        """Have every claim at hand that can be read; whoever finds one missing says why it couldn't."""
        missing = [request.claim for request in requests if self._folds.cached(request.claim) is None]
        for start in range(0, len(missing), READ_AT_ONCE):
            await asyncio.gather(*map(self._read, missing[start : start + READ_AT_ONCE]))

    async def _read(self, claim: str) -> None:
        with suppress(log_errors.LogError):
            await self._folds.fresh(claim)

    async def _decide(self, requests: Sequence[Request]) -> list[Decided]:
        """Decide what can be decided on what is cached; leave out the others."""
        decided = []
        slices = Slices()
        for request in requests:
            folded = self._folds.cached(request.claim)
            first = request.caller.event_id(0)
            if folded is None or first in folded.claim.events:
                continue
            digest = command_digest(request.command, request.claim, request.caller.key)
            with suppress(Problem, log_errors.LogError):
                decision = await self._decider.decide(folded, request.command, request.caller, digest)
                events = proposed(decision.drafts, request.caller, request.command, first)
                decided.append(Decided(request, folded, events, decision.after))
            if slices.over:
                await slices.rest()
        return decided

    async def _append(self, decided: Sequence[Decided]) -> Sequence[Recorded] | log_errors.LogError:
        events = [event for one in decided for event in one.events]
        after = {stream: position for one in decided for stream, position in one.after.items()}
        try:
            return await self._appender.append_all(events, after)
        except log_errors.LogError as error:
            return error

    async def _answer(
        self, decided: Sequence[Decided], recorded: Sequence[Recorded] | log_errors.LogError, answer: Answer
    ) -> dict[str, Answered]:
        """Answer what was appended together, by claim; leave out what must be tried alone."""
        match recorded:
            case log_errors.Conflict() | log_errors.IdempotencyMismatch() | log_errors.Invalid():
                return {}  # because of one of them, so nothing was written
            case log_errors.LogError():
                return {one.request.claim: translate(recorded, one.request.caller.key) for one in decided}
        if recorded[0].again:
            return {}
        done: dict[str, Answered] = {}
        slices, rest = Slices(), iter(recorded)
        for one in decided:
            here = [next(rest) for _ in one.events]
            done[one.request.claim] = answer(self._handler.take(one.folded, here, one.request.caller))
            if slices.over:
                await slices.rest()
        return done
