"""Following a log as an async iterator that knows how far it has come."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from types import TracebackType
from typing import Generic, Literal, Self, TypeVar

import anyio

from verifier.client.port import Message, Params, Port
from verifier.errors import Problem

T = TypeVar("T")


class Feed(AsyncIterator[T], Generic[T]):
    """What happens in the log, one by one, without gap or repeat, through every lost connection.

    Loop over it, or use it with `async with`, which fixes where *now* is and closes it at the end of the
    block; otherwise it is closed with its verifier. One task may loop over it.
    """

    def __init__(
        self,
        port: Port,
        path: Literal["/feed", "/events"],
        params: Params,
        *,
        after: int | None,
        items: Callable[[Message], Iterable[T]],
        forget: Callable[[Feed[T]], None],
    ) -> None:
        self._port = port
        self._path = path
        self._params = params
        self._items = items
        self._forget = forget
        self._after = after
        self._messages: AsyncIterator[Message] | None = None
        self._waiting: deque[T] = deque()
        self._coming = after
        self._closed = False
        self._began: float | None = None

    @property
    def position(self) -> int | None:
        """The last position of which everything was handed over: where to go on after a restart. It moves on where
        nothing was wanted, too, while somebody waits for the next item."""
        return self._after if self._waiting else self._coming

    @property
    def since(self) -> float | None:
        """When the present connection began (`time.time()`); nothing where there is none: before the first item was
        asked for, and while a lost one is taken up again."""
        # A log in this process has no connection that could be lost.
        return None if self._messages is None else getattr(self._messages, "since", self._began)

    async def __aenter__(self) -> Self:
        await self._start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def __anext__(self) -> T:
        """Wait for the next item.

        Raises `Unreachable` if nothing answers at the beginning, and never for what is lost later: then
        it waits for the log to come back. Raises `Invalid` for a position beyond the head.
        """
        while not self._waiting:
            message = await self._next()
            # A position counts as seen once all that happened at it was handed over.
            self._after, self._coming = self._coming, message["position"]
            if len(message) > 1:  # else it is a mark
                self._waiting.extend(self._items(message))
        return self._waiting.popleft()

    async def aclose(self) -> None:
        """Stop following; a task that waits is told that there is no more. May be called again."""
        self._closed = True
        self._forget(self)
        await self._hang_up()

    async def _next(self) -> Message:
        try:
            messages = await self._start()
            if not self._closed:
                return await anext(messages)
        except Problem:
            if not self._closed:  # else it is only that nothing can be asked any more
                raise
        except anyio.get_cancelled_exc_class():
            # A stream whose reader was cancelled may be over. The next call begins another one, where this one was.
            with anyio.CancelScope(shield=True):
                await self._hang_up()
            raise
        raise StopAsyncIteration

    async def _start(self) -> AsyncIterator[Message]:
        if self._messages is None:
            if self._coming is None:
                self._after = self._coming = (await self._port.read("/health", {}))["head"]
            self._messages = self._port.feed(self._path, {**self._params, "after": self._coming})
            self._began = time.time()
        return self._messages

    async def _hang_up(self) -> None:
        messages, self._messages = self._messages, None
        # A generator in which another task waits can't be closed; it ends when its port is closed.
        close = None if getattr(messages, "ag_running", False) else getattr(messages, "aclose", None)
        if close is not None:
            await close()
