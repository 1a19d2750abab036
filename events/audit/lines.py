"""A file of JSON Lines, read from any line on, for several processes that read it in parts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from events.rows import ROWS

LIMIT: Final = 128 * 2**20
"""The most bytes a line may have: a snapshot in base64 is the longest that there is."""


class Lines:
    """The lines of one file. Holds one number for every few thousand of them."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self._starts = [0]  # of every ROWS-th line, as far as the file was read
        self._count = 0

    def since(self, number: int) -> Iterator[bytes]:
        """Yield the lines from this one on, counted from 0, each with its end. Nothing where there are fewer."""
        block = number // ROWS
        while len(self._starts) <= block and self._learn():
            pass
        if len(self._starts) <= block:
            return
        self._file.seek(self._starts[block])
        for _ in range(number % ROWS):
            self._file.readline(LIMIT)
        at = self._file.tell()
        while True:
            self._file.seek(at)  # two may read at once
            line = self._file.readline(LIMIT)
            if not line:
                return
            at = self._file.tell()
            yield line

    def _learn(self) -> bool:
        """Look for the start of the next block of lines; return whether there is one."""
        self._file.seek(self._starts[-1])
        for _ in range(ROWS):
            if not self._file.readline(LIMIT):
                return False
        self._starts.append(self._file.tell())
        return True

    def close(self) -> None:
        """Close the file."""
        self._file.close()
