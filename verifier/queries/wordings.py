"""Which claim has a wording: asked before each registration, so looked up many at a time.

Those who ask while one reading goes on share the next one. A reading costs a hand-over to a thread and back,
which is many times what one more wording in it costs.
"""

from __future__ import annotations

import asyncio
from functools import lru_cache
from typing import Final

from sqlalchemy import Select, bindparam, select

from events.contracts import ClaimRegistered
from events.log import Recorded
from verifier.naming import normal
from verifier.projections import Reading, Views
from verifier.queries.claims import ENDED
from verifier.tables import GENERATIONS, TableSet

HEARD: Final = 10_000
"""How many wordings are remembered that another process registered while the views catch up."""

Wording = tuple[str | None, str]
"""A story, or none, and the normal form of a text."""


class Wordings:
    """Looks up the claims of a story by their wording. For one event loop."""

    def __init__(self, views: Views) -> None:
        self._views = views
        self._asked: set[Wording] = set()
        self._next: asyncio.Task[dict[Wording, str | None]] | None = None  # it may still be joined
        self._last: asyncio.Task[dict[Wording, str | None]] | None = None  # it reads, or has read
        self._heard: dict[Wording, tuple[int, str]] = {}  # in order of their positions

    def hear(self, event: Recorded) -> None:
        """Remember the wording of a claim that was just registered, until the views have it."""
        fact = event.leaf.fact
        if isinstance(fact, ClaimRegistered) and event.wording is not None and event.wording.text is not None:
            claim = event.stream.partition(":")[2]
            self._heard.setdefault((fact.story, normal(event.wording.text)), (event.position, claim))
            while self._heard and (
                len(self._heard) > HEARD or next(iter(self._heard.values()))[0] <= self._views.position
            ):
                del self._heard[next(iter(self._heard))]

    def heard(self, wording: Wording) -> str | None:
        """Return the claim that was heard of with this wording and that the views may not have yet: it may have
        ended or been reworded since."""
        _, claim = self._heard.get(wording, (0, None))
        return claim

    async def find(self, wording: Wording) -> str | None:
        """Return the claim that has this wording and still takes facts: the first registered of several.

        Whatever the views contained when this was asked is found.
        """
        if self._next is None:
            self._next = asyncio.create_task(self._read(self._last), name="look wordings up")
        self._asked.add(wording)
        found = await asyncio.shield(self._next)  # others may wait for it, too
        return found[wording]

    async def _read(self, before: asyncio.Task[dict[Wording, str | None]] | None) -> dict[Wording, str | None]:
        if before is not None:
            await asyncio.wait({before})
        asked, self._asked = self._asked, set()
        self._last, self._next = self._next, None

        def look_up(reading: Reading) -> dict[Wording, str | None]:
            wanted = _with_wording(reading.tables)
            return {
                (story, text): reading.connection.scalar(wanted, {"of_story": story, "text": text})
                for story, text in asked
            }

        return await self._views.read(look_up)


@lru_cache(GENERATIONS)
def _with_wording(tables: TableSet) -> Select[str]:
    claims = tables.claims
    return (
        select(claims.c.id)
        .where(
            claims.c.story.is_not_distinct_from(bindparam("of_story")),
            claims.c.text_key == bindparam("text"),
            claims.c.status.not_in(ENDED),
        )
        .order_by(claims.c.registered_at)
        .limit(1)
    )
