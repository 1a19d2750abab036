"""The verbs: one for each fact that can be recorded, with the user's own words.

Every verb takes a `key`, made if none is given, under which it is recorded at most once: to try again
after `OutcomeUnknown`, call it again with the same key and the same words. With `if_match`, the
position of the claim that the caller has read, it is refused if the claim has moved on since.

Every verb raises a problem of `verifier.errors`: `Invalid` for input that can't be right, `Refused` for
what a rule of the domain forbids, `NotFound`, `Conflict`, `KeyReused`, `Busy`, `ReadOnly`, `DiskFull`,
and, where a server is far away, `Unreachable`. After any of these nothing was recorded; only after
`OutcomeUnknown` nobody can say.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from anyio import to_thread

from events.contracts import (
    Attribution,
    ClaimKind,
    Corrector,
    Extent,
    LegalBasis,
    LinkKind,
    NoteKind,
    Slot,
    SourceKind,
    Stance,
    Standing,
    Verdict,
)
from verifier import commands
from verifier.answers import Claim, Done, Written
from verifier.client.connection import Connection
from verifier.client.wire import Target, id_of, names, result
from verifier.commands import First, Occurred, Quoted
from verifier.errors import Invalid
from verifier.naming import is_id

Names = str | Sequence[str]
"""One name, or several."""

# The signatures stand in few lines, so that the verbs can be read at one glance.
# fmt: off


class Verbs(Connection):
    """What can be recorded."""

    # --- claims and what is said about them ----------------------------------------------------------

    async def register(
        self, text: str, *, story: str | None = None, language: str = "en", kind: ClaimKind = "other",
        place: str | None = None, valid_from: str | None = None, valid_to: str | None = None, checkable: bool = True,
        accuses: Names = (), note: str | None = None, again: bool = False, statement: First | None = None,
        key: str | None = None, if_match: int | None = None,
    ) -> Written:
        """Register a claim, with its first `statement` if there is one, in one append.

        Raises `DuplicateClaim` where the story has one with this wording, unless told `again`.
        """
        return await self._on_claim(None, commands.RegisterClaim(
            text=text, story=story, language=language, kind=kind, place=place, valid_from=valid_from,
            valid_to=valid_to, checkable=checkable, accuses=names(accuses), note=note, again=again, statement=statement,
        ), key, if_match)

    async def assert_claim(
        self, claim: Target, *, source: str, via: Names = (), origin: str | None = None,
        attribution: Attribution = "on_record", standing: Standing | None = None, extent: Extent = "whole",
        occurred: Occurred | None = None, quote: Quoted | None = None, documents: Names = (), note: str | None = None,
        story: str | None = None, language: str | None = None, kind: ClaimKind | None = None, accuses: Names = (),
        again: bool = False, key: str | None = None, if_match: int | None = None,
    ) -> Written:
        """Record that a source put a claim forward.

        A text registers the claim with this statement, in one append; `story`, `language`, `kind`,
        `accuses` and `again` are about that. A claim or an id takes the statement as it is. Raises
        `DuplicateClaim` where the story has a claim with this wording.
        """
        said = commands.AssertClaim(
            source=source, via=names(via), origin=origin, attribution=attribution, standing=standing, extent=extent,
            occurred=occurred, quote=quote, documents=names(documents), note=note,
        )
        if isinstance(claim, Claim) or is_id(claim, "clm"):
            if story or language or kind or accuses or again:
                raise Invalid("story, language, kind, accuses and again are for a new claim: give its text, or leave"
                              " them out", field="story")
            return await self._on_claim(claim, said, key, if_match)
        return await self.register(
            claim, story=story, language=language or "en", kind=kind or "other", accuses=accuses, again=again,
            statement=said, key=key, if_match=if_match,
        )

    async def corroborate(
        self, claim: Target, *, source: str, via: Names = (), origin: str | None = None,
        attribution: Attribution = "on_record", standing: Standing | None = None, extent: Extent = "whole",
        occurred: Occurred | None = None, quote: Quoted | None = None, documents: Names = (), note: str | None = None,
        key: str | None = None, if_match: int | None = None,
    ) -> Written:
        """Record that a source supported a claim."""
        return await self._on_claim(claim, commands.Corroborate(
            source=source, via=names(via), origin=origin, attribution=attribution, standing=standing, extent=extent,
            occurred=occurred, quote=quote, documents=names(documents), note=note,
        ), key, if_match)

    async def deny(
        self, claim: Target, *, source: str, via: Names = (), origin: str | None = None,
        attribution: Attribution = "on_record", standing: Standing | None = None, extent: Extent = "whole",
        occurred: Occurred | None = None, quote: Quoted | None = None, documents: Names = (), note: str | None = None,
        key: str | None = None, if_match: int | None = None,
    ) -> Written:
        """Record that a source said that a claim is not so."""
        return await self._on_claim(claim, commands.Deny(
            source=source, via=names(via), origin=origin, attribution=attribution, standing=standing, extent=extent,
            occurred=occurred, quote=quote, documents=names(documents), note=note,
        ), key, if_match)

    async def note(
        self, claim: Target, *, source: str, kind: NoteKind = "comment", via: Names = (), origin: str | None = None,
        attribution: Attribution = "on_record", standing: Standing | None = None, extent: Extent = "whole",
        occurred: Occurred | None = None, quote: Quoted | None = None, documents: Names = (), note: str | None = None,
        key: str | None = None, if_match: int | None = None,
    ) -> Written:
        """Record a statement without a stance: a question, a comment, that we asked, that nobody replied."""
        return await self._on_claim(claim, commands.Note(
            source=source, kind=kind, via=names(via), origin=origin, attribution=attribution, standing=standing,
            extent=extent, occurred=occurred, quote=quote, documents=names(documents), note=note,
        ), key, if_match)

    # --- what becomes of a statement -----------------------------------------------------------------

    async def retract(
        self, claim: Target, statement: str, *, by: str, occurred: Occurred | None = None, quote: Quoted | None = None,
        reason: str | None = None, key: str | None = None, if_match: int | None = None,
    ) -> Written:
        """Record that its source, or one who carried it, took a statement back."""
        return await self._on_claim(claim, commands.Retract(
            statement=statement, by=by, occurred=occurred, quote=quote, reason=reason,
        ), key, if_match)

    async def correct(
        self, claim: Target, statement: str, *, by: Corrector = "desk", reason: str | None = None,
        stance: Stance | None = None, source: str | None = None, via: Names | None = None, origin: str | None = None,
        attribution: Attribution | None = None, standing: Standing | None = None, extent: Extent | None = None,
        occurred: Occurred | None = None, quote: Quoted | None = None, documents: Names | None = None,
        note: str | None = None, key: str | None = None, if_match: int | None = None,
    ) -> Written:
        """Put a statement right; what is left out stays as it was."""
        return await self._on_claim(claim, commands.Correct(
            statement=statement, by=by, reason=reason, stance=stance, source=source,
            via=None if via is None else names(via), origin=origin, attribution=attribution, standing=standing,
            extent=extent, occurred=occurred, quote=quote, documents=None if documents is None else names(documents),
            note=note,
        ), key, if_match)

    async def withdraw_statement(
        self, claim: Target, statement: str, *, reason: str | None = None, key: str | None = None,
        if_match: int | None = None,
    ) -> Written:
        """Take back a statement, retraction, correction or attribution that we recorded by mistake."""
        return await self._on_claim(
            claim, commands.WithdrawStatement(statement=statement, reason=reason), key, if_match
        )

    async def attribute(
        self, claim: Target, statement: str, *, source: str, origin: str | None = None,
        attribution: Attribution = "on_record", standing: Standing | None = None, reason: str | None = None,
        key: str | None = None, if_match: int | None = None,
    ) -> Written:
        """Name the speaker of an unattributed statement."""
        return await self._on_claim(claim, commands.Attribute(
            statement=statement, source=source, origin=origin, attribution=attribution, standing=standing,
            reason=reason,
        ), key, if_match)

    # --- origins and evidence ------------------------------------------------------------------------

    async def merge_origins(
        self, on: Target, *, kept: str, merged: str, reason: str | None = None, key: str | None = None,
        if_match: int | None = None,
    ) -> Written | Done:
        """Say that two origins are one, for a claim, or for a story and all its claims."""
        command = commands.MergeOrigins(kept=kept, merged=merged, reason=reason)
        return result(await self._write(on, command, key, if_match))

    async def split_origins(
        self, on: Target, merge: str, *, reason: str | None = None, key: str | None = None,
        if_match: int | None = None,
    ) -> Written | Done:
        """Undo a merge of origins, where it was made."""
        return result(await self._write(on, commands.SplitOrigins(merge=merge, reason=reason), key, if_match))

    async def attach(
        self, claim: Target, data: bytes | None = None, *, sha256: str | None = None, size: int | None = None,
        media_type: str = "text/plain", address: str | None = None, fetched_at: str | None = None,
        fetched_by: str | None = None, shows: str | None = None, statement: str | None = None,
        key: str | None = None, if_match: int | None = None,
    ) -> Written:
        """Attach a document snapshot: its bytes, or the hash and size of bytes that are kept elsewhere.

        The bytes are kept before the fact is recorded, so that no quote is checked without them.
        Raises `TooLarge` for more than 50 MiB.
        """
        if data is not None:
            if sha256 is not None or size is not None:
                raise Invalid("the bytes tell their own hash and size: leave sha256 and size out", field="sha256")
            sha256, size = (await to_thread.run_sync(hashlib.sha256, data)).hexdigest(), len(data)
            await self._keep_bytes(sha256, data, media_type)
        if sha256 is None or size is None:
            raise Invalid("a snapshot is attached by its bytes, or by sha256 and size: give one of the two")
        return await self._on_claim(claim, commands.Attach(
            sha256=sha256, size=size, media_type=media_type, address=address, fetched_at=fetched_at,
            fetched_by=fetched_by, shows=shows, statement=statement,
        ), key, if_match)

    # --- verdicts, links, publications ---------------------------------------------------------------

    async def adjudicate(
        self, claim: Target, verdict: Verdict, *, reason: str, seen: int | None = None, key: str | None = None,
        if_match: int | None = None,
    ) -> Written:
        """Record an authorised person's verdict. `seen` is the position that the editor had in front of
        them: that of the claim given, if it is not said."""
        command = commands.Adjudicate(verdict=verdict, reason=reason, seen=_seen(claim, seen))
        return await self._on_claim(claim, command, key, if_match)

    async def withdraw_verdict(
        self, claim: Target, adjudication: str | None = None, *, reason: str | None = None, key: str | None = None,
        if_match: int | None = None,
    ) -> Written:
        """Take back the verdict that stands."""
        command = commands.WithdrawVerdict(adjudication=adjudication, reason=reason)
        return await self._on_claim(claim, command, key, if_match)

    async def link(
        self, claim: Target, to: Target, *, kind: LinkKind = "related", note: str | None = None,
        key: str | None = None, if_match: int | None = None,
    ) -> Written:
        """Say how this claim bears on another."""
        return await self._on_claim(claim, commands.Link(to=id_of(to), kind=kind, note=note), key, if_match)

    async def unlink(
        self, claim: Target, link: str, *, reason: str | None = None, key: str | None = None,
        if_match: int | None = None,
    ) -> Written:
        """Take back a link."""
        return await self._on_claim(claim, commands.Unlink(link=link, reason=reason), key, if_match)

    async def publish_claim(
        self, claim: Target, *, address: str, day: str, seen: int | None = None, note: str | None = None,
        key: str | None = None, if_match: int | None = None,
    ) -> Written:
        """Record where we used the claim, on which `day` (`2020-01-06`), and what we had `seen` of it."""
        command = commands.Publish(address=address, day=day, seen=_seen(claim, seen), note=note)
        return await self._on_claim(claim, command, key, if_match)

    async def unpublish_claim(
        self, claim: Target, publication: str, *, reason: str | None = None, key: str | None = None,
        if_match: int | None = None,
    ) -> Written:
        """Record that a publication was taken down or put right."""
        return await self._on_claim(claim, commands.Unpublish(publication=publication, reason=reason), key, if_match)

    # --- what becomes of a claim ---------------------------------------------------------------------

    async def reword(
        self, claim: Target, text: str | None = None, *, language: str | None = None, kind: ClaimKind | None = None,
        place: str | None = None, valid_from: str | None = None, valid_to: str | None = None,
        reason: str | None = None, key: str | None = None, if_match: int | None = None,
    ) -> Written:
        """Put wording, language, scope or kind right; what is left out stays as it was."""
        return await self._on_claim(claim, commands.Reword(
            text=text, language=language, kind=kind, place=place, valid_from=valid_from, valid_to=valid_to,
            reason=reason,
        ), key, if_match)

    async def split(
        self, claim: Target, into: Sequence[Target], *, statements: Mapping[str, Sequence[Target]] | None = None,
        reason: str | None = None, key: str | None = None, if_match: int | None = None,
    ) -> Written:
        """Divide a claim into others that exist. `statements` says to which of them each statement speaks."""
        return await self._on_claim(claim, commands.Split(
            into=tuple(id_of(target) for target in into),
            statements={event: tuple(id_of(to) for to in targets) for event, targets in (statements or {}).items()},
            reason=reason,
        ), key, if_match)

    async def merge(
        self, claim: Target, into: Target, *, reason: str | None = None, key: str | None = None,
        if_match: int | None = None,
    ) -> Written:
        """Let a claim go on in another one, with all its statements."""
        return await self._on_claim(claim, commands.Merge(into=id_of(into), reason=reason), key, if_match)

    async def withdraw(
        self, claim: Target, *, reason: str, key: str | None = None, if_match: int | None = None,
    ) -> Written:
        """Withdraw a claim that should not have been registered."""
        return await self._on_claim(claim, commands.Withdraw(reason=reason), key, if_match)

    async def erase(
        self, on: Target, event: str, *, slot: Slot, basis: LegalBasis, reason: str | None = None,
        key: str | None = None, if_match: int | None = None,
    ) -> Written | Done:
        """Remove a text of an event on a claim, a source or a story for a legal reason, for ever. The fact and
        the status stay."""
        command = commands.Erase(event=event, slot=slot, basis=basis, reason=reason)
        return result(await self._write(on, command, key, if_match))

    # --- sources, stories, policies ------------------------------------------------------------------

    async def register_source(
        self, name: str, *, kind: SourceKind = "unknown", aliases: Names = (), role: str | None = None,
        protected: bool = False, note: str | None = None, key: str | None = None, if_match: int | None = None,
    ) -> Done:
        """Register a source. A `protected` one is known by a random id."""
        return await self._elsewhere(commands.RegisterSource(
            name=name, kind=kind, aliases=names(aliases), role=role, protected=protected, note=note,
        ), key, if_match)

    async def update_source(
        self, source: str, *, name: str | None = None, kind: SourceKind | None = None, aliases: Names = (),
        role: str | None = None, same_as: str | None = None, note: str | None = None,
        key: str | None = None, if_match: int | None = None,
    ) -> Done:
        """Change a source's name, kind, aliases or role, or say that it is the `same_as` another."""
        return await self._elsewhere(commands.UpdateSource(
            source=source, name=name, kind=kind, aliases=names(aliases), role=role, same_as=same_as, note=note,
        ), key, if_match)

    async def open_story(
        self, title: str, *, note: str | None = None, key: str | None = None, if_match: int | None = None,
    ) -> Done:
        """Open a story, which gathers claims."""
        return await self._elsewhere(commands.OpenStory(title=title, note=note), key, if_match)

    async def adopt_policy(
        self, policy: str, *, reason: str | None = None, key: str | None = None, if_match: int | None = None,
    ) -> Done:
        """Serve this policy from here on."""
        return await self._elsewhere(commands.AdoptPolicy(policy=policy, reason=reason), key, if_match)

    # fmt: on

    # --- any of them -----------------------------------------------------------------------------------

    async def send(
        self,
        command: commands.Command,
        *,
        on: Target | None = None,
        key: str | None = None,
        if_match: int | None = None,
    ) -> Written | Done:
        """Record a command that was built by hand, `on` the claim, story or source that it is about.

        Promises and raises what its verb does.
        """
        return result(await self._write(on, command, key, if_match))

    async def _on_claim(
        self, claim: Target | None, command: commands.Command, key: str | None, if_match: int | None
    ) -> Written:
        return Written.model_validate(await self._write(claim, command, key, if_match))

    async def _keep_bytes(self, sha256: str, data: bytes, media_type: str) -> None:
        await self._port.put_bytes(sha256, data, media_type)

    async def _elsewhere(self, command: commands.Command, key: str | None, if_match: int | None) -> Done:
        return Done.model_validate(await self._write(None, command, key, if_match))


def _seen(claim: Target, seen: int | None) -> int | None:
    """Return what the caller had in front of them: what they say, or the claim as they give it."""
    return claim.position if seen is None and isinstance(claim, Claim) else seen
