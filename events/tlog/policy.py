"""Whose signatures are enough: the logs, the witnesses and the quorum of a policy file (C2SP tlog-policy)."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from events.tlog.checkpoints import check_witness_keys, read_checkpoint
from events.tlog.errors import Malformed, Unsatisfied
from events.tlog.head import Head
from events.tlog.keys import VerifierKey, parse_vkey
from events.tlog.notes import known_keys
from events.tlog.reading import octets, text_of

MAX_POLICY: Final = 1_000_000
"""The most bytes of a policy file. The specification lets each implementation set limits, and asks for 32 logs,
witnesses and groups; this holds thousands."""

_NONE: Final = b"none"
_FORBIDDEN: Final = re.compile(rb"[^\t\n\x20-\x7e\x80-\xff]")
_THRESHOLD: Final = re.compile(rb"[1-9][0-9]{0,8}")


@dataclass(frozen=True, slots=True)
class Group:
    """Witnesses and groups of which so many must have cosigned."""

    threshold: int
    members: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy as its file gives it. Names are bytes, because the specification compares them as bytes. `members`
    are the witnesses and groups in the order in which they were defined: a group comes after its members."""

    logs: tuple[VerifierKey, ...]
    members: tuple[tuple[bytes, VerifierKey | Group], ...]
    quorum: bytes

    @property
    def witnesses(self) -> tuple[VerifierKey, ...]:
        """The keys of the witnesses."""
        return tuple(member for _, member in self.members if isinstance(member, VerifierKey))

    def met_by(self, signed: Collection[VerifierKey]) -> bool:
        """Say whether these keys are a quorum."""
        met = {_NONE: True}
        for name, member in self.members:
            if isinstance(member, Group):
                met[name] = sum(met[inner] for inner in member.members) >= member.threshold
            else:
                met[name] = member in signed
        return met[self.quorum]


def parse_policy(raw: bytes) -> Policy:
    """Read a policy file. Raises `Malformed`, with the line, for anything that the specification does not allow."""
    content = octets(raw, "a policy")
    if len(content) > MAX_POLICY:
        raise Malformed(f"a policy has at most {MAX_POLICY:,} bytes")
    if _FORBIDDEN.search(content):
        raise Malformed("a policy holds a control character")
    reader = _Reader()
    for number, line in enumerate(content.split(b"\n"), 1):
        words = line.split()
        if words and not words[0].startswith(b"#"):
            try:
                reader.read(words)
            except Malformed as error:
                raise Malformed(f"line {number} of the policy: {error}") from error
    return reader.policy()


class _Reader:
    """What the lines of a policy have said so far."""

    def __init__(self) -> None:
        self._logs: dict[bytes, VerifierKey] = {}  # by public key
        self._witnesses: set[bytes] = set()  # public keys
        self._members: dict[bytes, VerifierKey | Group] = {}
        self._grouped: set[bytes] = set()
        self._quorum: bytes | None = None

    def policy(self) -> Policy:
        if self._quorum is None:
            raise Malformed("a policy has a line that begins with quorum; 'quorum none' asks for no witness")
        return Policy(tuple(self._logs.values()), tuple(self._members.items()), self._quorum)

    def read(self, words: list[bytes]) -> None:
        match words:
            case [b"log", vkey] | [b"log", vkey, _]:
                self._log(parse_vkey(text_of(vkey, "a vkey")))
            case [b"witness", name, vkey] | [b"witness", name, vkey, _]:
                self._witness(name, parse_vkey(text_of(vkey, "a vkey")))
            case [b"group", name, threshold, *members] if members:
                self._define(name, self._group(threshold, members))
            case [b"quorum", name] if self._quorum is None:
                self._set_quorum(name)
            case _:
                raise Malformed("not a log, a witness, a group or the one quorum")

    def _log(self, key: VerifierKey) -> None:
        if key.public in self._logs:
            raise Malformed("another log has this public key")
        self._logs[key.public] = key

    def _witness(self, name: bytes, key: VerifierKey) -> None:
        check_witness_keys([key])
        if key.public in self._witnesses:
            raise Malformed("another witness has this public key")
        self._define(name, key)
        self._witnesses.add(key.public)

    def _group(self, threshold: bytes, members: list[bytes]) -> Group:
        for member in members:
            if member not in self._members:
                raise Malformed("a member of the group is not a witness or a group of a line above")
            if member in self._grouped:
                raise Malformed("a member of the group is a member already: each counts once in all")
            self._grouped.add(member)
        if threshold in (b"any", b"all"):
            return Group(1 if threshold == b"any" else len(members), tuple(members))
        if not _THRESHOLD.fullmatch(threshold) or int(threshold) > len(members):
            raise Malformed("how many of a group must cosign is all, any, or a number from 1 to that of its members")
        return Group(int(threshold), tuple(members))

    def _define(self, name: bytes, member: VerifierKey | Group) -> None:
        if name == _NONE or name in self._members:
            raise Malformed("this name is taken")
        self._members[name] = member

    def _set_quorum(self, name: bytes) -> None:
        if name != _NONE and name not in self._members:
            raise Malformed("the quorum must be a witness or a group of a line above, or none")
        self._quorum = name


def check_policy(policy: bytes | Policy, checkpoint: bytes, log_vkeys: Sequence[str] = ()) -> Head:
    """Verify a checkpoint under a policy: return its origin, size and root.

    It must be signed by a log of the policy whose key is named as the origin, and cosigned by the quorum. For a
    policy without logs, or one that another place completes, `log_vkeys` are taken as well. Raises `Malformed`;
    `Unverified` where any signature by one of the keys does not hold; `Unsatisfied` where one is missing.
    """
    asked = policy if isinstance(policy, Policy) else parse_policy(policy)
    logs = {*asked.logs, *known_keys(log_vkeys)}
    head, signed = read_checkpoint(checkpoint, list(logs.union(asked.witnesses)))
    if not any(key in logs and key.name == head.origin for key in signed):
        raise Unsatisfied(f"no log of the policy that is named {head.origin!r} has signed this checkpoint")
    if not asked.met_by(set(signed)):
        raise Unsatisfied("the witnesses that have cosigned this checkpoint are not the quorum of the policy")
    return head


def policy_satisfied(policy: bytes | Policy, checkpoint: bytes) -> bool:
    """Say whether a checkpoint is signed by a log of the policy and cosigned by its quorum (C2SP tlog-policy).

    `check_policy` says why not. Raises `Malformed` for what is not a policy or a checkpoint, and `Unverified` where
    a signature by one of the policy's keys does not hold: that is no missing signature but a changed note.
    """
    try:
        check_policy(policy, checkpoint)
    except Unsatisfied:
        return False
    return True
