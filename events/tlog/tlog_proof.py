"""A proof that verifies offline: an index, an inclusion proof and a checkpoint in one file (C2SP tlog-proof)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from events.tlog.checkpoints import open_checkpoint
from events.tlog.errors import Malformed
from events.tlog.head import parse_head
from events.tlog.notes import MAX_NOTE, split_note
from events.tlog.proofs import verify_inclusion
from events.tlog.reading import count, decimal, digests, octets, text_of, tobase64, unbase64, unbase64_hash

MAX_PROOF: Final = 63
"""The most hashes of a proof: a tree of the largest size is not higher."""

MAX_PROOF_FILE: Final = 2 * MAX_NOTE
"""The most bytes of a proof file: a checkpoint of any size, and as much again."""

_TITLE: Final = "c2sp.org/tlog-proof@v1"


@dataclass(frozen=True, slots=True)
class TlogProof:
    """What a proof file says. `extra` is not covered by any signature; `checkpoint` stands as the log signed it."""

    index: int
    proof: list[bytes]
    checkpoint: bytes
    extra: bytes | None = None


def format_tlog_proof(index: int, proof: Sequence[bytes], checkpoint: bytes, extra: bytes | None = None) -> bytes:
    """Return a proof file (by custom named `.tlog-proof`). Verifies nothing.

    Raises `Malformed` for what is not an index, a proof, a checkpoint, or extra bytes, and for a file too large.
    """
    lines = [_TITLE]
    if extra is not None:
        lines.append(f"extra {tobase64(octets(extra, 'the extra data'))}")
    lines.append(f"index {count(index, 'the index')}")
    lines += [tobase64(hashed) for hashed in digests(proof, "the proof")]
    written = octets("\n".join([*lines, "", ""]), "a proof") + octets(checkpoint, "a checkpoint")
    parse_tlog_proof(written)
    return written


def parse_tlog_proof(raw: bytes) -> TlogProof:
    """Read a proof file without verifying it; the checkpoint in it has the form of one. Raises `Malformed`."""
    written = octets(raw, "a proof")
    if len(written) > MAX_PROOF_FILE:
        raise Malformed(f"a proof has at most {MAX_PROOF_FILE:,} bytes")
    before, blank, checkpoint = written.partition(b"\n\n")
    title, *lines = text_of(before, "a proof").split("\n")
    if title != _TITLE or not blank:
        raise Malformed(f"a proof begins with {_TITLE} and has a blank line before its checkpoint")
    extra = None
    if lines and lines[0].startswith("extra "):
        extra = unbase64(lines.pop(0).removeprefix("extra "), "the extra data of a proof")
        if not extra:
            raise Malformed("a proof without extra data has no line for it")
    if not lines or not lines[0].startswith("index "):
        raise Malformed("a proof says which index it is for")
    index = decimal(lines.pop(0).removeprefix("index "), "the index of a proof")
    if len(lines) > MAX_PROOF:
        raise Malformed(f"a proof has at most {MAX_PROOF} hashes")
    hashes = [unbase64_hash(line, "a hash of a proof") for line in lines]
    parse_head(split_note(checkpoint)[0])
    return TlogProof(index, hashes, checkpoint, extra)


def verify_tlog_proof(raw: bytes, leaf_hash: bytes, origin: str, log_vkeys: Sequence[str]) -> TlogProof:
    """Check that the leaf with this hash is in the log with this origin; return what the file says.

    Cosignatures are not looked at: give the checkpoint to `policy_satisfied` for those. Raises `Malformed`,
    `Unverified` and `Unsatisfied` as `open_checkpoint` and `verify_inclusion` do.
    """
    read = parse_tlog_proof(raw)
    size, root = open_checkpoint(read.checkpoint, origin, log_vkeys)
    verify_inclusion(read.index, size, leaf_hash, read.proof, root)
    return read
