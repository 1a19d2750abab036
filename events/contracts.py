"""What may be recorded: every fact, its closed enumerations, and the two slots of text beside it.

A *fact* is the public structure of an event: enumerations, times, counts and, within a claim, small
*local numbers* for parties (sources and carriers), origins and documents, in the order they first
appear. It names nobody. Names stand in `Identity`, words in `Wording`; both lie beside the fact and
can be erased without changing it (see `events.leaf`).

A released fact is never edited. To change one, add a new version (`claim.denied.v2`) and go on
reading the old one; `tests/events/golden` holds one record per released type.

Times are strings, UTC with microseconds and a fixed width (`2020-01-06T00:00:00.000000Z`), so that
they compare as they sort.
"""

from __future__ import annotations

import functools
import operator
from typing import Annotated, Any, ClassVar, Final, Literal, get_args

import msgspec
from msgspec import Meta

# --- closed enumerations ---------------------------------------------------------------------------

Attribution = Literal["first_hand", "documentary", "on_record", "anonymous", "unattributed"]
"""How the speaker is known: saw it; a document says it; named and quotable (also an outlet's own
voice); described but not named; nobody knows who."""

Standing = Literal["authoritative", "unknown", "interested"]
"""What the source is to the claim: competent to decide it, nothing known, or a party to it."""

Extent = Literal["whole", "part"]
"""Whether a statement speaks of the whole claim or of a part of it."""

Basis = Literal["explicit", "inferred", "assumed"]
"""How a time is known: it was said; it was worked out; nobody said, so the time of recording stands."""

Precision = Literal["instant", "minute", "hour", "day", "month", "year", "range", "unknown"]
"""How exact a time is. `unknown` overlaps every time."""

Stance = Literal["asserted", "corroborated", "denied", "none"]
"""What a statement says of its claim; `none` only after a correction."""

NoteKind = Literal["query", "comment", "asked", "declined", "no_reply"]
"""A statement without a stance: a question, a comment, we asked for a reply, it was declined, none came."""

ClaimKind = Literal[
    "event", "decision", "content", "authenticity", "quotation", "attribution",
    "role", "definition", "description", "opinion", "other",
]  # fmt: skip
"""What kind of proposition a claim is."""

SourceKind = Literal["person", "organisation", "outlet", "wire", "document", "observer", "unknown"]
"""What kind of party a source is."""

Verdict = Literal[
    "true", "mostly_true", "mixed", "misleading", "mostly_false", "false", "unprovable", "satire", "out_of_scope",
]  # fmt: skip
"""What an authorised person decided about a claim. Nothing computed ever uses these words."""

LinkKind = Literal["contradicts", "implies", "presupposes", "evidence_for", "evidence_against", "related"]
"""How one claim bears on another. Navigation and attention; never counted."""

Status = Literal[
    "unassessed", "asserted", "corroborated", "disputed", "denied", "retracted", "withdrawn", "merged", "split",
]  # fmt: skip
"""How the evidence stands. A status is not truth."""

By = Literal["source", "carrier"]
"""Who takes a statement back: the one whose word it is, or one who carried it."""

Corrector = Literal["desk", "source"]
"""Who puts a statement right: we, or the source itself."""

QuoteCheck = Literal["found", "bytes_not_held"]
"""Whether a quote was found in its snapshot when it was recorded. `not found` is refused, so never recorded."""

Slot = Literal["wording", "identity"]
"""One of the two texts beside a fact."""

LegalBasis = Literal["court_order", "data_protection", "source_protection", "copyright", "other_legal"]
"""Why a text was erased."""

# --- small values ----------------------------------------------------------------------------------

Local = Annotated[int, Meta(ge=1, le=2**31 - 1)]
"""A number that means one party, origin or document within one stream, and nothing outside it."""

Position = Annotated[int, Meta(ge=0, le=2**53 - 1)]
"""A place in the log: 1, 2, 3, …; 0 is before the first."""

Offset = Annotated[int, Meta(ge=0, le=2**53 - 1)]
"""A place in a text, in characters from its beginning."""

# Decoding checks lengths only, which costs nothing; `events.leaf.check_form` checks the patterns where
# leaves come from outside (restore, audit).
Time = Annotated[str, Meta(min_length=27, max_length=27)]
Sha256 = Annotated[str, Meta(min_length=64, max_length=64)]
EventId = Annotated[str, Meta(min_length=30, max_length=30)]
ClaimId = Annotated[str, Meta(min_length=30, max_length=30)]
StoryId = Annotated[str, Meta(min_length=30, max_length=30)]
SourceId = Annotated[str, Meta(min_length=30, max_length=30)]
OriginId = Annotated[str, Meta(min_length=30, max_length=30)]
LogId = Annotated[str, Meta(min_length=30, max_length=30)]
Stream = Annotated[str, Meta(min_length=3, max_length=37)]
Language = Annotated[str, Meta(min_length=2, max_length=35)]
Text = Annotated[str, Meta(min_length=1, max_length=10_000)]
Name = Annotated[str, Meta(min_length=1, max_length=500)]


class Occurred(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """When something was said or done: it lies between `earliest` and `latest`, both inclusive.

    Without bounds and with basis `assumed` it is the time of recording; with precision `unknown` it
    overlaps every time.
    """

    basis: Basis = "assumed"
    earliest: Time | None = None
    latest: Time | None = None
    precision: Precision = "instant"


class Fact(
    msgspec.Struct,
    frozen=True,
    gc=False,
    kw_only=True,
    tag_field="type",
    omit_defaults=True,
    forbid_unknown_fields=True,
):
    """The public structure of one event. `words` names the fields of `Wording` that may stand beside it."""

    words: ClassVar[tuple[str, ...]] = ()


# --- claims and statements -------------------------------------------------------------------------


class ClaimRegistered(Fact, frozen=True, kw_only=True, tag="claim.registered"):
    """A checkable, affirmative proposition exists. `checkable` is false for opinions and for sentences
    without their antecedent: such a claim takes notes and refuses stances. `accuses` names the parties
    whom the claim accuses: their word on it is that of an interested party unless said otherwise."""

    words: ClassVar = ("text", "place", "note")
    accuses: tuple[Local, ...] = ()
    checkable: bool = True
    kind: ClaimKind = "other"
    language: Language = "en"
    story: StoryId | None = None
    valid_from: Time | None = None
    valid_to: Time | None = None


class Statement(Fact, frozen=True, kw_only=True):
    """A source said something about a claim. Not recorded itself: see its subclasses.

    `source` is whose word it is; `via` who carried it to us, the outlet we read first … the one next to
    the source last, never the source. `origin` is where the information entered the world. With
    `carries` the source speaks for nobody: it printed that origin. `documents` are the snapshots it
    rests on; `quoted` says whether its quote was found in the one at `quoted_in`.
    """

    attribution: Attribution = "on_record"
    carries: bool = False
    derived_from: EventId | None = None
    documents: tuple[Local, ...] = ()
    extent: Extent = "whole"
    occurred: Occurred = Occurred()
    origin: Local
    quoted: QuoteCheck | None = None
    quoted_in: Local | None = None
    source: Local
    standing: Standing = "unknown"
    via: tuple[Local, ...] = ()


class ClaimAsserted(Statement, frozen=True, kw_only=True, tag="claim.asserted"):
    """A source put the claim forward."""

    words: ClassVar = ("quote", "note", "expression")


class ClaimCorroborated(Statement, frozen=True, kw_only=True, tag="claim.corroborated"):
    """A source supported a claim that others had put forward. It counts exactly as an assertion does."""

    words: ClassVar = ("quote", "note", "expression")


class ClaimDenied(Statement, frozen=True, kw_only=True, tag="claim.denied"):
    """A source said that the claim is not so."""

    words: ClassVar = ("quote", "note", "expression")


class ClaimNoted(Statement, frozen=True, kw_only=True, tag="claim.noted"):
    """A statement without a stance: kept out of every count, kept in the audit."""

    words: ClassVar = ("quote", "note", "expression")
    kind: NoteKind = "comment"


class StatementRetracted(Fact, frozen=True, kw_only=True, tag="statement.retracted"):
    """Somebody took back what he said or carried. By the source: every statement of that origin and
    stance on this claim falls, whoever printed it. By a carrier: what reached us through it falls.
    What was said wholly after the retraction stands."""

    words: ClassVar = ("reason", "quote", "expression")
    by: By
    occurred: Occurred = Occurred()
    party: Local
    statement: EventId


class StatementCorrected(Statement, frozen=True, kw_only=True, tag="statement.corrected"):
    """A statement put right, by the desk or by its source; these fields stand in its place. With stance
    `none` it stands for nothing any more (satire, a misreading); a support that its own source corrects
    to `none` counts as retracted."""

    words: ClassVar = ("reason", "quote", "note", "expression")
    by: Corrector
    stance: Stance
    statement: EventId


class StatementWithdrawn(Fact, frozen=True, kw_only=True, tag="statement.withdrawn"):
    """We recorded a statement, retraction, correction or attribution by mistake: it counts nowhere and
    says nothing about the source."""

    words: ClassVar = ("reason",)
    statement: EventId


class StatementAttributed(Fact, frozen=True, kw_only=True, tag="statement.attributed"):
    """The speaker of an unattributed statement was found. A default origin is taken anew."""

    words: ClassVar = ("reason",)
    attribution: Attribution = "on_record"
    origin: Local
    source: Local
    standing: Standing = "unknown"
    statement: EventId


class OriginsMerged(Fact, frozen=True, kw_only=True, tag="origins.merged"):
    """Two origins turned out to be one: what named `merged` counts as `kept`."""

    words: ClassVar = ("reason",)
    kept: Local
    merged: Local


class OriginsSplit(Fact, frozen=True, kw_only=True, tag="origins.split"):
    """A merge of origins was undone."""

    words: ClassVar = ("reason",)
    merge: EventId


class EvidenceAttached(Fact, frozen=True, kw_only=True, tag="evidence.attached"):
    """A document snapshot was taken: its bytes are kept by their SHA-256, which stands in `Identity`."""

    words: ClassVar = ("address", "shows")
    document: Local
    fetched_at: Time | None = None
    media_type: Annotated[str, Meta(min_length=3, max_length=127)]
    size: Annotated[int, Meta(ge=0, le=50 * 2**20)]
    statement: EventId | None = None


class ClaimAdjudicated(Fact, frozen=True, kw_only=True, tag="claim.adjudicated"):
    """An authorised person's verdict; `seen` and `status` are the position and the status that the
    editor had in front of them. `replaces` names the verdict that stood before."""

    words: ClassVar = ("reason",)
    policy: Name
    replaces: EventId | None = None
    seen: Position
    status: Status
    verdict: Verdict


class AdjudicationWithdrawn(Fact, frozen=True, kw_only=True, tag="adjudication.withdrawn"):
    """A verdict was taken back."""

    words: ClassVar = ("reason",)
    adjudication: EventId


class ClaimLinked(Fact, frozen=True, kw_only=True, tag="claim.linked"):
    """This claim bears on another. Never counted: an authentic letter does not make its content true."""

    words: ClassVar = ("note",)
    kind: LinkKind
    to: ClaimId


class ClaimUnlinked(Fact, frozen=True, kw_only=True, tag="claim.unlinked"):
    """A link was taken back."""

    words: ClassVar = ("reason",)
    link: EventId


class ClaimReworded(Fact, frozen=True, kw_only=True, tag="claim.reworded"):
    """Wording, language, scope or kind put right without changing what the sources spoke about.
    `replaces` names the wording that stood before."""

    words: ClassVar = ("text", "place", "reason")
    kind: ClaimKind = "other"
    language: Language = "en"
    replaces: EventId
    valid_from: Time | None = None
    valid_to: Time | None = None


class Assignment(msgspec.Struct, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True):
    """To which of the claims that go on a statement speaks: their places in `into`, counted from 1, so that
    a thousand statements fit into one leaf; to none of them when `claims` is empty."""

    claims: tuple[Annotated[int, Meta(ge=1, le=1_000)], ...]
    statement: EventId


class ClaimSplit(Fact, frozen=True, kw_only=True, tag="claim.split"):
    """The claim was really several. It points on and takes no more facts."""

    words: ClassVar = ("reason",)
    assignments: tuple[Assignment, ...]
    into: tuple[ClaimId, ...]


class ClaimMerged(Fact, frozen=True, kw_only=True, tag="claim.merged"):
    """The claim is the same as another. It points on and takes no more facts."""

    words: ClassVar = ("reason",)
    assignments: tuple[Assignment, ...]
    into: ClaimId


class ClaimWithdrawn(Fact, frozen=True, kw_only=True, tag="claim.withdrawn"):
    """The claim should not have been registered. It takes no more facts."""

    words: ClassVar = ("reason",)


class ClaimPublished(Fact, frozen=True, kw_only=True, tag="claim.published"):
    """Where we used the claim, and as what: whom a recall concerns."""

    words: ClassVar = ("address", "note")
    day: Annotated[str, Meta(min_length=10, max_length=10)]
    seen: Position
    status: Status


class ClaimUnpublished(Fact, frozen=True, kw_only=True, tag="claim.unpublished"):
    """A publication was taken down or put right."""

    words: ClassVar = ("reason",)
    publication: EventId


# --- sources and stories ---------------------------------------------------------------------------


class SourceRegistered(Fact, frozen=True, kw_only=True, tag="source.registered"):
    """Who we talk about. The names stand in `Identity`, under local number 1."""

    words: ClassVar = ("note",)
    kind: SourceKind = "unknown"
    protected: bool = False


class SourceUpdated(Fact, frozen=True, kw_only=True, tag="source.updated"):
    """New names, aliases or role; with `same_as` this source is another one under an old name."""

    words: ClassVar = ("note",)
    kind: SourceKind = "unknown"
    same_as: SourceId | None = None


class StoryOpened(Fact, frozen=True, kw_only=True, tag="story.opened"):
    """A story gathers claims, and within it a label such as "the letter" means one thing."""

    words: ClassVar = ("title", "note")


# --- the log itself --------------------------------------------------------------------------------


class LogOpened(Fact, frozen=True, kw_only=True, tag="log.opened"):
    """The first event of every log: its id.

    After a fork, `fork` is the last checkpoint of the log that this one goes on from, and `lineage` the first log of
    that line, from whose id the ids of names are derived. Every other fact of a fork stands as it stood there, at its
    position; so this one takes the time of the fact whose place it has, and the note says when the log was forked.
    """

    words: ClassVar = ("note",)
    fork: Annotated[str, Meta(max_length=4_096)] | None = None
    lineage: LogId | None = None
    log: LogId


class PolicyAdopted(Fact, frozen=True, kw_only=True, tag="policy.adopted"):
    """From here on the desk serves this policy."""

    words: ClassVar = ("reason",)
    digest: Sha256
    policy: Name


class StatusesAttested(Fact, frozen=True, kw_only=True, tag="statuses.attested"):
    """The root over all claim states at a position."""

    at: Position
    policy: Name
    root: Sha256


class TextErased(Fact, frozen=True, kw_only=True, tag="text.erased"):
    """A text was removed for a stated legal reason. Appending this fact removes it, in the same commit."""

    words: ClassVar = ("reason",)
    basis: LegalBasis
    event: EventId
    slot: Slot


class IdentityRead(Fact, frozen=True, kw_only=True, tag="identity.read"):
    """Somebody read a protected identity; who, stands in `Identity.actor`."""

    words: ClassVar = ("reason",)
    event: EventId


# --- the texts -------------------------------------------------------------------------------------


class Quote(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Exact words, as W3C Web Annotation text-quote and text-position selectors: `exact` with what stood
    around it, `start` and `end` in characters of the decoded snapshot."""

    end: Offset | None = None
    exact: Text
    language: str | None = None
    prefix: str | None = None
    start: Offset | None = None
    suffix: str | None = None
    translated_by: Name | None = None
    translation: Text | None = None


class Wording(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """The words of an event. Which of them a fact may carry is its `words`."""

    address: Annotated[str, Meta(min_length=1, max_length=2_000)] | None = None
    expression: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    note: Text | None = None
    place: Name | None = None
    quote: Quote | None = None
    reason: Text | None = None
    shows: Text | None = None
    text: Text | None = None
    title: Name | None = None


class Party(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Whom a local number means."""

    aliases: tuple[Name, ...] = ()
    id: SourceId
    name: Name
    role: Name | None = None


class Origin(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Which origin a local number means."""

    id: OriginId
    label: Name


class Identity(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Who stands behind an event: the actor who recorded it, the digest of the command it came from, and
    everyone its local numbers mean, so that each event can be read by itself."""

    actor: Name
    command: Sha256 | None = None
    documents: dict[str, Sha256] = {}
    fetched_by: Name | None = None
    origins: dict[str, Origin] = {}
    parties: dict[str, Party] = {}


# --- the table of facts ----------------------------------------------------------------------------

FACTS: Final[dict[str, type[Fact]]] = {
    cls.__struct_config__.tag: cls  # type: ignore[misc]  # the tag of every class below is a str
    for cls in (
        ClaimRegistered, ClaimAsserted, ClaimCorroborated, ClaimDenied, ClaimNoted,
        StatementRetracted, StatementCorrected, StatementWithdrawn, StatementAttributed,
        OriginsMerged, OriginsSplit, EvidenceAttached, ClaimAdjudicated, AdjudicationWithdrawn,
        ClaimLinked, ClaimUnlinked, ClaimReworded, ClaimSplit, ClaimMerged, ClaimWithdrawn,
        ClaimPublished, ClaimUnpublished, SourceRegistered, SourceUpdated, StoryOpened,
        LogOpened, PolicyAdopted, StatusesAttested, TextErased, IdentityRead,
    )
}  # fmt: skip
"""Every fact by its type name."""

ENUMERATIONS: Final[dict[str, tuple[str, ...]]] = {
    name: get_args(value)
    for name, value in {
        "attribution": Attribution, "standing": Standing, "extent": Extent, "basis": Basis,
        "precision": Precision, "stance": Stance, "note kind": NoteKind, "claim kind": ClaimKind,
        "source kind": SourceKind, "verdict": Verdict, "link kind": LinkKind, "status": Status,
        "retracted by": By, "corrected by": Corrector, "quote check": QuoteCheck, "slot": Slot,
        "legal basis": LegalBasis,
    }.items()
}  # fmt: skip
"""Every closed enumeration by its name, for the reference."""


def type_of(fact: Fact) -> str:
    """Return the type name of a fact, such as `claim.denied`."""
    return fact.__struct_config__.tag  # type: ignore[return-value]  # the tag of every fact is a str


AnyFact: Any = functools.reduce(operator.or_, FACTS.values())
"""The union of all facts, as msgspec decodes it."""
