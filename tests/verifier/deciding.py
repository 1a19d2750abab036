"""A claim and its neighbours in memory, for tests of `decide`: commands in, facts out, no log and no clock.

The event at position n has the id `at(n)`, so that a row of a table can name it before it is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from events.contracts import Fact, Party
from events.leaf import derive
from events.log import Proposed, Recorded
from verifier.commands import AssertClaim, ClaimCommand, Erase, RegisterClaim, Withdraw
from verifier.decide import decide, names_in
from verifier.decide.known import Draft, Known, Other, QuoteFound
from verifier.fold import Folded
from verifier.handler.deciding import named_claims
from verifier.naming import is_id, source_id
from verifier.policy import DEFAULT

LOG = derive("log", "a log")
HERE = derive("clm", "here")
"""The claim that the tables are about; the others are registered before it."""

OPEN, ALSO_OPEN, QUESTION, ENDED = (derive("clm", name) for name in ("open", "also open", "question", "ended"))
UNKNOWN_CLAIM = derive("clm", "nobody registered it")
BEFORE = 5
"""How many events stand in the log before the claim's own first one."""


def at(position: int) -> str:
    """Return the id of the event at a place of the claim's history: 1 is its registration."""
    return derive("evt", str(position + BEFORE))


@dataclass
class Room:
    """Claims as they stand, and what was decided last."""

    claims: dict[str, Folded] = field(default_factory=dict)
    erased: dict[str, set[str]] = field(default_factory=dict)
    recorded: list[Recorded] = field(default_factory=list)

    def decide(
        self,
        command: RegisterClaim | ClaimCommand,
        claim: str = HERE,
        *,
        quote: QuoteFound | None = None,
        story: str | None = None,
    ) -> list[Draft]:
        """Decide a command and change nothing."""
        here = self.claim(claim)
        others = {name: self.claim(name) for name in named_claims(command)}
        known = Known(
            lineage=LOG,
            actor="ada",
            command="0" * 64,
            claim=here.claim,
            names=here.names,
            seen=here.assess(DEFAULT),
            parties={name: _party(name) for name in names_in(command)},
            quote=quote,
            others={name: Other(claim=folded.claim, names=folded.names) for name, folded in others.items()},
            story=story,
        )
        return decide(known, command)

    def do(self, *commands: RegisterClaim | ClaimCommand, claim: str = HERE, story: str | None = None) -> list[Draft]:
        """Decide commands and record what they give; return the drafts of the last one."""
        drafts: list[Draft] = []
        for command in commands:
            drafts = self.decide(command, claim, story=story)
            for draft in drafts:
                self._record(draft)
            if isinstance(command, Erase):
                self._erase(command)
        return drafts

    def claim(self, id: str) -> Folded:
        """Return a claim as it stands."""
        return self.claims.setdefault(id, Folded(id))

    def stream(self, claim: str = HERE) -> list[Recorded]:
        """Return the events of a claim."""
        return [event for event in self.recorded if event.stream == f"claim:{claim}"]

    def _record(self, draft: Draft) -> None:
        position = len(self.recorded) + 1
        proposed = Proposed(
            id=derive("evt", str(position)),
            stream=draft.stream,
            fact=draft.fact,
            wording=draft.wording,
            identity=draft.identity,
        )
        one = proposed.encode()
        leaf = one.leaf_at(f"2020-02-01T00:{position // 60:02}:{position % 60:02}.000000Z")
        event = Recorded(position, leaf, one.wording_salt, one.wording, one.identity_salt, one.identity)
        self.recorded.append(event)
        self.claim(draft.stream.removeprefix("claim:")).apply([event])

    def _erase(self, command: Erase) -> None:
        """Remove the text as a log does, and fold the claim anew without it."""
        for index, event in enumerate(self.recorded):
            if event.id == command.event:
                wording = (None, None) if command.slot == "wording" else (event.wording_salt, event.wording_raw)
                identity = (None, None) if command.slot == "identity" else (event.identity_salt, event.identity_raw)
                self.recorded[index] = Recorded(event.position, event.leaf_raw, *wording, *identity)
        self.claims.clear()
        for event in self.recorded:
            self.claim(event.stream.removeprefix("claim:")).apply([event])


def _party(name: str) -> Party:
    return Party(id=name if is_id(name, "src") else source_id(LOG, name), name=name)


def room() -> Room:
    """Return a room with the neighbours of the claim, and not yet the claim itself."""
    made = Room()
    for id in (OPEN, ALSO_OPEN):
        made.do(RegisterClaim(text=f"the claim {id}"), claim=id)
    made.do(RegisterClaim(text="is it right to leave?", checkable=False), claim=QUESTION)
    made.do(RegisterClaim(text="a mistake"), Withdraw(reason="registered twice"), claim=ENDED)
    assert len(made.recorded) == BEFORE
    return made


def given(history: Sequence[RegisterClaim | ClaimCommand], *, story: str | None = None) -> Room:
    """Return a room in which these commands were recorded on the claim."""
    made = room()
    made.do(*history, story=story)
    return made


def facts(drafts: Sequence[Draft]) -> list[Fact]:
    """Return the facts of drafts."""
    return [draft.fact for draft in drafts]


def says(source: str, **more: Any) -> AssertClaim:
    """Return the shortest command there is."""
    return AssertClaim(source=source, **more)
