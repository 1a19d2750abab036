"""What the counts of a claim mean: policies, as tables of rules of which the first that matches decides.

A policy is a pure function of the *set* of a claim's facts. It is named with its version, and a change
that changes any past result is a new version. The default is `standing/1`; the reasons for its rules
are in `docs/discussions/status.md`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

from events.contracts import ClaimMerged, ClaimSplit, ClaimWithdrawn, Occurred, Status
from events.leaf import canonical
from verifier.assessment import Assessment, Attention, Counts, Events, Ground, Grounds, Judged, SetAside, SetAsides
from verifier.claim import Claim, Ending, Said, Side
from verifier.errors import NotFound
from verifier.tally import SHOWN, Roll, Tally

NAMED: Final = 3
"""How many origins, and how many denials beside what a rule rests on, a sentence names."""

Rests = Literal["nothing", "ending", "retractions", "eligible", "weak", "denials", "supports", "all"]
"""On which of a claim's facts a rule rests. *Denials* are the eligible and the weak ones."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of a policy: when it matches, what it answers, and what the answer rests on."""

    id: str
    status: Status
    rests: Rests
    says: str
    matches: Callable[[Claim, Tally], bool]


@dataclass(frozen=True)
class Policy:
    """A named, versioned table of rules."""

    id: str
    about: str
    rules: tuple[Rule, ...]

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the policy's name and the words of its rules, in hex."""
        return hashlib.sha256(canonical([self.id, [[r.id, r.status, r.rests, r.says] for r in self.rules]])).hexdigest()

    def rule_for(self, claim: Claim, tally: Tally) -> Rule:
        """Return the first rule that matches; the last one always does."""
        for rule in self.rules:
            if rule.matches(claim, tally):
                break
        return rule

    def assess(self, claim: Claim, tally: Tally) -> Assessment:
        """Say how the evidence stands. Pure: the same facts always give the same answer."""
        rule = self.rule_for(claim, tally)
        grounds = _grounds(rule.rests, claim, tally)
        decisive = self._decisive(rule, claim, tally)
        return Assessment(
            claim=claim.id,
            position=claim.position,
            policy=self.id,
            status=rule.status,
            rule=rule.id,
            counts=Counts(
                support_origins=tally.support_origins,
                denial_origins=len(tally.denial_origins),
                outlets=len(tally.outlets),
            ),
            grounds=grounds,
            decisive=decisive,
            set_aside=_set_asides(tally),
            superseded=Events(total=tally.superseded.total, shown=tuple(s.id for s in tally.superseded.first)),
            left_out=Events(total=tally.left_out.total, shown=tuple(s.id for s in tally.left_out.first)),
            attention=tuple(_attention(rule, grounds, decisive, claim, tally)),
            origins=tally.first_origins(NAMED),
            denials=() if rule.rests in ("eligible", "weak", "denials") else _denials(tally),
            into=_into(claim),
            verdict=_judged(claim, rule.status),
            checkable=claim.checkable,
        )

    def _decisive(self, rule: Rule, claim: Claim, tally: Tally) -> tuple[str, ...]:
        match rule.rests:
            case "nothing":
                return ()
            case "ending":
                return (claim.ended[0],) if claim.ended else ()
            case "retractions":
                acts = _first_acts(tally)
                return tuple(act for act in acts if act in tally.felled_alone or len(tally.felled) == 1)
            case rests:
                decisive = []
                for said in _shown(rests, tally):
                    weighs = tally.weighs(said)
                    if weighs or (weighs is None and self._is_decisive(said, rule, claim, tally)):
                        decisive.append(said.id)
                return tuple(decisive)

    def _is_decisive(self, said: Said, rule: Rule, claim: Claim, tally: Tally) -> bool:
        counts = tally.counts
        with tally.without(said, claim):
            other = self.rule_for(claim, tally)
            return tally.counts != counts or (other.id, other.status) != (rule.id, rule.status)


# --- what an answer rests on -----------------------------------------------------------------------


def _ground(said: Said) -> Ground:
    body = said.body
    return Ground(
        event=said.id,
        source=body.source,
        via=body.via[:SHOWN],
        origin=body.origin,
        carries=body.carries,
        attribution=body.attribution,
        standing=body.standing,
        extent=body.extent,
        occurred=_when(body.occurred, said.earliest, said.latest),
    )


def _when(occurred: Occurred, earliest: str, latest: str) -> Occurred:
    """Return a time with its bounds: one that nobody gave is the time of recording."""
    if occurred.precision == "unknown" or occurred.earliest is not None:
        return occurred
    return Occurred(basis=occurred.basis, earliest=earliest, latest=latest, precision=occurred.precision)


def _grounds(rests: Rests, claim: Claim, tally: Tally) -> Grounds:
    if rests == "ending" and claim.ended is not None:
        return Grounds(total=1, shown=(Ground(event=claim.ended[0]),))
    if rests == "retractions":
        return Grounds(total=len(tally.felled), shown=tuple(_taking_back(act, claim) for act in _first_acts(tally)))
    return Grounds(total=sum(roll.total for roll in _rolls(rests, tally)), shown=_shown_grounds(rests, tally))


def _shown_grounds(rests: Rests, tally: Tally) -> tuple[Ground, ...]:
    shown = _shown(rests, tally)
    made = tally.made.get(rests)
    if made is None or made[0] != shown:  # in a long claim the first statements seldom change
        made = tally.made[rests] = (shown, tuple(map(_ground, shown)))
    return made[1]


def _first_acts(tally: Tally) -> list[str]:
    """Return the first of the facts by which supports fell, by id."""
    return sorted(tally.felled)[:SHOWN]


def _shown(rests: Rests, tally: Tally) -> list[Said]:
    first: list[Said] = []
    for roll in _rolls(rests, tally):
        first += roll.first
    return first[:SHOWN]


def _rolls(rests: Rests, tally: Tally) -> tuple[Roll, ...]:
    match rests:
        case "eligible":
            return (tally.eligible,)
        case "weak":
            return (tally.weak,)
        case "denials":
            return (tally.eligible, tally.weak)
        case "supports":
            return (tally.supports,)
        case "all":
            return (tally.eligible, tally.weak, tally.supports)
        case _:
            return ()


def _taking_back(act: str, claim: Claim) -> Ground:
    retraction = claim.retractions.get(act)
    if retraction is None:  # its own source corrected it to no stance
        return _ground(claim.said[act])
    named = claim.find(retraction.fact.statement)
    return Ground(
        event=act,
        source=retraction.fact.party,
        origin=named.body.origin if named else None,
        occurred=_when(retraction.fact.occurred, retraction.earliest, retraction.latest),
    )


def _denials(tally: Tally) -> tuple[Ground, ...]:
    return tuple(_ground(said) for said in (tally.eligible.first + tally.weak.first)[:NAMED])


def _set_asides(tally: Tally) -> SetAsides:
    unnamed = [SetAside(event=s.id, reason="the speaker is not identified") for s in tally.unattributed.first]
    partial = [SetAside(event=s.id, reason="speaks of a part only") for s in tally.partial.first]
    return SetAsides(total=tally.unattributed.total + tally.partial.total, shown=tuple((unnamed + partial)[:SHOWN]))


def _attention(
    rule: Rule, grounds: Grounds, decisive: tuple[str, ...], claim: Claim, tally: Tally
) -> Iterator[Attention]:
    if rule.rests != "ending":  # a claim that has ended takes no more facts, so nothing could be done about these
        if tally.unattributed.total or claim.has_open_note():
            yield "who"
        if any(event in decisive for event in _undated(grounds)):
            yield "when"
        if (tally.supports.total or tally.denials) and not tally.documented and not claim.evidence:
            yield "no_evidence"
        if rule.status == "denied" and tally.overtaken:
            yield "overtaken"
    verdict = claim.verdict
    if verdict is not None and verdict.fact.status != rule.status:
        yield "verdict_stale"


def _undated(grounds: Grounds) -> list[str]:
    return [g.event for g in grounds.shown if g.occurred is not None and g.occurred.precision == "unknown"]


def _into(claim: Claim) -> tuple[str, ...]:
    match claim.ended:
        case (_, ClaimMerged(into=one)):
            return (one,)
        case (_, ClaimSplit(into=several)):
            return several
        case _:
            return ()


def _judged(claim: Claim, status: Status) -> Judged | None:
    verdict = claim.verdict
    if verdict is None:
        return None
    fact = verdict.fact
    return Judged(
        event=verdict.id, verdict=fact.verdict, seen=fact.seen, status=fact.status, stale=fact.status != status
    )


# --- the rules -------------------------------------------------------------------------------------


def _ended_by(kind: type[Ending]) -> Callable[[Claim, Tally], bool]:
    return lambda claim, tally: claim.ended is not None and isinstance(claim.ended[1], kind)


_ENDINGS: Final = (
    Rule("R0", "withdrawn", "ending", "the claim was withdrawn", _ended_by(ClaimWithdrawn)),
    Rule("R0", "merged", "ending", "the claim was merged into another", _ended_by(ClaimMerged)),
    Rule("R0", "split", "ending", "the claim was split into others", _ended_by(ClaimSplit)),
)

_RETRACTED: Final = Rule(
    "R2", "retracted", "retractions",
    "supports were recorded, none is live, at least one fell by a retraction",
    lambda claim, tally: not tally.live_supports and bool(tally.felled),
)  # fmt: skip

_DENIED: Final = Rule(
    "R3", "denied", "eligible", "a named speaker who is no party denies the whole claim",
    lambda claim, tally: tally.eligible.total > 0,
)  # fmt: skip

_DISPUTED: Final = Rule(
    "R4", "disputed", "weak", "the only denials are anonymous, interested, or of a part",
    lambda claim, tally: tally.weak.total > 0,
)  # fmt: skip

_ASSERTED: Final = Rule(
    "R6", "asserted", "supports", "at least one origin supports it",
    lambda claim, tally: tally.support_origins >= 1,
)  # fmt: skip

_OTHERWISE: Final = Rule(
    "R7", "unassessed", "nothing", "nothing that counts is recorded", lambda claim, tally: True
)  # fmt: skip


def _corroborated(threshold: int) -> Rule:
    return Rule(
        "R5", "corroborated", "supports", f"at least {threshold} origins support it, at least one of them firm",
        lambda claim, tally: tally.support_origins >= threshold and tally.firm,
    )  # fmt: skip


def standing(threshold: int, id: str, about: str) -> Policy:
    """Make a policy of the `standing` family: denial wins, and `threshold` origins corroborate."""
    return Policy(
        id, about, (*_ENDINGS, _RETRACTED, _DENIED, _DISPUTED, _corroborated(threshold), _ASSERTED, _OTHERWISE)
    )


def majority(threshold: int, id: str, about: str) -> Policy:
    """Make a policy that counts the outlets that ever supported against those that ever denied;
    `threshold` outlets corroborate."""

    def balance(tally: Tally) -> int:
        return len(tally.ever_supported) - len(tally.ever_denied)

    return Policy(
        id,
        about,
        (
            *_ENDINGS,
            Rule("M1", "denied", "all", "more outlets ever denied it than ever supported it",
                 lambda claim, tally: balance(tally) < 0),
            Rule("M2", "corroborated", "all",
                 f"at least {threshold} outlets ever supported it, more than ever denied it",
                 lambda claim, tally: balance(tally) > 0 and len(tally.ever_supported) >= threshold),
            Rule("M3", "asserted", "all", "more outlets ever supported it than ever denied it",
                 lambda claim, tally: balance(tally) > 0),
            Rule("M4", "disputed", "all", "as many outlets ever denied it as ever supported it",
                 lambda claim, tally: bool(tally.ever_supported)),
            _OTHERWISE,
        ),
    )  # fmt: skip


def latest(threshold: int, id: str, about: str) -> Policy:
    """Make a policy in which the last statement decides; `threshold` outlets corroborate."""

    def said_last(tally: Tally) -> Side | None:
        return tally.last.side if tally.last else None

    return Policy(
        id,
        about,
        (
            *_ENDINGS,
            Rule("L1", "denied", "all", "the last statement denies it",
                 lambda claim, tally: said_last(tally) == "denial"),
            Rule("L2", "corroborated", "all",
                 f"the last statement supports it, and at least {threshold} outlets ever supported it",
                 lambda claim, tally: said_last(tally) == "support" and len(tally.ever_supported) >= threshold),
            Rule("L3", "asserted", "all", "the last statement supports it",
                 lambda claim, tally: said_last(tally) == "support"),
            _OTHERWISE,
        ),
    )  # fmt: skip


_PRECAUTION: Final = Rule(
    "P3", "denied", "denials", "any speaker who is known or described denies the claim or a part of it",
    lambda claim, tally: tally.denials > 0,
)  # fmt: skip

_BOTH_SIDES: Final = Rule(
    "B3", "disputed", "all", "there are live supports and live denials",
    lambda claim, tally: tally.support_origins > 0 and tally.denials > 0,
)  # fmt: skip

DEFAULT: Final = standing(2, "standing/1", "Denial wins; two origins corroborate. The default.")

POLICIES: Final[Mapping[str, Policy]] = {
    policy.id: policy
    for policy in (
        DEFAULT,
        standing(3, "strict/1", "As standing/1, but three origins corroborate."),
        Policy("precautionary/1", "Any attributed denial denies, also an anonymous, interested or partial one.",
               (*_ENDINGS, _RETRACTED, _PRECAUTION, _corroborated(2), _ASSERTED, _OTHERWISE)),
        Policy("balanced/1", "Where both sides speak, the claim is disputed.",
               (*_ENDINGS, _RETRACTED, _BOTH_SIDES, _DENIED, _DISPUTED, _corroborated(2), _ASSERTED, _OTHERWISE)),
        majority(2, "majority/1", "The side with more outlets wins. For comparison only."),
        latest(2, "latest/1", "The last statement wins. For comparison only."),
    )
}  # fmt: skip
"""Every policy that ships, by its id."""


def policy_named(name: str) -> Policy:
    """Return a policy by its id; a name without a version means its only version.

    Raises `NotFound` with the names there are.
    """
    policy = POLICIES.get(name) or POLICIES.get(f"{name}/1")
    if policy is None:
        raise NotFound(f"there is no policy {name!r}: choose one of {', '.join(POLICIES)}", policy=name)
    return policy


def is_recall(before: Status, after: Status) -> bool:
    """Say whether a careful publisher of the earlier status must act: what was printed no longer stands."""
    if before == after or before == "unassessed":
        return False
    if before == "corroborated":
        return True
    if before == "denied":  # those who supported it have given in: the denial stands all the more
        return after != "retracted"
    return after in ("retracted", "withdrawn")
