"""A claim folded from its facts: state, names and tally together, and a bounded cache of them.

There is one way to build a claim: read its facts and `apply` each. Live commands, views, replay and
"as of" all do that, and nothing else.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from events.log import Log, Recorded
from verifier.assessment import Assessment
from verifier.claim import Claim, evolve
from verifier.names import Names
from verifier.policy import Policy, Rule
from verifier.slices import in_slices
from verifier.tally import Tally

CACHED: Final = 200_000
"""How many events the cache of folded claims holds, over all claims."""


class Folded:
    """One claim: its state from leaves, its names from texts, and the running tally. `stale_names` says that a
    text was erased since: what `names` has of it must not be shown."""

    __slots__ = ("_assessed", "_ruled", "_tally", "claim", "names", "stale_names")

    def __init__(self, claim_id: str) -> None:
        self.claim = Claim(claim_id)
        self.names = Names()
        self.stale_names = False
        self._tally: Tally | None = None
        self._assessed: tuple[Policy, Assessment] | None = None
        self._ruled: tuple[Policy, Rule] | None = None

    @property
    def position(self) -> int:
        """The position of the claim's last event that was applied."""
        return self.claim.position

    def apply(self, events: Iterable[Recorded]) -> None:
        """Take facts in. Cannot fail; facts that were taken before change nothing."""
        self._assessed = self._ruled = None
        for event in events:
            evolve(self.claim, event.position, event.leaf)
            self.stale_names |= self.names.learn(event)

    def assess(self, policy: Policy) -> Assessment:
        """Say how the evidence stands under a policy, at the cost of what came since the last time."""
        if self._assessed is None or self._assessed[0] is not policy:
            self._assessed = (policy, policy.assess(self.claim, self.count()))
        return self._assessed[1]

    def rule(self, policy: Policy) -> Rule:
        """Return the rule that decides under a policy, at the cost of what came since the last time."""
        if self._ruled is None or self._ruled[0] is not policy:
            self._ruled = (policy, policy.rule_for(self.claim, self.count()))
        return self._ruled[1]

    def count(self) -> Tally:
        """Return the running tally, at the cost of what came since the last time."""
        self._tally = (self._tally or Tally()).follow(self.claim)
        return self._tally

    def assess_said_by(self, policy: Policy, said_by: str) -> Assessment:
        """Say how it stood by what had been said by a moment, with today's facts and corrections."""
        return policy.assess(self.claim, Tally.of(self.claim, said_by=said_by))


class Folds:
    """Folded claims by id, the least recently used dropped first. Belongs to one task at a time per claim."""

    def __init__(self, log: Log, *, limit: int = CACHED) -> None:
        self._log = log
        self._limit = limit
        self._folds: OrderedDict[str, Folded] = OrderedDict()
        self._sizes: dict[str, int] = {}
        self._held = 0

    def cached(self, claim_id: str) -> Folded | None:
        """Return a claim from the cache; it may lag behind the log."""
        folded = self._folds.get(claim_id)
        if folded is not None:
            self._folds.move_to_end(claim_id)
        return folded

    async def fresh(self, claim_id: str) -> Folded:
        """Return a claim with everything the log has of it, and with no text that was erased."""
        folded = self._folds.get(claim_id) or Folded(claim_id)
        await catch_up(self._log, folded)
        while folded.stale_names:
            # Read again what is older than the erasure: when that was recorded, the text was gone already.
            folded = await fold(self._log, claim_id, upto=folded.position)
            folded.stale_names = False
            await catch_up(self._log, folded)
        self.keep(folded)
        return folded

    def keep(self, folded: Folded) -> None:
        """Put a claim into the cache, or note that it has grown."""
        claim_id = folded.claim.id
        size = len(folded.claim.events) + 1
        self._held += size - self._sizes.get(claim_id, 0)
        self._sizes[claim_id] = size
        self._folds[claim_id] = folded
        self._folds.move_to_end(claim_id)
        while self._held > self._limit and len(self._folds) > 1:
            self.drop(next(iter(self._folds)))

    def drop(self, claim_id: str) -> None:
        """Forget a claim: the next to ask reads it anew."""
        if self._folds.pop(claim_id, None) is not None:
            self._held -= self._sizes.pop(claim_id, 0)

    async def let_go(self) -> None:
        """Forget every claim, bit by bit."""
        await in_slices(list(self._folds), self.drop)


async def catch_up(log: Log, folded: Folded, *, upto: int | None = None) -> None:
    """Apply what the log has of a claim since it was folded, up to a position."""
    async for page in log.read(f"claim:{folded.claim.id}", after=folded.position, upto=upto):
        folded.apply(page)


async def fold(log: Log, claim_id: str, *, upto: int | None = None) -> Folded:
    """Fold a claim from the log, as of a position. A claim that isn't there has position 0."""
    folded = Folded(claim_id)
    await catch_up(log, folded, upto=upto)
    return folded
