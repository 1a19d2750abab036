"""Nobody is kept out of a page: axe-core finds nothing on any, in any state, each looked at with its data on it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect

from tests.browser import newsdesk
from tests.browser.chromium import Visitor
from tests.browser.newsdesk import ERASED, EVERYTHING, NOTHING_YET
from tests.browser.sealed_server import Recorded, Server
from verifier.client import Verifier
from verifier.dashboard.pages import PAGES

in_session = pytest.mark.asyncio(loop_scope="session")

DESKTOP: Mapping[str, Any] = {"color_scheme": "light", "viewport": {"width": 1280, "height": 900}}
PHONE: Mapping[str, Any] = {"color_scheme": "dark", "viewport": {"width": 360, "height": 740}}

LOST = "Connection lost. This page shows how things stood"


async def wrong_with(page: Page) -> list[str]:
    """Return what axe-core finds on a page: the rule, where, and why."""
    found = (await Axe().run(page, options={"resultTypes": ["violations"]})).response["violations"]
    return [f"{each['id']} {node['target']} {node['failureSummary']}" for each in found for node in each["nodes"]]


async def wrong_on(page: Page, addresses: Mapping[str, str], shows: Mapping[str, str]) -> list[str]:
    """Look at each page that must show something, once it does."""
    wrong = []
    for name, words in shows.items():
        await page.goto(addresses[name])
        await expect(page.locator("main")).to_contain_text(words)
        wrong += [f"{name}: {each}" for each in await wrong_with(page)]
    return wrong


def test_every_page_is_looked_at() -> None:
    assert set(EVERYTHING) == {page.name for page in PAGES}
    assert set(NOTHING_YET) == {page.name for page in PAGES if "{" not in page.path}


@in_session
async def test_what_is_wrong_is_found(visit: Visitor) -> None:
    page = await visit("/")
    await page.evaluate("document.querySelector('main').innerHTML = '<input><img src=\"/live\">'")

    found = {each.split()[0] for each in await wrong_with(page)}

    assert {"label", "image-alt", "page-has-heading-one"} <= found


@in_session
async def test_pages_on_which_nothing_stands_yet(visit: Visitor) -> None:
    assert await wrong_on(await visit("/", **DESKTOP), newsdesk.EMPTY, NOTHING_YET) == []


@pytest.mark.parametrize("window", [DESKTOP, PHONE], ids=["light on a desktop", "dark on a phone"])
@in_session
async def test_pages_full_of_data(look: Visitor, recorded: Recorded, window: Mapping[str, Any]) -> None:
    assert await wrong_on(await look("/", **window), recorded.desk.addresses, EVERYTHING) == []


@in_session
async def test_pages_of_what_was_erased(visit: Visitor, verifier: Verifier) -> None:
    desk = await newsdesk.record(verifier)
    await newsdesk.erase(verifier, desk.plan)

    assert await wrong_on(await visit("/", **PHONE), desk.addresses, ERASED) == []


@pytest.mark.parametrize("window", [DESKTOP, PHONE], ids=["light on a desktop", "dark on a phone"])
@in_session
async def test_forms(look: Visitor, recorded: Recorded, window: Mapping[str, Any]) -> None:
    claim = recorded.desk.addresses["claim"]
    addresses = {"deny": f"{claim}/deny", "erase": f"{claim}/erase", "register": "/enter/claim"}
    shows = {"deny": "Whose word it is", "erase": "The legal reason", "register": "The wording"}

    assert await wrong_on(await look("/", **window), addresses, shows) == []


@in_session
async def test_a_problem(look: Visitor) -> None:
    look.expected = "404"

    assert await wrong_on(await look("/", **DESKTOP), {"none": "/claims/clm_none"}, {"none": "look it up"}) == []


@in_session
async def test_pages_that_lost_their_connection(visit: Visitor, server: Server, verifier: Verifier) -> None:
    desk = await newsdesk.record(verifier)
    pages = {name: await visit(desk.addresses[name], **PHONE) for name in ("desk", "live", "claim", "story")}

    await asyncio.to_thread(server.stop)

    for name, page in pages.items():
        await expect(page.locator("#connection")).to_contain_text(LOST)
        await expect(page.locator("main")).to_contain_text(EVERYTHING[name])
        assert await wrong_with(page) == [], name
