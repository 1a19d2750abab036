"""The audit itself: read the log once, check each event, grow the tree, compare with what was signed.

    1  the checkpoint: its signatures, the policy
    2  each event by itself (`checks`), which other processes may help with
    3  the tree over the leaves, against every tile kept (`tree`)
    4  the whole: ids, erasures (`events.ledger`), and what follows the facts, such as a replay
    5  the root at the checkpoint, and at each checkpoint that was kept

Memory does not grow with the log: what must be known of all events stands in a temporary database.
"""

from __future__ import annotations

import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from typing import Final, Protocol

from events.audit.book import Book, OpenBook
from events.audit.checks import Checked, Scope, check, events_in
from events.audit.findings import Finding, Kind
from events.audit.tree import Difference, Tree
from events.audit.trust import Signed, SignedHead, Trust, read_signed
from events.contracts import TextErased
from events.errors import Damaged, LogError, SchemaMismatch
from events.ledger import Ledger
from events.log import Recorded
from events.rows import ROWS

Progress = Callable[[int, int], None]
"""Told now and then how far the audit is, and how far it is to go."""

SHOWN: Final = 1_000
"""How many findings are kept of each kind; all are counted."""

_AHEAD: Final = 2
"""How many spans wait for each helper, so that none is ever without work."""


class Follower(Protocol):
    """What follows the facts in the order of positions while a log is audited."""

    def begin(self, attesting: Sequence[Recorded]) -> None:
        """Take notice of what the log attests, before its events."""
        ...

    def take(self, page: Sequence[Recorded]) -> None:
        """Take the next events, without their texts."""
        ...

    def end(self) -> Iterator[Finding]:
        """Yield what was wrong."""
        ...


@dataclass(slots=True, kw_only=True)
class Audited:
    """What an audit found. Nothing is wrong where `findings` is empty.

    `size` and `root` are what the checkpoint signs, `None` where there is none whose signature holds. `covered` is up
    to where the log is what a checkpoint says, that one or one that was kept; what comes after it, up to `head`, is
    the tail that nobody has sealed yet, or what is not as it was sealed. `keys` are the public keys by which the
    signature was checked, and `own_keys` says that they are only those that the place itself names.
    """

    log: str | None = None
    head: int = 0
    size: int | None = None
    root: str | None = None
    covered: int = 0
    keys: Sequence[str] = ()
    own_keys: bool = False
    known: int = 0
    texts: bool = False
    findings: list[Finding] = field(default_factory=list)
    counts: Counter[Kind] = field(default_factory=Counter)

    @property
    def unsealed(self) -> int:
        """How many events at the end no checkpoint covers."""
        return self.head - self.covered

    def add(self, finding: Finding) -> None:
        """Take a finding: counted always, kept unless there are very many of its kind."""
        self.counts[finding.kind] += 1
        if self.counts[finding.kind] <= SHOWN:
            self.findings.append(finding)


def audit(
    book: Book,
    trust: Trust = Trust(),  # noqa: B008  # frozen, so it can be shared
    *,
    follower: Follower | None = None,
    processes: int = 1,
    progress: Progress | None = None,
) -> Audited:
    """Audit a log: everything that can be checked of it without knowing what its facts mean.

    Blocks until it is done. `processes` says how many share the checks of the events. Whatever is wrong with the log
    is a finding; raises `Invalid` for what the auditor gave, and `LogError` or `OSError` where the place can't be
    read at all or not now.
    """
    with ExitStack() as stack:
        try:
            opened = stack.enter_context(closing(book.open()))
            signed = read_signed(opened, trust)
            ledger = stack.enter_context(closing(Ledger()))
            work = _Audit(opened, signed, ledger, follower, progress)
        except (Damaged, SchemaMismatch) as error:
            return _unread(error)
        helpers = stack.enter_context(closing(_Helpers(book, work.scope, processes - 1)))
        try:
            work.run(helpers)
        except (Damaged, SchemaMismatch) as error:
            work.done.add(Finding(kind="storage", what=str(error), position=getattr(error, "position", None)))
        work.done.findings.sort(key=lambda finding: (finding.position or 0, finding.upto or 0))
        return work.done


def _unread(error: LogError) -> Audited:
    done = Audited()
    done.add(Finding(kind="storage", what=str(error)))
    return done


class _Audit:
    """One run. Everything in it happens in the order of positions."""

    def __init__(
        self, book: OpenBook, signed: Signed, ledger: Ledger, follower: Follower | None, progress: Progress | None
    ) -> None:
        self._book = book
        self._signed = signed
        self._ledger = ledger
        self._follower = follower
        self._progress = progress
        # The checkpoint was read before: a log that grows meanwhile is never behind it.
        # Where only a checkpoint says what belongs to the log, one that doesn't hold says nothing.
        self._head = book.head() if signed.head or not book.is_published else 0
        heads = [head for head in (signed.head, *signed.known) if head is not None]
        marks = frozenset(head.size for head in heads)
        size = signed.head.size if signed.head else self._head
        self.scope = Scope(size=size, marks=marks, sought=book.sought())
        self._tree = Tree(book, size, marks)
        self._last = ""
        self._found = self.scope.sought in (None, "")
        self.done = Audited(
            head=self._head,
            size=signed.head.size if signed.head else None,
            root=signed.head.root.hex() if signed.head else None,
            keys=signed.by,
            own_keys=signed.own,
            known=len(signed.known),
            texts=book.has_texts,
        )

    def run(self, helpers: _Helpers) -> None:
        for finding in self._signed.findings:
            self.done.add(finding)
        if self._follower is not None:
            self._follower.begin(list(self._attesting()))
        waiting: dict[int, Checked | Future[Checked | None]] = {}
        spans = [(after, min(after + ROWS, self._head)) for after in range(0, self._head, ROWS)]
        taken = 0
        for number, span in enumerate(spans):
            helpers.fill(spans, number, waiting)
            if number not in waiting:
                mine = waiting[number] = check(self._book, *span, self.scope)
                self._follow(mine.events)
                mine.events = []
            else:
                self._follow(self._events(*span))
            while taken in waiting and (checked := self._answer(waiting, taken, spans, last=number + 1 == len(spans))):
                self._take(checked)
                del waiting[taken]
                taken += 1
            if self._progress is not None:
                self._progress(span[1], self._head)
        self._end()

    def _attesting(self) -> Iterator[Recorded]:
        for position, raw in self._book.attesting(upto=self._head):
            yield Recorded(position, raw)

    def _events(self, after: int, upto: int) -> list[Recorded]:
        """Return the events of a span that somebody else checks, or that comes after what is audited."""
        return events_in(self._book.pages(after=after, upto=upto, texts=False), after)

    def _answer(
        self,
        waiting: dict[int, Checked | Future[Checked | None]],
        number: int,
        spans: Sequence[tuple[int, int]],
        *,
        last: bool,
    ) -> Checked | None:
        """Return what came of a span, `None` where it isn't known yet; at the last, wait for it."""
        answer = waiting[number]
        if isinstance(answer, Checked):
            return answer
        if not (answer.done() or last):
            return None
        try:
            checked = answer.result()
        except BrokenExecutor:  # a helper was killed: what they all left is done here
            checked = None
        # A helper that couldn't read says so by nothing: reading here raises what it could not tell.
        return checked if checked is not None else check(self._book, *spans[number], self.scope)

    def _follow(self, events: list[Recorded]) -> None:
        self._ledger.events((event.leaf.id, event.position) for event in events)
        self._ledger.erased(
            (fact.event, fact.slot, event.position) for event in events if isinstance(fact := event.fact, TextErased)
        )
        if self._follower is not None and events:
            self._follower.take(events)

    def _take(self, checked: Checked) -> None:
        """Take what came of the next span."""
        for finding in checked.findings:
            self.done.add(finding)
        if checked.first and checked.first < self._last:
            what = f"recorded at {checked.first}, the event before it at {self._last}"
            self.done.add(Finding(kind="time", what=what, position=checked.after + 1))
        self._last = max(self._last, checked.last)
        self._found = self._found or checked.found
        self.done.log = self.done.log or checked.log
        self._ledger.missing(checked.missing)
        self._tree.take(checked)

    # --- at the end ----------------------------------------------------------------------------------

    def _end(self) -> None:
        self._tree.end()
        self._learn()
        for doubt, position, slot in self._ledger.doubts(texts=self._book.has_texts):
            self.done.add(Finding(kind=doubt, what=_DOUBTS[doubt].format(slot), position=position, slot=slot))
        self._compare()
        for finding in self._book.beside():
            self.done.add(finding)
        if self._book.log() not in (None, self.done.log):
            what = f"the place says that it is log {self._book.log()}, its first event opens {self.done.log}"
            self.done.add(Finding(kind="opening", what=what, position=1))
        if not self._found:
            what = f"the storage says that an event was recorded at {self.scope.sought}, and none was"
            self.done.add(Finding(kind="column", what=what))
        if self._follower is not None:
            for finding in self._follower.end():
                self.done.add(finding)

    def _learn(self) -> None:
        """Take notice of what was erased since the audit began: such a text may have been missing already, or not."""
        head = self._head if self._book.is_published else self._book.head()
        if head > self._head:
            facts = [event.fact for event in self._events(self._head, head)]
            self._ledger.explain((fact.event, fact.slot) for fact in facts if isinstance(fact, TextErased))

    def _compare(self) -> None:
        """Compare the tree with what was signed, and say of what differs from kept tiles which of the two it is."""
        held = 0
        for known in self._signed.known:
            held = self._known(known, held)
        head = self._signed.head
        rewritten = False
        if head is not None and head.size > self._tree.size:
            self._behind(head)
            rewritten = True
        elif head is not None and self._tree.roots[head.size] != head.root:
            rewritten = True
            what = f"the leaves do not give the root of {head.name}, which was signed for {head.size:,} events"
            first = held + 1 if held < head.size else 1
            self.done.add(Finding(kind="root", what=what, position=first, upto=head.size))
        elif head is not None:
            held = max(held, head.size)
        self.done.covered = held
        self._tiles(sealed=head is not None and not rewritten)

    def _known(self, known: SignedHead, held: int) -> int:
        """Compare with a checkpoint that was kept; return up to where the log is the one it was then."""
        if known.size > self._tree.size:
            self._behind(known)
            return held
        if self._tree.roots[known.size] == known.root:
            return known.size
        what = f"{known.name} was signed for {known.size:,} events with another root: the log was rewritten, or forked"
        self.done.add(Finding(kind="history", what=what, position=held + 1, upto=known.size))
        return held

    def _behind(self, head: SignedHead) -> None:
        what = f"the log has {self._tree.size:,} events, and {head.name} was signed for {head.size:,}"
        self.done.add(Finding(kind="behind", what=what, position=self._tree.size + 1, upto=head.size))

    def _tiles(self, *, sealed: bool) -> None:
        """Say what the kept tiles tell. Where the leaves are as they were signed, the tile is what was changed."""
        leaves = [
            Difference(0, 0, finding.position or 0, finding.upto or finding.position or 0)
            for finding in self.done.findings
            if finding.kind == "missing"
        ]
        for one in sorted(self._tree.differing, key=lambda one: (one.level, one.first)):
            if any(one.first <= known.first <= one.last for known in leaves):
                continue  # a hash above differs because of what was named already
            leaves.append(one)
            upto = one.last if one.last > one.first else None
            where = f"tile {one.n} of level {one.level}"
            if sealed:
                finding = Finding(kind="tile", what=f"{where} has another hash for it", position=one.first, upto=upto)
            else:
                what = f"its hash is not the one that {where} has"
                finding = Finding(kind="leaf", what=what, position=one.first, upto=upto)
            self.done.add(finding)
        if self._book.is_published:
            for one in self._tree.untiled:
                what = f"tile {one.n} of level {one.level} is not there"
                self.done.add(Finding(kind="tile", what=what, position=one.first, upto=one.last))


_DOUBTS: Final = {
    "id": "its event has the id of an earlier one",
    "lost or hidden": "its {} is missing and no text.erased names it",
    "not erased": "its {} stands although a text.erased names it",
    "erasure": "it erases the {} of an event that does not come before it",
}


# --- helping processes -----------------------------------------------------------------------------


class _Helpers:
    """Other processes that check spans ahead of this one, which follows the facts and checks what they leave."""

    def __init__(self, book: Book, scope: Scope, count: int) -> None:
        self._pool: ProcessPoolExecutor | None = None
        self._room = count * (1 + _AHEAD)
        self._next = 0
        self._given: list[Future[Checked | None]] = []
        if count > 0:
            self._pool = ProcessPoolExecutor(
                count, mp_context=multiprocessing.get_context("spawn"), initializer=_begin, initargs=(book, scope)
            )

    def fill(
        self, spans: Sequence[tuple[int, int]], number: int, waiting: dict[int, Checked | Future[Checked | None]]
    ) -> None:
        """Give out spans from this one on, as long as somebody is free to take them soon."""
        if self._pool is None:
            return
        self._given = [future for future in self._given if not future.done()]
        self._next = max(self._next, number)
        while len(self._given) < self._room and self._next < len(spans):
            try:
                future = self._pool.submit(_help, *spans[self._next])
            except BrokenExecutor:
                self._room = 0
                return
            self._given.append(future)
            waiting[self._next] = future
            self._next += 1

    def close(self) -> None:
        """Let them go."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)


_helper: list[tuple[OpenBook, Scope]] = []
"""In a helping process: the log that it has open."""


def _begin(book: Book, scope: Scope) -> None:
    _helper.append((book.open(), scope))


def _help(after: int, upto: int) -> Checked | None:
    ((book, scope),) = _helper
    try:
        checked = check(book, after, upto, scope)
    except (LogError, OSError):
        return None
    checked.events = []  # whoever asked has read them
    return checked
