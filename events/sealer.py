"""The sealer: follows a log by its leaves, and signs how far it has come.

    the log ──▶ leaf hashes ──▶ the edge ──▶ 1. full tiles ──▶ (once a second) verify ──▶ sign
                         ──▶ 2. the second place ──▶ (cosigned by witnesses) ──▶ 3. the checkpoint beside the tiles

It never signs two histories under one name. Before each signature the last one is read again from the second place
(`events.seals`), its signature is verified, and so is the proof that the new tree continues the one that was signed.
What is behind it or doesn't continue it is refused: `SealRefused` says how to go on. Appends are never held up.

If we crash

- before 2, nothing was signed: tiles that nobody asks for yet are kept, and are kept again;
- between 2 and 3, nobody but witnesses has seen the signature yet, but it exists. At the next start the second place
  is ahead of what stands beside the tiles, and is put there;
- after 3, nothing is left to do.
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Any, Final

from anyio import to_thread

from events.edge import FULL, HASH, Edge
from events.errors import SealRefused
from events.keys import Keys
from events.log import Log, Recorded
from events.sealed import Seal, Sealed
from events.seals import Seals
from events.threads import entered, to_the_end
from events.tiles import CHECKPOINT, VKEY, Lost
from events.tlog import (
    EMPTY_ROOT,
    TILE_WIDTH,
    TlogError,
    format_head,
    leaf_hash,
    open_note,
    prove_consistency,
    split_note,
    tile_path,
    tiles_needed,
    verify_consistency,
)

EVERY: Final = 1.0
"""Seconds from one seal to the next while the log grows."""

MANY: Final = 64
"""How many full tiles wait in memory to be written, at the most: half a megabyte."""


Cosign = Callable[[bytes], Awaitable[bytes]]
"""Returns a checkpoint with the cosignatures of those who gave one in time (C2SP tlog-cosignature)."""


async def alone(note: bytes) -> bytes:
    """Return a checkpoint as it is: there are no witnesses."""
    return note


class Sealer:
    """Seals one log. `run` does it."""

    def __init__(
        self, log: Log, sealed: Sealed, seals: Seals, keys: Keys, *, every: float = EVERY, cosign: Cosign = alone
    ) -> None:
        self._log = log
        self._sealed = sealed
        self._seals = seals
        self._keys = keys
        self._every = every
        self._cosign = cosign
        self._edge = Edge()
        self._full: dict[tuple[int, int], bytes] = {}
        self._last: Seal | None = None
        self._apart: bytes | None = None  # what we know to stand in the second place
        self._signed_at = 0.0
        self._fresh = False  # whether the last seal carries a signature of every key there is now

    async def run(self, waits: Callable[[], None] | None = None) -> None:
        """Seal until cancelled, or until the log is closed. Of several processes one does, the others wait, and call
        `waits` as they do. When this returns or raises, nothing of it writes any more.

        Raises `SealRefused` where the log doesn't continue what was signed; `Busy` where the turn was lost or another
        process signs for this name, and `OSError`, after which it may be run again; and what reading the log does.
        """
        try:
            async with self._sealed.tiles.turn(waits) as lost, entered(self._seals.hold(self._keys.name)):
                await self._begin()
                await self._follow(lost)
        finally:
            # Not before the turn has ended: until we say why we stopped, nobody takes what is merely kept for ours.
            self._sealed.leave()

    # --- beginning: what was signed before ----------------------------------------------------------------

    async def _begin(self) -> None:
        """Go on from the last seal: check that tiles and log give its root, and publish it where we crashed before."""
        beside = self._opened(await self._sealed.tiles.read(CHECKPOINT), self._sealed.tiles.place, torn=True)
        self._apart = await self._signed()
        apart = self._opened(self._apart, self._second_place, torn=False)
        if apart is None:
            raise SealRefused(
                f"nothing in {self._second_place} says what was signed last as {self._keys.name}, and this log may be"
                f" an older copy: nothing is signed. {_RESUME}; where its key has never signed, move the key away, and"
                " run `verifier init` again"
            )
        # The seal of nothing, with which signing began, is no tree to go on from. Where both say the same, the one
        # beside the tiles may have cosignatures.
        seals = sorted((seal for seal in (apart, beside) if seal is not None and seal.size), key=lambda seal: seal.size)
        self._last = seals[-1] if seals else None
        self._edge = await self._edge_at(self._last) if self._last is not None else Edge()
        self._full = {}
        self._sealed.follow(self._edge, self._full)
        for older in seals[:-1]:  # both were signed, so one must continue the other
            await self._check(older, self._edge)
        await self._sealed.tiles.write({VKEY: "".join(f"{vkey}\n" for vkey in self._keys.vkeys).encode()})
        if self._last is not None:
            self._fresh = len(open_note(self._last.note, list(self._keys.vkeys))[1]) == len(self._keys.private)
            if apart.size < self._last.size:  # the second place is an older copy
                await self._keep_apart(self._last.note)
            await self._publish(self._last)

    async def _keep_apart(self, note: bytes) -> None:
        await to_the_end(self._seals.write, self._keys.name, note)
        self._apart = note

    async def _signed(self) -> bytes | None:
        return await to_thread.run_sync(self._seals.read, self._keys.name)

    def _opened(self, note: bytes | None, where: str, *, torn: bool) -> Seal | None:
        """Read a seal of ours; one beside the tiles that a crash tore is none. Raises `SealRefused` for another's."""
        if note is None:
            return None
        try:
            name = split_note(note)[0].partition("\n")[0]
        except TlogError as error:
            if torn:
                return None
            raise SealRefused(f"{where} is damaged ({error}), and nothing is signed. {_RESUME}") from error
        if name != self._keys.name:
            raise SealRefused(
                f"the key is that of {self._keys.name}, and {where} holds a seal of {name}: use that log's own key. A"
                " log doesn't change its name; one that must goes on with `verifier fork`"
            )
        try:
            return Seal.read(note, self._keys.vkeys)
        except TlogError as error:
            raise SealRefused(
                f"the last seal of {name} in {where} is not signed by its key ({error}): put back the key that signed"
                " it. Where it is lost, go on under a new name with `verifier fork`"
            ) from error

    async def _edge_at(self, seal: Seal) -> Edge:
        """Return the edge of the tree of a seal: from the tiles that are kept, or else from the whole log."""
        head = await self._log.head()
        if head < seal.size:
            raise self._behind(seal, head)
        edge = await self._from_tiles(seal.size)
        if edge is not None and edge.root() == seal.root:
            await self._compare_end(seal)
            return edge
        # Tiles were lost or damaged, or the log is another. Nothing is written before that is known: what is kept may
        # be what tells where the log was changed.
        if (root := (await self._read_again(seal.size, keep=False)).root()) != seal.root:
            raise self._other(seal, f"its first {seal.size} events have the root {_shown(root)}")
        return await self._read_again(seal.size, keep=True)

    async def _from_tiles(self, size: int) -> Edge | None:
        """Return the edge of the tree of this size, `None` where a tile that it needs is not kept."""

        async def kept(level: int, n: int) -> bytes:
            tile = await self._sealed.tiles.read(tile_path(level, n))
            if tile is None or len(tile) != FULL:
                raise _NotKept
            return tile

        try:
            return await Edge.load(size, self._sealed.leaf_hashes, kept)
        except _NotKept:
            return None

    async def _compare_end(self, seal: Seal) -> None:
        """Compare the last full tile with the log's own leaves.

        Tiles alone would pass for a log that was restored from an older copy and has grown beyond the seal since: then
        the last of its leaves that were sealed is another. Those beyond the last full tile were read from the log.
        """
        n = seal.size // TILE_WIDTH - 1
        if n < 0:
            return
        tile = await self._sealed.tiles.read(tile_path(0, n)) or b""
        for index, leaf in enumerate(await self._sealed.leaf_hashes(n * TILE_WIDTH, (n + 1) * TILE_WIDTH)):
            if leaf != tile[index * HASH : (index + 1) * HASH]:
                position = n * TILE_WIDTH + index + 1
                raise self._other(seal, f"the event at position {position} is not what was sealed")

    async def _read_again(self, size: int, *, keep: bool) -> Edge:
        """Compute the tree from the leaves of the log."""
        edge = Edge()
        async with aclosing(self._log.read_all(upto=size, texts=False)) as pages:  # type: ignore[type-var]  # a generator
            async for page in pages:
                full = edge.add(leaf_hash(event.leaf_raw) for event in page)
                if keep and full:
                    await self._keep(full)
        return edge

    # --- following ------------------------------------------------------------------------------------------

    async def _follow(self, lost: Lost) -> None:
        """Take leaves as they come; sign at once after a quiet time, and else when the last seal is old enough.

        Raises `Busy` once the turn is lost: another process may have it, and waits for us to let go of the name.
        """
        loop = asyncio.get_running_loop()
        async with aclosing(self._log.subscribe(after=self._edge.size)) as pages:  # type: ignore[type-var]  # a generator
            coming = asyncio.ensure_future(_next(pages))
            try:
                while True:
                    left = self._signed_at + self._every - loop.time() if self._unsealed else None
                    if left is None or left > 0:
                        awaited: set[asyncio.Future[Any]] = {coming, lost}
                        await asyncio.wait(awaited, timeout=left, return_when=asyncio.FIRST_COMPLETED)
                    if lost.done():
                        raise lost.result()
                    if coming.done():
                        page = coming.result()
                        if page is None:
                            return
                        await self._take(page)
                        coming = asyncio.ensure_future(_next(pages))
                    if self._unsealed and loop.time() >= self._signed_at + self._every:
                        await self._sign()
                        self._signed_at = loop.time()
            finally:
                coming.cancel()
                await asyncio.wait({coming})

    @property
    def _unsealed(self) -> bool:
        if self._last is None:
            return self._edge.size > 0
        return not self._fresh or self._edge.size > self._last.size

    async def _take(self, page: Sequence[Recorded]) -> None:
        """Hash a page of leaves: about two microseconds each, so a page doesn't hold the event loop up."""
        self._full |= self._edge.add([leaf_hash(event.leaf_raw) for event in page])
        if len(self._full) >= MANY:
            await self._keep_full()

    async def _keep_full(self) -> None:
        written = dict(self._full)
        await self._keep(written)
        for tile in written:  # and no other: whoever reads may have added some meanwhile
            del self._full[tile]

    async def _keep(self, full: dict[tuple[int, int], bytes]) -> None:
        await self._sealed.tiles.write({tile_path(level, n): tile for (level, n), tile in full.items()})

    # --- signing ----------------------------------------------------------------------------------------------

    async def _sign(self) -> None:
        """Verify, sign, and put the seal in both places."""
        if self._full:
            await self._keep_full()
        if await self._signed() != self._apart:
            raise SealRefused(
                f"the seal in {self._second_place} is not the one that was put there last: somebody else signs for"
                f" {self._keys.name}. See that only one log has its key, and start again"
            )
        if self._last is not None:
            await self._check(self._last, self._edge)
        size, root = self._edge.size, self._edge.root()
        note = await to_thread.run_sync(self._keys.sign, format_head(self._keys.name, size, root))
        await self._keep_apart(note)
        note = await self._cosign(note)
        await self._publish(Seal(note=note, name=self._keys.name, size=size, root=root))
        self._fresh = True

    async def _check(self, old: Seal, edge: Edge) -> None:
        """Check that a seal is ours and that a tree continues it. Raises `SealRefused`."""
        needed = tiles_needed(edge.size, old_size=old.size)
        tiles = {(level, n): await self._sealed.hashes(level, n, width) for level, n, width in needed}
        root = edge.root() if edge.size else EMPTY_ROOT

        def verify() -> None:
            Seal.read(old.note, self._keys.vkeys)
            proof = prove_consistency(old.size, edge.size, lambda level, n, width: tiles[level, n])
            verify_consistency(old.size, edge.size, proof, old.root, root)

        try:
            await to_thread.run_sync(verify)
        except TlogError as error:
            raise self._other(
                old, f"the tree of {edge.size} events with root {_shown(root)} doesn't: {error}"
            ) from error

    async def _publish(self, seal: Seal) -> None:
        """Put a seal that stands in the second place beside the tiles."""
        await self._sealed.tiles.write({CHECKPOINT: seal.note})
        self._last = seal
        self._sealed.advance(seal)

    # --- refusing -----------------------------------------------------------------------------------------------

    @property
    def _second_place(self) -> str:
        return str(self._seals.path(self._keys.name))

    def _behind(self, seal: Seal, head: int) -> SealRefused:
        return SealRefused(
            f"this log ends at {head}, and {seal.size} events of {seal.name} were sealed, with the root"
            f" {_shown(seal.root)} ({self._second_place}): what came after {head} is lost here, and nothing is"
            f" signed. {_RECOVERY}"
        )

    def _other(self, seal: Seal, what: str) -> SealRefused:
        return SealRefused(
            f"this log doesn't continue what was sealed as {seal.name}, {seal.size} events with the root"
            f" {_shown(seal.root)} ({self._second_place}): {what}. Nothing is signed. {_RECOVERY}"
        )


class _NotKept(Exception):
    """A tile is not kept that should be."""


_RESUME: Final = (
    "Bring that file back, or go on from the newest checkpoint that anyone has kept, with `verifier init --resume FILE`"
)

_RECOVERY: Final = (
    "Bring back the log that was sealed, from an export or a backup that has all of it (`verifier restore`); where"
    " there is none, go on under a new name with `verifier fork OLD NEW`, whose first fact says what was sealed before"
)


def _shown(root: bytes) -> str:
    return b64encode(root).decode()


async def _next(pages: AsyncIterator[Sequence[Recorded]]) -> Sequence[Recorded] | None:
    return await anext(pages, None)
