"""Facts and claims for tests, and histories of a claim as Hypothesis makes them: as `decide` would let them through.

One source has several origins, times are missing, unknown, equal or overlapping, sources speak and
carry, and statements are retracted, corrected, attributed and withdrawn, and these acts withdrawn in turn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from events.contracts import (
    ClaimAdjudicated,
    ClaimAsserted,
    ClaimCorroborated,
    ClaimDenied,
    ClaimNoted,
    ClaimRegistered,
    ClaimWithdrawn,
    EvidenceAttached,
    Fact,
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
from verifier.claim import Claim, evolve

CLAIM = "clm_aaaaaaaaaaaaaaaaaaaaaaaaaa"
ACCUSED = 9
"""The party whom every claim here accuses; it hasn't spoken."""


def day(number: int) -> str:
    """Return the beginning of a day in January 2020."""
    return f"2020-01-{number:02}T00:00:00.000000Z"


def event(position: int) -> str:
    """Return the id of the event at a position of the log."""
    return f"evt_{position:026}"


def leaf(position: int, fact: Fact) -> Leaf:
    """Return a fact as it stands in the log at this position, recorded in February 2020."""
    return Leaf(
        fact=fact,
        id=event(position),
        identity="0" * 64,
        recorded_at=f"2020-02-01T00:00:{position:02}.000000Z",
        stream=f"claim:{CLAIM}",
        wording="0" * 64,
    )


def on(first: int, last: int | None = None) -> Occurred:
    """Return a time: a day, or from one day to another."""
    precision = "range" if last else "day"
    return Occurred(basis="explicit", earliest=day(first), latest=day(last or first), precision=precision)


UNKNOWN = Occurred(basis="explicit", precision="unknown")


def claim_of(facts: Iterable[Fact | Leaf]) -> Claim:
    """Return the claim that facts make, each at its place in the list, plus one."""
    claim = Claim(CLAIM)
    for position, fact in enumerate(facts, 1):
        evolve(claim, position, fact if isinstance(fact, Leaf) else leaf(position, fact))
    return claim


@dataclass
class History:
    """The facts of a claim so far; a fact's position is its place in the list, plus one."""

    facts: list[Leaf] = field(default_factory=list)
    open: list[str] = field(default_factory=list)  # statements that can still be acted on
    unnamed: list[str] = field(default_factory=list)  # those of them whose speaker nobody knows
    acts: dict[str, str] = field(default_factory=dict)  # what retracted, corrected or attributed what
    merges: list[str] = field(default_factory=list)

    def add(self, fact: Fact) -> str:
        """Record one more fact and return its id."""
        recorded = leaf(len(self.facts) + 1, fact)
        self.facts.append(recorded)
        return recorded.id

    def find(self, id: str) -> Fact:
        """Return the fact with this id."""
        return next(recorded.fact for recorded in self.facts if recorded.id == id)


sources = st.integers(1, 4)
origins = st.integers(1, 4)
attributions = st.sampled_from(
    ["on_record"] * 4 + ["anonymous", "anonymous", "first_hand", "documentary", "unattributed"]
)
named = st.sampled_from(["on_record", "anonymous", "documentary"])
standings = st.sampled_from(["unknown", "unknown", "interested", "authoritative"])
extents = st.sampled_from(["whole", "whole", "whole", "part"])
stances = st.sampled_from(["asserted", "corroborated", "denied"])


@st.composite
def times(draw: DrawFn) -> Occurred:
    """When something was said: not given, unknown, on a day, or between two."""
    kind = draw(st.sampled_from(["assumed", "unknown", "day", "day", "range"]))
    if kind == "assumed":
        return Occurred()
    if kind == "unknown":
        return UNKNOWN
    first = draw(st.integers(1, 6))
    return on(first) if kind == "day" else on(first, draw(st.integers(first, 6)))


@st.composite
def bodies(draw: DrawFn) -> dict[str, object]:
    """The fields of a statement, in each of its three forms."""
    source = draw(sources)
    form = draw(st.sampled_from(["speaks", "carried", "carries"]))
    via = tuple(draw(st.lists(sources, max_size=2, unique=True))) if form == "carried" else ()
    return {
        "attribution": draw(attributions),
        "carries": form == "carries",
        "documents": draw(st.sampled_from([(), (), (1,)])),
        "extent": draw(extents),
        "occurred": draw(times()),
        "origin": draw(origins),
        "source": source,
        "standing": draw(standings),
        "via": tuple(carrier for carrier in via if carrier != source),
    }


STATEMENTS = {"asserted": ClaimAsserted, "corroborated": ClaimCorroborated, "denied": ClaimDenied}


def _say(draw: DrawFn, history: History) -> None:
    body = draw(bodies())
    said = history.add(STATEMENTS[draw(stances)](**body))
    history.open.append(said)
    if body["attribution"] == "unattributed":
        history.unnamed.append(said)


def _act(history: History, target: str, fact: Fact) -> str:
    act = history.add(fact)
    history.open.remove(target)
    history.acts[act] = target
    return act


def _retract(draw: DrawFn, history: History) -> None:
    target = draw(st.sampled_from(history.open))
    fact = _body_of(history, target)
    may = [fact.source, *fact.via]
    party = draw(st.sampled_from(may))
    by = "source" if party == fact.source and not fact.carries else "carrier"
    _act(history, target, StatementRetracted(by=by, occurred=draw(times()), party=party, statement=target))


def _body_of(history: History, target: str) -> Statement:
    fact = history.find(target)
    if isinstance(fact, StatementAttributed):
        before = _body_of(history, fact.statement)
        via = tuple(carrier for carrier in before.via if carrier != fact.source)
        return ClaimAsserted(source=fact.source, origin=fact.origin, via=via)
    assert isinstance(fact, Statement)
    return fact


def _correct(draw: DrawFn, history: History) -> None:
    target = draw(st.sampled_from(history.open))
    body = draw(bodies())
    stance = draw(st.sampled_from(["asserted", "denied", "none", "none"]))
    by = draw(st.sampled_from(["desk", "source"]))
    act = _act(history, target, StatementCorrected(by=by, stance=stance, statement=target, **body))
    history.open.append(act)
    if body["attribution"] == "unattributed" and stance != "none":
        history.unnamed.append(act)


def _attribute(draw: DrawFn, history: History) -> None:
    target = draw(st.sampled_from([said for said in history.open if said in history.unnamed]))
    fact = StatementAttributed(
        attribution=draw(named),
        origin=draw(origins),
        source=draw(sources),
        standing=draw(standings),
        statement=target,
    )
    history.open.append(_act(history, target, fact))


def _withdraw(draw: DrawFn, history: History) -> None:
    """Withdraw a statement or an act on which nothing acted since; what an act had taken is open again."""
    retractions = [e for e in history.acts if isinstance(history.find(e), StatementRetracted)]
    target = draw(st.sampled_from(history.open + retractions))
    history.add(StatementWithdrawn(statement=target))
    if target in history.open:
        history.open.remove(target)
    if (freed := history.acts.pop(target, None)) is not None:
        history.open.append(freed)


def _merge(draw: DrawFn, history: History) -> None:
    kept, merged = draw(origins), draw(origins)
    if kept != merged:
        history.merges.append(history.add(OriginsMerged(kept=kept, merged=merged)))


def _split(draw: DrawFn, history: History) -> None:
    history.add(OriginsSplit(merge=history.merges.pop(draw(st.integers(0, len(history.merges) - 1)))))


def _beside(draw: DrawFn, history: History) -> None:
    """Record something that is kept out of every count."""
    history.add(
        draw(
            st.sampled_from(
                [
                    ClaimNoted(source=1, origin=1, kind="query"),
                    EvidenceAttached(document=1, media_type="text/plain", size=1),
                    ClaimAdjudicated(policy="standing/1", seen=1, status="asserted", verdict="mixed"),
                ]
            )
        )
    )


@st.composite
def histories(draw: DrawFn, *, min_size: int = 0, max_size: int = 12, ended: bool = True) -> History:
    """A claim's facts, in the order in which they were recorded."""
    history = History()
    history.add(ClaimRegistered(accuses=(ACCUSED,)))
    for _ in range(draw(st.integers(min_size, max_size))):
        may: list[Callable[[DrawFn, History], None]] = [_say, _say, _say, _say, _merge]
        if history.open:
            may += [_retract, _correct, _withdraw]
        if any(said in history.unnamed for said in history.open):
            may += [_attribute, _attribute]
        if history.merges:
            may.append(_split)
        may.append(_beside)
        draw(st.sampled_from(may))(draw, history)
    if ended and draw(st.integers(0, 19)) == 0:
        history.add(ClaimWithdrawn())
    return history
