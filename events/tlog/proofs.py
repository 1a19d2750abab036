"""Proofs that an entry is in a tree and that one tree continues another (RFC 6962, sections 2.1.1 and 2.1.2).

Verifying needs the proof alone. Making one needs hashes of the tree, which are read from tiles: a *range* of
leaves is the union of full subtrees, and each full subtree lies in one tile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from events.tlog.errors import Malformed, Unverified
from events.tlog.hashing import EMPTY_ROOT, joined_peaks, node_hash
from events.tlog.reading import count, digest, digests
from events.tlog.tiles import TILE_WIDTH, width_at

ReadTile = Callable[[int, int, int], bytes]
"""Reads the tile of a level, an index and a width: that many times 32 bytes."""

Tile = tuple[int, int, int]
"""A tile to read: level, index, width."""

Range = tuple[int, int]
"""The leaves from the first number up to, and without, the second."""

_TILE_HEIGHT: Final = 8


def verify_inclusion(index: int, size: int, leaf_hash: bytes, proof: Sequence[bytes], root: bytes) -> None:
    """Check that the leaf with this hash stands at this index of the tree of this size and root (RFC 9162,
    section 2.1.3.2). Returns nothing where it does.

    Raises `Malformed` for what is not an index within a size, hashes and a proof, and `Unverified` where the
    proof does not lead from the leaf to the root or has not exactly the hashes it must have.
    """
    at, last = count(index, "the index"), count(size, "the size") - 1
    if at > last:
        raise Malformed(f"the index {at} is not in a tree of size {size}")
    reached, hashes = digest(leaf_hash, "the leaf hash"), digests(proof, "the proof")
    digest(root, "the root")
    for hashed in hashes:
        if last == 0:
            raise Unverified("the inclusion proof is too long")
        if at & 1 or at == last:
            reached = node_hash(hashed, reached)
            # A left sibling only joins where there is one: skip the levels at which this node goes up alone.
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            reached = node_hash(reached, hashed)
        at, last = at >> 1, last >> 1
    if last != 0:
        raise Unverified("the inclusion proof is too short")
    if reached != root:
        raise Unverified("the inclusion proof leads to another root: the entry is not the one at this index")


def verify_consistency(size1: int, size2: int, proof: Sequence[bytes], root1: bytes, root2: bytes) -> None:
    """Check that the tree of the second size and root continues the one of the first (RFC 9162, section 2.1.4.2).
    Returns nothing where it does.

    Of size 0 only the empty tree continues; the proof from it, and from a tree to itself, is empty (C2SP
    tlog-witness). Raises `Malformed` for what is not two sizes in order, hashes and a proof, and `Unverified`
    where the proof does not lead to both roots or has not exactly the hashes it must have.
    """
    first, second = count(size1, "the first size"), count(size2, "the second size")
    hashes = digests(proof, "the proof")
    digest(root1, "the first root")
    digest(root2, "the second root")
    if first > second:
        raise Malformed(f"a tree of size {second} can't continue one of size {first}")
    if (first == 0 and root1 != EMPTY_ROOT) or (second == 0 and root2 != EMPTY_ROOT):
        raise Unverified("the root of size 0 is not that of the empty tree")
    if first in (0, second):
        if hashes:
            raise Unverified("the consistency proof must be empty")
        if first == second and root1 != root2:
            raise Unverified(f"there are two roots for size {first}: one of the logs was rewritten")
        return
    _verify_growth(first, second, hashes, root1, root2)


def _verify_growth(size1: int, size2: int, proof: list[bytes], root1: bytes, root2: bytes) -> None:
    """Walk both trees at once from where they part, for 0 < size1 < size2."""
    if size1 & (size1 - 1) == 0:
        proof = [root1, *proof]  # a full tree is its own first node, and the proof leaves it out
    at, last = size1 - 1, size2 - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    if not proof:
        raise Unverified("the consistency proof is too short")
    reached1 = reached2 = proof[0]
    for hashed in proof[1:]:
        if last == 0:
            raise Unverified("the consistency proof is too long")
        if at & 1 or at == last:
            reached1, reached2 = node_hash(hashed, reached1), node_hash(hashed, reached2)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            reached2 = node_hash(reached2, hashed)
        at, last = at >> 1, last >> 1
    if last != 0:
        raise Unverified("the consistency proof is too short")
    if reached1 != root1 or reached2 != root2:
        raise Unverified("the consistency proof leads to other roots: the log was rewritten")


def root_at(size: int, read_tile: ReadTile) -> bytes:
    """Return the root of the first `size` leaves, from tiles. Raises `Malformed` for a tile of another length, and
    what `read_tile` raises."""
    if count(size, "the size") == 0:
        return EMPTY_ROOT
    return _Hashes(size, read_tile).of((0, size))


def prove_inclusion(index: int, size: int, read_tile: ReadTile) -> list[bytes]:
    """Return the proof that the leaf at this index is in the tree of this size, from tiles.

    The tiles are not checked against a root: verify the proof before handing it on. Raises `Malformed` for an
    index outside and for a tile of another length, and what `read_tile` raises.
    """
    hashes = _Hashes(size, read_tile)
    return [hashes.of(span) for span in _inclusion_ranges(index, size)]


def prove_consistency(size1: int, size2: int, read_tile: ReadTile) -> list[bytes]:
    """Return the proof that the tree of the second size continues that of the first, from tiles; an empty one from
    size 0 and between equal sizes. Checks and raises as `prove_inclusion` does."""
    hashes = _Hashes(size2, read_tile)
    return [hashes.of(span) for span in _consistency_ranges(size1, size2)]


def tiles_needed(size: int, *, index: int | None = None, old_size: int | None = None) -> list[Tile]:
    """Return the tiles that `root_at(size)` reads, with an index also those of `prove_inclusion`, with an old size
    also those of `prove_consistency`: level, index, width, each once and in order, so that they can be fetched
    beforehand and at the same time. Raises `Malformed` as those do."""
    ranges = [(0, size)] if count(size, "the size") else []
    if index is not None:
        ranges += _inclusion_ranges(index, size)
    if old_size is not None:
        ranges += _consistency_ranges(old_size, size)
    return sorted({_place(size, *part)[0] for span in ranges for part in _full_subtrees(*span)})


def _inclusion_ranges(index: int, size: int) -> list[Range]:
    """The siblings on the way from the leaf to the root."""
    if count(index, "the index") >= count(size, "the size"):
        raise Malformed(f"the index {index} is not in a tree of size {size}")
    ranges: list[Range] = []
    begin, end = 0, size
    while end - begin > 1:
        middle = begin + _left_width(end - begin)
        if index < middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((begin, middle))
            begin = middle
    return ranges[::-1]


def _consistency_ranges(size1: int, size2: int) -> list[Range]:
    """The subtrees from which both roots can be built."""
    if count(size1, "the first size") > count(size2, "the second size"):
        raise Malformed(f"a tree of size {size2} can't continue one of size {size1}")
    ranges: list[Range] = []
    begin, end = 0, size2
    if size1 == 0:
        return ranges
    while size1 != end:
        middle = begin + _left_width(end - begin)
        if size1 <= middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((begin, middle))
            begin = middle
    if begin:  # the old tree is not one of the new one's full left subtrees, so its last part must be named
        ranges.append((begin, end))
    return ranges[::-1]


def _left_width(width: int) -> int:
    """The largest power of two below a width of at least two: how many leaves the left half of a tree has."""
    return 1 << (width - 1).bit_length() - 1


def _full_subtrees(begin: int, end: int) -> Iterator[tuple[int, int]]:
    """Cut a range into full subtrees, left to right, as (height, index at this height).

    The ranges of proofs begin at a multiple of the next power of two, so each cut is aligned by itself.
    """
    while begin < end:
        height = (end - begin).bit_length() - 1
        yield height, begin >> height
        begin += 1 << height


def _place(size: int, height: int, index: int) -> tuple[Tile, slice]:
    """Say in which tile of a tree of this size the hashes below a full subtree stand, and which of them they are."""
    level, above = divmod(height, _TILE_HEIGHT)
    n, offset = divmod(index << above, TILE_WIDTH)
    return (level, n, width_at(size, level, n)), slice(offset, offset + (1 << above))


class _Hashes:
    """The hashes of a tree of one size, from tiles, each read once."""

    def __init__(self, size: int, read_tile: ReadTile) -> None:
        if not callable(read_tile):
            raise Malformed("read_tile must be a function of a level, an index and a width")
        self._size = size
        self._read_tile = read_tile
        self._tiles: dict[Tile, list[bytes]] = {}

    def of(self, span: Range) -> bytes:
        """Return the root over the leaves of one range."""
        return joined_peaks([self._full_subtree(height, index) for height, index in _full_subtrees(*span)])

    def _full_subtree(self, height: int, index: int) -> bytes:
        tile, part = _place(self._size, height, index)
        level = self._tile(tile)[part]
        while len(level) > 1:
            level = [node_hash(level[at], level[at + 1]) for at in range(0, len(level), 2)]
        return level[0]

    def _tile(self, tile: Tile) -> list[bytes]:
        if tile not in self._tiles:
            raw = self._read_tile(*tile)
            if not isinstance(raw, bytes) or len(raw) != tile[2] * 32:
                raise Malformed(f"tile {tile[1]} of level {tile[0]} must have {tile[2] * 32:,} bytes")
            self._tiles[tile] = [raw[at : at + 32] for at in range(0, len(raw), 32)]
        return self._tiles[tile]
