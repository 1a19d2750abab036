"""*Desk*, the first page: what somebody has to do, and what happened meanwhile.

Up to where a reader has seen the changes is remembered by their browser, as a cookie that the link *I have seen these*
sets; the server remembers nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from verifier.app import Desk
from verifier.dashboard.page import Data, Page
from verifier.parameters import Asked, Params, Position

SHOWN: Final = 10
"""How many of each kind stand on the page."""

QUIET: Final = timedelta(days=1)
"""For how long nobody has touched what is shown as quiet."""

REASONS: Final = {
    "who": "a statement counts for nothing because nobody knows who spoke",
    "when": "a statement that decides has no date",
    "overtaken": "two new origins support it since it was last denied",
    "verdict_stale": "a verdict was given on another status",
    "contradicted": "it stands, and so does a claim that contradicts it",
    "same_source": "two of its sources have names that look alike",
    "no_evidence": "no document is attached",
}
"""What each reason for attention means, the most pressing first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskParams(Params):
    """`since` is the last position that the reader has seen; left out, what the browser remembers."""

    since: Position | None = None


async def desk(desk: Desk, asked: Asked) -> Data:
    """Return the recalls that are not ticked off, what needs attention, what is new, and what is quiet."""
    since, queries = asked.params.since, desk.queries
    changes = await queries.latest_changes(after=since or 0, limit=SHOWN, **asked.at_least)
    day_ago = (datetime.now(UTC) - QUIET).isoformat(timespec="microseconds").replace("+00:00", "Z")
    recalls = await queries.recalled_uses(limit=SHOWN)
    attention = await queries.by_attention()
    return {
        "title": "Desk",
        "log": desk.log.id,
        "position": changes["position"],
        "since": since,
        "changes": changes["items"],
        "new": changes["total"],
        "recalls": [await _with_address(desk, use) for use in recalls["items"]],
        "recalled": recalls["total"],
        "attention": [
            {"reason": reason, "means": means, "claims": attention[reason]}
            for reason, means in REASONS.items()
            if reason in attention
        ],
        "quiet": await queries.quiet(since=day_ago, limit=SHOWN),
    }


async def _with_address(desk: Desk, use: Data) -> Data:
    """Add to a publication the day and the address, as far as that was not erased."""
    claim, position = use["claim"], use["position"]
    stream = f"claim:{claim['id']}"
    [event] = (await desk.queries.events(stream, after=position - 1, limit=1))["items"]
    return {**use, "day": event["fact"]["day"], "address": (event["wording"] or {}).get("address")}


PAGE: Final = Page(
    path="/", name="desk", about="What there is to do, and what is new.", ask=desk, params=DeskParams,
    remembers="since",
)  # fmt: skip
