"""The second place: the last checkpoint that was signed in a log's name, kept where no backup of the log reaches.

A log that was restored from an older copy has forgotten what was signed of it, and its tiles may have, too. So the
last checkpoint also stands in a folder of its own, under the log's name, and is compared before anything is signed
again. Whoever may sign for a name must reach the same folder: one on this machine, or one that several machines share.

While somebody signs for a name he holds an OS lock here, so that two processes can't sign two histories under one
name, whatever logs they have open.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from events.errors import Busy, Invalid
from events.keys import Keys
from events.tlog import EMPTY_ROOT, format_head
from events.whole_file import write_whole


class Seals:
    """The second place. Its methods block: call them in a thread."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, name: str) -> Path:
        """Return the file in which the last checkpoint of a log stands."""
        return self.folder / f"{quote(name, safe='')}.checkpoint"

    def read(self, name: str) -> bytes | None:
        """Return the last checkpoint that was signed under a name, `None` where signing under it never began, or where
        this was lost."""
        try:
            return self.path(name).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, name: str, note: bytes) -> None:
        """Keep a checkpoint in place of the one before it: on the disk before this returns, the old or the new one
        if we crash here, and never a torn one."""
        write_whole(self.path(name), note)

    def keep(self, name: str, note: bytes) -> None:
        """Keep a checkpoint as `write` does, and make the folder where there is none."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.write(name, note)

    def begin(self, keys: Keys) -> None:
        """Keep the seal of the empty log, with which signing under a new name begins: where the second place has
        nothing of a name, it was lost, and nobody signs. Whoever begins holds the name.

        Raises `Invalid` where signing has begun already.
        """
        self.check_unused(keys.name)
        self.keep(keys.name, keys.sign(format_head(keys.name, 0, EMPTY_ROOT)))

    def check_unused(self, name: str) -> None:
        """Check that nothing was signed under a name: whoever has seen that would take a new log for a forged one.

        Raises `Invalid`.
        """
        if self.read(name) is not None:
            raise Invalid(
                f"a log was sealed as {name} before: if it is this one, put its key back, or go on under a new name"
                " with `verifier fork`; if it is another one, choose another name"
            )

    @contextmanager
    def hold(self, name: str) -> Iterator[None]:
        """Be the one who signs for a name, until the end; the OS lets go of it when the process ends.

        Raises `Busy` where another one is.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.path(name)
        # Never removed again: a process may hold the lock of a file that another has just unlinked.
        descriptor = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise Busy(f"another process signs for {name}: end that one, or wait until it has") from error
            yield
        finally:
            os.close(descriptor)
