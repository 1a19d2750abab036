"""Whom and what a claim's local numbers mean, as far as nobody erased it.

Kept apart from the state, because a status is computed from leaves alone. A number is handed out in
the order of first appearance and never again for somebody else; after the last text that named it
was erased, the same source met again gets a new one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from events.contracts import Identity, Origin, Party, TextErased, Wording
from events.log import Recorded

ERASED_PARTY: Final = "a source whose name was erased"
"""What stands where a party's name was."""

ERASED_ORIGIN: Final = "an origin whose name was erased"
"""What stands where an origin's label was."""


@dataclass(slots=True)
class Names:
    """Parties, origins and documents by local number, and back; the claim's wordings by event."""

    parties: dict[int, Party] = field(default_factory=dict)
    origins: dict[int, Origin] = field(default_factory=dict)
    documents: dict[int, str] = field(default_factory=dict)
    wordings: dict[str, Wording] = field(default_factory=dict)
    erased: dict[tuple[str, str], str] = field(default_factory=dict)
    party_numbers: dict[str, int] = field(default_factory=dict)
    origin_numbers: dict[str, int] = field(default_factory=dict)
    document_numbers: dict[str, int] = field(default_factory=dict)

    def learn(self, event: Recorded) -> bool:
        """Take the names of one event, in order of position. Say whether names read before are to be
        read again, because a text was erased since."""
        fact = event.leaf.fact
        if isinstance(fact, TextErased):
            self.erased[fact.event, fact.slot] = event.leaf.id
            return True
        if event.identity_raw is not None:
            self._learn_identity(event.identity)
        wording = event.wording
        if wording is not None and (wording.text or wording.title):
            self.wordings[event.leaf.id] = wording
        return False

    def _learn_identity(self, identity: Identity | None) -> None:
        if identity is None:
            return
        for key, party in identity.parties.items():
            number = int(key)
            self.parties[number] = party
            self.party_numbers[party.id] = number
        for key, origin in identity.origins.items():
            number = int(key)
            self.origins[number] = origin
            self.origin_numbers[origin.id] = number
        for key, sha256 in identity.documents.items():
            number = int(key)
            self.documents[number] = sha256
            self.document_numbers[sha256] = number

    def party(self, number: int | None) -> str:
        """Return a party's name, or that it was erased."""
        known = self.parties.get(number or 0)
        return known.name if known else ERASED_PARTY

    def origin(self, number: int | None) -> str:
        """Return an origin's label, or that it was erased."""
        known = self.origins.get(number or 0)
        return known.label if known else ERASED_ORIGIN
