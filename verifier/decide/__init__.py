"""From a command to facts: everything that may be refused is refused here, before it is recorded.

    command + what is known ──decide──▶ drafts, or a Problem

Pure: no clock, no randomness, no I/O. What a decision needs beside the claim (sources resolved, quotes
looked up, other claims) is in `Known`, gathered by `verifier.handler`. `decide` changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from events.contracts import ClaimMerged, ClaimSplit, ClaimWithdrawn
from verifier.claim import Claim
from verifier.commands import (
    Adjudicate,
    AssertClaim,
    Attach,
    Attribute,
    ClaimCommand,
    Correct,
    Corroborate,
    Deny,
    Erase,
    Link,
    Merge,
    MergeOrigins,
    Note,
    Publish,
    RegisterClaim,
    Retract,
    Reword,
    Split,
    SplitOrigins,
    Unlink,
    Unpublish,
    Withdraw,
    WithdrawStatement,
    WithdrawVerdict,
)
from verifier.decide.acts import attribute, correct, merge_origins, retract, split_origins, withdraw_statement
from verifier.decide.claims import (
    adjudicate,
    attach,
    erase,
    link,
    publish,
    register,
    reword,
    unlink,
    unpublish,
    withdraw_verdict,
)
from verifier.decide.endings import merge, split
from verifier.decide.known import Draft, Known, Mentions, no_claim, plain
from verifier.decide.statements import say
from verifier.errors import Refused
from verifier.naming import is_id


def decide(known: Known, command: RegisterClaim | ClaimCommand) -> list[Draft]:
    """Return the facts that a command records, first the one it is named after.

    Raises `Invalid`, `NotFound` or `Refused`, each with what to do next.
    """
    if isinstance(command, RegisterClaim):
        return register(known, command)
    _check_open(known.claim, command)
    match command:
        case AssertClaim() | Corroborate() | Deny() | Note():
            return [say(known, command, Mentions(known.claim, known.names))]
        case Retract():
            return [retract(known, command)]
        case Correct():
            return [correct(known, command)]
        case WithdrawStatement():
            return [withdraw_statement(known, command)]
        case Attribute():
            return [attribute(known, command)]
        case MergeOrigins():
            return [merge_origins(known, command)]
        case SplitOrigins():
            return [split_origins(known, command)]
        case Attach():
            return [attach(known, command)]
        case Adjudicate():
            return [adjudicate(known, command)]
        case WithdrawVerdict():
            return [withdraw_verdict(known, command)]
        case Link():
            return [link(known, command)]
        case Unlink():
            return [unlink(known, command)]
        case Reword():
            return [reword(known, command)]
        case Split():
            return split(known, command)
        case Merge():
            return merge(known, command)
        case Withdraw():
            return [plain(known, ClaimWithdrawn(), reason=command.reason)]
        case Publish():
            return [publish(known, command)]
        case Unpublish():
            return [unpublish(known, command)]
        case Erase():
            return [erase(known, command)]
        case _:
            assert_never(command)


def _check_open(claim: Claim, command: ClaimCommand) -> None:
    if claim.registered is None:
        raise no_claim(claim.id)
    if claim.ended is None or isinstance(command, Erase | Unpublish | Publish):
        return
    act, fact = claim.ended
    match fact:
        case ClaimWithdrawn():
            what, then = "withdrawn", "register a new claim"
        case ClaimMerged(into=into):
            what, then = f"merged into {into}", "record it there"
        case ClaimSplit(into=into):
            what, then = f"split into {', '.join(into)}", "record it on one of these"
    raise Refused(f"the claim was {what} and takes no more facts: {then}", rule="claim-ended", event=act)


def names_in(command: RegisterClaim | ClaimCommand) -> tuple[str, ...]:
    """Return every text of a command that may name a source, to be resolved before `decide`."""
    match command:
        case RegisterClaim(accuses=accuses, statement=statement):
            return (*accuses, *(names_in(statement) if statement is not None else ()))
        case AssertClaim() | Corroborate() | Deny() | Note():
            return _not_origins((command.source, *command.via, command.origin))
        case Retract(by=by):
            return (by,)
        case Correct():
            return _not_origins((command.source, *(command.via or ()), command.origin))
        case Attribute():
            return _not_origins((command.source, command.origin))
        case MergeOrigins(kept=kept, merged=merged):
            return _not_origins((kept, merged))
        case _:
            return ()


def _not_origins(names: Iterable[str | None]) -> tuple[str, ...]:
    return tuple([name for name in names if name is not None and not is_id(name, "org")])
