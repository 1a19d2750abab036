"""A stream over a socket ends with its reader, and one who reads nothing keeps nobody waiting."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import httpx
import pytest
from serving import served

ASK = "GET /api/v1/{path} HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: text/event-stream\r\n\r\n"


async def connected(address: str, path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Ask for a stream, and wait until its answer begins."""
    host, _, port = address.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=2**16)
    writer.write(ASK.format(path=path).encode())
    assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
    return reader, writer


async def until(is_so: AsyncIterator[bool]) -> None:
    """Wait until something is so of which nobody tells."""
    async with asyncio.timeout(10):
        async for so in is_so:
            if so:
                return


@pytest.mark.parametrize("path", ["feed?after=0", "feed?source=AFP", "events?after=0", "events?story=nothing"])
async def test_a_reader_who_goes_away_is_forgotten(
    log_place: str, path: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with served(log_place) as serving:
        feed, before = serving.desk.feed, serving.desk.meters.requests.copy()
        for _ in range(5):
            _, writer = await connected(serving.address, path)
            writer.transport.abort()

        async def all_gone() -> AsyncIterator[bool]:
            while True:
                ended = sum(n.count for key, n in serving.desk.meters.requests.items() if key not in before)
                yield feed.subscribers == 0 and ended >= 5
                await asyncio.sleep(0.01)  # nobody tells

        await until(all_gone())
    assert "Traceback" not in capfd.readouterr().err


async def test_one_who_reads_nothing_keeps_nobody_waiting_and_misses_nothing(log_place: str) -> None:
    with served(log_place) as serving:
        async with httpx.AsyncClient(base_url=f"{serving.address}/api/v1/") as http:
            slow, slow_writer = await connected(serving.address, "feed?after=0")
            fast, fast_writer = await connected(serving.address, "feed?after=0")
            lines = [
                {"type": "claim.registered", "text": f"Claim {number} " + "x" * 4_000, "key": f"k{number}",
                 "statement": {"type": "claim.asserted", "source": "AFP"}}
                for number in range(200)
            ]  # fmt: skip
            wanted = []
            for _ in range(5):  # a megabyte each: more than the buffers on the way hold
                body = "\n".join(json.dumps(line) for line in lines)
                answer = await http.post("batch", content=body, headers={"content-type": "application/jsonl"})
                wanted += [json.loads(line)["result"]["written_at"] for line in answer.text.splitlines()]
                lines = [{**line, "key": f"{line['key']}-{len(wanted)}", "again": True} for line in lines]

            async with asyncio.timeout(30):
                assert await positions(fast, len(wanted)) == sorted(wanted)
                assert await positions(slow, len(wanted)) == sorted(wanted)
        slow_writer.close()
        fast_writer.close()


async def positions(reader: asyncio.StreamReader, count: int) -> list[int]:
    """Read the positions of so many changes."""
    found: list[int] = []
    rest = b""
    while len(found) < count:
        rest += await reader.read(2**16)
        *whole, rest = rest.split(b"event: change\n")
        found += [int(part.rpartition(b"id: ")[2]) for part in whole]
    return found
