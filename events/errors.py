"""What can go wrong with a log, and what the caller should do about it.

LogError
├── Invalid             mend the input: it can never be recorded
│   ├── UnknownFact     use a version of the product that knows this fact
│   └── TooLarge        send less
├── Conflict            read what was missed, decide again
├── IdempotencyMismatch use another key: this one recorded something else
├── OutcomeUnknown      append the same again with the same ids, or put the same snapshot again
├── Busy                wait and try again: the queue is full, others write the log, or it can't be reached
├── LogInUse            another process writes this log: go to its address
├── ReadOnly            the log can be read and not written
├── DiskFull            make room; nothing was written
├── ForeignCursor       this position belongs to another log, or lies beyond the head
├── Closed              open the log again
├── SchemaMismatch      migrate the log, or use a newer version of the product
├── Damaged             the log is not as it was written: stop, and audit it
├── SealRefused         nothing is signed: restore what was lost, or go on under a new name
└── DamagedEvidence     the bytes kept of a snapshot are other bytes: put it again, or erase it
"""

from __future__ import annotations


class LogError(Exception):
    """Any error of a log."""


class Invalid(LogError):
    """The input can never be recorded as it is."""


class UnknownFact(Invalid):
    """A fact of a type that this version doesn't know."""

    def __init__(self, type_name: str) -> None:
        super().__init__(f"this version does not know facts of type {type_name!r}; use a newer version of the product")
        self.type_name = type_name


class TooLarge(Invalid):
    """The input is larger than anything of its kind may be."""


class Conflict(LogError):
    """The stream has moved on since the caller read it."""

    def __init__(self, stream: str, *, expected: int, actual: int) -> None:
        super().__init__(
            f"{stream} is at position {actual}, not {expected}: read what was recorded since and decide again"
        )
        self.stream = stream
        self.expected = expected
        self.actual = actual


class IdempotencyMismatch(LogError):
    """An id of this append was recorded before, with other content or in other company."""

    def __init__(self, event_id: str) -> None:
        super().__init__(f"{event_id} was recorded before with other content: use a new key for a new command")
        self.event_id = event_id


class OutcomeUnknown(LogError):
    """Nobody can say whether it was recorded. Append the same again, with the same ids, or put the same again."""


class Busy(LogError):
    """The log could not answer, or take the append, in time; nothing was written."""


class LogInUse(LogError):
    """Another process has this log open for writing."""

    def __init__(self, path: str, *, address: str | None, pid: int | None) -> None:
        where = f"; it is served at {address}: go there" if address else "; wait for it to end"
        super().__init__(f"{path} is open for writing in process {pid or 'unknown'}{where}")
        self.path = path
        self.address = address
        self.pid = pid


class ReadOnly(LogError):
    """The log can be read and not written; nothing was written."""


class DiskFull(LogError):
    """There is no room left; nothing was written, and every acknowledged event is in place."""


class ForeignCursor(LogError):
    """A position that this log never gave out."""

    def __init__(self, after: int, head: int) -> None:
        super().__init__(
            f"position {after} lies beyond the head of this log, {head}: it belongs to another log; start from 0"
        )
        self.after = after
        self.head = head


class Closed(LogError):
    """The log was closed in this process. Nothing was written."""


class SchemaMismatch(LogError):
    """The log's tables are of another version than this code."""


class Damaged(LogError):
    """What was read is not what was written; `position` says where, `None` where the storage doesn't."""

    def __init__(self, position: int | None, what: str) -> None:
        where = "somewhere in the log" if position is None else f"position {position}"
        super().__init__(f"{where}: {what}; stop writing, keep a copy, and audit the log")
        self.position = position


class SealRefused(LogError):
    """The log doesn't continue what was signed of it, so nothing is signed; what was recorded stays recorded."""


class DamagedEvidence(LogError):
    """The bytes kept under a hash are not the bytes that were put there."""

    def __init__(self, sha256: str) -> None:
        super().__init__(f"the bytes kept of snapshot {sha256} are other bytes: put the snapshot again, or erase it")
        self.sha256 = sha256
