"""What is sealed of a log, as anyone who has the log and its tiles reads it: the checkpoint, tiles, leaves and proofs.

The process that seals keeps the right edge of the tree in memory and hands it over; any other computes it from the
tiles when the checkpoint has moved. A partial tile is a part of the edge, or the beginning of a tile that has become
full since.

A full tile is checked against the one above it before it is used, up to the edge, whose root is the checkpoint's. One
that is missing, or is not what was sealed, is computed again, at last from nothing but the log; where that differs as
well, the log was changed, and the error says where.

A read stays with the edge that it began with, whoever seals meanwhile. An edge only grows, so it has all that an older
seal covers.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import Final

from anyio import to_thread

from events.edge import FULL, HASH, Edge, is_full, tile_root
from events.errors import Busy, Damaged, ForeignCursor
from events.log import Log
from events.tiles import CHECKPOINT, VKEY, Tiles
from events.tlog import (
    TILE_WIDTH,
    TlogError,
    entry_bundle,
    leaf_hash,
    open_note,
    parse_head,
    prove_inclusion,
    tile_path,
    tiles_needed,
    verify_inclusion,
    width_at,
)

_FullTile = Callable[[int, int], Awaitable[bytes]]

HELD: Final = 256
"""How many full tiles are kept in memory: two megabytes."""

NEAR: Final = 4_096
"""How many leaves a reader takes from the log to go on to the next seal; beyond that it reads tiles."""

LOOK: Final = 0.1
"""Seconds between two looks at a checkpoint that another process signs: nobody tells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """A checkpoint that was signed: the signed note, and what it says."""

    note: bytes
    name: str
    size: int
    root: bytes

    @classmethod
    def read(cls, note: bytes, vkeys: Sequence[str]) -> Seal:
        """Read a checkpoint that one of these keys has signed. Raises `TlogError`."""
        text, _ = open_note(note, list(vkeys))
        head = parse_head(text)
        return cls(note=note, name=head.origin, size=head.size, root=head.root)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inclusion:
    """The proof that a leaf stands at an index of the sealed tree."""

    index: int
    leaf: bytes
    proof: list[bytes]


@dataclass(frozen=True, slots=True)
class _Tree:
    """A tree as far as it is known here: its edge, full tiles that are not kept yet, and some that were checked."""

    edge: Edge
    pending: dict[tuple[int, int], bytes] = field(default_factory=dict)
    held: OrderedDict[tuple[int, int], bytes] = field(default_factory=OrderedDict)

    def hold(self, level: int, n: int, tile: bytes) -> None:
        """Have a tile at hand that is what the tree says, and let another go that was long not asked for."""
        self.held[level, n] = tile
        if len(self.held) > HELD:
            self.held.popitem(last=False)


class Sealed:
    """What is sealed of a log. For one event loop."""

    def __init__(self, log: Log, tiles: Tiles) -> None:
        self.tiles = tiles
        self._log = log
        self._seal: Seal | None = None
        self._tree = _Tree(Edge())
        self.here = False  # whether this process seals, and tells each seal by `advance`
        self._moved = asyncio.Event()  # replaced at each seal, so that everyone who waits wakes once
        self._loading = asyncio.Lock()

    # --- told by whoever seals in this process -------------------------------------------------------

    def follow(self, edge: Edge, pending: dict[tuple[int, int], bytes]) -> None:
        """Read partial tiles from this edge, and tiles that are not kept yet from `pending`, both as they grow.

        Nothing counts as sealed until `advance` says so.
        """
        self.here = True
        self._tree, self._seal = _Tree(edge, pending), None

    def advance(self, seal: Seal) -> None:
        """Serve this checkpoint from now on, and wake whoever waits for it."""
        self._seal = seal
        self._wake()

    def leave(self) -> None:
        """Look for the checkpoints of another process from now on, as does whoever waits for one."""
        self.here = False
        self._tree, self._seal = _Tree(Edge()), None
        self._wake()

    def _wake(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()

    @property
    def sealing(self) -> bool:
        """Whether this process seals, and has checked what was signed before."""
        return self.here and self._seal is not None

    # --- read ------------------------------------------------------------------------------------------

    async def seal(self) -> Seal | None:
        """Return the last seal, `None` where there is none that can be read.

        Raises what reading tiles and log does, and `Damaged` where they don't give the root that was signed.
        """
        if not self.here:
            async with self._loading:
                await self._look()
        return self._seal

    async def vkeys(self) -> tuple[str, ...]:
        """Return the public keys that are published for this log, oldest first. Whoever audits compares them with
        keys that reached him in another way."""
        kept = await self.tiles.read(VKEY)
        return tuple((kept or b"").decode(errors="replace").split())

    async def reached(self, position: int, within: float) -> Seal | None:
        """Wait some seconds until a seal covers a position; return it, `None` where none does by then."""
        try:
            async with asyncio.timeout(within):
                while (seal := await self.seal()) is None or seal.size < position:
                    moved = self._moved
                    if self.here:
                        await moved.wait()
                    else:
                        await asyncio.sleep(LOOK)
                return seal
        except TimeoutError:
            return None

    async def tile(self, level: int, n: int, width: int) -> bytes | None:
        """Return a tile of so many hashes, `None` where the sealed tree has no such tile.

        Raises as `seal` does, and `Damaged` where the log is no longer what was sealed.
        """
        seal = await self.seal()
        if seal is None or not 0 < width <= width_at(seal.size, level, n):
            return None
        return await self._hashes(self._tree, level, n, width)

    async def entries(self, n: int, width: int) -> bytes | None:
        """Return a bundle of leaves (C2SP tlog-tiles), `None` where the sealed tree has no such bundle.

        Raises as `tile` does.
        """
        hashes = await self.tile(0, n, width)
        if hashes is None:
            return None
        leaves = await self._leaves(n * TILE_WIDTH, n * TILE_WIDTH + width)
        for index, leaf in enumerate(leaves):
            if leaf_hash(leaf) != hashes[index * HASH : (index + 1) * HASH]:
                raise _changed(n * TILE_WIDTH + index + 1)
        return entry_bundle(leaves)

    async def inclusions(self, seal: Seal, positions: Sequence[int]) -> list[Inclusion]:
        """Return the proofs that the events at these positions are in the tree of a seal, each verified.

        The seal must cover them. Raises as `tile` does, and `Busy` where sealing passes to another process meanwhile.
        """
        if self._tree.edge.size < seal.size:  # this process doesn't seal any more
            await self.seal()
        tree = self._tree
        needed = {tile for position in positions for tile in tiles_needed(seal.size, index=position - 1)}
        tiles = {(level, n): await self._hashes(tree, level, n, width) for level, n, width in sorted(needed)}
        leaves = [(await self._leaves(position - 1, position))[0] for position in positions]

        def prove() -> list[Inclusion]:
            return [
                _included(seal, position - 1, leaf, tiles) for position, leaf in zip(positions, leaves, strict=True)
            ]

        return prove() if len(positions) == 1 else await to_thread.run_sync(prove)

    # --- hashes ----------------------------------------------------------------------------------------

    async def hashes(self, level: int, n: int, width: int) -> bytes:
        """Return the first hashes of a tile of the tree whose edge is held here, sealed or not.

        Raises `Damaged` where neither the kept tile nor the log gives what the edge says, and `Busy` where the edge
        doesn't reach so far, because sealing has passed to another process.
        """
        return await self._hashes(self._tree, level, n, width)

    async def _hashes(self, tree: _Tree, level: int, n: int, width: int) -> bytes:
        if is_full(tree.edge.size, level, n):
            return (await self._full(tree, level, n))[: width * HASH]
        held = tree.edge.partial(level, n, width)
        if held is None:
            raise Busy("sealing has just passed to another process: ask again")
        return held

    async def _full(self, tree: _Tree, level: int, n: int) -> bytes:
        """Return a full tile that is what the tile above it says."""
        if (held := tree.held.get((level, n))) is not None:
            tree.held.move_to_end((level, n))
            return held
        tile = tree.pending.get((level, n)) or await self.tiles.read(tile_path(level, n))
        above = (await self._hashes(tree, level + 1, n // TILE_WIDTH, n % TILE_WIDTH + 1))[-HASH:]
        if tile is None or len(tile) != FULL or tile_root(tile) != above:
            tile = await self._again(level, n, above)
            if self.here and tree is self._tree:
                tree.pending[level, n] = tile  # it is kept again with the next ones
        tree.hold(level, n, tile)
        return tile

    async def _again(self, level: int, n: int, above: bytes) -> bytes:
        """Compute a full tile that is not kept as it was sealed. Raises `Damaged` where the log doesn't give it."""
        for below in (self._kept, self._computed) if level else (self._computed,):
            tile = await self._computed(level, n, below)
            if tile_root(tile) == above:
                return tile
        raise _changed_within(level, n)

    async def _computed(self, level: int, n: int, below: _FullTile | None = None) -> bytes:
        """Compute a full tile from those below it, as `below` gives them: by default from nothing but the log."""
        if level == 0:
            return b"".join(await self.leaf_hashes(n * TILE_WIDTH, (n + 1) * TILE_WIDTH))
        full = below or self._computed
        children = range(n * TILE_WIDTH, (n + 1) * TILE_WIDTH)
        return b"".join([tile_root(await full(level - 1, child)) for child in children])

    async def _kept(self, level: int, n: int) -> bytes:
        """Return a full tile as it is kept, computed where it isn't; checked against nothing."""
        tile = await self.tiles.read(tile_path(level, n))
        return tile if tile is not None and len(tile) == FULL else await self._computed(level, n, self._kept)

    # --- the edge, where another process seals -----------------------------------------------------------

    async def _look(self) -> None:
        """Take the checkpoint that is kept, and the edge that belongs to it."""
        note = await self.tiles.read(CHECKPOINT)
        if note is None or (self._seal is not None and note == self._seal.note):
            return
        try:
            seal = Seal.read(note, await self.vkeys())
        except TlogError:
            return  # torn by a crash: whoever seals puts a whole one there
        edge = await self._edge_of(seal)
        if self.here:  # this process has begun to seal meanwhile
            return
        self._tree = _Tree(edge)
        self.advance(seal)

    async def _edge_of(self, seal: Seal) -> Edge:
        """Return the edge of a sealed tree: the one that is held grown, or else that of the tiles as they are kept,
        or else what the log alone gives. Raises `Damaged` where none of them has the root that was signed."""
        held = self._tree.edge
        if 0 <= seal.size - held.size <= NEAR:
            edge = held.grown(await self.leaf_hashes(held.size, seal.size))
            if edge.root() == seal.root:
                return edge
        for full_tile in (self._kept, self._computed):
            edge = await Edge.load(seal.size, self.leaf_hashes, full_tile)
            if edge.root() == seal.root:
                return edge
        raise Damaged(
            None, f"the tiles in {self.tiles.place} and the log don't give the root that was signed at {seal.size}"
        )

    async def leaf_hashes(self, begin: int, end: int) -> list[bytes]:
        """Return the hashes of the log's own leaves from an index on. Raises `Damaged` where it has fewer."""
        return [leaf_hash(leaf) for leaf in await self._leaves(begin, end)]

    async def _leaves(self, begin: int, end: int) -> list[bytes]:
        leaves: list[bytes] = []
        if begin < end:
            with suppress(ForeignCursor):  # the log ends before what is looked for
                async with aclosing(self._log.read_all(after=begin, upto=end, texts=False)) as pages:  # type: ignore[type-var]  # a generator
                    leaves = [event.leaf_raw async for page in pages for event in page]
        if len(leaves) != end - begin:
            raise Damaged(begin + len(leaves) + 1, "it was sealed, and the log has lost it")
        return leaves


def _included(seal: Seal, index: int, leaf: bytes, tiles: Mapping[tuple[int, int], bytes]) -> Inclusion:
    proof = prove_inclusion(index, seal.size, lambda level, n, width: tiles[level, n][: width * HASH])
    try:
        verify_inclusion(index, seal.size, leaf_hash(leaf), proof, seal.root)
    except TlogError as error:
        raise _changed(index + 1) from error
    return Inclusion(index=index, leaf=leaf, proof=proof)


def _changed_within(level: int, n: int) -> Damaged:
    span = TILE_WIDTH ** (level + 1)
    first = n * span + 1
    return Damaged(first, f"of the events from here to {first + span - 1} one is not what was sealed")


def _changed(position: int) -> Damaged:
    return Damaged(position, "the leaf is not the one that was sealed")
