"""Asks witnesses to cosign a checkpoint: the log's half of C2SP tlog-witness.

A policy file (C2SP tlog-policy) says which witnesses there are: those of its lines that end in a URL are asked, all
at once, each with the proof that the log continues what it cosigned last. Who doesn't answer in time is left out, and
asked again with the next checkpoint. A witness that is away holds up one checkpoint, and the next ones hardly: it is
waited for only briefly then, and as long as anyone once in a while.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import httpx
import structlog

from events.errors import Invalid, LogError
from events.tlog import (
    Head,
    TlogError,
    add_cosignatures,
    parse_head,
    parse_policy,
    prove_consistency,
    split_note,
    tiles_needed,
)

Hashes = Callable[[int, int, int], Awaitable[bytes]]
"""Returns a tile of the log by level, index and width: `events.sealed.Sealed.hashes`."""

WAIT: Final = 2.0
"""How many seconds a witness has to answer."""

BRIEFLY: Final = 0.2
"""The part of that time that one has which didn't answer in time before."""

OFTEN: Final = 30
"""How many checkpoints such a witness has little time for; then all of it, once. It may be far away and not gone."""

_ANSWER_LIMIT: Final = 64 * 1024  # bytes; a few signature lines are far below
_HASH: Final = 32
_SIZE: Final = "text/x.tlog.size"

logger = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Witness:
    """One that is asked: its key, where it answers, the size that it cosigned last, as far as we know, and how often
    in a row it didn't answer in time."""

    vkey: str
    address: str
    last: int = 0
    missed: int = 0


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    kind: str | None
    body: bytes


class Witnesses:
    """The witnesses of a policy. For one event loop; close it at the end."""

    def __init__(self, policy: bytes, hashes: Hashes, *, wait: float = WAIT) -> None:
        """Raises `Invalid` for what is not a policy, a URL that nobody can answer at, with its line, and a policy in
        which no witness has a URL."""
        self._hashes = hashes
        self._wait = wait
        self._witnesses = _witnesses(policy)
        self._client = httpx.AsyncClient(timeout=None, headers={"accept-encoding": "identity"})  # each ask has its time

    async def cosign(self, note: bytes) -> bytes:
        """Return a checkpoint with the cosignatures that came in time, each of them verified; possibly none."""
        head = parse_head(split_note(note)[0])
        async with asyncio.TaskGroup() as asking:
            asks = [asking.create_task(self._ask(witness, note, head)) for witness in self._witnesses]
        return note + b"".join(ask.result() for ask in asks)

    async def _ask(self, witness: _Witness, note: bytes, head: Head) -> bytes:
        part = 1 if witness.missed % OFTEN == 0 else BRIEFLY
        try:
            async with asyncio.timeout(self._wait * part):
                answer = await self._submit(witness, note, head)
                if answer.status == 409 and answer.kind == _SIZE:
                    witness.last = _size(answer.body, head.size)  # it knows better; asked once more from there
                    answer = await self._submit(witness, note, head)
            witness.missed = 0
            if answer.status != 200:
                raise _Refused(f"it answers {answer.status}: {answer.body[:200].decode(errors='replace')}")
            # Whatever else it sent is left out, as the specification asks.
            lines = add_cosignatures(note, answer.body, [witness.vkey])[len(note) :]
        except (TimeoutError, httpx.HTTPError, httpx.InvalidURL, OSError, _Refused, TlogError, LogError) as error:
            witness.missed += isinstance(error, TimeoutError)
            logger.warning("not cosigned", witness=witness.vkey, size=head.size, why=str(error) or "no answer in time")
            return b""
        witness.last = head.size
        return lines

    async def _submit(self, witness: _Witness, note: bytes, head: Head) -> _Answer:
        proof: list[bytes] = []
        if witness.last:
            needed = tiles_needed(head.size, old_size=witness.last)
            tiles = {(level, n): await self._hashes(level, n, width) for level, n, width in needed}
            proof = prove_consistency(witness.last, head.size, lambda level, n, width: tiles[level, n][: width * _HASH])
        lines = [f"old {witness.last}", *(base64.b64encode(one).decode() for one in proof), "", ""]
        asked = "\n".join(lines).encode() + note
        async with self._client.stream("POST", f"{witness.address}/add-checkpoint", content=asked) as answer:
            body = bytearray()
            async for chunk in answer.aiter_raw():
                body += chunk
                if len(body) > _ANSWER_LIMIT:
                    raise _Refused("it answers with more than a few signatures")
        return _Answer(answer.status_code, answer.headers.get("content-type"), bytes(body))

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


class _Refused(Exception):
    """A witness gave no cosignature."""


def _size(body: bytes, most: int) -> int:
    """Read the size from which a witness wants to go on."""
    digits = body.removesuffix(b"\n")
    if not digits.isdigit() or len(digits) > 19 or int(digits) > most:
        raise _Refused(
            f"it goes on from {body[:30]!r}, and the log has {most}: one of the two is behind, find out which"
        )
    return int(digits)


def _witnesses(policy: bytes) -> list[_Witness]:
    """Return the witnesses of a policy that have a URL."""
    try:
        parse_policy(policy)
    except TlogError as error:
        raise Invalid(f"this is no policy: {error}") from error
    found: list[_Witness] = []
    for number, line in enumerate(policy.split(b"\n"), 1):
        match line.split():  # as the policy is read: white space is that of ASCII
            case [b"witness", _, vkey, url]:
                found.append(_Witness(vkey.decode(), _address(url, number)))
    if not found:
        raise Invalid("no witness of the policy has a URL: write `witness NAME VKEY URL` for each that is to be asked")
    return found


def _address(url: bytes, number: int) -> str:
    """Return the URL of a witness, without a slash at its end. Raises `Invalid`, with the line."""
    try:
        address = url.decode().rstrip("/")
        parsed = httpx.URL(address)
        named = parsed.host.encode("idna") and 0 < (parsed.port or 1) < 2**16
        if named and parsed.scheme in ("http", "https") and not (parsed.query or parsed.fragment):
            return address
        why = "it must begin with http:// or https://, and name a host"
    except (UnicodeError, httpx.InvalidURL) as error:
        why = str(error)
    shown = url.decode(errors="replace")
    raise Invalid(f"line {number} of the policy: {shown} is no URL at which a witness answers ({why}): mend the line")
