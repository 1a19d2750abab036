"""Receipts: facts with the proofs that they are in the log, in one file that verifies without the log and without us.

A receipt holds each leaf as it is hashed, both texts with their salts as an export has them, an inclusion proof for
each leaf, and the signed checkpoint that all of these lead to (RFC 6962, C2SP tlog-checkpoint). For a claim it also
says how its facts were read: status, policy with its digest, and explanation. Where that was attested since the last
of these facts, the receipt has the attested state, the proof that it is in the attested root, and the event with it.

It proves that these facts were in the log when the checkpoint was signed, and, where it has an attestation, that the
log held this status then. It doesn't prove that there are no others about the claim, nor whether a text that is missing
was erased or left out by whoever passed the receipt on; that takes the log (`verifier audit`).
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import aclosing, contextmanager
from typing import Any, Final

import msgspec

from events import errors as log_errors
from events.archive_lines import line_of
from events.log import Recorded
from events.sealed import Inclusion, Seal
from events.tlog import TlogError, format_tlog_proof, parse_tile_path
from verifier.app import Desk
from verifier.errors import Invalid, NotFound, TooLarge
from verifier.handler.appending import translate
from verifier.naming import is_id

FORMAT: Final = "claim-verifier receipt"
"""What a receipt says that it is."""

VERSION: Final = 1
"""The version of its form."""

MOST: Final = 2_000
"""The most facts of one receipt."""


async def checkpoint(desk: Desk) -> dict[str, Any]:
    """Return the last checkpoint, and what it says, in the shape of `answers.Checkpoint`. Raises `NotSealed` or
    `NotFound`."""
    seal = await desk.sealing.covering(1)
    return {
        "log": desk.log.id,
        "name": seal.name,
        "size": seal.size,
        "root": b64encode(seal.root).decode(),
        "checkpoint": seal.note.decode(),
        "vkeys": await desk.sealing.sealed.vkeys(),
    }


async def receipt_of_event(desk: Desk, given: str) -> dict[str, Any]:
    """Return the receipt of one event, in the shape of `answers.Receipt`. Raises `NotFound` or `NotSealed`."""
    position = await _position(desk, given)
    seal = await desk.sealing.covering(position)
    return await _receipt(desk, seal, [await _event(desk, position)])


async def receipt_of_claim(desk: Desk, claim: str) -> dict[str, Any]:
    """Return the receipt of a claim: all its facts so far, and how it stands by them, proved where that was attested.

    Raises `NotFound`, `NotSealed`, `TooLarge` for a claim with more facts than a receipt may have, and what
    `Attester.attestation_of` does.
    """
    if not is_id(claim, "clm"):
        raise NotFound(f"{claim!r} is not a claim's id: look it up in the list of claims", claim=claim)
    events = [event async for page in desk.log.read(f"claim:{claim}") for event in page]
    if not events:
        raise NotFound(f"there is no claim {claim} in this log: look it up in the list of claims", claim=claim)
    if len(events) > MOST:
        raise TooLarge(
            f"the claim has {len(events):,} facts, a receipt at most {MOST:,}: take those of the events that matter",
            limit=MOST,
        )
    last = events[-1].position
    given = await _attestation(desk, claim, last)
    seal = await desk.sealing.covering(max(last, given["position"] if given else 0))
    answer = await desk.queries.claim(claim, as_of=last)
    stands = {name: answer[name] for name in ("id", "position", "computed", "basis")}
    texts = {name: answer["texts"][name] for name in ("text", "label", "explanation")}
    return {
        **await _receipt(desk, seal, events),
        "claim": {**stands, **texts},
        "attestation": await _attested(desk, seal, given) if given else None,
    }


async def _attestation(desk: Desk, claim: str, position: int) -> dict[str, Any] | None:
    """Return the last attestation of a claim, `None` where it isn't about the claim's facts up to a position."""
    last = await desk.attester.last()
    if last is None or last.at < position:  # asked first, because the tree of an attestation may have to be made
        return None
    given = await desk.attester.attestation_of(claim)
    if msgspec.json.decode(given["state"])["position"] != position:  # the claim has moved on while we were reading
        return None
    return given


async def _attested(desk: Desk, seal: Seal, given: dict[str, Any]) -> dict[str, Any]:
    """Return an attestation as receipts have it: with the event, and the proof that it is in the log."""
    event = await _event(desk, given["position"])
    (inclusion,) = await desk.sealing.sealed.inclusions(seal, [event.position])
    return {
        **{name: given[name] for name in ("at", "policy", "state", "index", "size")},
        "proof": [b64encode(bytes.fromhex(hashed)).decode() for hashed in given["proof"]],
        "fact": _fact(event, inclusion),
    }


async def _event(desk: Desk, position: int) -> Recorded:
    async with aclosing(desk.log.read_all(after=position - 1, upto=position)) as pages:  # type: ignore[type-var]  # a generator
        [event] = [event async for page in pages for event in page]
    return event


async def _position(desk: Desk, given: str) -> int:
    if not given.isascii() or not given.isdecimal() or len(given) > 15 or int(given) == 0:
        raise Invalid(f"{given!r} is not a position: it is a number, 1 or more", field="position")
    position = int(given)
    if position > await desk.log.head():
        raise NotFound(f"there is no event at position {position} yet: the list of events says how far the log is")
    return position


async def _receipt(desk: Desk, seal: Seal, events: Sequence[Recorded]) -> dict[str, Any]:
    inclusions = await desk.sealing.sealed.inclusions(seal, [event.position for event in events])
    return {
        "format": FORMAT,
        "version": VERSION,
        "log": desk.log.id,
        "name": seal.name,
        "vkeys": await desk.sealing.sealed.vkeys(),
        "checkpoint": seal.note.decode(),
        "facts": [_fact(event, inclusion) for event, inclusion in zip(events, inclusions, strict=True)],
        "claim": None,
        "attestation": None,
    }


def _fact(event: Recorded, inclusion: Inclusion) -> dict[str, Any]:
    line = msgspec.json.decode(line_of(event), type=dict[str, Any])
    del line["line"]
    return {**line, "proof": [b64encode(hashed).decode() for hashed in inclusion.proof]}


# --- what is sealed, as bytes -----------------------------------------------------------------------


async def checkpoint_note(desk: Desk) -> bytes:
    """Return the last checkpoint as it was signed (C2SP tlog-checkpoint). Raises a `Problem`."""
    with _translated():
        return (await desk.sealing.covering(1)).note


async def public_keys(desk: Desk) -> bytes:
    """Return the public keys that sign checkpoints, one a line. Raises a `Problem`."""
    with _translated():
        await desk.sealing.covering(1)
        return "".join(f"{vkey}\n" for vkey in await desk.sealing.sealed.vkeys()).encode()


async def tile(desk: Desk, path: str) -> bytes:
    """Return a tile of hashes or a bundle of leaves by its path (C2SP tlog-tiles). Raises a `Problem`."""
    try:
        level, n, width = parse_tile_path(path)
    except TlogError as error:
        raise NotFound(f"there is no such tile: {error}") from error
    sealed = desk.sealing.sealed
    with _translated():
        found = await (sealed.entries(n, width) if isinstance(level, str) else sealed.tile(level, n, width))
    if found is None:
        raise NotFound("the sealed tree has no such tile: the checkpoint says how large it is", path=path)
    return found


async def proof(desk: Desk, position: str) -> bytes:
    """Return the proof that an event is in the log (C2SP tlog-proof). Raises a `Problem`."""
    with _translated():
        at = await _position(desk, position)
        seal = await desk.sealing.covering(at)
        (inclusion,) = await desk.sealing.sealed.inclusions(seal, [at])
        return format_tlog_proof(inclusion.index, inclusion.proof, seal.note)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except log_errors.LogError as error:
        raise translate(error, "") from error
