"""The slider on a claim's page shows what `as_of` answers, however it is moved."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import pairwise

import pytest
from playwright.async_api import Page, Route, expect

from tests.browser.chromium import Visitor
from tests.browser.sealed_server import Recorded
from verifier.answers import Event
from verifier.client import Verifier

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def shows_then(page: Page, verifier: Verifier, claim: str, facts: Sequence[Event], step: int) -> None:
    """Wait until the page shows the claim as it stood once its fact number `step` was recorded."""
    then = await verifier.claim(claim, as_of=facts[step - 1].position)
    await expect(page.locator("#standing .then")).to_contain_text(f"position {then.basis.position}.")
    await expect(page.locator("#standing .status")).to_have_text(then.label)
    await expect(page.locator("#standing .why")).to_have_text(then.explanation)
    said = [said async for said in verifier.statements(claim, as_of=facts[step - 1].position)]
    await expect(page.locator("#statements li.said")).to_have_count(len(said))
    assert page.url.endswith(f"?step={step}")


def ten_of(facts: Sequence[Event]) -> list[int]:
    """Return ten steps from the first to the last but one."""
    assert len(facts) > 10
    return [1 + number * (len(facts) - 2) // 9 for number in range(10)]


async def test_at_ten_positions_it_shows_what_as_of_answers(look: Visitor, recorded: Recorded) -> None:
    verifier, plan = recorded.verifier, recorded.desk.plan
    facts = [event async for event in verifier.events(plan)]
    page = await look(f"/claims/{plan}")
    slider = page.get_by_role("slider")

    for step in ten_of(facts)[::-1]:
        await slider.fill(str(step))

        await shows_then(page, verifier, plan, facts, step)
    assert look.loads(page) == 1


async def test_by_keyboard_it_shows_the_same(look: Visitor, recorded: Recorded) -> None:
    verifier, plan = recorded.verifier, recorded.desk.plan
    facts = [event async for event in verifier.events(plan)]
    page = await look(f"/claims/{plan}")
    slider = page.get_by_role("slider")

    await slider.press("Home")
    await shows_then(page, verifier, plan, facts, 1)
    stops = ten_of(facts)
    for before, step in pairwise(stops):
        for _ in range(step - before):
            await slider.press("ArrowRight")
        await shows_then(page, verifier, plan, facts, step)
        await expect(slider).to_be_focused()
        spoken = await slider.get_attribute("aria-valuetext")
        assert spoken is not None and spoken.startswith(f"Fact {step} of {len(facts)}")
    assert look.loads(page) == 1


async def test_an_answer_that_comes_late_is_not_shown_any_more(look: Visitor, recorded: Recorded) -> None:
    verifier, plan = recorded.verifier, recorded.desk.plan
    facts = [event async for event in verifier.events(plan)]
    page = await look(f"/claims/{plan}")
    held: asyncio.Queue[Route] = asyncio.Queue()
    await page.route("**/claims/*?step=5", held.put)

    await page.get_by_role("slider").fill("5")
    late = await held.get()
    await page.get_by_role("slider").fill("3")
    await shows_then(page, verifier, plan, facts, 3)
    async with page.expect_response("**/claims/*?step=5") as response:
        await late.continue_()
    await (await response.value).finished()

    await page.evaluate("new Promise(resolve => setTimeout(resolve))")  # what waits for the answer has had its turn
    await shows_then(page, verifier, plan, facts, 3)


async def test_an_address_of_the_past_shows_the_same_when_it_is_opened_again(look: Visitor, recorded: Recorded) -> None:
    verifier, plan = recorded.verifier, recorded.desk.plan
    facts = [event async for event in verifier.events(plan)]
    page = await look(f"/claims/{plan}")
    await page.get_by_role("slider").fill("3")
    await shows_then(page, verifier, plan, facts, 3)

    again = await look(page.url)

    await shows_then(again, verifier, plan, facts, 3)
    await again.get_by_role("link", name="How it stands now").click()
    await expect(again.locator("#standing .status")).to_have_text((await verifier.claim(plan)).label)


async def test_without_javascript_it_is_a_form_that_shows_the_same(look: Visitor, recorded: Recorded) -> None:
    verifier, plan = recorded.verifier, recorded.desk.plan
    facts = [event async for event in verifier.events(plan)]
    page = await look(f"/claims/{plan}", java_script_enabled=False)

    await page.get_by_role("slider").press("Home")
    await page.get_by_role("button", name="Show").click()

    await shows_then(page, verifier, plan, facts, 1)
