"""Watching: how claims stand, and then every change of them, with nothing between left out or told twice."""

from __future__ import annotations

import random
from contextlib import aclosing
from functools import partial
from itertools import count
from typing import Any

import anyio
import httpx
import pytest

from verifier.answers import Change, Claim
from verifier.client import Verifier
from verifier.client.listing import Listing

_fresh = count()


@pytest.fixture(params=["asyncio server", "trio server", "asyncio memory"])
def place(request: pytest.FixtureRequest) -> tuple[str, str]:
    """Where the same tests run: the event loop, and the log's URL."""
    backend, _, where = request.param.partition(" ")
    return backend, request.getfixturevalue("server") if where == "server" else "memory:"


def tell(place: tuple[str, str], story: Any) -> None:
    """Run a test's story with an open verifier."""

    async def told(url: str) -> None:
        with anyio.fail_after(60):
            async with Verifier.open(url) as opened:
                await story(opened)

    anyio.run(told, place[1], backend=place[0])


def text() -> str:
    """A wording that no other claim has."""
    return f"It is so, says watcher {next(_fresh)}"


def test_claims_come_first_and_then_their_changes(place: tuple[str, str]) -> None:
    async def story(verifier: Verifier) -> None:
        about = f"story {next(_fresh)}"
        old = await verifier.assert_claim(text(), source="AFP", story=about)
        new = await verifier.assert_claim(text(), source="Reuters", story=about)
        await verifier.assert_claim(text(), source="AFP", story="another one")
        async with verifier.watch(story=about) as watch:
            claims = [await anext(watch), await anext(watch)]
            denied = await verifier.deny(old, source="Mark Esper")
            change = await anext(watch)
            position = watch.position

        assert [claim.id for claim in claims] == [new.id, old.id]
        assert isinstance(change, Change) and (change.claim, change.position) == (old.id, denied.written_at)
        assert position == denied.written_at

    tell(place, story)


def test_with_a_status_claims_come_to_it_and_go_from_it(place: tuple[str, str]) -> None:
    async def story(verifier: Verifier) -> None:
        about = f"story {next(_fresh)}"
        denied = await verifier.deny(await verifier.register(text(), story=about), source="Mark Esper")
        other = await verifier.assert_claim(text(), source="AFP", story=about)
        async with verifier.watch(story=about, status="denied") as watch:
            first = await anext(watch)
            await verifier.corroborate(other, source="Reuters")  # neither to it nor from it
            comes = await verifier.deny(other, source="Mark Esper")
            goes = await verifier.retract(denied, denied.statement, by="Mark Esper")
            told = [await anext(watch), await anext(watch)]

        assert first.id == denied.id
        assert [(change.claim, change.position) for change in told] == [
            (other.id, comes.written_at),
            (denied.id, goes.written_at),
        ]

    tell(place, story)


def test_what_happens_while_the_claims_are_listed_is_told_once(
    place: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("verifier.client.listing.PAGE", 2)

    async def story(verifier: Verifier) -> None:
        dice, about = random.Random(7), f"story {next(_fresh)}"
        ids = [(await verifier.assert_claim(text(), source="AFP", story=about)).id for _ in range(12)]
        stands: dict[str, str] = {}
        seen: list[int] = []
        async with verifier.watch(story=about) as watch:

            async def take() -> None:
                item = await anext(watch)
                if isinstance(item, Claim):
                    assert item.id not in stands or item.status == stands[item.id]
                    stands[item.id] = item.status
                else:
                    assert item.previous == stands.get(item.claim, "unassessed")
                    stands[item.claim] = item.status
                    seen.append(item.position)

            for number in range(40):  # each change of a claim fits what was told of it before
                if dice.random() < 0.7:
                    await verifier.deny(dice.choice(ids), source=f"Official {number}")
                if dice.random() < 0.2:
                    ids.append((await verifier.assert_claim(text(), source="AFP", story=about)).id)
                with anyio.move_on_after(0.2):
                    await take()
            await verifier.assert_claim("the last one", source="AFP", story=about, again=True)
            last = (await verifier.health()).head
            while watch.position != last:
                await take()

        assert stands == {claim.id: claim.status async for claim in verifier.claims(story=about)}
        assert seen == sorted(set(seen))

    tell(place, story)


def test_a_list_without_claims_is_watched_from_where_it_was_empty(place: tuple[str, str]) -> None:
    async def story(verifier: Verifier) -> None:
        about = f"story {next(_fresh)}"
        await verifier.register(text(), story=about)
        async with verifier.watch(story=about, status="denied") as watch, anyio.create_task_group() as tasks:
            told: list[Claim | Change] = []

            async def wait() -> None:
                told.append(await anext(watch))

            tasks.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            claim = await verifier.deny(await verifier.register(text(), story=about), source="Mark Esper")
        assert isinstance(told[0], Change) and told[0].position == claim.written_at

    tell(place, story)


def test_a_watch_is_narrowed_to_a_source(place: tuple[str, str]) -> None:
    async def story(verifier: Verifier) -> None:
        name = f"Source {next(_fresh)}"
        mine = await verifier.assert_claim(text(), source=name)
        other = await verifier.assert_claim(text(), source="AFP")
        async with verifier.watch(source=name) as watch:
            claim = await anext(watch)
            await verifier.deny(other, source="Mark Esper")
            denied = await verifier.deny(mine, source="Mark Esper")
            change = await anext(watch)
        assert (claim.id, change.position) == (mine.id, denied.written_at)

    tell(place, story)


def test_a_watch_that_was_closed_is_over(place: tuple[str, str]) -> None:
    async def story(verifier: Verifier) -> None:
        watch = verifier.watch()
        await watch.aclose()
        with pytest.raises(StopAsyncIteration):
            await anext(watch)

    tell(place, story)


def test_a_feed_is_narrowed_to_a_source_and_to_recalls(place: tuple[str, str]) -> None:
    async def story(verifier: Verifier) -> None:
        name, before = f"Source {next(_fresh)}", (await verifier.health()).head
        mine = await verifier.assert_claim(text(), source=name)
        await verifier.assert_claim(text(), source="AFP")
        second = await verifier.corroborate(mine, source="AFP")
        recalled = await verifier.deny(mine, source="Mark Esper")
        follow = partial(verifier.feed, after=before, source=name)
        async with follow() as feed, follow(recalls=True) as recalls:
            told = [(await anext(feed)).position for _ in range(3)]
            recall = await anext(recalls)
        assert told == [mine.written_at, second.written_at, recalled.written_at]
        assert (recall.position, recall.recall) == (recalled.written_at, True)

    tell(place, story)


def test_events_are_narrowed_to_a_claim_a_story_or_a_source(place: tuple[str, str]) -> None:
    async def story(verifier: Verifier) -> None:
        name, about = f"Source {next(_fresh)}", f"story {next(_fresh)}"
        before = (await verifier.health()).head
        claim = await verifier.assert_claim(text(), source="AFP", story=about)
        await verifier.assert_claim(text(), source="AFP")
        said = await verifier.deny(claim, source=name)

        async def followed(count: int, **narrowed: Any) -> list[str]:
            async with verifier.follow_events(after=before, **narrowed) as events:
                return [(await anext(events)).type for _ in range(count)]

        assert await followed(3, claim=claim) == ["claim.registered", "claim.asserted", "claim.denied"]
        of_story = ["claim.registered", "claim.asserted", "story.opened", "claim.denied"]
        assert await followed(4, story=about) == of_story
        async with verifier.follow_events(after=before, source=name) as events:
            assert (await anext(events)).position == said.written_at

    tell(place, story)


def test_a_list_says_where_a_feed_goes_on(place: tuple[str, str]) -> None:
    async def story(verifier: Verifier) -> None:
        claim = await verifier.assert_claim(text(), source="AFP")
        claims: Listing[Claim] = verifier.claims()
        assert claims.position is None
        await anext(claims)
        assert claims.position == claim.written_at

    tell(place, story)


async def test_a_filtered_reader_moves_on_while_nothing_of_his_comes(desk: Any) -> None:
    from verifier.feed import Feed
    from verifier.frames import Wanted

    feed = Feed(desk.log, desk.views, heartbeat=0.01)
    async with anyio.create_task_group() as tasks, aclosing(feed.messages(0, Wanted(source="src_nobody"))) as messages:
        tasks.start_soon(feed.run)
        assert await anext(messages) == {"position": await desk.log.head()}
        feed.stop()


@pytest.mark.parametrize("query", ["limit=3", "as_of=1", "claim=a&claim=b", "colour=red"])
async def test_a_stream_of_events_that_can_t_be_is_refused(http: httpx.AsyncClient, query: str) -> None:
    answer = await http.get(f"events?{query}", headers={"accept": "text/event-stream"})

    assert answer.status_code == 422


@pytest.mark.parametrize("query", ["recalls=maybe", "source=" + "x" * 501, "after=-1"])
async def test_a_feed_that_can_t_be_is_refused(http: httpx.AsyncClient, query: str) -> None:
    assert (await http.get(f"feed?{query}")).status_code == 422
