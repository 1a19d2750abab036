"""The feed: every change once, in order, to everybody, from wherever they go on."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest
from following import all_changes, desk, parse, positions
from newsroom import improvise

from events.contracts import ClaimCorroborated
from verifier.errors import Invalid
from verifier.feed import Feed
from verifier.frames import Wanted


async def test_a_feed_from_the_beginning_brings_every_change_and_goes_on_live() -> None:
    async with desk() as d:
        await improvise(d.newsroom, random.Random(1), 60)
        following = asyncio.create_task(positions(d.feed.frames(after=0), 10**6))
        await improvise(d.newsroom, random.Random(2), 60)
        claim = await d.newsroom.claim("The last one")
        await d.newsroom.say(claim, "AFP")
        last = await d.settle()
        following.cancel()

        again = await positions(d.feed.frames(after=0), last)

        assert again == await all_changes(d)


async def test_a_feed_without_a_position_begins_now() -> None:
    async with desk() as d:
        claim = await d.newsroom.claim("The letter is authentic")
        await d.newsroom.say(claim, "AFP")
        await d.settle()
        start = await d.feed.begin(None)
        await d.newsroom.say(claim, "Reuters", ClaimCorroborated)

        assert await positions(d.feed.frames(after=start), 4) == [4]


@pytest.mark.parametrize("seed", range(8))
async def test_nothing_is_missed_or_repeated_however_often_a_reader_comes_back(seed: int) -> None:
    dice = random.Random(seed)
    async with desk(frames=dice.choice([1, 3, 1_000]), heartbeat=0.01) as d:
        writing = asyncio.create_task(improvise(d.newsroom, random.Random(seed), 150))
        seen: list[int] = []
        last = 0  # what a browser sends as Last-Event-ID, also after a heartbeat
        while not writing.done() or last < await d.log.head():
            async with aclosing(d.feed.frames(after=last)) as frames:
                for _ in range(dice.randrange(1, 8)):
                    for kind, position, _ in parse(await anext(frames)):
                        assert position >= last
                        last = position
                        if kind == "change":
                            seen.append(position)
        await writing

        assert seen == await all_changes(d)


async def test_a_slow_reader_falls_back_to_the_rows_and_misses_nothing() -> None:
    async with desk(frames=2) as d:
        claim = await d.newsroom.claim("The letter is authentic")
        async with aclosing(d.feed.messages(after=0)) as slow:
            await d.newsroom.say(claim, "AFP")
            first = await anext(slow)
            fast = asyncio.create_task(_count(d.feed, 40))
            for number in range(40):
                other = await d.newsroom.claim(f"Claim {number}")
                await d.newsroom.say(other, "AFP")
            assert await fast == 40
            seen = [first["position"]] + [(await anext(slow))["position"] for _ in range(40)]

        assert seen == await all_changes(d)


async def _count(feed: Feed, wanted: int) -> int:
    seen = 0
    async with aclosing(feed.messages(after=3)) as messages:
        async for _ in messages:
            seen += 1
            if seen == wanted:
                break
    return seen


async def test_a_policy_that_is_adopted_is_one_message_with_all_its_changes() -> None:
    async with desk() as d:
        claims = [await d.newsroom.claim(f"Claim {number}") for number in range(30)]
        for claim in claims:
            await d.newsroom.say(claim, "AFP")
            await d.newsroom.say(claim, "Reuters", ClaimCorroborated)
        before = await d.settle()
        await d.newsroom.adopt("strict/1")

        async with aclosing(d.feed.messages(after=before)) as messages:
            message = await anext(messages)

        assert message["position"] == before + 1
        assert sorted(change["claim"] for change in message["changes"]) == sorted(claims)
        assert {(c["previous"], c["status"], c["recall"]) for c in message["changes"]} == {
            ("corroborated", "asserted", True)
        }
        assert {c["label"] for c in message["changes"]} == {"asserted by two origins"}


async def test_a_reader_gets_only_what_it_asked_for_and_still_learns_how_far_the_feed_is() -> None:
    async with desk(heartbeat=0.01) as d:
        story = await d.newsroom.story("Iraq letter")
        wanted = await d.newsroom.claim("The letter is authentic", story)
        other = await d.newsroom.claim("Something else")
        for claim in (other, wanted, other):
            await d.newsroom.say(claim, "AFP")
        await d.newsroom.deny(other, "Mark Esper")
        last = await d.settle()

        seen: list[tuple[str, int]] = []
        async with aclosing(d.feed.frames(after=0, wanted=Wanted(story=story))) as frames:
            while not seen or seen[-1] != ("heartbeat", last):
                seen += [(kind, position) for kind, position, _ in parse(await anext(frames))]
        denied = await positions(d.feed.frames(after=0, wanted=Wanted(status="denied")), last)
        of_claim = await positions(d.feed.frames(after=0, wanted=Wanted(claim=wanted)), 6)

        assert [position for kind, position in seen if kind == "change"] == [6]
        assert denied == [last]
        assert of_claim == [6]


async def test_a_frame_is_encoded_once_for_all_who_read_it() -> None:
    async with desk() as d:
        claim = await d.newsroom.claim("The letter is authentic")
        await d.newsroom.say(claim, "AFP")
        streams = [d.feed.messages(after=0) for _ in range(20)]
        await asyncio.gather(*map(anext, streams))
        await d.newsroom.say(claim, "Reuters", ClaimCorroborated)

        messages = await asyncio.gather(*map(anext, streams))

        assert len({id(message) for message in messages}) == 1
        for stream in streams:
            await stream.aclose()


async def test_a_position_beyond_the_head_is_refused() -> None:
    async with desk() as d:
        with pytest.raises(Invalid, match="beyond the head"):
            await d.feed.begin(99)
        with pytest.raises(Invalid, match="beyond the head"):
            await anext(d.feed.frames(after=99))


async def test_stopping_ends_every_stream() -> None:
    async with desk(heartbeat=0.01) as d:
        streams = [d.feed.frames(after=0) for _ in range(50)] + [d.feed.event_frames(after=0)]
        await asyncio.gather(*map(anext, streams))
        reading = [asyncio.create_task(_drain(stream)) for stream in streams]

        d.feed.stop()

        async with asyncio.timeout(1):
            await asyncio.gather(*reading)


async def _drain(frames: AsyncIterator[bytes]) -> None:
    async for _ in frames:
        pass


async def test_an_erased_name_is_in_no_frame_any_more() -> None:
    async with desk() as d:
        claim = await d.newsroom.claim("The letter is authentic")
        async with aclosing(d.feed.frames(after=0)) as early:
            event = await d.newsroom.deny(claim, "Jane Whistleblower")
            assert b"denied by Jane Whistleblower" in await anext(early)
            await d.newsroom.erase(f"claim:{claim}", event, "identity")
            await d.settle()

            async with aclosing(d.feed.frames(after=0)) as late:
                data = await anext(late)

        assert b"Jane" not in data
        assert b"denied by" in data


async def test_what_was_read_before_an_erasure_is_pushed_to_nobody_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async with desk() as one:
        await one.settle()
        read, under_way, go_on = one.views.read, asyncio.Event(), asyncio.Event()

        async def slowly(work: Any) -> Any:
            answer = await read(work)
            if not under_way.is_set():
                under_way.set()
                await go_on.wait()
            return answer

        async with aclosing(one.feed.frames(after=0)) as first:
            asking = asyncio.ensure_future(anext(first))
            while not one.feed.subscribers:  # noqa: ASYNC110  # nobody tells when a stream has begun
                await asyncio.sleep(0)
            monkeypatch.setattr(one.views, "read", slowly)
            claim = await one.newsroom.claim("The letter is authentic")
            said = await one.newsroom.say(claim, "Jane Whistleblower")
            await under_way.wait()

            await one.newsroom.erase(f"claim:{claim}", said, "identity")
            await one.settle()
            async with aclosing(one.feed.frames()) as second:
                waiting = asyncio.ensure_future(anext(second))
                while one.feed.subscribers < 2:  # noqa: ASYNC110  # as above
                    await asyncio.sleep(0)
                go_on.set()
                frames = await asking
                async with aclosing(one.feed.frames(after=0)) as third:
                    frames += await anext(third)
                waiting.cancel()
                await asyncio.gather(waiting, return_exceptions=True)

        assert b"Jane" not in frames


async def test_raw_events_come_in_order_and_go_on_live() -> None:
    async with desk(heartbeat=0.01) as d:
        claim = await d.newsroom.claim("The letter is authentic")
        seen: list[tuple[str, int]] = []
        async with aclosing(d.feed.event_frames(after=0)) as frames:
            while ("event", 2) not in seen:
                seen += [(kind, position) for kind, position, _ in parse(await anext(frames))]
            await d.newsroom.say(claim, "AFP")
            while ("event", 3) not in seen or seen[-1][0] != "heartbeat":
                seen += [(kind, position) for kind, position, _ in parse(await anext(frames))]

        assert [position for kind, position in seen if kind == "event"] == [1, 2, 3]
