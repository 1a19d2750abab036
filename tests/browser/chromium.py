"""A real browser: the Chromium that is installed on this machine, driven by Playwright.

Playwright never downloads a browser here. What a page says on its console is listened to, so that a test can't pass
while a script fails or the content policy refuses something.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

from playwright.async_api import Browser, ConsoleMessage, Error, Page, async_playwright

NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PLACES: Final = (
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)

WITHIN: Final = 10_000
"""How many milliseconds a page may take to show something before a test fails."""

OFFLINE: Final = "net::ERR_"
"""How the console names what didn't reach the server: expected where a test stops it."""

_QUIETLY: Final = ("--disable-background-networking", "--disable-component-update", "--disable-gpu", "--no-first-run")
_ALONE: Final = ("--no-sandbox",)  # Chromium's sandbox needs rights that root in a container lacks; the pages are ours


def find_chromium() -> str:
    """Return where Chromium is. Raises `RuntimeError`, which says what to do, where there is none."""
    for found in (*map(shutil.which, NAMES), *(place for place in PLACES if Path(place).exists())):
        if found:
            return found
    raise RuntimeError(
        "the browser tests need Chromium and found none: install it (Debian: `apt-get install chromium`, macOS:"
        " `brew install chromium`), or leave them out with `pytest --ignore=tests/browser`"
    )


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Start Chromium, and close it at the end."""
    found = find_chromium()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=found, args=[*_QUIETLY, *_ALONE])
        try:
            yield browser
        finally:
            await browser.close()


class Visitor:
    """Opens pages of one server, each in a window of its own, and keeps what their consoles complain about."""

    def __init__(self, browser: Browser, address: str) -> None:
        self._browser, self.address = browser, address
        self.expected: str | None = None
        """What a complaint contains that the test means to cause."""
        self._windows = AsyncExitStack()
        self._complaints: list[str] = []
        self._loads: dict[Page, int] = {}

    async def __aenter__(self) -> Visitor:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._windows.aclose()

    async def __call__(self, path: str, **window: Any) -> Page:
        """Open a page in a new window and wait until it is loaded."""
        context = await self._browser.new_context(base_url=self.address, **window)
        self._windows.push_async_callback(context.close)
        context.set_default_timeout(WITHIN)
        page = await context.new_page()
        page.on("domcontentloaded", self._on_load)
        page.on("console", self._on_console)
        page.on("pageerror", self._on_error)
        await page.goto(path)
        return page

    def loads(self, page: Page) -> int:
        """Return how often something was loaded into a window; 1 if it still shows the page that was opened."""
        return self._loads.get(page, 0)

    @property
    def complaints(self) -> list[str]:
        """The errors and warnings of all consoles so far, but for those that are expected."""
        return [each for each in self._complaints if self.expected is None or self.expected not in each]

    def _on_load(self, page: Page) -> None:
        self._loads[page] = self.loads(page) + 1

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self._complaints.append(f"{message.text} ({message.location})")

    def _on_error(self, error: Error) -> None:
        self._complaints.append(str(error))
