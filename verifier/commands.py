"""What can be asked for: one command per fact, with the words a person would use.

A command names sources, origins and documents by name, label or id; `verifier.handler` resolves
them, `verifier.decide` turns them into facts. Its `type` is the type of the fact it records.
Plain frozen dataclasses, so that the domain stays free of any framework; pydantic checks them where
they enter (`verifier.parsing`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Final, Literal, get_args

from annotated_types import Ge, Len, MaxLen, MinLen

from events.contracts import (
    Attribution,
    Basis,
    ClaimKind,
    Corrector,
    Extent,
    LegalBasis,
    LinkKind,
    NoteKind,
    Precision,
    Slot,
    SourceKind,
    Stance,
    Standing,
    Verdict,
)

Text = Annotated[str, MinLen(1), MaxLen(10_000)]
Name = Annotated[str, MinLen(1), MaxLen(500)]
Address = Annotated[str, MinLen(1), MaxLen(2_000)]
Names = Annotated[tuple[Name, ...], MaxLen(100)]
EventRef = Annotated[str, MinLen(1), MaxLen(40)]
Hash = Annotated[str, Len(64, 64)]

STRICT: Final = {"extra": "forbid"}
"""What pydantic is told about each of these: an unknown field is an error, never ignored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class When:
    """A time that needs more than one word: `at` as in `occurred` itself, or both bounds; how it is
    known (`basis`) and the words it was read from (`expression`)."""

    __pydantic_config__: ClassVar = STRICT
    at: Annotated[str, MaxLen(60)] | None = None
    earliest: Annotated[str, MaxLen(40)] | None = None
    latest: Annotated[str, MaxLen(40)] | None = None
    precision: Precision | None = None
    basis: Basis = "explicit"
    expression: Annotated[str, MinLen(1), MaxLen(200)] | None = None


Occurred = Annotated[str, MinLen(1), MaxLen(60)] | When
"""When it was said: `2020-01-06`, `2020-01`, `2020`, `2020-01-06T12:30Z`, `2020-01-05/2020-01-07`,
`unknown`, or a `When`. Left out: said when we recorded it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quotation:
    """Exact words, with where they stand: W3C text-quote and text-position selectors. With `document`
    (a SHA-256) they are looked up in the held bytes, and refused if they are not there."""

    __pydantic_config__: ClassVar = STRICT
    exact: Text
    document: Hash | None = None
    start: Annotated[int, Ge(0)] | None = None
    end: Annotated[int, Ge(0)] | None = None
    prefix: Annotated[str, MaxLen(200)] | None = None
    suffix: Annotated[str, MaxLen(200)] | None = None
    language: Annotated[str, MaxLen(35)] | None = None
    translation: Text | None = None
    translated_by: Name | None = None


Quoted = Text | Quotation


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """Any command. `causation` names the event it answers to; `correlation` is the caller's own mark."""

    __pydantic_config__: ClassVar = STRICT
    verb: ClassVar[str]
    causation: EventRef | None = None
    correlation: Annotated[str, MinLen(1), MaxLen(128)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Say(Command):
    """A source said something about a claim.

    `source` alone speaks for itself; with `via` it speaks and the others carry; with `origin` and no
    `via` it carries that origin, as a paper does that prints a letter.
    """

    source: Name
    via: Names = ()
    origin: Name | None = None
    attribution: Attribution = "on_record"
    standing: Standing | None = None
    extent: Extent = "whole"
    occurred: Occurred | None = None
    quote: Quoted | None = None
    documents: Annotated[tuple[Hash, ...], MaxLen(100)] = ()
    note: Text | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AssertClaim(Say):
    """Record that a source put the claim forward."""

    verb = "assert_claim"
    type: Literal["claim.asserted"] = "claim.asserted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Corroborate(Say):
    """Record that a source supported the claim."""

    verb = "corroborate"
    type: Literal["claim.corroborated"] = "claim.corroborated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deny(Say):
    """Record that a source said that the claim is not so."""

    verb = "deny"
    type: Literal["claim.denied"] = "claim.denied"


@dataclass(frozen=True, slots=True, kw_only=True)
class Note(Say):
    """Record a statement without a stance."""

    verb = "note"
    type: Literal["claim.noted"] = "claim.noted"
    kind: NoteKind = "comment"


First = AssertClaim | Corroborate | Deny | Note
"""The statements with which a claim can be registered in one append."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterClaim(Command):
    """Register a claim, and its first statement if one is given. `again` allows a second claim with a
    wording that the story already has."""

    verb = "register"
    type: Literal["claim.registered"] = "claim.registered"
    text: Text
    language: Annotated[str, MinLen(2), MaxLen(35)] = "en"
    kind: ClaimKind = "other"
    story: Name | None = None
    place: Name | None = None
    valid_from: Annotated[str, MaxLen(40)] | None = None
    valid_to: Annotated[str, MaxLen(40)] | None = None
    checkable: bool = True
    accuses: Names = ()
    note: Text | None = None
    again: bool = False
    statement: First | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Retract(Command):
    """Record that the source or a carrier of a statement took it back."""

    verb = "retract"
    type: Literal["statement.retracted"] = "statement.retracted"
    statement: EventRef
    by: Name
    occurred: Occurred | None = None
    quote: Quoted | None = None
    reason: Text | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Correct(Command):
    """Put a statement right; what is left out stays as it was."""

    verb = "correct"
    type: Literal["statement.corrected"] = "statement.corrected"
    statement: EventRef
    by: Corrector = "desk"
    reason: Text | None = None
    stance: Stance | None = None
    source: Name | None = None
    via: Names | None = None
    origin: Name | None = None
    attribution: Attribution | None = None
    standing: Standing | None = None
    extent: Extent | None = None
    occurred: Occurred | None = None
    quote: Quoted | None = None
    documents: Annotated[tuple[Hash, ...], MaxLen(100)] | None = None
    note: Text | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawStatement(Command):
    """Take back a statement, retraction, correction or attribution that we recorded by mistake."""

    verb = "withdraw_statement"
    type: Literal["statement.withdrawn"] = "statement.withdrawn"
    statement: EventRef
    reason: Text | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute(Command):
    """Name the speaker of an unattributed statement."""

    verb = "attribute"
    type: Literal["statement.attributed"] = "statement.attributed"
    statement: EventRef
    source: Name
    origin: Name | None = None
    attribution: Attribution = "on_record"
    standing: Standing | None = None
    reason: Text | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeOrigins(Command):
    """Say that two origins are one, for a claim or for a story."""

    verb = "merge_origins"
    type: Literal["origins.merged"] = "origins.merged"
    kept: Name
    merged: Name
    reason: Text | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitOrigins(Command):
    """Undo a merge of origins."""

    verb = "split_origins"
    type: Literal["origins.split"] = "origins.split"
    merge: EventRef
    reason: Text | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attach(Command):
    """Attach a document snapshot by the SHA-256 of its bytes."""

    verb = "attach"
    type: Literal["evidence.attached"] = "evidence.attached"
    sha256: Hash
    size: Annotated[int, Ge(0)]
    media_type: Annotated[str, MaxLen(127)] = "text/plain"
    address: Address | None = None
    fetched_at: Annotated[str, MaxLen(40)] | None = None
    fetched_by: Name | None = None
    shows: Text | None = None
    statement: EventRef | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjudicate(Command):
    """Record an authorised person's verdict. `seen` is the position that the editor had in front of them."""

    verb = "adjudicate"
    type: Literal["claim.adjudicated"] = "claim.adjudicated"
    verdict: Verdict
    reason: Text
    seen: Annotated[int, Ge(0)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawVerdict(Command):
    """Take back the verdict that stands."""

    verb = "withdraw_verdict"
    type: Literal["adjudication.withdrawn"] = "adjudication.withdrawn"
    adjudication: EventRef | None = None
    reason: Text | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Link(Command):
    """Say how this claim bears on another."""

    verb = "link"
    type: Literal["claim.linked"] = "claim.linked"
    to: Name
    kind: LinkKind = "related"
    note: Text | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlink(Command):
    """Take back a link."""

    verb = "unlink"
    type: Literal["claim.unlinked"] = "claim.unlinked"
    link: EventRef
    reason: Text | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reword(Command):
    """Put the wording, language, scope or kind right; what is left out stays as it was."""

    verb = "reword"
    type: Literal["claim.reworded"] = "claim.reworded"
    text: Text | None = None
    language: Annotated[str, MinLen(2), MaxLen(35)] | None = None
    kind: ClaimKind | None = None
    place: Name | None = None
    valid_from: Annotated[str, MaxLen(40)] | None = None
    valid_to: Annotated[str, MaxLen(40)] | None = None
    reason: Text | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Split(Command):
    """Divide the claim into others. `statements` says, for every statement, to which of them it speaks
    (to none: an empty list)."""

    verb = "split"
    type: Literal["claim.split"] = "claim.split"
    into: Annotated[tuple[Name, ...], Len(2, 20)]
    statements: Annotated[dict[EventRef, tuple[Name, ...]], MaxLen(1_000)] = field(default_factory=dict)
    reason: Text | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Merge(Command):
    """Let the claim go on in another one, with all its statements."""

    verb = "merge"
    type: Literal["claim.merged"] = "claim.merged"
    into: Name
    reason: Text | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdraw(Command):
    """Withdraw a claim that should not have been registered."""

    verb = "withdraw"
    type: Literal["claim.withdrawn"] = "claim.withdrawn"
    reason: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Publish(Command):
    """Record where we used the claim, and at which status."""

    verb = "publish_claim"
    type: Literal["claim.published"] = "claim.published"
    address: Address
    day: Annotated[str, Len(10, 10)]
    seen: Annotated[int, Ge(0)] | None = None
    note: Text | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpublish(Command):
    """Record that a publication was taken down or put right."""

    verb = "unpublish_claim"
    type: Literal["claim.unpublished"] = "claim.unpublished"
    publication: EventRef
    reason: Text | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Erase(Command):
    """Remove a text of an event for a legal reason; the status stays as it is."""

    verb = "erase"
    type: Literal["text.erased"] = "text.erased"
    event: EventRef
    slot: Slot
    basis: LegalBasis
    reason: Text | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterSource(Command):
    """Register a source, with its aliases; a protected one is known by a random id."""

    verb = "register_source"
    type: Literal["source.registered"] = "source.registered"
    name: Name
    kind: SourceKind = "unknown"
    aliases: Names = ()
    role: Name | None = None
    protected: bool = False
    note: Text | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateSource(Command):
    """Change a source's name, kind, aliases or role, or say that it is the `same_as` another."""

    verb = "update_source"
    type: Literal["source.updated"] = "source.updated"
    source: Name
    name: Name | None = None
    kind: SourceKind | None = None
    aliases: Names = ()
    role: Name | None = None
    same_as: Name | None = None
    note: Text | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenStory(Command):
    """Open a story, which gathers claims."""

    verb = "open_story"
    type: Literal["story.opened"] = "story.opened"
    title: Name
    note: Text | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptPolicy(Command):
    """Serve this policy from here on."""

    verb = "adopt_policy"
    type: Literal["policy.adopted"] = "policy.adopted"
    policy: Name
    reason: Text | None = None


ClaimCommand = (
    AssertClaim | Corroborate | Deny | Note | Retract | Correct | WithdrawStatement | Attribute | MergeOrigins
    | SplitOrigins | Attach | Adjudicate | WithdrawVerdict | Link | Unlink | Reword | Split | Merge | Withdraw
    | Publish | Unpublish | Erase
)  # fmt: skip
"""The commands on one claim that exists: the bodies of `POST /claims/{id}/events`."""

StoryCommand = MergeOrigins | SplitOrigins | Erase
"""The commands on one story: the bodies of `POST /stories/{id}/events`."""

SourceCommand = UpdateSource | Erase
"""The commands on one source: the bodies of `POST /sources/{id}/events`."""

AnyCommand = RegisterClaim | ClaimCommand | RegisterSource | UpdateSource | OpenStory | AdoptPolicy

COMMANDS: Final[dict[str, type[Command]]] = {
    cls.__dataclass_fields__["type"].default: cls for cls in get_args(AnyCommand)
}
"""Every command by the type of the fact it records."""

VERBS: Final[dict[str, str]] = {cls.verb: name for name, cls in COMMANDS.items()}
"""Every verb, as in Python, with the type of the fact it records."""

RECORDED_BY_THE_LOG: Final = ("log.opened", "statuses.attested", "identity.read")
"""The facts that no verb asks for: the product records them itself."""
