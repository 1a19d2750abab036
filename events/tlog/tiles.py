"""The static files of a log: tiles of hashes and bundles of entries (C2SP tlog-tiles).

A tile of level 0 holds leaf hashes; a tile of level L holds the roots of full tiles of level L - 1. A full tile
holds 256. The rightmost of each level may be partial: its *width* is how many hashes it holds.
"""

from __future__ import annotations

import re
from typing import Final

from events.tlog.errors import Malformed
from events.tlog.reading import count, iterated

TILE_WIDTH: Final = 256
"""How many hashes a full tile holds, and how many entries a full bundle."""

MAX_LEVEL: Final = 63
"""The highest level that a path may name."""

MAX_ENTRY: Final = 65_535
"""The most bytes of an entry: its length is written in 16 bits."""

ENTRIES: Final = "entries"
"""What stands in a path in place of the level for a bundle of entries."""

_PATH: Final = re.compile(
    r"tile/(?P<level>entries|[0-9]{1,2})/(?P<n>(?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/(?P<width>[0-9]{1,3}))?"
)


def tile_path(level: int | str, n: int, width: int = TILE_WIDTH) -> str:
    """Return the path of a tile below the log's prefix, such as `tile/0/x001/234.p/17`.

    `level` is a number from 0 to 63, or `"entries"` for a bundle of entries. `n` counts from 0. A width of 256 is
    a full tile and leaves no trace in the path. Raises `Malformed` where there is no such tile.
    """
    if isinstance(level, str):
        if level != ENTRIES:
            raise Malformed(f"the level of a tile must be a number or 'entries', not {level[:20]!r}")
    elif count(level, "the level of a tile") > MAX_LEVEL:
        raise Malformed(f"the level of a tile must be at most {MAX_LEVEL}")
    if not 1 <= count(width, "the width of a tile") <= TILE_WIDTH:
        raise Malformed(f"the width of a tile must be from 1 to {TILE_WIDTH}")
    first, *others = _thousands(count(n, "the index of a tile"))
    path = "".join([f"tile/{level}/", *(f"x{part:03}/" for part in reversed(others)), f"{first:03}"])
    return path if width == TILE_WIDTH else f"{path}.p/{width}"


def _thousands(n: int) -> list[int]:
    parts = [n % 1000]
    while n := n // 1000:
        parts.append(n % 1000)
    return parts


def parse_tile_path(path: str) -> tuple[int | str, int, int]:
    """Read the path of a tile: its level (a number, or `"entries"`), its index, and its width, 256 for a full one.

    The inverse of `tile_path`: what it would write otherwise is refused, such as zeroes too many or `.p/256`.
    Raises `Malformed`.
    """
    if not isinstance(path, str):
        raise Malformed(f"the path of a tile must be a text, not {type(path).__name__}")
    match = _PATH.fullmatch(path)
    if match is None:
        raise Malformed(f"not the path of a tile: {path[:80]!r}")
    level = match["level"] if match["level"] == ENTRIES else int(match["level"])
    n = int(match["n"].replace("x", "").replace("/", ""))
    width = int(match["width"] or TILE_WIDTH)
    if tile_path(level, n, width) != path:
        raise Malformed(f"not the path of a tile: {path!r}; it would be written {tile_path(level, n, width)!r}")
    return level, n, width


def width_at(size: int, level: int, n: int) -> int:
    """Return how many hashes the tile has in a tree of this size: 256 for a full one, 0 where there is none.

    Raises `Malformed` for what is not a size, a level and an index.
    """
    hashes = count(size, "a size") >> 8 * min(count(level, "a level"), MAX_LEVEL + 1)
    return max(0, min(TILE_WIDTH, hashes - count(n, "an index") * TILE_WIDTH))


def entry_bundle(leaves: object) -> bytes:
    """Return entries as a bundle: each after its length in two bytes, the high one first.

    Raises `Malformed` for no entry, more than 256, or one of more than 65,535 bytes.
    """
    parts: list[bytes] = []
    for leaf in iterated(leaves, "the entries of a bundle"):
        if not isinstance(leaf, bytes) or len(leaf) > MAX_ENTRY:
            raise Malformed(f"an entry must be bytes, at most {MAX_ENTRY:,} of them")
        if len(parts) == TILE_WIDTH:
            raise Malformed(f"a bundle has at most {TILE_WIDTH} entries")
        parts.append(len(leaf).to_bytes(2) + leaf)
    if not parts:
        raise Malformed("a bundle has at least one entry")
    return b"".join(parts)


def parse_entry_bundle(raw: bytes) -> list[bytes]:
    """Read the entries of a bundle. Raises `Malformed` where bytes are missing or left over, for no entry, and for
    more than 256."""
    if not isinstance(raw, bytes):
        raise Malformed(f"a bundle must be bytes, not {type(raw).__name__}")
    entries: list[bytes] = []
    at = 0
    while at < len(raw):
        begin = at + 2
        at = begin + int.from_bytes(raw[at:begin])
        if begin > len(raw) or at > len(raw):
            raise Malformed(f"the bundle ends within entry {len(entries)}")
        entries.append(raw[begin:at])
        if len(entries) > TILE_WIDTH:
            raise Malformed(f"a bundle has at most {TILE_WIDTH} entries")
    if not entries:
        raise Malformed("a bundle has at least one entry")
    return entries
