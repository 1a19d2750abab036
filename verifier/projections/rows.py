"""What events come to, as rows of `verifier.tables`. Pure: no database, no log, no clock."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from events.contracts import (
    AdjudicationWithdrawn,
    ClaimAdjudicated,
    ClaimLinked,
    ClaimPublished,
    ClaimRegistered,
    ClaimUnlinked,
    ClaimUnpublished,
    Fact,
    Identity,
    Party,
    SourceRegistered,
    SourceUpdated,
    Statement,
    StatementAttributed,
    StatementCorrected,
    StatementWithdrawn,
    Status,
    StoryOpened,
    type_of,
)
from events.leaf import canonical
from events.log import Recorded
from verifier import render
from verifier.fold import Folded
from verifier.likeness import alike, last_word
from verifier.naming import normal
from verifier.policy import DEFAULT, Policy, is_recall
from verifier.tables import BLOCK

Row = dict[str, Any]
COMPARED: Final = 100
"""With how many names that end in the same word a new one is compared."""

Sides = Counter[tuple[str, str]]
"""How many statements of a claim a source has on a side."""

_VERDICTS: Final = (ClaimAdjudicated, AdjudicationWithdrawn)
_REARRANGES: Final = (StatementCorrected, StatementWithdrawn, StatementAttributed)


@dataclass(slots=True)
class Batch:
    """The rows of some events, each row once, as it is after the last of them.

    `position` is the last event taken so far; `touched` are the claims whose rows are made at the end.
    """

    position: int
    recorded_at: str | None
    touched: dict[str, Followed] = field(default_factory=dict)
    changes: list[Row] = field(default_factory=list)
    claims: list[Row] = field(default_factory=list)
    names: list[Row] = field(default_factory=list)
    sides: list[Row] = field(default_factory=list)
    contradictions: list[Row] = field(default_factory=list)
    alike: list[Row] = field(default_factory=list)
    publications: list[Row] = field(default_factory=list)
    sources: dict[str, Row] = field(default_factory=dict)
    mentions: set[str] = field(default_factory=set)
    stories: dict[str, Row] = field(default_factory=dict)
    forgotten: set[str] = field(default_factory=set)
    """Claims of which a text was erased: what names somebody is replaced by the rows given here."""
    erased: bool = False
    """Whether any text was erased."""


class Followed:
    """A claim as the views follow it: folded, with the status that its last change left.

    `counted` is how many events a bounded cache has counted of it. `_renamed`, `_moved`, `_linked`, `_alike` and
    `_used` are the blocks of names, the sides, the contradicted claims, the pairs of sources and the publications that
    changed since its rows were made.
    """

    __slots__ = (
        "_alike", "_linked", "_moved", "_named", "_renamed", "_sides", "_used", "counted", "folded", "id", "status",
    )  # fmt: skip

    def __init__(self, folded: Folded, policy: Policy) -> None:
        self.id = folded.claim.id
        self.folded = folded
        self.status: Status = folded.rule(policy).status
        self.counted = 0
        self._sides = sides_of(folded)
        self._renamed: set[tuple[str, int]] = set()
        self._moved: set[tuple[str, str]] = set()
        self._linked: set[str] = set()
        self._alike: set[tuple[str, str]] = set()
        self._used: set[str] = set()
        self._named: dict[str, dict[str, str]] = {}  # names by source, by their last word
        for party in folded.names.parties.values():
            self._meet(party)
        self._alike.clear()  # they have their rows already

    @classmethod
    def new(cls, claim_id: str) -> Followed:
        """Return a claim of which nothing is known yet."""
        return cls(Folded(claim_id), DEFAULT)

    def grown(self) -> int:
        """Return how many events came since this was asked last."""
        before, self.counted = self.counted, len(self.folded.claim.events) + 1
        return self.counted - before

    def take(self, event: Recorded, policy: Policy, batch: Batch) -> None:
        """Apply one event of the claim, and add the change that it makes."""
        late = event.identity_raw is not None and self._name(event.identity)
        self.folded.apply((event,))
        self._take_side(event, anew=late or isinstance(event.leaf.fact, _REARRANGES))
        self._take_link(event.leaf.fact)
        self._take_use(event)
        self.judge(event, policy, batch)

    def judge(self, cause: Recorded, policy: Policy, batch: Batch) -> None:
        """Add a change where a cause moved the status, or a verdict."""
        claim, fact = self.folded.claim, cause.leaf.fact
        status = self.folded.rule(policy).status
        if status == self.status and not isinstance(fact, _VERDICTS):
            return
        batch.changes.append(
            {
                "position": cause.position,
                "claim": claim.id,
                "story": claim.registered.story if claim.registered else None,
                "recorded_at": cause.leaf.recorded_at,
                "previous": self.status,
                "status": status,
                "cause": cause.leaf.id,
                "cause_type": type_of(fact),
                "recall": is_recall(self.status, status) or isinstance(fact, AdjudicationWithdrawn),
                "computed": canonical(self.folded.assess(policy)),
            }
        )
        self.status = status

    def finish(self, policy: Policy, batch: Batch) -> None:
        """Add the rows of the claim as it stands after the last of the events."""
        batch.claims.append(self._row(policy))
        batch.names += [self._names(kind, block) for kind, block in self._renamed]
        batch.sides += [self._side(source, side) for source, side in self._moved]
        batch.mentions.update([source for source, _side in self._moved])
        batch.contradictions += [self._contradiction(other) for other in self._linked]
        batch.alike += [{"claim": self.id, "one": one, "other": other} for one, other in self._alike]
        batch.publications += [self._publication(used) for used in self._used]
        for changed in (self._renamed, self._moved, self._linked, self._alike, self._used):
            changed.clear()

    def everything(self) -> None:
        """Mark every name, side and link of the claim as changed: it was read anew when a text was erased, and
        nobody knows any more which of them have their rows."""
        names = self.folded.names
        self._linked.update(link.to for link in self.folded.claim.links.values() if link.kind == "contradicts")
        self._renamed |= {("party", number // BLOCK) for number in names.parties}
        self._renamed |= {("origin", number // BLOCK) for number in names.origins}
        self._moved.update(self._sides)
        self._named.clear()
        for party in names.parties.values():
            self._meet(party)

    def _row(self, policy: Policy) -> Row:
        claim, names = self.folded.claim, self.folded.names
        assessment = self.folded.assess(policy)
        wording = names.wordings.get(claim.wording)
        public = render.public(claim)
        return {
            "id": claim.id,
            "registered_at": claim.events.get(claim.registered_in) or min(claim.events.values()),
            "position": claim.position,
            "recorded_at": claim.recorded_at,
            "story": public["story"],
            "status": assessment.status,
            "attention": f",{','.join(assessment.attention)},",
            "language": public["language"],
            "policy": policy.id,
            "text": wording.text if wording else None,
            "text_key": normal(wording.text) if wording and wording.text else None,
            "place": wording.place if wording else None,
            "note": wording.note if wording else None,
            "erased": canonical(render.erased(names)).decode(),
            "public": canonical(public),
            "computed": canonical(assessment),
        }

    def _names(self, kind: str, block: int) -> Row:
        names = self.folded.names
        numbers = range(block * BLOCK, (block + 1) * BLOCK)
        if kind == "party":
            held = {str(n): (names.parties[n].id, names.parties[n].name) for n in numbers if n in names.parties}
        else:
            held = {str(n): (names.origins[n].id, names.origins[n].label) for n in numbers if n in names.origins}
        return {"claim": self.id, "kind": kind, "block": block, "names": canonical(held)}

    def _side(self, source: str, side: str) -> Row:
        names = self.folded.names
        return {
            "source": source,
            "claim": self.id,
            "side": side,
            "statements": self._sides[source, side],
            "name": (name := names.party(names.party_numbers.get(source))),
            "last_word": last_word(name),
        }

    def _contradiction(self, other: str) -> Row:
        claim = self.folded.claim
        links = [id for id, link in claim.links.items() if link.kind == "contradicts" and link.to == other]
        return {"claim": self.id, "other": other, "links": len(set(links) - claim.links_gone)}

    def _publication(self, event: str) -> Row:
        claim = self.folded.claim
        return {
            "claim": self.id,
            "event": event,
            "position": claim.events[event],
            "seen": claim.publications[event].seen,
            "live": event not in claim.publications_gone,
        }

    def _name(self, identity: Identity | None) -> bool:
        """Mark the names that are new; say whether somebody mentioned before is named only now, because the
        first text that named them was erased."""
        names, late = self.folded.names, False
        if identity is None:
            return False
        for local, party in identity.parties.items():
            number = int(local)
            if (known := names.parties.get(number)) != party:
                self._renamed.add(("party", number // BLOCK))
                self._meet(party)
                late |= known is None and number <= self.folded.claim.last_party
        for local, origin in identity.origins.items():
            if names.origins.get(number := int(local)) != origin:
                self._renamed.add(("origin", number // BLOCK))
        return late

    def _meet(self, party: Party) -> None:
        """Keep a name, and whom of the sources that end in the same word it looks like."""
        there = self._named.setdefault(last_word(party.name), {})
        for id, name in islice(there.items(), COMPARED):
            if id != party.id and alike(name, party.name):
                self._alike.add((min(id, party.id), max(id, party.id)))
        there[party.id] = party.name

    def _take_link(self, fact: Fact) -> None:
        link = self.folded.claim.links.get(fact.link) if isinstance(fact, ClaimUnlinked) else fact
        if isinstance(link, ClaimLinked) and link.kind == "contradicts":
            self._linked.add(link.to)

    def _take_use(self, event: Recorded) -> None:
        match event.leaf.fact:
            case ClaimPublished():
                self._used.add(event.leaf.id)
            case ClaimUnpublished(publication=used):
                self._used.add(used)
            case _:
                pass

    def _take_side(self, event: Recorded, *, anew: bool) -> None:
        fact = event.leaf.fact
        if anew:
            before, self._sides = self._sides, sides_of(self.folded)
            self._moved.update(before, self._sides)
        elif isinstance(fact, Statement | ClaimRegistered):
            said = self.folded.claim.said.get(event.leaf.id)
            for taken in _sides(self.folded, fact, said.side if said else "note"):
                self._sides[taken] += 1
                self._moved.add(taken)


def sides_of(folded: Folded) -> Sides:
    """Count the statements that nobody withdrew or replaced, by source and side; carriers carry."""
    claim = folded.claim
    sides: Sides = Counter()
    if claim.registered is not None:
        sides.update(_sides(folded, claim.registered, "accused"))
    for said in claim.current():
        if said.side != "none":
            sides.update(_sides(folded, said.body, said.side))
    for id, note in claim.notes.items():
        if id not in claim.withdrawn:
            sides.update(_sides(folded, note.body, "note"))
    return sides


def _sides(folded: Folded, fact: Statement | ClaimRegistered, side: str) -> list[tuple[str, str]]:
    parties = folded.names.parties
    if isinstance(fact, ClaimRegistered):
        taken = [(number, "accused") for number in fact.accuses]
    else:
        taken = [(fact.source, "carried" if fact.carries else side), *((carrier, "carried") for carrier in fact.via)]
    return [(parties[number].id, side) for number, side in taken if number in parties]


def mention(source: str) -> Row:
    """Return the row of a source that nobody registered."""
    return {
        "id": source,
        "registered": False,
        "kind": "unknown",
        "protected": False,
        "same_as": None,
        "name": None,
        "last_word": None,
        "role": None,
        "aliases": "[]",
    }


def take_source(event: Recorded, batch: Batch) -> None:
    """Add the row of a source after one of its own facts: each says the whole of it."""
    fact = event.leaf.fact
    if not isinstance(fact, SourceRegistered | SourceUpdated):
        return
    source = event.stream.partition(":")[2]
    identity = event.identity
    party = identity.parties.get("1") if identity else None
    before = batch.sources.get(source)
    batch.sources[source] = {
        "id": source,
        "registered": True,
        "kind": fact.kind,
        "protected": (isinstance(fact, SourceRegistered) and fact.protected) or bool(before and before["protected"]),
        "same_as": fact.same_as if isinstance(fact, SourceUpdated) else None,
        "name": party.name if party else None,
        "last_word": last_word(party.name) if party else None,
        "role": party.role if party else None,
        "aliases": canonical(party.aliases if party else ()).decode(),
    }


def take_story(event: Recorded, batch: Batch) -> None:
    """Add the row of a story."""
    if isinstance(event.leaf.fact, StoryOpened):
        story = event.stream.partition(":")[2]
        title = event.wording.title if event.wording else None
        batch.stories[story] = {"id": story, "position": event.position, "title": title}
