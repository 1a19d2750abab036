"""The right edge of a tree in tiles: what has to be kept of a log of any length to go on sealing it.

Of each level the hashes of the last tile are kept, which isn't full yet: at most 255, so that a million leaves take
some kilobytes. A tile that fills is handed out once, and its root goes up one level (C2SP tlog-tiles).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from hashlib import sha256
from typing import Final

from events.tlog import TILE_WIDTH, root_at, width_at

HASH: Final = 32
"""The bytes of a hash."""

FULL: Final = TILE_WIDTH * HASH
"""The bytes of a full tile."""

_HEIGHT: Final = 8  # a tile is a tree of 2^8


class Edge:
    """The right edge of a tree that leaf hashes are added to. `size` is how many it has taken."""

    __slots__ = ("_levels", "size")

    def __init__(self) -> None:
        self.size = 0
        self._levels = [bytearray()]

    def add(self, leaf_hashes: Iterable[bytes]) -> dict[tuple[int, int], bytes]:
        """Take the hashes of the next leaves; return the tiles that became full, by level and index."""
        full: dict[tuple[int, int], bytes] = {}
        lowest = self._levels[0]
        for leaf in leaf_hashes:
            lowest += leaf
            self.size += 1
            if len(lowest) == FULL:
                self._carry(full)
        return full

    def _carry(self, full: dict[tuple[int, int], bytes]) -> None:
        level = 0
        while len(self._levels[level]) == FULL:
            tile = bytes(self._levels[level])
            full[level, (self.size >> _HEIGHT * (level + 1)) - 1] = tile
            self._levels[level].clear()
            level += 1
            if level == len(self._levels):
                self._levels.append(bytearray())
            self._levels[level] += tile_root(tile)

    def root(self) -> bytes:
        """Return the root over all leaves so far: every tile that isn't full holds what is needed of its level."""
        return root_at(self.size, self._tile)

    def _tile(self, level: int, n: int, width: int) -> bytes:
        held = self.partial(level, n, width)
        assert held is not None  # a root needs the last tile of each level, and no other
        return held

    def partial(self, level: int, n: int, width: int) -> bytes | None:
        """Return the first hashes of a level's last tile; `None` for any other tile, or where it has fewer."""
        if level >= len(self._levels) or n != self.size >> _HEIGHT * (level + 1):
            return None
        held = self._levels[level]
        return bytes(held[: width * HASH]) if len(held) >= width * HASH else None

    def grown(self, leaf_hashes: Iterable[bytes]) -> Edge:
        """Return the edge with the hashes of the next leaves; this one stays as it is."""
        edge = Edge()
        edge.size, edge._levels = self.size, [bytearray(level) for level in self._levels]
        edge.add(leaf_hashes)
        return edge

    @classmethod
    async def load(
        cls,
        size: int,
        leaf_hashes: Callable[[int, int], Awaitable[Iterable[bytes]]],
        full_tile: Callable[[int, int], Awaitable[bytes]],
    ) -> Edge:
        """Return the edge of a tree of this size.

        `leaf_hashes(begin, end)` gives hashes of leaves, `full_tile(level, n)` full tiles. Of each level it reads the
        last tile's children: 255 at the most, whatever the size.
        """
        edge = cls()
        edge.size = size
        level, begin = 0, size - size % TILE_WIDTH
        edge._levels[0] += b"".join(await leaf_hashes(begin, size))
        while (hashes := size >> _HEIGHT * (level + 1)) > 0:
            level += 1
            first = hashes - hashes % TILE_WIDTH
            edge._levels.append(bytearray())
            for n in range(first, hashes):
                edge._levels[level] += tile_root(await full_tile(level - 1, n))
        return edge


def tile_root(tile: bytes) -> bytes:
    """Return the root over the hashes of a full tile (RFC 6962)."""
    row = [tile[at : at + HASH] for at in range(0, len(tile), HASH)]
    while len(row) > 1:
        row = [sha256(b"\x01" + left + right).digest() for left, right in zip(row[::2], row[1::2], strict=True)]
    return row[0]


def is_full(size: int, level: int, n: int) -> bool:
    """Say whether a tile is full in a tree of this size."""
    return width_at(size, level, n) == TILE_WIDTH
