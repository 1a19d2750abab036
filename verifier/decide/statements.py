"""Saying something about a claim: who, through whom, from where, and the exact words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, Literal

from events.contracts import (
    Attribution,
    ClaimAsserted,
    ClaimCorroborated,
    ClaimDenied,
    ClaimNoted,
    Origin,
    Party,
    Quote,
    Stance,
    Standing,
    Statement,
    Wording,
)
from verifier import times
from verifier.commands import AssertClaim, Corroborate, Deny, First, Note, Quotation, Quoted, When
from verifier.decide.known import Draft, Known, Mentions, draft
from verifier.errors import Invalid, NotFound, Refused
from verifier.naming import is_id, is_sha256, normal, origin_id, source_id, unnamed_source_id

UNNAMED: Final[tuple[Attribution, ...]] = ("anonymous", "unattributed")
"""How speakers are known who are described, not named."""

STANCES: Final[Mapping[Stance, Callable[..., Statement]]] = {
    "asserted": ClaimAsserted,
    "corroborated": ClaimCorroborated,
    "denied": ClaimDenied,
}
"""The fact that records each stance. All take the fields of any statement, and no other."""


def say(known: Known, command: First, mentions: Mentions, *, accused: Mapping[int, str] | None = None) -> Draft:
    """Record what a source said. `accused` are the parties that a claim accuses which is being registered, each
    with the source it is.

    Raises `Refused` for a stance on an open question, a document that isn't named and a quote that isn't there.
    """
    if known.claim.registered is not None:
        check_stance(stance_of(command), checkable=known.claim.checkable)
        accused = accused_by(known)
    check_document(command.attribution, command.origin)
    speaker = whom(known, command.source, command.attribution)
    source = mentions.party(speaker)
    via = carriers_of(known, command.via, speaker, mentions)
    origin, own = origin_meant(known, command.origin, speaker)
    quoted, quoted_in, quote = quoted_words(known, command.quote, mentions)
    record = partial(ClaimNoted, kind=command.kind) if isinstance(command, Note) else STANCES[stance_of(command)]
    fact = record(
        attribution=command.attribution,
        carries=not own and not via,
        documents=documents_of(command.documents, mentions),
        extent=command.extent,
        occurred=times.occurred(command.occurred),
        origin=mentions.origin(origin),
        quoted=quoted,
        quoted_in=quoted_in,
        source=source,
        standing=command.standing or standing_of(known, source, accused or {}, None if own or via else origin),
        via=via,
    )
    wording = Wording(quote=quote, note=command.note, expression=expression_of(command.occurred))
    return draft(known, fact, wording, mentions.identity(known))


def check_stance(stance: Stance | None, *, checkable: bool) -> None:
    """Refuse a stance on an open question; `None`, where a correction leaves it, and `none` are no stance."""
    if not checkable and stance not in (None, "none"):
        raise Refused(
            "the claim is an open question (an opinion, or a sentence without its antecedent) and takes no stance: "
            "record a note, or register a checkable claim",
            rule="not-checkable",
        )


def stance_of(command: First) -> Stance:
    """Return the stance that a command records; a note has none."""
    match command:
        case AssertClaim():
            return "asserted"
        case Corroborate():
            return "corroborated"
        case Deny():
            return "denied"
        case Note():
            return "none"


def check_document(attribution: Attribution, origin: str | None) -> None:
    """Refuse a documentary statement that doesn't name its document."""
    if attribution == "documentary" and origin is None:
        raise Refused(
            "a documentary statement must name its document: give it as `origin`, such as the letter",
            rule="document-not-named",
        )


def accused_by(known: Known) -> dict[int, str]:
    """Return the parties whom a claim accuses, each with the source it is, as far as nobody erased that."""
    registered, parties = known.claim.registered, known.names.parties
    accused = registered.accuses if registered else ()
    return {number: parties[number].id if number in parties else "" for number in accused}


def standing_of(known: Known, source: int, accused: Mapping[int, str], carried: Origin | None) -> Standing:
    """Return what a source is to a claim where nobody says: a party to it where the claim accuses it, or whom
    it only carries."""
    word_of = {origin_id(known.lineage, known.scope, id) for id in accused.values() if id}
    return "interested" if source in accused or (carried and carried.id in word_of) else "unknown"


def whom(known: Known, name: str, attribution: Attribution) -> Party:
    """Return whom a name means. Someone who is described, not named, is known within this claim only."""
    if attribution in UNNAMED and not is_id(name, "src"):
        return Party(id=unnamed_source_id(known.lineage, known.claim.id, name), name=name)
    return known.parties.get(name) or Party(id=source_id(known.lineage, name), name=name)


def carriers_of(known: Known, via: tuple[str, ...], speaker: Party, mentions: Mentions) -> tuple[int, ...]:
    """Return who carried it, each once and never the speaker."""
    carriers = [party for name in via if (party := known.parties[name]).id != speaker.id]
    return tuple(dict.fromkeys(mentions.party(party) for party in carriers))


def origin_meant(known: Known, label: str | None, speaker: Party) -> tuple[Origin, bool]:
    """Return the origin that a label means, and whether it is the speaker's own.

    A label, or a speaker's own origin, that was merged away in the story is the origin it was merged into.
    """
    own = own_origin(known, speaker)
    if label is None or normal(label) == normal(speaker.name):
        merged = known.labels.get(speaker.name)
        return (own if merged is None else origin_meant(known, merged, speaker)[0]), True
    label = known.labels.get(label, label)
    if is_id(label, "org"):
        number = known.names.origin_numbers.get(label)
        if number is None:
            raise NotFound(f"the claim has no origin {label}: name it by its label", origin=label)
        return known.names.origins[number], label == own.id
    unnamed = unnamed_source_id(known.lineage, known.claim.id, label)
    source = Party(id=unnamed, name=label) if unnamed in known.names.party_numbers else known.parties[label]
    origin = Origin(id=own_origin(known, source, label=label).id, label=label)
    return origin, origin.id == own.id


def own_origin(known: Known, speaker: Party, *, label: str | None = None) -> Origin:
    """Return the origin that a speaker is.

    Somebody who is described, not named, is the origin of that label where the claim has one already: a
    label means one thing here, whether first somebody carried it or its speaker was heard.
    """
    name = label or speaker.name
    own = Origin(id=origin_id(known.lineage, known.scope, speaker.id), label=speaker.name)
    if own.id in known.names.origin_numbers or speaker.id != unnamed_source_id(known.lineage, known.claim.id, name):
        return own
    named = known.parties[name].id if name in known.parties else source_id(known.lineage, name)
    carried = known.names.origin_numbers.get(origin_id(known.lineage, known.scope, named))
    if carried is None or (label is None and named in known.names.party_numbers):
        return own
    return known.names.origins[carried]


def documents_of(documents: tuple[str, ...], mentions: Mentions) -> tuple[int, ...]:
    """Return the numbers of document snapshots, each once. Raises `Invalid` for what is no SHA-256."""
    for sha256 in documents:
        check_hash(sha256)
    return tuple(dict.fromkeys(mentions.document(sha256) for sha256 in documents))


def check_hash(sha256: str) -> None:
    """Raise `Invalid` for what is no SHA-256."""
    if not is_sha256(sha256):
        raise Invalid(f"{sha256!r} is not a SHA-256 in lower-case hex: give 64 of 0-9 and a-f", field="sha256")


def quoted_words(
    known: Known, quoted: Quoted | None, mentions: Mentions
) -> tuple[Literal["found", "bytes_not_held"] | None, int | None, Quote | None]:
    """Return whether a quote was found, in which document, and its words.

    Raises `Refused` for one that is not in its document, `Invalid` for positions that are none.
    """
    if quoted is None:
        return None, None, None
    if isinstance(quoted, str):
        return None, None, Quote(exact=quoted)
    if quoted.start is not None and quoted.end is not None and quoted.end < quoted.start:
        raise Invalid("the quote ends before it starts: swap `start` and `end`", field="quote")
    quote = quote_of(quoted)
    if quoted.document is None:
        return None, None, quote
    check_hash(quoted.document)
    match known.quote:
        case "found":
            return "found", mentions.document(quoted.document), quote
        case "bytes_not_held" | None:
            return "bytes_not_held", mentions.document(quoted.document), quote
        case "absent":
            detail = "its words are not there: copy them exactly as they stand"
        case "elsewhere":
            detail = "its words are there, but not at `start`: mend the positions or leave them out"
        case "other_context":
            detail = "its words are there, but not between that prefix and suffix: mend these or leave them out"
        case "not_text":
            detail = "the document is not text: leave `document` out of the quote"
    raise Refused(f"the quote is not in the document: {detail}", rule="quote-not-found", document=quoted.document)


def quote_of(quoted: Quotation) -> Quote:
    """Return a quotation as it is recorded, without the document, whose hash stands in `Identity`."""
    return Quote(
        exact=quoted.exact,
        start=quoted.start,
        end=quoted.end,
        prefix=quoted.prefix or None,
        suffix=quoted.suffix or None,
        language=quoted.language,
        translation=quoted.translation,
        translated_by=quoted.translated_by,
    )


def expression_of(occurred: str | When | None) -> str | None:
    """Return the words that a time was read from."""
    return occurred.expression if isinstance(occurred, When) else None
