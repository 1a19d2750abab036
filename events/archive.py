"""Export and restore: a whole log as JSON Lines, verbatim.

One line each, canonical JSON, in this order:

`header`    format, version, the log's id; `after` and `previous` where only a later part was exported
`event`     position, the leaf as a string, both texts as strings with their salts, `null` where erased
`snapshot`  the bytes of a document snapshot in base64, in the order of their hashes
`end`       how many events and snapshots came before it, and SHA-256 over every byte before this line

The same log gives the same bytes, so export, restore and export again gives the same file.

A restore reads the file twice. The first time it checks everything and writes nothing, so a file that
is torn, changed or incomplete leaves the log as it was. The second time it writes, page by page; if
that is cut short, the log holds a prefix of the file and the same restore goes on from there.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import IO, NoReturn

from anyio import to_thread

from events.archive_lines import (
    FORMAT,
    VERSION,
    End,
    Header,
    Reader,
    Snapshot,
    check_whole,
    enter,
    line_of,
    missing_texts,
)
from events.contracts import Slot, TextErased
from events.errors import Busy, Damaged, ForeignCursor, Invalid
from events.evidence import Snapshots
from events.leaf import canonical
from events.ledger import Ledger
from events.log import Log, Recorded


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What an export wrote: `count` events, `snapshots` snapshots; `sha256` stands in the last line."""

    count: int
    snapshots: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What a restore did: `count` events written, `held` events found in place, `snapshots` put."""

    count: int
    held: int
    snapshots: int
    sha256: str


# --- export ----------------------------------------------------------------------------------------


async def export(log: Log, write: IO[bytes], *, after: int = 0, evidence: Snapshots | None = None) -> Exported:
    """Write all events after a position, as far as the log reached when it began, and all snapshots held.

    Raises `Busy` when a text is erased meanwhile (export again), `Damaged` where a text is missing that
    no fact erased, `DamagedEvidence` and `ForeignCursor`. What it wrote until then has no last line, and
    no restore takes it.
    """
    upto = await log.head()
    if after > upto:
        raise ForeignCursor(after, upto)
    out = _Out(write)
    await out.write(canonical(await _header(log, after)) + b"\n")
    uncovered: dict[tuple[str, Slot], int] = {}
    count = 0
    async for page in log.read_all(after=after, upto=upto):
        for event in page:
            _cover(uncovered, event)
        await out.write(b"".join(map(line_of, page)))
        count += len(page)
    if uncovered:
        await _explain_missing(log, upto, uncovered)
    snapshots = await _write_snapshots(out, evidence) if evidence is not None else 0
    digest = out.digest.hexdigest()
    await out.write(canonical(End(events=count, sha256=digest, snapshots=snapshots)) + b"\n")
    return Exported(count=count, snapshots=snapshots, sha256=digest)


class _Out:
    """Writes in a thread, and hashes what it writes."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    async def write(self, data: bytes) -> None:
        await to_thread.run_sync(self._write, data)

    def _write(self, data: bytes) -> None:
        self.digest.update(data)
        self._file.write(data)


async def _write_snapshots(out: _Out, evidence: Snapshots) -> int:
    written = 0
    for sha256 in await evidence.all():
        data = await evidence.get(sha256)
        if data is not None:  # else it was erased since the list was made
            await out.write(canonical(Snapshot(data=data, sha256=sha256)) + b"\n")
            written += 1
    return written


async def _header(log: Log, after: int) -> Header:
    previous = await _leaf_digest(log, after)
    return Header(format=FORMAT, version=VERSION, log=log.id, after=after, previous=previous)


async def _leaf_digest(log: Log, position: int) -> str | None:
    if position == 0:
        return None
    (event,) = await _range(log, position - 1, position)
    return hashlib.sha256(event.leaf_raw).hexdigest()


async def _range(log: Log, after: int, upto: int) -> Sequence[Recorded]:
    return [event async for page in log.read_all(after=after, upto=upto) for event in page]


def _cover(uncovered: dict[tuple[str, Slot], int], event: Recorded) -> None:
    """Note which texts of this event are missing, and which missing text this event accounts for."""
    for slot in missing_texts(event):
        uncovered[event.id, slot] = event.position
    if isinstance(event.fact, TextErased):
        uncovered.pop((event.fact.event, event.fact.slot), None)


async def _explain_missing(log: Log, upto: int, uncovered: dict[tuple[str, Slot], int]) -> NoReturn:
    # An erasure recorded after `upto` may have removed a text that we had not read yet.
    async for page in log.read_all(after=upto):
        for event in page:
            if isinstance(event.fact, TextErased):
                uncovered.pop((event.fact.event, event.fact.slot), None)
    if not uncovered:
        raise Busy("a text was erased while the log was being exported; nothing is lost: export again")
    (_, slot), position = next(iter(uncovered.items()))
    raise Damaged(position, f"its {slot} is missing and no text.erased names it: it was lost or hidden")


# --- restore ---------------------------------------------------------------------------------------


async def restore(log: Log, read: IO[bytes], *, evidence: Snapshots | None = None) -> Restored:
    """Write an export into a log that is empty or holds a prefix of it, and its snapshots into `evidence`.

    The whole file is checked first. Raises `Invalid`, with the line and what to do, for a file that is
    torn, changed or lacks a text that no fact in it erased, and for a log that holds something else;
    `UnknownFact` for a file of a newer version; after each of them nothing was written. May be
    repeated: what is in place already is compared and skipped.
    """
    with ExitStack() as stack:
        if not read.seekable():
            # The spooled bytes have no name in the file system: a crash leaves nothing behind.
            spooled = stack.enter_context(tempfile.TemporaryFile())
            await to_thread.run_sync(shutil.copyfileobj, read, spooled)
            spooled.seek(0)
            read = spooled
        start = read.tell()
        ledger = stack.enter_context(closing(Ledger()))
        header, end = await _verify(read, ledger)
        if end.snapshots and evidence is None:
            raise Invalid(f"the file holds {end.snapshots:,} snapshots: say where to keep them; nothing was written")
        head = await log.head()
        await _check_place(log, head, header, end)
        read.seek(start)
        return await _write(log, head, read, end, evidence)


async def _verify(read: IO[bytes], ledger: Ledger) -> tuple[Header, End]:
    pieces = Reader(read).pieces()
    header: Header | None = None
    while True:
        match piece := await to_thread.run_sync(next, pieces):
            case Header():
                header = piece
            case End():
                assert header is not None  # no other line may come first
                await to_thread.run_sync(check_whole, ledger, header.after)
                return header, piece
            case list():
                await to_thread.run_sync(enter, ledger, piece)
            case Snapshot():
                pass


async def _check_place(log: Log, head: int, header: Header, end: End) -> None:
    """Check that the log is empty or of this id, and reaches to where the file begins and no further than it ends."""
    last = header.after + end.events
    if head and log.id != header.log:
        raise Invalid(f"the file is of log {header.log} and this is log {log.id}: restore it into an empty log")
    if head < header.after:
        raise Invalid(
            f"the file begins after position {header.after} and the log ends at {head}: restore what is between"
        )
    if head > last:
        raise Invalid(f"the log reaches position {head} and the file ends at {last}: there is nothing to restore")
    if header.previous != await _leaf_digest(log, header.after):
        raise _differs(header.after)


async def _write(log: Log, head: int, read: IO[bytes], end: End, evidence: Snapshots | None) -> Restored:
    pieces = Reader(read).pieces()
    written = held = snapshots = 0
    while not isinstance(piece := await to_thread.run_sync(next, pieces), End):
        match piece:
            case list():
                known = [event for event in piece if event.position <= head]
                await _compare(log, known)
                if fresh := piece[len(known) :]:
                    await log.restore(fresh)
                held += len(known)
                written += len(fresh)
            case Snapshot():
                assert evidence is not None  # `restore` has made sure
                await evidence.put(piece.data, sha256=piece.sha256)
                snapshots += 1
            case Header():
                pass
    if piece != end:
        raise Invalid("the file was changed while it was restored: audit the log, or restore it anew from a whole copy")
    return Restored(count=written, held=held, snapshots=snapshots, sha256=end.sha256)


async def _compare(log: Log, known: Sequence[Recorded]) -> None:
    if not known:
        return
    for theirs, ours in zip(known, await _range(log, known[0].position - 1, known[-1].position), strict=True):
        # Where only the file lacks a text, it also holds the fact that erased it, which the log doesn't
        # have yet: restoring that fact erases the text here.
        if (
            ours.leaf_raw != theirs.leaf_raw
            or (theirs.wording_raw is not None and ours.wording_raw != theirs.wording_raw)
            or (theirs.identity_raw is not None and ours.identity_raw != theirs.identity_raw)
        ):
            raise _differs(ours.position)


def _differs(position: int) -> Invalid:
    return Invalid(
        f"the log holds another event at position {position} than the file: restore it into an empty log; "
        "nothing was written"
    )
