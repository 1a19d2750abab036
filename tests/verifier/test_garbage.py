"""What a server does so that its garbage collector never keeps it from answering, and its memory doesn't grow."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, Sequence

import pytest
from newsroom import Newsroom

from verifier.app import Desk, open_desk
from verifier.claim import Claim
from verifier.garbage import sweep, sweeping


@pytest.fixture
async def desk(place: str) -> AsyncIterator[Desk]:
    """A desk in this process."""
    async with open_desk(place) as opened:
        yield opened


class Stream:
    """Something that refers to itself, as what serves a stream does."""

    def __init__(self) -> None:
        self.reader = self


async def test_a_sweep_lets_go_of_what_is_cached_and_changes_no_answer(desk: Desk) -> None:
    others = held()  # of other tests
    newsroom = Newsroom(desk.log)
    claim = await newsroom.claim("The letter is authentic")
    await newsroom.say(claim, "AFP")
    await desk.views.reached(await desk.log.head(), within=30)
    before = await desk.queries.claim(claim)
    assert held(others)

    await sweep(desk.caches)

    assert not held(others)
    assert await desk.queries.claim(claim) == before


async def test_what_refers_to_itself_is_gone_after_a_sweep_however_old_it_is(desk: Desk) -> None:
    stream = Stream()
    ended = weakref.ref(stream)
    gc.collect(0)
    gc.collect(1)  # and is taken for old from here on
    del stream

    async with sweeping(desk.caches, every=0.01):
        async with asyncio.timeout(30):
            while ended() is not None:  # noqa: ASYNC110  # nobody tells
                await asyncio.sleep(0.01)


async def test_the_collector_looks_at_everything_only_where_a_sweep_asks_for_it() -> None:
    looked: list[int] = []

    def look(phase: str, about: dict[str, int]) -> None:
        looked.append(about["generation"])

    before = gc.get_threshold()
    gc.set_threshold(100, 1, 1)
    gc.callbacks.append(look)
    try:
        async with sweeping([]):
            kept = [[number] for number in range(100_000)]
            by_itself = set(looked)
            await sweep([])
        assert by_itself == {0, 1}
        assert 2 in looked
        assert gc.get_threshold() == (100, 1, 1)
    finally:
        gc.callbacks.remove(look)
        gc.set_threshold(*before)
    del kept


def held(but: Sequence[Claim] = ()) -> list[Claim]:
    """Return the claims that are in memory, other than some."""
    known = {id(it) for it in but}
    return [it for it in gc.get_objects() if isinstance(it, Claim) and id(it) not in known]
