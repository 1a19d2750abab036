"""What one transaction does with a batch: one call of a function of the database, which is all of it.

The function takes the lock, looks up ids, then `after`, and writes what may be written (see
`events/migrations/postgres_0001.py`); here its answer becomes one answer for each caller.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import starmap
from typing import Any, Final

import asyncpg
from asyncpg.prepared_stmt import PreparedStatement

from events.contracts import LogOpened, TextErased
from events.errors import Conflict, IdempotencyMismatch, Invalid, LogError
from events.leaf import Leaf
from events.log import Encoded, Recorded, check_restored
from events.postgres.session import LOST, holds

_EVENTS: Final = """
    $1::int[], $2::text[], $3::text[], $4::bytea[], $5::bytea[], $6::bytea[], $7::bytea[], $8::bytea[], $9::bytea[],
    $10::int[], $11::text[], $12::bigint[]"""
_APPEND: Final = f"SELECT * FROM append({_EVENTS})"
_APPEND_RARE: Final = f"SELECT * FROM append({_EVENTS}, $13::int[], $14::int[], $15::text[], $16::text[])"
_RESTORE: Final = """
    SELECT * FROM restore(
        $1::bigint, $2::text[], $3::text[], $4::bytea[], $5::bytea[], $6::bytea[], $7::bytea[], $8::bytea[],
        $9::text, $10::text[], $11::text[])"""
_HEAD: Final = "SELECT position, recorded_at FROM head"
_FIND: Final = """
    SELECT e.position, e.leaf, e.wording_salt, e.wording, e.identity_salt, e.identity
    FROM unnest($1::text[]) AS given (id) JOIN events AS e ON e.id = given.id"""

_LARGEST: Final = 2**63 - 1  # of a bigint; no position is as large


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
        """Make an append of encoded events; what it weighs and touches is noted here, once.

        Raises `Invalid` for a name that PostgreSQL can't hold: it would fail the whole batch.
        """
        size, keys, erasures = 0, set(after), list[TextErased]()
        for one in encoded:
            proposed = one.proposed
            size += len(one.before) + len(one.after) + len(one.wording) + len(one.identity)
            keys.add(proposed.id)
            keys.add(proposed.stream)
            if isinstance(proposed.fact, TextErased):
                keys.add(proposed.fact.event)
                erasures.append(proposed.fact)
        check_name("".join(keys))
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


class Unsettled(Exception):
    """It was committed, but not all of its answers are known: the same is to be done again."""


@dataclass(slots=True, eq=False)
class Outcome:
    """What became of a batch: each piece of work has what was recorded for it, or why nothing was."""

    answers: list[tuple[Work, Answer]] = field(default_factory=list)
    recorded: list[Recorded] = field(default_factory=list)  # what is new in the log, in order
    erased: bool = False  # a text was removed, so what is kept of it elsewhere must go
    doubted: bool = False  # a commit failed on the way: the log may hold more than `recorded` says

    def halves(self) -> tuple[Outcome, Outcome]:
        """Return the answers to the first half of the callers, with all that is new, and those to the others."""
        half = (len(self.answers) + 1) // 2
        return replace(self, answers=self.answers[:half]), Outcome(self.answers[half:])


def check_name(names: str) -> None:
    """Check that ids and streams are such as PostgreSQL can hold; raises `Invalid`."""
    if not holds(names):
        raise Invalid("an id or a stream holds a character that none has: those are plain ASCII")


async def prepare(connection: asyncpg.Connection) -> PreparedStatement:
    """Prepare the statement that `perform` runs again and again: looking it up each time costs more than sending it."""
    return await connection.prepare(_APPEND)


async def perform(connection: asyncpg.Connection, appending: PreparedStatement, batch: Sequence[Work]) -> Outcome:
    """Do a batch in one transaction: appends that share no key, or one restore.

    Raises `Unsettled`, and what asyncpg raises: a server's error that doesn't end the session comes before the commit.
    """
    match batch:
        case [Restore() as restore]:
            return await _restore(connection, restore)
        case _:
            return await _append(connection, appending, [work for work in batch if isinstance(work, Append)])


async def _append(connection: asyncpg.Connection, appending: PreparedStatement, batch: Sequence[Append]) -> Outcome:
    # Once this has returned, what it wrote is durable. A crash on the way loses the whole batch or nothing of it.
    common, rare = _arguments(batch), _rare_arguments(batch)
    row = await (connection.fetchrow(_APPEND_RARE, *common, *rare) if any(rare) else appending.fetchrow(*common))
    head, at = row["head"], row["recorded_at"]
    try:
        known = await _find(connection, batch, row["known"]) if row["known"] else {}
    except (*LOST, asyncpg.PostgresError) as error:
        raise Unsettled(str(error)) from error
    refusals = _refusals(batch, row)
    outcome, following = Outcome(), head + 1
    for number, append in enumerate(batch):
        if number in known:
            outcome.answers.append((append, _recorded_before(append, known[number])))
        elif number in refusals:
            outcome.answers.append((append, refusals[number]))
        else:
            recorded = [one.recorded(position, at) for position, one in enumerate(append.encoded, following)]
            following += len(recorded)
            outcome.recorded += recorded
            outcome.erased = outcome.erased or bool(append.erasures)
            outcome.answers.append((append, recorded))
    return outcome


def _arguments(batch: Sequence[Append]) -> Sequence[Sequence[Any]]:
    """Return the batch as `append` takes it: columns of events, then of what was seen."""
    events = [(number, one) for number, append in enumerate(batch) for one in append.encoded]
    seen = [(number, *pair) for number, append in enumerate(batch) for pair in append.after.items()]
    return (
        [number for number, _ in events],
        [one.proposed.id for _, one in events],
        [one.proposed.stream for _, one in events],
        [one.before for _, one in events],
        [one.after for _, one in events],
        [one.wording_salt for _, one in events],
        [one.wording for _, one in events],
        [one.identity_salt for _, one in events],
        [one.identity for _, one in events],
        [number for number, _, _ in seen],
        [stream for _, stream, _ in seen],
        [max(-1, min(position, _LARGEST)) for _, _, position in seen],
    )


def _rare_arguments(batch: Sequence[Append]) -> Sequence[Sequence[Any]]:
    """Return what few batches have: which appends may open a log, and what is erased."""
    erased = [(number, fact) for number, append in enumerate(batch) for fact in append.erasures]
    return (
        [number for number, append in enumerate(batch) if isinstance(append.encoded[0].proposed.fact, LogOpened)],
        [number for number, _ in erased],
        [fact.event for _, fact in erased],
        [fact.slot for _, fact in erased],
    )


async def _find(
    connection: asyncpg.Connection, batch: Sequence[Append], numbers: Sequence[int]
) -> dict[int, Mapping[str, Recorded]]:
    """Look up what was recorded under the ids of these appends, by number and id.

    Events never change or go, so a look after the commit finds what stood there under the lock.
    """
    ids = {number: [one.proposed.id for one in batch[number].encoded] for number in numbers}
    rows = await connection.fetch(_FIND, [event_id for some in ids.values() for event_id in some])
    found = {event.id: event for event in starmap(Recorded, rows)}
    return {
        number: {event_id: found[event_id] for event_id in some if event_id in found} for number, some in ids.items()
    }


def _refusals(batch: Sequence[Append], row: Mapping[str, Any]) -> dict[int, LogError]:
    """Return why appends were not recorded, by number; where there are several reasons, the first that is checked."""
    refusals: dict[int, LogError] = {}
    for number, event_id in zip(row["missing"] or (), row["missing_ids"] or (), strict=True):
        refusals[number] = Invalid(f"{event_id} is not in this log, so nothing of it can be erased")
    if row["head"] == 0:
        for number, append in enumerate(batch):
            if not isinstance(append.encoded[0].proposed.fact, LogOpened):
                refusals[number] = Invalid("this log is empty: restore into it first")
    conflicts = zip(row["conflicts"] or (), row["conflict_streams"] or (), row["conflict_heads"] or (), strict=True)
    for number, stream, actual in reversed(list(conflicts)):
        refusals[number] = Conflict(stream, expected=batch[number].after[stream], actual=actual)
    return refusals


def _recorded_before(append: Append, known: Mapping[str, Recorded]) -> Answer:
    """Return what was recorded under these ids, or `IdempotencyMismatch` where it isn't what is asked for now."""
    found = [known.get(one.proposed.id) for one in append.encoded]
    recorded = [event for event in found if event is not None]
    side_by_side = len(recorded) == len(found) and all(
        event.position == position for position, event in enumerate(recorded, recorded[0].position)
    )
    for one, event in zip(append.encoded, found, strict=True):
        if event is not None and not (side_by_side and event.same_content(one.proposed)):
            return IdempotencyMismatch(one.proposed.id)
    # The salts are in the leaf: the same leaf was recorded by this very append, whose answer was lost.
    ours = all(
        event.leaf_raw == one.leaf_at(event.recorded_at) for one, event in zip(append.encoded, recorded, strict=True)
    )
    return recorded if ours else [event.asked_again() for event in recorded]


async def _restore(connection: asyncpg.Connection, restore: Restore) -> Outcome:
    head, last = await connection.fetchrow(_HEAD)
    try:
        check_restored(restore.events, head=head, last=last)
        if restore.events:
            row = await connection.fetchrow(_RESTORE, head, *_columns(restore.events))
            check_restored(restore.events, head=row["head"], last=row["recorded_at"])  # as it was under the lock
            if row["known_id"] is not None:
                raise Invalid(f"{row['known_id']} is recorded already at position {row['known_position']}")
    except LogError as refusal:
        return Outcome([(restore, refusal)])
    erased = any(isinstance(event.fact, TextErased) for event in restore.events)
    return Outcome([(restore, restore.events)], list(restore.events), erased=erased)


def _columns(events: Sequence[Recorded]) -> Sequence[Any]:
    """Return events as `restore` takes them."""
    leaves: Sequence[Leaf] = [event.leaf for event in events]
    erased = [leaf.fact for leaf in leaves if isinstance(leaf.fact, TextErased)]
    for leaf in leaves:
        check_name(leaf.stream)
    return (
        [leaf.id for leaf in leaves],
        [leaf.stream for leaf in leaves],
        [event.leaf_raw for event in events],
        [event.wording_salt for event in events],
        [event.wording_raw for event in events],
        [event.identity_salt for event in events],
        [event.identity_raw for event in events],
        leaves[-1].recorded_at,
        [fact.event for fact in erased],
        [fact.slot for fact in erased],
    )
