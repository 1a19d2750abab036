"""Acting on what was said: taking it back, putting it right, naming its speaker, joining its origins.

Each statement is acted on by at most one fact that stands; to act again, act on that one or undo it.
"""

from __future__ import annotations

from typing import Literal

from events.contracts import (
    Occurred,
    Origin,
    OriginsMerged,
    OriginsSplit,
    Party,
    Standing,
    Statement,
    StatementAttributed,
    StatementCorrected,
    StatementRetracted,
    StatementWithdrawn,
    Wording,
)
from verifier import times
from verifier.claim import Claim, Said
from verifier.commands import Attribute, Correct, MergeOrigins, Retract, SplitOrigins, WithdrawStatement
from verifier.decide.known import Draft, Known, Mentions, check_undone, draft, plain
from verifier.decide.statements import (
    UNNAMED,
    accused_by,
    carriers_of,
    check_document,
    check_stance,
    documents_of,
    expression_of,
    origin_meant,
    own_origin,
    quoted_words,
    standing_of,
    whom,
)
from verifier.errors import Invalid, NotFound, Refused
from verifier.names import Names
from verifier.naming import is_id, normal, origin_id, source_id, unnamed_source_id


def target(known: Known, event: str, act: str) -> Said:
    """Return the statement that an event recorded, if it can still be acted on.

    Raises `NotFound` where the claim has no such event, `Refused` where it is no statement, or was acted on
    already.
    """
    claim = known.claim
    said = claim.find(event)
    if said is None:
        if event in claim.events:
            raise Refused(
                f"{event} is not a statement and can't be {act}: look its id up in the claim's events",
                rule="not-a-statement",
            )
        raise NotFound(f"the claim has no statement {event}: look its id up in the claim's events", statement=event)
    check_untouched(claim, event, act)
    return said


def check_untouched(claim: Claim, event: str, act: str) -> None:
    """Refuse to act on what was withdrawn, or on what another fact that stands acted on."""
    if event in claim.withdrawn:
        raise Refused(
            f"{event} was withdrawn already by {claim.withdrawn[event]}: record it anew",
            rule="acted-on",
            event=claim.withdrawn[event],
        )
    standing = claim.standing_in(event)
    if standing is not None:
        raise Refused(
            f"{event} can't be {act}: {standing} acted on it already; act on that one, or undo it first",
            rule="acted-on",
            event=standing,
        )


def retract(known: Known, command: Retract) -> Draft:
    """Record that the source or a carrier of a statement took it back."""
    said = target(known, command.statement, "retracted")
    if said.side == "none":
        raise Refused("it takes no side: leave it, there is nothing to take back", rule="nothing-changed")
    mentions = Mentions(known.claim, known.names)
    party = speaker_or_carrier(known, command.by, said)
    by: Literal["source", "carrier"] = "source" if party == said.body.source and not said.body.carries else "carrier"
    _, _, quote = quoted_words(known, command.quote, mentions)
    mentions.again(parties=(party,))
    fact = StatementRetracted(
        by=by, party=party, statement=command.statement, occurred=times.occurred(command.occurred)
    )
    wording = Wording(reason=command.reason, quote=quote, expression=expression_of(command.occurred))
    return draft(known, fact, wording, mentions.identity(known))


def speaker_or_carrier(known: Known, name: str, said: Said) -> int:
    """Return the number of who takes a statement back. Raises `Refused` for who neither said nor carried it."""
    numbers = known.names.party_numbers
    named = known.parties[name].id
    unnamed = unnamed_source_id(known.lineage, known.claim.id, name)
    for number in {numbers.get(named), numbers.get(unnamed)}:
        if number is not None and number in (said.body.source, *said.body.via):
            return number
    may = [known.names.party(number) for number in (said.body.source, *said.body.via)]
    raise Refused(
        f"{name} neither said nor carried it and can't take it back: only {', '.join(may)} can; "
        "if we recorded it by mistake, withdraw the statement",
        rule="not-theirs-to-retract",
    )


def correct(known: Known, command: Correct) -> Draft:
    """Put a statement right: what the command leaves out stays, and what is a default is taken anew."""
    said = target(known, command.statement, "corrected")
    check_stance(command.stance, checkable=known.claim.checkable)
    old = said.body
    mentions = Mentions(known.claim, known.names)
    attribution = command.attribution or old.attribution
    speaker, source = corrected_speaker(known, command, old, mentions)
    via = old.via if command.via is None else carriers_of(known, command.via, speaker, mentions)
    via = tuple(carrier for carrier in via if carrier != source)
    origin, own = corrected_origin(known, command, old, speaker, mentions)
    meant = mentions.origins.get(str(origin)) or known.names.origins.get(origin)
    quoted, quoted_in, quote = quoted_words(known, command.quote, mentions)
    fact = StatementCorrected(
        by=command.by,
        stance=command.stance or said.stance,
        statement=command.statement,
        attribution=attribution,
        carries=not own and not via,
        derived_from=old.derived_from,
        documents=old.documents if command.documents is None else documents_of(command.documents, mentions),
        extent=command.extent or old.extent,
        occurred=corrected_time(said) if command.occurred is None else times.occurred(command.occurred),
        origin=origin,
        quoted=quoted if command.quote is not None else old.quoted,
        quoted_in=quoted_in if command.quote is not None else old.quoted_in,
        source=source,
        standing=command.standing or corrected_standing(known, old, source, None if own or via else meant),
        via=via,
    )
    if attribution == "documentary" and own and command.origin is None and old.attribution != "documentary":
        check_document(attribution, None)
    mentions.again(parties=(source, *via), origins=(origin,), documents=(*fact.documents, fact.quoted_in or 0))
    wording = Wording(reason=command.reason, quote=quote, note=command.note, expression=expression_of(command.occurred))
    if is_unchanged(fact, said) and quote is None and command.note is None:
        raise Refused("nothing would change: say what to put right", rule="nothing-changed")
    return draft(known, fact, wording, mentions.identity(known))


def corrected_speaker(known: Known, command: Correct, old: Statement, mentions: Mentions) -> tuple[Party, int]:
    """Return whose word a corrected statement is, and its number; a speaker whose name was erased has none."""
    attribution = command.attribution or old.attribution
    if command.source is None:
        before = known.names.parties.get(old.source)
        if before is None:
            return Party(id="", name=""), old.source
        if (attribution in UNNAMED) == (old.attribution in UNNAMED):
            return before, old.source
        # A description that turns out to be a name means whom everybody means by it; and the reverse.
        own = unnamed_source_id(known.lineage, known.claim.id, before.name), source_id(known.lineage, before.name)
        if before.id not in own:
            return before, old.source
        speaker = whom(known, before.name, attribution)
    else:
        speaker = whom(known, command.source, attribution)
    return speaker, mentions.party(speaker)


def corrected_standing(known: Known, old: Statement, source: int, carried: Origin | None) -> Standing:
    """Return what the speaker is to the claim: where that was the default, it follows the new speaker."""
    accused = accused_by(known)
    was = standing_of(known, old.source, accused, known.names.origins.get(old.origin) if old.carries else None)
    return standing_of(known, source, accused, carried) if old.standing == was else old.standing


def corrected_origin(
    known: Known, command: Correct, old: Statement, speaker: Party, mentions: Mentions
) -> tuple[int, bool]:
    """Return the origin of a corrected statement, and whether it is the speaker's own: a default is taken anew."""
    before = known.names.parties.get(old.source)
    was = known.names.origins.get(old.origin)
    was_own = before is not None and was is not None and was.id == own_origin(known, before).id
    if command.origin is not None:
        origin, own = origin_meant(known, command.origin, speaker)
        return mentions.origin(origin), own
    if was_own and before is not None and (command.source is not None or speaker.id != before.id):
        origin, own = origin_meant(known, None, speaker)
        return mentions.origin(origin), own
    return old.origin, was_own or (not old.carries and not old.via)


def corrected_time(said: Said) -> Occurred:
    """Return the time of a statement as its own words, so that the correction's recording doesn't move it."""
    occurred = said.body.occurred
    if occurred.precision == "unknown" or occurred.earliest is not None:
        return occurred
    return Occurred(basis=occurred.basis, earliest=said.earliest, latest=said.latest)


def is_unchanged(fact: StatementCorrected, said: Said) -> bool:
    """Say whether a correction would leave a statement's facts as they are."""
    names = Statement.__struct_fields__
    same = all(getattr(fact, name) == getattr(said.body, name) for name in names if name != "occurred")
    return same and fact.stance == said.stance and times.bounds(fact.occurred, "") == (said.earliest, said.latest)


def withdraw_statement(known: Known, command: WithdrawStatement) -> Draft:
    """Take back what we recorded by mistake. What it had acted on is as it was before."""
    claim, event = known.claim, command.statement
    can = (claim.said, claim.attributions, claim.retractions, claim.notes)
    if not any(event in kind for kind in can):
        if event in claim.events:
            raise Refused(
                f"{event} is not a statement, retraction, correction or attribution: "
                "use the verb that undoes it, or record anew what was withdrawn",
                rule="not-a-statement",
            )
        raise NotFound(f"the claim has no statement {event}: look its id up in the claim's events", statement=event)
    check_untouched(claim, event, "withdrawn")
    return plain(known, StatementWithdrawn(statement=event), reason=command.reason)


def attribute(known: Known, command: Attribute) -> Draft:
    """Name the speaker of an unattributed statement. Its origin is the speaker's own, unless one is given."""
    said = target(known, command.statement, "attributed")
    if said.body.attribution != "unattributed":
        raise Refused("its speaker is known already: correct the statement instead", rule="not-unattributed")
    if command.attribution == "unattributed":
        raise Invalid(
            "an attribution names or describes the speaker: choose another `attribution`", field="attribution"
        )
    check_document(command.attribution, command.origin)
    mentions = Mentions(known.claim, known.names)
    speaker = whom(known, command.source, command.attribution)
    source = mentions.party(speaker)
    origin, _own = origin_meant(known, command.origin, speaker)
    fact = StatementAttributed(
        attribution=command.attribution,
        origin=mentions.origin(origin),
        source=source,
        standing=command.standing or standing_of(known, source, accused_by(known), None),
        statement=command.statement,
    )
    return draft(known, fact, Wording(reason=command.reason), mentions.identity(known))


def merge_origins(known: Known, command: MergeOrigins) -> Draft:
    """Say that two origins of a claim are one. Refused where they count as one already."""
    mentions = Mentions(known.claim, known.names)
    kept, merged = (origin_number(known, label, mentions) for label in (command.kept, command.merged))
    roots = known.claim.origin_roots()
    if roots.get(kept, kept) == roots.get(merged, merged):
        raise Refused("these origins count as one already: name two that count apart", rule="nothing-changed")
    return draft(
        known, OriginsMerged(kept=kept, merged=merged), Wording(reason=command.reason), mentions.identity(known)
    )


def origin_number(known: Known, label: str, mentions: Mentions) -> int:
    """Return the number of an origin that the claim uses, by its id, its label or another name of its
    source; asked for a whole story (`known.story`), of one that it may yet use. Raises `NotFound`."""
    for number, origin in known.names.origins.items():
        if origin.id == label or normal(origin.label) == normal(label):
            mentions.again(origins=(number,))
            return number
    if not is_id(label, "org"):
        own = origin_id(known.lineage, known.scope, known.parties[label].id)
        if known.story is not None or own in known.names.origin_numbers:
            return mentions.origin(Origin(id=own, label=label))
    have = ", ".join(sorted({origin.label for origin in known.names.origins.values()})[:10])
    raise NotFound(f"the claim has no origin {label}: it has {have or 'none'}", origin=label)


def uses_origin(names: Names, label: str) -> bool:
    """Say whether a claim uses an origin, by its id or its label."""
    return any(o.id == label or normal(o.label) == normal(label) for o in names.origins.values())


def merge_of(claim: Claim, names: Names, kept: str, merged: str) -> str | None:
    """Return the standing merge of two origins on a claim, by their labels."""
    for event, merge in claim.merges.items():
        pair = names.origin(merge.kept), names.origin(merge.merged)
        if event not in claim.splits and (normal(pair[0]), normal(pair[1])) == (normal(kept), normal(merged)):
            return event
    return None


def split_origins(known: Known, command: SplitOrigins) -> Draft:
    """Undo a merge of origins."""
    merge = known.claim.merges.get(command.merge)
    if merge is None:
        raise NotFound(f"the claim has no merge of origins {command.merge}: look its id up in its events")
    check_undone(known.claim.splits.get(command.merge), command.merge)
    mentions = Mentions(known.claim, known.names)
    mentions.again(origins=(merge.kept, merge.merged))
    return draft(known, OriginsSplit(merge=command.merge), Wording(reason=command.reason), mentions.identity(known))
