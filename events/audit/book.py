"""What is audited: a log wherever somebody keeps it, with all that is kept beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from events.audit.findings import Finding
from events.rows import Row


class OpenBook(Protocol):
    """A log, open for an audit. Used by one thread at a time; nothing that it returns was checked.

    Every verb raises `events.errors.LogError` or `OSError` where the place can't be read.
    """

    @property
    def has_texts(self) -> bool:
        """Whether the texts are kept here: then those that are missing are missed."""
        ...

    @property
    def is_published(self) -> bool:
        """Whether every tile must be here, as in a published log; else they may be deleted."""
        ...

    def checkpoint(self) -> bytes | None:
        """Return the checkpoint that is kept, `None` where there is none."""
        ...

    def vkeys(self) -> Sequence[str]:
        """Return the public keys that the place itself says are the log's."""
        ...

    def log(self) -> str | None:
        """Return the id of the log that this is by its own word, `None` where only the leaves say it."""
        ...

    def head(self) -> int:
        """Return the last position there is, 0 where there is none."""
        ...

    def pages(self, *, after: int, upto: int, texts: bool = True) -> Iterator[Sequence[Row]]:
        """Yield what stands after a position, up to another, in order; without `texts` these may be left out."""
        ...

    def attesting(self, *, upto: int) -> Iterator[tuple[int, bytes]]:
        """Yield position and leaf of each event that may be a `statuses.attested`, in order.

        Where the place has a list of these, it is taken at its word: the audit notices the one that it leaves out.
        """
        ...

    def kept(self, level: int, n: int, width: int) -> Sequence[bytes]:
        """Return the tile, in every width in which it is kept; `width` is the one that it should have."""
        ...

    def noticed(self) -> Sequence[Finding]:
        """Return what is wrong with the form of what was read since this was asked last."""
        ...

    def beside(self) -> Iterator[Finding]:
        """Yield what is wrong with the files as such. Asked once, when the events have been read."""
        ...

    def sought(self) -> str | None:
        """Return a time that some event must have because the storage says so, `None` where it says no such thing."""
        ...

    def close(self) -> None:
        """Let go of what is held."""
        ...


class Book(Protocol):
    """Says where a log is. Can be sent to another process, which opens it for itself."""

    def open(self) -> OpenBook:
        """Open the log. Raises `events.errors.LogError` or `OSError` where that can't be done."""
        ...

    def storage(self) -> Sequence[Finding]:
        """Return what is wrong with the storage as such, whatever its events are: its tables and what else it keeps.

        Opens it for itself, so that it can be asked while the events are read; takes long where the log is long.
        Raises as `open` does.
        """
        ...
