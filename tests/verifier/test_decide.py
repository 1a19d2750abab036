"""From a command to facts: what was recorded before, what is asked, and which facts or which refusal it gives."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest
from deciding import (
    ALSO_OPEN,
    ENDED,
    HERE,
    LOG,
    OPEN,
    QUESTION,
    UNKNOWN_CLAIM,
    Room,
    at,
    facts,
    given,
    says,
)

import verifier.decide
from events.contracts import (
    FACTS,
    AdjudicationWithdrawn,
    Assignment,
    ClaimAdjudicated,
    ClaimAsserted,
    ClaimCorroborated,
    ClaimDenied,
    ClaimLinked,
    ClaimMerged,
    ClaimNoted,
    ClaimPublished,
    ClaimRegistered,
    ClaimReworded,
    ClaimSplit,
    ClaimUnlinked,
    ClaimUnpublished,
    ClaimWithdrawn,
    EvidenceAttached,
    Fact,
    Occurred,
    OriginsMerged,
    OriginsSplit,
    QuoteCheck,
    Statement,
    StatementAttributed,
    StatementCorrected,
    StatementRetracted,
    StatementWithdrawn,
    TextErased,
    Wording,
)
from events.evidence import SNAPSHOT_LIMIT
from events.leaf import derive
from verifier.commands import (
    COMMANDS,
    RECORDED_BY_THE_LOG,
    VERBS,
    Adjudicate,
    AssertClaim,
    Attach,
    Attribute,
    ClaimCommand,
    Correct,
    Corroborate,
    Deny,
    Erase,
    Link,
    Merge,
    MergeOrigins,
    Note,
    Publish,
    Quotation,
    RegisterClaim,
    Retract,
    Reword,
    Split,
    SplitOrigins,
    Unlink,
    Unpublish,
    When,
    Withdraw,
    WithdrawStatement,
    WithdrawVerdict,
)
from verifier.decide.claims import EVIDENCE_LIMIT
from verifier.decide.endings import DERIVED_LIMIT
from verifier.decide.known import QuoteFound
from verifier.errors import Invalid, NotFound, Problem, Refused
from verifier.naming import origin_id, source_id
from verifier.policy import DEFAULT

REGISTER = RegisterClaim(text="The United States plans to withdraw")
ACCUSING = RegisterClaim(text="The minister took a bribe", accuses=("the minister",))
AFP = says("AFP")
NOBODY = AssertClaim(source="somebody", attribution="unattributed", via=("AFP",))
HASH, OTHER_HASH = "a" * 64, "b" * 64
DAY = Occurred(
    basis="explicit", earliest="2020-01-06T00:00:00.000000Z", latest="2020-01-06T23:59:59.999999Z", precision="day"
)

Row = tuple[list[RegisterClaim | ClaimCommand], RegisterClaim | ClaimCommand, list[Fact]]


def moment(position: int) -> Occurred:
    """The time at which an event of the claim was recorded, as a correction keeps it."""
    recorded = f"2020-02-01T00:00:{position + 5:02}.000000Z"
    return Occurred(earliest=recorded, latest=recorded)


# --- what is recorded ------------------------------------------------------------------------------

RECORDED: dict[str, Row] = {
    # Registering, alone and with a first statement.
    "a claim": ([], REGISTER, [ClaimRegistered()]),
    "a claim of a place and time": (
        [],
        RegisterClaim(text="t", kind="event", language="ar", valid_from="2020", valid_to="2020-01"),
        [
            ClaimRegistered(
                kind="event",
                language="ar",
                valid_from="2020-01-01T00:00:00.000000Z",
                valid_to="2020-01-31T23:59:59.999999Z",
            )
        ],
    ),
    "a claim that names whom it accuses twice": (
        [],
        RegisterClaim(text="t", accuses=("the minister", "The  Minister", "his wife")),
        [ClaimRegistered(accuses=(1, 2))],
    ),
    "a claim and its first statement share their local numbers": (
        [],
        RegisterClaim(text="t", accuses=("the minister",), statement=Deny(source="the minister", via=("AFP",))),
        [ClaimRegistered(accuses=(1,)), ClaimDenied(source=1, via=(2,), origin=1, standing="interested")],
    ),
    "an open question and a first note": (
        [],
        RegisterClaim(text="t", checkable=False, statement=Note(source="AFP", kind="query")),
        [ClaimRegistered(checkable=False), ClaimNoted(source=1, origin=1, kind="query")],
    ),
    # The three forms of a statement.
    "a source that speaks for itself": ([REGISTER], AFP, [ClaimAsserted(source=1, origin=1)]),
    "a source that others carry": (
        [REGISTER],
        says("Mark Esper", via=("CNN", "AFP")),
        [ClaimAsserted(source=1, via=(2, 3), origin=1)],
    ),
    "a source that carries an origin": (
        [REGISTER],
        Corroborate(source="The Guardian", origin="the letter"),
        [ClaimCorroborated(source=1, origin=1, carries=True)],
    ),
    "a source with an origin, carried by others": (
        [REGISTER],
        says("William Seely", origin="the letter", attribution="documentary", via=("AFP",)),
        [ClaimAsserted(source=1, via=(2,), origin=1, attribution="documentary")],
    ),
    "a source that is its own origin speaks": (
        [REGISTER],
        says("AFP", origin=" afp "),
        [ClaimAsserted(source=1, origin=1)],
    ),
    "a source drops out of its own carriers, and a carrier counts once": (
        [REGISTER],
        Deny(source="AFP", via=("afp", "CNN", "cnn")),
        [ClaimDenied(source=1, via=(2,), origin=1)],
    ),
    # Local numbers.
    "numbers follow the order of first appearance": (
        [REGISTER, says("CNN", via=("AFP",)), says("AFP", origin="the letter")],
        Deny(source="Mark Esper", via=("AFP", "BBC"), origin="the letter"),
        [ClaimDenied(source=3, via=(2, 4), origin=2)],
    ),
    "an origin that is a source known here has that source's origin": (
        [REGISTER, AFP],
        says("CNN", origin="AFP"),
        [ClaimAsserted(source=2, origin=1, carries=True)],
    ),
    "an unnamed source is known by its label within the claim": (
        [REGISTER, says("an official", attribution="anonymous")],
        says("An Official", attribution="anonymous"),
        [ClaimAsserted(source=1, origin=1, attribution="anonymous")],
    ),
    "the same words name another one where they are a name": (
        [REGISTER, says("an official", attribution="anonymous")],
        says("an official"),
        [ClaimAsserted(source=2, origin=2)],
    ),
    "an unnamed source can be the origin that others carry": (
        [REGISTER, says("an official", attribution="anonymous")],
        says("CNN", origin="an official"),
        [ClaimAsserted(source=2, origin=1, carries=True)],
    ),
    "an unnamed source whom others have carried already is the origin that they carried": (
        [REGISTER, says("CNN", origin="an official")],
        says("An Official", attribution="anonymous", via=("AFP",)),
        [ClaimAsserted(source=2, via=(3,), origin=1, attribution="anonymous")],
    ),
    "who carries an unnamed source that was carried before it spoke carries the same": (
        [REGISTER, says("CNN", origin="an official"), says("an official", attribution="anonymous")],
        says("BBC", origin="an official"),
        [ClaimAsserted(source=3, origin=1, carries=True)],
    ),
    "an unnamed source is not the origin of a source of that name": (
        [REGISTER, says("an official")],
        says("an official", attribution="anonymous"),
        [ClaimAsserted(source=2, origin=2, attribution="anonymous")],
    ),
    "an origin by its id": (
        [REGISTER, AFP],
        says("CNN", origin=origin_id(LOG, HERE, source_id(LOG, "AFP"))),
        [ClaimAsserted(source=2, origin=1, carries=True)],
    ),
    "documents are numbered and counted once": (
        [REGISTER, says("AFP", documents=(HASH,))],
        says("AFP", documents=(OTHER_HASH, HASH, OTHER_HASH)),
        [ClaimAsserted(source=1, origin=1, documents=(2, 1))],
    ),
    # What a statement says besides.
    "an accused is an interested party": (
        [ACCUSING],
        Deny(source="The Minister"),
        [ClaimDenied(source=1, origin=1, standing="interested")],
    ),
    "an accused whose standing is given has that": (
        [ACCUSING],
        Deny(source="the minister", standing="authoritative"),
        [ClaimDenied(source=1, origin=1, standing="authoritative")],
    ),
    "whoever carries an accused brings the word of an interested party": (
        [ACCUSING],
        Deny(source="AFP", origin="the minister"),
        [ClaimDenied(source=2, origin=1, carries=True, standing="interested")],
    ),
    "whoever carries an accused while the claim is registered, too": (
        [],
        RegisterClaim(text="t", accuses=("the minister",), statement=Deny(source="AFP", origin="the minister")),
        [ClaimRegistered(accuses=(1,)), ClaimDenied(source=2, origin=1, carries=True, standing="interested")],
    ),
    "a time, a part and a note": (
        [REGISTER],
        Note(source="AFP", occurred="2020-01-06", extent="part", kind="no_reply"),
        [ClaimNoted(source=1, origin=1, occurred=DAY, extent="part", kind="no_reply")],
    ),
    # Taking back.
    "the source takes it back": (
        [REGISTER, AFP],
        Retract(statement=at(2), by="afp"),
        [StatementRetracted(by="source", party=1, statement=at(2))],
    ),
    "a carrier takes it back": (
        [REGISTER, says("Mark Esper", via=("CNN",))],
        Retract(statement=at(2), by="CNN", occurred="2020-01-06"),
        [StatementRetracted(by="carrier", party=2, statement=at(2), occurred=DAY)],
    ),
    "who only printed it takes it back as a carrier": (
        [REGISTER, says("CNN", origin="the letter")],
        Retract(statement=at(2), by="CNN"),
        [StatementRetracted(by="carrier", party=1, statement=at(2))],
    ),
    "an unnamed source takes it back": (
        [REGISTER, says("an official", attribution="anonymous")],
        Retract(statement=at(2), by="an official"),
        [StatementRetracted(by="source", party=1, statement=at(2))],
    ),
    "a retraction that was withdrawn can be made again": (
        [REGISTER, AFP, Retract(statement=at(2), by="AFP"), WithdrawStatement(statement=at(3))],
        Retract(statement=at(2), by="AFP"),
        [StatementRetracted(by="source", party=1, statement=at(2))],
    ),
    # Putting right: what is left out stays, defaults are taken anew.
    "another stance": (
        [REGISTER, says("AFP", via=("CNN",), documents=(HASH,), extent="part")],
        Correct(statement=at(2), stance="denied"),
        [
            StatementCorrected(
                by="desk",
                stance="denied",
                statement=at(2),
                source=1,
                via=(2,),
                origin=1,
                documents=(1,),
                extent="part",
                occurred=moment(2),
            )
        ],
    ),
    "another source takes its own origin": (
        [REGISTER, AFP],
        Correct(statement=at(2), source="CNN"),
        [StatementCorrected(by="desk", stance="asserted", statement=at(2), source=2, origin=2, occurred=moment(2))],
    ),
    "another source keeps an origin that was named": (
        [REGISTER, says("CNN", origin="the letter")],
        Correct(statement=at(2), source="BBC"),
        [
            StatementCorrected(
                by="desk", stance="asserted", statement=at(2), source=2, origin=1, carries=True, occurred=moment(2)
            )
        ],
    ),
    "a description that turns out to be a name means whom everybody means by it": (
        [REGISTER, says("Mark Esper", attribution="anonymous"), Deny(source="Mark Esper")],
        Correct(statement=at(2), attribution="on_record"),
        [StatementCorrected(by="desk", stance="asserted", statement=at(2), source=2, origin=2, occurred=moment(2))],
    ),
    "a name that turns out to be a description means somebody of this claim": (
        [REGISTER, says("an official"), says("an official", attribution="anonymous")],
        Correct(statement=at(2), attribution="anonymous"),
        [
            StatementCorrected(
                by="desk",
                stance="asserted",
                statement=at(2),
                source=2,
                origin=2,
                attribution="anonymous",
                occurred=moment(2),
            )
        ],
    ),
    "a carrier that turns out to be the source is no carrier": (
        [REGISTER, says("Mark Esper", via=("CNN", "AFP"))],
        Correct(statement=at(2), source="CNN"),
        [
            StatementCorrected(
                by="desk", stance="asserted", statement=at(2), source=2, via=(3,), origin=2, occurred=moment(2)
            )
        ],
    ),
    "carriers taken away": (
        [REGISTER, says("Mark Esper", via=("CNN",))],
        Correct(statement=at(2), via=()),
        [StatementCorrected(by="desk", stance="asserted", statement=at(2), source=1, origin=1, occurred=moment(2))],
    ),
    "another source that the claim accuses is an interested party": (
        [ACCUSING, Deny(source="a spokesman")],
        Correct(statement=at(2), source="the minister"),
        [
            StatementCorrected(
                by="desk",
                stance="denied",
                statement=at(2),
                source=1,
                origin=2,
                standing="interested",
                occurred=moment(2),
            )
        ],
    ),
    "another source whom nobody accuses is no party any more": (
        [ACCUSING, Deny(source="the minister")],
        Correct(statement=at(2), source="a spokesman"),
        [StatementCorrected(by="desk", stance="denied", statement=at(2), source=2, origin=2, occurred=moment(2))],
    ),
    "a standing that somebody gave stays with another source": (
        [ACCUSING, Deny(source="a spokesman", standing="authoritative")],
        Correct(statement=at(2), source="the minister"),
        [
            StatementCorrected(
                by="desk",
                stance="denied",
                statement=at(2),
                source=1,
                origin=2,
                standing="authoritative",
                occurred=moment(2),
            )
        ],
    ),
    "its own source says that it meant nothing": (
        [REGISTER, AFP],
        Correct(statement=at(2), by="source", stance="none"),
        [StatementCorrected(by="source", stance="none", statement=at(2), source=1, origin=1, occurred=moment(2))],
    ),
    "a time that was unknown stays so": (
        [REGISTER, says("AFP", occurred="unknown")],
        Correct(statement=at(2), extent="part"),
        [
            StatementCorrected(
                by="desk",
                stance="asserted",
                statement=at(2),
                source=1,
                origin=1,
                extent="part",
                occurred=Occurred(basis="explicit", precision="unknown"),
            )
        ],
    ),
    "another time": (
        [REGISTER, AFP],
        Correct(statement=at(2), occurred=When(at="2020-01-06", basis="inferred")),
        [
            StatementCorrected(
                by="desk",
                stance="asserted",
                statement=at(2),
                source=1,
                origin=1,
                occurred=Occurred(basis="inferred", earliest=DAY.earliest, latest=DAY.latest, precision="day"),
            )
        ],
    ),
    "a correction of a correction": (
        [REGISTER, AFP, Correct(statement=at(2), stance="denied")],
        Correct(statement=at(3), stance="none"),
        [StatementCorrected(by="desk", stance="none", statement=at(3), source=1, origin=1, occurred=moment(2))],
    ),
    "a statement in a document is documentary": (
        [REGISTER, says("CNN", origin="the letter")],
        Correct(statement=at(2), attribution="documentary"),
        [
            StatementCorrected(
                by="desk",
                stance="asserted",
                statement=at(2),
                source=1,
                origin=1,
                carries=True,
                attribution="documentary",
                occurred=moment(2),
            )
        ],
    ),
    # Undoing, and undoing what was undone.
    "a statement undone": ([REGISTER, AFP], WithdrawStatement(statement=at(2)), [StatementWithdrawn(statement=at(2))]),
    "a note undone": (
        [REGISTER, Note(source="AFP")],
        WithdrawStatement(statement=at(2)),
        [StatementWithdrawn(statement=at(2))],
    ),
    "a correction undone": (
        [REGISTER, AFP, Correct(statement=at(2), stance="denied")],
        WithdrawStatement(statement=at(3)),
        [StatementWithdrawn(statement=at(3))],
    ),
    "a statement undone after its correction was": (
        [REGISTER, AFP, Correct(statement=at(2), stance="denied"), WithdrawStatement(statement=at(3))],
        WithdrawStatement(statement=at(2)),
        [StatementWithdrawn(statement=at(2))],
    ),
    "an attribution undone, so that it can be attributed to another": (
        [REGISTER, NOBODY, Attribute(statement=at(2), source="CNN"), WithdrawStatement(statement=at(3))],
        Attribute(statement=at(2), source="BBC"),
        [StatementAttributed(statement=at(2), source=4, origin=3)],
    ),
    # Naming the speaker.
    "a speaker found": (
        [REGISTER, NOBODY],
        Attribute(statement=at(2), source="Mark Esper"),
        [StatementAttributed(statement=at(2), source=3, origin=2)],
    ),
    "a speaker found in a document": (
        [REGISTER, NOBODY],
        Attribute(statement=at(2), source="AFP", attribution="documentary", origin="the letter"),
        [StatementAttributed(statement=at(2), source=2, origin=2, attribution="documentary")],
    ),
    "an accused speaker found": (
        [ACCUSING, AssertClaim(source="somebody", attribution="unattributed")],
        Attribute(statement=at(2), source="the minister"),
        [StatementAttributed(statement=at(2), source=1, origin=2, standing="interested")],
    ),
    "an attributed statement is corrected by its attribution": (
        [REGISTER, NOBODY, Attribute(statement=at(2), source="Mark Esper")],
        Correct(statement=at(3), stance="denied"),
        [
            StatementCorrected(
                by="desk", stance="denied", statement=at(3), source=3, via=(2,), origin=2, occurred=moment(2)
            )
        ],
    ),
    # Origins.
    "two origins turn out to be one": (
        [REGISTER, says("AFP", origin="a copy"), says("CNN", origin="the letter")],
        MergeOrigins(kept="The Letter", merged="a copy"),
        [OriginsMerged(kept=2, merged=1)],
    ),
    "a merge undone": (
        [REGISTER, AFP, says("CNN"), MergeOrigins(kept="AFP", merged="CNN")],
        SplitOrigins(merge=at(4)),
        [OriginsSplit(merge=at(4))],
    ),
    "a merge made again after it was undone": (
        [REGISTER, AFP, says("CNN"), MergeOrigins(kept="AFP", merged="CNN"), SplitOrigins(merge=at(4))],
        MergeOrigins(kept="AFP", merged="CNN"),
        [OriginsMerged(kept=1, merged=2)],
    ),
    # Evidence, verdicts, links, wording, use.
    "a snapshot": (
        [REGISTER, says("AFP", documents=(OTHER_HASH,))],
        Attach(sha256=HASH, size=3, statement=at(2), fetched_at="2020-01-06"),
        [EvidenceAttached(document=2, media_type="text/plain", size=3, statement=at(2), fetched_at=DAY.earliest)],
    ),
    "a verdict": (
        [REGISTER, AFP],
        Adjudicate(verdict="mixed", reason="we asked"),
        [ClaimAdjudicated(policy="standing/1", seen=7, status="asserted", verdict="mixed")],
    ),
    "a verdict that replaces another": (
        [REGISTER, Adjudicate(verdict="mixed", reason="we asked")],
        Adjudicate(verdict="false", reason="we asked again"),
        [ClaimAdjudicated(policy="standing/1", seen=7, status="unassessed", verdict="false", replaces=at(2))],
    ),
    "the verdict that stands, taken back": (
        [REGISTER, Adjudicate(verdict="mixed", reason="r"), Adjudicate(verdict="false", reason="r")],
        WithdrawVerdict(),
        [AdjudicationWithdrawn(adjudication=at(3))],
    ),
    "a link": ([REGISTER], Link(to=OPEN, kind="implies"), [ClaimLinked(kind="implies", to=OPEN)]),
    "a link to a claim that has ended": ([REGISTER], Link(to=ENDED), [ClaimLinked(kind="related", to=ENDED)]),
    "a link of another kind": (
        [REGISTER, Link(to=OPEN)],
        Link(to=OPEN, kind="implies"),
        [ClaimLinked(kind="implies", to=OPEN)],
    ),
    "a link made again after it was taken back": (
        [REGISTER, Link(to=OPEN), Unlink(link=at(2))],
        Link(to=OPEN),
        [ClaimLinked(kind="related", to=OPEN)],
    ),
    "a link taken back": ([REGISTER, Link(to=OPEN)], Unlink(link=at(2)), [ClaimUnlinked(link=at(2))]),
    "a wording put right": ([REGISTER], Reword(text="They plan to leave"), [ClaimReworded(replaces=at(1))]),
    "a wording put right again names the one before": (
        [REGISTER, Reword(text="They plan to leave", kind="event", valid_from="2020-01-06")],
        Reword(language="en-GB"),
        [ClaimReworded(replaces=at(2), kind="event", language="en-GB", valid_from=DAY.earliest)],
    ),
    "where we used it": (
        [REGISTER, AFP],
        Publish(address="https://example.org/1", day="2020-01-06"),
        [ClaimPublished(day="2020-01-06", seen=7, status="asserted")],
    ),
    "a publication taken down": (
        [REGISTER, Publish(address="https://example.org/1", day="2020-01-06")],
        Unpublish(publication=at(2)),
        [ClaimUnpublished(publication=at(2))],
    ),
    "a text erased": (
        [REGISTER, AFP],
        Erase(event=at(2), slot="identity", basis="court_order"),
        [TextErased(event=at(2), slot="identity", basis="court_order")],
    ),
    "the other text erased as well": (
        [REGISTER, AFP, Erase(event=at(2), slot="identity", basis="court_order")],
        Erase(event=at(2), slot="wording", basis="court_order"),
        [TextErased(event=at(2), slot="wording", basis="court_order")],
    ),
    # The end of a claim.
    "a claim withdrawn": ([REGISTER], Withdraw(reason="a mistake"), [ClaimWithdrawn()]),
    "after its end a text can still be erased": (
        [REGISTER, Withdraw(reason="a mistake")],
        Erase(event=at(1), slot="wording", basis="copyright"),
        [TextErased(event=at(1), slot="wording", basis="copyright")],
    ),
    "after its end a publication can still be taken down": (
        [REGISTER, Publish(address="https://example.org/1", day="2020-01-06"), Withdraw(reason="a mistake")],
        Unpublish(publication=at(2)),
        [ClaimUnpublished(publication=at(2))],
    ),
    "a merge records every live statement there, with its original time": (
        [REGISTER, says("CNN", via=("AFP",), occurred="2020-01-06"), Deny(source="Mark Esper"), Note(source="BBC")],
        Merge(into=OPEN),
        [
            ClaimMerged(
                into=OPEN,
                assignments=tuple(Assignment(statement=id, claims=(1,)) for id in sorted((at(2), at(3)))),
            ),
            *(
                fact
                for _, fact in sorted(
                    {
                        at(2): ClaimAsserted(source=1, via=(2,), origin=1, occurred=DAY, derived_from=at(2)),
                        at(3): ClaimDenied(source=3, origin=2, occurred=moment(3), derived_from=at(3)),
                    }.items()
                )
            ),
        ],
    ),
    "a merge of a claim without statements": (
        [REGISTER],
        Merge(into=QUESTION),
        [ClaimMerged(into=QUESTION, assignments=())],
    ),
    "a split records each statement where it speaks, and nowhere what speaks to none": (
        [REGISTER, AFP, says("CNN")],
        Split(into=(OPEN, ALSO_OPEN), statements={at(2): (ALSO_OPEN, OPEN, OPEN), at(3): ()}),
        [
            ClaimSplit(
                into=(OPEN, ALSO_OPEN),
                assignments=tuple(
                    Assignment(statement=id, claims=(2, 1) if id == at(2) else ()) for id in sorted((at(2), at(3)))
                ),
            ),
            ClaimAsserted(source=1, origin=1, occurred=moment(2), derived_from=at(2)),
            ClaimAsserted(source=1, origin=1, occurred=moment(2), derived_from=at(2)),
        ],
    ),
}


@pytest.mark.parametrize("row", RECORDED.values(), ids=RECORDED.keys())
def test_a_command_records(row: Row) -> None:
    history, command, expected = row
    assert facts(given(history).decide(command)) == expected


def test_every_command_on_a_claim_is_among_the_rows() -> None:
    assert {type(command) for _, command, _ in RECORDED.values()} == {RegisterClaim, *get_args(ClaimCommand)}


@pytest.mark.parametrize("row", RECORDED.values(), ids=RECORDED.keys())
def test_deciding_changes_nothing_and_gives_the_same_again(row: Row) -> None:
    history, command, _ = row
    room = given(history)

    assert room.decide(command) == room.decide(command)
    assert len(room.claim(HERE).claim.events) == len(room.stream())


# --- what is refused -------------------------------------------------------------------------------

Refusal = tuple[list[RegisterClaim | ClaimCommand], RegisterClaim | ClaimCommand, type[Problem], str | None, str]
"""History, command, the problem, its rule where it has one, and what it says to do next."""

EVENT = derive("evt", "nobody recorded it")
RETRACTED = [REGISTER, AFP, Retract(statement=at(2), by="AFP")]
UNDONE = [REGISTER, AFP, WithdrawStatement(statement=at(2))]
MERGED = [REGISTER, AFP, says("CNN"), MergeOrigins(kept="AFP", merged="CNN")]
QUESTIONED = [RegisterClaim(text="should they leave?", checkable=False)]

REFUSED: dict[str, Refusal] = {
    "a claim that nobody registered": ([], AFP, NotFound, None, "look its id up in the list of claims"),
    "a claim that was withdrawn": (
        [REGISTER, Withdraw(reason="r")], AFP, Refused, "claim-ended", "register a new claim",
    ),
    "a claim that was merged": ([REGISTER, Merge(into=OPEN)], AFP, Refused, "claim-ended", "record it there"),
    "a claim that was split": (
        [REGISTER, Split(into=(OPEN, ALSO_OPEN))], AFP, Refused, "claim-ended", "record it on one of these",
    ),
    "a claim withdrawn twice": (
        [REGISTER, Withdraw(reason="r")], Withdraw(reason="r"), Refused, "claim-ended", "register a new claim",
    ),
    "a stance on an open question": (QUESTIONED, AFP, Refused, "not-checkable", "record a note"),
    "a first stance on an open question": (
        [], RegisterClaim(text="t", checkable=False, statement=AFP), Refused, "not-checkable", "record a note",
    ),
    "a scope that ends before it begins": (
        [], RegisterClaim(text="t", valid_from="2021", valid_to="2020"), Invalid, None, "swap them",
    ),
    "a document that is not named": (
        [REGISTER], says("Seely", attribution="documentary"), Refused, "document-not-named", "give it as `origin`",
    ),
    "an origin by an id that the claim doesn't have": (
        [REGISTER], says("AFP", origin=derive("org", "none")), NotFound, None, "name it by its label",
    ),
    "a document that is no hash": ([REGISTER], says("AFP", documents=("Z" * 64,)), Invalid, None, "give 64 of"),
    "a time that is none": ([REGISTER], says("AFP", occurred="yesterday"), Invalid, None, "write 2020-01-06"),
    "a quote that ends before it starts": (
        [REGISTER], says("AFP", quote=Quotation(exact="w", start=5, end=4)), Invalid, None, "swap `start` and `end`",
    ),
    "a quote from what is no hash": (
        [REGISTER], says("AFP", quote=Quotation(exact="w", document="Z" * 64)), Invalid, None, "give 64 of",
    ),
    # Acting on what was said.
    "taking back a statement that isn't there": (
        [REGISTER], Retract(statement=EVENT, by="AFP"), NotFound, None, "look its id up",
    ),
    "taking back a note": (
        [REGISTER, Note(source="AFP")], Retract(statement=at(2), by="AFP"), Refused, "nothing-changed",
        "leave it",
    ),
    "taking back what somebody else said": (
        [REGISTER, says("AFP", via=("CNN",))], Retract(statement=at(2), by="BBC"), Refused, "not-theirs-to-retract",
        "only AFP, CNN can; if we recorded it by mistake, withdraw the statement",
    ),
    "taking back twice": (RETRACTED, Retract(statement=at(2), by="AFP"), Refused, "acted-on", "act on that one"),
    "taking back what was undone": (UNDONE, Retract(statement=at(2), by="AFP"), Refused, "acted-on", "record it anew"),
    "taking back what stands for nothing": (
        [REGISTER, AFP, Correct(statement=at(2), stance="none")], Retract(statement=at(3), by="AFP"), Refused,
        "nothing-changed", "leave it",
    ),
    "putting right what was taken back": (
        RETRACTED, Correct(statement=at(2), stance="denied"), Refused, "acted-on", "undo it first",
    ),
    "putting right what isn't there": (
        [REGISTER], Correct(statement=EVENT, stance="none"), NotFound, None, "look its id up",
    ),
    "putting right and changing nothing": (
        [REGISTER, AFP], Correct(statement=at(2), stance="asserted"), Refused, "nothing-changed",
        "say what to put right",
    ),
    "making a statement documentary without its document": (
        [REGISTER, AFP], Correct(statement=at(2), attribution="documentary"), Refused, "document-not-named",
        "give it as `origin`",
    ),
    "undoing what isn't there": ([REGISTER], WithdrawStatement(statement=EVENT), NotFound, None, "look its id up"),
    "undoing the registration": (
        [REGISTER], WithdrawStatement(statement=at(1)), Refused, "not-a-statement", "use the verb that undoes it",
    ),
    "undoing twice": (UNDONE, WithdrawStatement(statement=at(2)), Refused, "acted-on", "record it anew"),
    "undoing an undo": (
        UNDONE, WithdrawStatement(statement=at(3)), Refused, "not-a-statement", "record anew what was withdrawn",
    ),
    "undoing what was taken back, before the retraction": (
        RETRACTED, WithdrawStatement(statement=at(2)), Refused, "acted-on", "undo it first",
    ),
    "naming the speaker of what has one": (
        [REGISTER, AFP], Attribute(statement=at(2), source="CNN"), Refused, "not-unattributed",
        "correct the statement instead",
    ),
    "naming a speaker twice": (
        [REGISTER, NOBODY, Attribute(statement=at(2), source="CNN")], Attribute(statement=at(2), source="BBC"), Refused,
        "acted-on", "act on that one",
    ),
    "naming nobody as the speaker": (
        [REGISTER, NOBODY], Attribute(statement=at(2), source="x", attribution="unattributed"), Invalid, None,
        "choose another `attribution`",
    ),
    "naming a speaker by a document that is not named": (
        [REGISTER, NOBODY], Attribute(statement=at(2), source="x", attribution="documentary"), Refused,
        "document-not-named", "give it as `origin`",
    ),
    # Origins.
    "merging an origin that the claim doesn't have": (
        [REGISTER, AFP], MergeOrigins(kept="AFP", merged="the letter"), NotFound, None, "it has AFP",
    ),
    "merging an origin with itself": (
        [REGISTER, AFP], MergeOrigins(kept="AFP", merged="afp"), Refused, "nothing-changed", "name two",
    ),
    "merging what is merged": (
        MERGED, MergeOrigins(kept="CNN", merged="AFP"), Refused, "nothing-changed", "name two",
    ),
    "undoing a merge that isn't there": ([REGISTER], SplitOrigins(merge=EVENT), NotFound, None, "look its id up"),
    "undoing a merge twice": (
        [*MERGED, SplitOrigins(merge=at(4))], SplitOrigins(merge=at(4)), Refused, "acted-on", "record it anew",
    ),
    # Evidence, verdicts, links, wording, use.
    "a snapshot that is no hash": ([REGISTER], Attach(sha256="Z" * 64, size=1), Invalid, None, "give 64 of"),
    "a snapshot that is too large": (
        [REGISTER], Attach(sha256=HASH, size=50 * 2**20 + 1), Invalid, None, "attach a smaller one",
    ),
    "a snapshot for a statement that isn't there": (
        [REGISTER], Attach(sha256=HASH, size=1, statement=EVENT), NotFound, None, "look its id up",
    ),
    "withdrawing a verdict where none stands": (
        [REGISTER], WithdrawVerdict(), Refused, "acted-on", "there is nothing to withdraw",
    ),
    "withdrawing a verdict that isn't there": (
        [REGISTER], WithdrawVerdict(adjudication=EVENT), NotFound, None, "leave it out",
    ),
    "withdrawing a verdict that was replaced": (
        [REGISTER, Adjudicate(verdict="mixed", reason="r"), Adjudicate(verdict="false", reason="r")],
        WithdrawVerdict(adjudication=at(2)), Refused, "acted-on", "look up the one that stands",
    ),
    "withdrawing a verdict twice: the one before does not come back": (
        [REGISTER, Adjudicate(verdict="mixed", reason="r"), Adjudicate(verdict="false", reason="r"), WithdrawVerdict()],
        WithdrawVerdict(), Refused, "acted-on", "there is nothing to withdraw",
    ),
    "a link to a claim that isn't there": ([REGISTER], Link(to=UNKNOWN_CLAIM), NotFound, None, "look its id up"),
    "a link to what is no claim": ([REGISTER], Link(to="the letter"), NotFound, None, "look it up"),
    "a link to itself": ([REGISTER], Link(to=HERE), Invalid, None, "name another one"),
    "a link twice": ([REGISTER, Link(to=OPEN)], Link(to=OPEN), Refused, "nothing-changed", "take that link back first"),
    "taking back a link that isn't there": ([REGISTER], Unlink(link=EVENT), NotFound, None, "look its id up"),
    "taking back a link twice": (
        [REGISTER, Link(to=OPEN), Unlink(link=at(2))], Unlink(link=at(2)), Refused, "acted-on", "link anew",
    ),
    "rewording and changing nothing": (
        [REGISTER], Reword(text=REGISTER.text), Refused, "nothing-changed", "say what to put right",
    ),
    "rewording so that the scope ends before it begins": (
        [RegisterClaim(text="t", valid_from="2020")], Reword(valid_to="2019"), Invalid, None, "swap them",
    ),
    "rewording without words where they were erased": (
        [REGISTER, Erase(event=at(1), slot="wording", basis="copyright")], Reword(kind="event"), Refused, "text-erased",
        "give a new `text`",
    ),
    "a day that is none": ([REGISTER], Publish(address="a", day="2020-02-30"), Invalid, None, "write 2020-01-06"),
    "taking down a publication that isn't there": (
        [REGISTER], Unpublish(publication=EVENT), NotFound, None, "look its id up",
    ),
    "taking down a publication twice": (
        [REGISTER, Publish(address="a", day="2020-01-06"), Unpublish(publication=at(2))], Unpublish(publication=at(2)),
        Refused, "acted-on", "record a new publication",
    ),
    "erasing what isn't there": (
        [REGISTER], Erase(event=EVENT, slot="wording", basis="copyright"), NotFound, None, "look its id up",
    ),
    "erasing twice": (
        [REGISTER, Erase(event=at(1), slot="wording", basis="copyright")],
        Erase(event=at(1), slot="wording", basis="court_order"), Refused, "acted-on", "leave it",
    ),
    # The end of a claim.
    "merging into a claim that isn't there": ([REGISTER], Merge(into=UNKNOWN_CLAIM), NotFound, None, "look its id up"),
    "merging into itself": ([REGISTER], Merge(into=HERE), Invalid, None, "name another one"),
    "merging into a claim that has ended": (
        [REGISTER, AFP], Merge(into=ENDED), Refused, "claim-ended", "name a claim that goes on",
    ),
    "merging without statements into a claim that has ended": (
        [REGISTER], Merge(into=ENDED), Refused, "claim-ended", "name a claim that goes on",
    ),
    "merging statements into an open question": (
        [REGISTER, AFP], Merge(into=QUESTION), Refused, "not-checkable", "name a checkable claim",
    ),
    "splitting into one claim, named twice": (
        [REGISTER], Split(into=(OPEN, OPEN)), Invalid, None, "name each claim that goes on once",
    ),
    "splitting into a claim that has ended": (
        [REGISTER], Split(into=(OPEN, ENDED)), Refused, "claim-ended", "name a claim that goes on",
    ),
    "splitting without saying where a statement speaks": (
        [REGISTER, AFP], Split(into=(OPEN, ALSO_OPEN)), Refused, "statements-not-assigned", f"missing: {at(2)}",
    ),
    "splitting with a statement that isn't live": (
        RETRACTED, Split(into=(OPEN, ALSO_OPEN), statements={at(2): (OPEN,)}), NotFound, None, "look its id up",
    ),
    "splitting a statement to a claim that isn't named": (
        [REGISTER, AFP], Split(into=(OPEN, ALSO_OPEN), statements={at(2): (QUESTION,)}), Invalid, None,
        "name it in `into`",
    ),
}  # fmt: skip


@pytest.mark.parametrize("row", REFUSED.values(), ids=REFUSED.keys())
def test_a_command_is_refused_with_what_to_do_next(row: Refusal) -> None:
    history, command, problem, rule, advice = row
    room = given(history)

    with pytest.raises(Problem) as refused:
        room.decide(command)

    assert (type(refused.value), getattr(refused.value, "rule", None)) == (problem, rule)
    assert advice in refused.value.detail


def test_every_rule_by_which_decide_refuses_is_among_the_rows() -> None:
    folder = Path(verifier.decide.__file__).parent
    rules = {rule for file in folder.glob("*.py") for rule in re.findall(r'rule="([a-z-]+)"', file.read_text())}

    assert rules == {rule for *_, rule, _ in REFUSED.values() if rule} | {"quote-not-found", "too-many-statements"}


# --- quotes ----------------------------------------------------------------------------------------

QUOTING = says(
    "AFP", quote=Quotation(exact="we respect your decision", document=HASH, start=2, prefix="", language="en")
)


@pytest.mark.parametrize(
    ("found", "recorded"), [("found", "found"), ("bytes_not_held", "bytes_not_held"), (None, "bytes_not_held")]
)
def test_a_quote_is_recorded_with_whether_it_was_found(found: QuoteFound | None, recorded: QuoteCheck) -> None:
    (draft,) = given([REGISTER]).decide(QUOTING, quote=found)

    assert draft.fact == ClaimAsserted(source=1, origin=1, quoted=recorded, quoted_in=1)
    assert draft.identity.documents == {"1": HASH}
    assert draft.wording.quote is not None
    assert (draft.wording.quote.start, draft.wording.quote.prefix, draft.wording.quote.language) == (2, None, "en")


@pytest.mark.parametrize(
    ("found", "advice"),
    [
        ("absent", "copy them exactly"),
        ("elsewhere", "leave them out"),
        ("other_context", "leave them out"),
        ("not_text", "leave `document` out"),
    ],
)
def test_a_quote_that_is_not_there_is_refused(found: QuoteFound, advice: str) -> None:
    with pytest.raises(Refused) as refused:
        given([REGISTER]).decide(QUOTING, quote=found)

    assert refused.value.rule == "quote-not-found"
    assert advice in refused.value.detail


def test_a_quote_without_a_document_is_words_and_nothing_else() -> None:
    (draft,) = given([REGISTER]).decide(says("AFP", quote="we respect your decision"))

    assert draft.fact == ClaimAsserted(source=1, origin=1)
    assert draft.identity.documents == {}


# --- who stands behind it --------------------------------------------------------------------------


def test_each_event_names_everyone_its_numbers_mean() -> None:
    room = given([REGISTER, says("CNN", via=("AFP",), origin="the letter", documents=(HASH,))])
    (draft,) = room.decide(Correct(statement=at(2), stance="denied"))

    identity = draft.identity
    assert {number: party.name for number, party in identity.parties.items()} == {"1": "CNN", "2": "AFP"}
    assert {number: origin.label for number, origin in identity.origins.items()} == {"1": "the letter"}
    assert (identity.documents, identity.actor, identity.command) == ({"1": HASH}, "ada", "0" * 64)


def test_a_correction_names_the_document_of_the_quote_that_it_keeps() -> None:
    room = given([REGISTER, QUOTING])
    (draft,) = room.decide(Correct(statement=at(2), stance="denied"))

    assert isinstance(draft.fact, StatementCorrected)
    assert (draft.fact.quoted_in, draft.identity.documents) == (1, {"1": HASH})


def test_a_name_stays_as_it_was_written_first() -> None:
    room = given([REGISTER, AFP])
    (draft,) = room.decide(says("afp", origin="AFP"))

    assert draft.identity.parties["1"].name == "AFP"


def test_the_words_of_a_time_are_kept_and_not_hashed_with_the_fact() -> None:
    said = says("AFP", occurred=When(at="2020-01-06", expression="Monday night", basis="inferred"), note="by phone")
    (draft,) = given([REGISTER]).decide(said)

    assert draft.wording == Wording(expression="Monday night", note="by phone")


def test_a_number_is_never_used_again_after_an_erasure() -> None:
    erased = Erase(event=at(2), slot="identity", basis="court_order")
    room = given([REGISTER, says("AFP", via=("CNN",), documents=(HASH,)), erased])

    (again,) = room.do(says("AFP", via=("CNN",), documents=(HASH,)))
    (corrected,) = room.do(Correct(statement=at(2), stance="denied"))

    assert again.fact == ClaimAsserted(source=3, via=(4,), origin=2, documents=(2,))
    assert isinstance(corrected.fact, StatementCorrected)
    assert (corrected.fact.source, corrected.fact.via, corrected.fact.origin) == (1, (2,), 1)
    assert (corrected.identity.parties, corrected.identity.origins) == ({}, {})


def test_a_number_that_another_event_still_names_is_kept_after_an_erasure() -> None:
    room = given([REGISTER, AFP, Deny(source="AFP"), Erase(event=at(2), slot="identity", basis="court_order")])

    assert facts(room.decide(AFP)) == [ClaimAsserted(source=1, origin=1)]


def test_within_a_story_a_label_is_one_origin_on_every_claim() -> None:
    story = derive("sto", "Iraq letter")
    room = given([], story=story)
    registering = RegisterClaim(text="t", statement=says("CNN", origin="the letter"))

    (_, here) = room.do(registering, story=story)
    (_, there) = room.do(registering, claim=derive("clm", "of the same story"), story=story)
    (_, alone) = room.do(registering, claim=derive("clm", "of no story"))

    assert here.identity.origins == there.identity.origins
    assert here.identity.origins["1"].id != alone.identity.origins["1"].id


# --- the end of a claim, and what goes on ------------------------------------------------------------


def status(room: Room, claim: str) -> tuple[str, int]:
    """A claim's status and how many origins support it."""
    assessment = room.claim(claim).assess(DEFAULT)
    return assessment.status, assessment.counts.support_origins


def test_derived_statements_get_the_numbers_of_the_claim_that_goes_on() -> None:
    room = given([REGISTER, says("CNN", via=("AFP",), documents=(HASH,))])
    room.do(says("BBC", via=("AFP",), documents=(OTHER_HASH,)), claim=OPEN)

    _, derived = room.do(Merge(into=OPEN))

    assert derived.stream == f"claim:{OPEN}"
    assert isinstance(derived.fact, Statement)
    assert (derived.fact.source, derived.fact.via, derived.fact.origin, derived.fact.documents) == (3, (2,), 2, (2,))
    assert {number: party.name for number, party in derived.identity.parties.items()} == {"3": "CNN", "2": "AFP"}
    assert derived.identity.documents == {"2": HASH}


def test_a_merge_leaves_out_every_statement_that_a_retraction_felled() -> None:
    room = given(
        [
            REGISTER,
            says("Mark Esper", via=("CNN",)),
            says("BBC", origin="Mark Esper"),
            Deny(source="Mark Esper", occurred="unknown"),
            Retract(statement=at(2), by="Mark Esper"),
        ]
    )

    _, derived = room.do(Merge(into=OPEN))

    assert isinstance(derived.fact, ClaimDenied)
    assert derived.fact.derived_from == at(4)


def test_a_merge_leaves_out_what_stands_for_nothing_and_carries_over_what_was_put_right() -> None:
    room = given([REGISTER, AFP, says("CNN"), Correct(statement=at(2), stance="none")])
    room.do(Correct(statement=at(3), stance="denied", source="BBC"))

    _, derived = room.do(Merge(into=OPEN))

    assert isinstance(derived.fact, ClaimDenied)
    assert (derived.fact.derived_from, derived.identity.parties["1"].name) == (at(5), "BBC")


def test_origins_that_count_as_one_count_as_one_where_the_claim_goes_on() -> None:
    story = derive("sto", "Iraq letter")
    room = given([REGISTER], story=story)
    room.do(RegisterClaim(text="the same"), claim=derive("clm", "twin"), story=story)
    room.do(says("CNN", origin="a copy"), says("BBC", origin="the letter"))
    room.do(MergeOrigins(kept="the letter", merged="a copy"))
    assert status(room, HERE) == ("asserted", 1)

    room.do(Merge(into=derive("clm", "twin")))

    assert status(room, derive("clm", "twin")) == ("asserted", 1)


def test_one_source_is_one_origin_on_two_claims_that_become_one() -> None:
    room = given([REGISTER, says("CNN", origin="AFP")])
    room.do(says("BBC", origin="AFP"), says("Reuters", origin="the letter"), claim=OPEN)

    room.do(Merge(into=OPEN))

    assert status(room, OPEN) == ("corroborated", 2)


def test_a_derived_statement_of_its_own_source_can_be_given_another_source() -> None:
    room = given([REGISTER, AFP])
    room.do(Merge(into=OPEN))
    (event,) = [event for event in room.stream(OPEN) if isinstance(event.fact, ClaimAsserted)]

    (corrected,) = room.do(Correct(statement=event.id, source="CNN"), claim=OPEN)

    assert isinstance(corrected.fact, StatementCorrected)
    assert (corrected.fact.origin, corrected.fact.carries, corrected.fact.derived_from) == (2, False, at(2))


def test_names_that_were_erased_go_on_as_somebody() -> None:
    erased = Erase(event=at(2), slot="identity", basis="court_order")
    room = given([REGISTER, says("AFP", via=("CNN",), documents=(HASH,)), erased, says("BBC")])

    room.do(Merge(into=OPEN))

    assert status(room, OPEN) == ("corroborated", 2)
    names = room.claim(OPEN).names
    assert sorted(party.name for party in names.parties.values()) == [
        "BBC", "a name that was erased", "a name that was erased",
    ]  # fmt: skip
    assert names.documents == {}


def test_a_merge_of_one_statement_too_many_is_refused() -> None:
    room = given([REGISTER, *[says(f"source {number}") for number in range(DERIVED_LIMIT // 2 + 1)]])
    everywhere = {event.id: (OPEN, ALSO_OPEN) for event in room.stream()[1:]}

    with pytest.raises(Refused) as refused:
        room.decide(Split(into=(OPEN, ALSO_OPEN), statements=everywhere))
    assert refused.value.rule == "too-many-statements"
    assert "withdraw the claim instead" in refused.value.detail

    everywhere[room.stream()[1].id] = ()
    assert len(room.decide(Split(into=(OPEN, ALSO_OPEN), statements=everywhere))) == DERIVED_LIMIT + 1


def test_a_merge_of_a_thousand_statements_fits_into_one_append() -> None:
    room = given([REGISTER, *[says(f"source {number}") for number in range(DERIVED_LIMIT)]])

    drafts = room.do(Merge(into=OPEN))  # encoding refuses a leaf that is too large

    assert len(drafts) == DERIVED_LIMIT + 1
    assert status(room, OPEN)[1] == DERIVED_LIMIT


def test_every_fact_is_asked_for_by_one_verb_or_recorded_by_the_log_itself() -> None:
    asked_for = sorted(VERBS.values())

    assert asked_for == sorted(COMMANDS)
    assert sorted([*asked_for, *RECORDED_BY_THE_LOG]) == sorted(FACTS)


def test_a_snapshot_may_be_attached_that_may_be_kept() -> None:
    assert EVIDENCE_LIMIT == SNAPSHOT_LIMIT
