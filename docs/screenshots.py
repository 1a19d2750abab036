"""Take the pictures of the dashboard that the documents show: `python -m docs.screenshots`, from a checkout.

A case is recorded on a server that is made for it, and every page is looked at with Chromium: light and dark on a
desktop, and light on a phone. The pictures replace those in `docs/screenshots`.
"""

from __future__ import annotations

import asyncio
import tempfile
from base64 import b64decode
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from playwright.async_api import Page

from tests.browser.chromium import Visitor, chromium
from tests.browser.newsdesk import record
from tests.browser.sealed_server import Server
from tests.verifier.serving import only_errors
from verifier.client import Verifier

FOLDER: Final = Path(__file__).with_name("screenshots")

WINDOWS: Final[Mapping[str, Mapping[str, Any]]] = {
    "light": {"color_scheme": "light", "viewport": {"width": 1280, "height": 800}},
    "dark": {"color_scheme": "dark", "viewport": {"width": 1280, "height": 800}},
    "phone": {"color_scheme": "light", "viewport": {"width": 390, "height": 844}, "device_scale_factor": 2},
}
"""How each page is looked at."""

LONGEST: Final = 1_200
"""How many pixels of a long page a picture shows."""


async def take(page: Page) -> bytes:
    """Take a picture of a page, from its top."""
    await page.wait_for_load_state("load")
    await page.evaluate("document.fonts.ready")
    shown = await page.evaluate("document.documentElement.scrollHeight")
    window = page.viewport_size
    assert window is not None
    clip = {"x": 0, "y": 0, "width": window["width"], "height": min(shown, LONGEST), "scale": 1}
    session = await page.context.new_cdp_session(page)
    picture = await session.send(
        "Page.captureScreenshot", {"format": "webp", "quality": 72, "clip": clip, "captureBeyondViewport": True}
    )
    return b64decode(picture["data"])


async def main() -> None:
    """Record, look, and say what was taken."""
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("*.webp"):
        old.unlink()
    only_errors()
    total = 0
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder))
        server.start()
        try:
            async with (
                Verifier(server.address) as verifier, chromium() as browser, Visitor(browser, server.address) as visit,
            ):  # fmt: skip
                addresses = dict((await record(verifier)).addresses)
                addresses["then"] = f"{addresses['claim']}?step=4"
                for way, window in WINDOWS.items():
                    for name, address in addresses.items():
                        page = await visit(address, timezone_id="Europe/London", locale="en-GB", **window)
                        total += (FOLDER / f"{name}-{way}.webp").write_bytes(await take(page))
                        await page.close()
        finally:
            server.stop()
    print(f"{len(WINDOWS) * len(addresses)} pictures, {total / 1e6:.1f} MB, in {FOLDER}")


if __name__ == "__main__":
    asyncio.run(main())
