"""Claim states, and the tree over them: how all claims stand, in one hash that proves each of them.

A *claim state* is the canonical bytes of a claim's assessment: it is another one wherever a status, a count, a rule
or an attention is. The *state digest* of a log at a position is the root (RFC 6962, `events.tlog`) over the states
of all its claims in the order of their ids.

An attestation is that root, recorded into the log as `statuses.attested`, with the position and the policy that it is
about. Whoever has the leaves can compute it again, and a status is proved by its place in the tree.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import Final

from events.contracts import StatusesAttested
from events.leaf import canonical
from events.log import Log, Recorded
from events.tlog import Frontier, leaf_hash, prove_inclusion
from verifier.assessment import Assessment

_HASH: Final = 32
_TILE: Final = 256
"""How many hashes the tree keeps together: a proof puts a few such rows together anew."""

_ID: Final = len("clm_") + 26


def state_of(assessment: Assessment) -> bytes:
    """Return the bytes of a claim's state: canonical JSON, the same for ever for the same facts and policy."""
    return canonical(assessment)


class StateTree:
    """The tree over claim states. Claims are added in the order of their ids; holds about 65 bytes for each."""

    def __init__(self) -> None:
        self._ids = bytearray()
        self._rows = [bytearray()]  # level 0 has the leaves, each next level one hash for 256 of the one before
        self._all = Frontier()

    def add(self, claim: str, state: bytes) -> None:
        """Add the state of a claim whose id comes after all that were added."""
        self._ids += claim.encode()
        hashed = leaf_hash(state)
        self._all.append(hashed)
        self._keep(hashed)

    def _keep(self, hashed: bytes) -> None:
        for level in range(len(self._rows) + 1):
            if level == len(self._rows):
                self._rows.append(bytearray())
            row = self._rows[level]
            row += hashed
            if len(row) % (_TILE * _HASH):
                return
            hashed = _root_of(row[-_TILE * _HASH :])

    @property
    def size(self) -> int:
        """How many claims there are."""
        return len(self._ids) // _ID

    @property
    def root(self) -> str:
        """The root over all states, in hex; of no claims the hash of nothing, as RFC 6962 has it."""
        return self._all.root().hex()

    def index(self, claim: str) -> int | None:
        """Return the place of a claim, counted from 0, or `None` where it is not in the tree."""
        at = bisect_left(range(self.size), claim, key=self._id)
        return at if at < self.size and self._id(at) == claim else None

    def _id(self, index: int) -> str:
        return self._ids[index * _ID : (index + 1) * _ID].decode()

    def prove(self, index: int) -> list[bytes]:
        """Return the inclusion proof (RFC 6962, section 2.1.1) of the state at a place."""
        return prove_inclusion(index, self.size, self._tile)

    def _tile(self, level: int, n: int, width: int) -> bytes:
        start = n * _TILE * _HASH
        return bytes(self._rows[level][start : start + width * _HASH])


def _root_of(row: bytes | bytearray) -> bytes:
    tree = Frontier()
    for start in range(0, len(row), _HASH):
        tree.append(bytes(row[start : start + _HASH]))
    return tree.root()


# --- attestations ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Attested:
    """An attestation: the event at `position` says that under `policy` the state digest at `at` is `root`."""

    position: int
    event: str
    recorded_at: str
    at: int
    policy: str
    root: str


def attested_by(event: Recorded) -> Attested | None:
    """Return the attestation that an event is, or `None` where it is another fact, or in another stream."""
    fact = event.leaf.fact
    if not isinstance(fact, StatusesAttested) or event.stream != "log":
        return None
    return Attested(
        position=event.position,
        event=event.id,
        recorded_at=event.recorded_at,
        at=fact.at,
        policy=fact.policy,
        root=fact.root,
    )


async def attestations(log: Log, *, after: int = 0, upto: int | None = None) -> list[Attested]:
    """Return what a log attests, in the order of positions. Raises what every verb that reads does."""
    return [
        attested
        async for page in log.read("log", after=after, upto=upto)
        for event in page
        if (attested := attested_by(event)) is not None
    ]
