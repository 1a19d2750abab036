"""What an auditor brings along, and what the checkpoints say that he finds or has kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from events.audit.book import OpenBook
from events.audit.findings import Finding
from events.errors import Invalid
from events.tlog import (
    Policy,
    TlogError,
    check_policy,
    open_checkpoint,
    parse_head,
    parse_policy,
    parse_vkey,
    split_note,
)


class Known(NamedTuple):
    """A checkpoint that somebody kept, and what it is called."""

    name: str
    raw: bytes


class SignedHead(NamedTuple):
    """A head that was signed: `root` over the first `size` leaves."""

    name: str
    size: int
    root: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """What an auditor trusts and asks for: public keys of the log that he got elsewhere, checkpoints that he kept,
    and a policy that says whose cosignatures are enough (C2SP tlog-policy)."""

    vkeys: Sequence[str] = ()
    known: Sequence[Known] = ()
    policy: bytes | None = None


@dataclass(slots=True, kw_only=True)
class Signed:
    """What was signed: the head in the place itself, where there is one, and those that were kept, smallest first.

    `by` are the keys by which it was checked, empty where there was none to check it by; `own` says that they are
    only what the place itself says.
    """

    head: SignedHead | None = None
    known: list[SignedHead] = field(default_factory=list)
    by: Sequence[str] = ()
    own: bool = False
    findings: list[Finding] = field(default_factory=list)


def read_signed(book: OpenBook, trust: Trust) -> Signed:
    """Read and verify the checkpoint that a place keeps, and those that the auditor has kept.

    Raises `Invalid` for keys, a policy or kept checkpoints that can't be what they are given as: they are the
    auditor's own.
    """
    try:
        policy = parse_policy(trust.policy) if trust.policy is not None else None
        given = [*trust.vkeys, *(str(key) for key in policy.logs)] if policy else list(trust.vkeys)
        names = {parse_vkey(vkey).name for vkey in given}
    except TlogError as error:
        raise Invalid(f"what you gave to check against can't be used: {error}") from error
    if len(names) > 1:
        raise Invalid(
            f"the keys are of several logs, {', '.join(sorted(names))}: give those of the one that is audited"
        )
    raw, own = book.checkpoint(), list(book.vkeys())
    vkeys = list(dict.fromkeys(given)) or own
    signed = Signed(by=vkeys, own=not given)
    if given and own and not set(given) & set(own):
        what = f"the place says that the log signs with {' and '.join(own)}, and you trust none of that"
        signed.findings.append(Finding(kind="signature", what=what))
    if raw is not None:
        signed.head = _read(signed, Known("the checkpoint", raw), vkeys, policy)
    for known in trust.known:
        head = _read(signed, known, vkeys, None)
        if head is not None:
            signed.known.append(head)
    signed.known.sort(key=lambda head: head.size)
    return signed


def _read(signed: Signed, note: Known, vkeys: Sequence[str], policy: Policy | None) -> SignedHead | None:
    try:
        if not vkeys:
            head = parse_head(split_note(note.raw)[0])
            return SignedHead(note.name, head.size, head.root)
        size, root = open_checkpoint(note.raw, parse_vkey(vkeys[0]).name, vkeys)
    except TlogError as error:
        signed.findings.append(Finding(kind="signature", what=f"{note.name}: {error}"))
        return None
    if policy is not None:
        try:
            check_policy(policy, note.raw, vkeys)
        except TlogError as error:
            signed.findings.append(Finding(kind="witnesses", what=f"{note.name}: {error}"))
    return SignedHead(note.name, size, root)
