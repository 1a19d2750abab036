"""Recording the case through the client, as a newsroom would have."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from verifier.answers import Claim
from verifier.case.letter import NAME, Case, Checkpoint, letter
from verifier.client import Verifier


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What the log holds at a checkpoint: the claims it names as they stand, and the ids by which the log
    knows the file's claims and statements."""

    checkpoint: Checkpoint
    standing: Mapping[str, Claim]
    claims: Mapping[str, str]
    statements: Mapping[str, tuple[str, ...]]


async def play(verifier: Verifier, case: Case | None = None) -> AsyncIterator[Step]:
    """Record the case and stop after every checkpoint of the file.

    Each command has a key of its own that is always the same: played again into the same log by the
    same actor, the case records nothing and ends as it ended. Raises what the client raises.
    """
    case = case or letter()
    claims = await _open(verifier, case)
    statements: dict[str, tuple[str, ...]] = {}
    waiting = list(enumerate(case.said))
    for checkpoint in case.checkpoints:
        while waiting and waiting[0][1].order <= checkpoint.order:
            ordinal, said = waiting.pop(0)
            written = await verifier.send(said.command, on=claims[said.claim], key=f"{NAME}/said/{ordinal}")
            statements[said.id] = (*statements.get(said.id, ()), written.statement)
        if not waiting:
            await _relate(verifier, case, claims)
        standing = {name: await verifier.claim(claims[name]) for name in checkpoint.expected}
        yield Step(checkpoint=checkpoint, standing=standing, claims=dict(claims), statements=dict(statements))


async def _open(verifier: Verifier, case: Case) -> dict[str, str]:
    """Register who speaks and what is claimed, and put the text where quotes are looked up."""
    for name, source in case.sources.items():
        await verifier.send(source, key=f"{NAME}/{name}")
    claims: dict[str, str] = {}
    for name, command in case.claims.items():
        claims[name] = (await verifier.send(command, key=f"{NAME}/{name}")).id
        await verifier.attach(claims[name], case.text, shows="the words that are quoted", key=f"{NAME}/text/{name}")
    return claims


async def _relate(verifier: Verifier, case: Case, claims: Mapping[str, str]) -> None:
    for ordinal, relation in enumerate(case.relations):
        await verifier.link(
            claims[relation.claim], claims[relation.to], kind=relation.kind, note=relation.note,
            key=f"{NAME}/relation/{ordinal}",
        )  # fmt: skip
