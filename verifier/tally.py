"""What a policy counts, kept as the facts of a claim come in.

`Tally.of(claim)` counts the whole set; `Tally.follow(claim)` takes the statements that came since, and
counts the whole set again only where a fact acted on what was counted before. Both give the same
numbers in every order of arrival, so a status costs as much after the hundred-thousandth statement
as after the tenth. A source that changes its mind costs as much as it has said.

The words are those of `docs/discussions/status.md`: a *support* is a live assertion or corroboration
of the whole claim whose speaker is not unknown; supports are counted by *origin*, in
`verifier.origins`. A statement that only carries an origin says nothing of its own: it moves no
source, and no source moves it.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from contextlib import contextmanager
from operator import attrgetter
from typing import Any, Final

from events.contracts import StatementCorrected
from verifier.claim import Claim, Retraction, Said
from verifier.origins import Origins, decrease, remove
from verifier.times import LATEST

SHOWN: Final = 20
"""How many members a list in an answer shows; it says how many there are."""

ELIGIBLE: Final = frozenset({"on_record", "documentary", "first_hand"})
"""How a speaker must be known for a denial to decide by itself."""

_key = attrgetter("key")
_earliest = attrgetter("earliest")
_latest = attrgetter("latest")


class Roll:
    """Statements in the order in which they were said; the id decides between equals."""

    __slots__ = ("_said",)

    def __init__(self) -> None:
        self._said: list[Said] = []

    def add(self, said: Said) -> None:
        """Take a statement that is not in yet."""
        if not self._said or self._said[-1].key < said.key:
            self._said.append(said)
        else:
            insort(self._said, said, key=_key)

    def drop(self, said: Said) -> None:
        """Leave out a statement that is in."""
        del self._said[bisect_left(self._said, said.key, key=_key)]

    @property
    def total(self) -> int:
        """How many there are."""
        return len(self._said)

    @property
    def first(self) -> list[Said]:
        """The statements that were said first, at most `SHOWN` of them."""
        return self._said[:SHOWN]


class Stand:
    """Where a source stands, by what it said itself: its latest word decides, and where that is both, it denies."""

    __slots__ = ("denials", "denies", "supports")

    def __init__(self) -> None:
        self.supports: list[Said] = []  # by their earliest moment
        self.denials: list[Said] = []  # by their latest moment
        self.denies = False

    def hear(self, said: Said) -> bool:
        """Take one more statement; say whether the source has changed sides."""
        first = not self.supports and not self.denials
        if said.side == "support":
            insort(self.supports, said, key=_earliest)
        else:
            insort(self.denials, said, key=_latest)
        before, self.denies = self.denies, self._denies()
        return not first and before != self.denies

    def forget(self, said: Said) -> bool:
        """Leave one statement out; say whether the source has changed sides."""
        side = self.supports if said.side == "support" else self.denials
        side.remove(said)
        before, self.denies = self.denies, self._denies()
        return bool(self.supports or self.denials) and before != self.denies

    def rests_on(self, said: Said) -> bool:
        """Say whether without this statement the source would stand on the other side."""
        if not self.supports or not self.denials:
            return False
        if said.side == "denial":
            return self.denials[-1] is said and not self._denies(until=-2)
        return self.supports[-1] is said and self._denies(since=-2)

    def _denies(self, *, since: int = -1, until: int = -1) -> bool:
        """Say whether its last word is a denial; other indexes leave out the last of a side."""
        if len(self.denials) < -until:
            return False
        return len(self.supports) < -since or self.denials[until].latest >= self.supports[since].earliest


class Tally:
    """The counts of one claim. Read-only for policies."""

    def __init__(self) -> None:
        self.supports = Roll()
        self.eligible = Roll()
        self.weak = Roll()
        self.superseded = Roll()
        self.unattributed = Roll()
        self.partial = Roll()
        self.left_out = Roll()
        self.outlets: dict[int, int] = {}
        self.denial_origins: dict[int, int] = {}
        self.live_supports = 0
        self.documented = 0
        self.felled: set[str] = set()  # the facts by which supports fell
        self.felled_alone: set[str] = set()  # those of them without which some support would be live
        self.ever_supported: dict[int, int] = {}
        self.ever_denied: dict[int, int] = {}
        self._last: list[tuple[str, tuple[str, str, str], Said]] = []  # the two that were said last
        self.made: dict[str, tuple[list[Said], tuple[Any, ...]]] = {}  # what a policy made of the statements it shows
        self._said_by: str | None = None
        self._roots: dict[int, int] = {}
        self._retractions: dict[tuple[str, int], list[Retraction]] = {}
        self._stands: dict[int, Stand] = {}
        self._origins = Origins()
        self._denied_until: list[str] = []  # the last moment of each eligible denial, in order

    # --- the whole set -----------------------------------------------------------------------------

    @classmethod
    def of(cls, claim: Claim, *, said_by: str | None = None) -> Tally:
        """Count the whole set. With `said_by`, only what had been said by that moment; what has no
        date is left out, and named in `left_out`."""
        tally = cls()
        tally._said_by = said_by
        tally._roots = claim.origin_roots()
        tally._know_retractions(claim)
        standing = []
        for said in claim.current():
            if not tally._is_too_late(said):
                if tally._stays(said, claim):
                    standing.append(said)
            elif said.latest == LATEST:
                tally.left_out.add(said)
        standing.sort(key=_key)  # so that every roll grows at its end
        # Every source is heard before anything is counted: so none changes sides while we count.
        for said in standing:
            if _takes_sides(said):
                tally._stands.setdefault(said.body.source, Stand()).hear(said)
        for said in standing:
            tally._count(said)
        return tally

    def _is_too_late(self, said: Said | Retraction) -> bool:
        return self._said_by is not None and said.latest > self._said_by

    def _know_retractions(self, claim: Claim) -> None:
        for retraction in claim.live_retractions():
            named = claim.find(retraction.fact.statement)
            if named is not None and not self._is_too_late(retraction):
                self._retractions.setdefault((named.side, self._root(named)), []).append(retraction)

    def is_fallen(self, said: Said) -> bool:
        """Say whether a live retraction took this statement away."""
        return bool(self._acts_on(said))

    def _stays(self, said: Said, claim: Claim) -> bool:
        """Say whether a current statement is live, and keep by what a support fell."""
        if said.side == "none":
            self._corrected_away(said, claim)
            return False
        acts = self._acts_on(said)
        if acts and _is_support(said):
            self._fell(acts)
        return not acts

    def _acts_on(self, said: Said) -> list[str]:
        """Return the retractions by which a statement fell: the one that names it, and those of its origin
        and side that were not made wholly before it. A carrier's takes only what came through it."""
        known = self._retractions.get((said.side, self._root(said)), ()) if self._retractions else ()
        return [r.id for r in known if r.fact.statement == said.id or (said.earliest <= r.latest and _reaches(r, said))]

    def _corrected_away(self, said: Said, claim: Claim) -> None:
        """Count a support that its own source corrected to no stance as one that fell."""
        if not isinstance(said.body, StatementCorrected) or said.body.by != "source" or said.replaces is None:
            return
        before = claim.find(said.replaces)
        if before is not None and _is_support(before):
            self._fell([said.id, *self._acts_on(before)], back=not self._is_too_late(before))

    def _fell(self, acts: list[str], *, back: bool = True) -> None:
        """Keep by which acts a support fell, and whether without the only one it would be `back`."""
        self.felled.update(acts)
        if back and len(acts) == 1:
            self.felled_alone.add(acts[0])

    # --- one more ----------------------------------------------------------------------------------

    def follow(self, claim: Claim) -> Tally:
        """Return the tally with what came since, which is this one wherever it could be changed in place."""
        unread, claim.unread = claim.unread, []
        if claim.changed or any(said.id in claim.acted_on or said.id in claim.withdrawn for said in unread):
            claim.changed = False
            return Tally.of(claim)
        for said in unread:
            if self._stays(said, claim):
                self._add(said)
        return self

    @contextmanager
    def without(self, said: Said, claim: Claim) -> Iterator[None]:
        """Leave out the fact behind a counted statement for a while: what it replaced is back."""
        before = claim.find(said.replaces) if said.replaces is not None else None
        kept = set(self.felled), set(self.felled_alone), list(self._last)
        self._take_out(said)
        back = before if before and not self._is_too_late(before) and self._stays(before, claim) else None
        if back is not None:
            self._add(back)
        try:
            yield
        finally:
            if back is not None:
                self._take_out(back)
            self._add(said)
            self.felled, self.felled_alone, self._last = kept

    def _add(self, said: Said) -> None:
        if _takes_sides(said):
            stand = self._stands.setdefault(said.body.source, Stand())
            if stand.hear(said):
                self._change_sides(stand, but=said)
        self._count(said)

    def _take_out(self, said: Said) -> None:
        if said.body.attribution == "unattributed":
            self.unattributed.drop(said)
            return
        if said.side == "support" and said.body.extent == "part":
            self.partial.drop(said)
            return
        self._forget(said)
        if self.is_superseded(said):
            self.superseded.drop(said)
        else:
            self._discount([said])
        if _takes_sides(said):
            stand = self._stands[said.body.source]
            if stand.forget(said):
                self._change_sides(stand)

    def _change_sides(self, stand: Stand, *, but: Said | None = None) -> None:
        """Supersede what a source said on the side it left, and count what it said on the other."""
        left, taken = (stand.supports, stand.denials) if stand.denies else (stand.denials, stand.supports)
        left, taken = [s for s in left if s is not but], [s for s in taken if s is not but]
        self._discount(left)
        for said in left:
            self.superseded.add(said)
        for said in taken:
            self.superseded.drop(said)
            self._place(said)

    # --- counting ----------------------------------------------------------------------------------

    def _root(self, said: Said) -> int:
        return self._roots.get(said.body.origin, said.body.origin)

    def _count(self, said: Said) -> None:
        """Count a live statement. Its source must have been heard."""
        body = said.body
        if body.attribution == "unattributed":
            self.unattributed.add(said)
            return
        if said.side == "support" and body.extent == "part":
            self.partial.add(said)
            return
        self._remember(said)
        self._place(said)

    def is_superseded(self, said: Said) -> bool:
        """Say whether the source of a live statement stands on the other side by now."""
        return not said.body.carries and self._stands[said.body.source].denies != (said.side == "denial")

    def _place(self, said: Said) -> None:
        if self.is_superseded(said):
            self.superseded.add(said)
        elif said.side == "support":
            self._count_support(said)
        else:
            self._count_denial(said)

    def _discount(self, counted: list[Said]) -> None:
        """Take back what `_place` did for statements that stood on the side of their source."""
        for said in counted:
            if said.side == "support":
                self._discount_support(said)
            else:
                self._discount_denial(said)
        self._origins.mend()

    def _remember(self, said: Said) -> None:
        if said.side == "support":
            self.live_supports += 1
        ever = self.ever_supported if said.side == "support" else self.ever_denied
        for outlet in said.outlets:
            ever[outlet] = ever.get(outlet, 0) + 1
        entry = (said.latest, said.key, said)
        if len(self._last) < 2 or entry > self._last[0]:
            insort(self._last, entry)
            del self._last[:-2]

    def _forget(self, said: Said) -> None:
        if said.side == "support":
            self.live_supports -= 1
        ever = self.ever_supported if said.side == "support" else self.ever_denied
        for outlet in said.outlets:
            decrease(ever, outlet)
        self._last = [entry for entry in self._last if entry[2] is not said]

    def _count_support(self, said: Said) -> None:
        self.supports.add(said)
        self.documented += bool(said.body.documents)
        for outlet in said.outlets:
            self.outlets[outlet] = self.outlets.get(outlet, 0) + 1
        self._origins.add(self._root(said), said)

    def _discount_support(self, said: Said) -> None:
        self.supports.drop(said)
        self.documented -= bool(said.body.documents)
        for outlet in said.outlets:
            decrease(self.outlets, outlet)
        self._origins.drop(self._root(said), said)

    def _count_denial(self, said: Said) -> None:
        number = self._root(said)
        self.documented += bool(said.body.documents)
        self.denial_origins[number] = self.denial_origins.get(number, 0) + 1
        if is_eligible(said):
            self.eligible.add(said)
            insort(self._denied_until, said.latest)
        else:
            self.weak.add(said)

    def _discount_denial(self, said: Said) -> None:
        self.documented -= bool(said.body.documents)
        decrease(self.denial_origins, self._root(said))
        if is_eligible(said):
            self.eligible.drop(said)
            remove(self._denied_until, said.latest)
        else:
            self.weak.drop(said)

    # --- what policies ask -------------------------------------------------------------------------

    @property
    def support_origins(self) -> int:
        """How many origins support the claim, those of one speaker counted once."""
        return self._origins.groups

    @property
    def firm(self) -> bool:
        """Whether at least one supporting origin has no anonymous and no interested support."""
        return self._origins.firm > 0

    @property
    def denials(self) -> int:
        """How many denials count, eligible and weak ones."""
        return self.eligible.total + self.weak.total

    @property
    def counts(self) -> tuple[int, int, int]:
        """How many origins support it, how many deny it, and how many outlets carry the supports."""
        return self._origins.groups, len(self.denial_origins), len(self.outlets)

    @property
    def last(self) -> Said | None:
        """The statement that was said last, superseded or not."""
        return self._last[-1][2] if self._last else None

    @property
    def overtaken(self) -> bool:
        """Whether at least two origins support the claim only since the last eligible denial."""
        return bool(self._denied_until) and self._origins.groups_after(self._denied_until[-1]) >= 2

    def first_origins(self, limit: int) -> tuple[int, ...]:
        """Return one origin for each group, by number, as far as the first supporting origins show them."""
        return self._origins.first(SHOWN)[:limit]

    def is_echo(self, said: Said) -> bool:
        """Say whether a counted support is not the only one of its origin."""
        return self._origins.has_several(self._root(said))

    def joins_its_source(self, said: Said) -> bool:
        """Say whether the origin of a counted support counts once with others of the same source."""
        return self._origins.has_company(self._root(said))

    def weighs(self, said: Said) -> bool | None:
        """Say whether without this counted statement one of the `counts` would be another (True), or
        nothing that a policy asks for (False); None where it has to be tried, with `without`."""
        body = said.body
        if said.replaces is not None or (not body.carries and self._stands[body.source].rests_on(said)):
            return None
        number = self._root(said)
        if said.side == "support":
            if any(self.outlets[outlet] == 1 for outlet in said.outlets):
                return True
            if self._origins.group_needs(number, said):
                return True
            may_turn = self._origins.firm_may_need(number)
        else:
            if self.denial_origins[number] == 1:
                return True
            roll = self.eligible if is_eligible(said) else self.weak
            may_turn = roll.total == 1 or any(self.ever_denied[outlet] == 1 for outlet in said.outlets)
        return None if may_turn or self.last is said else False


def is_eligible(said: Said) -> bool:
    """Say whether a denial decides by itself: of the whole claim, by a named speaker who is not a party."""
    body = said.body
    return body.extent == "whole" and body.standing != "interested" and body.attribution in ELIGIBLE


def _is_support(said: Said) -> bool:
    return said.side == "support" and said.body.extent == "whole" and said.body.attribution != "unattributed"


def _takes_sides(said: Said) -> bool:
    """Say whether a statement moves its source: it speaks, is attributed, and is no support of a part."""
    body = said.body
    if body.carries or body.attribution == "unattributed":
        return False
    return said.side == "denial" or body.extent == "whole"


def _reaches(retraction: Retraction, said: Said) -> bool:
    if retraction.fact.by == "source":
        return True
    party, body = retraction.fact.party, said.body
    return party in body.via or (body.carries and body.source == party)
