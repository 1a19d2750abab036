"""Events for the tests of logs, made and read the shortest way."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager

from events.contracts import ClaimAsserted, Fact, Identity, LegalBasis, Party, Slot, TextErased, Wording
from events.leaf import new_id
from events.log import Log, Proposed, Recorded


def a_claim() -> str:
    """Return the stream of a claim that nobody has heard of."""
    return f"claim:{new_id('clm')}"


def said(stream: str | None = None, *, note: str = "a note", event_id: str | None = None) -> Proposed:
    """Return an assertion with both texts."""
    return Proposed(
        id=event_id or new_id("evt"),
        stream=stream or a_claim(),
        fact=ClaimAsserted(source=1, origin=1),
        identity=Identity(actor="ada", parties={"1": Party(id=new_id("src"), name="AFP")}),
        wording=Wording(note=note),
    )


def erased(event_id: str, slot: Slot = "wording", *, basis: LegalBasis = "court_order") -> Proposed:
    """Return the erasure of a text."""
    return recorded_fact("log", TextErased(event=event_id, slot=slot, basis=basis))


def recorded_fact(stream: str, fact: Fact) -> Proposed:
    """Return an event with a fact and no words."""
    return Proposed(id=new_id("evt"), stream=stream, fact=fact, identity=Identity(actor="ada"))


async def everything(log: Log, *, after: int = 0) -> Sequence[Recorded]:
    """Read a whole log, or what follows a position."""
    return [event async for page in log.read_all(after=after) for event in page]


async def all_of(log: Log, stream: str, *, after: int = 0) -> Sequence[Recorded]:
    """Read a whole stream, or what follows a position."""
    return [event async for page in log.read(stream, after=after) for event in page]


@asynccontextmanager
async def following(log: Log, *, after: int = 0) -> AsyncIterator[AsyncIterator[Sequence[Recorded]]]:
    """Subscribe, and leave the subscription at the end."""
    pages = log.subscribe(after=after)
    try:
        yield pages
    finally:
        if isinstance(pages, AsyncGenerator):
            await pages.aclose()


async def next_page(pages: AsyncIterator[Sequence[Recorded]]) -> Sequence[Recorded] | None:
    """Wait for the next page of a subscription, `None` at its end."""
    return await anext(pages, None)


async def taken(pages: AsyncIterator[Sequence[Recorded]], count: int) -> Sequence[Recorded]:
    """Take pages from a subscription until they have so many events; more is an error of the log."""
    events: list[Recorded] = []
    while len(events) < count:
        events += await anext(pages)
    assert len(events) == count
    return events
