"""*Audit*: how far the log is, who follows it and how far they are, and the proof that one event is in it.

The proof is checked in the browser, by what it computes itself; the server only hands it over.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from annotated_types import Ge

from verifier import receipts
from verifier.app import Desk
from verifier.dashboard.page import Data, Page
from verifier.errors import NotFound, NotSealed
from verifier.health import health
from verifier.parameters import Asked, Params


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditParams(Params):
    """The event at a `position`, with its proof; left out, the last one that is sealed."""

    position: Annotated[int, Ge(1)] | None = None


async def audit(desk: Desk, asked: Asked) -> Data:
    """Return how the log and its followers are, the checkpoint where there is one, and the receipt of an event.

    Raises `NotFound` for a position that the log doesn't have.
    """
    how = (await health(desk)).answer
    checkpoint, unsealed = await _checkpoint(desk)
    position = asked.params.position or (checkpoint["size"] if checkpoint else None)
    receipt = None
    if checkpoint is not None and position is not None:
        receipt = await receipts.receipt_of_event(desk, str(position))
    return {
        "title": "Audit",
        "health": how,
        "subscribers": desk.feed.subscribers,
        "checkpoint": checkpoint,
        "unsealed": unsealed,
        "position": position,
        "receipt": receipt,
    }


async def _checkpoint(desk: Desk) -> tuple[Data | None, str | None]:
    """Return the last checkpoint, or why there is none."""
    try:
        return await receipts.checkpoint(desk), None
    except (NotFound, NotSealed) as problem:
        return None, problem.detail


PAGE: Final = Page(path="/audit", name="audit", about="How far the log is, and a proof.", ask=audit, params=AuditParams)
