"""*Claim*: how a claim stands, why, who said what about it, and how that came about."""

from __future__ import annotations

from typing import Final

from verifier.app import Desk
from verifier.dashboard.page import Data, Page
from verifier.parameters import Asked, ThenParams


async def claim(desk: Desk, asked: Asked) -> Data:
    """Return a claim, its statements and the changes of its status; or as they were then."""
    p: ThenParams = asked.params
    id, queries = asked.ids["id"], desk.queries
    answer = await queries.claim(id, as_of=p.as_of, said_by=p.said_by, policy=p.policy, **asked.at_least)
    return {
        "title": answer["texts"]["text"] or "A claim whose wording was erased",
        "claim": answer,
        "statements": await queries.statements(id, as_of=p.as_of, said_by=p.said_by),
        "history": await queries.history(id, as_of=p.as_of, policy=p.policy),
    }


PAGE: Final = Page(
    path="/claims/{id}", name="claim", about="How a claim stands, and why.", ask=claim, params=ThenParams
)
