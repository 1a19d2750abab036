"""The tree over the leaves, grown tile by tile, and compared with the tiles that are kept."""

from __future__ import annotations

from typing import Final, NamedTuple

from events.audit.book import OpenBook
from events.audit.checks import Checked, differences, root_of
from events.tlog import EMPTY_ROOT, TILE_WIDTH, width_at

MOST: Final = 4_000
"""How many differences are kept: where everything differs, the first will do."""

_TOP: Final = 8  # levels: 256^8 leaves are more than there can be


class Difference(NamedTuple):
    """A kept tile that is missing or has another hash, and the positions over which that is taken."""

    level: int
    n: int
    first: int
    last: int


class Tree:
    """Takes what was checked, span by span, and keeps the right edge of the tree: at most 256 hashes a level.

    `roots` holds the root at each size that was asked for and reached; `differing` and `untiled` what was found of
    the tiles that are kept.
    """

    def __init__(self, book: OpenBook, size: int, marks: frozenset[int]) -> None:
        self._book = book
        self._sealed = size
        self._marks = marks
        self._levels: list[list[bytes]] = [[] for _ in range(_TOP)]
        self._counts = [0] * _TOP
        self.roots: dict[int, bytes] = {}
        self.differing: list[Difference] = []
        self.untiled: list[Difference] = []
        if 0 in marks:
            self.roots[0] = EMPTY_ROOT

    @property
    def size(self) -> int:
        """How many leaves were taken."""
        return self._counts[0]

    def take(self, checked: Checked) -> None:
        """Take the next span."""
        for position in checked.differing[: MOST - len(self.differing)]:
            self.differing.append(Difference(0, (position - 1) // TILE_WIDTH, position, position))
        for n in checked.untiled:
            self.untiled.append(Difference(0, n, n * TILE_WIDTH + 1, min((n + 1) * TILE_WIDTH, self._sealed)))
        for tile in checked.tiles:
            if isinstance(tile, bytes):
                self._full(tile)
            else:
                first = self.size
                for mark in sorted(mark for mark in self._marks if first < mark < first + TILE_WIDTH):
                    if mark - first <= len(tile):
                        self._mark(tile[: mark - first], mark)
                if len(tile) == TILE_WIDTH:
                    self._full(root_of(tile))
                else:
                    self._counts[0] += len(tile)

    def end(self) -> None:
        """Compare the tiles at the right edge, which are not full."""
        for level in range(1, _TOP):
            self._compare(level)

    def _full(self, node: bytes) -> None:
        self._counts[0] += TILE_WIDTH
        level = 1
        while True:
            self._levels[level].append(node)
            self._counts[level] += 1
            if len(self._levels[level]) < TILE_WIDTH:
                break
            self._compare(level)
            node = root_of(self._levels[level])
            self._levels[level] = []
            level += 1
        if self.size in self._marks:
            self._mark([], self.size)

    def _mark(self, edge: list[bytes], size: int) -> None:
        """Note the root at this size: `edge` are the leaves that make no full tile."""
        rest = [root_of(edge)] if edge else []
        for nodes in self._levels[1:]:
            if nodes or rest:
                rest = [root_of(nodes + rest)]
        self.roots[size] = rest[0]

    def _compare(self, level: int) -> None:
        """Compare the last tile of a level, as far as it has grown, with what is kept of it."""
        hashes = self._levels[level]
        n = (self._counts[level] - 1) // TILE_WIDTH
        width = width_at(self._sealed, level, n) if hashes else 0
        if not width:
            return
        span = TILE_WIDTH**level
        kept = self._book.kept(level, n, width)
        if not kept:
            self.untiled.append(Difference(level, n, n * TILE_WIDTH * span + 1, (n * TILE_WIDTH + width) * span))
        for index in sorted({index for tile in kept for index in differences(tile, hashes)})[
            : MOST - len(self.differing)
        ]:
            first = (n * TILE_WIDTH + index) * span
            self.differing.append(Difference(level, n, first + 1, first + span))
