"""The supports of a claim by origin, and which origins count once.

An *origin* is where the information entered the world, and any number of outlets may carry it. Origins
for which the same source speaks form one *group* and count once: nobody corroborates himself. An origin
is *firm* when none of its supports is anonymous or interested.

Supports come and go one by one. What the speakers join is joined at once; where a support goes, its
group is put together anew, once all that go together are gone (`mend`).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort

from verifier.claim import Said
from verifier.times import LATEST


class Support:
    """What supports a claim by one origin."""

    __slots__ = ("group", "links", "moments", "unfirm")

    def __init__(self, number: int) -> None:
        self.group = Group({number}, size=0, since=LATEST)
        self.moments: list[str] = []  # when each support may have been said first, in order
        self.unfirm = 0  # how many of the supports are anonymous or interested
        self.links: set[int] = set()  # the sources that speak for this origin and for another one

    @property
    def firm(self) -> bool:
        """Whether there is a support, and none is anonymous or interested."""
        return bool(self.moments) and not self.unfirm


class Group:
    """Origins that count once, by number. `size` is how many supports they have, `since` the earliest moment at which
    one of them may have spoken.

    It names them and does not hold them: supports and group would hold each other, and a claim that is let go would
    wait for the garbage collector, which hardly ever looks at what is old.
    """

    __slots__ = ("numbers", "since", "size")

    def __init__(self, numbers: set[int], size: int, since: str) -> None:
        self.numbers = numbers
        self.size = size
        self.since = since


class Origins:
    """The origins that support one claim, and their groups."""

    def __init__(self) -> None:
        self.firm = 0  # how many of them are firm
        self._supports: dict[int, Support] = {}
        self._in_order: list[int] = []  # by number
        self._spoken: dict[int, dict[int, int]] = {}  # by source, how often it speaks for which of them
        self._since: list[str] = []  # of each group, in order
        self._torn: set[Group] = set()  # what `mend` has to put together

    # --- what is asked -----------------------------------------------------------------------------

    @property
    def groups(self) -> int:
        """How many origins there are, those of one speaker counted once."""
        return len(self._since)

    def groups_after(self, moment: str) -> int:
        """Return how many of them speak only after this moment."""
        return len(self._since) - bisect_right(self._since, moment)

    def has_several(self, number: int) -> bool:
        """Say whether this origin has more than one support."""
        return len(self._supports[number].moments) > 1

    def has_company(self, number: int) -> bool:
        """Say whether this origin counts once with others, for which the same source speaks."""
        return len(self._supports[number].group.numbers) > 1

    def first(self, looked_at: int) -> tuple[int, ...]:
        """Return one origin for each group, by number, as far as the first few origins show them."""
        firsts = {self._supports[number].group: number for number in reversed(self._in_order[:looked_at])}
        return tuple(sorted(firsts.values()))

    def group_needs(self, number: int, said: Said) -> bool:
        """Say whether without this support there would be another number of groups."""
        support, source = self._supports[number], said.body.source
        if support.group.size == 1:
            return True
        if said.body.carries or len(support.moments) == 1 or source not in support.links:
            return False
        # If it is the only tie to the other origins of its source, the others who support this one count apart.
        return self._spoken[source][number] == 1 and not self._tied_without(number, source)

    def firm_may_need(self, number: int) -> bool:
        """Say whether there could be the first firm origin, or none any more, without one of this one's supports."""
        support = self._supports[number]
        return (self.firm == 1 and len(support.moments) == 1) or (self.firm == 0 and support.unfirm == 1)

    def _tied_without(self, number: int, source: int) -> bool:
        """Say whether others than this source tie the origin to the other origins of this source."""
        reached, ahead, heard = {number}, [number], {source}
        while ahead:
            for other in self._supports[ahead.pop()].links - heard:
                heard.add(other)
                fresh = self._spoken[other].keys() - reached
                if any(source in self._supports[origin].links for origin in fresh):
                    return True
                reached |= fresh
                ahead.extend(fresh)
        return False

    # --- one more ----------------------------------------------------------------------------------

    def add(self, number: int, said: Said) -> None:
        """Take one more support by the origin with this number. Nothing may be torn."""
        support = self._supports.get(number) or self._new(number)
        self.firm -= support.firm
        insort(support.moments, said.earliest)
        support.unfirm += _is_unfirm(said)
        self.firm += support.firm
        group = support.group
        group.size += 1
        if said.earliest < group.since:
            self._move(group, said.earliest)
        if not said.body.carries:
            self._speak(said.body.source, number)

    def _new(self, number: int) -> Support:
        support = self._supports[number] = Support(number)
        insort(self._in_order, number)
        insort(self._since, support.group.since)
        return support

    def _move(self, group: Group, since: str) -> None:
        remove(self._since, group.since)
        insort(self._since, since)
        group.since = since

    def _speak(self, source: int, number: int) -> None:
        spoken = self._spoken.setdefault(source, {})
        spoken[number] = spoken.get(number, 0) + 1
        if spoken[number] == 1 and len(spoken) > 1:
            here, there = self._supports[number], self._supports[next(iter(spoken))]
            here.links.add(source)
            there.links.add(source)  # of three or more, all but the new one are linked already
            self._join(here.group, there.group)

    def _join(self, one: Group, other: Group) -> None:
        if one is other:
            return
        if len(one.numbers) > len(other.numbers):
            one, other = other, one
        for number in one.numbers:
            self._supports[number].group = other
        other.numbers |= one.numbers
        other.size += one.size
        remove(self._since, one.since)
        if one.since < other.since:
            self._move(other, one.since)

    # --- one less ----------------------------------------------------------------------------------

    def drop(self, number: int, said: Said) -> None:
        """Leave out a support; the groups are right again after `mend`."""
        support = self._supports[number]
        self.firm -= support.firm
        remove(support.moments, said.earliest)
        support.unfirm -= _is_unfirm(said)
        self.firm += support.firm
        if not said.body.carries:
            self._fall_silent(said.body.source, number)
        if not support.moments:
            del self._supports[number]
            del self._in_order[bisect_left(self._in_order, number)]
        self._torn.add(support.group)

    def _fall_silent(self, source: int, number: int) -> None:
        spoken = self._spoken[source]
        decrease(spoken, number)
        if number not in spoken:
            self._supports[number].links.discard(source)
            if len(spoken) == 1:
                self._supports[next(iter(spoken))].links.discard(source)

    def mend(self) -> None:
        """Put what is left of each torn group together anew: it may have come apart."""
        for group in self._torn:
            remove(self._since, group.since)
            left = group.numbers & self._supports.keys()
            while left:
                part = self._reach(left.pop())
                left -= part
                supports = [self._supports[number] for number in part]
                size = sum(len(support.moments) for support in supports)
                new = Group(part, size, min(support.moments[0] for support in supports))
                insort(self._since, new.since)
                for support in supports:
                    support.group = new
        self._torn.clear()

    def _reach(self, number: int) -> set[int]:
        reached, ahead, heard = {number}, [number], set[int]()
        while ahead:
            for source in self._supports[ahead.pop()].links - heard:
                heard.add(source)
                fresh = self._spoken[source].keys() - reached
                reached |= fresh
                ahead.extend(fresh)
        return reached


def _is_unfirm(said: Said) -> bool:
    return said.body.attribution == "anonymous" or said.body.standing == "interested"


def decrease(counter: dict[int, int], key: int) -> None:
    """Count one less; what is counted no more is gone."""
    counter[key] -= 1
    if not counter[key]:
        del counter[key]


def remove(moments: list[str], moment: str) -> None:
    """Leave out one moment of a sorted list."""
    del moments[bisect_left(moments, moment)]
