"""The questions. Each is answered from one state of the views, or from the log, and says on what it rests.

`at_least` waits a little for the views to reach a position. Where the caller set it and they don't, that is a
problem (`ViewsBehind`); where the client added it by itself (`lenient`), what there is, is answered and
marked `behind`. A position beyond the log's head is refused at once: waiting can't help.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, Final, TypeVar

from sqlalchemy import select

from events.errors import ForeignCursor
from events.log import Log, Recorded
from verifier import render
from verifier.adopted import Adopted
from verifier.errors import Invalid, NotFound, ViewsBehind
from verifier.fold import Folds, fold
from verifier.naming import is_id, normal, source_id, story_id
from verifier.policy import Policy, policy_named
from verifier.projections import Reading, Views
from verifier.queries.claims import (
    Answer,
    change_answers,
    changes_after,
    changes_of,
    claim_answers,
    claim_row,
    claims_where,
)
from verifier.queries.cursor import Cursor, read_cursor
from verifier.queries.past import folded_answer, fresh, position_of, recorded_at, statement_answers
from verifier.queries.sources import (
    latest_claims,
    same_sources,
    source_answer,
    source_row,
    source_rows,
    story_answers,
    story_rows,
)
from verifier.queries.wordings import Wordings
from verifier.tailer import Tailer
from verifier.times import instant

T = TypeVar("T")

WAIT: Final = 2.0
"""How many seconds an answer waits for the views to reach `at_least`."""

FIRST_LOOK: Final = 20.0
"""How many seconds the first registration of a process waits for views that are being caught up."""

LAST: Final = 2**53
"""Beyond every position."""

TAIL: Final = 6
"""How many last characters of an id are enough to look it up."""


class Queries:
    """What can be asked of a log and its views."""

    def __init__(self, log: Log, views: Views, adopted: Adopted, tailer: Tailer | None = None) -> None:
        self._log = log
        self._tailer = tailer
        self._views = views
        self._adopted = adopted
        self._folds = Folds(log)
        self._wordings = Wordings(views)
        self._level = False  # whether the views have reached what was recorded before this process

    # --- claims --------------------------------------------------------------------------------------

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
        return await self._past(id, as_of, said_by, policy)

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
        at_least: int | None = None,
        lenient: bool = False,
    ) -> Answer:
        """Return a page of claims, the latest registered first."""
        behind = await self._wait(at_least, lenient)
        (before,) = await self._key(cursor, "claims", (LAST,))
        story = self._story_id(story) if story else None

        def read(reading: Reading) -> Answer:
            sources = same_sources(reading, self._source_id(source))[1] if source else None
            rows = claims_where(
                reading, before=before, limit=limit + 1, status=status, story=story, sources=sources,
                attention=attention, language=language, text=text,
            )  # fmt: skip
            items = claim_answers(reading, rows[:limit], self._log.id)
            return self._page(reading, "claims", items, [(row.registered_at,) for row in rows], behind)

        return await self._read(read)

    async def statements(self, claim: str, *, cursor: str | None = None, limit: int = 100) -> Answer:
        """Return a page of a claim's statements in the order of their recording, and what became of each."""
        (after,) = await self._key(cursor, f"statements {claim}", (0,))
        head = await self._log.head()
        folded = await fresh(self._folds, claim)
        if not folded.position:
            self._no_claim(claim)
        items: list[Answer] = []
        async for page in self._log.read(f"claim:{claim}", after=after, upto=folded.position):
            items += statement_answers(folded, page)
            if len(items) > limit:
                break
        position = max(head, folded.position)
        policy = await self._in_force(position)
        cut = items[:limit]
        return {
            "items": cut,
            "next": self._next(f"statements {claim}", head, (cut[-1]["position"],)) if len(items) > limit else None,
            "position": position,
            "basis": render.basis(self._log.id, position, await recorded_at(self._log, position), policy),
            "behind": False,
        }

    async def history(
        self,
        claim: str,
        *,
        cursor: str | None = None,
        limit: int = 100,
        at_least: int | None = None,
        lenient: bool = False,
    ) -> Answer:
        """Return a page of the changes of a claim's status, the first one first."""
        behind = await self._wait(at_least, lenient)
        (after,) = await self._key(cursor, f"history {claim}", (0,))

        def read(reading: Reading) -> Answer:
            claims = reading.tables.claims
            if reading.connection.scalar(select(claims.c.id).where(claims.c.id == claim)) is None:
                self._no_claim(claim)
            rows = changes_of(reading, claim, after, limit + 1)
            items = change_answers(reading, rows[:limit], self._log.id)
            return self._page(reading, f"history {claim}", items, [(row.position,) for row in rows], behind)

        return await self._read(read)

    async def changes(
        self, *, after: int = 0, limit: int = 100, at_least: int | None = None, lenient: bool = False
    ) -> Answer:
        """Return about so many changes after a position. The changes of one position are never divided, and
        `position` says up to where these are all: go on after it.

        Raises `Invalid` for a position beyond the head.
        """
        behind = await self._wait(at_least, lenient)
        await self._check(after)

        def read(reading: Reading) -> Answer:
            rows, upto = changes_after(reading, after, limit)
            page = self._page(reading, "changes", change_answers(reading, rows, self._log.id), [], behind)
            return {**page, "position": max(upto, after)}

        return await self._read(read)

    # --- sources and stories -------------------------------------------------------------------------

    async def sources(
        self, *, cursor: str | None = None, limit: int = 100, at_least: int | None = None, lenient: bool = False
    ) -> Answer:
        """Return a page of sources by name; those that turned out to be another one stand with that one."""
        behind = await self._wait(at_least, lenient)
        after = await self._key(cursor, "sources", ("", ""))

        def read(reading: Reading) -> Answer:
            rows = source_rows(reading, after, limit + 1)
            items = [
                source_answer(reading, row, same_sources(reading, row.id)[1], self._log.id) for row in rows[:limit]
            ]
            return self._page(reading, "sources", items, [(row.shown, row.id) for row in rows], behind)

        return await self._read(read)

    async def source(self, id: str, *, at_least: int | None = None, lenient: bool = False) -> Answer:
        """Return a source by id or name, how its claims stand, and the latest of them.

        Raises `NotFound` where the log mentions no such source.
        """
        behind = await self._wait(at_least, lenient)

        def read(reading: Reading) -> Answer | None:
            survivor, same = same_sources(reading, self._source_id(id))
            row = source_row(reading, survivor)
            if row is None:
                return None
            answer = source_answer(reading, row, same, self._log.id)
            return {**answer, "claims": latest_claims(reading, same, self._log.id), "behind": behind}

        answer = await self._read(read)
        if answer is None:
            raise NotFound(f"this log mentions no source {id!r}: look it up in the list of sources", source=id)
        return answer

    async def stories(
        self, *, cursor: str | None = None, limit: int = 100, at_least: int | None = None, lenient: bool = False
    ) -> Answer:
        """Return a page of stories, the latest opened first."""
        behind = await self._wait(at_least, lenient)
        (before,) = await self._key(cursor, "stories", (LAST,))

        def read(reading: Reading) -> Answer:
            rows = story_rows(reading, before, limit + 1)
            items = story_answers(reading, rows[:limit], self._log.id)
            return self._page(reading, "stories", items, [(row.position,) for row in rows], behind)

        return await self._read(read)

    async def story(self, id: str, *, at_least: int | None = None, lenient: bool = False) -> Answer:
        """Return a story by id or title, and its claims by status. Raises `NotFound`."""
        behind = await self._wait(at_least, lenient)
        story = self._story_id(id)

        def read(reading: Reading) -> list[Answer]:
            stories = reading.tables.stories
            rows = reading.connection.execute(select(stories).where(stories.c.id == story)).all()
            return story_answers(reading, rows, self._log.id)

        answers = await self._read(read)
        if not answers:
            raise NotFound(f"this log has no story {id!r}: look it up in the list of stories", story=id)
        return {**answers[0], "behind": behind}

    # --- events --------------------------------------------------------------------------------------

    async def events(self, stream: str | None = None, *, after: int = 0, limit: int = 100) -> Answer:
        """Return events after a position, of one stream or of the whole log, as they are recorded.

        `position` is where to go on. Raises `Invalid` for a position beyond the head.
        """
        head = await self._check(after)
        pages = self._log.read(stream, after=after) if stream else self._log.read_all(after=after)
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

    # --- looking up ----------------------------------------------------------------------------------

    async def find_claim(self, story: str | None, text: str) -> str | None:
        """Return the claim of a story (or of none) that has this wording and still takes facts.

        The first to ask waits until the views have what earlier processes recorded. Raises `ViewsBehind`
        where they don't get there in time.
        """
        if not self._level:
            await self._wait(await self._log.head(), False, within=FIRST_LOOK)
            self._level = True
        wording = (story, normal(text))
        heard = self._wordings.heard(wording)  # before the rows are read: then it is found there, or here
        found = await self._wordings.find(wording)
        return found if found is not None or heard is None else await self._still(heard, wording[1])

    async def _still(self, claim: str, text: str) -> str | None:
        """Return a claim if it has this wording now and still takes facts."""
        folded = await fold(self._log, claim)
        words = folded.names.wordings.get(folded.claim.wording)
        says = words is not None and normal(words.text or "") == text
        return claim if says and folded.claim.ended is None else None

    def hear(self, event: Recorded) -> None:
        """Take note of a fact that any process recorded, before the views have it."""
        self._wordings.hear(event)

    async def claim_ids_of_story(self, story: str) -> Sequence[str]:
        """Return all claims of a story, the first registered first, as the log has them now.

        Raises `ViewsBehind` where the views don't get there in time.
        """

        def read(reading: Reading) -> Sequence[str]:
            claims = reading.tables.claims
            wanted = select(claims.c.id).where(claims.c.story == story).order_by(claims.c.registered_at)
            return reading.connection.scalars(wanted).all()

        await self._wait(await self._log.head(), False)
        return await self._read(read)

    async def resolve(self, prefix: str, tail: str, *, at_least: int | None = None, lenient: bool = False) -> str:
        """Return the id of this kind (`clm`, `src`, `sto`, `evt`) that ends so; a full id is returned as it is.

        Raises `NotFound` where none does, `Invalid` where several do or where the end is too short.
        """
        if is_id(tail, prefix):
            return tail
        if prefix not in ("clm", "evt", "src", "sto"):
            raise NotFound(f"no id that is looked up begins with {prefix}_: give clm, evt, src or sto", id=tail)
        await self._wait(at_least, lenient)
        if len(tail) < TAIL:
            raise Invalid(f"{tail!r} is too short for an id: give its last {TAIL} characters or more", id=tail)
        found = await self._ending(prefix, tail)
        match list(found):
            case [id]:
                return id
            case []:
                raise NotFound(
                    f"no id of this log begins with {prefix}_ and ends in {tail!r}: look it up again", id=tail
                )
            case several:
                raise Invalid(f"{tail!r} is the end of {', '.join(several)}: give more of it", id=tail, ids=several)

    async def _ending(self, prefix: str, tail: str) -> Collection[str]:
        if prefix == "evt":
            return [
                event.id async for page in self._log.read_all(texts=False) for event in page if event.id.endswith(tail)
            ]

        def read(reading: Reading) -> Collection[str]:
            tables = reading.tables
            ids = {"clm": tables.claims, "src": tables.sources, "sto": tables.stories}[prefix].c.id
            wanted = select(ids).where(ids.endswith(tail, autoescape=True)).order_by(ids).limit(10)
            return reading.connection.scalars(wanted).all()

        return await self._read(read)

    # --- how it is done ------------------------------------------------------------------------------

    async def _wait(self, at_least: int | None, lenient: bool, *, within: float = WAIT) -> bool:
        """Wait for the views; say whether they are behind what was asked."""
        if at_least is None or self._views.position >= at_least:
            return False
        await self._check(at_least)
        if await self._views.reached(at_least, within):
            return False
        if lenient:
            return True
        at = self._views.position
        raise ViewsBehind(f"the views are at {at} and not yet at {at_least}: ask again in a moment", position=at)

    async def _check(self, position: int) -> int:
        """Return the head; raises `Invalid` for a position beyond it."""
        head = await self._log.head()
        if position > head:
            raise Invalid(str(ForeignCursor(position, head)), position=head)
        return head

    async def _in_force(self, position: int) -> Policy:
        """Return the policy that was in force at a position. Raises `ViewsBehind` where another process recorded
        so far and we have not heard of it in time."""
        if self._tailer is not None and not await self._tailer.reached(position, WAIT):
            at = self._tailer.position
            raise ViewsBehind(f"this process has heard of {at} events, not yet of {position}: ask again", position=at)
        return self._adopted.at(position)

    async def _read(self, work: Callable[[Reading], T]) -> T:
        return await self._views.read(work)

    def _claim(self, reading: Reading, id: str) -> list[Answer]:
        row = claim_row(reading, id)
        return claim_answers(reading, [row], self._log.id) if row is not None else []

    async def _past(self, id: str, as_of: int | str | None, said_by: str | None, policy: str | None) -> Answer:
        if as_of is None:
            head = await self._log.head()
            folded = await fresh(self._folds, id)
            position = max(head, folded.position)
        else:
            position = await position_of(self._log, as_of)
            folded = await fold(self._log, id, upto=position)
        if not folded.position:
            if as_of is not None and (await fresh(self._folds, id)).position:
                raise NotFound(f"claim {id} was not registered by position {position}: ask as of a later one", claim=id)
            self._no_claim(id)
        rules = policy_named(policy) if policy else await self._in_force(position)
        moment = instant(said_by, "said_by", end=True) if said_by else None
        assessment = folded.assess_said_by(rules, moment) if moment else folded.assess(rules)
        basis = render.basis(self._log.id, position, await recorded_at(self._log, position))
        return folded_answer(folded, assessment, rules, {**basis, "said_by": moment} if moment else basis)

    def _no_claim(self, id: str) -> Any:
        raise NotFound(f"this log has no claim {id} here: look it up in the list of claims", claim=id)

    def _source_id(self, given: str) -> str:
        return given if is_id(given, "src") else source_id(self._log.id, given)

    def _story_id(self, given: str) -> str:
        return given if is_id(given, "sto") else story_id(self._log.id, given)

    async def _key(self, cursor: str | None, kind: str, like: tuple[Any, ...]) -> Any:
        head = await self._log.head() if cursor else 0
        return read_cursor(cursor, log=self._log.id, kind=kind, head=head, like=like)

    def _next(self, kind: str, position: int, key: tuple[str | int, ...]) -> str:
        return Cursor(self._log.id, kind, position, key).encode()

    def _page(
        self, reading: Reading, kind: str, items: list[Answer], keys: Sequence[tuple[Any, ...]], behind: bool
    ) -> Answer:  # fmt: skip
        at = reading.at
        return {
            "items": items,
            "next": self._next(kind, at.position, keys[len(items) - 1]) if len(keys) > len(items) else None,
            "position": at.position,
            "basis": render.basis(self._log.id, at.position, at.recorded_at, self._adopted.at(at.position)),
            "behind": behind,
        }
