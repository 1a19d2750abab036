"""How pages read: without JavaScript, on a phone, in the dark, without motion, in the reader's zone, and how light
the first page is."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from playwright.async_api import Request, expect

from tests.browser import newsdesk
from tests.browser.chromium import Visitor
from tests.browser.newsdesk import EVERYTHING
from tests.browser.sealed_server import Recorded
from verifier.client import Verifier

pytestmark = pytest.mark.asyncio(loop_scope="session")

BACKGROUND = "getComputedStyle(document.documentElement).backgroundColor.match(/[0-9]+/g).slice(0, 3).map(Number)"


async def test_without_javascript_every_page_shows_its_data(look: Visitor, recorded: Recorded) -> None:
    desk = recorded.desk
    shown = {**EVERYTHING, "audit": "Without JavaScript: take the receipt"}

    for name, words in shown.items():
        page = await look(desk.addresses[name], java_script_enabled=False)
        await expect(page.locator("main")).to_contain_text(words)
        assert await page.locator("#connection").is_hidden(), name
        assert await page.get_by_role("button", name="Pause").count() == 0, name
        await page.close()


async def test_on_a_phone_no_page_scrolls_sideways(look: Visitor, recorded: Recorded) -> None:
    desk = recorded.desk
    page = await look("/", viewport={"width": 320, "height": 640})

    for name, words in EVERYTHING.items():
        await page.goto(desk.addresses[name])
        await expect(page.locator("main")).to_contain_text(words)
        assert await page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, name


async def test_pages_are_light_or_dark_as_the_reader_wants(visit: Visitor) -> None:
    light = await (await visit("/", color_scheme="light")).evaluate(BACKGROUND)
    dark = await (await visit("/", color_scheme="dark")).evaluate(BACKGROUND)

    assert min(light) > 200 and max(dark) < 60


@pytest.mark.parametrize(
    ("wanted", "animation"), [("no-preference", "arrive"), ("reduce", "none")], ids=["any", "less"]
)
async def test_what_arrives_moves_only_where_the_reader_likes_motion(
    visit: Visitor, verifier: Verifier, wanted: str, animation: str
) -> None:
    live = await visit("/live", reduced_motion=wanted)

    await verifier.assert_claim("Something new", source="AFP")

    new = live.locator("#stream > li.new")
    await expect(new).to_have_count(1)
    assert await new.evaluate("item => getComputedStyle(item).animationName") == animation


async def test_times_stand_in_the_readers_zone_and_in_utc_on_hover(look: Visitor, recorded: Recorded) -> None:
    plan = recorded.desk.plan
    window = {"timezone_id": "Pacific/Kiritimati", "locale": "en-GB"}  # 14 hours ahead
    page, plain = await look(f"/claims/{plan}", **window), await look(f"/claims/{plan}", java_script_enabled=False)

    ours, utc = (each.locator("#history time").first for each in (page, plain))

    assert await ours.get_attribute("title") == await utc.text_content() == await utc.get_attribute("title")
    assert str(await utc.text_content()).endswith(" UTC")
    there = datetime.fromisoformat(str(await ours.get_attribute("datetime"))) + timedelta(hours=14)
    assert await ours.text_content() == f"{there.day} {there:%b %Y, %H:%M}"


async def test_text_that_is_written_from_right_to_left_is_laid_out_so(look: Visitor, recorded: Recorded) -> None:
    live = await look("/live")

    words = live.locator("#claims a.claim bdi", has_text=newsdesk.ARABIC)

    assert await words.evaluate("words => getComputedStyle(words).direction") == "rtl"
    assert await live.evaluate("getComputedStyle(document.body).direction") == "ltr"


async def test_focus_stays_where_it_was_when_a_change_is_painted(visit: Visitor, verifier: Verifier) -> None:
    claim = await verifier.assert_claim("The letter is authentic", source="AFP")
    live = await visit("/live")
    link = live.locator(f"#claims a[href='/claims/{claim.id}']")
    await link.focus()

    await verifier.deny(claim, source="Reuters", occurred="2020-01-06")

    await expect(live.locator(f"#{claim.id} .status")).to_have_text("denied by Reuters")
    await expect(link).to_be_focused()


async def test_the_keyboard_skips_to_the_content_first(visit: Visitor) -> None:
    page = await visit("/live")

    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    await page.keyboard.press("Enter")

    await expect(page.locator("main")).to_be_focused()


async def test_the_first_page_takes_five_requests_and_thirty_kilobytes(look: Visitor, recorded: Recorded) -> None:
    page = await look("about:blank")
    asked: list[Request] = []
    page.context.on("request", lambda request: asked.append(request))
    session = await page.context.new_cdp_session(page)
    await session.send("Network.enable")
    await session.send("Network.setCacheDisabled", {"cacheDisabled": True})  # a reader who was never here

    await page.goto("/")
    await expect(page.locator("main")).to_contain_text(EVERYTHING["desk"])

    done = [request for request in asked if not request.url.partition("?")[0].endswith("/feed")]
    sizes = [await request.sizes() for request in done]
    assert len(done) >= 3 and len(asked) <= 5
    assert 3_000 < sum(size["responseBodySize"] + size["responseHeadersSize"] for size in sizes) <= 30_000
