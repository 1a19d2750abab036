"""Every label and explanation, as a careful editor would write them: one golden per rule and variation.

`golden/sentences.json` holds what comes out. To accept new sentences, run this file:
`PYTHONPATH=. python tests/verifier/test_sentences.py`, and read the difference.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import UNKNOWN, History, claim_of, day, event, histories, on

from events.contracts import (
    ClaimAdjudicated,
    ClaimAsserted,
    ClaimCorroborated,
    ClaimDenied,
    ClaimMerged,
    ClaimRegistered,
    ClaimSplit,
    ClaimWithdrawn,
    Fact,
    Occurred,
    Origin,
    Party,
    StatementCorrected,
    StatementRetracted,
)
from verifier.assessment import Assessment
from verifier.names import Names
from verifier.policy import POLICIES
from verifier.sentences import explanation, label
from verifier.tally import Tally

GOLDEN = Path(__file__).parent / "golden" / "sentences.json"

ESPER, AFP, POST, REUTERS, NEWSWEEK, OFFICIAL, SEELY, PENTAGON = range(1, 9)
LETTER, COPY, OWN, TOLD, BRIEFING = range(1, 6)
PARTIES = ["Mark Esper", "AFP", "The Washington Post", "Reuters", "Newsweek", "a senior Pentagon official",
           "William Seely", "the Pentagon"]  # fmt: skip
ORIGINS = ["the letter", "a copy seen by AFP", "Mark Esper", "a senior Pentagon official", "the briefing"]
NAMES = Names(
    parties={number: Party(id=f"src_{number:026}", name=name) for number, name in enumerate(PARTIES, 1)},
    origins={number: Origin(id=f"org_{number:026}", label=name) for number, name in enumerate(ORIGINS, 1)},
)
UNNAMED = Names()
MONDAY = on(6)
REGISTERED = ClaimRegistered()
WHEN_RECORDED = Occurred()
JANUARY = Occurred(basis="explicit", earliest=day(1), latest=day(31), precision="month")
THAT_YEAR = Occurred(basis="explicit", earliest=day(1), latest=day(31), precision="year")

printed = ClaimAsserted(attribution="documentary", origin=LETTER, source=SEELY, via=(AFP,), occurred=MONDAY)
echoes = [
    ClaimAsserted(carries=True, origin=LETTER, source=outlet, occurred=MONDAY) for outlet in (POST, REUTERS, NEWSWEEK)
]
copy = ClaimAsserted(attribution="documentary", carries=True, origin=COPY, source=AFP, occurred=MONDAY)
told = ClaimCorroborated(attribution="anonymous", origin=TOLD, source=OFFICIAL, via=(NEWSWEEK,), occurred=MONDAY)
denied = ClaimDenied(origin=OWN, source=ESPER, occurred=MONDAY)
denied_by_official = ClaimDenied(
    attribution="anonymous", origin=TOLD, source=OFFICIAL, via=(NEWSWEEK,), occurred=MONDAY
)
unattributed = ClaimDenied(attribution="unattributed", origin=BRIEFING, source=PENTAGON, occurred=MONDAY)
partly = ClaimAsserted(extent="part", origin=BRIEFING, source=PENTAGON, occurred=MONDAY)


def by(party: int, occurred: Occurred = MONDAY, **more: object) -> ClaimDenied:
    return ClaimDenied(origin=party, source=party, occurred=occurred, **more)


def support(party: int, origin: int, occurred: Occurred = MONDAY, **more: object) -> ClaimAsserted:
    return ClaimAsserted(source=party, origin=origin, occurred=occurred, **more)


def retracted(statement: int, party: int, occurred: Occurred = WHEN_RECORDED) -> StatementRetracted:
    return StatementRetracted(by="source", party=party, statement=event(statement), occurred=occurred)


to_none = StatementCorrected(
    by="source", stance="none", statement=event(2), source=SEELY, origin=LETTER, occurred=on(7)
)
verdict = ClaimAdjudicated(policy="standing/1", seen=1, status="asserted", verdict="mixed")


def render(
    *facts: Fact,
    policy: str = "standing/1",
    names: Names = NAMES,
    registered: Fact = REGISTERED,
    said_by: str | None = None,
) -> dict[str, str]:
    """Read what these facts come to; the registration is event 1, the first of them is event 2."""
    claim = claim_of([registered, *facts])
    return as_read(POLICIES[policy].assess(claim, Tally.of(claim, said_by=said_by)), names)


def as_read(assessment: Assessment, names: Names) -> dict[str, str]:
    return {
        "policy": assessment.policy,
        "rule": assessment.rule,
        "status": assessment.status,
        "label": label(assessment, names),
        "explanation": explanation(assessment, names),
    }


CASES: dict[str, dict[str, str]] = {
    "R0 withdrawn": render(printed, ClaimWithdrawn()),
    "R0 merged": render(printed, ClaimMerged(assignments=(), into="clm_b")),
    "R0 split": render(printed, ClaimSplit(assignments=(), into=("clm_b", "clm_c"))),
    "R2 by the speaker": render(printed, *echoes, retracted(2, SEELY, on(7))),
    "R2 by two": render(printed, copy, retracted(2, SEELY, on(7)), retracted(3, AFP, on(8))),
    "R2 without a date": render(printed, retracted(2, SEELY, UNKNOWN)),
    "R2 recorded, not dated": render(printed, retracted(2, SEELY)),
    "R2 by correction": render(printed, to_none),
    "R2 and a standing denial": render(printed, denied, retracted(2, SEELY, on(7))),
    "R3 the case": render(printed, *echoes, denied),
    "R3 the case, with what nobody signed": render(printed, *echoes, denied, unattributed),
    "R3 of nothing asserted": render(denied),
    "R3 against two origins": render(copy, told, denied),
    "R3 without a date": render(by(ESPER, UNKNOWN)),
    "R3 recorded, not dated": render(by(ESPER, WHEN_RECORDED)),
    "R3 in a month": render(by(ESPER, JANUARY)),
    "R3 in a year": render(by(ESPER, THAT_YEAR)),
    "R3 between two days": render(by(ESPER, on(6, 8))),
    "R3 in a document": render(by(SEELY, attribution="documentary")),
    "R3 first-hand": render(by(ESPER, attribution="first_hand")),
    "R3 printed by an outlet": render(ClaimDenied(carries=True, origin=OWN, source=REUTERS, occurred=MONDAY)),
    "R3 by two": render(denied, by(SEELY)),
    "R3 by two, one without a date": render(denied, by(SEELY, UNKNOWN)),
    "R3 by five": render(*(by(party) for party in (ESPER, AFP, POST, REUTERS, SEELY))),
    "R3 by more than are shown": render(*(by(ESPER, on(number)) for number in range(1, 26))),
    "R3 by two, between two days": render(by(ESPER, on(6, 8)), by(SEELY, on(7))),
    "R3 by two, recorded, not dated": render(by(ESPER, WHEN_RECORDED), by(SEELY, WHEN_RECORDED)),
    "R3 twice by one": render(denied, by(ESPER, on(8))),
    "R3 overtaken": render(denied, by(ESPER), support(AFP, COPY, on(9)), support(OFFICIAL, TOLD, on(9))),
    "R3 having said otherwise": render(support(ESPER, OWN), by(ESPER, on(7))),
    "R3 having said otherwise twice": render(support(ESPER, OWN), support(ESPER, OWN), by(ESPER, on(7))),
    "R3 by a name that was erased": render(printed, denied, names=UNNAMED),
    "R3 by two names that were erased": render(denied, by(SEELY), names=UNNAMED),
    "R3 with a stale verdict": render(denied, verdict),
    "R4 anonymous": render(printed, *echoes, denied_by_official),
    "R4 interested": render(by(ESPER, standing="interested")),
    "R4 of a part": render(by(ESPER, extent="part")),
    "R4 by two of different kinds": render(denied_by_official, by(ESPER, standing="interested")),
    "R5 by two origins": render(copy, told),
    "R5 by two origins, carried by more": render(copy, told, support(POST, COPY, carries=True)),
    "R5 by four origins": render(*(support(n, n) for n in range(1, 5))),
    "R5 by eleven origins": render(*(support(n, n) for n in range(1, 12))),
    "R5 one name erased": render(copy, support(99, 99)),
    "R5 all names erased": render(copy, told, names=UNNAMED),
    "R6 the letter, carried by AFP": render(printed),
    "R6 the letter, carried by four": render(printed, *echoes),
    "R6 by its own word": render(support(ESPER, OWN)),
    "R6 by one who speaks for two origins": render(support(AFP, COPY), support(AFP, LETTER)),
    "R6 by two anonymous origins": render(told, support(SEELY, LETTER, attribution="anonymous")),
    "R6 by an origin whose name was erased": render(printed, names=UNNAMED),
    "R6 with one set aside": render(printed, partly),
    "R6 with two set aside": render(printed, unattributed, unattributed),
    "R6 with two set aside that speak of a part": render(printed, partly, partly),
    "R6 with two kinds set aside": render(printed, partly, unattributed),
    "R7 nothing": render(),
    "R7 only what nobody signed": render(unattributed),
    "strict: R5 by three origins": render(*(support(n, n) for n in range(1, 4)), policy="strict/1"),
    "strict: R6 by two origins": render(copy, told, policy="strict/1"),
    "strict: R3": render(printed, denied, policy="strict/1"),
    "precautionary: P3 anonymous": render(printed, denied_by_official, policy="precautionary/1"),
    "precautionary: P3 of two kinds": render(denied, denied_by_official, policy="precautionary/1"),
    "balanced: B3": render(printed, *echoes, denied, policy="balanced/1"),
    "balanced: B3 with more denials than are named": render(printed, *map(by, range(1, 6)), policy="balanced/1"),
    "balanced: R3": render(denied, policy="balanced/1"),
    "balanced: R4": render(denied_by_official, policy="balanced/1"),
    "majority: M1": render(printed, denied, by(REUTERS), policy="majority/1"),
    "majority: M2": render(printed, *echoes, denied, policy="majority/1"),
    "majority: M3": render(printed, policy="majority/1"),
    "majority: M4": render(printed, denied, policy="majority/1"),
    "latest: L1": render(printed, *echoes, by(ESPER, on(7)), policy="latest/1"),
    "latest: L2": render(by(ESPER, on(3)), printed, *echoes, policy="latest/1"),
    "latest: L3": render(by(ESPER, on(3)), printed, policy="latest/1"),
    "R7 an open question": render(registered=ClaimRegistered(checkable=False)),
    "R6 by what had been said by then": render(printed, by(ESPER, UNKNOWN), by(SEELY, on(9)), said_by=day(8)),
}


def golden() -> dict[str, dict[str, str]]:
    read: dict[str, dict[str, str]] = json.loads(GOLDEN.read_text())
    return read


@pytest.mark.parametrize("case", CASES)
def test_a_status_reads_as_its_golden_does(case: str) -> None:
    assert CASES[case] == golden()[case]


def test_there_is_no_golden_without_a_case() -> None:
    assert golden().keys() == CASES.keys()


def test_every_rule_of_every_policy_has_a_golden() -> None:
    ours = {(policy.id, rule.id, rule.status) for policy in POLICIES.values() for rule in policy.rules}
    shared = {rule for rule in ours if rule[0] != "standing/1" and ("standing/1", *rule[1:]) in ours}

    have = {(read["policy"], read["rule"], read["status"]) for read in golden().values()}

    assert ours - shared <= have


CLAUSE = re.compile(r"\. |[,;:.] ?| and ")
NAMED = re.compile(
    r"(\w+ sources? |one )?whose names? (was|were) erased|"
    + "|".join(sorted(map(re.escape, PARTIES + ORIGINS), key=len, reverse=True))
)
NUMBER = re.compile(
    r"\b(no|one|two|three|four|five|six|seven|eight|nine|ten|[\d,]+)\b"
    r"( (origin|statement|outlet|other|source|claim)s?)?",
    re.IGNORECASE,
)
DATE = re.compile(r"\b(\d{1,2} )?(January|February) 2020|\b2020\b")


def clauses(read: dict[str, str]) -> set[str]:
    """Return the clauses of a label and an explanation, without the names, dates and numbers in them."""
    found = set()
    for text in (read["label"], read["explanation"]):
        text = NUMBER.sub("N", DATE.sub("D", NAMED.sub("X", text)))
        found |= {clause.strip().lower() for clause in CLAUSE.split(text)}
    return found


@settings(max_examples=200, deadline=None, print_blob=True)
@given(histories(), st.sampled_from(sorted(POLICIES)), st.booleans())
def test_no_claim_says_what_no_golden_says(history: History, policy: str, erased: bool) -> None:
    known = set().union(*(clauses(read) for read in golden().values()))
    claim = claim_of(history.facts)

    read = as_read(POLICIES[policy].assess(claim, Tally.of(claim)), UNNAMED if erased else NAMES)

    assert clauses(read) <= known


@given(histories(), st.sampled_from(sorted(POLICIES)))
def test_nothing_computed_is_called_true_and_nothing_is_put_between_quotation_marks(
    history: History, policy: str
) -> None:
    claim = claim_of(history.facts)

    read = as_read(POLICIES[policy].assess(claim, Tally.of(claim)), NAMES)

    words = f"{read['label']} {read['explanation']}"
    assert not re.search(r"\b(true|false|verified|confirmed|proven|fact)\b", words, re.IGNORECASE)
    assert not re.search("[\"'“”‘’«»„`]", words)
    assert "  " not in words
    assert ".." not in words


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(CASES, indent=1, ensure_ascii=False) + "\n")
