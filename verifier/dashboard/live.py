"""*Live*: how many claims have which status, a table of claims, and the changes as they happen.

The changes are read first. So tiles and table know at least what the changes tell, and the stream goes on after
`position` with nothing missing and nothing twice.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Final

from verifier.app import Desk
from verifier.dashboard.page import Data, Page
from verifier.parameters import Asked, ClaimsParams, Limit, Position

LATEST: Final = 20
"""How many changes stand on the page when it is opened."""

FILTERS: Final = ("status", "story", "source", "attention", "language", "text")
"""What the table can be narrowed down by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveParams(ClaimsParams):
    """Which claims stand in the table; with `after`, the changes are those after a position."""

    limit: Limit = 25
    after: Position | None = None


async def live(desk: Desk, asked: Asked) -> Data:
    """Return the changes, the number of claims by status, and a page of claims."""
    p: LiveParams = asked.params
    queries = desk.queries
    if p.after is None:
        changes = await queries.latest_changes(limit=LATEST, **asked.at_least)
    else:
        changes = await queries.changes(after=p.after, **asked.at_least)
        changes["items"].reverse()
    claims = await queries.claims(
        status=p.status, story=p.story, source=p.source, attention=p.attention, language=p.language, text=p.text,
        cursor=p.cursor, limit=p.limit, as_of=p.as_of, said_by=p.said_by, policy=p.policy,
    )  # fmt: skip
    return {
        "title": "Live",
        "position": changes["position"],
        "changes": changes["items"],
        "by_status": await queries.by_status(),
        "claims": claims,
        "filters": {name: asdict(p)[name] for name in FILTERS},
        "narrowed": any(asdict(p)[name] for name in FILTERS),
    }


PAGE: Final = Page(path="/live", name="live", about="How claims stand, and the changes as they happen.", ask=live,
                   params=LiveParams)  # fmt: skip
