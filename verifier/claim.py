"""A claim as its facts leave it: the state, and how each fact changes it.

    facts ──evolve──▶ Claim ──tally──▶ Tally ──policy──▶ Assessment

`Claim` is a function of the *set* of a claim's facts: their order of arrival and their repetition
don't matter, when things were said does. It is built from leaves alone, so that an erased text
changes no status. `evolve` cannot fail; whatever may be refused is refused in `verifier.decide`,
before it is recorded. The names behind the local numbers are kept apart, in `verifier.names`.

Vocabulary: a statement is *acted on* by the one fact that retracts, corrects, attributes or withdraws
it, and by no second. It is *live* while nothing took it away or stands in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

import msgspec

from events.contracts import (
    AdjudicationWithdrawn,
    ClaimAdjudicated,
    ClaimAsserted,
    ClaimCorroborated,
    ClaimDenied,
    ClaimLinked,
    ClaimMerged,
    ClaimNoted,
    ClaimPublished,
    ClaimRegistered,
    ClaimReworded,
    ClaimSplit,
    ClaimUnlinked,
    ClaimUnpublished,
    ClaimWithdrawn,
    EvidenceAttached,
    Fact,
    OriginsMerged,
    OriginsSplit,
    Stance,
    Statement,
    StatementAttributed,
    StatementCorrected,
    StatementRetracted,
    StatementWithdrawn,
)
from events.leaf import Leaf
from verifier.times import bounds

Ending = ClaimSplit | ClaimMerged | ClaimWithdrawn
"""The facts after which a claim takes no more."""

Side = Literal["support", "denial", "none"]
"""Which way a statement counts: assertions and corroborations are supports."""

SIDE_OF: Final[dict[Stance, Side]] = {
    "asserted": "support",
    "corroborated": "support",
    "denied": "denial",
    "none": "none",
}


class Said:
    """One statement as it stands after the fact that recorded, corrected or attributed it.

    `id` is that fact's; `earliest` and `latest` bound when it was said; `key` sorts statements by when they
    were said, the id deciding between equals; `replaces` is the fact in whose place it stands.
    """

    __slots__ = ("body", "earliest", "id", "key", "latest", "position", "replaces", "side", "stance")

    def __init__(
        self,
        id: str,
        position: int,
        stance: Stance,
        body: Statement,
        earliest: str,
        latest: str,
        replaces: str | None = None,
    ) -> None:
        self.id = id
        self.position = position
        self.stance: Stance = stance
        self.side: Side = SIDE_OF[stance]
        self.body = body
        self.earliest = earliest
        self.latest = latest
        self.key = (earliest, latest, id)
        self.replaces = replaces

    @property
    def outlets(self) -> tuple[int, ...]:
        """Who carried it to us: everyone in `via`, or the source where there is no `via`."""
        return self.body.via or (self.body.source,)


@dataclass(slots=True)
class Retraction:
    """A retraction, and the bounds of when it was made."""

    id: str
    fact: StatementRetracted
    earliest: str
    latest: str


@dataclass(slots=True)
class Verdict:
    """A verdict, and what the editor had in front of them."""

    id: str
    fact: ClaimAdjudicated
    recorded_at: str


@dataclass(slots=True)
class Claim:
    """Everything that a claim's leaves say. For a running tally, `unread` has the statements that came since it
    looked, and `changed` is set by whatever it can't follow."""

    id: str
    position: int = 0
    recorded_at: str = ""
    registered: ClaimRegistered | None = None
    registered_in: str = ""
    rewordings: dict[str, ClaimReworded] = field(default_factory=dict)
    said: dict[str, Said] = field(default_factory=dict)
    notes: dict[str, Said] = field(default_factory=dict)
    acted_on: dict[str, set[str]] = field(default_factory=dict)
    attributions: dict[str, tuple[int, StatementAttributed]] = field(default_factory=dict)
    retractions: dict[str, Retraction] = field(default_factory=dict)
    withdrawn: dict[str, str] = field(default_factory=dict)
    merges: dict[str, OriginsMerged] = field(default_factory=dict)
    splits: dict[str, str] = field(default_factory=dict)
    evidence: dict[str, EvidenceAttached] = field(default_factory=dict)
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    verdicts_gone: set[str] = field(default_factory=set)
    links: dict[str, ClaimLinked] = field(default_factory=dict)
    links_gone: set[str] = field(default_factory=set)
    publications: dict[str, ClaimPublished] = field(default_factory=dict)
    publications_gone: set[str] = field(default_factory=set)
    ended: tuple[str, Ending] | None = None
    last_party: int = 0
    last_origin: int = 0
    last_document: int = 0
    events: dict[str, int] = field(default_factory=dict)
    unread: list[Said] = field(default_factory=list)
    changed: bool = True

    @property
    def checkable(self) -> bool:
        """Whether the claim takes stances."""
        return self.registered is not None and self.registered.checkable

    @property
    def verdict(self) -> Verdict | None:
        """The verdict that stands, if one does."""
        if not self.verdicts:
            return None
        gone = self.verdicts_gone | {v.fact.replaces for v in self.verdicts.values() if v.fact.replaces}
        standing = [v for v in self.verdicts.values() if v.id not in gone]
        return max(standing, key=lambda v: (v.fact.seen, v.id), default=None)

    def origin_roots(self) -> dict[int, int]:
        """Return, for each merged origin, the one it counts as."""
        roots: dict[int, int] = {}
        pairs = sorted((m.kept, m.merged) for id, m in self.merges.items() if id not in self.splits)
        for kept, merged in pairs:
            one, other = _find(roots, kept), _find(roots, merged)
            if one != other:
                roots[other] = one
        return {origin: _find(roots, origin) for origin in roots}

    @property
    def wording(self) -> str:
        """The id of the fact that holds the claim's present wording."""
        wording = self.registered_in
        while after := sorted(self.acted_on.get(wording, set()) & self.rewordings.keys()):
            wording = after[-1]
        return wording

    @property
    def form(self) -> ClaimRegistered | ClaimReworded | None:
        """The fact that says the claim's present kind, language and scope."""
        return self.rewordings.get(self.wording, self.registered)

    def standing_in(self, id: str) -> str | None:
        """Return the id of the fact that acted on this one and still stands, if any."""
        return min((act for act in self.acted_on.get(id, ()) if act not in self.withdrawn), default=None)

    def current(self) -> Iterator[Said]:
        """Yield the statements that nobody withdrew or replaced; retracted ones are among them."""
        for said in self.said.values():
            if said.id in self.withdrawn:
                continue
            act = self.standing_in(said.id)
            while act is not None and act in self.attributions:
                said = _attributed_by(said, act, *self.attributions[act])
                act = self.standing_in(said.id)
            if act is None or act in self.retractions:
                yield said

    def find(self, id: str) -> Said | None:
        """Return the statement as it stands after the fact with this id, whether or not it is live."""
        if id in self.attributions:
            position, fact = self.attributions[id]
            before = self.find(fact.statement)
            return before and _attributed_by(before, id, position, fact)
        return self.said.get(id) or self.notes.get(id)

    def has_open_note(self) -> bool:
        """Say whether a note stands of which nobody knows whose word it is."""
        return any(
            note.body.attribution == "unattributed" and id not in self.withdrawn and self.standing_in(id) is None
            for id, note in self.notes.items()
        )

    def live_retractions(self) -> list[Retraction]:
        """Return the retractions that nobody withdrew."""
        return [r for r in self.retractions.values() if r.id not in self.withdrawn]


def _attributed_by(before: Said, id: str, position: int, fact: StatementAttributed) -> Said:
    body = msgspec.structs.replace(
        before.body,
        attribution=fact.attribution,
        carries=False,
        origin=fact.origin,
        source=fact.source,
        standing=fact.standing,
        via=tuple(carrier for carrier in before.body.via if carrier != fact.source),
    )
    return Said(id, position, before.stance, body, before.earliest, before.latest, before.id)


def _find(roots: dict[int, int], origin: int) -> int:
    while origin in roots:
        origin = roots[origin]
    return origin


# --- evolve ----------------------------------------------------------------------------------------


def evolve(claim: Claim, position: int, leaf: Leaf) -> None:
    """Change the claim by one of its facts. Cannot fail; a fact it has seen already changes nothing."""
    if leaf.id in claim.events:
        return
    fact = leaf.fact
    claim.events[leaf.id] = position
    if position > claim.position:
        claim.position = position
        claim.recorded_at = leaf.recorded_at
    if change := _CHANGES.get(type(fact)):
        change(claim, position, leaf, fact)


def _said(claim: Claim, position: int, leaf: Leaf, fact: Statement, stance: Stance) -> None:
    earliest, latest = bounds(fact.occurred, leaf.recorded_at)
    said = Said(leaf.id, position, stance, fact, earliest, latest)
    claim.said[leaf.id] = said
    claim.unread.append(said)
    _count_numbers(claim, fact)


def _count_numbers(claim: Claim, fact: Statement) -> None:
    if fact.source > claim.last_party:
        claim.last_party = fact.source
    if fact.origin > claim.last_origin:
        claim.last_origin = fact.origin
    if fact.via:
        claim.last_party = max(claim.last_party, *fact.via)
    if fact.documents or fact.quoted_in:
        claim.last_document = max(claim.last_document, fact.quoted_in or 0, *fact.documents)


def _asserted(claim: Claim, position: int, leaf: Leaf, fact: ClaimAsserted) -> None:
    _said(claim, position, leaf, fact, "asserted")


def _corroborated(claim: Claim, position: int, leaf: Leaf, fact: ClaimCorroborated) -> None:
    _said(claim, position, leaf, fact, "corroborated")


def _denied(claim: Claim, position: int, leaf: Leaf, fact: ClaimDenied) -> None:
    _said(claim, position, leaf, fact, "denied")


def _noted(claim: Claim, position: int, leaf: Leaf, fact: ClaimNoted) -> None:
    earliest, latest = bounds(fact.occurred, leaf.recorded_at)
    claim.notes[leaf.id] = Said(leaf.id, position, "none", fact, earliest, latest)
    _count_numbers(claim, fact)


def _registered(claim: Claim, position: int, leaf: Leaf, fact: ClaimRegistered) -> None:
    claim.registered, claim.registered_in = fact, leaf.id
    claim.last_party = max(claim.last_party, *fact.accuses, 0)


def _reworded(claim: Claim, position: int, leaf: Leaf, fact: ClaimReworded) -> None:
    claim.rewordings[leaf.id] = fact
    claim.acted_on.setdefault(fact.replaces, set()).add(leaf.id)


def _act(claim: Claim, target: str, leaf: Leaf) -> None:
    claim.acted_on.setdefault(target, set()).add(leaf.id)
    claim.changed = True


def _retracted(claim: Claim, position: int, leaf: Leaf, fact: StatementRetracted) -> None:
    claim.retractions[leaf.id] = Retraction(leaf.id, fact, *bounds(fact.occurred, leaf.recorded_at))
    _act(claim, fact.statement, leaf)


def _corrected(claim: Claim, position: int, leaf: Leaf, fact: StatementCorrected) -> None:
    earliest, latest = bounds(fact.occurred, leaf.recorded_at)
    claim.said[leaf.id] = Said(leaf.id, position, fact.stance, fact, earliest, latest, fact.statement)
    _count_numbers(claim, fact)
    _act(claim, fact.statement, leaf)


def _attributed(claim: Claim, position: int, leaf: Leaf, fact: StatementAttributed) -> None:
    claim.last_party = max(claim.last_party, fact.source)
    claim.last_origin = max(claim.last_origin, fact.origin)
    claim.attributions[leaf.id] = (position, fact)
    _act(claim, fact.statement, leaf)


def _withdrawn(claim: Claim, position: int, leaf: Leaf, fact: StatementWithdrawn) -> None:
    claim.withdrawn[fact.statement] = leaf.id
    claim.changed = True


def _merged_origins(claim: Claim, position: int, leaf: Leaf, fact: OriginsMerged) -> None:
    claim.merges[leaf.id] = fact
    claim.last_origin = max(claim.last_origin, fact.kept, fact.merged)
    claim.changed = True


def _split_origins(claim: Claim, position: int, leaf: Leaf, fact: OriginsSplit) -> None:
    claim.splits[fact.merge] = leaf.id
    claim.changed = True


def _attached(claim: Claim, position: int, leaf: Leaf, fact: EvidenceAttached) -> None:
    claim.evidence[leaf.id] = fact
    claim.last_document = max(claim.last_document, fact.document)


def _adjudicated(claim: Claim, position: int, leaf: Leaf, fact: ClaimAdjudicated) -> None:
    claim.verdicts[leaf.id] = Verdict(leaf.id, fact, leaf.recorded_at)


def _adjudication_withdrawn(claim: Claim, position: int, leaf: Leaf, fact: AdjudicationWithdrawn) -> None:
    claim.verdicts_gone.add(fact.adjudication)


def _linked(claim: Claim, position: int, leaf: Leaf, fact: ClaimLinked) -> None:
    claim.links[leaf.id] = fact


def _unlinked(claim: Claim, position: int, leaf: Leaf, fact: ClaimUnlinked) -> None:
    claim.links_gone.add(fact.link)


def _published(claim: Claim, position: int, leaf: Leaf, fact: ClaimPublished) -> None:
    claim.publications[leaf.id] = fact


def _unpublished(claim: Claim, position: int, leaf: Leaf, fact: ClaimUnpublished) -> None:
    claim.publications_gone.add(fact.publication)


def _ended(claim: Claim, position: int, leaf: Leaf, fact: Ending) -> None:
    if claim.ended is None or leaf.id < claim.ended[0]:
        claim.ended = (leaf.id, fact)


_CHANGES: Final[dict[type[Fact], Callable[..., None]]] = {
    ClaimRegistered: _registered,
    ClaimAsserted: _asserted,
    ClaimCorroborated: _corroborated,
    ClaimDenied: _denied,
    ClaimNoted: _noted,
    ClaimReworded: _reworded,
    StatementRetracted: _retracted,
    StatementCorrected: _corrected,
    StatementAttributed: _attributed,
    StatementWithdrawn: _withdrawn,
    OriginsMerged: _merged_origins,
    OriginsSplit: _split_origins,
    EvidenceAttached: _attached,
    ClaimAdjudicated: _adjudicated,
    AdjudicationWithdrawn: _adjudication_withdrawn,
    ClaimLinked: _linked,
    ClaimUnlinked: _unlinked,
    ClaimPublished: _published,
    ClaimUnpublished: _unpublished,
    ClaimSplit: _ended,
    ClaimMerged: _ended,
    ClaimWithdrawn: _ended,
}
