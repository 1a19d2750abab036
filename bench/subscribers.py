"""Many subscribers of one feed, who writes to it, and a server that says how it fares: for `bench/feed.py`.

A subscriber is an `asyncio.Protocol` that looks for the ids in what comes and decodes nothing, so that it is not what
is measured. All of them are in one process, the server is in another.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import re
import socket
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

_CHANGE: Final = re.compile(rb"id: (\d+)\nevent: change\n")
_RECORDED: Final = re.compile(rb'"recorded_at":"([^"]+)"')

KEPT: Final = 3.0
"""For how many seconds an idle connection is used again: a server closes it after five."""

CONNECTING: Final = 50
"""How many subscribers connect at once."""


# --- who reads -------------------------------------------------------------------------------------


@dataclass
class Receipts:
    """What all subscribers of a run received: how late, by how many, and what was out of order."""

    expected: int
    late: list[float] = field(default_factory=list)
    """Milliseconds from when a change was recorded, which is before its commit, to each receipt of it."""
    counts: dict[int, int] = field(default_factory=dict)
    disorder: int = 0
    frame: bytes = b""
    """One frame, as it came."""
    _recorded: dict[int, float] = field(default_factory=dict)
    _whole: dict[int, asyncio.Event] = field(default_factory=dict)

    def take(self, positions: list[int], data: bytes, now: float) -> None:
        """Count what one subscriber received at once."""
        for position in positions:
            if position not in self._recorded:
                self._recorded[position] = _recorded(data, position)
                self.frame = data
            self.late.append((now - self._recorded[position]) * 1e3)
            count = self.counts[position] = self.counts.get(position, 0) + 1
            if count == self.expected:
                self._of(position).set()

    async def whole(self, position: int) -> None:
        """Wait until every subscriber has a position."""
        await self._of(position).wait()

    def missing(self, positions: list[int]) -> int:
        """Return how many receipts there were not, of changes at these positions."""
        return sum(self.expected - self.counts.get(position, 0) for position in positions)

    def _of(self, position: int) -> asyncio.Event:
        return self._whole.setdefault(position, asyncio.Event())


def _recorded(data: bytes, position: int) -> float:
    start = data.index(b"id: %d\n" % position)
    found = _RECORDED.search(data, start)
    assert found is not None
    return datetime.fromisoformat(found[1].decode()).timestamp()


class Subscriber(asyncio.Protocol):
    """One reader of a stream."""

    def __init__(self, receipts: Receipts, request: bytes) -> None:
        self._receipts = receipts
        self._request = request
        self._rest = b""
        self._last = 0
        self.open = asyncio.get_running_loop().create_future()
        """Done once the answer has begun."""
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Take every whole frame."""
        now = time.time()
        data = self._rest + data
        if not self.open.done():
            head, found, data = data.partition(b"\r\n\r\n")
            if not found:
                self._rest = head
                return
            assert b" 200 " in head, head
            self.open.set_result(None)
        cut = data.rfind(b"\n\n") + 2
        if cut > 1:
            self._rest, data = data[cut:], data[:cut]
            positions = [int(position) for position in _CHANGE.findall(data)]
            if positions:
                self._receipts.disorder += positions != sorted({*positions}) or positions[0] <= self._last
                self._last = positions[-1]
                self._receipts.take(positions, data, now)
        else:
            self._rest = data

    def connection_lost(self, error: Exception | None) -> None:
        """Say so where nobody has hung up."""
        if not self.open.done():
            self.open.set_exception(error or ConnectionError("the server hung up"))


@contextlib.asynccontextmanager
async def subscribed(address: str, path: str, receipts: Receipts, count: int) -> AsyncIterator[list[Subscriber]]:
    """Connect so many subscribers, all of them before the block begins."""
    host, port = _place(address)
    request = f"GET {path} HTTP/1.1\r\nhost: {host}\r\naccept: text/event-stream\r\n\r\n".encode()
    loop = asyncio.get_running_loop()
    subscribers: list[Subscriber] = []

    async def connect(many: int) -> None:
        for _ in range(many):
            _, subscriber = await loop.create_connection(lambda: Subscriber(receipts, request), host, port)
            await subscriber.open
            subscribers.append(subscriber)

    await asyncio.gather(*(connect(count // CONNECTING + (n < count % CONNECTING)) for n in range(CONNECTING)))
    gc.collect()
    gc.freeze()  # of the reader's own: its pauses are not the server's
    try:
        yield subscribers
    finally:
        for subscriber in subscribers:
            subscriber.transport.abort()
        await asyncio.sleep(0.5)  # until the server has noticed: nobody tells


def _place(address: str) -> tuple[str, int]:
    host, _, port = address.removeprefix("http://").partition(":")
    return host, int(port)


# --- who writes ------------------------------------------------------------------------------------


class Poster:
    """One kept connection on which one request is under way at a time."""

    def __init__(self, address: str) -> None:
        self._place = _place(address)
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._used = 0.0

    async def post(self, path: str, body: bytes, media_type: str = "application/json") -> bytes:
        """Post a body and return the answer's."""
        if time.monotonic() - self._used > KEPT:
            self.close()
        if self._streams is None:
            self._streams = await asyncio.open_connection(*self._place)
        reader, writer = self._streams
        head = f"POST {path} HTTP/1.1\r\nhost: {self._place[0]}\r\ncontent-type: {media_type}\r\n"
        writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
        answer = await reader.readexactly(length)
        assert " 200 " in head.partition("\r\n")[0], answer
        self._used = time.monotonic()
        return answer

    def close(self) -> None:
        """Hang up."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


# --- who serves ------------------------------------------------------------------------------------


def listener() -> socket.socket:
    """Take a free port."""
    taken = socket.socket()
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    taken.bind(("127.0.0.1", 0))
    return taken


async def answering(address: str) -> None:
    """In a server's process: say where it is; for each line that comes say how it fares, until the input ends."""
    stall = 0.0

    async def watch() -> None:
        nonlocal stall
        clock = time.perf_counter
        while True:
            begun = clock()
            await asyncio.sleep(STEP)
            stall = max(stall, clock() - begun - STEP)

    def tell(line: Any) -> None:
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()

    loop = asyncio.get_running_loop()
    asked: asyncio.Queue[str] = asyncio.Queue()
    loop.add_reader(sys.stdin, lambda: asked.put_nowait(sys.stdin.readline()))
    watching = asyncio.create_task(watch())
    tell(address)
    while await asked.get():
        tell({"stall": stall * 1e3, "memory": memory()})
        stall = 0.0
    loop.remove_reader(sys.stdin)
    watching.cancel()


STEP: Final = 0.002
"""Every how many seconds a server looks whether its event loop goes on."""


def memory() -> float:
    """Return how many megabytes of memory this process has."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1_024


class Served:
    """A server in a process of its own, as its parent sees it."""

    def __init__(self, process: asyncio.subprocess.Process, address: str) -> None:
        self._process = process
        self.address = address

    async def ask(self) -> tuple[float, float]:
        """Return the longest stall of its event loop since this was asked last, in milliseconds, and its memory
        in megabytes."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        line = json.loads(await _line(self._process))
        return line["stall"], line["memory"]


async def _line(process: asyncio.subprocess.Process) -> bytes:
    assert process.stdout is not None
    while True:
        line = await process.stdout.readline()
        if not line:
            raise SystemExit("the server has died")
        if line[:1] in b'"{' and line.strip():
            return line


@contextlib.asynccontextmanager
async def served(*arguments: str) -> AsyncIterator[Served]:
    """Run a module that serves and is `answering`."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,  # its logs: a pipe that nobody reads would stop it
    )
    try:
        yield Served(process, json.loads(await _line(process)))
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 30)
        except TimeoutError:
            process.kill()
            await process.wait()


@contextlib.contextmanager
def quiet_collector() -> Iterator[None]:
    """Keep the collector of the reader's process still."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
