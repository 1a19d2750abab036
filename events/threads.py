"""Blocking calls that must have ended before their caller goes on, also when it is cancelled.

A thread can't be cancelled. Where the caller holds a lock for what the thread does, it would let go of it while the
thread still writes; so it waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def to_the_end(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call in a thread, and return what it does. Cancelled, it waits until the call has ended, and is cancelled then.

    Raises what the call does.
    """
    calling = asyncio.get_running_loop().run_in_executor(None, partial(call, *args, **kwargs))
    cancelled: asyncio.CancelledError | None = None
    while not calling.done():
        try:
            await asyncio.wait({calling})
        except asyncio.CancelledError as error:  # possibly not the last time
            cancelled = error
    if cancelled is not None:
        calling.exception()  # taken, so that nobody misses it
        raise cancelled
    return calling.result()


@asynccontextmanager
async def entered(context: AbstractContextManager[T]) -> AsyncIterator[T]:
    """Enter a context in a thread, because that blocks; leave it here at the end."""
    with ExitStack() as stack:
        yield await to_the_end(stack.enter_context, context)
