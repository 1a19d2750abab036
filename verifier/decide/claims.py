"""The claim itself: registering, evidence, verdicts, links, wording, use and erasing."""

from __future__ import annotations

from typing import Final

from events.contracts import (
    AdjudicationWithdrawn,
    ClaimAdjudicated,
    ClaimLinked,
    ClaimPublished,
    ClaimRegistered,
    ClaimReworded,
    ClaimUnlinked,
    ClaimUnpublished,
    EvidenceAttached,
    TextErased,
    Wording,
)
from verifier import times
from verifier.commands import (
    Adjudicate,
    Attach,
    Erase,
    Link,
    Publish,
    RegisterClaim,
    Reword,
    Unlink,
    Unpublish,
    WithdrawVerdict,
)
from verifier.decide.known import Draft, Known, Mentions, draft, other_claim, plain
from verifier.decide.statements import check_hash, check_stance, say, stance_of
from verifier.errors import Invalid, NotFound, Refused

EVIDENCE_LIMIT: Final = 50 * 2**20
"""The most bytes one snapshot may have: what `events.evidence` keeps, which does I/O and can't be named here."""


def register(known: Known, command: RegisterClaim) -> list[Draft]:
    """Register a claim, and its first statement with the same local numbers.

    Raises `Invalid` for a scope that ends before it begins, `Refused` where the statement is.
    """
    mentions = Mentions(known.claim, known.names)
    accused = {mentions.party(party): party.id for party in (known.parties[name] for name in command.accuses)}
    valid_from, valid_to = scope_in_time(command, None, None)
    fact = ClaimRegistered(
        accuses=tuple(accused),
        checkable=command.checkable,
        kind=command.kind,
        language=command.language,
        story=known.story,
        valid_from=valid_from,
        valid_to=valid_to,
    )
    wording = Wording(text=command.text, place=command.place, note=command.note)
    drafts = [draft(known, fact, wording, mentions.identity(known))]
    if command.statement is not None:
        check_stance(stance_of(command.statement), checkable=command.checkable)
        drafts.append(say(known, command.statement, mentions, accused=accused))
    return drafts


def scope_in_time(
    command: RegisterClaim | Reword, valid_from: str | None, valid_to: str | None
) -> tuple[str | None, str | None]:
    """Return between which moments a claim holds; what the command leaves out stays. Raises `Invalid`."""
    if command.valid_from:
        valid_from = times.instant(command.valid_from, "valid_from")
    if command.valid_to:
        valid_to = times.instant(command.valid_to, "valid_to", end=True)
    if valid_from and valid_to and valid_to < valid_from:
        raise Invalid("valid_to lies before valid_from: swap them", field="valid_to")
    return valid_from, valid_to


def attach(known: Known, command: Attach) -> Draft:
    """Attach a document snapshot. Raises `NotFound` for a statement that the claim doesn't have."""
    check_hash(command.sha256)
    if command.size > EVIDENCE_LIMIT:
        raise Invalid(f"a snapshot has at most {EVIDENCE_LIMIT:,} bytes: attach a smaller one", field="size")
    if command.statement is not None and command.statement not in known.claim.events:
        raise NotFound(f"the claim has no statement {command.statement}: look its id up in the claim's events")
    mentions = Mentions(known.claim, known.names)
    fact = EvidenceAttached(
        document=mentions.document(command.sha256),
        fetched_at=times.instant(command.fetched_at, "fetched_at") if command.fetched_at else None,
        media_type=command.media_type,
        size=command.size,
        statement=command.statement,
    )
    wording = Wording(address=command.address, shows=command.shows)
    return draft(known, fact, wording, mentions.identity(known, fetched_by=command.fetched_by))


def adjudicate(known: Known, command: Adjudicate) -> Draft:
    """Record a verdict, with the status that the editor had in front of them. It replaces the one that stood."""
    seen = known.seen
    assert seen is not None  # the handler looks at the claim for every verdict and publication
    standing = known.claim.verdict
    fact = ClaimAdjudicated(
        policy=seen.policy,
        replaces=standing.id if standing else None,
        seen=command.seen if command.seen is not None else known.claim.position,
        status=seen.status,
        verdict=command.verdict,
    )
    return plain(known, fact, reason=command.reason)


def withdraw_verdict(known: Known, command: WithdrawVerdict) -> Draft:
    """Take back the verdict that stands; one that it replaced does not come back."""
    claim, event = known.claim, command.adjudication
    standing = claim.verdict
    if event is not None and event not in claim.verdicts:
        raise NotFound(f"the claim has no verdict {event}: leave it out to withdraw the one that stands")
    if standing is None or (event is not None and standing.id != event):
        which = "that verdict does not stand any more" if event else "no verdict stands"
        raise Refused(f"{which}: there is nothing to withdraw, look up the one that stands", rule="acted-on")
    return plain(known, AdjudicationWithdrawn(adjudication=standing.id), reason=command.reason)


def link(known: Known, command: Link) -> Draft:
    """Say how this claim bears on another. Refused where that link stands already."""
    other = other_claim(known, command.to)
    claim = known.claim
    for event, held in claim.links.items():
        if event not in claim.links_gone and (held.to, held.kind) == (other.claim.id, command.kind):
            raise Refused(
                f"it is linked so already by {event}: take that link back first, or leave it",
                rule="nothing-changed",
                event=event,
            )
    return plain(known, ClaimLinked(kind=command.kind, to=other.claim.id), note=command.note)


def unlink(known: Known, command: Unlink) -> Draft:
    """Take back a link."""
    if command.link not in known.claim.links:
        raise NotFound(f"the claim has no link {command.link}: look its id up in the claim's links")
    if command.link in known.claim.links_gone:
        raise Refused(f"{command.link} was taken back already: link anew if it holds again", rule="acted-on")
    return plain(known, ClaimUnlinked(link=command.link), reason=command.reason)


def reword(known: Known, command: Reword) -> Draft:
    """Put wording, language, scope or kind right; what is left out stays as it was.

    Raises `Refused` where nothing would change, or where the wording was erased and no other is given.
    """
    claim = known.claim
    form, words = claim.form, known.names.wordings.get(claim.wording)
    assert form is not None  # _check_open has seen the registration
    text = command.text or (words.text if words else None)
    if text is None:
        raise Refused("the wording was erased: give a new `text`", rule="text-erased")
    valid_from, valid_to = scope_in_time(command, form.valid_from, form.valid_to)
    fact = ClaimReworded(
        kind=command.kind or form.kind,
        language=command.language or form.language,
        replaces=claim.wording,
        valid_from=valid_from,
        valid_to=valid_to,
    )
    place = command.place or (words.place if words else None)
    same = (fact.kind, fact.language, fact.valid_from, fact.valid_to) == (
        form.kind, form.language, form.valid_from, form.valid_to,
    )  # fmt: skip
    if same and words is not None and (text, place) == (words.text, words.place):
        raise Refused("nothing would change: say what to put right", rule="nothing-changed")
    wording = Wording(text=text, place=place, reason=command.reason)
    return draft(known, fact, wording, Mentions(claim, known.names).identity(known))


def publish(known: Known, command: Publish) -> Draft:
    """Record where we used the claim, with the status that the editor had in front of them."""
    seen = known.seen
    assert seen is not None  # the handler looks at the claim for every verdict and publication
    times.instant(command.day, "day")
    fact = ClaimPublished(
        day=command.day,
        seen=command.seen if command.seen is not None else known.claim.position,
        status=seen.status,
    )
    return plain(known, fact, address=command.address, note=command.note)


def unpublish(known: Known, command: Unpublish) -> Draft:
    """Record that a publication was taken down."""
    if command.publication not in known.claim.publications:
        raise NotFound(f"the claim has no publication {command.publication}: look its id up in the claim")
    if command.publication in known.claim.publications_gone:
        raise Refused(
            f"{command.publication} was taken down already: record a new publication if there is one", rule="acted-on"
        )
    return plain(known, ClaimUnpublished(publication=command.publication), reason=command.reason)


def erase(known: Known, command: Erase) -> Draft:
    """Remove a text of an event; the status stays, because it is computed without texts."""
    if command.event not in known.claim.events:
        raise NotFound(f"the claim has no event {command.event}: look its id up in the claim's events")
    if (by := known.names.erased.get((command.event, command.slot))) is not None:
        raise Refused(f"that text was erased already by {by}: leave it, nothing is left", rule="acted-on", event=by)
    fact = TextErased(event=command.event, slot=command.slot, basis=command.basis)
    return plain(known, fact, reason=command.reason)
