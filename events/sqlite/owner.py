"""The OS lock beside a log: who holds it may write, and says there where it is served."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

import msgspec

from events.errors import Invalid, LogInUse, ReadOnly

_LOOKS: Final = 5  # how often the lock is tried again before somebody is taken to hold it
_LOOK: Final = 0.01  # seconds between two tries: longer than a look at the lock takes


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """Who holds a log, and where it is served: what stands in the lock's file."""

    address: str | None = None
    pid: int | None = None


class Owner:
    """This process's hold on a log. The OS lets go of it when the process ends, however it ends."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

    @classmethod
    def of(cls, path: Path) -> Self:
        """Take the log at `path`, without waiting.

        Raises `LogInUse` with the address of the process that has it, `ReadOnly` where nothing may be
        written beside the log, and `Invalid` where there is no such folder.
        """
        lock = path.with_name(path.name + ".lock")
        try:
            # Never removed again: a process may hold the lock of a file that another has just unlinked.
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except FileNotFoundError as error:
            raise Invalid(f"there is no folder {path.parent}: make it first") from error
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise ReadOnly(f"{lock} can't be written, so {path} can only be read") from error
            raise
        try:
            _lock(descriptor)
        except BlockingIOError as error:
            holder = _holder(descriptor)
            os.close(descriptor)
            raise LogInUse(str(path), address=holder.address, pid=holder.pid) from error
        except OSError as error:
            os.close(descriptor)
            raise ReadOnly(f"{lock} can't be locked ({error.strerror}), so {path} can only be read") from error
        owner = cls(path, descriptor)
        owner.announce(None)
        return owner

    def announce(self, address: str | None) -> None:
        """Write down where this log is served, for a process that would like to write too."""
        raw = msgspec.json.encode(Holder(pid=os.getpid(), address=address))
        os.pwrite(self._descriptor, raw, 0)
        os.ftruncate(self._descriptor, len(raw))

    def release(self) -> None:
        """Let go of the log."""
        os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)


def holder_of(path: Path) -> Holder | None:
    """Say who holds the log at `path`, or `None` where nobody does.

    What a killed process left written in the file counts for nothing: the lock itself is looked at, and
    let go of at once.
    """
    try:
        descriptor = os.open(path.with_name(path.name + ".lock"), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _holder(descriptor)
    finally:
        os.close(descriptor)
    return None


def _lock(descriptor: int) -> None:
    """Take the lock, and be patient with somebody who only looks at it (`holder_of`).

    Raises `BlockingIOError` where a process has it.
    """
    for _ in range(_LOOKS):
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        time.sleep(_LOOK)  # in the writer's own thread, and nothing tells when a look is over
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _holder(descriptor: int) -> Holder:
    """Read who holds the lock; nothing is known while the holder is just writing it."""
    try:
        return msgspec.json.decode(os.pread(descriptor, 4_096, 0), type=Holder)
    except msgspec.DecodeError:
        return Holder()
