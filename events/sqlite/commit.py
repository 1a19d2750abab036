"""What one transaction does with a batch: look everything up at once, judge each append, write at once.

Nothing here commits: the writer does, and tells the callers only then.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import starmap
from typing import Final

import msgspec

from events.contracts import LogOpened, TextErased
from events.errors import Conflict, IdempotencyMismatch, Invalid, LogError
from events.leaf import decode_leaf, now
from events.log import Encoded, Recorded, check_restored

_LAST: Final = "SELECT position, leaf FROM events ORDER BY position DESC LIMIT 1"
_FIND: Final = """
    SELECT position, leaf, wording_salt, wording, identity_salt, identity
    FROM json_each(?) CROSS JOIN events ON events.id = json_each.value"""
_MOVED: Final = """
    SELECT stream, head
    FROM (SELECT key AS stream, value AS seen,
                 coalesce((SELECT max(position) FROM events WHERE stream = key), 0) AS head FROM json_each(?))
    WHERE head <> seen"""
_INSERT: Final = "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_ERASE: Final = {
    "wording": "UPDATE events SET wording = NULL, wording_salt = NULL WHERE id = ?",
    "identity": "UPDATE events SET identity = NULL, identity_salt = NULL WHERE id = ?",
}

_Row = tuple[int, str, str, bytes, bytes | None, bytes | None, bytes | None, bytes | None]  # as `_INSERT` takes it


@dataclass(slots=True, eq=False)
class Append:
    """Events of one caller, waiting to be recorded, and where the answer goes.

    It equals only itself, as a `Restore` does, so that the queue drops the very one whose caller was cancelled.
    """

    encoded: Sequence[Encoded]
    after: Mapping[str, int]
    answer: asyncio.Future[Sequence[Recorded]]
    size: int
    keys: frozenset[str]  # the streams and event ids that it reads or writes
    erasures: Sequence[TextErased]

    @classmethod
    def of(
        cls, encoded: Sequence[Encoded], after: Mapping[str, int], answer: asyncio.Future[Sequence[Recorded]]
    ) -> Append:
        """Make an append of encoded events; what it weighs and touches is noted here, once."""
        size, keys, erasures = 0, set(after), list[TextErased]()
        for one in encoded:
            proposed = one.proposed
            size += len(one.before) + len(one.after) + len(one.wording) + len(one.identity)
            keys.add(proposed.id)
            keys.add(proposed.stream)
            if isinstance(proposed.fact, TextErased):
                keys.add(proposed.fact.event)
                erasures.append(proposed.fact)
        return cls(encoded, after, answer, size, frozenset(keys), erasures)


@dataclass(slots=True, eq=False)
class Restore:
    """Events to be recorded verbatim, and where the answer goes."""

    events: Sequence[Recorded]
    answer: asyncio.Future[Sequence[Recorded]]
    size: int

    @classmethod
    def of(cls, events: Sequence[Recorded], answer: asyncio.Future[Sequence[Recorded]]) -> Restore:
        """Make a restore of events."""
        size = sum(len(e.leaf_raw) + len(e.wording_raw or b"") + len(e.identity_raw or b"") for e in events)
        return cls(events, answer, size)


Work = Append | Restore
Answer = Sequence[Recorded] | LogError


@dataclass(slots=True, eq=False)
class Outcome:
    """What became of a batch: each piece of work has what was recorded for it, or why nothing was."""

    answers: list[tuple[Work, Answer]] = field(default_factory=list)
    recorded: list[Recorded] = field(default_factory=list)  # what is new in the log, in order
    erased: bool = False  # a text was removed, so what is kept of it elsewhere must go
    doubted: bool = False  # a commit failed on the way: the log may hold more than `recorded` says


def perform(connection: sqlite3.Connection, batch: Sequence[Work]) -> Outcome:
    """Do a batch in the transaction that is open: appends that share no key, or one restore."""
    last = connection.execute(_LAST).fetchone()
    head, at = (last[0], decode_leaf(last[1]).recorded_at) if last else (0, "")
    match batch:
        case [Restore() as restore]:
            return _restore(connection, restore, head=head, last=at)
        case _:
            appends = [work for work in batch if isinstance(work, Append)]
            return _append(connection, appends, head=head, at=max(now(), at))


def _append(connection: sqlite3.Connection, batch: Sequence[Append], *, head: int, at: str) -> Outcome:
    known = _find(connection, [one.proposed.id for append in batch for one in append.encoded])
    moved = _moved(connection, {stream: seen for append in batch for stream, seen in append.after.items()})
    outcome, rows, erased = Outcome(), list[_Row](), list[TextErased]()
    following = head + 1
    for append in batch:
        try:
            recorded = _recorded_before(append, known) if known else None
            if recorded is None:
                _check(connection, append, moved, empty=head == 0)
                recorded = [one.recorded(position, at) for position, one in enumerate(append.encoded, following)]
                following += len(recorded)
                for one, event in zip(append.encoded, recorded, strict=True):
                    rows.append(_row(one.proposed.id, one.proposed.stream, event))
                erased += append.erasures
                outcome.recorded += recorded
            outcome.answers.append((append, recorded))
        except LogError as refusal:
            outcome.answers.append((append, refusal))
    _write(connection, rows, erased)
    outcome.erased = bool(erased)
    return outcome


def _find(connection: sqlite3.Connection, ids: Sequence[str]) -> dict[str, Recorded]:
    """Look up events by id, all at once."""
    return {event.id: event for event in starmap(Recorded, connection.execute(_FIND, (_json(ids),)))}


def _moved(connection: sqlite3.Connection, seen: Mapping[str, int]) -> dict[str, int]:
    """Look up the streams whose last event is not the one that was seen, all at once, and where they are."""
    return dict(connection.execute(_MOVED, (_json(seen),)).fetchall()) if seen else {}


def _recorded_before(append: Append, known: Mapping[str, Recorded]) -> Sequence[Recorded] | None:
    """Return what was recorded under these ids, `None` where nothing was.

    Raises `IdempotencyMismatch` where it isn't what is asked for now (guarantee 4).
    """
    found = [known.get(one.proposed.id) for one in append.encoded]
    recorded = [event for event in found if event is not None]
    if not recorded:
        return None
    side_by_side = len(recorded) == len(found) and all(
        event.position == position for position, event in enumerate(recorded, recorded[0].position)
    )
    for one, event in zip(append.encoded, found, strict=True):
        if event is not None and not (side_by_side and event.same_content(one.proposed)):
            raise IdempotencyMismatch(one.proposed.id)
    return [event.asked_again() for event in recorded]


def _check(connection: sqlite3.Connection, append: Append, moved: Mapping[str, int], *, empty: bool) -> None:
    """Check what new events must meet under the lock."""
    for stream, expected in append.after.items():
        if stream in moved:
            raise Conflict(stream, expected=expected, actual=moved[stream])
    if empty and not isinstance(append.encoded[0].proposed.fact, LogOpened):
        raise Invalid("this log is empty: restore into it first")
    if append.erasures:
        held = _find(connection, [fact.event for fact in append.erasures])
        for fact in append.erasures:
            if fact.event not in held:
                raise Invalid(f"{fact.event} is not in this log, so nothing of it can be erased")


def _restore(connection: sqlite3.Connection, restore: Restore, *, head: int, last: str) -> Outcome:
    try:
        check_restored(restore.events, head=head, last=last)
        for event in _find(connection, [event.id for event in restore.events]).values():
            raise Invalid(f"{event.id} is recorded already at position {event.position}")
    except LogError as refusal:
        return Outcome([(restore, refusal)])
    erased = [event.fact for event in restore.events if isinstance(event.fact, TextErased)]
    _write(connection, [_row(event.id, event.stream, event) for event in restore.events], erased)
    return Outcome([(restore, restore.events)], list(restore.events), erased=bool(erased))


def _row(event_id: str, stream: str, event: Recorded) -> _Row:
    """Return an event's row. Its id and stream are given, because an event just encoded would be decoded for them."""
    texts = (event.wording_salt, event.wording_raw, event.identity_salt, event.identity_raw)
    return (event.position, event_id, stream, event.leaf_raw, *texts)


def _write(connection: sqlite3.Connection, rows: Sequence[_Row], erasures: Sequence[TextErased]) -> None:
    """Insert rows, then remove the texts that facts among them erase."""
    connection.executemany(_INSERT, rows)
    for fact in erasures:
        connection.execute(_ERASE[fact.slot], (fact.event,))


def _json(values: Sequence[str] | Mapping[str, int]) -> str:
    return msgspec.json.encode(values).decode()
