"""What a decision may know, gathered from the log, the evidence and the registry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from events.contracts import Party
from events.errors import DamagedEvidence
from events.evidence import Snapshots, check_quote
from events.leaf import now
from events.log import Log
from verifier import times
from verifier.adopted import Adopted
from verifier.assessment import Assessment
from verifier.commands import (
    Adjudicate,
    ClaimCommand,
    Correct,
    Erase,
    Link,
    Merge,
    Publish,
    Quotation,
    RegisterClaim,
    Split,
)
from verifier.decide import decide, names_in
from verifier.decide.known import Draft, Known, Other, QuoteFound, no_claim, scope_of
from verifier.decide.statements import quote_of
from verifier.errors import Conflict, Invalid, NotFound
from verifier.fold import Folded, Folds, fold
from verifier.handler.appending import Caller
from verifier.naming import is_id, is_sha256, origin_id, story_named
from verifier.registry import Registry


class Decision(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What was decided, where the streams stood that it was decided on, and whose bytes go with a text."""

    drafts: Sequence[Draft]
    after: Mapping[str, int]
    snapshots: Sequence[str] = ()


class Decider:
    """Gathers what a decision may know, and decides. Appends nothing."""

    def __init__(self, log: Log, *, evidence: Snapshots, adopted: Adopted, folds: Folds, registry: Registry) -> None:
        self._log = log
        self._evidence = evidence
        self._adopted = adopted
        self._folds = folds
        self._registry = registry

    async def decide(
        self,
        folded: Folded,
        command: RegisterClaim | ClaimCommand,
        caller: Caller,
        digest: str,
        *,
        story: str | None = None,
    ) -> Decision:
        """Decide on a claim as it was folded. Raises a `Problem`."""
        if caller.if_match is not None and caller.if_match != folded.position:
            raise Conflict(
                f"the claim is at position {folded.position}, not {caller.if_match}: read it again and decide anew",
                position=folded.position,
            )
        _check_not_in_future(command, folded.claim.recorded_at)
        opening: list[Draft] = []
        if isinstance(command, RegisterClaim):
            story, opening = await self._story(command, caller, digest)
        parties, labels = await self._names(folded, story, command)
        others = {name: await self._other(name) for name in named_claims(command)}
        known = Known(
            lineage=self._log.lineage,
            actor=caller.actor,
            command=digest,
            claim=folded.claim,
            names=folded.names,
            parties=parties,
            labels=labels,
            quote=await self._look_up(folded, command),
            seen=await self._seen(folded, command),
            others=others,
            story=story,
        )
        drafts = decide(known, command) + opening
        stood = {f"claim:{claim.id}": claim.position for claim in (folded.claim, *(o.claim for o in others.values()))}
        after = {draft.stream: stood.get(draft.stream, 0) for draft in drafts}
        if not isinstance(command, Link):  # where a claim goes on, it must not end meanwhile
            after |= stood
        return Decision(drafts=drafts, after=after, snapshots=_snapshots_of(folded, command))

    async def erase_bytes(self, decision: Decision) -> None:
        """Remove the bytes that an erasure takes along, before it is recorded.

        If we crash in between, a fact names bytes that aren't held, as any may; the other way round, bytes
        would be held of which nobody knows any more, and the same command asked again could not find them.
        """
        for sha256 in decision.snapshots:
            await self._evidence.erase(sha256)

    async def _look_up(self, folded: Folded, command: RegisterClaim | ClaimCommand) -> QuoteFound | None:
        said = command.statement if isinstance(command, RegisterClaim) else command
        quote = getattr(said, "quote", None)
        if not isinstance(quote, Quotation) or quote.document is None or not is_sha256(quote.document):
            return None
        try:
            data = await self._evidence.get(quote.document)
        except DamagedEvidence as damage:
            raise Invalid(str(damage), field="quote.document") from damage
        if data is None:
            return "bytes_not_held"
        found: QuoteFound = check_quote(data, self._media_type(folded, quote.document), quote_of(quote))
        return found

    def _media_type(self, folded: Folded, sha256: str) -> str:
        """Return what the claim's own attachment says the document is; plain text where it says nothing."""
        number = folded.names.document_numbers.get(sha256)
        types = [fact.media_type for fact in folded.claim.evidence.values() if fact.document == number]
        return types[-1] if types else "text/plain"

    async def _seen(self, folded: Folded, command: RegisterClaim | ClaimCommand) -> Assessment | None:
        if not isinstance(command, Adjudicate | Publish):
            return None
        if command.seen is None:
            return folded.assess(self._adopted.at())
        if command.seen > await self._log.head():
            raise Invalid(
                f"position {command.seen} lies beyond the head of the log: give one you have seen", field="seen"
            )
        if command.seen >= folded.position:
            return folded.assess(self._adopted.at(command.seen))
        then = await fold(self._log, folded.claim.id, upto=command.seen)
        return then.assess(self._adopted.at(command.seen))

    async def _other(self, claim_id: str) -> Other:
        folded = await self._folds.fresh(claim_id)
        if folded.claim.registered is None:
            self._folds.drop(claim_id)
            raise no_claim(claim_id)
        return Other(claim=folded.claim, names=folded.names)

    async def _names(
        self, folded: Folded, story: str | None, command: RegisterClaim | ClaimCommand
    ) -> tuple[Mapping[str, Party], Mapping[str, str]]:
        """Return whom each name in a command means, and what labels stand for that were merged in the story."""
        claim, names = folded.claim, folded.names
        scope = scope_of(claim, story)

        def known(source: str) -> bool:
            return source in names.party_numbers or origin_id(self._log.lineage, scope, source) in names.origin_numbers

        sources = self._registry.sources
        parties = await sources.resolve((*names_in(command), *_speaker_of(folded, command)), known=known)
        held = await self._registry.stories.read(scope) if is_id(scope, "sto") else None
        if held is None or not held.merges:
            return parties, {}
        given = (*parties, *(party.name for party in parties.values()))
        labels = {name: label for name in given if (label := held.label(name)) != name}
        return {**parties, **await sources.resolve(labels.values(), known=known)}, labels

    async def _story(self, command: RegisterClaim, caller: Caller, digest: str) -> tuple[str | None, list[Draft]]:
        """Return the story's id, and the fact that opens it where nobody has."""
        if command.story is None:
            return None, []
        given = command.story
        story = story_named(self._log.lineage, given)
        if await self._registry.has_story(story):
            return story, []
        if is_id(given, "sto"):
            raise NotFound(f"there is no story {given} in this log: give its title to open one", story=given)
        opened = self._registry.story_draft(story, given, caller.actor, digest)
        return story, [opened]


def named_claims(command: RegisterClaim | ClaimCommand) -> tuple[str, ...]:
    """Return the other claims that a command names. Raises `NotFound` for what is no claim's id."""
    match command:
        case Link(to=to):
            names: tuple[str, ...] = (to,)
        case Merge(into=into):
            names = (into,)
        case Split(into=into_several):
            names = into_several
        case _:
            return ()
    for name in names:
        if not is_id(name, "clm"):
            raise NotFound(f"{name!r} is not a claim's id: look it up in the list of claims", claim=name)
    return names


def _speaker_of(folded: Folded, command: RegisterClaim | ClaimCommand) -> tuple[str, ...]:
    """Return the name under which a speaker goes on of whom a correction says only how he is known."""
    if not isinstance(command, Correct) or command.source is not None or command.attribution is None:
        return ()
    said = folded.claim.find(command.statement)
    party = folded.names.parties.get(said.body.source) if said else None
    return (party.name,) if party else ()


def _check_not_in_future(command: RegisterClaim | ClaimCommand, recorded_at: str) -> None:
    """Refuse what is said to begin after now; what begins before something was recorded needs no clock."""
    said = command.statement if isinstance(command, RegisterClaim) else command
    written = getattr(said, "occurred", None)
    if written is None:
        return
    begins = times.occurred(written).earliest
    if begins is not None and begins > recorded_at and begins > now():
        raise Invalid(
            f"it begins at {begins}, which has not come yet: give the time at which it was said", field="occurred"
        )


def _snapshots_of(folded: Folded, command: RegisterClaim | ClaimCommand) -> tuple[str, ...]:
    """Return the hashes of the snapshots that go with what is erased: those that an attachment names."""
    if not isinstance(command, Erase) or command.slot != "identity" or command.event not in folded.claim.evidence:
        return ()
    sha256 = folded.names.documents.get(folded.claim.evidence[command.event].document)
    return (sha256,) if sha256 else ()
