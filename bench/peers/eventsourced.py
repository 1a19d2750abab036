"""A peer: the Python library `eventsourcing`, used as its documentation shows. It is no dependency of the product.

One aggregate event a save, on SQLite or on PostgreSQL. On PostgreSQL it numbers events by a sequence. In its
default mode each save locks the whole table, so that numbers come in the order of commits; with
`POSTGRES_ENABLE_DB_FUNCTIONS` a save is one call of a function of the database, which takes no such lock.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from eventsourcing.projection import ApplicationSubscription

from bench.processes import Saved, in_threads

_PAGE: Final = 1_000


class Stated(Aggregate):
    """A claim as the peer would have it: what was said about it, each time as one event."""

    @event("Denied")
    def deny(self, source: str, via: str, origin: str, quote: str, when: str) -> None:
        """Record a denial, with as many words as ours has."""
        self.last = source


def on_sqlite(path: str) -> Mapping[str, str]:
    """Return the settings for a database of its own on SQLite, as durable as ours by its own default."""
    return {"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": path, "SQLITE_LOCK_TIMEOUT": "60"}


def on_postgres(database: str, schema: str, *, functions: bool) -> Mapping[str, str]:
    """Return the settings for a schema that is there, in one of the two modes."""
    parts = urlsplit(database)
    return {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_HOST": parts.hostname or "",
        "POSTGRES_PORT": str(parts.port),
        "POSTGRES_DBNAME": parts.path.removeprefix("/"),
        "POSTGRES_USER": parts.username or "",
        "POSTGRES_PASSWORD": parts.password or "",
        "POSTGRES_SCHEMA": schema,
        "POSTGRES_ENABLE_DB_FUNCTIONS": "y" if functions else "n",
        "POSTGRES_POOL_SIZE": "16",
        "POSTGRES_MAX_OVERFLOW": "16",
        "POSTGRES_CONNECT_TIMEOUT": "60",
    }


def make(settings: Mapping[str, str]) -> Mapping[str, str]:
    """Make the tables; return settings for the processes that use them, which at once would fail to make them."""
    with opened(settings):
        return {**settings, "CREATE_TABLE": "n"}


@contextmanager
def opened(settings: Mapping[str, str]) -> Iterator[Application[UUID]]:
    """Run an application, making its tables unless they are made."""
    application: Application[UUID] = Application(env=dict(settings))
    try:
        yield application
    finally:
        application.close()


def save(application: Application[UUID], times: int, taken: list[float] | None = None) -> None:
    """Record as many events, one a save, the first of which makes the aggregate."""
    claim = Stated()
    for number in range(times):
        begun = time.perf_counter()
        if number:
            claim.deny("Mark Esper", "Reuters", "Mark Esper", "The United States has no plans", "2020-01-06")
        application.save(claim)
        if taken is not None:
            taken.append((time.perf_counter() - begun) * 1e3)


def saves(settings: Mapping[str, str], callers: int, count: int) -> Saved:
    """Save `count` events from as many threads."""
    with opened(settings) as application:
        return in_threads(lambda times, taken: save(application, times, taken), callers, count)


@contextmanager
def subscribed(application: Application[UUID], after: int, seconds: float) -> Iterator[Iterator[int]]:
    """Subscribe to the application after a position, for so many seconds: positions, as they come."""
    with ApplicationSubscription(application, gt=after) as subscription:
        timer = threading.Timer(seconds, subscription.stop)
        timer.start()
        try:
            yield (tracking.notification_id for _, tracking in subscription)
        finally:
            timer.cancel()


def positions(settings: Mapping[str, str]) -> list[int]:
    """Read the positions of all that was recorded."""
    found: list[int] = []
    with opened(settings) as application:
        while page := application.recorder.select_notifications(
            found[-1] if found else None, _PAGE, inclusive_of_start=False
        ):
            found += [notification.id for notification in page]
    return found
