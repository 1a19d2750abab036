"""Replay a whole log: every claim anew from its facts, by the same `evolve` as live, and nothing else.

It answers what an audit asks: do the facts give the statuses that were served, are the texts the ones that
were recorded, did time go forward. Only leaves are read, unless the texts' digests are to be checked.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Literal

from events.contracts import PolicyAdopted, Slot, TextErased
from events.leaf import text_digest
from events.log import Log, Recorded
from verifier.assessment import Assessment
from verifier.claim import Claim, evolve
from verifier.garbage import no_collections, take_as_old
from verifier.policy import DEFAULT, Policy, policy_named
from verifier.tally import Tally

Progress = Callable[[int, int], None]
"""Told after each page how far the replay is, and how far it is to go."""

Wrong = Literal["another digest", "lost or hidden", "time goes back"]

_CLAIM: Final = "claim:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What is wrong with one event: with one of its texts, or with its time."""

    position: int
    wrong: Wrong
    slot: Slot | None = None


@dataclass(kw_only=True)
class Replayed:
    """A log as its facts leave it at a position. `folded` holds the state of each claim by its id; `rules` is
    the policy that was asked for, or was in force there. `findings` is empty where nothing was wrong."""

    log: str
    position: int = 0
    recorded_at: str | None = None
    rules: Policy = DEFAULT
    folded: dict[str, Claim] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    @property
    def policy(self) -> str:
        """The id of the policy by which the claims are assessed."""
        return self.rules.id

    @property
    def claims(self) -> int:
        """How many claims there are."""
        return len(self.folded)

    def assess(self, claim_id: str) -> Assessment:
        """Say how the evidence of a claim stands."""
        claim = self.folded[claim_id]
        return self.rules.assess(claim, Tally.of(claim))

    @property
    def states(self) -> Mapping[str, tuple[int, str]]:
        """The position and the state digest of each claim, in the order of their ids."""
        return self._summary[0]

    @property
    def by_status(self) -> Mapping[str, int]:
        """How many claims have each status."""
        return self._summary[1]

    @property
    def digest(self) -> str:
        """SHA-256, in hex, over the state digests in the order of the claims' ids: equal states have an equal one."""
        return hashlib.sha256("".join(digest for _, digest in self.states.values()).encode()).hexdigest()

    @cached_property
    def _summary(self) -> tuple[dict[str, tuple[int, str]], dict[str, int]]:
        states: dict[str, tuple[int, str]] = {}
        by_status: Counter[str] = Counter()
        for id in sorted(self.folded):
            assessment = self.assess(id)
            states[id] = (assessment.position, assessment.digest)
            by_status[assessment.status] += 1
        return states, dict(sorted(by_status.items()))


async def replay(
    log: Log,
    *,
    upto: int | None = None,
    policy: Policy | None = None,
    progress: Progress | None = None,
    digests: bool = False,
) -> Replayed:
    """Fold every claim of a log, up to a position or its head.

    With `digests`, the texts are read too, and what was found wrong is in `findings`: a text that has not the
    digest its leaf holds, one that is missing without a fact that erased it, a time before the last one.
    Raises `UnknownFact` for a fact that this version doesn't know.
    """
    head = await log.head()
    end = head if upto is None else min(upto, head)
    replayed = Replayed(log=log.id)
    checks = Checks() if digests else None
    in_force = DEFAULT
    async for page in log.read_all(upto=end, texts=digests):
        with no_collections():
            if checks is not None:
                checks.check(page)
            for fact in _take(replayed.folded, page):
                in_force = policy_named(fact.policy)
            take_as_old()
        replayed.position, replayed.recorded_at = page[-1].position, page[-1].recorded_at
        if progress is not None:
            progress(replayed.position, end)
    replayed.rules = policy or in_force
    if checks is not None:
        if checks.unexplained:  # erased after the position that was asked for
            async for page in log.read_all(after=end, texts=False):
                for event in page:
                    checks.learn(event)
        replayed.findings = checks.findings()
    return replayed


def _take(claims: dict[str, Claim], page: Sequence[Recorded]) -> list[PolicyAdopted]:
    """Let each event change its claim; return the policies that were adopted."""
    adopted = []
    for event in page:
        leaf = event.leaf
        stream = leaf.stream
        if stream.startswith(_CLAIM):
            id = stream[len(_CLAIM) :]
            claim = claims.get(id)
            if claim is None:
                claim = claims[id] = Claim(id)
            evolve(claim, event.position, leaf)
        elif isinstance(leaf.fact, PolicyAdopted):
            adopted.append(leaf.fact)
    return adopted


class Checks:
    """What is checked of every event beside its claim: the digests of its texts, and its time."""

    def __init__(self) -> None:
        self._found: list[Finding] = []
        self._missing: dict[tuple[str, Slot], int] = {}
        self._erased: set[tuple[str, Slot]] = set()
        self._last = ""

    def check(self, page: Sequence[Recorded]) -> None:
        """Check a page of events, read with their texts."""
        for event in page:
            leaf = event.leaf
            if leaf.recorded_at < self._last:
                self._found.append(Finding(position=event.position, wrong="time goes back"))
            self._last = leaf.recorded_at
            self._text(event, "wording", event.wording_salt, event.wording_raw, leaf.wording)
            self._text(event, "identity", event.identity_salt, event.identity_raw, leaf.identity)
            self.learn(event)

    def learn(self, event: Recorded) -> None:
        """Note what an event says was erased."""
        fact = event.leaf.fact
        if isinstance(fact, TextErased):
            self._erased.add((fact.event, fact.slot))

    @property
    def unexplained(self) -> dict[tuple[str, Slot], int]:
        """The texts that are missing and of which no fact seen so far says that they were erased."""
        return {text: position for text, position in self._missing.items() if text not in self._erased}

    def findings(self) -> list[Finding]:
        """Return everything that was wrong, in the order of positions."""
        lost = [Finding(position=at, wrong="lost or hidden", slot=slot) for (_, slot), at in self.unexplained.items()]
        return sorted(self._found + lost, key=lambda finding: (finding.position, finding.slot or ""))

    def _text(self, event: Recorded, slot: Slot, salt: bytes | None, raw: bytes | None, digest: str) -> None:
        if salt is None or raw is None:
            self._missing[event.leaf.id, slot] = event.position
        elif text_digest(salt, slot, raw) != digest:
            self._found.append(Finding(position=event.position, wrong="another digest", slot=slot))
