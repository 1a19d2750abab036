"""A list that is read page by page while it is looped over."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from typing import Any, Final, Generic, Literal, TypeVar

from verifier.answers import Answer, Page
from verifier.client.port import Params, Port

A = TypeVar("A", bound=Answer)

PAGE: Final = 200
"""Items asked for at once."""


class Listing(AsyncIterator[A], Generic[A]):
    """The items of a list, each once. Holds nothing open, so a loop over it may be left at any time."""

    # A class and not an async generator, because trio warns of a generator that a loop has left unfinished.

    def __init__(
        self,
        port: Port,
        path: str,
        kind: type[A],
        params: Params,
        *,
        turn: Literal["cursor", "after"] = "cursor",
        limit: int | None = PAGE,
    ) -> None:
        """Read `path`; what a page says is `next` is asked for with the parameter `turn`. A list that comes whole has
        no `limit`."""
        self._port = port
        self._path = path
        self._kind = kind
        self._turn = turn
        self._params: dict[str, Any] | None = dict(params) if limit is None else {"limit": limit, **params}
        self._items: deque[dict[str, Any]] = deque()
        self.position: int | None = None
        """How far the views were at the page that was read last: where a feed goes on from its items."""

    async def __anext__(self) -> A:
        """Return the next item. Raises the problems of a question (`verifier.client.reads`)."""
        while not self._items:
            if self._params is None:
                raise StopAsyncIteration
            page = Page.model_validate(await self._port.read(self._path, self._params))
            self._params = None if page.next is None else {**self._params, self._turn: page.next}
            self.position = page.position
            self._items.extend(page.items)
        return self._kind.model_validate(self._items.popleft())
