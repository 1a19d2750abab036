"""Disks that are full.

A real one is a small file system for the events alone, filled to the last byte (`SmallDisk`). Mounting it takes a
right that not everybody has who runs this. So there is another way, which needs no right and strikes one
backend alone: the operating system lets a process's files not grow (RLIMIT_FSIZE), much as a quota does that is used
up (`Quota`). It is tried by itself, stands in where mounting is refused, and is how the write-ahead log runs
out of room: PostgreSQL panics then and recovers, whatever the operating system's reason was.
"""

from __future__ import annotations

import asyncio
import errno
import os
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final, Protocol

import asyncpg

from bench.faults.gates import console, until
from events.errors import Busy, DiskFull, LogError
from events.open import database_of
from tests.postgres import Server

SIZE: Final = 64 * 2**20
"""How many bytes a small disk has."""


class Disk(Protocol):
    """A disk that can be filled."""

    told_as: type[LogError]
    """What a log says to whom it meets."""

    def fill(self, writer: int) -> None:
        """Leave no room for what a backend writes."""
        ...

    def make_room(self) -> None:
        """Let go of what filled it."""
        ...


class Quota:
    """Stands in for a disk: one backend may not write any more. PostgreSQL doesn't count this as a full disk."""

    told_as: type[LogError] = Busy

    def __init__(self) -> None:
        self._used_up: int | None = None

    def fill(self, writer: int) -> None:
        """Leave no room for what this backend writes."""
        self._used_up = writer
        let_files_grow(writer, grow=False)

    def make_room(self) -> None:
        """Let it write again."""
        if self._used_up is not None:
            let_files_grow(self._used_up, grow=True)


class SmallDisk:
    """A file system with the events of a log, and nothing else."""

    told_as: type[LogError] = DiskFull

    def __init__(self, place: Path) -> None:
        self._ballast = place / "ballast"

    def fill(self, writer: int) -> None:
        """Leave no room for anybody."""
        with self._ballast.open("ab", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4_096))
            except OSError as full:
                assert full.errno == errno.ENOSPC

    def make_room(self) -> None:
        """Let go of what filled it."""
        self._ballast.unlink(missing_ok=True)


@asynccontextmanager
async def quota(server: Server, url: str) -> AsyncIterator[Disk]:
    """Leave the events where they are."""
    yield Quota()


@asynccontextmanager
async def small_disk(server: Server, url: str) -> AsyncIterator[Disk]:
    """Keep the events of a log on a small disk, if we may mount one; take them back at the end."""
    events = f"{database_of(url).schema}.events"
    with _mounted(*_owner(server.pid)) as place:
        if place is None:
            yield Quota()
            return
        disk = SmallDisk(place)
        async with console(server) as administrator:
            await administrator.execute(f"CREATE TABLESPACE small LOCATION '{place / 'data'}'")
            await administrator.execute(f"ALTER TABLE {events} SET TABLESPACE small")
            try:
                yield disk
            finally:
                disk.make_room()
                await administrator.execute(f"ALTER TABLE {events} SET TABLESPACE pg_default")
                await administrator.execute("DROP TABLESPACE small")


@contextmanager
def _mounted(user: int, group: int) -> Iterator[Path | None]:
    with tempfile.TemporaryDirectory(prefix="disk-") as folder:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=755,uid={user},gid={group}", "none", folder]
        if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
            yield None
            return
        try:
            (data := Path(folder, "data")).mkdir(mode=0o700)
            os.chown(data, user, group)
            yield Path(folder)
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)  # lazily: the server may look into it once more


def let_files_grow(pid: int, *, grow: bool) -> None:
    """Say whether a process of the server may make files longer, or write behind their beginning."""
    user, group = _owner(pid)  # who may set its limits; root may not, where it lacks the right to
    limit = ["prlimit", f"--pid={pid}", f"--fsize={'unlimited' if grow else 0}:"]
    subprocess.run(limit, user=user, group=group, check=True)


def _owner(pid: int) -> tuple[int, int]:
    owner = Path(f"/proc/{pid}").stat()
    return owner.st_uid, owner.st_gid


async def run_out_of_log_space(server: Server) -> None:
    """Let somebody's commit find no room in the server's write-ahead log: it panics, and recovers."""
    async with console(server) as unlucky:
        let_files_grow(unlucky.get_server_pid(), grow=False)
        while not unlucky.is_closed():  # until it has to write for itself what another may have written for it
            try:
                await unlucky.execute("SELECT pg_logical_emit_message(true, 'probe', '')")
            except (OSError, asyncpg.InterfaceError, asyncpg.PostgresError):
                break
    await until(lambda: _takes_connections(server))


async def _takes_connections(server: Server) -> bool:
    try:
        async with console(server):
            return True
    except (OSError, asyncpg.PostgresError):
        await asyncio.sleep(0)
        return False
