"""The condition of a log's storage, as `events.open.examine` finds it: also of a log that can't be opened."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What stands under a log. `url` can be shown to anyone; `version` is that of the tables (`None`: there are none),
    `needed` the one that this code works with. Versions are numbers of a fixed width, so they compare as they sort.

    `used` counts the bytes that the log takes: on SQLite its file and what SQLite keeps beside it, on PostgreSQL the
    tables of its schema, snapshots among them, with their indexes and what is not vacuumed yet. Views are not counted,
    nor a folder of snapshots. `free` is `None` where a database can't tell how much room its disk has, and
    `clock_ahead` says by how many seconds the clock that dates events is ahead of this machine's.
    """

    engine: str
    url: str
    version: str | None
    needed: str
    used: int
    free: int | None
    clock_ahead: float
