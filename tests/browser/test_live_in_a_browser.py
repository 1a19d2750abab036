"""The letter's case, recorded while *Live* and *Claim* are open: what changes is painted, once, without a reload."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from playwright.async_api import Page, TimeoutError, expect

from tests.browser.chromium import Visitor
from tests.browser.sealed_server import Server
from verifier.answers import Change, Claim
from verifier.case import play
from verifier.client import Verifier

pytestmark = pytest.mark.asyncio(loop_scope="session")

PLAN = "clm:withdraw"


async def stream_of(page: Page) -> list[str]:
    """Return the changes that stand on *Live*, the latest first."""
    ids: list[str] = await page.eval_on_selector_all("#stream > li", "items => items.map(item => item.id)")
    return ids


def as_painted(changes: Sequence[Change]) -> list[str]:
    """Return changes as the ids under which they stand on the page."""
    return [f"c{change.position}-{change.claim}" for change in reversed(changes)]


async def shows_changes(page: Page, changes: Sequence[Change]) -> None:
    """Wait until *Live* shows exactly these changes, each once, in their order."""
    wanted = as_painted(changes)
    try:
        await page.wait_for_function(
            "wanted => [...document.querySelectorAll('#stream > li')].map(item => item.id).join() === wanted",
            arg=",".join(wanted),
        )
    except TimeoutError:
        assert await stream_of(page) == wanted


async def shows_claim(page: Page, claim: Claim, verifier: Verifier) -> None:
    """Wait until a claim's page shows how it stands, why, and every fact, also one that changes no status."""
    facts = [event async for event in verifier.events(claim)]
    await expect(page.locator("#standing .status")).to_have_text(claim.label)
    await expect(page.locator("#standing .why")).to_have_text(claim.explanation)
    await expect(page.locator("#moment")).to_contain_text(f"of {len(facts)},")


async def changes_of(verifier: Verifier) -> list[Change]:
    return [change async for change in verifier.changes()]


async def test_each_change_of_the_case_is_painted_while_the_pages_stay_open(visit: Visitor, verifier: Verifier) -> None:
    live, plan = await visit("/live"), None

    async for step in play(verifier):
        if plan is None:
            plan = await visit(f"/claims/{step.claims[PLAN]}")
        claim = await verifier.claim(step.claims[PLAN])

        await shows_changes(live, await changes_of(verifier))
        await shows_claim(plan, claim, verifier)

    assert plan is not None
    await expect(live.locator(f"#{claim.id} .status")).to_have_text("denied by Mark Esper")
    await expect(live.locator(".tiles .s-denied b")).to_have_text("1")
    assert await live.locator("#connection").is_hidden()
    assert visit.loads(live) == visit.loads(plan) == 1


async def test_nothing_is_missing_and_nothing_comes_twice_when_the_server_was_away(
    visit: Visitor, server: Server, verifier: Verifier
) -> None:
    case = play(verifier)
    step = await anext(case)
    live, plan = await visit("/live"), await visit(f"/claims/{step.claims[PLAN]}")
    for _ in range(3):
        await anext(case)

    await asyncio.to_thread(server.stop)
    for page in (live, plan):
        await expect(page.locator("#connection")).to_contain_text("Connection lost. This page shows how things stood")
    async with Verifier.open(server.log, actor="ada") as elsewhere:  # the log goes on while nobody serves it
        away = [step async for step in play(elsewhere)]
        claim, changes = away[-1].standing[PLAN], await changes_of(elsewhere)
    assert len(changes) > len(await stream_of(live))
    await asyncio.to_thread(server.start)

    await shows_changes(live, changes)
    await shows_claim(plan, claim, verifier)
    for page in (live, plan):
        await expect(page.locator("#connection")).to_be_hidden()
        assert visit.loads(page) == 1
    await verifier.deny(claim.id, source="The White House", occurred="2020-01-08")
    await shows_changes(live, await changes_of(verifier))


async def test_a_server_that_is_restarted_again_and_again_costs_no_change(
    visit: Visitor, server: Server, verifier: Verifier
) -> None:
    live = await visit("/live")

    for number in range(3):
        claim = await verifier.assert_claim(f"Claim {number}", source="AFP")
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(server.start)
        await verifier.deny(claim, source="Reuters")

    await shows_changes(live, await changes_of(verifier))
    assert visit.loads(live) == 1


async def test_many_changes_at_once_are_all_painted(visit: Visitor, verifier: Verifier) -> None:
    live = await visit("/live")

    await asyncio.gather(*(verifier.assert_claim(f"Claim {number}", source="AFP") for number in range(60)))

    await shows_changes(live, await changes_of(verifier))


async def test_a_pause_keeps_the_page_as_it_is_and_loses_nothing(visit: Visitor, verifier: Verifier) -> None:
    live = await visit("/live")
    await verifier.assert_claim("Before the pause", source="AFP")
    await shows_changes(live, before := await changes_of(verifier))

    await live.get_by_role("button", name="Pause").click()
    await verifier.assert_claim("During the pause", source="AFP")
    await expect(live.get_by_role("status")).to_have_text("Paused: 1 change waits.")
    assert await stream_of(live) == as_painted(before)
    await live.get_by_role("button", name="Pause").press("Enter")

    await shows_changes(live, await changes_of(verifier))
    await expect(live.get_by_role("status")).to_be_hidden()
