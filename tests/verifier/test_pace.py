"""The follower's pace: much at once where it is behind, and never the event loop for long."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing

import pytest

from events.log import Recorded
from verifier.projections.pace import AT_ONCE, gathered
from verifier.slices import SLICE, in_slices


async def pages(sizes: Sequence[int], *, broken: bool = False) -> AsyncIterator[Sequence[Recorded]]:
    """Pages of these sizes, whose events only have positions."""
    position = 0
    for size in sizes:
        yield [Recorded(position := position + 1, b"") for _ in range(size)]
    if broken:
        raise OSError("the disk is gone")


async def test_long_work_lets_others_run_again_and_again() -> None:
    others = 0

    def work(_: int) -> None:
        end = time.perf_counter() + SLICE / 2
        while time.perf_counter() < end:
            pass

    async def run_beside() -> None:
        nonlocal others
        while True:
            others += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(run_beside())
    await in_slices(range(20), work)
    beside.cancel()

    assert others >= 5


async def test_work_in_slices_is_done_once_and_in_order() -> None:
    done: list[int] = []

    await in_slices(range(10_000), done.append)

    assert done == list(range(10_000))


async def test_what_was_read_meanwhile_is_taken_at_once_and_in_order() -> None:
    sizes = [1_000] * 50
    taken: list[list[int]] = []

    async with aclosing(gathered(pages(sizes))) as ready:
        async for some in ready:
            taken.append([event.position for page in some for event in page])
            for _ in range(100):  # the reader has its turns while these are taken
                await asyncio.sleep(0)

    assert [position for some in taken for position in some] == list(range(1, 50_001))
    assert len(taken) < 6
    assert max(map(len, taken)) <= AT_ONCE


async def test_an_error_of_reading_comes_after_what_was_read_before_it() -> None:
    taken: list[int] = []

    with pytest.raises(OSError, match="the disk is gone"):
        async with aclosing(gathered(pages([2, 3], broken=True))) as ready:
            async for some in ready:
                taken += [event.position for page in some for event in page]

    assert taken == [1, 2, 3, 4, 5]


async def test_who_stops_taking_leaves_no_reader_behind() -> None:
    before = asyncio.all_tasks()

    async with aclosing(gathered(pages([1_000] * 100))) as ready:
        await anext(ready)

    assert asyncio.all_tasks() == before
