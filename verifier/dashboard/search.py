"""*Search*: claims by their words, and the source or the story that has just this name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from verifier.app import Desk
from verifier.dashboard.page import Data, Page
from verifier.errors import NotFound
from verifier.naming import is_id
from verifier.parameters import Asked, Limit, PageParams, Word


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchParams(PageParams):
    """The words that are looked for; nothing is found for none."""

    text: Word | None = None
    limit: Limit = 25


async def search(desk: Desk, asked: Asked) -> Data:
    """Return a page of the claims whose wording holds the words, and what is called so or has this id."""
    p: SearchParams = asked.params
    text = p.text or ""
    claims = (
        await desk.queries.claims(text=text, cursor=p.cursor, limit=p.limit, **asked.at_least) if text.strip() else None
    )
    return {
        "title": f"Search: {text}" if text else "Search",
        "text": text,
        "claims": claims,
        "source": await _source(desk, text),
        "story": await _story(desk, text),
        "claim": text.strip() if is_id(text.strip(), "clm") else None,
    }


async def _source(desk: Desk, text: str) -> Data | None:
    try:
        found = await desk.queries.source(text) if text else None
    except NotFound:
        return None
    return found and {"id": found["id"], "name": found["name"]}


async def _story(desk: Desk, text: str) -> Data | None:
    try:
        found = await desk.queries.story(text) if text else None
    except NotFound:
        return None
    return found and {"id": found["id"], "title": found["title"]}


PAGE: Final = Page(path="/search", name="search", about="Find a claim by its words.", ask=search, params=SearchParams)
