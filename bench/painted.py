"""How long it takes from a write to the picture: from `POST` to painted in a browser that has the page open.

    python -m bench.painted [--quick] [--claims COUNT] [--writes COUNT] [--every MILLISECONDS]

A log with so many claims is served by the real server in a process of its own, and Chromium has *Live*, then a claim,
open. Each write is a denial or its retraction, which changes the claim's status, so that in the end the claim has as
many facts as there were writes. The time is that from sending the request until the browser has drawn the frame after
the one in which the change came into the page. Both clocks are this machine's. Server, client and browser, which draws
without a graphics card, share its cores.

Beside it stands how long the write took alone, from sending the request until its answer: how much of the time is ours
to give back by sending and drawing faster.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from playwright.async_api import Page

from bench.dashboard import fill
from bench.measuring import say, server
from tests.browser.chromium import Visitor, chromium
from verifier.app import open_desk
from verifier.client import Verifier

TARGET: Final = 150.0
"""How many milliseconds the middle one may take."""

WATCH: Final = """selector => {
    window.drawn = [];
    let before = document.querySelector(selector).outerHTML;
    new MutationObserver(() => {
        const shown = document.querySelector(selector).outerHTML;
        if (shown === before) return;
        before = shown;
        requestAnimationFrame(() => requestAnimationFrame(() => {
            window.drawn.push(performance.timeOrigin + performance.now());
        }));
    }).observe(document.querySelector('main'), {childList: true, subtree: true});
}"""
"""Notes when a frame has followed the one in which what is selected became another."""

OPEN: Final = {
    "live": ("/live", "#stream > li:first-child .status"),
    "claim": ("/claims/{id}", "#standing .status"),
}
"""The pages that are kept open, and what changes on each with the claim's status."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """The milliseconds until a change was painted, and until its write was answered."""

    painted: Sequence[float]
    answered: Sequence[float]


def at(times: Sequence[float], share: float) -> float:
    """Return the time that this share of the times is at most."""
    return sorted(times)[min(len(times) - 1, int(len(times) * share))]


async def write(verifier: Verifier, claim: str, number: int, denial: str | None) -> str | None:
    """Deny the claim, or have the denial that stands taken back; return the denial that then stands."""
    if denial is None:
        return (await verifier.deny(claim, source=f"Denier {number}", occurred="2020-01-08")).statement
    await verifier.retract(claim, denial, by=f"Denier {number - 1}")
    return None


async def measure(page: Page, verifier: Verifier, claim: str, *, first: int, writes: int, every: float) -> Taken:
    """Write so often, about `every` seconds apart, and note each time when the page shows it."""
    painted, answered, pause, denial = [], [], random.Random(first), None
    for number in range(first, first + writes):
        await asyncio.sleep(every * pause.uniform(0.5, 1.5))  # the page's own rhythm must not be met by chance
        seen = await page.evaluate("window.drawn.length")
        begun = time.time()
        denial = await write(verifier, claim, number, denial)
        answered.append((time.time() - begun) * 1e3)
        await page.wait_for_function("seen => window.drawn.length > seen", arg=seen)
        painted.append(await page.evaluate("seen => window.drawn[seen]", seen) - begun * 1e3)
    return Taken(painted=painted, answered=answered)


async def main() -> int:
    """Fill, serve, open the pages, write; say how it went."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--quick", action="store_true", help="fewer claims and writes, for a first look")
    options.add_argument("--claims", type=int, help="how many claims the log holds (10,000)")
    options.add_argument("--writes", type=int, help="how many changes are watched on each page (100)")
    options.add_argument("--every", type=float, default=500, help="how many milliseconds lie between two (500)")
    given = options.parse_args()
    claims = given.claims or (500 if given.quick else 10_000)
    writes = given.writes or (30 if given.quick else 100)
    late = 0
    with tempfile.TemporaryDirectory(prefix="bench-painted-") as folder:
        url = f"sqlite:///{Path(folder) / 'painted.db'}"
        async with open_desk(url) as desk:
            await fill(desk, claims)
            asserted = (await desk.queries.claims(limit=len(OPEN), status="asserted"))["items"]
        say(f"{claims:,} claims; {writes} changes, about {given.every:.0f} ms apart, watched on each page\n")
        say(f"  {'page':<10}{'painted p50 ms':>16}{'p90':>8}{'p99':>8}{'longest':>9}{'answered p50':>15}")
        async with (
            server(url) as address, chromium() as browser, Visitor(browser, address) as visit,
            Verifier(address) as verifier,
        ):  # fmt: skip
            for round, (name, (path, selector)) in enumerate(OPEN.items()):
                claim = asserted[round]["id"]
                page = await visit(path.replace("{id}", claim))
                await page.wait_for_load_state("load")
                await page.evaluate(WATCH, selector)
                taken = await measure(
                    page, verifier, claim, first=round * writes, writes=writes // 2 * 2, every=given.every / 1e3
                )
                late += at(taken.painted, 0.5) > TARGET
                say(
                    f"  {name:<10}{at(taken.painted, 0.5):>16.0f}{at(taken.painted, 0.9):>8.0f}"
                    f"{at(taken.painted, 0.99):>8.0f}{max(taken.painted):>9.0f}{at(taken.answered, 0.5):>15.1f}"
                    f"{f'  more than {TARGET:.0f} ms' if at(taken.painted, 0.5) > TARGET else ''}"
                )
                await page.close()
    return 1 if late else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
