"""Where things are built: a log and everything that works on it, put together once per process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from events.evidence import Snapshots
from events.log import Log
from events.open import database_of, evidence_of, open_log, tiles_of
from events.sealed import Sealed
from verifier.adopted import Adopted
from verifier.attesting import Attester
from verifier.feed import Feed
from verifier.fold import Folds
from verifier.garbage import Cache
from verifier.handler import Handler
from verifier.handler.deciding import Decider
from verifier.handler.queues import Queues
from verifier.handler.registrar import Registrar
from verifier.handler.together import Together
from verifier.handler.whatif import WhatIf
from verifier.meters import MeteredLog, Meters
from verifier.projections import Views
from verifier.projections.sqlite import SqlitePlace
from verifier.queries import Queries
from verifier.rebuilding import Rebuilding
from verifier.registry import Registry
from verifier.sealing import Sealing, Signing
from verifier.sources import Sources
from verifier.stories import Stories
from verifier.tailer import Tailer
from verifier.webhooks.office import Office
from verifier.webhooks.opening import outbox_of, webhooks_place
from verifier.webhooks.sender import Sender, Sending


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """A log with its views, open in this process: what the HTTP API and the embedded client both speak to."""

    log: Log
    evidence: Snapshots
    adopted: Adopted
    views: Views
    queries: Queries
    feed: Feed
    handler: Handler
    together: Together
    registrar: Registrar
    what_if: WhatIf
    rebuilding: Rebuilding
    attester: Attester
    sealing: Sealing
    webhooks: Office
    meters: Meters
    caches: Sequence[Cache]
    """What holds claims in memory."""
    tailer: Tailer | None
    """What hears of other processes' facts, where several may write the log."""


class Follower(Protocol):
    """What follows the log for as long as it runs."""

    async def run(self) -> None:
        """Follow until cancelled, or until the log is closed."""
        ...


@asynccontextmanager
async def open_desk(
    url: str,
    *,
    read_only: bool = False,
    create: bool = True,
    signing: Signing | None = None,
    sending: Sending | None = None,
) -> AsyncIterator[Desk]:
    """Open a log for writing, follow it with the views, and close both at the end.

    A log that doesn't exist is made, or refused without `create`. With `read_only` the log is only read, by as
    many as like, and the views are folded in memory first; one that doesn't exist is refused. A log on SQLite is
    written by one process: raises `events.errors.LogInUse` where another one does. One on PostgreSQL is written by
    as many as like, and one of them keeps the views for all. With `signing` it is sealed, where there is a key for it;
    with `sending` its webhooks are sent.
    """
    make: Literal["new"] | None = "new" if create and not read_only else None
    async with await open_log(url, writable=not read_only, create=make) as log:
        tiles = tiles_of(url)
        sealing = Sealing(log, Sealed(log, tiles), signing)  # first, because a key may be refused
        tailer = await Tailer.open(log) if several(url) and not read_only else None
        adopted = await Adopted.read(log)
        if tailer is not None:
            views = await _views_in_turns(url, log, adopted, tailer)
        else:
            views = await Views.open(SqlitePlace(None if read_only else views_place(url)), log, adopted)
        if read_only:
            await views.catch_up()
        feed, rebuilding = Feed(log, views), Rebuilding(views)
        outbox = outbox_of(url, log.id, file=webhooks_place(file_of(url)))
        sender = None if sending is None else Sender(log, views, outbox, sending)
        desk = assemble(
            log,
            views,
            adopted,
            feed=feed,
            rebuilding=rebuilding,
            sealing=sealing,
            webhooks=Office(log, outbox, sender, (sending or Sending()).clock),
            evidence=evidence_of(url),
            tailer=tailer,
        )
        if tailer is not None:
            tailer.tell(desk.registrar.registry.learn)
            tailer.tell(desk.queries.hear)
        beside = [follower for follower in (tailer, sender) if follower is not None]
        followers: list[Follower] = [views, feed, desk.sealing, *beside]
        following = [asyncio.create_task(follower.run(), name=type(follower).__name__) for follower in followers]
        try:
            yield desk
        finally:
            feed.stop()
            await rebuilding.close()
            for task in following:
                task.cancel()
            await asyncio.gather(*following, return_exceptions=True)
            await sealing.close()
            await tiles.close()
            await outbox.close()
            await views.close()


def assemble(
    log: Log,
    views: Views,
    adopted: Adopted,
    *,
    feed: Feed,
    rebuilding: Rebuilding,
    sealing: Sealing,
    webhooks: Office,
    evidence: Snapshots,
    tailer: Tailer | None = None,
) -> Desk:
    """Put together what works on an open log and its views. Opens and starts nothing."""
    queries = Queries(log, views, adopted, tailer)
    registry = Registry(log, Sources(log), Stories(log), adopted)
    folds, queues = Folds(log), Queues()
    decider = Decider(log, evidence=evidence, adopted=adopted, folds=folds, registry=registry)
    meters = Meters()
    written = MeteredLog(log, meters)
    handler = Handler(
        written,
        adopted=adopted,
        registry=registry,
        folds=folds,
        decider=decider,
        queues=queues,
        find_claim=queries.find_claim,
    )
    registrar = Registrar(
        written,
        registry=registry,
        folds=folds,
        decider=decider,
        queues=queues,
        claims_of_story=queries.claim_ids_of_story,
    )
    return Desk(
        log=log,
        evidence=evidence,
        adopted=adopted,
        views=views,
        queries=queries,
        feed=feed,
        handler=handler,
        together=Together(written, handler, registry=registry, folds=folds, decider=decider, queues=queues),
        registrar=registrar,
        what_if=WhatIf(log, adopted=adopted, decider=decider),
        rebuilding=rebuilding,
        attester=Attester(log, views, adopted),
        sealing=sealing,
        webhooks=webhooks,
        meters=meters,
        caches=(views, folds, queries),  # the views wait for the end of a rebuild
        tailer=tailer,
    )


async def _views_in_turns(url: str, log: Log, adopted: Adopted, tailer: Tailer) -> Views:
    """Open views that several processes have open."""
    from verifier.projections.postgres import PostgresPlace  # here, because the driver is an extra
    from verifier.projections.turns import Turns

    database = database_of(url)
    place = PostgresPlace(database.dsn, database.schema)
    return await Views.open(place, log, adopted, turns=Turns(place, tailer))


def several(url: str) -> bool:
    """Say whether several processes may write a log at the same time."""
    return url.startswith("postgresql:")


def file_of(url: str) -> Path | None:
    """Return where a log's file is, or `None` for one in memory."""
    _, _, path = url.partition("sqlite:///")
    return Path(path) if path else None


def views_place(url: str) -> Path | None:
    """Return where the views of a log are: beside it, in a file that may be deleted while no process has it open."""
    path = file_of(url)
    return path.with_suffix(".views.db") if path else None
