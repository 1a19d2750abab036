"""Whoever wants only some changes or events gets these, and still learns how far the feed is."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import pytest
from following import Desk, all_changes, desk, parse
from newsroom import improvise

from events.contracts import ClaimCorroborated, ClaimRegistered, StatementWithdrawn
from events.log import Recorded
from verifier.fold import fold
from verifier.frames import Message, Wanted
from verifier.naming import source_id
from verifier.picking import Picked

ALIASES = ("AFP", "Agence France-Presse")


async def changes_wanted(d: Desk, wanted: Wanted, upto: int) -> list[tuple[int, str]]:
    """Follow from the beginning until the position is `upto`; return position and claim of what came."""
    seen: list[tuple[int, str]] = []
    async with aclosing(d.feed.messages(0, wanted)) as messages:
        async for message in messages:
            seen += [(message["position"], change["claim"]) for change in message.get("changes", ())]
            if message["position"] >= upto:
                break
    return seen


async def events_wanted(d: Desk, picked: Picked, upto: int) -> list[int]:
    """Follow the events from the beginning until the position is `upto`; return the positions of what came."""
    seen: list[int] = []
    async with aclosing(d.feed.event_messages(0, picked)) as messages:
        async for message in messages:
            if len(message) > 1:
                seen.append(message["position"])
            if message["position"] >= upto:
                break
    return seen


async def every_event(d: Desk) -> list[Recorded]:
    """The whole log."""
    return [event async for page in d.log.read_all() for event in page]


@pytest.mark.parametrize("frames", [1, 1_000], ids=["from the rows", "from the ring"])
@pytest.mark.parametrize("seed", range(3))
async def test_what_comes_is_what_was_asked_for_whatever_is_asked(seed: int, frames: int) -> None:
    async with desk(frames=frames, heartbeat=0.01) as d:
        following = asyncio.create_task(changes_wanted(d, Wanted(status="denied"), 10**6))
        await improvise(d.newsroom, random.Random(seed), 150)
        last = await d.settle()
        following.cancel()
        page = await d.queries.changes(limit=10_000)
        claims = {change["claim"] for change in page["items"]}
        involved = {claim: {p.id for p in (await fold(d.log, claim)).names.parties.values()} for claim in claims}
        afp = {source_id(d.log.id, name) for name in ALIASES}
        story = next(change["story"] for change in page["items"] if change["story"])
        one = page["items"][0]["claim"]

        asked: dict[Wanted, Callable[[Message], bool]] = {
            Wanted(claim=one): lambda change: change["claim"] == one,
            Wanted(story=story): lambda change: change["story"] == story,
            Wanted(status="denied"): lambda change: change["status"] == "denied",
            Wanted(recalls=True): lambda change: change["recall"],
            **{Wanted(source=id): lambda change: bool(involved[change["claim"]] & afp) for id in afp},
            Wanted(story=story, status="denied"): lambda c: c["story"] == story and c["status"] == "denied",
        }
        for wanted, is_wanted in asked.items():
            expected = [(change["position"], change["claim"]) for change in page["items"] if is_wanted(change)]
            assert await changes_wanted(d, wanted, last) == sorted(expected), wanted


async def test_a_change_is_of_a_source_also_when_its_only_statement_was_withdrawn() -> None:
    async with desk() as d:
        claim = await d.newsroom.claim("The letter is authentic")
        said = await d.newsroom.say(claim, "AFP", via=["Reuters"])
        await d.newsroom.record(f"claim:{claim}", StatementWithdrawn(statement=said))
        other = await d.newsroom.claim("Something else")
        await d.newsroom.say(other, "Mark Esper")
        last = await d.settle()

        async def of(name: str) -> list[int]:
            wanted = Wanted(source=source_id(d.log.id, name))
            async with aclosing(d.feed.messages(0, wanted)) as messages:
                first = await anext(messages)
                return [first["position"], (await anext(messages))["position"]] if name != "Mark Esper" else [last]

        assert await of("AFP") == await of("Reuters") == [3, 4]
        assert await all_changes(d) == [3, 4, last]


@pytest.mark.parametrize("seed", range(3))
async def test_events_come_of_a_claim_a_story_or_a_source(seed: int) -> None:
    async with desk(heartbeat=0.01) as d:
        await improvise(d.newsroom, random.Random(seed), 150)
        last = await d.settle()
        events = await every_event(d)
        of_story = {e.stream: e.fact.story for e in events if isinstance(e.fact, ClaimRegistered)}
        story = next(story for story in of_story.values() if story)
        claim = next(iter(of_story)).removeprefix("claim:")
        afp = frozenset(source_id(d.log.id, name) for name in ALIASES)

        def mentions(event: Recorded) -> bool:
            named = {party.id for party in event.identity.parties.values()} if event.identity else set()
            return bool(afp & (named | {event.stream.removeprefix("source:")}))

        asked: dict[Picked, Callable[[Recorded], Any]] = {
            Picked(claim=claim): lambda event: event.stream == f"claim:{claim}",
            Picked(story=story): lambda e: e.stream == f"story:{story}" or of_story.get(e.stream) == story,
            Picked(sources=afp): mentions,
            Picked(claim=claim, sources=afp): lambda event: event.stream == f"claim:{claim}" and mentions(event),
        }
        for picked, is_wanted in asked.items():
            expected = [event.position for event in events if is_wanted(event)]
            assert await events_wanted(d, picked, last) == expected, picked


async def test_a_source_that_turns_out_to_be_the_same_is_followed_from_there_on() -> None:
    async with desk(heartbeat=0.01) as d:
        claim = await d.newsroom.claim("The letter is authentic")
        afp = frozenset({source_id(d.log.id, "AFP")})
        following = asyncio.create_task(events_wanted(d, Picked(sources=afp), 5))
        await d.newsroom.say(claim, "Agence France-Presse")
        await d.newsroom.source("Agence France-Presse", same_as="AFP")
        await d.newsroom.say(claim, "Agence France-Presse", ClaimCorroborated)

        assert await following == [4, 5]


async def test_the_story_of_a_claim_that_was_registered_long_ago_is_known() -> None:
    async with desk(heartbeat=0.01) as d:
        story = await d.newsroom.story("Iraq letter")
        claim = await d.newsroom.claim("The letter is authentic", story)
        before = await d.log.head()
        await d.newsroom.say(claim, "AFP")

        async with aclosing(d.feed.event_messages(before, Picked(story=story))) as messages:
            assert (await anext(messages))["position"] == before + 1


async def test_a_mark_never_runs_ahead_of_a_change_that_is_wanted() -> None:
    async with desk(heartbeat=0.005, frames=3) as d:
        claim = await d.newsroom.claim("The letter is authentic")
        writing = asyncio.create_task(improvise(d.newsroom, random.Random(5), 200))
        marked, seen = 0, list[int]()
        async with aclosing(d.feed.frames(0, Wanted(claim=claim))) as frames:
            for _ in range(40):
                await d.newsroom.say(claim, "AFP")
                await d.newsroom.deny(claim, "Mark Esper")
                for kind, position, _ in parse(await anext(frames)):
                    if kind == "heartbeat":
                        marked = max(marked, position)
                    else:
                        assert position > marked
                        seen.append(position)
        await writing

        assert seen == sorted(set(seen))


async def test_among_events_that_nobody_wants_the_position_still_moves_on() -> None:
    async with desk(heartbeat=0.01) as d:
        picked = Picked(sources=frozenset({source_id(d.log.id, "nobody")}))
        async with aclosing(d.feed.event_frames(0, picked)) as frames:
            writing = asyncio.create_task(improvise(d.newsroom, random.Random(3), 100))
            marks = [parse(await anext(frames))[-1] for _ in range(3)]
            await writing
            head = await d.log.head()
            while marks[-1][1] < head:
                marks.append(parse(await anext(frames))[-1])

        assert {kind for kind, _, _ in marks} == {"heartbeat"}
        assert [position for _, position, _ in marks] == sorted(position for _, position, _ in marks)
