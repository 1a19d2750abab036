"""The Merkle tree of RFC 6962, section 2.1 (the same in RFC 9162) over SHA-256.

A leaf is hashed with 0x00 before it and a node with 0x01 before its two halves, so that neither can be
taken for the other.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from events.tlog.errors import Malformed
from events.tlog.reading import MAX_SIZE, count, digest, digests, iterated

EMPTY_ROOT: Final = sha256(b"").digest()
"""The root of the tree without leaves."""


def leaf_hash(data: bytes) -> bytes:
    """Return the hash of one leaf: SHA-256 over 0x00 and the data (RFC 6962, section 2.1). Raises `Malformed` for
    what is not bytes."""
    if not isinstance(data, bytes):
        raise Malformed(f"a leaf must be bytes, not {type(data).__name__}")
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of a node: SHA-256 over 0x01 and the hashes of its halves. Checks nothing: both are hashes."""
    return sha256(b"\x01" + left + right).digest()


def tree_root(leaves: object) -> bytes:
    """Return the root over leaves, each given as its data and not as its hash; of none, SHA-256 of nothing.

    Takes any iterable once and keeps a few hashes of it at a time. Raises `Malformed` where a leaf is not bytes.
    """
    frontier = Frontier()
    for data in iterated(leaves, "the leaves"):
        frontier.append(leaf_hash(data))
    return frontier.root()


class Frontier:
    """The right edge of a growing tree: takes leaf hashes one by one and gives the root of all so far.

    Keeps one hash per one-bit of the size, at most 63. `peaks` are the roots of the full subtrees from left to
    right, largest first: with the size they are all that must be kept to go on later.
    """

    __slots__ = ("_peaks", "_size")

    def __init__(self, size: int = 0, peaks: tuple[bytes, ...] = ()) -> None:
        """Go on from a size and its peaks, or from nothing. Raises `Malformed` where they don't fit each other."""
        self._size = count(size, "the size of a frontier")
        self._peaks = digests(peaks, "the peaks")
        if len(self._peaks) != size.bit_count():
            raise Malformed(f"a frontier of size {size} has {size.bit_count()} peaks, not {len(self._peaks)}")

    @property
    def size(self) -> int:
        """How many leaves were taken."""
        return self._size

    @property
    def peaks(self) -> tuple[bytes, ...]:
        """The roots of the full subtrees, largest first."""
        return tuple(self._peaks)

    def append(self, leaf: bytes) -> None:
        """Take the hash of the next leaf. Raises `Malformed` for what is not one, and changes nothing then."""
        joined = digest(leaf, "a leaf hash")
        if self._size == MAX_SIZE:
            raise Malformed("a tree has at most 2^63 - 1 leaves")
        # Each trailing one-bit of the size is a full subtree as large as what is being added: they join.
        below = self._size
        while below & 1:
            joined = node_hash(self._peaks.pop(), joined)
            below >>= 1
        self._peaks.append(joined)
        self._size += 1

    def root(self) -> bytes:
        """Return the root of the leaves so far."""
        if not self._peaks:
            return EMPTY_ROOT
        return joined_peaks(self._peaks)


def joined_peaks(peaks: list[bytes]) -> bytes:
    """Return the root over full subtrees of falling size, left to right; there is at least one."""
    *others, root = peaks
    for peak in reversed(others):
        root = node_hash(peak, root)
    return root
