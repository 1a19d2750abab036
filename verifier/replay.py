"""Replay a whole log: every claim anew from its facts, by the same `evolve` as live, and nothing else.

It answers what only the meaning of the facts tells: do they give the statuses that were served, and those that were
attested. Only leaves are read; whether these and the texts are the ones that were recorded, `events.audit` checks.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final

from events.contracts import PolicyAdopted
from events.log import Log, Recorded
from events.tlog import Frontier, leaf_hash
from verifier.assessment import Assessment
from verifier.claim import Claim, evolve
from verifier.garbage import no_collections, take_as_old
from verifier.policy import DEFAULT, Policy, policy_named
from verifier.states import Attested, StateTree, attestations, state_of
from verifier.tally import Tally

Progress = Callable[[int, int], None]
"""Told after each page how far the replay is, and how far it is to go."""

LARGE: Final = 200
"""From how many events on the counts of a claim are kept while its states are computed again and again."""

_CLAIM: Final = "claim:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Disagreeing:
    """An attestation that the facts do not give: they give `root`, or nothing where it speaks of what was to come."""

    attested: Attested
    root: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StateProof:
    """That a claim's state is in a state digest: the bytes, their place, and the inclusion proof (RFC 6962)."""

    claim: str
    state: bytes
    index: int
    size: int
    proof: Sequence[bytes]
    root: str


class Folding:
    """The claims of a log as pages of its events are taken, and the state digest wherever it was attested.

    Give it what the log attests before the pages: which claims changed between two attestations is all that is
    assessed again. Only leaves are looked at.
    """

    def __init__(self, attested: Iterable[Attested] = ()) -> None:
        self.claims: dict[str, Claim] = {}
        """The state of each claim by its id."""
        self.position = 0
        """The last event that was taken."""
        self.in_force = DEFAULT
        """The policy in force there."""
        self.agreeing: list[Attested] = []
        """The attestations that the facts give."""
        self.disagreeing: list[Disagreeing] = []
        """Those that they don't."""
        self._ahead: list[Attested] = []  # the next one last
        self._under: Policy | None = None
        self._hashes: dict[str, bytes] = {}
        self._order: list[str] = []  # the claims that have a hash, by id
        self._changed: set[str] = set()
        self._tallies: dict[str, Tally] = {}
        for one in sorted(attested, key=lambda one: (one.at, one.position), reverse=True):
            if one.at < one.position:
                self._ahead.append(one)
            else:  # it speaks of what was to come
                self.disagreeing.append(Disagreeing(attested=one, root=None))

    def take(self, page: Sequence[Recorded]) -> None:
        """Take the next page. Raises `UnknownFact` for a fact that this version doesn't know, `NotFound` for a policy
        that it doesn't ship."""
        while self._ahead and self._ahead[-1].at <= page[-1].position:
            upto = max(0, self._ahead[-1].at - page[0].position + 1)
            self._take(page[:upto])
            page = page[upto:]
            self._check(self._ahead.pop())
            if not page:
                return
        self._take(page)

    def digest(self, policy: Policy) -> str:
        """Return the state digest under a policy, at the cost of what changed since it was asked for last."""
        if self._under is not policy:
            self._under = policy
            self._changed = set(self.claims)
        new = self._changed - self._hashes.keys()
        for id in self._changed:
            self._hashes[id] = leaf_hash(state_of(policy.assess(self.claims[id], self._count(id))))
        self._changed.clear()
        if new:
            self._order.extend(new)
            self._order.sort()
        tree = Frontier()
        for id in self._order:
            tree.append(self._hashes[id])
        return tree.root().hex()

    def _take(self, page: Sequence[Recorded]) -> None:
        """Let each event change its claim."""
        claims, changed = self.claims, self._changed
        for event in page:
            leaf = event.leaf
            stream = leaf.stream
            if stream.startswith(_CLAIM):
                id = stream[len(_CLAIM) :]
                claim = claims.get(id)
                if claim is None:
                    claim = claims[id] = Claim(id)
                evolve(claim, event.position, leaf)
                changed.add(id)
            elif isinstance(leaf.fact, PolicyAdopted):
                self.in_force = policy_named(leaf.fact.policy)
        if page:
            self.position = page[-1].position

    def _check(self, attested: Attested) -> None:
        root = self.digest(policy_named(attested.policy))
        if root == attested.root:
            self.agreeing.append(attested)
        else:
            self.disagreeing.append(Disagreeing(attested=attested, root=root))

    def _count(self, id: str) -> Tally:
        claim = self.claims[id]
        if len(claim.events) < LARGE:
            return Tally.of(claim)
        tally = self._tallies[id] = self._tallies.get(id, Tally()).follow(claim)
        return tally


@dataclass(kw_only=True)
class Replayed:
    """A log as its facts leave it at a position. `folded` holds the state of each claim by its id; `rules` is
    the policy that was asked for, or was in force there. `disagreeing` is empty where no attestation was wrong."""

    log: str
    position: int = 0
    recorded_at: str | None = None
    rules: Policy = DEFAULT
    folded: dict[str, Claim] = field(default_factory=dict)
    agreeing: list[Attested] = field(default_factory=list)
    disagreeing: list[Disagreeing] = field(default_factory=list)

    @property
    def policy(self) -> str:
        """The id of the policy by which the claims are assessed."""
        return self.rules.id

    @property
    def claims(self) -> int:
        """How many claims there are."""
        return len(self.folded)

    def under(self, policy: Policy) -> Replayed:
        """Return the same facts under another policy."""
        return replace(self, rules=policy)

    def assess(self, claim_id: str) -> Assessment:
        """Say how the evidence of a claim stands."""
        claim = self.folded[claim_id]
        return self.rules.assess(claim, Tally.of(claim))

    @property
    def states(self) -> Mapping[str, tuple[int, str]]:
        """The position and the state digest of each claim, in the order of their ids."""
        return self._summary.states

    @property
    def statuses(self) -> Mapping[str, tuple[str, str]]:
        """The status of each claim and the rule that decided, in the order of their ids."""
        return self._summary.statuses

    @property
    def by_status(self) -> Mapping[str, int]:
        """How many claims have each status."""
        return dict(sorted(Counter(status for status, _ in self.statuses.values()).items()))

    @property
    def digest(self) -> str:
        """The state digest of the log at this position: the root over all claim states (`verifier.states`), in hex."""
        return self._summary.tree.root

    def prove(self, claim_id: str) -> StateProof:
        """Prove a claim's state: that it is in `digest`. Raises `KeyError` for a claim that there is not."""
        state, tree = state_of(self.assess(claim_id)), self._summary.tree
        index = tree.index(claim_id)
        assert index is not None  # the tree has every claim that is folded
        return StateProof(
            claim=claim_id, state=state, index=index, size=tree.size, proof=tree.prove(index), root=tree.root
        )

    @cached_property
    def _summary(self) -> _Summary:
        summary = _Summary()
        for id in sorted(self.folded):
            assessment = self.assess(id)
            state = state_of(assessment)
            summary.states[id] = (assessment.position, hashlib.sha256(state).hexdigest())
            summary.statuses[id] = (assessment.status, assessment.rule)
            summary.tree.add(id, state)
        return summary


@dataclass(slots=True)
class _Summary:
    states: dict[str, tuple[int, str]] = field(default_factory=dict)
    statuses: dict[str, tuple[str, str]] = field(default_factory=dict)
    tree: StateTree = field(default_factory=StateTree)


async def replay(
    log: Log,
    *,
    upto: int | None = None,
    policy: Policy | None = None,
    progress: Progress | None = None,
    attested: bool = False,
) -> Replayed:
    """Fold every claim of a log, up to a position or its head.

    With `attested`, each attestation recorded up to there is computed again, and those that the facts don't give are
    in `disagreeing`. Raises `UnknownFact` for a fact that this version doesn't know, `NotFound` for a policy that it
    doesn't ship.
    """
    head = await log.head()
    end = head if upto is None else min(upto, head)
    replayed = Replayed(log=log.id)
    folding = Folding(await attestations(log, upto=end) if attested else ())
    async for page in log.read_all(upto=end, texts=False):
        with no_collections():
            folding.take(page)
            take_as_old()
        replayed.recorded_at = page[-1].recorded_at
        if progress is not None:
            progress(folding.position, end)
    replayed.position, replayed.folded = folding.position, folding.claims
    replayed.agreeing, replayed.disagreeing = folding.agreeing, folding.disagreeing
    replayed.rules = policy or folding.in_force
    return replayed
