"""One generation of the views: takes pages of events and writes what they come to, with the checkpoint.

Rows and checkpoint are written in one transaction, and only where the checkpoint is still the one that we
started from: of two owners, the second is told (`Overtaken`) and starts again from where the first got.
After a crash, or a caller cancelled at any point, the rows are exactly those of the checkpoint.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from operator import attrgetter
from typing import Final

from sqlalchemy import Connection, delete, exists, select, update

from events.contracts import ClaimRegistered, PolicyAdopted, TextErased
from events.errors import Damaged
from events.log import Log, Recorded
from verifier.adopted import Adopted
from verifier.fold import CACHED, Folded, fold
from verifier.projections.database import Database
from verifier.projections.rows import Batch, Followed, mention, take_source, take_story
from verifier.slices import in_slices
from verifier.tables import TableSet, views

READ_AT_ONCE: Final = 16
"""How many claims that fell out of the cache are read from the log at the same time."""

KNOWN: Final = 200_000
"""How many sources are remembered as having a row already."""


class Overtaken(Exception):
    """Another owner of the views has moved the checkpoint."""


class Generation:
    """The tables of one generation, as far as they have come. It may `rest` after each slice."""

    def __init__(
        self, tables: TableSet, position: int, recorded_at: str | None, *, limit: int = CACHED, rest: float = 0
    ) -> None:
        self.tables = tables
        self.position = position
        self.recorded_at = recorded_at
        self.rest = rest
        self._limit = limit
        self._claims: OrderedDict[str, Followed] = OrderedDict()
        self._held = 0
        self._known: set[str] = set()

    async def take(self, pages: Iterable[Sequence[Recorded]], log: Log, adopted: Adopted, database: Database) -> bool:
        """Take what is new in some adjacent pages of events; say whether a text was erased.

        What they come to is written at once, but for a policy that is adopted, which stands alone. Raises
        `Overtaken` where another owner has moved the checkpoint, `Damaged` where events are missing.
        """
        erased = False
        try:
            batch = Batch(self.position, self.recorded_at)
            for page in pages:
                new = page[max(0, batch.position + 1 - page[0].position) :]
                await in_slices(new, attrgetter("leaf"), rest=self.rest)  # decoded here, and kept by the event
                for run in _runs(new):
                    if run[0].position != batch.position + 1:
                        raise Damaged(run[0].position, f"we are at {batch.position}, what lies between was not read")
                    if isinstance(run[0].leaf.fact, PolicyAdopted):
                        await self._close(batch, adopted, database)
                        erased |= batch.erased
                        batch = await self._adopt(run[0], log, adopted, database)
                        await self._close(batch, adopted, database)
                        batch = Batch(self.position, self.recorded_at)
                    else:
                        await self._take_in(run, log, adopted, batch)
            await self._close(batch, adopted, database)
            return erased | batch.erased
        except BaseException:
            self.forget()  # the claims that we hold may be ahead of the rows
            raise

    def forget(self) -> None:
        """Drop everything that is remembered beside the tables."""
        self._claims.clear()
        self._known.clear()
        self._held = 0

    async def let_go(self) -> None:
        """Forget the claims, bit by bit. Not while events are taken."""
        await in_slices(list(self._claims), self._drop)

    # --- what events come to -------------------------------------------------------------------------

    async def _take_in(self, run: Sequence[Recorded], log: Log, adopted: Adopted, batch: Batch) -> None:
        """Apply a run of events, under one policy."""
        await self._load(run, log, adopted, batch)
        policy = adopted.at(run[-1].position)

        def take(event: Recorded) -> None:
            kind, _, id = event.leaf.stream.partition(":")
            match kind:
                case "claim":
                    followed = self._claims.get(id)
                    if followed is None:  # every other one was loaded, so it begins here
                        followed = self._claims[id] = Followed.new(id)
                    batch.touched[id] = followed
                    followed.take(event, policy, batch)
                case "source":
                    take_source(event, batch)
                case "story":
                    take_story(event, batch)

        await in_slices(run, take, rest=self.rest)
        batch.position, batch.recorded_at = run[-1].position, run[-1].recorded_at

    async def _close(self, batch: Batch, adopted: Adopted, database: Database) -> None:
        """Make the rows of every claim that was touched, and write them with the checkpoint."""
        if batch.position == self.position:
            return
        policy = adopted.at(batch.position)

        def finish(followed: Followed) -> None:
            followed.finish(policy, batch)
            self._keep(followed)

        for id in batch.forgotten:
            batch.touched[id].everything()
        await in_slices(batch.touched.values(), finish, rest=self.rest)
        batch.mentions -= self._known
        await database.write(partial(self._write, batch))
        self.position, self.recorded_at = batch.position, batch.recorded_at
        self._known |= batch.mentions
        self._trim()

    async def _load(self, run: Sequence[Recorded], log: Log, adopted: Adopted, batch: Batch) -> None:
        """Have every claim at hand that doesn't begin in this run, and read anew what a text was erased from."""
        begun: set[str] = set()
        missing: dict[str, None] = {}
        for event in run:
            leaf = event.leaf
            kind, _, id = leaf.stream.partition(":")
            if isinstance(leaf.fact, TextErased):
                batch.erased = True
                if kind == "claim":
                    batch.forgotten.add(id)
                    self._drop(id)
                    missing[id] = None
                else:
                    await self._read_again(event, log, batch)
            elif kind == "claim" and id not in self._claims:
                if isinstance(leaf.fact, ClaimRegistered):
                    begun.add(id)
                elif id not in begun:
                    missing[id] = None
        await self._fold(list(missing), batch.position, log, adopted)

    async def _fold(self, ids: Sequence[str], upto: int, log: Log, adopted: Adopted) -> None:
        policy = adopted.at(upto)

        def hold(folded: Folded) -> None:
            self._claims[folded.claim.id] = Followed(folded, policy)

        for start in range(0, len(ids), READ_AT_ONCE):
            some = ids[start : start + READ_AT_ONCE]
            await in_slices(await asyncio.gather(*(fold(log, id, upto=upto) for id in some)), hold, rest=self.rest)

    async def _read_again(self, erasure: Recorded, log: Log, batch: Batch) -> None:
        """Take a source's or a story's facts once more, now without the text that was erased."""
        async for page in log.read(erasure.stream, upto=erasure.position):
            for event in page:
                take_source(event, batch)
                take_story(event, batch)

    async def _adopt(self, event: Recorded, log: Log, adopted: Adopted, database: Database) -> Batch:
        """Assess every claim anew. Everything is worked out before the transaction begins."""
        adopted.learn(event)
        policy = adopted.at(event.position)
        batch = Batch(event.position, event.recorded_at)
        claims = self.tables.claims
        ids = await database.read(lambda connection: connection.scalars(select(claims.c.id)).all())

        def judge(followed: Followed) -> None:
            followed.judge(event, policy, batch)
            followed.finish(policy, batch)
            self._keep(followed)

        for start in range(0, len(ids), READ_AT_ONCE):
            some = ids[start : start + READ_AT_ONCE]
            await self._fold([id for id in some if id not in self._claims], self.position, log, adopted)
            await in_slices([self._claims[id] for id in some], judge, rest=self.rest)
            self._trim()
        return batch

    # --- the cache -----------------------------------------------------------------------------------

    def _keep(self, followed: Followed) -> None:
        self._held += followed.grown()
        self._claims.move_to_end(followed.id)

    def _drop(self, id: str) -> None:
        if (followed := self._claims.pop(id, None)) is not None:
            self._held -= followed.counted

    def _trim(self) -> None:
        while self._held > self._limit and len(self._claims) > 1:
            self._drop(next(iter(self._claims)))
        if len(self._known) > KNOWN:
            self._known.clear()

    # --- writing -------------------------------------------------------------------------------------

    def _write(self, batch: Batch, connection: Connection) -> None:
        tables = self.tables
        moved = connection.execute(
            update(views)
            .where(views.c.generation == tables.generation, views.c.position == self.position)
            .values(position=batch.position, recorded_at=batch.recorded_at)
        )
        if moved.rowcount != 1:
            raise Overtaken(f"the checkpoint of generation {tables.generation} is no longer {self.position}")
        if batch.forgotten:
            for statement in tables.forget:
                connection.execute(statement, [{"of_claim": claim} for claim in sorted(batch.forgotten)])
        for name, rows in (
            ("claims", batch.claims),
            ("changes", batch.changes),
            ("names", batch.names),
            ("source_claims", batch.sides),
            ("contradictions", batch.contradictions),
            ("alike", batch.alike),
            ("publications", batch.publications),
            ("sources", list(batch.sources.values())),
            ("mentions", [mention(source) for source in sorted(batch.mentions)]),
            ("stories", list(batch.stories.values())),
        ):
            if rows:
                connection.exec_driver_sql(tables.upserts[name], rows)
        if batch.forgotten:
            self._forget_unnamed(connection)

    def _forget_unnamed(self, connection: Connection) -> None:
        """Delete the sources that nothing names any more: an id can be guessed from a name."""
        sources, sides = self.tables.sources, self.tables.source_claims
        named = exists().where(sides.c.source == sources.c.id)
        connection.execute(delete(sources).where(~sources.c.registered, ~named))
        self._known.clear()


def _runs(page: Sequence[Recorded]) -> Iterator[Sequence[Recorded]]:
    """Divide a page so that a policy that is adopted stands alone, and one is in force in each run; and so that an
    erasure begins a run: what came before it may have been read with the text, and is read anew then."""
    start = 0
    for index, event in enumerate(page):
        adopts = isinstance(event.leaf.fact, PolicyAdopted)
        if index > start and (adopts or isinstance(event.leaf.fact, TextErased)):
            yield page[start:index]
            start = index
        if adopts:
            yield page[index : index + 1]
            start = index + 1
    if start < len(page):
        yield page[start:]
