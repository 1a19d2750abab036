"""The peer of `bench/log.py`: the Python library `eventsourcing` on SQLite, one aggregate event a save.

Needs `pip install eventsourcing`; it is no dependency of the product.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event


class Stated(Aggregate):
    """A claim as the peer would have it: what was said about it, each time as one event."""

    @event("Denied")
    def deny(self, source: str, via: str, origin: str, quote: str, when: str) -> None:
        """Record a denial, with as many words as ours has."""
        self.last = source


def saves(folder: Path, callers: int, count: int) -> float:
    """Save aggregate events from as many threads; return saves a second."""
    environment = {
        "PERSISTENCE_MODULE": "eventsourcing.sqlite",
        "SQLITE_DBNAME": str(folder / f"peer{callers}.db"),
        "SQLITE_LOCK_TIMEOUT": "60",
    }
    application: Application = Application(env=environment)
    claims = [Stated() for _ in range(callers)]
    application.save(*claims)

    def save(claim: Stated, times: int) -> None:
        for _ in range(times):
            claim.deny("Mark Esper", "Reuters", "Mark Esper", "The United States has no plans", "2020-01-06")
            application.save(claim)

    threads = [threading.Thread(target=save, args=(claim, count // callers)) for claim in claims]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - begun
    application.close()
    return (count // callers) * callers / seconds
