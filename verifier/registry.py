"""What is recorded beside the claims: sources, stories and the policy in force, each in a stream of its own.

`verifier.sources` and `verifier.stories` read those streams, `verifier.adopted` the log's own; here it is decided
what may be added to them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from events.contracts import (
    Fact,
    Identity,
    Origin,
    OriginsMerged,
    OriginsSplit,
    Party,
    PolicyAdopted,
    SourceRegistered,
    SourceUpdated,
    StoryOpened,
    TextErased,
    Wording,
)
from events.leaf import derive
from events.log import Log, Recorded
from verifier.adopted import Adopted
from verifier.commands import AdoptPolicy, Erase, MergeOrigins, OpenStory, RegisterSource, SplitOrigins, UpdateSource
from verifier.decide.known import Draft
from verifier.errors import Invalid, NotFound, Refused
from verifier.naming import is_id, normal, origin_id, source_id, story_id, story_named
from verifier.policy import policy_named
from verifier.sources import Source, Sources
from verifier.stories import Stories, Story


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a write beside the claims is about: its id, and where its streams stood."""

    id: str
    drafts: Sequence[Draft]
    after: dict[str, int]


class Registry:
    """Decides what is recorded beside the claims. Appends nothing itself."""

    def __init__(self, log: Log, sources: Sources, stories: Stories, adopted: Adopted) -> None:
        self._log = log
        self.sources = sources
        self.stories = stories
        self._adopted = adopted

    # --- sources -----------------------------------------------------------------------------------

    async def register_source(self, command: RegisterSource, actor: str, digest: str, key: str) -> Target:
        """Decide to register a source and the aliases it goes by."""
        id = derive("src", actor, key) if command.protected else source_id(self._log.lineage, command.name)
        source = await self._fresh(id)
        if source.registered or source.same_as:
            raise Refused(f"{command.name} is registered already as {id}: update it", rule="source-exists", source=id)
        party = Party(id=id, name=command.name, aliases=command.aliases, role=command.role)
        fact = SourceRegistered(kind=command.kind, protected=command.protected)
        drafts = [_draft(f"source:{id}", fact, actor, digest, Wording(note=command.note), party=party)]
        after = {f"source:{id}": source.position}
        if not command.protected:  # an alias of a protected source would name it in the log
            await self._point(command.aliases, party, actor, digest, drafts, after)
        return Target(id=id, drafts=drafts, after=after)

    async def update_source(self, id: str, command: UpdateSource, actor: str, digest: str) -> Target:
        """Decide to change a source, or to make it another name of one.

        A new name, and the old name of a source that is the same as another, lead to it like an alias.
        """
        source = await self._fresh(id)
        if source.position == 0 and command.name is None and command.same_as is None:
            raise NotFound(f"the log has registered no source {id}: register it first", source=id)
        drafts: list[Draft] = []
        after = {f"source:{id}": source.position}
        old = source.party
        name = command.name or (old.name if old else command.source)
        aliases = tuple(dict.fromkeys((*(old.aliases if old else ()), *command.aliases)))
        party = Party(id=id, name=name, aliases=aliases, role=command.role or (old.role if old else None))
        other = await self._survivor_of(source, command.same_as) if command.same_as else None
        fact = SourceUpdated(kind=command.kind or source.kind, same_as=other.id if other else None)
        drafts.append(_draft(f"source:{id}", fact, actor, digest, Wording(note=command.note), party=party))
        if other is not None:
            drafts.append(self._known_as(other, command.same_as or "", name, actor, digest))
            after[f"source:{other.id}"] = other.position
        elif not source.protected:
            new = (*(alias for alias in command.aliases if not old or alias not in old.aliases), name)
            await self._point(new, party, actor, digest, drafts, after)
        return Target(id=id, drafts=drafts, after=after)

    def _known_as(self, survivor: Source, given: str, name: str, actor: str, digest: str) -> Draft:
        """Draft that a survivor goes by one more name, so that claims which know it by that name find it."""
        old = survivor.party or Party(id=survivor.id, name=given)
        party = Party(id=old.id, name=old.name, aliases=tuple(dict.fromkeys((*old.aliases, name))), role=old.role)
        return _draft(f"source:{survivor.id}", SourceUpdated(kind=survivor.kind), actor, digest, Wording(), party=party)

    async def source_by(self, name: str) -> str:
        """Return the id that a name or id of a source means, aliases followed."""
        return (await self.sources.survivor(self.named(name))).id

    def named(self, name: str) -> str:
        """Return the id that a name or id of a source gives, aliases not followed."""
        return name if is_id(name, "src") else source_id(self._log.lineage, name)

    async def _survivor_of(self, source: Source, name: str) -> Source:
        survivor = await self._fresh(await self.source_by(name))
        if survivor.id == source.id:
            raise Invalid("a source can't be the same as itself: name the other one", field="same_as")
        if survivor.party is None and is_id(name, "src"):
            raise NotFound(f"the log has registered no source {name}: give its name instead", source=name)
        if source.protected or survivor.protected:
            raise Invalid("a protected source is known by its id alone: no name may lead to it", field="same_as")
        return survivor

    async def _point(
        self,
        aliases: Sequence[str],
        party: Party,
        actor: str,
        digest: str,
        drafts: list[Draft],
        after: dict[str, int],
    ) -> None:
        """Let each alias's own stream point to the source, so that its name resolves to it from now on."""
        for alias in aliases:
            id = source_id(self._log.lineage, alias)
            if id == party.id or f"source:{id}" in after:
                continue
            other = await self._fresh(id)
            if other.same_as == party.id:
                continue
            if other.registered or other.same_as:
                raise Refused(
                    f"{alias} is a source of its own: say that it is the same as {party.name} first",
                    rule="source-exists",
                    source=id,
                )
            pointing = Party(id=id, name=alias)
            drafts.append(
                _draft(f"source:{id}", SourceUpdated(same_as=party.id), actor, digest, Wording(), party=pointing)
            )
            after[f"source:{id}"] = other.position

    async def _fresh(self, id: str) -> Source:
        self.sources.forget(id)
        return await self.sources.read(id)

    # --- stories -----------------------------------------------------------------------------------

    async def has_story(self, id: str) -> bool:
        """Say whether somebody opened the story."""
        return (await self.stories.read(id)).opened

    def story_draft(self, id: str, title: str, actor: str, digest: str, note: str | None = None) -> Draft:
        """Draft the fact that opens a story."""
        return _draft(f"story:{id}", StoryOpened(), actor, digest, Wording(title=title, note=note))

    async def open_story(self, command: OpenStory, actor: str, digest: str) -> Target:
        """Decide to open a story."""
        id = story_id(self._log.lineage, command.title)
        if await self.has_story(id):
            raise Refused(f"the story is open already as {id}: use it", rule="story-exists", story=id)
        return Target(
            id=id, drafts=[self.story_draft(id, command.title, actor, digest, command.note)], after={f"story:{id}": 0}
        )

    async def story_by(self, name: str) -> str:
        """Return the id of a story by its id or title. Raises `NotFound`."""
        id = story_named(self._log.lineage, name)
        if not await self.has_story(id):
            raise NotFound(f"there is no story {name} in this log: open it, or look it up in the list", story=name)
        return id

    async def merge_draft(self, id: str, command: MergeOrigins, actor: str, digest: str) -> Draft:
        """Draft the merge on the story itself, so that names given later resolve to the survivor."""
        story = await self.stories.read(id)
        if normal(story.label(command.kept)) == normal(story.label(command.merged)):
            raise Refused(
                "these origins count as one in this story already: nothing is left to merge", rule="nothing-changed"
            )
        numbers = {normal(origin.label): number for number, origin in story.origins.items()}
        last = max(story.origins, default=0)
        origins: dict[str, Origin] = {}
        local: list[int] = []
        for label in (command.kept, command.merged):
            number = numbers.get(normal(label))
            if number is None:
                last += 1
                number = last
            origins[str(number)] = Origin(id=self.origin_of(id, label), label=label)
            local.append(number)
        fact = OriginsMerged(kept=local[0], merged=local[1])
        return _draft(f"story:{id}", fact, actor, digest, Wording(reason=command.reason), origins=origins)

    def split_draft(self, story: Story, command: SplitOrigins, actor: str, digest: str) -> Draft:
        """Draft the undoing of a merge on the story itself."""
        if command.merge not in story.merges:
            raise NotFound(f"the story has no merge of origins {command.merge}: look its id up in its events")
        if command.merge in story.splits:
            raise Refused(
                f"{command.merge} was undone already: merge anew if it holds again",
                rule="acted-on",
                event=command.merge,
            )
        fact = OriginsSplit(merge=command.merge)
        return _draft(f"story:{story.id}", fact, actor, digest, Wording(reason=command.reason))

    def origin_of(self, scope: str, label: str) -> str:
        """Return the id of the origin that a label means within a story."""
        lineage = self._log.lineage
        return label if is_id(label, "org") else origin_id(lineage, scope, source_id(lineage, label))

    # --- the policy, and erasing -------------------------------------------------------------------

    async def adopt(self, command: AdoptPolicy, actor: str, digest: str) -> Target:
        """Decide to serve another policy from here on."""
        policy = policy_named(command.policy)
        last = 0
        async for page in self._log.read("log"):  # nothing is refused from what is remembered
            for event in page:
                self._adopted.learn(event)
                last = event.position
        if policy.id == self._adopted.at().id:
            raise Refused(f"{policy.id} is in force already: choose another one", rule="nothing-changed")
        fact = PolicyAdopted(policy=policy.id, digest=policy.digest)
        return Target(
            id=policy.id,
            drafts=[_draft("log", fact, actor, digest, Wording(reason=command.reason))],
            after={"log": last},
        )

    async def erase(self, stream: str, command: Erase, actor: str, digest: str) -> Target:
        """Decide to erase a text of a source or a story."""
        kind, _, id = stream.partition(":")
        held = await self._fresh(id) if kind == "source" else await self.stories.read(id)
        if command.event not in held.events:
            raise NotFound(f"{stream} has no event {command.event}: look its id up in its events")
        if (command.event, command.slot) in held.erased:
            raise Refused("that text was erased already: nothing is left of it", rule="acted-on", event=command.event)
        fact = TextErased(event=command.event, slot=command.slot, basis=command.basis)
        return Target(
            id=id,
            drafts=[_draft(stream, fact, actor, digest, Wording(reason=command.reason))],
            after={stream: held.position},
        )

    def learn(self, event: Recorded) -> None:
        """Take note of a fact that was recorded."""
        self.forget(event.stream)
        if event.stream == "log":
            self._adopted.learn(event)

    def forget(self, stream: str) -> None:
        """Read a stream anew the next time: it has grown."""
        kind, _, id = stream.partition(":")
        if kind == "source":
            self.sources.forget(id)
        elif kind == "story":
            self.stories.forget(id)


def _draft(
    stream: str,
    fact: Fact,
    actor: str,
    digest: str,
    wording: Wording,
    *,
    party: Party | None = None,
    origins: Mapping[str, Origin] | None = None,
) -> Draft:
    """Draft a fact; the one party that a fact beside the claims can name has the local number 1."""
    identity = Identity(actor=actor, command=digest, parties={"1": party} if party else {}, origins=dict(origins or {}))
    return Draft(stream=stream, fact=fact, wording=wording, identity=identity)
