"""What a decision may know, and the local numbers it hands out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import msgspec

from events.contracts import Fact, Identity, Origin, Party, Wording
from verifier.assessment import Assessment
from verifier.claim import Claim
from verifier.errors import Invalid, NotFound, Refused
from verifier.names import Names

QuoteFound = Literal["found", "bytes_not_held", "absent", "elsewhere", "other_context", "not_text"]
"""What looking a quote up in its snapshot gave."""


class Draft(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A fact that a command asks for, with its texts; the handler gives it its id."""

    stream: str
    fact: Fact
    wording: Wording
    identity: Identity


@dataclass(slots=True, kw_only=True)
class Other:
    """Another claim that a command names."""

    claim: Claim
    names: Names


class Known(msgspec.Struct, kw_only=True):
    """What a decision may know. `command` is the digest of the command, `parties` gives each name or id in it
    its source, `labels` each label that was merged away in the story the one it stands for today, `quote`
    what looking its quote up gave, `seen` the assessment that the editor of a verdict or publication had
    before them, `others` the other claims that the command names, `story` the story in which a claim is
    registered, or for which the command was asked."""

    lineage: str
    actor: str
    command: str
    claim: Claim
    names: Names
    parties: Mapping[str, Party] = {}
    labels: Mapping[str, str] = {}
    quote: QuoteFound | None = None
    seen: Assessment | None = None
    others: Mapping[str, Other] = {}
    story: str | None = None

    @property
    def scope(self) -> str:
        """Where a label means one thing: the story, or the claim where it has none."""
        return scope_of(self.claim, self.story)


def scope_of(claim: Claim, story: str | None = None) -> str:
    """Return where a label means one thing for a claim: its story, the one given while it is registered, or itself."""
    return (claim.registered.story if claim.registered else story) or claim.id


class Mentions:
    """The local numbers of a claim, handed out in order of first appearance, and whom one append names."""

    def __init__(self, claim: Claim, names: Names) -> None:
        self._names = names
        # The numbers of who appears for the first time now, and the last that was handed out. Those of before are
        # looked up where they are: a claim may have very many.
        self._new_parties: dict[str, int] = {}
        self._new_origins: dict[str, int] = {}
        self._new_documents: dict[str, int] = {}
        self._last_party = claim.last_party
        self._last_origin = claim.last_origin
        self._last_document = claim.last_document
        self.parties: dict[str, Party] = {}
        self.origins: dict[str, Origin] = {}
        self.documents: dict[str, str] = {}

    def party(self, party: Party) -> int:
        """Return a party's number, a new one at its first appearance."""
        number = self._names.party_numbers.get(party.id) or self._new_parties.get(party.id)
        if number is None:
            self._last_party += 1
            number = self._new_parties[party.id] = self._last_party
        self.parties[str(number)] = self._names.parties.get(number) or party
        return number

    def origin(self, origin: Origin) -> int:
        """Return an origin's number, a new one at its first appearance."""
        number = self._names.origin_numbers.get(origin.id) or self._new_origins.get(origin.id)
        if number is None:
            self._last_origin += 1
            number = self._new_origins[origin.id] = self._last_origin
        self.origins[str(number)] = self._names.origins.get(number) or origin
        return number

    def document(self, sha256: str) -> int:
        """Return a document's number, a new one at its first appearance."""
        number = self._names.document_numbers.get(sha256) or self._new_documents.get(sha256)
        if number is None:
            self._last_document += 1
            number = self._new_documents[sha256] = self._last_document
        self.documents[str(number)] = sha256
        return number

    def again(self, *, parties: Iterable[int] = (), origins: Iterable[int] = (), documents: Iterable[int] = ()) -> None:
        """Name whom numbers handed out before mean, as far as nobody erased it."""
        for number in parties:
            if number in self._names.parties:
                self.parties[str(number)] = self._names.parties[number]
        for number in origins:
            if number in self._names.origins:
                self.origins[str(number)] = self._names.origins[number]
        for number in documents:
            if number in self._names.documents:
                self.documents[str(number)] = self._names.documents[number]

    def identity(self, known: Known, *, fetched_by: str | None = None) -> Identity:
        """Return the identity of one event, and begin the next."""
        identity = Identity(
            actor=known.actor,
            command=known.command,
            parties=self.parties,
            origins=self.origins,
            documents=self.documents,
            fetched_by=fetched_by,
        )
        self.parties, self.origins, self.documents = {}, {}, {}
        return identity


def plain(
    known: Known, fact: Fact, *, reason: str | None = None, note: str | None = None, address: str | None = None
) -> Draft:
    """Draft a fact that names nobody."""
    wording = Wording(reason=reason, note=note, address=address)
    return draft(known, fact, wording, Mentions(known.claim, known.names).identity(known))


def draft(known: Known, fact: Fact, wording: Wording, identity: Identity) -> Draft:
    """Draft a fact on the claim itself."""
    return Draft(stream=f"claim:{known.claim.id}", fact=fact, wording=wording, identity=identity)


def no_claim(claim_id: str) -> NotFound:
    """Return the problem of a claim that isn't there."""
    return NotFound(f"there is no claim {claim_id} in this log: look its id up in the list of claims", claim=claim_id)


def other_claim(known: Known, name: str) -> Other:
    """Return another claim that a command names. Raises `NotFound`, and `Invalid` for the claim itself."""
    other = known.others.get(name)
    if other is None or other.claim.registered is None:
        raise no_claim(name)
    if other.claim.id == known.claim.id:
        raise Invalid("that is the claim itself: name another one", field="claim")
    return other


def check_undone(by: str | None, event: str) -> None:
    """Refuse to undo a second time what was undone already."""
    if by is not None:
        raise Refused(
            f"{event} was undone already by {by}: record it anew if it holds again", rule="acted-on", event=by
        )
