"""Questions about claims: how they stand and stood, who said what, and what has changed."""

from __future__ import annotations

import msgspec
from sqlalchemy import select

from verifier.projections import Reading
from verifier.queries.answering import LAST, Answering
from verifier.queries.attention import claims_by_attention
from verifier.queries.claims import (
    Answer,
    change_answers,
    changes_after,
    changes_before,
    changes_of,
    claim_answers,
    claim_row,
    claims_by_status,
    claims_where,
    latest_changes,
    quiet_claims,
    recalled_uses,
)
from verifier.queries.past import folded_answer, position_of, statement_answers
from verifier.queries.sources import same_sources
from verifier.queries.then import Rests, Wanted, claims_then, history_under


class AboutClaims(Answering):
    """What can be asked about claims."""

    async def claim(
        self,
        id: str,
        *,
        as_of: int | str | None = None,
        said_by: str | None = None,
        policy: str | None = None,
        at_least: int | None = None,
        lenient: bool = False,
    ) -> Answer:
        """Return a claim as it stands; or as it stood by a position or time (`as_of`: the facts recorded by
        then), by what had been said by a moment (`said_by`: today's facts), under another `policy`.

        Raises `NotFound`, `Invalid` for times, positions and policies that there are not, `ViewsBehind`.
        """
        if as_of is None and said_by is None and policy is None:
            behind = await self._wait(at_least, lenient)
            found = await self._read(lambda reading: self._claim(reading, id))
            return {**found[0], "behind": behind} if found else self._no_claim(id)
        rests, folded = await self._folded(id, as_of, said_by, policy)
        assessment = rests.assess(folded)
        row = await self._read(lambda reading: claim_row(reading, id))
        since = msgspec.json.decode(row.erased) if row is not None else None
        return folded_answer(folded, assessment, rests.basis(assessment.digest), since=since)

    async def claims(
        self,
        *,
        status: str | None = None,
        story: str | None = None,
        source: str | None = None,
        attention: str | None = None,
        language: str | None = None,
        text: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
        as_of: int | str | None = None,
        said_by: str | None = None,
        policy: str | None = None,
        at_least: int | None = None,
        lenient: bool = False,
    ) -> Answer:
        """Return a page of claims, the latest registered first; or as they stood then, as `claim` has it."""
        story = self._story_id(story) if story else None
        if as_of is not None or said_by is not None or policy is not None:
            sources = (await self._same(source))[1] if source else None
            wanted = Wanted(
                status=status, story=story, sources=sources, attention=attention, language=language, text=text
            )
            return await self._claims_then(wanted, as_of, said_by, policy, cursor, limit)
        behind = await self._wait(at_least, lenient)
        (before,) = await self._key(cursor, "claims", (LAST,))

        def read(reading: Reading) -> Answer:
            sources = same_sources(reading, self._source_id(source))[1] if source else None
            rows = claims_where(
                reading, before=before, limit=limit + 1, status=status, story=story, sources=sources,
                attention=attention, language=language, text=text,
            )  # fmt: skip
            items = claim_answers(reading, rows[:limit], self._log.id)
            return self._page(reading, "claims", items, [(row.registered_at,) for row in rows], behind)

        return await self._read(read)

    async def _claims_then(
        self,
        wanted: Wanted,
        as_of: int | str | None,
        said_by: str | None,
        policy: str | None,
        cursor: str | None,
        limit: int,
    ) -> Answer:
        position, before = await self._key(cursor, "claims then", (0, LAST))  # the position of the first page, for all
        rests = await self._rests(position or as_of, said_by, policy)
        await self._wait(rests.position, False)
        items, on = await claims_then(self._log, self._views, rests, wanted, before=before, limit=limit)
        return self._list(rests, items, "claims then", None if on is None else (rests.position, on))

    async def statements(
        self,
        claim: str,
        *,
        cursor: str | None = None,
        limit: int = 100,
        as_of: int | str | None = None,
        said_by: str | None = None,
    ) -> Answer:
        """Return a page of a claim's statements in the order of their recording, and what became of each; those
        recorded by a position or time (`as_of`), those that had been said by a moment (`said_by`)."""
        then = as_of is not None or said_by is not None
        kind, position, after = await self._goes_on(cursor, "statements", claim, then)
        rests, folded = await self._folded(claim, position or as_of, said_by, None)
        items: list[Answer] = []
        async for page in self._log.read(f"claim:{claim}", after=after, upto=folded.position):
            items += statement_answers(folded, page, rests.said_by)
            if len(items) > limit:
                break
        return self._cut(rests, items, limit, kind, then)

    async def history(
        self,
        claim: str,
        *,
        cursor: str | None = None,
        limit: int = 100,
        as_of: int | str | None = None,
        policy: str | None = None,
        at_least: int | None = None,
        lenient: bool = False,
    ) -> Answer:
        """Return a page of the changes of a claim's status, the first one first: those up to a position or time
        (`as_of`), or those that another `policy` would have made."""
        about_then = as_of is not None or policy is not None
        kind, position, after = await self._goes_on(cursor, "history", claim, about_then)
        if policy is not None:
            rests = await self._rests(position or as_of, None, policy)
            folded, items = await history_under(self._log, claim, rests, after=after, limit=limit + 1)
            await self._check_claim(folded, rests)
            return self._cut(rests, items, limit, kind, True)
        then = None if as_of is None else await self._rests(position or as_of, None, None)
        behind = await self._wait(*self._at(then, at_least, lenient))

        def read(reading: Reading) -> Answer:
            claims = reading.tables.claims
            if reading.connection.scalar(select(claims.c.id).where(claims.c.id == claim)) is None:
                self._no_claim(claim)
            rows = changes_of(reading, claim, after, limit + 1, then.position if then else LAST)
            items = change_answers(reading, rows[:limit], self._log.id)
            keys = [(then.position, row.position) if then else (row.position,) for row in rows]
            page = self._page(reading, kind, items, keys, behind)
            return {**page, **_as_of(then)}

        return await self._read(read)

    async def _goes_on(self, cursor: str | None, what: str, claim: str, then: bool) -> tuple[str, int, int]:
        """Return the kind of a cursor in a list about a claim, at which position the list began (0: at none, each
        page tells the present), and after which one it goes on."""
        if then:
            kind = f"{what} then {claim}"
            began, after = await self._key(cursor, kind, (0, 0))
            return kind, began, after
        kind = f"{what} {claim}"
        (after,) = await self._key(cursor, kind, (0,))
        return kind, 0, after

    def _cut(self, rests: Rests, items: list[Answer], limit: int, kind: str, then: bool) -> Answer:
        """Return a page of so many items; what comes after them only says that the list goes on."""
        cut = items[:limit]
        if len(items) == len(cut):
            return self._list(rests, cut, kind, None)
        after = cut[-1]["position"]
        return self._list(rests, cut, kind, (rests.position, after) if then else (after,))

    async def changes(
        self,
        *,
        after: int = 0,
        limit: int = 100,
        as_of: int | str | None = None,
        claim: str | None = None,
        story: str | None = None,
        status: str | None = None,
        source: str | None = None,
        recalls: bool = False,
        at_least: int | None = None,
        lenient: bool = False,
    ) -> Answer:
        """Return about so many changes after a position, up to another or a time (`as_of`). The changes of one
        position are never divided, and `position` says up to where these are all: go on after it.

        Raises `Invalid` for a position beyond the head.
        """
        then = None if as_of is None else await self._rests(as_of, None, None)
        behind = await self._wait(*self._at(then, at_least, lenient))
        await self._check(after)

        def read(reading: Reading) -> Answer:
            rows, upto = changes_after(
                reading, after, limit, then.position if then else None, claim=claim,
                story=self._story_id(story) if story else None, status=status, recalls=recalls,
                sources=same_sources(reading, self._source_id(source))[1] if source else None,
            )  # fmt: skip
            page = self._page(reading, "changes", change_answers(reading, rows, self._log.id), [], behind)
            return {**page, **_as_of(then), "position": max(upto, after)}

        return await self._read(read)

    async def latest_changes(
        self, *, after: int = 0, limit: int = 20, at_least: int | None = None, lenient: bool = False
    ) -> Answer:
        """Return the last changes after a position, the latest first, and how many there are in `total`; a feed goes
        on after `position`."""
        behind = await self._wait(at_least, lenient)

        def read(reading: Reading) -> Answer:
            rows, total = latest_changes(reading, after, limit)
            page = self._page(reading, "latest changes", change_answers(reading, rows, self._log.id), [], behind)
            return {**page, "total": total}

        return await self._read(read)

    async def by_status(self) -> dict[str, int]:
        """Return how many claims have which status."""
        return await self._read(claims_by_status)

    async def by_attention(self) -> dict[str, int]:
        """Return how many claims somebody should look at, by the reason."""
        return await self._read(claims_by_attention)

    async def quiet(self, *, since: int | str, limit: int = 20) -> Answer:
        """Return the claims that take facts and had none after a position or time, the latest touched first, and how
        many there are in `total`."""
        position = await position_of(self._log, since)

        def read(reading: Reading) -> Answer:
            rows, total = quiet_claims(reading, position, limit)
            page = self._page(reading, "quiet", claim_answers(reading, rows, self._log.id), [], False)
            touched = {row.id: row.recorded_at for row in rows}
            return {**page, "total": total, "touched": touched}

        return await self._read(read)

    async def recalled_uses(self, *, limit: int = 20) -> Answer:
        """Return the publications whose claim was recalled since what they saw of it, and that nobody has taken down or
        put right: the latest recalled first, and how many there are in `total`."""

        def read(reading: Reading) -> Answer:
            rows, total = recalled_uses(reading, limit)
            claims = {row.claim: found for row in rows for found in self._claim(reading, row.claim)}
            items = [
                {
                    "publication": row.event,
                    "position": row.position,
                    "seen": row.seen,
                    "recalled_at": row.recalled_at,
                    "claim": claims[row.claim],
                }
                for row in rows
            ]
            return {**self._page(reading, "recalled uses", items, [], False), "total": total}

        return await self._read(read)

    async def newest_changes(
        self,
        *,
        claim: str | None = None,
        story: str | None = None,
        status: str | None = None,
        source: str | None = None,
        recalls: bool = False,
        cursor: str | None = None,
        limit: int = 100,
    ) -> Answer:
        """Return a page of changes, the newest first, and what they are `of`: the wording of the claim or the title
        of the story, where one was named. Its `next` stays the same while nothing that was asked for changes.

        Raises `NotFound` for a claim that there is not.
        """
        await self._wait(await self._log.head(), True)
        before = await self._key(cursor, "newest changes", (LAST, ""))

        def read(reading: Reading) -> Answer:
            of = self._named(reading, claim, story)
            sources = same_sources(reading, self._source_id(source))[1] if source else None
            rows = changes_before(
                reading, before, limit + 1, claim=claim, story=self._story_id(story) if story else None,
                status=status, recalls=recalls, sources=sources,
            )  # fmt: skip
            page = self._page(reading, "newest changes", change_answers(reading, rows[:limit], self._log.id), [], False)
            last = rows[limit - 1] if len(rows) > limit else None
            on = self._next("newest changes", last.position, (last.position, last.claim)) if last is not None else None
            return {**page, "next": on, "of": of}

        return await self._read(read)

    def _named(self, reading: Reading, claim: str | None, story: str | None) -> str | None:
        """Return the wording of a claim, or the title of a story; `None` where it was erased. A story that nobody has
        opened is called what the caller calls it."""
        if claim is not None:
            row = claim_row(reading, claim)
            wording: str | None = row.text if row is not None else self._no_claim(claim)
            return wording
        if story is None:
            return None
        title = select(reading.tables.stories.c.title).where(reading.tables.stories.c.id == self._story_id(story))
        titles = reading.connection.scalars(title).all()
        return titles[0] if titles else story


def _as_of(then: Rests | None) -> Answer:
    """Return what a page says otherwise where it was asked as of a position."""
    return {} if then is None else {"position": then.position, "basis": then.basis()}
