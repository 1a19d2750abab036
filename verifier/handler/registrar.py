"""Commands on what stands beside the claims: stories, sources and the policy in force."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from msgspec import structs

from events import errors as log_errors
from events.leaf import derive
from events.log import Log
from verifier.commands import (
    AdoptPolicy,
    Command,
    Erase,
    MergeOrigins,
    OpenStory,
    RegisterSource,
    SourceCommand,
    SplitOrigins,
    StoryCommand,
    UpdateSource,
)
from verifier.decide.acts import merge_of, uses_origin
from verifier.decide.known import Draft
from verifier.errors import Busy, NotFound, Refused
from verifier.fold import Folded, Folds
from verifier.handler.answering import done
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
from verifier.handler.deciding import Decider
from verifier.handler.queues import Queues
from verifier.naming import is_id, source_id, story_id
from verifier.policy import policy_named
from verifier.registry import Registry, Target

STORY_LIMIT: Final = 100
"""On how many claims a merge of origins asked for a story is recorded, at the most."""

ClaimsOfStory = Callable[[str], Awaitable[Sequence[str]]]
"""Lists the claims of a story, from the views."""

OnClaim = MergeOrigins | SplitOrigins
"""What a command on a story asks for on each of its claims."""


class Registrar:
    """Records commands on stories, sources and policies."""

    def __init__(
        self,
        log: Log,
        *,
        registry: Registry,
        folds: Folds,
        decider: Decider,
        queues: Queues,
        claims_of_story: ClaimsOfStory,
    ) -> None:
        self._log = log
        self.registry = registry
        self._folds = folds
        self._decider = decider
        self._queues = queues
        self._claims_of_story = claims_of_story
        self._appender = Appender(log, folds, registry)

    async def handle_story(self, story: str, command: StoryCommand, caller: Caller) -> dict[str, Any]:
        """Record a command on a story: merging two origins on every claim that uses either, undoing
        that, or erasing a text. One append, all or none."""
        claims = [] if isinstance(command, Erase) else await self._claims_of_story(story)
        digest = command_digest(command, story, caller.key)
        async with self._queues.hold(f"story:{story}", *claims):
            for attempt in range(TRIES):
                if (again := await self._recorded_before(f"story:{story}", story, digest, caller)) is not None:
                    return again
                folds = [await self._folds.fresh(claim_id) for claim_id in claims]
                target = await self._on_story(story, folds, command, caller, digest)
                answer = await self._try(target, command, caller)
                if answer is not None:
                    return answer
                await jitter(attempt)
        raise Busy("others are writing to this story all the time: wait and try again with the same key")

    async def handle_source(
        self, source: str | None, command: RegisterSource | SourceCommand, caller: Caller
    ) -> dict[str, Any]:
        """Register or change a source, or erase a text of it."""
        digest = command_digest(command, source or "", caller.key)
        async with self._queues.hold("sources"):
            for attempt in range(TRIES):
                target = await self._on_source(source, command, caller, digest)
                if isinstance(target, dict):
                    return target
                answer = await self._try(target, command, caller)
                if answer is not None:
                    return answer
                await jitter(attempt)
        raise Busy("others are writing to this source all the time: wait and try again with the same key")

    async def open_story(self, command: OpenStory, caller: Caller) -> dict[str, Any]:
        """Open a story."""
        digest = command_digest(command, "", caller.key)
        id = story_id(self._log.lineage, command.title)
        async with self._queues.hold(f"story:{id}"):
            if (again := await self._recorded_before(f"story:{id}", id, digest, caller)) is not None:
                return again
            target = await self.registry.open_story(command, caller.actor, digest)
            answer = await self._try(target, command, caller)
        if answer is None:
            raise Refused(f"the story is open already as {id}: use it", rule="story-exists", story=id)
        return answer

    async def adopt_policy(self, command: AdoptPolicy, caller: Caller) -> dict[str, Any]:
        """Serve another policy from here on."""
        digest = command_digest(command, "", caller.key)
        async with self._queues.hold("log"):
            for attempt in range(TRIES):
                policy = policy_named(command.policy)
                if (again := await self._recorded_before("log", policy.id, digest, caller)) is not None:
                    return again
                target = await self.registry.adopt(command, caller.actor, digest)
                answer = await self._try(target, command, caller)
                if answer is not None:
                    return answer
                await jitter(attempt)
        raise Busy("others are adopting policies all the time: wait and try again with the same key")

    async def _on_source(
        self, source: str | None, command: RegisterSource | SourceCommand, caller: Caller, digest: str
    ) -> Target | dict[str, Any]:
        match command:
            case RegisterSource(protected=True):
                id = derive("src", caller.actor, caller.key)
            case RegisterSource():
                id = source_id(self._log.lineage, command.name)
            case _:
                # The same command may have made this source another name of one since.
                chain = await self.registry.sources.chain(self.registry.named(source or ""))
                for passed in chain[:-1]:
                    again = await self._recorded_before(f"source:{passed.id}", passed.id, digest, caller)
                    if again is not None:
                        return again
                id = chain[-1].id
                if isinstance(command, Erase):  # what an alias says of itself stands in its own stream
                    id = next((one.id for one in chain if command.event in one.events), id)
        if (again := await self._recorded_before(f"source:{id}", id, digest, caller)) is not None:
            return again
        match command:
            case RegisterSource():
                return await self.registry.register_source(command, caller.actor, digest, caller.key)
            case UpdateSource():
                return await self.registry.update_source(id, command, caller.actor, digest)
            case Erase():
                return await self.registry.erase(f"source:{id}", command, caller.actor, digest)

    async def _on_story(
        self, story: str, folds: Sequence[Folded], command: StoryCommand, caller: Caller, digest: str
    ) -> Target:
        self.registry.forget(f"story:{story}")  # nothing is refused from what is remembered
        match command:
            case Erase():
                return await self.registry.erase(f"story:{story}", command, caller.actor, digest)
            case MergeOrigins():
                draft, here = await self._merge(story, folds, command, caller, digest)
            case SplitOrigins():
                draft, here = await self._split(story, folds, command, caller, digest)
        if len(here) > STORY_LIMIT:
            raise Refused(
                f"{len(here)} claims use these origins, the limit is {STORY_LIMIT}: go claim by claim",
                rule="too-many-claims",
            )
        drafts, after = [draft], {draft.stream: (await self.registry.stories.read(story)).position}
        claimless = structs.replace(caller, if_match=None)
        for folded, on_claim in here:
            try:
                decision = await self._decider.decide(folded, on_claim, claimless, digest, story=story)
            except Refused:  # they count as one (or two) on this claim already
                continue
            drafts += decision.drafts
            after |= decision.after
        return Target(id=story, drafts=drafts, after=after)

    async def _merge(
        self, story: str, folds: Sequence[Folded], command: MergeOrigins, caller: Caller, digest: str
    ) -> tuple[Draft, list[tuple[Folded, OnClaim]]]:
        """Draft a merge on the story, and return the claims that use either origin, with the merge for each."""
        held = await self.registry.stories.read(story)
        kept, merged = (held.label(_label(given, folds)) for given in (command.kept, command.merged))
        command = replace(command, kept=kept, merged=merged)
        using = [f for f in _open(folds) if uses_origin(f.names, kept) or uses_origin(f.names, merged)]
        draft = await self.registry.merge_draft(story, command, caller.actor, digest)
        return draft, [(folded, command) for folded in using]

    async def _split(
        self, story: str, folds: Sequence[Folded], command: SplitOrigins, caller: Caller, digest: str
    ) -> tuple[Draft, list[tuple[Folded, OnClaim]]]:
        """Draft the undoing of a merge on the story, and return the claims that have the merge, with it for each."""
        held = await self.registry.stories.read(story)
        draft = self.registry.split_draft(held, command, caller.actor, digest)
        kept, merged = held.merges[command.merge]
        return draft, [
            (folded, replace(command, merge=merge))
            for folded in _open(folds)
            if (merge := merge_of(folded.claim, folded.names, kept, merged)) is not None
        ]

    async def _recorded_before(self, stream: str, id: str, digest: str, caller: Caller) -> dict[str, Any] | None:
        first = caller.event_id(0)
        positions = [e.position async for page in self._log.read(stream) for e in page if e.id == first]
        if not positions:
            return None
        recorded = await recorded_as(self._log, positions[0], caller)
        check_same(recorded[0], digest, caller)
        return done(id, recorded, "already recorded", caller, self._log.id)

    async def _try(self, target: Target, command: Command, caller: Caller) -> dict[str, Any] | None:
        """Append what was decided; `None` where another process was faster and it must be decided again."""
        try:
            recorded = await self._appender.append(target.drafts, caller, command, target.after)
        except log_errors.Conflict as conflict:
            self.registry.forget(conflict.stream)
            return None
        except log_errors.IdempotencyMismatch as error:
            raise key_reused(caller.key) from error
        for event in recorded:
            self.registry.learn(event)
            self._folds.drop(event.stream.removeprefix("claim:"))
        claims = sum(event.stream.startswith("claim:") for event in recorded)
        if recorded[0].again:
            return done(target.id, recorded, "already recorded", caller, self._log.id)
        effect = f"recorded; {claims} claims changed with it" if claims else "recorded"
        return done(target.id, recorded, effect, caller, self._log.id)


def _open(folds: Sequence[Folded]) -> list[Folded]:
    return [folded for folded in folds if folded.claim.ended is None]


def _label(given: str, folds: Sequence[Folded]) -> str:
    """Return the label of an origin: a story's later statements name it by that. Raises `NotFound`."""
    if not is_id(given, "org"):
        return given
    for folded in folds:
        number = folded.names.origin_numbers.get(given)
        if number is not None:
            return folded.names.origin(number)
    raise NotFound(f"no claim of the story has an origin {given}: name it by its label", origin=given)
