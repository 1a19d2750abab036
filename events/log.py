"""The log: five verbs and what they promise on every engine.

`append`  records events, all of them or none, durable before it returns.
`read`    reads one stream.
`read_all` reads the whole log.
`subscribe` reads the whole log and goes on as it grows.
`head`    says how far the log reaches.

**One number.** An event's *position* is its place in the log: 1, 2, 3, … without gaps, handed out in
commit order, so a reader that has seen *n* has seen everything before it. Every verb takes `after`,
the last position its caller has seen (0: nothing).

**What holds on every engine** (`tests/events/test_log.py` is the specification):

1. All of an append or none of it, also over several streams; durable before it is acknowledged.
2. Gapless positions in commit order; no reader ever sees an event that is not durable.
3. `after` is compared by equality under the lock with the position of the stream's last event;
   a stream for which it isn't given never conflicts.
4. Idempotent by event id, for ever. Ids are looked at before `after`, under the lock. All ids recorded
   side by side, in this order, with the same content: the recorded events are returned, whatever
   `after` says. Only some of them, in another order, apart, or with other content:
   `IdempotencyMismatch`. Content is the stream, the fact and both texts; never the position,
   `recorded_at`, salts, digests, correlation or causation. Where a text was erased, the fact decides.
5. `recorded_at` is filled under the append lock and never decreases.
6. Appending a `text.erased` removes the named text, with its salt, in the same commit. The event it
   names must stand in the log already, else `Invalid`.
7. Nothing else can be changed or deleted: the storage itself refuses.
8. A caller cancelled before its append was taken is removed from the queue; after that the append
   goes on and the caller, if it asks again with the same ids, gets what was recorded.
9. A subscription never skips, repeats or reorders, and a slow one costs nobody else anything.
10. The first event is `log.opened`, which gives the log its id; an empty log takes nothing else.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final, Protocol, Self

import msgspec

from events.contracts import Fact, Identity, LogOpened, Wording
from events.errors import Invalid, TooLarge
from events.leaf import (
    LEAF_LIMIT,
    TEXT_LIMIT,
    Leaf,
    canonical,
    check_form,
    check_words,
    decode_identity,
    decode_leaf,
    decode_wording,
    new_id,
    new_salt,
    text_digest,
)  # fmt: skip

APPEND_LIMIT: Final = 2_100
"""The most events one append may have (a split of 1,000 statements over two claims, and its frame)."""

PAGE: Final = 1_000
"""How many events a page of a reading verb has, at the most."""

_RECORDED_AT: Final = "0000-00-00T00:00:00.000000Z"
_SPLIT: Final = b'"recorded_at":"'


class Proposed(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """An event that somebody wants recorded. It has no position and no time yet."""

    id: str
    stream: str
    fact: Fact
    identity: Identity
    wording: Wording = Wording()  # frozen, so it can be shared
    correlation: str | None = None
    causation: str | None = None

    def encode(self) -> Encoded:
        """Encode and check this event, outside any lock.

        Raises `Invalid` for a fact, text or envelope that breaks its contract or is too large.
        """
        wording, identity = canonical(self.wording), canonical(self.identity)
        if len(wording) > TEXT_LIMIT or len(identity) > TEXT_LIMIT:
            raise TooLarge(f"a text of {self.id} has more than {TEXT_LIMIT:,} bytes; shorten it")
        check_words(self.fact, self.wording)
        # Only decoding checks the fields: a class of ours takes whatever it is given. What comes out is kept with
        # the event, so that nobody in this process decodes it again.
        words, who = decode_wording(wording), decode_identity(identity)
        wording_salt, identity_salt = new_salt(), new_salt()
        leaf = Leaf(
            id=self.id,
            stream=self.stream,
            fact=self.fact,
            correlation=self.correlation,
            causation=self.causation,
            wording=text_digest(wording_salt, "wording", wording),
            identity=text_digest(identity_salt, "identity", identity),
            recorded_at=_RECORDED_AT,
        )
        raw = canonical(leaf)
        if len(raw) > LEAF_LIMIT:
            raise TooLarge(
                f"the fact of {self.id} has {len(raw):,} bytes, the limit is {LEAF_LIMIT:,}; record less at once"
            )
        checked = decode_leaf(raw)
        # A quotation mark inside a string is escaped, so this is the field itself, whatever a caller wrote.
        before, _, rest = raw.rpartition(_SPLIT)
        return Encoded(
            proposed=self,
            leaf=checked,
            words=words,
            who=who,
            before=before + _SPLIT,
            after=rest[len(_RECORDED_AT) :],
            wording_salt=wording_salt,
            wording=wording,
            identity_salt=identity_salt,
            identity=identity,
        )


class Encoded(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A proposed event as bytes, but for the time, which is only known under the lock.

    `before` and `after` are the leaf up to its time and from there on; `leaf`, `words` and `who` what the bytes
    decode to.
    """

    proposed: Proposed
    leaf: Leaf
    words: Wording
    who: Identity
    before: bytes
    after: bytes
    wording_salt: bytes
    wording: bytes
    identity_salt: bytes
    identity: bytes

    def leaf_at(self, recorded_at: str) -> bytes:
        """Return the leaf with its time filled in."""
        return self.before + recorded_at.encode() + self.after

    def recorded(self, position: int, recorded_at: str) -> Recorded:
        """Return this event as it stands in the log, at this position since this time."""
        return Recorded(
            position,
            self.leaf_at(recorded_at),
            self.wording_salt,
            self.wording,
            self.identity_salt,
            self.identity,
            _leaf=msgspec.structs.replace(self.leaf, recorded_at=recorded_at),
            _wording=self.words,
            _identity=self.who,
        )


class Recorded(msgspec.Struct, eq=False, gc=False):
    """An event as the log keeps it. Decoded when looked at; the raw parts are what was stored.

    A text and its salt are `None` where the text was erased, and where the reader asked for leaves only.
    `again` is set in the answer to an append that had been recorded before (guarantee 4).
    """

    # In the order of the columns: a page of rows becomes events without a step between.
    position: int
    leaf_raw: bytes
    wording_salt: bytes | None = None
    wording_raw: bytes | None = None
    identity_salt: bytes | None = None
    identity_raw: bytes | None = None
    again: bool = False
    _leaf: Leaf | None = None
    _wording: Wording | None = None
    _identity: Identity | None = None

    def asked_again(self) -> Recorded:
        """Return this event as the answer to an append that was asked for again."""
        return Recorded(*self._stored(), again=True)

    @property
    def leaf(self) -> Leaf:
        """The decoded leaf; raises `UnknownFact` or `Invalid`."""
        if self._leaf is None:
            self._leaf = decode_leaf(self.leaf_raw)
        return self._leaf

    @property
    def wording(self) -> Wording | None:
        """The words, or `None` where they were erased or not read."""
        if self._wording is None and self.wording_raw is not None:
            self._wording = decode_wording(self.wording_raw)
        return self._wording

    @property
    def identity(self) -> Identity | None:
        """Who stands behind it, or `None` where that was erased or not read."""
        if self._identity is None and self.identity_raw is not None:
            self._identity = decode_identity(self.identity_raw)
        return self._identity

    @property
    def id(self) -> str:
        """The event's id, unique in the log."""
        return self.leaf.id

    @property
    def stream(self) -> str:
        """The stream the event stands in."""
        return self.leaf.stream

    @property
    def fact(self) -> Fact:
        """What happened."""
        fact: Fact = self.leaf.fact
        return fact

    @property
    def recorded_at(self) -> str:
        """When it was recorded: UTC with microseconds, never earlier than the event before it."""
        return self.leaf.recorded_at

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Recorded) and self._stored() == other._stored()

    def __hash__(self) -> int:
        return hash((self.position, self.leaf_raw))

    def __repr__(self) -> str:
        return f"Recorded(position={self.position}, leaf={self.leaf_raw.decode(errors='replace')})"

    def _stored(self) -> tuple[int, bytes, bytes | None, bytes | None, bytes | None, bytes | None]:
        return (
            self.position,
            self.leaf_raw,
            self.wording_salt,
            self.wording_raw,
            self.identity_salt,
            self.identity_raw,
        )

    def same_content(self, proposed: Proposed) -> bool:
        """Say whether this is what `proposed` asks for (guarantee 4)."""
        leaf = self.leaf
        return (
            leaf.id == proposed.id
            and leaf.stream == proposed.stream
            and leaf.fact == proposed.fact
            and (self.wording_raw is None or self.wording_raw == canonical(proposed.wording))
            and (self.identity_raw is None or self.identity_raw == canonical(proposed.identity))
        )


def opening() -> Proposed:
    """Return the first event of a new log, which gives it an id that no other log has."""
    opened = LogOpened(log=new_id("log"))
    return Proposed(id=new_id("evt"), stream="log", fact=opened, identity=Identity(actor="verifier"))


def encode_append(events: Sequence[Proposed]) -> Sequence[Encoded]:
    """Encode and check what one append records, outside any lock.

    Raises `Invalid` for no events, too many, one id twice, and for any event that breaks its contract.
    """
    if not events:
        raise Invalid("an append has no events; give at least one")
    if len(events) > APPEND_LIMIT:
        raise TooLarge(f"an append has {len(events):,} events, the limit is {APPEND_LIMIT:,}; record less at once")
    if len({event.id for event in events}) < len(events):
        raise Invalid("an append names one event id twice; give each event an id of its own")
    return [event.encode() for event in events]


def check_restored(events: Sequence[Recorded], *, head: int, last: str) -> None:
    """Check that events continue a log whose head is at `head` and was recorded at `last`.

    Raises `Invalid` where positions leave a gap, times decrease, a leaf is not one, an id comes twice, or
    a log would not begin with `log.opened`.
    """
    seen: set[str] = set()
    for position, event in enumerate(events, head + 1):
        if event.position != position:
            raise Invalid(f"position {event.position} can't follow {position - 1}: restore without gaps, in order")
        leaf = event.leaf
        check_form(leaf, event.leaf_raw)
        if leaf.recorded_at < last or leaf.id in seen:
            raise Invalid(f"position {position} can't follow: its time is earlier, or its id {leaf.id} comes twice")
        if position == 1 and not isinstance(leaf.fact, LogOpened):
            raise Invalid("a log begins with log.opened: restore it from its first event")
        last = leaf.recorded_at
        seen.add(leaf.id)


class Log(Protocol):
    """A log, open. See this module for what every engine promises.

    The verbs that read raise, beside what is said of each, `Busy` where the log can't be reached or doesn't answer in
    time, `Closed` once it was closed in this process, `SchemaMismatch` where its tables are no longer those of this
    code, `Invalid` where it may no longer be read, and `Damaged` where what is read is not what was written.
    """

    @property
    def id(self) -> str:
        """The log's id: made with it, kept by export and restore. Raises `Invalid` while the log is empty."""
        ...

    @property
    def lineage(self) -> str:
        """The id of the first log in this log's line of forks, its own where it is no fork: what the ids of names are
        derived from, so that a name means the same after a fork. Raises as `id` does."""
        ...

    @property
    def url(self) -> str:
        """Where the log is."""
        ...

    async def append(self, events: Sequence[Proposed], *, after: Mapping[str, int] = {}) -> Sequence[Recorded]:
        """Record these events, all or none, and return them as recorded.

        `after` gives, per stream, the position of its last event that the caller saw (0: no event); a
        stream that isn't named is not checked, one that is named is, also where nothing is appended to
        it. Raises `Invalid`, `Conflict`, `IdempotencyMismatch`, `Busy`, `ReadOnly`, `DiskFull`, `Closed`,
        `SchemaMismatch`, `Damaged`; after each of them nothing was written. Raises `OutcomeUnknown` when nobody can
        say: append the same again.
        """
        ...

    def read(self, stream: str, *, after: int = 0, upto: int | None = None) -> AsyncIterator[Sequence[Recorded]]:
        """Yield pages of a stream's events after a position, up to and with `upto`, in order.

        A stream that doesn't exist has no pages. Raises what every verb that reads does.
        """
        ...

    def read_all(
        self, *, after: int = 0, upto: int | None = None, texts: bool = True
    ) -> AsyncIterator[Sequence[Recorded]]:
        """Yield pages of all events after a position, up to `upto` or the head when it began, in order.

        Without `texts` only leaves are read, which is all that a status needs. Raises `ForeignCursor`
        where `after` lies beyond the head, and what every verb that reads does.
        """
        ...

    def subscribe(self, *, after: int = 0) -> AsyncIterator[Sequence[Recorded]]:
        """Yield pages of all events after a position, in order, and go on as the log grows, until it is closed.

        Raises `ForeignCursor` where `after` lies beyond the head, and what every verb that reads does, but never
        `Closed`: it ends. Once it has begun, a log that can't be reached for a while only holds it up, so it doesn't
        raise `Busy` either.
        """
        ...

    async def head(self) -> int:
        """Return the position of the last durable event; 0 in an empty log. Raises what every verb that reads does."""
        ...

    async def restore(self, events: Sequence[Recorded]) -> None:
        """Record events verbatim: positions, leaves, texts and salts as they are.

        For an empty log or one that holds a prefix: positions must follow the head. All or none.
        A `text.erased` among them removes the text it names, as in `append`.
        Raises `Invalid` where positions don't follow, times decrease, an id is recorded already, a leaf is
        not one, or the log would not begin with `log.opened`, and what `append` raises for want of a log,
        a lock or room. After `OutcomeUnknown` the head tells where to go on.
        """
        ...

    async def close(self) -> None:
        """Finish what was taken, then let go of files and connections. Safe to call twice."""
        ...

    async def __aenter__(self) -> Self:
        """Return the open log."""
        ...

    async def __aexit__(self, *exc: object) -> None:
        """Close it."""
        ...
