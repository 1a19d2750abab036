"""Looks at the file of a log without opening it as one."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from events.condition import Condition
from events.errors import Damaged, Invalid
from events.sqlite.schema import VERSION, connect_reader, explain, version_of


async def examine(path: Path) -> Condition:
    """Say in what condition a log's file is. Takes no lock and writes nothing.

    Raises `Invalid` where there is no file, and what opening it would where it can't be read.
    """
    return await asyncio.to_thread(_examine, path)


def _examine(path: Path) -> Condition:
    if not path.is_file():
        raise Invalid(f"there is no log at {path}: check the name, or record something to make one")
    try:
        with closing(connect_reader(path, busy_timeout=1.0)) as connection:
            found = version_of(connection)
    except sqlite3.DatabaseError as error:
        raise explain(error) or Damaged(None, f"{path} can't be read as a log: {error}") from error
    beside = [path.with_name(path.name + suffix) for suffix in ("", "-wal", "-shm")]
    return Condition(
        engine=f"SQLite {sqlite3.sqlite_version}",
        url=f"sqlite:///{path}",
        version=found,
        needed=VERSION,
        used=sum(file.stat().st_size for file in beside if file.exists()),
        free=shutil.disk_usage(path.parent).free,
        clock_ahead=0.0,  # this machine's own clock dates the events
    )
