"""Appending what was decided, under the ids that the caller's key gives."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from events import errors as log_errors
from events.leaf import canonical, derive
from events.log import PAGE, Log, Proposed, Recorded
from verifier.commands import Command
from verifier.decide.known import Draft
from verifier.errors import Busy, DiskFull, Internal, Invalid, KeyReused, OutcomeUnknown, Problem, ReadOnly, TooLarge
from verifier.fold import Folds
from verifier.registry import Registry

TRIES: Final = 20
"""How often a command is decided again after another process was faster."""

FEW: Final = 4
"""How many events most commands record at the most."""


class Caller(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Who asks, with which key, and what they had seen of the claim (`if_match`)."""

    actor: str
    key: str
    if_match: int | None = None

    def event_id(self, ordinal: int) -> str:
        """Return the id of the event that this key makes at a place of its append."""
        return derive("evt", self.actor, self.key, str(ordinal))


class Appender:
    """Appends drafts, and forgets whatever it can't be sure of any more."""

    def __init__(self, log: Log, folds: Folds, registry: Registry) -> None:
        self._log = log
        self._folds = folds
        self._registry = registry

    async def append(
        self, drafts: Sequence[Draft], caller: Caller, command: Command, after: Mapping[str, int]
    ) -> Sequence[Recorded]:
        """Append drafts under the ids that their key gives, and translate what the log may answer."""
        try:
            return await self.append_all(proposed(drafts, caller, command, caller.event_id(0)), after)
        except (log_errors.Conflict, log_errors.IdempotencyMismatch):
            raise
        except log_errors.LogError as error:
            raise translate(error, caller.key) from error

    async def append_all(self, events: Sequence[Proposed], after: Mapping[str, int]) -> Sequence[Recorded]:
        """Append events of one command or of several. Raises what the log raises."""
        settled = False
        try:
            recorded = await self._log.append(events, after=after)
            settled = True
            return recorded
        except log_errors.LogError as error:
            settled = not isinstance(error, log_errors.OutcomeUnknown)
            raise
        finally:
            if not settled:  # cancelled or unknown: what we hold may lack what was recorded
                for stream in {*after, *(event.stream for event in events)}:
                    self._folds.drop(stream.removeprefix("claim:"))
                    self._registry.forget(stream)


def proposed(drafts: Sequence[Draft], caller: Caller, command: Command, first: str) -> list[Proposed]:
    """Return the events that drafts become under the ids that their key gives; `first` is the first of these."""
    return [
        Proposed(
            id=caller.event_id(ordinal) if ordinal else first,
            stream=draft.stream,
            fact=draft.fact,
            wording=draft.wording,
            identity=draft.identity,
            correlation=command.correlation,
            causation=command.causation,
        )
        for ordinal, draft in enumerate(drafts)
    ]


async def recorded_as(log: Log, position: int, caller: Caller) -> list[Recorded]:
    """Return the events that a key recorded in one append, which begins at a position."""
    recorded: list[Recorded] = []
    window = FEW
    while True:
        seen, after = len(recorded), position - 1 + len(recorded)
        async for page in log.read_all(after=after, upto=after + window):
            for event in page:
                if event.id != caller.event_id(len(recorded)):
                    return recorded
                recorded.append(event)
        if len(recorded) == seen:
            return recorded
        window = PAGE


def command_digest(command: Command, target: str, key: str) -> str:
    """Return SHA-256, in hex, over a command, what it is about and its key: how a repeated key is told from a reused
    one.

    The log doesn't hold the key. Without it nobody can check guesses at a wording that was erased.
    """
    return hashlib.sha256(canonical([key, target, command])).hexdigest()


def translate(error: log_errors.LogError, key: str) -> Problem:
    """Return the problem that an error of the log is to a caller."""
    match error:
        case log_errors.OutcomeUnknown():
            return OutcomeUnknown(f"nobody can say whether it was recorded ({error}): ask again with the key", key=key)
        case log_errors.DiskFull():
            return DiskFull(f"{error}: make room and try again with the same key")
        case log_errors.ReadOnly() | log_errors.LogInUse():
            return ReadOnly(str(error))
        case log_errors.Closed():
            return Busy("the log is being closed: try again with the same key where it is opened next")
        case log_errors.Busy():
            return Busy(f"{error}: wait and try again with the same key")
        case log_errors.TooLarge():
            return TooLarge(str(error))
        case log_errors.Invalid():
            return Invalid(str(error))
        case log_errors.ForeignCursor():
            return Invalid(str(error), field="after")
        case _:
            return Internal(str(error))


def check_same(recorded: Recorded, digest: str, caller: Caller) -> None:
    """Check that a key recorded this command. Where the digest was erased, it is taken for the same.

    Raises `KeyReused`.
    """
    if recorded.identity is not None and recorded.identity.command not in (None, digest):
        raise key_reused(caller.key)


def key_reused(key: str) -> KeyReused:
    """Return the problem of a key that was used for another command."""
    return KeyReused(f"the key {key} was used for another command: use a new key for a new command", key=key)


async def jitter(attempt: int) -> None:
    """Wait a little, at random, longer with each attempt, so that two processes don't meet again."""
    await asyncio.sleep(random.uniform(0, 0.002 * 2 ** min(attempt, 6)))
