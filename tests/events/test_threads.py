"""Blocking calls that must have ended before their caller goes on."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from events.threads import entered, to_the_end


async def test_a_cancelled_caller_waits_for_the_end_of_the_call() -> None:
    begun, go_on, order = threading.Event(), threading.Event(), list[str]()

    def slow() -> None:
        begun.set()
        go_on.wait()
        order.append("the call ended")

    async def caller() -> None:
        try:
            await to_the_end(slow)
        finally:
            order.append("the caller went on")

    calling = asyncio.create_task(caller())
    await asyncio.to_thread(begun.wait)
    for _ in range(2):
        calling.cancel()
        await asyncio.sleep(0)
    go_on.set()
    await asyncio.wait({calling})

    assert order == ["the call ended", "the caller went on"]
    assert calling.cancelled()


async def test_what_the_call_raises_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        await to_the_end(divmod, 1, 0)


async def test_a_context_that_was_entered_for_a_cancelled_caller_is_left() -> None:
    begun, go_on, order = threading.Event(), threading.Event(), list[str]()

    @contextmanager
    def slow() -> Iterator[None]:
        begun.set()
        go_on.wait()
        order.append("entered")
        try:
            yield
        finally:
            order.append("left")

    async def caller() -> None:
        async with entered(slow()):
            order.append("never")

    calling = asyncio.create_task(caller())
    await asyncio.to_thread(begun.wait)
    calling.cancel()
    await asyncio.sleep(0)
    go_on.set()
    await asyncio.wait({calling})

    assert calling.cancelled()
    assert order == ["entered", "left"]
