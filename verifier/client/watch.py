"""How claims stand, and then each change of them: a list and the feed that continues it, as one iterator.

A list is read page by page, and each page shows the views a little later than the one before. The feed goes on from the
first page, so that nothing is missed; what a later page has shown already is left out, so that nothing comes twice.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Self

from verifier.answers import Change, Claim
from verifier.client.feed import Feed
from verifier.client.listing import Listing


class Watch(AsyncIterator[Claim | Change]):
    """Claims, then changes. Use it with `async with`, which closes it at the end of the block; otherwise it is closed
    with its verifier. One task may loop over it."""

    def __init__(self, claims: Listing[Claim], follow: Callable[[int], Feed[Change]], *, status: str | None) -> None:
        self._claims = claims
        self._follow = follow
        self._status = status
        self._feed: Feed[Change] | None = None
        self._listed: dict[str, int] | None = {}  # the position of the page on which a claim stood, while it matters
        self._first: int | None = None  # the position of the first page
        self._closed = False

    @property
    def position(self) -> int | None:
        """The last position of which everything was handed over; nothing while the claims are listed."""
        return None if self._feed is None else self._feed.position

    @property
    def since(self) -> float | None:
        """When the present connection began, as `Feed.since` has it; nothing while the claims are listed."""
        return None if self._feed is None else self._feed.since

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def __anext__(self) -> Claim | Change:
        """Return the next claim, or wait for the next change.

        Raises the problems of a question while claims are listed, and then those of a feed.
        """
        if self._closed:
            raise StopAsyncIteration
        if self._feed is None:
            try:
                return await self._next_claim()
            except StopAsyncIteration:
                assert self._first is not None  # a list has a page, be it empty
                self._feed = self._follow(self._first)
        while True:
            change = await anext(self._feed)
            if self._is_new(change):
                return change

    async def aclose(self) -> None:
        """Stop watching. May be called again."""
        self._closed = True
        if self._feed is not None:
            await self._feed.aclose()

    async def _next_claim(self) -> Claim:
        try:
            claim = await anext(self._claims)
        finally:
            if self._first is None:
                self._first = self._claims.position
        assert self._listed is not None and self._claims.position is not None
        self._listed[claim.id] = self._claims.position
        return claim

    def _is_new(self, change: Change) -> bool:
        """Say whether a change is one that nobody was told of: not by a later page, and of a claim that matches, or
        did until now."""
        comes, goes = (self._status in (None, status) for status in (change.status, change.previous))
        if self._listed is not None:
            assert self._claims.position is not None
            if change.position <= self._claims.position:
                listed = self._listed.get(change.claim)
                return change.position > listed and (comes or goes) if listed is not None else comes
            self._listed = None
        return comes or goes
