"""The bytes of document snapshots, kept by their SHA-256 beside the log, and the search for a quote in them.

The log says that a snapshot was taken and, in `Identity`, what its hash is. The bytes stand here, so that
they can be erased like a text and a log stays small. A fact stands without its bytes; they can be put
back at any time, because the hash proves them.

`Evidence` keeps them in a folder, `MemoryEvidence` in memory, `events.postgres` in a table; `Snapshots` is what
all promise.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import tempfile
from collections.abc import AsyncIterable
from pathlib import Path
from typing import Final, Literal, Protocol

import anyio
from anyio import to_thread

from events.contracts import Quote
from events.errors import DamagedEvidence, DiskFull, Invalid, TooLarge

SNAPSHOT_LIMIT: Final = 50 * 2**20
"""The most bytes one snapshot may have."""

QuoteSearch = Literal["found", "absent", "elsewhere", "other_context", "not_text"]
"""What came of looking for a quote: it stands where it should; its words stand nowhere; they stand at
another position; they stand between other words; the snapshot is not UTF-8 text, so nobody can look."""

_HASH: Final = re.compile(r"[0-9a-f]{64}")


class Snapshots(Protocol):
    """Where snapshots are kept."""

    async def put(self, data: bytes | AsyncIterable[bytes], *, sha256: str) -> None:
        """Keep these bytes, durable before it returns.

        Idempotent. Raises `Invalid` where they don't have this hash, `TooLarge` beyond `SNAPSHOT_LIMIT`
        and `DiskFull`; after each of them nothing new is kept. Raises `OutcomeUnknown` where nobody can say: put
        them again.
        """
        ...

    async def get(self, sha256: str) -> bytes | None:
        """Return the bytes, or `None` where they are not held. Raises `DamagedEvidence` for other bytes."""
        ...

    async def has(self, sha256: str) -> bool:
        """Say whether the bytes are held."""
        ...

    async def erase(self, sha256: str) -> None:
        """Remove the bytes: from now on nobody is given them. Where none are held, nothing happens.

        Free space below is not wiped: a disk keeps it until it is used again, PostgreSQL until `VACUUM` and beyond
        that in its write-ahead log and backups. Raises `OutcomeUnknown` where nobody can say: erase them again.
        """
        ...

    async def all(self) -> list[str]:
        """Return the hashes of all snapshots held, in order."""
        ...


class Evidence:
    """Snapshots in a folder, one file each: `ab/abcdef…`. Any number of processes may use one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def put(self, data: bytes | AsyncIterable[bytes], *, sha256: str) -> None:
        """Keep these bytes: see `Snapshots`. A damaged file is replaced by a whole one."""
        incoming = _Incoming(self._path(sha256))
        try:
            await to_thread.run_sync(incoming.begin)
            async for chunk in chunks(data):
                await to_thread.run_sync(incoming.write, chunk)
            await to_thread.run_sync(incoming.keep)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise DiskFull(f"there is no room for snapshot {sha256}: make room and put it again") from error
            raise
        finally:
            with anyio.CancelScope(shield=True):
                await to_thread.run_sync(incoming.discard)

    async def get(self, sha256: str) -> bytes | None:
        """Return the bytes, hashed again: see `Snapshots`."""
        return await to_thread.run_sync(_load, self._path(sha256))

    async def has(self, sha256: str) -> bool:
        """Say whether the bytes are held."""
        return await to_thread.run_sync(self._path(sha256).is_file)

    async def erase(self, sha256: str) -> None:
        """Remove the bytes: see `Snapshots`. What a crash left half written goes too."""
        await to_thread.run_sync(_erase, self._path(sha256))

    async def all(self) -> list[str]:
        """Return the hashes of all snapshots held, in order."""
        return await to_thread.run_sync(_list, self._folder)

    def _path(self, sha256: str) -> Path:
        check_hash(sha256)  # before it becomes part of a path
        return self._folder / sha256[:2] / sha256


class MemoryEvidence:
    """Snapshots in memory, for `memory:` logs."""

    def __init__(self) -> None:
        self._held: dict[str, bytes] = {}

    async def put(self, data: bytes | AsyncIterable[bytes], *, sha256: str) -> None:
        """Keep these bytes: see `Snapshots`."""
        self._held[sha256] = await whole(data, sha256)

    async def get(self, sha256: str) -> bytes | None:
        """Return the bytes, or `None` where they are not held."""
        check_hash(sha256)
        return self._held.get(sha256)

    async def has(self, sha256: str) -> bool:
        """Say whether the bytes are held."""
        check_hash(sha256)
        return sha256 in self._held

    async def erase(self, sha256: str) -> None:
        """Remove the bytes: see `Snapshots`."""
        check_hash(sha256)
        self._held.pop(sha256, None)

    async def all(self) -> list[str]:
        """Return the hashes of all snapshots held, in order."""
        return sorted(self._held)


# --- quotes ----------------------------------------------------------------------------------------


def check_quote(data: bytes, media_type: str, quote: Quote) -> QuoteSearch:
    """Look for a quote in a snapshot: UTF-8, strictly, of a `text/` type; anything else is `not_text`.

    Markup is not removed: what is quoted from HTML must stand so in its source.
    """
    if not media_type.lower().startswith("text/"):
        return "not_text"
    try:
        return find_quote(data.decode("utf-8"), quote)
    except UnicodeDecodeError:
        return "not_text"


def find_quote(text: str, quote: Quote) -> QuoteSearch:
    """Look for a quote in a text, letter by letter.

    With `start` or `end` it must stand there, otherwise anywhere; with `prefix` or `suffix` between
    these. Never fuzzy: one changed letter, space or case is another quote.
    """
    before, after = quote.prefix or "", quote.suffix or ""
    whole = before + quote.exact + after
    if quote.start is None and quote.end is None:
        if whole in text:
            return "found"
        return "other_context" if quote.exact in text else "absent"
    start = quote.start if quote.start is not None else (quote.end or 0) - len(quote.exact)
    end = quote.end if quote.end is not None else start + len(quote.exact)
    if start < 0 or end - start != len(quote.exact) or not text.startswith(quote.exact, start):
        return "elsewhere" if quote.exact in text else "absent"
    if start < len(before) or not text.startswith(whole, start - len(before)):
        return "other_context"
    return "found"


# --- files -----------------------------------------------------------------------------------------


class _Incoming:
    """A snapshot on its way into the folder. Its steps block, so each runs in a thread.

    The bytes go to `<hash>.<random>.part` and get their name only when they are whole and on the disk:
    whoever finds a file under a hash finds all of it. A crash leaves a part, which nobody reads and which
    erasing the snapshot removes.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._size = 0
        self._digest = hashlib.sha256()
        self._part: Path | None = None
        self._file = -1

    def begin(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file, name = tempfile.mkstemp(dir=self._path.parent, prefix=f"{self._path.name}.", suffix=".part")
        self._part = Path(name)

    def write(self, chunk: bytes) -> None:
        self._size += len(chunk)
        check_size(self._path.name, self._size)
        self._digest.update(chunk)
        rest = memoryview(chunk)
        while rest:
            rest = rest[os.write(self._file, rest) :]

    def keep(self) -> None:
        check_digest(self._path.name, self._digest.hexdigest())
        assert self._part is not None
        os.fsync(self._file)
        self._part.replace(self._path)
        self._part = None
        for folder in self._path.parents[:3]:  # each may be new, and its name stands in the one above
            _sync(folder)

    def discard(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        if self._part is not None:
            self._part.unlink(missing_ok=True)


def _load(path: Path) -> bytes | None:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    if hashlib.sha256(data).hexdigest() != path.name:
        raise DamagedEvidence(path.name)
    return data


def _erase(path: Path) -> None:
    if not path.parent.is_dir():
        return
    for part in path.parent.glob(f"{path.name}.*.part"):
        part.unlink(missing_ok=True)
    path.unlink(missing_ok=True)
    _sync(path.parent)


def _list(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("??/*") if _HASH.fullmatch(path.name))


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


# --- checked wherever bytes come in -----------------------------------------------------------------


async def chunks(data: bytes | AsyncIterable[bytes]) -> AsyncIterable[bytes]:
    """Yield bytes that may come whole or in pieces."""
    if isinstance(data, bytes):
        yield data
    else:
        async for chunk in data:
            yield chunk


async def whole(data: bytes | AsyncIterable[bytes], sha256: str) -> bytes:
    """Return all bytes of a snapshot, checked. Raises `Invalid` for other bytes, and `TooLarge` as soon as they are."""
    check_hash(sha256)
    incoming = bytearray()
    async for chunk in chunks(data):
        incoming += chunk
        check_size(sha256, len(incoming))
    check_digest(sha256, hashlib.sha256(incoming).hexdigest())
    return bytes(incoming)


def check_hash(sha256: str) -> None:
    """Check that a hash has the form of one. Raises `Invalid`."""
    if not _HASH.fullmatch(sha256):
        raise Invalid(f"{sha256!r} is not a SHA-256: give 64 lower-case hexadecimal digits")


def check_size(sha256: str, size: int) -> None:
    """Check how many bytes of a snapshot have come. Raises `TooLarge`."""
    if size > SNAPSHOT_LIMIT:
        raise TooLarge(f"snapshot {sha256} has more than {SNAPSHOT_LIMIT:,} bytes; attach a part of it")


def check_digest(sha256: str, actual: str) -> None:
    """Check that bytes have the hash under which they are to be kept. Raises `Invalid`."""
    if actual != sha256:
        raise Invalid(f"the bytes have SHA-256 {actual}, not {sha256}: send the bytes of that snapshot")
