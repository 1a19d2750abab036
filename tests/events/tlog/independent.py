"""The formats once more, from their texts and for reading: slow, without checks, sharing nothing with `events.tlog`.

What the tests compare with, and what `make_vectors.py` writes the golden files with.
"""

from __future__ import annotations

import struct
from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey


def mth(leaves: Sequence[bytes]) -> bytes:
    """The Merkle tree hash of RFC 6962, section 2.1, word for word."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0]).digest()
    k = split(len(leaves))
    return sha256(b"\x01" + mth(leaves[:k]) + mth(leaves[k:])).digest()


def path(m: int, leaves: Sequence[bytes]) -> list[bytes]:
    """The audit path of section 2.1.1."""
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if m < k:
        return [*path(m, leaves[:k]), mth(leaves[k:])]
    return [*path(m - k, leaves[k:]), mth(leaves[:k])]


def proof(m: int, leaves: Sequence[bytes]) -> list[bytes]:
    """The consistency proof of section 2.1.2; empty from size 0, as C2SP tlog-witness adds."""
    return subproof(m, leaves, True) if m else []


def subproof(m: int, leaves: Sequence[bytes], known: bool) -> list[bytes]:
    if m == len(leaves):
        return [] if known else [mth(leaves)]
    k = split(len(leaves))
    if m <= k:
        return [*subproof(m, leaves[:k], known), mth(leaves[k:])]
    return [*subproof(m - k, leaves[k:], False), mth(leaves[:k])]


def split(n: int) -> int:
    k = 1
    while k * 2 < n:
        k *= 2
    return k


class Signer:
    """A key of type 1, 4 or 6 with a name, made from a seed."""

    def __init__(self, name: str, kind: int, seed: bytes) -> None:
        self.name, self.kind, self.seed = name, kind, seed
        self.private = (MLDSA44PrivateKey.from_seed_bytes if kind == 6 else Ed25519PrivateKey.from_private_bytes)(seed)
        self.public = self.private.public_key().public_bytes_raw()
        self.id = sha256(f"{name}\n".encode() + bytes([kind]) + self.public).digest()[:4]
        self.vkey = f"{name}+{self.id.hex()}+{b64encode(bytes([kind]) + self.public).decode()}"
        self.secret = f"PRIVATE+KEY+{name}+{self.id.hex()}+{b64encode(bytes([kind]) + seed).decode()}"

    def line(self, text: str, time: int = 0) -> str:
        """The signature line for a text, at a time."""
        return self.line_of({1: self._plain, 4: self._cosigned, 6: self._subtree}[self.kind](text, time))

    def line_of(self, signature: bytes) -> str:
        return f"\u2014 {self.name} {b64encode(self.id + signature).decode()}\n"

    def _plain(self, text: str, time: int) -> bytes:
        return self.private.sign(text.encode())

    def _cosigned(self, text: str, time: int) -> bytes:
        return struct.pack(">Q", time) + self.private.sign(f"cosignature/v1\ntime {time}\n{text}".encode())

    def _subtree(self, text: str, time: int) -> bytes:
        origin, size, root = text.split("\n")[:3]
        message = struct.pack(
            f">12sB{len(self.name)}sQB{len(origin)}sQQ32s",
            b"subtree/v1\n\0", len(self.name), self.name.encode(), time,
            len(origin), origin.encode(), 0, int(size), bytes.fromhex(b64hex(root)),
        )  # fmt: skip
        return struct.pack(">Q", time) + self.private.sign(message)


def b64hex(text: str) -> str:
    """Base64 to hex, by the alphabet."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    bits = "".join(f"{alphabet.index(character):06b}" for character in text.rstrip("="))
    whole = len(bits) // 8
    return f"{int(bits[: whole * 8], 2):0{whole * 2}x}"


def head(origin: str, size: int, root: bytes) -> str:
    """The text of a checkpoint."""
    return f"{origin}\n{size}\n{b64encode(root).decode()}\n"


LOG = Signer("news.example/log", 1, b"\x01" * 32)
NEXT_LOG = Signer("news.example/log", 1, b"\x02" * 32)
WITNESS = Signer("partner.example/witness", 4, b"\x04" * 32)
OTHER_WITNESS = Signer("university.example/witness", 4, b"\x05" * 32)
THIRD_WITNESS = Signer("library.example/witness", 4, b"\x08" * 32)
PQ_WITNESS = Signer("archive.example/witness", 6, b"\x06" * 32)
STRANGER = Signer("stranger.example/log", 1, b"\x07" * 32)

LEAVES = [bytes.fromhex(data) for data in (
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
)]  # fmt: skip
"""The leaves of the reference tests of Certificate Transparency, whose roots are published."""


def checkpoint(*signers: Signer, size: int = 8, root: bytes | None = None, origin: str = LOG.name) -> bytes:
    """A checkpoint of the reference tree, or of another, signed by these at their time 1700000000."""
    text = head(origin, size, mth(LEAVES[:size]) if root is None else root)
    return (text + "\n" + "".join(signer.line(text, 1_700_000_000) for signer in signers)).encode()
