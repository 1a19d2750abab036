"""How a write was understood, in one line: what was recorded before, what is recorded, and what the writer is told."""

from __future__ import annotations

import pytest
from deciding import ALSO_OPEN, HERE, OPEN, QUESTION, at, given, says

from events.contracts import FACTS
from verifier.commands import (
    Adjudicate,
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
    RegisterClaim,
    Retract,
    Reword,
    Split,
    SplitOrigins,
    Unlink,
    Unpublish,
    Withdraw,
    WithdrawStatement,
    WithdrawVerdict,
)
from verifier.effects import Before, effect
from verifier.policy import DEFAULT

REGISTER = RegisterClaim(text="They plan to leave")
AFP = says("AFP")
MERGED = [REGISTER, AFP, says("CNN"), MergeOrigins(kept="AFP", merged="CNN")]

Row = tuple[list[RegisterClaim | ClaimCommand], RegisterClaim | ClaimCommand, str]

EFFECTS: dict[str, Row] = {
    "a claim": ([], REGISTER, "registered"),
    "an open question": ([], RegisterClaim(text="t", checkable=False), "registered as an open question"),
    # Supports.
    "a first support": ([REGISTER], AFP, "counted: new origin, named, on the record"),
    "a document": (
        [REGISTER],
        says("Seely", origin="the letter", attribution="documentary"),
        "counted: new origin, named, in a document",
    ),
    "an unnamed support": (
        [REGISTER],
        Corroborate(source="an official", attribution="anonymous"),
        "counted: new origin, unnamed, described",
    ),
    "a support by a party": (
        [RegisterClaim(text="t", accuses=("the minister",))],
        says("the minister", attribution="first_hand"),
        "counted: new origin, interested, first-hand",
    ),
    "one more who carries an origin": ([REGISTER, AFP], says("CNN", origin="AFP"), "echo of AFP"),
    "one who carries what was merged": (MERGED, says("BBC", origin="CNN"), "echo of CNN"),
    "a source that repeats itself": ([REGISTER, AFP], AFP, "echo of AFP"),
    "a source that speaks from another origin as well": (
        [REGISTER, AFP],
        says("AFP", origin="the letter", via=("CNN",)),
        "counted: with what the same source said already, named, on the record",
    ),
    "nobody knows who": ([REGISTER], says("x", attribution="unattributed"), "set aside: the speaker is not identified"),
    "a part": ([REGISTER], says("AFP", extent="part"), "set aside: speaks of a part only"),
    "what was retracted already": (
        [REGISTER, AFP, Retract(statement=at(2), by="AFP", occurred="2020-01-08")],
        says("CNN", origin="AFP", occurred="2020-01-06"),
        "fallen: what it repeats was retracted",
    ),
    "what its source has denied since": (
        [REGISTER, Deny(source="AFP", occurred="2020-01-08")],
        says("AFP", occurred="2020-01-06"),
        "superseded: the same source said otherwise later",
    ),
    # Denials.
    "a denial": ([REGISTER], Deny(source="Mark Esper"), "counted: denial, named, on the record"),
    "a denial by somebody unnamed": (
        [REGISTER],
        Deny(source="an official", attribution="anonymous"),
        "counted: weak denial, unnamed, described",
    ),
    "a denial of a part": (
        [REGISTER],
        Deny(source="Mark Esper", extent="part"),
        "counted: weak denial, named, on the record",
    ),
    "a note": ([REGISTER], Note(source="AFP", kind="no_reply"), "noted: no reply; kept out of every count"),
    # Acting on what was said.
    "a retraction": ([REGISTER, AFP], Retract(statement=at(2), by="AFP"), "retracted; asserted became retracted"),
    "a retraction of one of two": (
        [REGISTER, AFP, says("CNN")],
        Retract(statement=at(2), by="AFP"),
        "retracted; corroborated became asserted",
    ),
    "a retraction beside a denial": (
        [REGISTER, AFP, says("CNN"), Deny(source="Mark Esper")],
        Retract(statement=at(2), by="AFP"),
        "retracted; the status stays",
    ),
    "an undo": (
        [REGISTER, AFP],
        WithdrawStatement(statement=at(2)),
        "undone: it counts nowhere; asserted became unassessed",
    ),
    "a correction of the only support": (
        [REGISTER, AFP],
        Correct(statement=at(2), source="Seely", origin="the letter", via=("AFP",)),
        "put right: counted: named, on the record",
    ),
    "a correction to an echo": (
        [REGISTER, AFP, says("CNN")],
        Correct(statement=at(3), origin="AFP"),
        "put right: echo of AFP",
    ),
    "a correction to a denial": (
        [REGISTER, AFP],
        Correct(statement=at(2), stance="denied"),
        "put right: counted: denial, named, on the record",
    ),
    "a correction to nothing": (
        [REGISTER, AFP],
        Correct(statement=at(2), stance="none"),
        "put right: stands for nothing any more",
    ),
    "an attribution": (
        [REGISTER, says("x", attribution="unattributed")],
        Attribute(statement=at(2), source="Mark Esper"),
        "put right: counted: new origin, named, on the record",
    ),
    # The rest.
    "origins merged": (MERGED[:-1], MERGED[-1], "the two origins count as one"),
    "origins split": (MERGED, SplitOrigins(merge=at(4)), "the two origins count apart again"),
    "evidence": ([REGISTER], Attach(sha256="a" * 64, size=1), "evidence attached"),
    "a verdict": (
        [REGISTER],
        Adjudicate(verdict="mixed", reason="r"),
        "verdict recorded; the status stays what the facts say",
    ),
    "a verdict withdrawn": (
        [REGISTER, Adjudicate(verdict="mixed", reason="r")],
        WithdrawVerdict(),
        "verdict withdrawn",
    ),
    "a link": ([REGISTER], Link(to=OPEN), "linked; links are never counted"),
    "a link taken back": ([REGISTER, Link(to=OPEN)], Unlink(link=at(2)), "link taken back"),
    "a wording": ([REGISTER], Reword(text="t"), "reworded; the statements stay"),
    "a publication": ([REGISTER], Publish(address="a", day="2020-01-06"), "publication recorded"),
    "a publication taken down": (
        [REGISTER, Publish(address="a", day="2020-01-06")],
        Unpublish(publication=at(2)),
        "publication taken down",
    ),
    "an erasure": (
        [REGISTER],
        Erase(event=at(1), slot="wording", basis="copyright"),
        "text erased; the status stays",
    ),
    "a split": ([REGISTER], Split(into=(OPEN, ALSO_OPEN)), "split; the claim takes no more facts"),
    "a merge": ([REGISTER], Merge(into=QUESTION), "merged; the claim takes no more facts"),
    "a withdrawal": ([REGISTER], Withdraw(reason="r"), "withdrawn; the claim takes no more facts"),
}


@pytest.mark.parametrize("row", EFFECTS.values(), ids=EFFECTS.keys())
def test_a_write_is_understood(row: Row) -> None:
    history, command, expected = row
    room = given(history)
    before = Before.of(room.claim(HERE), DEFAULT)

    room.do(command)
    (event,) = room.stream()[len(history) :]

    assert effect(room.claim(HERE), DEFAULT, before, event.id, event.fact) == expected


def test_every_fact_of_a_claim_is_told_of() -> None:
    told = {command.type for _, command, _ in EFFECTS.values()}

    beside = ("source.", "story.", "log.", "policy.", "statuses.", "identity.")
    assert told == {name for name in FACTS if not name.startswith(beside)}


def test_a_statement_superseded_far_down_the_list_is_told_of_as_such() -> None:
    room = given([REGISTER, Deny(source="AFP", occurred="2020-02-01"), *[says("AFP", occurred="2020-01-01")] * 25])
    before = Before.of(room.claim(HERE), DEFAULT)

    room.do(says("AFP", occurred="2020-01-06"))

    last = room.stream()[-1]
    told = effect(room.claim(HERE), DEFAULT, before, last.id, last.fact)
    assert told == "superseded: the same source said otherwise later"
