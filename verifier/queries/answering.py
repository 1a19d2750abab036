"""How every question is answered: when the views are far enough, on what it rests, where a list goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NoReturn, TypeVar

from events.errors import ForeignCursor
from events.log import Log
from verifier import render
from verifier.adopted import Adopted
from verifier.errors import Invalid, NotFound, ViewsBehind
from verifier.fold import Folded, Folds, fold
from verifier.naming import source_named, story_named
from verifier.policy import Policy, policy_named
from verifier.projections import Reading, Views
from verifier.queries.claims import Answer, claim_answers, claim_row
from verifier.queries.cursor import Cursor, read_cursor
from verifier.queries.past import fresh, position_of, recorded_at
from verifier.queries.sources import same_sources
from verifier.queries.then import Rests
from verifier.queries.wordings import Wordings
from verifier.tailer import Tailer
from verifier.times import instant

T = TypeVar("T")

WAIT: Final = 2.0
"""How many seconds an answer waits for the views to reach `at_least`."""

LAST: Final = 2**53
"""Beyond every position."""


class Answering:
    """A log and its views, and what every question needs of them."""

    def __init__(self, log: Log, views: Views, adopted: Adopted, tailer: Tailer | None = None) -> None:
        self._log = log
        self._tailer = tailer
        self._views = views
        self._adopted = adopted
        self._folds = Folds(log)
        self._wordings = Wordings(views)
        self._level = False  # whether the views have reached what was recorded before this process

    async def let_go(self) -> None:
        """Forget the claims that are held in memory."""
        await self._folds.let_go()

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

    async def _folded(
        self, id: str, as_of: int | str | None, said_by: str | None, policy: str | None
    ) -> tuple[Rests, Folded]:
        """Fold a claim up to a position or time, or the head; say what an answer about it rests on."""
        if as_of is None:
            head = await self._log.head()
            folded = await fresh(self._folds, id)
            rests = await self._rests(max(head, folded.position), said_by, policy)
        else:
            rests = await self._rests(as_of, said_by, policy)
            folded = await fold(self._log, id, upto=rests.position)
        await self._check_claim(folded, rests)
        return rests, folded

    async def _check_claim(self, folded: Folded, rests: Rests) -> None:
        """Raise `NotFound` for a claim that isn't there, or wasn't yet."""
        if folded.position:
            return
        id = folded.claim.id
        if (await fresh(self._folds, id)).position:
            raise NotFound(
                f"claim {id} was not registered by position {rests.position}: ask as of a later one", claim=id
            )
        self._no_claim(id)

    async def _rests(self, as_of: int | str | None, said_by: str | None, policy: str | None) -> Rests:
        """Return what an answer about the past rests on. Raises `Invalid` for times and positions that there are not,
        `NotFound` for such policies."""
        position = await self._log.head() if as_of is None else await position_of(self._log, as_of)
        return Rests(
            log=self._log.id,
            position=position,
            recorded_at=await recorded_at(self._log, position),
            policy=policy_named(policy) if policy else await self._in_force(position),
            of_then=policy is None,
            said_by=instant(said_by, "said_by", end=True) if said_by else None,
        )

    def _at(self, then: Rests | None, at_least: int | None, lenient: bool) -> tuple[int | None, bool]:
        """Return which position the views must have reached; for an answer about the past, all of that."""
        return (at_least, lenient) if then is None else (then.position, False)

    async def _same(self, source: str) -> tuple[str, set[str]]:
        """Return the source that is meant today by an id or name, and every id that stands for it."""
        return await self._read(lambda reading: same_sources(reading, self._source_id(source)))

    async def same_sources(self, source: str) -> frozenset[str]:
        """Return every id that stands today for the source that an id or name means."""
        return frozenset((await self._same(source))[1])

    def _no_claim(self, id: str) -> NoReturn:
        raise NotFound(f"this log has no claim {id} here: look it up in the list of claims", claim=id)

    def _no_source(self, id: str) -> NoReturn:
        raise NotFound(f"this log mentions no source {id!r} here: look it up in the list of sources", source=id)

    def _no_story(self, id: str) -> NoReturn:
        raise NotFound(f"this log has no story {id!r} here: look it up in the list of stories", story=id)

    def _source_id(self, given: str) -> str:
        return source_named(self._log.lineage, given)

    def _story_id(self, given: str) -> str:
        return story_named(self._log.lineage, given)

    async def _key(self, cursor: str | None, kind: str, like: tuple[Any, ...]) -> Any:
        head = await self._log.head() if cursor else 0
        return read_cursor(cursor, log=self._log.id, kind=kind, head=head, like=like)

    def _next(self, kind: str, position: int, key: tuple[str | int, ...]) -> str:
        return Cursor(self._log.id, kind, position, key).encode()

    def _list(self, rests: Rests, items: list[Answer], kind: str, key: tuple[str | int, ...] | None) -> Answer:
        return {
            "items": items,
            "next": None if key is None else self._next(kind, rests.position, key),
            "position": rests.position,
            "basis": rests.basis(),
            "behind": False,
        }

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
