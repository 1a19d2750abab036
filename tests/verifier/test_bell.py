"""The bell: everybody is woken, in groups, and nobody misses a ring."""

from __future__ import annotations

import asyncio

import pytest

from verifier.bell import GROUP, Bell


@pytest.mark.parametrize("tasks", [1, GROUP, GROUP + 1, 5 * GROUP])
async def test_a_ring_wakes_all_who_joined_and_each_once(tasks: int) -> None:
    bell, woken = Bell(), list[int]()
    ready = asyncio.Barrier(tasks + 1)

    async def wait(number: int) -> None:
        with bell.joined() as group:
            event = group.event
            await ready.wait()
            await event.wait()
            woken.append(number)

    async with asyncio.timeout(10), asyncio.TaskGroup() as waiting:
        for number in range(tasks):
            waiting.create_task(wait(number))
        await ready.wait()
        bell.ring()

    assert sorted(woken) == list(range(tasks))


async def test_others_get_their_turn_between_two_groups() -> None:
    bell, order = Bell(), list[str]()
    ready = asyncio.Barrier(2 * GROUP + 1)

    async def wait() -> None:
        with bell.joined() as group:
            event = group.event
            await ready.wait()
            await event.wait()
            order.append("woken")

    async def other() -> None:
        while len(order) < 2 * GROUP:
            order.append("other")
            await asyncio.sleep(0)

    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        for _ in range(2 * GROUP):
            tasks.create_task(wait())
        await ready.wait()
        bell.ring()
        tasks.create_task(other())

    first, last = order.index("woken"), len(order) - order[::-1].index("woken")
    assert "other" in order[first:last]


async def test_whoever_took_the_event_before_a_ring_is_woken_by_it_however_late_he_waits() -> None:
    bell = Bell()
    with bell.joined() as group:
        event = group.event
        bell.ring()

        async with asyncio.timeout(1):
            await event.wait()

        assert not group.event.is_set()


async def test_places_of_those_who_left_are_taken_again() -> None:
    bell = Bell()
    for _ in range(3 * GROUP):
        with bell.joined() as first:
            assert first.members == 1
    with bell.joined() as one, bell.joined() as other:
        assert one is other
