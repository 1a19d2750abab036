"""How the evidence for a claim stands: what a policy answers, computed from leaves alone.

Everything here names parties and origins by their numbers in the claim; `verifier.sentences` and
`verifier.render` put the names beside them when it is read.
"""

from __future__ import annotations

import hashlib
from typing import Literal

import msgspec

from events.contracts import Occurred, Status
from events.contracts import Verdict as VerdictWord
from events.leaf import canonical

Attention = Literal["who", "when", "no_evidence", "overtaken", "verdict_stale"]
"""What somebody should look at: an unattributed statement; a decisive one without a date; no document
at all; two new origins since the last denial; a verdict given on another status."""

SetAsideReason = Literal["the speaker is not identified", "speaks of a part only"]


class Ground(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A fact on which the status rests, as far as its leaf tells. Numbers are local to the claim. Where the
    source only `carries` the origin, the word is the origin's."""

    event: str
    source: int | None = None
    via: tuple[int, ...] = ()
    origin: int | None = None
    carries: bool = False
    attribution: str | None = None
    standing: str | None = None
    extent: str | None = None
    occurred: Occurred | None = None


class SetAside(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A statement without effect, and why."""

    event: str
    reason: SetAsideReason


class Grounds(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """The first of the facts on which the status rests, and how many there are."""

    total: int
    shown: tuple[Ground, ...]


class SetAsides(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """The first of the statements without effect, and how many there are."""

    total: int
    shown: tuple[SetAside, ...]


class Events(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """The first of some events, and how many there are."""

    total: int
    shown: tuple[str, ...]


class Counts(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """How many origins support and deny the claim, and how many outlets carry the supports."""

    support_origins: int
    denial_origins: int
    outlets: int


class Judged(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A person's verdict. It is stale once the status is not the one that the editor had before them."""

    event: str
    verdict: VerdictWord
    seen: int
    status: Status
    stale: bool


class Assessment(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """How the evidence stands, computed from leaves alone: the same bytes for ever under the same basis.

    `grounds` are the facts on which the rule rests; `decisive` those of the shown ones without which
    rule, status or a count would be another. `origins` are the first local numbers of what supports
    the claim, `denials` what is said against it where the rule rests on something else.
    """

    claim: str
    position: int
    policy: str
    status: Status
    rule: str
    counts: Counts
    grounds: Grounds
    decisive: tuple[str, ...]
    set_aside: SetAsides
    superseded: Events
    left_out: Events
    attention: tuple[Attention, ...]
    origins: tuple[int, ...]
    denials: tuple[Ground, ...]
    into: tuple[str, ...]
    verdict: Judged | None
    checkable: bool

    @property
    def digest(self) -> str:
        """SHA-256 over the canonical form, in hex: the claim's state digest."""
        return hashlib.sha256(canonical(self)).hexdigest()
