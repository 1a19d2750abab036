"""Files that appear under their names whole, or not at all: what is written when we crash is the old file or the new.

write to .NAME.xxxxxxxx in the same folder ──▶ sync the file ──▶ rename ──▶ sync the folder
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def whole_file(
    path: Path, *, mode: int = 0o600, sync: bool = True, sync_name: bool | None = None
) -> Iterator[IO[bytes]]:
    """Open a file that takes its name at the end of the block, with this mode; cut short, the old one stays.

    With `sync` it is on the disk before it takes its name. Without, a power cut may leave it torn. With `sync_name`,
    which is as `sync` where it is left out, its name is on the disk at the end, too. The folder must be there. Any
    number of processes may write the same name at the same time: one of them is last. Raises `OSError`.
    """
    descriptor, part = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            yield file
            if sync:
                file.flush()
                os.fsync(descriptor)
        Path(part).replace(path)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise
    if sync if sync_name is None else sync_name:
        sync_to_disk(path.parent)


def write_whole(
    path: Path, data: bytes, *, mode: int = 0o600, sync: bool = True, sync_name: bool | None = None
) -> None:
    """Put these bytes in place of a file, or make it. Promises and raises what `whole_file` does."""
    with whole_file(path, mode=mode, sync=sync, sync_name=sync_name) as file:
        file.write(data)


def sync_to_disk(path: Path) -> None:
    """Return once a file, or the names in a folder, are on the disk. Raises `OSError`."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
