"""Open a log by its URL. The only place that knows which engines there are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from events.errors import Invalid
from events.log import Log
from events.memory import MemoryLog
from events.sqlite import SqliteLog
from events.sqlite.owner import holder_of as holder_beside


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """The process that has a log open for writing, and where it serves it, if it does."""

    pid: int
    address: str | None


async def open_log(url: str, *, writable: bool = True, create: Literal["new", "empty"] | None = "new") -> Log:
    """Open the log at a URL: `memory:`, `sqlite:///relative.db` or `sqlite:////absolute.db`.

    `create` says what to do where there is no log yet: make a new one, make an empty one that waits to be
    restored, or, with `None`, refuse. A log that is there is opened as it is. Raises `Invalid` for a URL
    that names no log, `LogInUse`, `SchemaMismatch` or `ReadOnly` for a log that can't be opened.
    """
    scheme, _, place = url.partition(":")
    match scheme:
        case "memory" if url == "memory:" and create is not None:
            return await MemoryLog.open(create=create)
        case "sqlite" if place.startswith("///") and place.strip("/"):
            return await SqliteLog.open(place[3:], writable=writable, create=create)
        case _:
            raise Invalid(
                f"{url!r} does not name a log: use memory:, sqlite:///relative.db or sqlite:////absolute.db"
                " (PostgreSQL comes later)"
            )


def announce(log: Log, address: str) -> None:
    """Write down beside a log where it is served: another process that wants to write is told by `LogInUse`.

    A log in memory is nobody else's, and has no beside.
    """
    if isinstance(log, SqliteLog):
        log.announce(address)


def holder_of(url: str) -> Holder | None:
    """Say which living process has the log at a URL open for writing, without opening it or taking its lock."""
    scheme, _, place = url.partition(":")
    if scheme != "sqlite" or not place.startswith("///") or not place.strip("/"):
        return None
    held = holder_beside(Path(place[3:]).resolve())
    return Holder(pid=held.pid, address=held.address) if held is not None and held.pid is not None else None
