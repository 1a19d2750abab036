"""Say how a claim stands, written straight from the rules and with no regard for cost.

An independent second opinion on `verifier.tally` and `verifier.policy`: it shares none of their code
and looks at the whole *set* of a claim's facts, again for every question. Read it beside
`docs/discussions/status.md`; each function is one sentence of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from events.contracts import (
    ClaimAsserted,
    ClaimCorroborated,
    ClaimDenied,
    ClaimMerged,
    ClaimSplit,
    ClaimWithdrawn,
    EvidenceAttached,
    Occurred,
    OriginsMerged,
    OriginsSplit,
    Statement,
    StatementAttributed,
    StatementCorrected,
    StatementRetracted,
    StatementWithdrawn,
)
from events.leaf import Leaf

NEVER, EVER = "", "~"  # before and after every time
SIDES = {ClaimAsserted: "support", ClaimCorroborated: "support", ClaimDenied: "denial"}
STANCES = {"asserted": "support", "corroborated": "support", "denied": "denial", "none": "none"}


@dataclass(frozen=True)
class Voice:
    """A statement as it stands after everything that was put right about it."""

    id: str
    side: str
    source: int
    via: tuple[int, ...]
    origin: int
    attribution: str
    standing: str
    extent: str
    carries: bool
    documents: tuple[int, ...]
    earliest: str
    latest: str
    by: str = ""  # who corrected it
    replaces: str = ""

    @property
    def outlets(self) -> tuple[int, ...]:
        return self.via or (self.source,)

    @property
    def order(self) -> tuple[str, str, str]:
        return (self.earliest, self.latest, self.id)

    @property
    def is_support(self) -> bool:
        return self.side == "support" and self.extent == "whole" and self.attribution != "unattributed"

    @property
    def is_denial(self) -> bool:
        return self.side == "denial" and self.attribution != "unattributed"

    @property
    def is_eligible(self) -> bool:
        named = self.attribution in ("on_record", "documentary", "first_hand")
        return self.is_denial and self.extent == "whole" and named and self.standing != "interested"

    @property
    def speaks(self) -> bool:
        return not self.carries and (self.is_support or self.is_denial)


@dataclass(frozen=True)
class Answer:
    """How the claim stands, as far as the rules determine it."""

    status: str
    rule: str
    counts: tuple[int, int, int]
    grounds: tuple[str, ...]
    set_aside: frozenset[tuple[str, str]]
    superseded: frozenset[str]
    left_out: frozenset[str]
    overtaken: bool
    documented: bool
    unattributed: bool


def judge(facts: Iterable[Leaf], policy: str = "standing/1", said_by: str | None = None) -> Answer:
    """Answer for a set of facts; their order and their repetition mean nothing."""
    book = Book({leaf.id: leaf for leaf in facts}, said_by)
    rule, status, grounds = _first_match(book, policy)
    return Answer(
        status=status,
        rule=rule,
        counts=(len(book.groups()), len({book.root(v.origin) for v in book.denials()}), len(book.outlets())),
        grounds=tuple(grounds),
        set_aside=frozenset(
            (v.id, "the speaker is not identified" if v.attribution == "unattributed" else "speaks of a part only")
            for v in book.live()
            if not (v.is_support or v.is_denial)
        ),
        superseded=frozenset(v.id for v in book.live() if book.is_superseded(v)),
        left_out=frozenset(book.left_out()),
        overtaken=book.is_overtaken(),
        documented=book.is_documented(),
        unattributed=any(v.attribution == "unattributed" for v in book.live()),
    )


def decisive(facts: Iterable[Leaf], policy: str = "standing/1", said_by: str | None = None) -> list[str]:
    """Return the grounds, as many as are shown, without each of which rule, status or a count is another."""
    facts = {leaf.id: leaf for leaf in facts}
    whole = judge(facts.values(), policy, said_by)

    def changes(event: str) -> bool:
        rest = judge((leaf for leaf in facts.values() if leaf.id != event), policy, said_by)
        return (rest.status, rest.rule, rest.counts) != (whole.status, whole.rule, whole.counts)

    return [event for event in whole.grounds[:20] if changes(event)]


class Book:
    """A set of facts, and what can be read from it."""

    def __init__(self, facts: dict[str, Leaf], said_by: str | None) -> None:
        self.facts = facts
        self.said_by = said_by
        self._live: list[Voice] | None = None

    def of(self, *kinds: type) -> list[tuple[str, object]]:
        """Return the facts of these kinds that nobody withdrew."""
        withdrawn = {f.fact.statement for f in self.facts.values() if isinstance(f.fact, StatementWithdrawn)}
        return [
            (id, leaf.fact) for id, leaf in self.facts.items() if isinstance(leaf.fact, kinds) and id not in withdrawn
        ]

    # --- live ----------------------------------------------------------------------------------

    def voice(self, id: str) -> Voice | None:
        """Return the statement that this fact recorded, corrected or attributed, whether live or not."""
        if id not in self.facts:
            return None
        leaf = self.facts[id]
        fact = leaf.fact
        if isinstance(fact, StatementAttributed):
            before = self.voice(fact.statement)
            return before and replace(
                before,
                id=id,
                source=fact.source,
                origin=fact.origin,
                attribution=fact.attribution,
                standing=fact.standing,
                carries=False,
                via=tuple(carrier for carrier in before.via if carrier != fact.source),
                by="",
                replaces=fact.statement,
            )
        if isinstance(fact, StatementCorrected):
            return replace(_read(id, fact, STANCES[fact.stance], leaf.recorded_at), by=fact.by, replaces=fact.statement)
        if type(fact) in SIDES:
            return _read(id, fact, SIDES[type(fact)], leaf.recorded_at)
        return None

    def current(self) -> list[Voice]:
        """Return the statements that are not withdrawn and not replaced."""
        recorded = self.of(ClaimAsserted, ClaimCorroborated, ClaimDenied, StatementCorrected, StatementAttributed)
        replaced = {fact.statement for _, fact in self.of(StatementCorrected, StatementAttributed)}
        return [voice for id, _ in recorded if id not in replaced and (voice := self.voice(id))]

    def live(self) -> list[Voice]:
        """Return the statements that are not withdrawn, not replaced and not retracted."""
        if self._live is None:
            self._live = [
                voice
                for voice in self.current()
                if self.was_said(voice.latest) and voice.side != "none" and not self.felled_by(voice)
            ]
        return self._live

    def was_said(self, latest: str) -> bool:
        return self.said_by is None or latest <= self.said_by

    def left_out(self) -> list[str]:
        return [v.id for v in self.current() if self.said_by is not None and v.latest == EVER]

    def felled_by(self, voice: Voice) -> list[str]:
        """Return the retractions by which this statement fell: the one that names it; those of its origin
        and side, unless it was said wholly after; a carrier's only if it came through that carrier."""
        acts = []
        for id, fact in self.of(StatementRetracted):
            named = self.voice(fact.statement)
            _, latest = _bounds(fact.occurred, self.facts[id].recorded_at)
            if named is None or not self.was_said(latest):
                continue
            same = named.side == voice.side and self.root(named.origin) == self.root(voice.origin)
            through = fact.party in voice.via or (voice.carries and voice.source == fact.party)
            if named.id == voice.id or (same and voice.earliest <= latest and (fact.by == "source" or through)):
                acts.append(id)
        return acts

    def fell(self) -> dict[str, list[str]]:
        """Return the supports that fell, each with the facts by which it fell."""
        fell = {
            v.id: acts
            for v in self.current()
            if self.was_said(v.latest) and v.is_support and (acts := self.felled_by(v))
        }
        for voice in self.current():
            if voice.side == "none" and voice.by == "source" and self.was_said(voice.latest):
                before = self.voice(voice.replaces)
                if before is not None and before.is_support:
                    fell[before.id] = [voice.id, *self.felled_by(before)]
        return fell

    # --- where a source stands -----------------------------------------------------------------

    def denies(self, source: int) -> bool:
        """Say whether a source's latest statements hold a denial; carrying says nothing of its own."""
        said = [v for v in self.live() if v.source == source and v.speaks]
        latest = [v for v in said if not any(other.earliest > v.latest for other in said)]
        return any(v.is_denial for v in latest)

    def is_superseded(self, voice: Voice) -> bool:
        return voice.speaks and self.denies(voice.source) != voice.is_denial

    def supports(self) -> list[Voice]:
        return sorted((v for v in self.live() if v.is_support and not self.is_superseded(v)), key=lambda v: v.order)

    def denials(self) -> list[Voice]:
        return sorted((v for v in self.live() if v.is_denial and not self.is_superseded(v)), key=lambda v: v.order)

    def eligible(self) -> list[Voice]:
        return [v for v in self.denials() if v.is_eligible]

    def weak(self) -> list[Voice]:
        return [v for v in self.denials() if not v.is_eligible]

    # --- counts --------------------------------------------------------------------------------

    def root(self, origin: int) -> int:
        """Return one origin to stand for all that were merged with this one."""
        split = {fact.merge for _, fact in self.of(OriginsSplit)}
        pairs = [(fact.kept, fact.merged) for id, fact in self.of(OriginsMerged) if id not in split]
        return min(_connected(origin, pairs))

    def groups(self) -> list[frozenset[int]]:
        """Return the supporting origins, those with a speaking source in common together."""
        supports = self.supports()
        origins = {self.root(v.origin) for v in supports}
        pairs = [
            (self.root(one.origin), self.root(other.origin))
            for one in supports
            for other in supports
            if one.speaks and other.speaks and one.source == other.source
        ]
        return list({frozenset(_connected(origin, pairs)) for origin in origins})

    def is_firm(self) -> bool:
        """Say whether an origin has no anonymous and no interested support."""
        unfirm = {
            self.root(v.origin) for v in self.supports() if v.attribution == "anonymous" or v.standing == "interested"
        }
        return bool({self.root(v.origin) for v in self.supports()} - unfirm)

    def outlets(self) -> set[int]:
        return {outlet for v in self.supports() for outlet in v.outlets}

    def is_overtaken(self) -> bool:
        """Say whether two origins support the claim only since the last eligible denial."""
        if not self.eligible():
            return False
        denied = max(v.latest for v in self.eligible())
        new = [
            group
            for group in self.groups()
            if all(v.earliest > denied for v in self.supports() if self.root(v.origin) in group)
        ]
        return len(new) >= 2

    def is_documented(self) -> bool:
        counted = [*self.supports(), *self.denials()]
        return any(v.documents for v in counted) or any(
            isinstance(f.fact, EvidenceAttached) for f in self.facts.values()
        )

    def attributed(self) -> list[Voice]:
        """Return what was said by somebody, superseded or not: all that the policies for comparison look at."""
        return [v for v in self.live() if v.is_support or v.is_denial]


def _first_match(book: Book, policy: str) -> tuple[str, str, list[str]]:
    for kind, status in ((ClaimWithdrawn, "withdrawn"), (ClaimMerged, "merged"), (ClaimSplit, "split")):
        if ended := book.of(kind):
            return "R0", status, [ended[0][0]]
    return POLICIES[policy](book)


def _standing(
    book: Book, threshold: int, before: Callable[[Book], tuple[str, str, list[str]] | None]
) -> tuple[str, str, list[str]]:
    fell = book.fell()
    if fell and not any(v.is_support for v in book.live()):
        return "R2", "retracted", sorted({act for acts in fell.values() for act in acts})
    if found := before(book):
        return found
    if book.eligible():
        return "R3", "denied", _ids(book.eligible())
    if book.weak():
        return "R4", "disputed", _ids(book.weak())
    if len(book.groups()) >= threshold and book.is_firm():
        return "R5", "corroborated", _ids(book.supports())
    if book.groups():
        return "R6", "asserted", _ids(book.supports())
    return "R7", "unassessed", []


def _precaution(book: Book) -> tuple[str, str, list[str]] | None:
    return ("P3", "denied", _ids(book.eligible(), book.weak())) if book.denials() else None


def _both_sides(book: Book) -> tuple[str, str, list[str]] | None:
    if book.denials() and book.groups():
        return "B3", "disputed", _all(book)
    return None


def _majority(book: Book) -> tuple[str, str, list[str]]:
    ours = {outlet for v in book.attributed() if v.is_support for outlet in v.outlets}
    theirs = {outlet for v in book.attributed() if v.is_denial for outlet in v.outlets}
    if len(theirs) > len(ours):
        return "M1", "denied", _all(book)
    if len(ours) > len(theirs):
        return ("M2", "corroborated", _all(book)) if len(ours) >= 2 else ("M3", "asserted", _all(book))
    return ("M4", "disputed", _all(book)) if ours else ("R7", "unassessed", [])


def _latest(book: Book) -> tuple[str, str, list[str]]:
    last = max(book.attributed(), key=lambda v: (v.latest, v.order), default=None)
    if last is None:
        return "R7", "unassessed", []
    if last.is_denial:
        return "L1", "denied", _all(book)
    ours = {outlet for v in book.attributed() if v.is_support for outlet in v.outlets}
    return ("L2", "corroborated", _all(book)) if len(ours) >= 2 else ("L3", "asserted", _all(book))


POLICIES: dict[str, Callable[[Book], tuple[str, str, list[str]]]] = {
    "standing/1": lambda book: _standing(book, 2, lambda _: None),
    "strict/1": lambda book: _standing(book, 3, lambda _: None),
    "precautionary/1": lambda book: _standing(book, 2, _precaution),
    "balanced/1": lambda book: _standing(book, 2, _both_sides),
    "majority/1": _majority,
    "latest/1": _latest,
}


def _ids(*lists: list[Voice]) -> list[str]:
    return [v.id for voices in lists for v in voices]


def _all(book: Book) -> list[str]:
    return _ids(book.eligible(), book.weak(), book.supports())


def _connected(start: int, pairs: list[tuple[int, int]]) -> set[int]:
    reached = {start}
    while grown := {b for pair in pairs for a, b in (pair, pair[::-1]) if a in reached} - reached:
        reached |= grown
    return reached


def _read(id: str, fact: Statement, side: str, recorded_at: str) -> Voice:
    earliest, latest = _bounds(fact.occurred, recorded_at)
    return Voice(
        id=id,
        side=side,
        source=fact.source,
        via=fact.via,
        origin=fact.origin,
        attribution=fact.attribution,
        standing=fact.standing,
        extent=fact.extent,
        carries=fact.carries,
        documents=fact.documents,
        earliest=earliest,
        latest=latest,
    )


def _bounds(occurred: Occurred, recorded_at: str) -> tuple[str, str]:
    if occurred.precision == "unknown":
        return NEVER, EVER
    return occurred.earliest or recorded_at, occurred.latest or recorded_at
