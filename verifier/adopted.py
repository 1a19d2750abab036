"""Which policy the desk served when: `standing/1`, until the log says otherwise."""

from __future__ import annotations

from bisect import bisect_right

from events.contracts import PolicyAdopted
from events.log import Log, Recorded
from verifier.policy import DEFAULT, Policy, policy_named


class Adopted:
    """The policies adopted in a log, by position. Safe to tell the same fact twice."""

    def __init__(self) -> None:
        self._positions: list[int] = []
        self._policies: list[Policy] = []

    @classmethod
    async def read(cls, log: Log) -> Adopted:
        """Read what a log has adopted so far.

        Raises `NotFound` where it has adopted a policy that this version doesn't ship.
        """
        adopted = cls()
        async for page in log.read("log"):
            for event in page:
                adopted.learn(event)
        return adopted

    def learn(self, event: Recorded) -> bool:
        """Take a fact; say whether it adopted another policy."""
        fact = event.leaf.fact
        if not isinstance(fact, PolicyAdopted) or event.position in self._positions:
            return False
        at = bisect_right(self._positions, event.position)
        self._positions.insert(at, event.position)
        self._policies.insert(at, policy_named(fact.policy))
        return True

    def at(self, position: int | None = None) -> Policy:
        """Return the policy in force at a position, or now."""
        if position is None:
            return self._policies[-1] if self._policies else DEFAULT
        adopted = bisect_right(self._positions, position)
        return self._policies[adopted - 1] if adopted else DEFAULT
