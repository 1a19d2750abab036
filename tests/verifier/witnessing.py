"""A witness for tests: a log that it knows, what is sent to it, and one that takes requests."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from events.tlog import leaf_hash, new_key, prove_consistency, sign_note, tree_root, vkey_of
from events.tlog.head import format_head
from verifier.witness import Serving, serve

KEY = new_key("example.org/newsroom")
LEAVES = [f"leaf {number}".encode() for number in range(20)]
NAME = "partner.example/w1"


def submission(old: int, proof: Sequence[bytes], checkpoint: bytes) -> bytes:
    """Return the body of a request to cosign."""
    lines = [f"old {old}", *(base64.b64encode(one).decode() for one in proof), "", ""]
    return "\n".join(lines).encode() + checkpoint


def checkpoint(size: int, leaves: Sequence[bytes] = LEAVES) -> bytes:
    """Return the checkpoint of the log at a size."""
    return sign_note(format_head("example.org/newsroom", size, tree_root(leaves[:size])), [KEY])


def growth(old: int, new: int) -> bytes:
    """Return the body that asks for a cosignature on a log that has grown."""
    hashes = [leaf_hash(leaf) for leaf in LEAVES]
    proof = prove_consistency(old, new, lambda level, n, width: b"".join(hashes[:width])) if old else []
    return submission(old, proof, checkpoint(new))


@asynccontextmanager
async def standing(folder: Path) -> AsyncIterator[Serving]:
    """A witness that takes requests."""
    ready: asyncio.Future[Serving] = asyncio.get_running_loop().create_future()
    running = asyncio.create_task(
        serve(folder, name=NAME, vkeys=[vkey_of(KEY)], host="127.0.0.1", port=0, ready=ready.set_result)
    )
    serving = await ready
    try:
        yield serving
    finally:
        serving.stop()
        await running


@dataclass
class Silent:
    """Where nobody ever answers: its address, who asked, and how many of them have gone away again."""

    address: str = ""
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    gone: int = 0


@asynccontextmanager
async def never_answering(said: bytes = b"") -> AsyncIterator[Silent]:
    """A server that takes requests and never answers, or says this again and again and never ends."""
    silent = Silent()

    async def ignore(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        silent.asked.set()
        with suppress(ConnectionError):
            if said:
                writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
                while not reader.at_eof():
                    writer.write(said)
                    await writer.drain()
            while await reader.read(2**16):
                pass
        silent.gone += 1
        writer.close()

    async with await asyncio.start_server(ignore, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        silent.address = f"http://{host}:{port}"
        yield silent


def policy(*witnesses: tuple[str, str]) -> bytes:
    """A policy that asks for all of these witnesses."""
    lines = [f"witness w{number} {vkey} {address}" for number, (vkey, address) in enumerate(witnesses)]
    names = " ".join(f"w{number}" for number in range(len(witnesses)))
    return "\n".join([f"log {vkey_of(KEY)}", *lines, f"group all all {names}", "quorum all", ""]).encode()
