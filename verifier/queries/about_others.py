"""Questions about what stands beside the claims: sources, stories, and the events as they are recorded."""

from __future__ import annotations

from sqlalchemy import select

from verifier import render
from verifier.projections import Reading
from verifier.queries.answering import LAST, Answering
from verifier.queries.claims import Answer
from verifier.queries.counts import source_then, stories_then
from verifier.queries.past import position_of, recorded_at
from verifier.queries.sources import (
    latest_claims,
    same_sources,
    source_answer,
    source_row,
    source_rows,
    story_answers,
    story_rows,
)


class AboutOthers(Answering):
    """What can be asked about sources, stories and events."""

    async def sources(
        self, *, cursor: str | None = None, limit: int = 100, at_least: int | None = None, lenient: bool = False
    ) -> Answer:
        """Return a page of sources by name; those that turned out to be another one stand with that one."""
        behind = await self._wait(at_least, lenient)
        after = await self._key(cursor, "sources", ("", ""))

        def read(reading: Reading) -> Answer:
            rows = source_rows(reading, after, limit + 1)
            items = [
                source_answer(reading, row, same_sources(reading, row.id)[1], self._log.id, lineage=self._log.lineage)
                for row in rows[:limit]
            ]
            return self._page(reading, "sources", items, [(row.shown, row.id) for row in rows], behind)

        return await self._read(read)

    async def source(
        self,
        id: str,
        *,
        as_of: int | str | None = None,
        said_by: str | None = None,
        policy: str | None = None,
        at_least: int | None = None,
        lenient: bool = False,
    ) -> Answer:
        """Return a source by id or name, how its claims stand, and the latest of them; or as they stood then.

        Raises `NotFound` where the log mentions no such source, `Invalid` where it has come up on more claims than
        can be folded at once.
        """
        if as_of is not None or said_by is not None or policy is not None:
            rests = await self._rests(as_of, said_by, policy)
            await self._wait(rests.position, False)
            found = await source_then(self._log, self._views, rests, *await self._same(id))
            return found if found is not None else self._no_source(id)
        behind = await self._wait(at_least, lenient)

        def read(reading: Reading) -> Answer | None:
            survivor, same = same_sources(reading, self._source_id(id))
            row = source_row(reading, survivor)
            if row is None:
                return None
            answer = source_answer(reading, row, same, self._log.id, lineage=self._log.lineage)
            return {**answer, "claims": latest_claims(reading, same, self._log.id), "behind": behind}

        answer = await self._read(read)
        return answer if answer is not None else self._no_source(id)

    async def stories(
        self,
        *,
        cursor: str | None = None,
        limit: int = 100,
        as_of: int | str | None = None,
        at_least: int | None = None,
        lenient: bool = False,
    ) -> Answer:
        """Return a page of stories, the latest opened first; with `as_of`, those there were and how their claims
        stood."""
        if as_of is not None:
            position, before = await self._key(cursor, "stories then", (0, LAST))
            rests = await self._rests(position or as_of, None, None)
            await self._wait(rests.position, False)
            items, on = await stories_then(self._log, self._views, rests, before=before, limit=limit)
            return self._list(rests, items, "stories then", None if on is None else (rests.position, on))
        behind = await self._wait(at_least, lenient)
        (before,) = await self._key(cursor, "stories", (LAST,))

        def read(reading: Reading) -> Answer:
            rows = story_rows(reading, before, limit + 1)
            items = story_answers(reading, rows[:limit], self._log.id)
            return self._page(reading, "stories", items, [(row.position,) for row in rows], behind)

        return await self._read(read)

    async def story(
        self,
        id: str,
        *,
        as_of: int | str | None = None,
        said_by: str | None = None,
        policy: str | None = None,
        at_least: int | None = None,
        lenient: bool = False,
    ) -> Answer:
        """Return a story by id or title, and its claims by status; or how they stood then.

        Raises `NotFound`, and `Invalid` where more claims would have to be folded than can be at once.
        """
        story = self._story_id(id)
        if as_of is not None or said_by is not None or policy is not None:
            rests = await self._rests(as_of, said_by, policy)
            await self._wait(rests.position, False)
            items, _ = await stories_then(self._log, self._views, rests, before=LAST, limit=1, story=story)
            return items[0] if items else self._no_story(id)
        behind = await self._wait(at_least, lenient)

        def read(reading: Reading) -> list[Answer]:
            stories = reading.tables.stories
            rows = reading.connection.execute(select(stories).where(stories.c.id == story)).all()
            return story_answers(reading, rows, self._log.id)

        answers = await self._read(read)
        return {**answers[0], "behind": behind} if answers else self._no_story(id)

    async def events(
        self, stream: str | None = None, *, after: int = 0, limit: int = 100, as_of: int | str | None = None
    ) -> Answer:
        """Return events after a position, of one stream or of the whole log, as they are recorded; with `as_of`, those
        recorded by a position or time.

        `position` is where to go on. Raises `Invalid` for a position beyond the head.
        """
        head = await self._check(after)
        upto = None if as_of is None else max(after, await position_of(self._log, as_of))
        head = head if upto is None else upto
        pages = self._log.read(stream, after=after, upto=upto) if stream else self._log.read_all(after=after, upto=upto)
        items: list[Answer] = []
        async for page in pages:
            items += [render.event(event) for event in page[: limit + 1 - len(items)]]
            if len(items) > limit:
                break
        more = len(items) > limit
        items = items[:limit]
        position = items[-1]["position"] if more else max(head, items[-1]["position"] if items else 0)
        moment = items[-1]["recorded_at"] if more else await recorded_at(self._log, position)
        return {
            "items": items,
            "next": str(position) if more else None,
            "position": position,
            "basis": render.basis(self._log.id, position, moment),
            "behind": False,
        }
