"""Words that want to be more than words, in every place where words can stand: they are shown, and do nothing."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, expect

from tests.browser.chromium import Visitor
from verifier.answers import Claim
from verifier.client import Verifier
from verifier.errors import Invalid, TooLarge

pytestmark = pytest.mark.asyncio(loop_scope="session")

HOSTILE = {
    "script": "<script>window.ran = 1</script></script><script>window.ran = 1//",
    "handler": "\"'><img src=x onerror='window.ran=1'><svg onload=window.ran=1><body onpageshow=window.ran=1>",
    "markup": "</bdi></li></ol></main></body><!-- <title> <plaintext> <style>*{display:none}</style>",
    "address": "javascript:window.ran=1",
    "template": "{{ 7*7 }} {% for x in y %} ${window.ran=1}",
    "feed": "one\r\n\r\nevent: change\r\nid: 999999999\r\ndata: {}\n\n: two\rthree\u2028four\u2029five",
    "direction": "\u202eeht\u202c \u2067\u2066drawkcab \u202b\u202a\u2069",
    "entities": "&lt;b&gt; &amp;amp; &#x3c;script&#x3e;",
}
PHONE = {"width": 360, "height": 740}
LONGEST = 10_000
WIDE = "\U0001f5de"


async def record(verifier: Verifier, words: str) -> Claim:
    """Record the words wherever words can stand, as far as they fit, and return the claim."""
    name, note = words[:200], words[:1_000]
    claim = await verifier.assert_claim(words, source=name, story=name, origin=name, via=[f"via {name}"], note=note)
    denied = await verifier.deny(claim, source=f"no {name}")
    await verifier.publish_claim(denied, address=note, day="2020-01-06")
    await verifier.adjudicate(claim, verdict="mixed", reason=note)
    return await verifier.claim(claim.id)


async def of_claim(verifier: Verifier, claim: Claim) -> list[str]:
    """Return the addresses of the pages of a claim, its story and its first source."""
    source = await anext(said.source_id async for said in verifier.statements(claim.id))
    return [f"/claims/{claim.id}", f"/claims/{claim.id}?step=2", f"/stories/{claim.story}", f"/sources/{source}"]


def as_parsed(text: str) -> str:
    """Return a text as every HTML parser reads it: a line ends in one way."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


async def did_nothing(page: Page) -> None:
    """Assert that no word ran, that the page is whole, and that it isn't wider than the window."""
    assert await page.evaluate("window.ran") is None
    assert await page.locator("footer").count() == await page.locator("main").count() == 1
    assert await page.locator("script").count() == 1
    assert await page.locator("main :is(img, style, script, iframe, [onload], [onerror])").count() == 0
    assert await page.locator("a[href^='javascript' i]").count() == 0
    await expect(page.locator("footer")).to_be_visible()
    assert await page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, page.url


async def test_hostile_words_are_painted_as_words_and_do_nothing(visit: Visitor, verifier: Verifier) -> None:
    live = await visit("/live", viewport=PHONE)
    for words in HOSTILE.values():
        claim = await record(verifier, words)
        painted = live.locator(f"#claims a[href='/claims/{claim.id}']")
        await expect(painted).to_be_visible()
        assert await painted.text_content() == as_parsed(words)
        await did_nothing(live)
    honest = await verifier.assert_claim("An honest claim", source="AFP")
    await expect(live.locator(f"#claims a[href='/claims/{honest.id}']")).to_be_visible()
    assert visit.loads(live) == 1


@pytest.mark.parametrize("words", HOSTILE.values(), ids=HOSTILE)
async def test_hostile_words_do_nothing_on_any_page(visit: Visitor, verifier: Verifier, words: str) -> None:
    claim = await record(verifier, words)
    page = await visit(f"/claims/{claim.id}", viewport=PHONE)
    assert await page.locator("h1 bdi").text_content() == as_parsed(words)

    for path in (*await of_claim(verifier, claim), "/", "/stories", "/sources", "/search?text=one"):
        await page.goto(path)
        await did_nothing(page)
    visit.expected = "favicon.ico"  # a picture names none
    await page.goto(f"/claims/{claim.id}/badge.svg")
    assert await page.evaluate("window.ran") is None


@pytest.mark.parametrize("words", ["w" * LONGEST, WIDE * LONGEST, "\u202e" + "x " * (LONGEST // 2 - 1)],
                         ids=["one word", "40 kB", "many words"])  # fmt: skip
async def test_the_longest_text_breaks_nothing(visit: Visitor, verifier: Verifier, words: str) -> None:
    page = await visit("/live", viewport=PHONE)

    claim = await record(verifier, words)

    await expect(page.locator(f"#claims a[href='/claims/{claim.id}']")).to_be_visible()
    await did_nothing(page)
    for path in (*await of_claim(verifier, claim), "/"):
        await page.goto(path)
        await did_nothing(page)


async def test_a_text_of_64_kib_is_refused_and_changes_no_page(visit: Visitor, verifier: Verifier) -> None:
    page = await visit("/live")

    with pytest.raises(TooLarge, match="send less at once"):
        await verifier.register("x" * 65_536)
    with pytest.raises(Invalid, match=r"10,?000"):
        await verifier.register("x" * (LONGEST + 1))
    after = await verifier.assert_claim("An honest claim", source="AFP")

    await expect(page.locator("#claims tbody tr")).to_have_count(1)
    await expect(page.locator("#claims tbody tr")).to_have_attribute("id", after.id)


async def test_what_gets_into_a_page_all_the_same_does_not_run(visit: Visitor) -> None:
    page = await visit("/live")
    visit.expected = "Content Security Policy"

    refused = await page.evaluate(
        """() => new Promise(resolve => {
            const refused = [];
            document.addEventListener('securitypolicyviolation', event => {
                refused.push(event.effectiveDirective);
                if (refused.length === 4) resolve(refused.sort());
            });
            const script = document.createElement('script');
            script.textContent = 'window.ran = 1';
            document.body.append(script);
            document.body.insertAdjacentHTML('beforeend', '<img src="/live" onerror="window.ran = 1">'
                + '<p style="color: red"><img src="https://example.org/x.png">');
        })"""
    )

    assert refused == ["img-src", "script-src-attr", "script-src-elem", "style-src-attr"]
    assert await page.evaluate("window.ran") is None
