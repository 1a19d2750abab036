"""What an audit finds: a fixed vocabulary, so that programs can act on it, and a place for each finding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

from events.contracts import Slot

Kind = Literal[
    "signature", "witnesses", "history", "behind", "root", "leaf", "tile", "missing", "twice", "form", "opening",
    "time", "id", "column", "text", "lost or hidden", "not erased", "erasure", "evidence", "file", "storage",
    "attestation",
]  # fmt: skip
"""What can be wrong."""

MEANINGS: Final[dict[Kind, str]] = {
    "signature": "The checkpoint is malformed, of another log, or not signed by the key that was given.",
    "witnesses": "The checkpoint lacks the cosignatures that the policy asks for.",
    "history": "The log is not the one of a checkpoint that was kept: its history was rewritten, or it forked.",
    "behind": "The log ends before a checkpoint: what was recorded last is gone.",
    "root": "The leaves do not give the root that was signed.",
    "leaf": "A leaf is not the one whose hash was kept: it was changed.",
    "tile": "A kept tile or bundle is not what the leaves give: it was changed. The leaves are as they were signed.",
    "missing": "An event that must be there is not there.",
    "twice": "Two events stand at one position, or one at a position that nobody reads.",
    "form": "A leaf is not canonical, can't be decoded, or a field in it does not have its form.",
    "opening": "The first event does not open the log, or a later one opens it again.",
    "time": "An event was recorded before the one that precedes it.",
    "id": "An event has the id of an earlier one.",
    "column": "A column of the storage says something else than the leaf.",
    "text": "A text does not have the digest that stands in the leaf.",
    "lost or hidden": "A text is missing and no `text.erased` names it.",
    "not erased": "A text stands although a `text.erased` names it.",
    "erasure": "A `text.erased` names an event that does not come before it.",
    "evidence": "The bytes kept of a snapshot are other bytes.",
    "file": "A file of an export or a published log does not have its form.",
    "storage": "The storage can't be read, or its tables are not those of a log.",
    "attestation": "What was attested of the statuses is not what a replay gives.",
}
"""Every kind of finding and what it means."""

assert tuple(MEANINGS) == get_args(Kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong, and where: at a position, in a range of positions up to `upto`, or in no event."""

    kind: Kind
    what: str
    position: int | None = None
    upto: int | None = None
    slot: Slot | None = None

    def __str__(self) -> str:
        """Return the line that a person reads."""
        match self.position, self.upto:
            case None, _:
                where = "log"
            case int(), None:
                where = f"position {self.position}"
            case _:
                where = f"positions {self.position}–{self.upto}"
        return f"{where}: {self.kind}: {self.what}"
