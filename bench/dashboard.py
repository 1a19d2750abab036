"""How long the dashboard's pages take with many claims, and how much they weigh.

    python -m bench.dashboard [--quick] [--log URL] [--claims COUNT] [--requests COUNT]

A log is filled with claims: three in four have one statement, the others two, so that tiles, filters and attention
have something to count. It is served by the real server in a process of its own, and each page is asked for over one
kept connection, one request after the other, compressed as a browser asks. The time is that from sending a request
until the whole page is there; server and client share the machine's cores.

The limit beside it is `/healthz`, which answers without looking at anything: what HTTP itself costs here.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from bench.measuring import say, server
from verifier import batches
from verifier.app import Desk, open_desk

CLAIMS: Final = 100_000
QUICK_CLAIMS: Final = 5_000

PAGES: Final = {
    "the limit: /healthz": "/healthz",
    "live": "/live",
    "live, one status": "/live?status=denied",
    "live, one reason for attention": "/live?attention=who",
    "live, one story": "/live?story=story-7",
    "live, words that many claims have": "/live?text=claim",
    "live, words that one old claim has": "/live?text=claim+77+",
    "desk": "/",
    "stories": "/stories",
    "sources": "/sources?limit=25",
}
"""What is asked for, under the name that is printed; a claim is added once there is one."""

TARGET: Final = 50.0
"""How many milliseconds *Live* may take, at the 99th percentile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """How long the requests for one page took, in milliseconds, and how many bytes came."""

    times: list[float]
    sent: int
    plain: int

    def at(self, share: float) -> float:
        """Return the time that this share of the requests took at most."""
        return sorted(self.times)[min(len(self.times) - 1, int(len(self.times) * share))]


def lines_of(number: int) -> list[dict[str, object]]:
    """Return the commands that make a claim: what it says first, and for some of them a denial or a doubt."""
    said = {"type": "claim.asserted", "source": f"Source {number % 500}", "occurred": "2020-01-06"}
    if number % 50 == 1:
        said["attribution"] = "unattributed"
    return [
        {
            "key": f"c{number}",
            "type": "claim.registered",
            "text": f"Claim {number} says that forces will be moved out of the country by the end of the month",
            "story": f"story-{number % 40}",
            "statement": said,
        }
    ]


async def fill(desk: Desk, claims: int) -> None:
    """Record the claims and, for every fourth, a second statement."""
    lines = [line for number in range(claims) for line in lines_of(number)]
    ids: list[str] = []
    for first in range(0, len(lines), batches.BATCH_LINES):
        answers = await batches.batch(desk, lines[first : first + batches.BATCH_LINES], "bench")
        assert all(answer["ok"] for answer in answers), next(answer for answer in answers if not answer["ok"])
        ids += [answer["result"]["id"] for answer in answers]
    second = [
        {
            "key": f"s{number}",
            "claim": ids[number],
            "type": "claim.denied" if number % 8 else "claim.corroborated",
            "source": f"Source {(number + 1) % 500}",
            "occurred": "2020-01-07",
        }
        for number in range(0, claims, 4)
    ]
    for first in range(0, len(second), batches.BATCH_LINES):
        answers = await batches.batch(desk, second[first : first + batches.BATCH_LINES], "bench")
        assert all(answer["ok"] for answer in answers), next(answer for answer in answers if not answer["ok"])


def ask(address: str, path: str, requests: int) -> Taken:
    """Ask for a page so many times."""
    times: list[float] = []
    with httpx.Client(base_url=address, headers={"accept-encoding": "gzip"}, timeout=60) as client:
        client.get(path).raise_for_status()
        for _ in range(requests):
            begun = time.perf_counter()
            response = client.get(path)
            times.append((time.perf_counter() - begun) * 1e3)
            response.raise_for_status()
    return Taken(times=times, sent=int(response.headers["content-length"]), plain=len(response.content))


async def main() -> int:
    """Fill, serve, ask; say how it went."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--quick", action="store_true", help=f"{QUICK_CLAIMS:,} claims and fewer requests")
    options.add_argument("--log", help="filled where it is new; left out: SQLite, in a folder that is removed")
    options.add_argument("--claims", type=int)
    options.add_argument("--requests", type=int)
    given = options.parse_args()
    claims = given.claims or (QUICK_CLAIMS if given.quick else CLAIMS)
    requests = given.requests or (100 if given.quick else 500)
    with tempfile.TemporaryDirectory(prefix="bench-dashboard-") as folder:
        url = given.log or f"sqlite:///{Path(folder) / 'dashboard.db'}"
        begun = time.perf_counter()
        async with open_desk(url) as desk:
            if await desk.log.head() == 1:
                await fill(desk, claims)
            assert await desk.views.reached(await desk.log.head(), 600)
            filled = time.perf_counter() - begun
            claim = (await desk.queries.claims(limit=1))["items"][0]["id"]
            counted = sum((await desk.queries.by_status()).values())
        say(f"{counted:,} claims, recorded in {filled:.0f} s; {requests} requests for each page\n")
        say(f"  {'page':<36}{'p50 ms':>9}{'p99 ms':>9}{'longest':>9}{'bytes sent':>12}{'plain':>9}")
        missed = 0
        os.environ["VERIFIER_LOG_LEVEL"] = "warning"  # one line for each request would only be in the way
        async with server(url) as address:
            for name, path in {**PAGES, "claim": f"/claims/{claim}"}.items():
                taken = await asyncio.to_thread(ask, address, path, requests)
                late = path == "/live" and taken.at(0.99) > TARGET
                missed += late
                say(
                    f"  {name:<36}{taken.at(0.5):>9.1f}{taken.at(0.99):>9.1f}{max(taken.times):>9.1f}"
                    f"{taken.sent:>12,}{taken.plain:>9,}{'  more than ' + str(TARGET) + ' ms' if late else ''}"
                )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
