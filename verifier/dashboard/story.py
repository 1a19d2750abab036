"""*Stories* and *Story*: what gathers claims, and how they stand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from verifier.app import Desk
from verifier.dashboard.page import Data, Page
from verifier.parameters import Asked, Limit, PageParams, ThenParams, Word


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryParams(ThenParams):
    """A story, now or then; `cursor` goes on with its claims."""

    cursor: Word | None = None
    limit: Limit = 50


async def stories(desk: Desk, asked: Asked) -> Data:
    """Return a page of stories, the latest opened first."""
    p: PageParams = asked.params
    page = await desk.queries.stories(cursor=p.cursor, limit=p.limit, **asked.at_least)
    return {"title": "Stories", "stories": page}


async def story(desk: Desk, asked: Asked) -> Data:
    """Return a story and a page of its claims."""
    p: StoryParams = asked.params
    id, queries = asked.ids["id"], desk.queries
    answer = await queries.story(id, as_of=p.as_of, said_by=p.said_by, policy=p.policy, **asked.at_least)
    claims = await queries.claims(
        story=answer["id"], cursor=p.cursor, limit=p.limit, as_of=p.as_of, said_by=p.said_by, policy=p.policy
    )
    return {"title": answer["title"] or "A story whose title was erased", "story": answer, "claims": claims}


STORIES: Final = Page(path="/stories", name="stories", about="What gathers claims.", ask=stories, params=PageParams)
PAGE: Final = Page(path="/stories/{id}", name="story", about="A story and its claims.", ask=story, params=StoryParams)
