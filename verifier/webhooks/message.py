"""What is sent about a change: rendered when it is sent, so that a text that was erased meanwhile isn't in it.

`published` are the uses that the last recall of the claim touches, until an editor ticks them off: everything that was
published before the recall, and wasn't taken down or put right since (`unpublish_claim`). Later messages about the
claim list them, too.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from events.contracts import ClaimPublished, ClaimUnpublished
from events.log import Log
from verifier.projections import Reading, Views
from verifier.queries.changed import is_published, one_change, recalled_at

CHANGED: Final = "status.changed"
RECALLED: Final = "status.recalled"

SHOWN: Final = 20
"""How many uses a message lists; `total` says how many there are."""


async def body_of(log: Log, views: Views, claim: str, position: int) -> bytes | None:
    """Return the body of the message about a change, as JSON; `None` where the views know of no such change."""

    def read(reading: Reading) -> tuple[dict[str, Any], int | None] | None:
        change = one_change(reading, claim, position, log.id)
        if change is None:
            return None
        return change, recalled_at(reading, claim, position) if is_published(reading, claim) else None

    found = await views.read(read)
    if found is None:
        return None
    change, recalled = found
    uses = [] if recalled is None else await _published(log, claim, recalled)
    return msgspec.json.encode(
        {
            "type": RECALLED if change["recall"] else CHANGED,
            "timestamp": change["recorded_at"],
            "data": {"log": log.id, **change, "published": {"shown": uses[:SHOWN], "total": len(uses)}},
        }
    )


async def _published(log: Log, claim: str, before: int) -> list[dict[str, Any]]:
    """Return the uses of a claim that were published before a position and not ticked off by now."""
    uses: dict[str, dict[str, Any]] = {}
    async for page in log.read(f"claim:{claim}"):
        for event in page:
            match event.leaf.fact:
                case ClaimPublished(day=day, seen=seen, status=status) if event.position < before:
                    address = event.wording.address if event.wording else None
                    uses[event.leaf.id] = {
                        "event": event.leaf.id, "day": day, "seen": seen, "status": status, "address": address,
                    }  # fmt: skip
                case ClaimUnpublished(publication=publication):
                    uses.pop(publication, None)
                case _:
                    pass
    return list(uses.values())
