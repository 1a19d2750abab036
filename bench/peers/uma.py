"""A peer: UmaDB, an event store with a server of its own, from the wheel `umadb`. It is no dependency of the product.

The wheel holds the server and a client for threads. The server runs with its own defaults, under which an
append is synchronous: written to its file, with a group of others, before it is acknowledged.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Final
from uuid import uuid4

from umadb import CancelledByUserError, Client, Event, TransportError

from bench.processes import Saved, in_threads

_READY_WITHIN: Final = 30.0  # seconds

_RUN: Final = "import umadb, sys; umadb.run_server_from_args(sys.argv)"

# As many bytes as the parts of an event of ours: the leaf, the words, the names.
_WORDS: Final = b"The United States has no plans to pull out militarily from Iraq. ".ljust(1_000, b".")


@contextmanager
def served() -> Iterator[str]:
    """Run a server on loopback, with a file that goes away with it."""
    with tempfile.TemporaryDirectory(prefix="umadb-") as folder, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{probe.getsockname()[1]}"
        probe.close()
        process = subprocess.Popen(
            [sys.executable, "-c", _RUN, "--listen", place, "--db-path", f"{folder}/uma.db"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _wait_for(f"http://{place}", process)
            yield f"http://{place}"
        finally:
            process.terminate()
            process.wait()


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _READY_WITHIN
    while True:
        try:
            Client(url).head()
        except TransportError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.02)  # it tells nobody when it is ready
        else:
            return


def append(client: Client, times: int, taken: list[float] | None = None) -> None:
    """Record as many events, one an append, tagged as of one claim."""
    tag = f"claim:{uuid4()}"
    for _ in range(times):
        begun = time.perf_counter()
        client.append([Event("claim.denied", _WORDS, tags=[tag], uuid=uuid4())])
        if taken is not None:
            taken.append((time.perf_counter() - begun) * 1e3)


def appends(url: str, callers: int, count: int) -> Saved:
    """Append `count` events from as many threads, over one client."""
    with closing(Client(url)) as client:
        return in_threads(lambda times, taken: append(client, times, taken), callers, count)


@contextmanager
def subscribed(client: Client, after: int, seconds: float) -> Iterator[Iterator[int]]:
    """Subscribe after a position, for so many seconds: positions, as they come."""
    subscription = client.subscribe(after=after)
    timer = threading.Timer(seconds, subscription.cancel)
    timer.start()

    def until_cancelled() -> Iterator[int]:
        with suppress(CancelledByUserError):
            for recorded in subscription:
                yield recorded.position

    try:
        yield until_cancelled()
    finally:
        timer.cancel()
        subscription.cancel()


def positions(url: str) -> list[int]:
    """Read the positions of all that was recorded."""
    with closing(Client(url)) as client:
        return [recorded.position for recorded in client.read()]
