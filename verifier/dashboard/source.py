"""*Sources* and *Source*: what somebody said, and how each of those claims stands now. A list and counts: nothing here
is a score, and nobody is ranked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from verifier.app import Desk
from verifier.dashboard.page import Data, Page
from verifier.parameters import Asked, Limit, PageParams, Params, Word

EACH: Final = 5
"""How many of a source's statements are shown of one claim."""

LOOKED_AT: Final = 200
"""Among how many statements of a claim those of the source are looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceParams(Params):
    """`cursor` goes on with the claims that the source spoke about."""

    cursor: Word | None = None
    limit: Limit = 20


async def sources(desk: Desk, asked: Asked) -> Data:
    """Return a page of sources by name."""
    p: PageParams = asked.params
    page = await desk.queries.sources(cursor=p.cursor, limit=p.limit, **asked.at_least)
    return {"title": "Sources", "sources": page}


async def source(desk: Desk, asked: Asked) -> Data:
    """Return a source, and a page of the claims that it spoke about or carried, each with what it said there."""
    p: SourceParams = asked.params
    id, queries = asked.ids["id"], desk.queries
    answer = await queries.source(id, **asked.at_least)
    claims = await queries.claims(source=answer["id"], cursor=p.cursor, limit=p.limit)
    names = {answer["name"], *answer["aliases"]}
    said = {claim["id"]: await _said(desk, claim["id"], answer["id"], names) for claim in claims["items"]}
    return {
        "title": answer["name"] or "A source whose name is not given",
        "source": answer,
        "claims": claims,
        "said": said,
    }


async def _said(desk: Desk, claim: str, source: str, names: set[str | None]) -> list[Data]:
    """Return the first statements of a source about a claim, also those that it only carried."""
    statements = (await desk.queries.statements(claim, limit=LOOKED_AT))["items"]
    own = [
        said
        for said in statements
        if said["source_id"] == source or said["source_name"] in names or not names.isdisjoint(said["via"])
    ]
    return own[:EACH]


SOURCES: Final = Page(path="/sources", name="sources", about="Who is talked about.", ask=sources, params=PageParams)
PAGE: Final = Page(
    path="/sources/{id:path}", name="source", about="What a source said.", ask=source, params=SourceParams
)
