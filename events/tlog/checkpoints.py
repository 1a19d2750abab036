"""Signed heads of a log, and the cosignatures of witnesses on them (C2SP tlog-checkpoint, tlog-cosignature)."""

from __future__ import annotations

from collections.abc import Sequence

from events.tlog.errors import Malformed, Unsatisfied, Unverified
from events.tlog.hashing import EMPTY_ROOT
from events.tlog.head import Head, format_head, parse_head
from events.tlog.keys import COSIGNATURES, ED25519, VerifierKey, parse_private_key, signing_key
from events.tlog.notes import Signature, known_keys, split_note, verified_keys
from events.tlog.reading import octets


def sign_checkpoint(origin: str, seed: bytes, size: int, root: bytes) -> bytes:
    """Return the checkpoint of a log, signed with the Ed25519 key of this 32-byte seed, whose name is the origin.

    Deterministic: the same arguments give the same bytes. Whether this log may sign this head is for the caller to
    know. Raises `Malformed` for what can't be an origin and a key's name, a seed, a size or its root.
    """
    key = signing_key(origin, ED25519, seed)
    text = format_head(origin, size, root)
    check_empty_root(Head(origin, size, root))
    line = Signature(key.verifier.name, key.verifier.id, key.sign(text))
    return octets(f"{text}\n{line}", "a checkpoint")


def open_checkpoint(
    raw: bytes, origin: str, log_vkeys: Sequence[str], witness_vkeys: Sequence[str] = ()
) -> tuple[int, bytes]:
    """Verify a checkpoint of the log with this origin: return its size and root.

    One of the log's keys must have signed it (several stand for a rotation), and every witness given must have
    cosigned it; use `policy_satisfied` where fewer are enough. Raises `Malformed` for what is not a checkpoint or
    not such keys; `Unverified` for another origin, a size 0 with a root, or a signature by one of the keys that
    does not hold; `Unsatisfied` where the log's or a witness's signature is missing.
    """
    logs, witnesses = known_keys(log_vkeys), known_keys(witness_vkeys)
    check_witness_keys(witnesses)
    if not isinstance(origin, str):
        raise Malformed(f"an origin must be a text, not {type(origin).__name__}")
    head, signed = read_checkpoint(raw, logs + witnesses)
    if head.origin != origin:
        raise Unverified(f"this is a checkpoint of {head.origin!r}, not of {origin!r}")
    if not any(key in signed for key in logs):
        raise Unsatisfied(f"no known key of {head.origin!r} has signed this checkpoint")
    for witness in witnesses:
        if witness not in signed:
            raise Unsatisfied(f"{witness.name} has not cosigned this checkpoint")
    return head.size, head.root


def read_checkpoint(raw: bytes, keys: list[VerifierKey]) -> tuple[Head, list[VerifierKey]]:
    """Return the head in a checkpoint and which of the keys have signed it, possibly none.

    Raises `Malformed`, and `Unverified` where a signature by one of the keys does not hold.
    """
    if len({(key.name, key.id) for key in keys}) != len(keys):
        raise Malformed("a key is given twice")
    text, signatures = split_note(raw)
    head = parse_head(text)
    signed = verified_keys(text, signatures, keys)
    check_empty_root(head)
    return head, signed


def check_empty_root(head: Head) -> None:
    """Check that a head of size 0 has the root of the empty tree. Raises `Unverified`."""
    if head.size == 0 and head.root != EMPTY_ROOT:
        raise Unverified("the root of size 0 is not that of the empty tree")


def check_witness_keys(keys: Sequence[VerifierKey]) -> None:
    """Check that keys are of the types of cosignatures. Raises `Malformed`: a plain signature of a witness would not
    say that it saw the log grow."""
    for key in keys:
        if key.type not in COSIGNATURES:
            raise Malformed(f"{key.name} is not the key of a witness: its type must be 0x04 or 0x06")


def cosign(checkpoint: bytes, private_key: str, timestamp: int) -> bytes:
    """Return the signature line of a witness for a checkpoint; append it to the checkpoint to have both.

    `timestamp` is in seconds since 1970 and says: now this is the largest tree of this log that I know. Whether
    that is so is for the caller to know. Verifies no other signature. Raises `Malformed` for what is not a
    checkpoint, not the key of a witness, or not a time after 1970.
    """
    key = parse_private_key(private_key)
    check_witness_keys([key.verifier])
    text, _ = split_note(checkpoint)
    check_empty_root(parse_head(text))
    if timestamp == 0:
        raise Malformed("a witness says when it cosigned: the time must be after 1970")
    line = Signature(key.verifier.name, key.verifier.id, key.sign(text, timestamp))
    return octets(str(line), "a cosignature")


def add_cosignatures(checkpoint: bytes, lines: bytes, witness_vkeys: Sequence[str]) -> bytes:
    """Return the checkpoint with those of the lines that known witnesses have signed: what to do with a witness's
    answer (C2SP tlog-witness).

    Lines by others are dropped, and so is a second line by the same key. Raises `Malformed` for what is not a
    checkpoint, signature lines and keys of witnesses; `Unverified` where a line by one of them does not hold;
    `Unsatisfied` where there is none.
    """
    witnesses = known_keys(witness_vkeys)
    check_witness_keys(witnesses)
    text, had = split_note(checkpoint)
    text, all_of_them = split_note(octets(checkpoint, "a checkpoint") + octets(lines, "the lines of a witness"))
    parse_head(text)
    added = {(line.name, line.id): line for line in all_of_them[len(had) :]}
    if not verified_keys(text, list(added.values()), witnesses):
        raise Unsatisfied("none of the known witnesses has cosigned this checkpoint")
    known = [added[key.name, key.id] for key in witnesses if (key.name, key.id) in added]
    return octets(checkpoint, "a checkpoint") + octets("".join(map(str, known)), "the lines of a witness")
