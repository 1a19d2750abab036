"""Where things are built: a log and everything that works on it, put together once per process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from events.evidence import Evidence, MemoryEvidence, Snapshots
from events.log import Log
from events.open import open_log
from verifier.adopted import Adopted
from verifier.feed import Feed
from verifier.fold import Folds
from verifier.handler import Handler
from verifier.handler.deciding import Decider
from verifier.handler.queues import Queues
from verifier.handler.registrar import Registrar
from verifier.projections import Views
from verifier.queries import Queries
from verifier.rebuilding import Rebuilding
from verifier.registry import Registry
from verifier.sources import Sources
from verifier.stories import Stories


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
    registrar: Registrar
    rebuilding: Rebuilding


@asynccontextmanager
async def open_desk(url: str, *, read_only: bool = False) -> AsyncIterator[Desk]:
    """Open a log for writing, follow it with the views, and close both at the end.

    A log that doesn't exist is made. With `read_only` the log is only read, by as many as like, and the views
    are folded in memory first; one that doesn't exist is refused. Raises `events.errors.LogInUse` where
    another process writes it.
    """
    async with await open_log(url, writable=not read_only, create=None if read_only else "new") as log:
        adopted = await Adopted.read(log)
        views = await Views.open(None if read_only else views_place(url), log, adopted)
        if read_only:
            await views.catch_up()
        feed, rebuilding = Feed(log, views), Rebuilding(views)
        following = [asyncio.create_task(follower.run(), name=type(follower).__name__) for follower in (views, feed)]
        try:
            yield assemble(log, views, adopted, feed=feed, rebuilding=rebuilding, evidence=evidence_of(url))
        finally:
            feed.stop()
            await rebuilding.close()
            for task in following:
                task.cancel()
            await asyncio.gather(*following, return_exceptions=True)
            await views.close()


def assemble(
    log: Log, views: Views, adopted: Adopted, *, feed: Feed, rebuilding: Rebuilding, evidence: Snapshots
) -> Desk:
    """Put together what works on an open log and its views. Opens and starts nothing."""
    queries = Queries(log, views, adopted)
    registry = Registry(log, Sources(log), Stories(log), adopted)
    folds, queues = Folds(log), Queues()
    decider = Decider(log, evidence=evidence, adopted=adopted, folds=folds, registry=registry)
    handler = Handler(
        log,
        adopted=adopted,
        registry=registry,
        folds=folds,
        decider=decider,
        queues=queues,
        find_claim=queries.find_claim,
    )
    registrar = Registrar(
        log,
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
        registrar=registrar,
        rebuilding=rebuilding,
    )


def file_of(url: str) -> Path | None:
    """Return where a log's file is, or `None` for one in memory."""
    _, _, path = url.partition("sqlite:///")
    return Path(path) if path else None


def views_place(url: str) -> Path | None:
    """Return where the views of a log are: beside it, in a file that may be deleted at any time."""
    path = file_of(url)
    return path.with_suffix(".views.db") if path else None


def evidence_of(url: str) -> Snapshots:
    """Return where the bytes of snapshots are kept: a folder beside the log."""
    path = file_of(url)
    return Evidence(path.with_suffix(".evidence")) if path else MemoryEvidence()
