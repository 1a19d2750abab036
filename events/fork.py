"""Going on under a new name: a log whose tail was lost, or whose key was, after it had been sealed.

What was sealed under the old name can't be continued, and is never signed again. The new log has an id and a name of
its own, and its first fact holds the old log's last checkpoint: so it says itself what it lacks. Every other fact of
the copy stands in it verbatim, at the position where it stood, so that whatever names a position still means the same.

The first fact takes the place of the old `log.opened`, and its time, because times never decrease; when the log was
forked stands in its note. `lineage` is the first log of the line: names keep their ids.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from events.contracts import Identity, LogOpened, Wording
from events.errors import Invalid
from events.evidence import Snapshots
from events.leaf import new_id, now
from events.log import Log, Proposed, Recorded
from events.sealed import Seal
from events.tlog import TlogError, open_note, parse_head, parse_vkey, split_note


@dataclass(frozen=True, slots=True, kw_only=True)
class Forked:
    """What a fork made: the new log's id, how many events it holds, and how many of the sealed ones it lacks."""

    log: str
    held: int
    lost: int
    sealed: Seal


async def fork(
    old: Log,
    new: Log,
    checkpoint: bytes,
    *,
    vkeys: Sequence[str],
    actor: str,
    evidence: tuple[Snapshots, Snapshots] | None = None,
    progress: Callable[[int, int | None], None] = lambda done, total: None,
) -> Forked:
    """Write the facts of a log into a new one that says what was sealed of the old, with the snapshots of `evidence`.

    `vkeys` are the public keys that are known of the old log. Raises `Invalid` for a checkpoint that none of them has
    signed, for an old log that is empty and a new one that isn't, and what reading and restoring do. Cut short, the
    new log is useless: throw it away and begin again.
    """
    seal, fork = signed(checkpoint, vkeys)
    if await new.head():
        raise Invalid("the new log is not empty: name one that doesn't exist yet")
    total = await old.head()
    if total == 0:
        raise Invalid("the old log is empty, so there is nothing to go on from: give a copy that holds its facts")
    opened = LogOpened(log=new_id("log"), fork=fork, lineage=old.lineage)
    note = f"forked {now()} from {old.id}, {total} events of it, of which {seal.size} were sealed as {seal.name}"
    first = Proposed(
        id=new_id("evt"), stream="log", fact=opened, identity=Identity(actor=actor), wording=Wording(note=note)
    ).encode()
    async for page in old.read_all(upto=total):
        events: list[Recorded] = list(page)
        if events[0].position == 1:
            events[0] = first.recorded(1, events[0].recorded_at)
        await new.restore(events)
        progress(events[-1].position, total)
    if evidence is not None:
        await _copy(*evidence)
    return Forked(log=opened.log, held=total, lost=max(0, seal.size - total), sealed=seal)


def signed(checkpoint: bytes, vkeys: Sequence[str]) -> tuple[Seal, str]:
    """Verify a log's checkpoint by its public keys; return what it says, and it with their signatures alone, which
    fit into a fact.

    Raises `Invalid` for what is no checkpoint, where no key of its log is known, and where none of them has signed it.
    """
    try:
        text, signatures = split_note(checkpoint)
        origin = parse_head(text).origin
    except TlogError as error:
        raise Invalid(f"this is no checkpoint ({error}): give the last one that was signed of the old log") from error
    try:
        keys = [vkey for vkey in vkeys if parse_vkey(vkey).name == origin]
    except TlogError as error:
        raise Invalid(f"not all that is known of the old log's keys are keys ({error}): give them by --vkey") from error
    if not keys:
        raise Invalid(
            f"no public key of {origin} is known here, so nobody can say who signed this checkpoint: give the one that"
            " the log's auditors have, by --vkey"
        )
    try:
        seal = Seal.read(checkpoint, keys)
        ids = {parse_vkey(vkey).id for vkey in open_note(checkpoint, keys)[1]}
    except TlogError as error:
        raise Invalid(
            f"the checkpoint is not signed by a known key of {origin} ({error}): give the last one that the log signed,"
            " or the key that signed this one by --vkey"
        ) from error
    own = [str(signature) for signature in signatures if signature.name == origin and signature.id in ids]
    return seal, f"{text}\n{''.join(own)}"


async def _copy(old: Snapshots, new: Snapshots) -> None:
    for sha256 in await old.all():
        data = await old.get(sha256)
        if data is not None:
            await new.put(data, sha256=sha256)
