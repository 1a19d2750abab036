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
from itertools import starmap
from threading import Thread
from typing import Final, Protocol

from events.audit.book import Book, OpenBook
from events.audit.checks import Checked, Scope, check, event_of
from events.audit.findings import Finding, Kind
from events.audit.tree import Difference, Tree
from events.audit.trust import Signed, SignedHead, Trust, read_signed
from events.contracts import StatusesAttested, TextErased
from events.errors import Damaged, LogError, SchemaMismatch
from events.ledger import Ledger
from events.log import Recorded
from events.rows import ROWS

Progress = Callable[[int, int], None]
"""Told now and then how far the audit is, and how far it is to go."""

SHOWN: Final = 1_000
"""How many findings are kept of each kind; all are counted."""

_AHEAD: Final = 2
"""How many spans wait for each helper, so that none is ever without work, and how many this process checks early."""


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
        checkers = _Checkers(opened, work.scope, where=book, helpers=processes - 1)
        stack.enter_context(closing(checkers))
        try:
            work.run(checkers, _in_a_thread(book.storage))
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
        # The checkpoint was read before, and so is this: a log that grows meanwhile is never behind them.
        sought = book.sought()
        # Where only a checkpoint says what belongs to the log, one that doesn't hold says nothing.
        self._head = book.head() if signed.head or not book.is_published else 0
        heads = [head for head in (signed.head, *signed.known) if head is not None]
        marks = frozenset(head.size for head in heads)
        size = signed.head.size if signed.head else self._head
        self.scope = Scope(size=size, marks=marks, sought=sought)
        self._tree = Tree(book, size, marks)
        self._attesting: dict[int, bytes] = {}  # what the follower was told is attested
        self._noticed: dict[Finding, None] = {}  # each once, though what it is about may be read again
        self._broken_off = False
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

    def run(self, checkers: _Checkers, storage: Future[Sequence[Finding]]) -> None:
        for finding in self._signed.findings:
            self.done.add(finding)
        if self._follower is not None:
            attesting = [Recorded(position, raw) for position, raw in self._book.attesting(upto=self._head)]
            self._attesting = {event.position: event.leaf_raw for event in attesting}
            self._follower.begin(attesting)
        for checked in checkers.checked(self._head):
            if checked.empty and checked.upto < self._head:
                self._break_off(checked)
                break
            self._take(checked)
            self._follow(checked.events)
            if self._progress is not None:
                self._progress(checked.upto, self._head)
        self._end(storage)

    def _break_off(self, checked: Checked) -> None:
        """Go no further: how far a log reaches may be a lie, and take for ever."""
        self._broken_off = True
        gap = checked.upto - checked.after
        what = f"no event stands at the first {gap:,} of these positions, and what stands behind them was not audited"
        self.done.add(Finding(kind="missing", what=what, position=checked.after + 1, upto=self._head))

    def _follow(self, events: Sequence[Recorded]) -> None:
        ids, erased = [], []
        for event in events:
            leaf, position = event.leaf, event.position
            ids.append((leaf.id, position))
            match leaf.fact:
                case TextErased(event=id, slot=slot):
                    erased.append((id, slot, position))
                case StatusesAttested() if self._attesting.pop(position, None) != event.leaf_raw and self._follower:
                    what = "it attests statuses, and where the log lists what does, it stands otherwise or not at all"
                    self.done.add(Finding(kind="attestation", what=what, position=position))
        self._ledger.events(ids)
        self._ledger.erased(erased)
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
        self._noticed.update(dict.fromkeys(checked.noticed))
        self.done.log = self.done.log or checked.log
        self._ledger.missing(checked.missing)
        self._tree.take(checked)

    # --- at the end ----------------------------------------------------------------------------------

    def _end(self, storage: Future[Sequence[Finding]]) -> None:
        self._tree.end()
        self._learn()
        for doubt, position, slot in self._ledger.doubts(texts=self._book.has_texts):
            if doubt == "lost or hidden" and self._broken_off:
                continue  # what was not audited may name it
            self.done.add(Finding(kind=doubt, what=_DOUBTS[doubt].format(slot), position=position, slot=slot))
        self._compare()
        self._noticed.update(dict.fromkeys([*self._book.beside(), *self._book.noticed()]))
        for finding in (*self._noticed, *storage.result()):
            self.done.add(finding)
        if self._book.log() not in (None, self.done.log):
            what = f"the place says that it is log {self._book.log()}, its first event opens {self.done.log}"
            self.done.add(Finding(kind="opening", what=what, position=1))
        for position in () if self._broken_off else self._attesting:
            what = "the log lists it as what attests statuses, and no such event stands here"
            self.done.add(Finding(kind="attestation", what=what, position=position))
        if not self._found and not self._broken_off:
            what = f"the storage says that an event was recorded at {self.scope.sought}, and none was"
            self.done.add(Finding(kind="column", what=what))
        if self._follower is not None:
            for finding in self._follower.end():
                self.done.add(finding)

    def _learn(self) -> None:
        """Take notice of what was erased since the audit began: such a text may have been missing already, or not."""
        head = self._head if self._book.is_published else self._book.head()
        if head > self._head:
            for page in self._book.pages(after=self._head, upto=head, texts=False):
                events = [event for row in page if isinstance(event := event_of(row, row[0]), Recorded)]
                facts = [fact for event in events if isinstance(fact := event.fact, TextErased)]
                self._ledger.explain((fact.event, fact.slot) for fact in facts)

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


# --- sharing the work ------------------------------------------------------------------------------

_Span = tuple[int, int]
_Answer = tuple[Checked, list[tuple[int, bytes]]]
"""What a helper sends: what came of a span, its events as positions and leaves."""


def _in_a_thread(work: Callable[[], Sequence[Finding]]) -> Future[Sequence[Finding]]:
    """Begin this in a thread of its own, for which the end of the program doesn't wait."""
    future: Future[Sequence[Finding]] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001  # raised where the result is asked for
            future.set_exception(error)

    Thread(target=run, daemon=True).start()
    return future


class _Checkers:
    """This process and those that help it. Each span is checked by whoever is free; all are handed on in order."""

    def __init__(self, book: OpenBook, scope: Scope, *, where: Book, helpers: int) -> None:
        self._book = book
        self._scope = scope
        self._room = helpers * (1 + _AHEAD)
        self._pool: ProcessPoolExecutor | None = None
        if helpers > 0:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(helpers, context, initializer=_begin, initargs=(where, scope))
        self._head = 0
        self._count = 0
        self._next = 0  # the first span that nobody has taken
        self._given: dict[int, Future[_Answer | None]] = {}
        self._mine: dict[int, Checked | None] = {}

    def checked(self, head: int) -> Iterator[Checked]:
        """Yield what comes of each span up to the head. What reading one raises is raised at its turn."""
        self._head, self._count = head, -(-head // ROWS)
        for number in range(self._count):
            yield self._checked_ahead(number) or check(self._book, *self._span(number), self._scope)

    def close(self) -> None:
        """Let the helpers go."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def _span(self, number: int) -> _Span:
        return number * ROWS, min((number + 1) * ROWS, self._head)

    def _checked_ahead(self, number: int) -> Checked | None:
        """Return what came of a span, `None` where it is still to be checked: nobody took it, or nobody could read it.

        While a helper has it, this process takes one of those that come later.
        """
        while True:
            self._give_out(upto=number + self._room + _AHEAD)
            if number in self._mine:
                return self._mine.pop(number)
            if number not in self._given:
                self._next = max(self._next, number + 1)
                return None
            nothing_to_do = len(self._mine) == _AHEAD or self._next == self._count
            if nothing_to_do or self._given[number].done():
                return _received(self._given.pop(number))
            self._mine[self._next] = _checked(self._book, self._span(self._next), self._scope)
            self._next += 1

    def _give_out(self, *, upto: int) -> None:
        """Give spans to the helpers until each has enough; none is far ahead, so that few results wait."""
        if self._pool is None:
            return
        busy = sum(not future.done() for future in self._given.values())
        while busy < self._room and self._next < min(upto, self._count):
            try:
                self._given[self._next] = self._pool.submit(_help, self._span(self._next))
            except BrokenExecutor:
                self._room = 0
                return
            self._next += 1
            busy += 1


def _received(future: Future[_Answer | None]) -> Checked | None:
    try:
        answer = future.result()
    except BrokenExecutor:  # a helper was killed: what they all left is done here
        return None
    if answer is None:
        return None
    checked, leaves = answer
    checked.events = list(starmap(Recorded, leaves))
    return checked


_helper: list[tuple[OpenBook, Scope]] = []
"""In a helping process: the log that it has open."""


def _begin(book: Book, scope: Scope) -> None:
    _helper.append((book.open(), scope))


def _help(span: _Span) -> _Answer | None:
    ((book, scope),) = _helper
    checked = _checked(book, span, scope)
    if checked is None:
        return None
    leaves = [(event.position, event.leaf_raw) for event in checked.events]
    checked.events = []
    return checked, leaves


def _checked(book: OpenBook, span: _Span, scope: Scope) -> Checked | None:
    """Check a span before its turn: where it can't be read, reading it again at its turn tells why."""
    try:
        checked = check(book, *span, scope)
    except (LogError, OSError):
        return None
    checked.noticed = book.noticed()
    return checked
