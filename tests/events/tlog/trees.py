"""Trees as tiles, for tests: hashed level by level, without `events.tlog`."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from tests.events.tlog.independent import mth


class Tiled:
    """The tiles of a tree, and which of them were read."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self.size = len(leaves)
        self.hashes = [mth([leaf]) for leaf in leaves]
        self.read: set[tuple[int, int, int]] = set()
        self._levels = [self.hashes]
        while len(self._levels[-1]) >= 256:
            below = self._levels[-1]
            self._levels.append([root_of(below[at : at + 256]) for at in range(0, len(below) - 255, 256)])

    def tile(self, level: int, n: int, width: int) -> bytes:
        """Read a tile, as a server would."""
        self.read.add((level, n, width))
        return b"".join(self._levels[level][n * 256 : n * 256 + width])


def root_of(hashes: Sequence[bytes]) -> bytes:
    """The root over a power of two of hashes."""
    while len(hashes) > 1:
        pairs = zip(hashes[::2], hashes[1::2], strict=True)
        hashes = [sha256(b"\x01" + left + right).digest() for left, right in pairs]
    return hashes[0]
