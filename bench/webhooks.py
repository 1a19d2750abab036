"""What sending webhooks costs: from commit to receipt, also beside receivers that hang or are away, and at full speed.

    python -m bench.webhooks [--quick]

A real desk over a log on SQLite sends to a receiver in a process of its own. Beside the figures at full speed stands a
limit: the same client posting bodies of the same length, eight at a time, with nothing rendered, signed or kept.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import httpx

from bench.measuring import row, say
from verifier.app import Desk, open_desk
from verifier.commands import AssertClaim, RegisterClaim
from verifier.handler.appending import Caller
from verifier.logs import configure
from verifier.webhooks.office import AddWebhook
from verifier.webhooks.posting import Posting
from verifier.webhooks.queue import AT_ONCE
from verifier.webhooks.sender import Sending

ENDPOINTS: Final = 10
PACE: Final = 10
"""How many changes a second are recorded where time from commit to receipt is measured."""

AWAY: Final = "http://127.0.0.1:9/hook"
"""An address of this machine at which nobody listens."""


# --- the receiver ----------------------------------------------------------------------------------


async def receive() -> None:
    """Receive until ended: note what came at `/hook…` and when, never answer at `/hang`, tell at `/report`."""
    noted: list[tuple[str, str, float]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:-2])}
                body = await reader.readexactly(int(fields.get("content-length", 0)))
                path = head[0].split(" ")[1]
                if path == "/hang":
                    await asyncio.sleep(3_600)  # it hangs: that is what it is there for
                answer = b"{}"
                if path == "/report":
                    answer = json.dumps(noted).encode()
                    noted.clear()
                else:
                    noted.append((path, str(json.loads(body)["data"]["claim"]), time.time()))
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(answer), answer))
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    say(str(server.sockets[0].getsockname()[1]))
    await server.serve_forever()


@contextlib.asynccontextmanager
async def receiver() -> AsyncIterator[str]:
    """Have a receiver in a process of its own, and return its address."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.webhooks", "--receive", stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(await process.stdout.readline())}"
    finally:
        process.terminate()
        await process.wait()


async def reported(http: httpx.AsyncClient, count: int) -> list[tuple[str, str, float]]:
    """Return what was received, once there is so much of it."""
    noted: list[tuple[str, str, float]] = []
    while len(noted) < count:
        noted += [(path, claim, at) for path, claim, at in (await http.get("/report")).json()]
        await asyncio.sleep(0.1)  # a receiver tells when it is asked
    return noted


# --- the measurements ------------------------------------------------------------------------------


async def record(desk: Desk, number: int) -> tuple[str, float]:
    """Record a claim with its first statement; return it, and when it was durable."""
    command = RegisterClaim(text=f"Claim {number}", statement=AssertClaim(source=f"Outlet {number % 50}"))
    done = await desk.handler.register(command, Caller(actor="bench", key=str(number)))
    return done["id"], time.time()


async def steady(desk: Desk, http: httpx.AsyncClient, changes: int, first: int) -> None:
    """Measure from commit to receipt at a steady pace."""
    durable = {}
    begun = time.perf_counter()
    for number in range(changes):
        claim, at = await record(desk, first + number)
        durable[claim] = at
        await asyncio.sleep(max(0.0, begun + (number + 1) / PACE - time.perf_counter()))
    noted = await reported(http, changes * ENDPOINTS)
    taken = sorted((at - durable[claim]) * 1e3 for _, claim, at in noted)
    p50, p99 = taken[len(taken) // 2], taken[len(taken) * 99 // 100]
    say(f"  {len(noted):,} deliveries: p50 {p50:.1f} ms, p99 {p99:.1f} ms, longest {taken[-1]:.1f} ms")


async def at_full_speed(desk: Desk, address: str, http: httpx.AsyncClient, endpoints: int, changes: int) -> None:
    """Measure how fast endpoints that begin at the beginning get everything."""
    begun = time.perf_counter()
    for number in range(endpoints):
        asked = AddWebhook(url=f"{address}/hook-{endpoints}-{number}", after=0)
        await desk.webhooks.add(asked, "bench", f"{endpoints}-{number}")
    await reported(http, endpoints * changes)
    row(f"{changes:,} changes to {endpoints} endpoint{'s' * (endpoints > 1)}", endpoints * changes
        / (time.perf_counter() - begun))  # fmt: skip
    for item in (await desk.webhooks.list())["items"]:
        await desk.webhooks.remove(item["id"])


async def bare(address: str, http: httpx.AsyncClient, posts: int) -> None:
    """Measure the limit."""
    posting, left = Posting(), iter(range(posts))
    body = json.dumps({"data": {"claim": "x" * 1_200}}).encode()

    async def caller() -> None:
        for _ in left:
            await posting.post(f"{address}/hook", body, {}, 0.0)

    begun = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(AT_ONCE)))
    row("the limit: bare posts, eight at a time", posts / (time.perf_counter() - begun))
    await reported(http, posts)
    await posting.close()


async def measure(changes: int, folder: Path) -> None:
    """Measure all of it."""
    say(f"webhooks, on {os.cpu_count()} processors, SQLite")
    sending: Any = Sending(wait=2.0)
    async with (
        receiver() as address,
        httpx.AsyncClient(base_url=address) as http,
        open_desk(f"sqlite:///{folder}/newsroom.db", sending=sending) as desk,
    ):
        for number in range(ENDPOINTS):
            await desk.webhooks.add(AddWebhook(url=f"{address}/hook-{number}"), "bench", f"endpoint {number}")
        say(f"steady: {PACE} changes a second to {ENDPOINTS} endpoints")
        await steady(desk, http, changes // 10, 0)
        await desk.webhooks.add(AddWebhook(url=f"{address}/hang"), "bench", "hangs")
        await desk.webhooks.add(AddWebhook(url=AWAY), "bench", "away")
        say("the same, beside one that hangs and one that is away")
        await steady(desk, http, changes // 10, changes)
        for item in (await desk.webhooks.list())["items"]:
            await desk.webhooks.remove(item["id"])
        recorded = 2 * (changes // 10)
        for number in range(changes - recorded):
            await record(desk, 2 * changes + number)
        say("full speed, from the beginning of the log")
        await bare(address, http, changes)
        await at_full_speed(desk, address, http, 1, changes)
        await at_full_speed(desk, address, http, ENDPOINTS, changes)


def main() -> None:
    """Measure, or be the receiver."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a fifth of it")
    parser.add_argument("--receive", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.receive:
        asyncio.run(receive())
        return
    configure("error", "console")
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(400 if given.quick else 2_000, Path(folder)))


if __name__ == "__main__":
    main()
