"""Play a set of rumours through the policies and compare what they say with what editors found.

    python bench/policies.py emergent_timeline.csv

PATH is a CSV with the columns claim_id, claim_truth (true, false, unknown), article_entered_at,
source_domain and stance (for, against, observing), such as the Emergent data of Ferreira and Vlachos
(2016). Each rumour is registered, each article becomes a statement of its outlet, through the same
`decide` and `evolve` as everything else. The figures order policies and promise no rate: see the
caveats that are printed with them.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from operator import itemgetter
from pathlib import Path

from events.contracts import Party, Status
from events.leaf import derive
from events.log import Proposed, Recorded
from verifier.claim import Claim, evolve
from verifier.commands import AssertClaim, Deny, Note, RegisterClaim
from verifier.decide import decide
from verifier.decide.known import Known
from verifier.names import Names
from verifier.naming import source_id
from verifier.policy import Policy, latest, majority, standing
from verifier.tally import Tally

LOG = derive("log", "bench")
SAYS: Mapping[str, type[AssertClaim | Deny | Note]] = {"for": AssertClaim, "against": Deny, "observing": Note}

DEFINITIONS = """\
settled   the editors called the rumour true or false; never settled: unknown
decided   settled, and the policy ends on corroborated or denied
accuracy  of the decided, how many are corroborated and true, or denied and false
denied, corroborated
          of the settled rumours that the policy ends on denied (corroborated), how many are false (true)
unsettled of the never settled rumours, how many the policy ends on corroborated
swaps     changes from corroborated to denied or back, whatever came between, while the articles come in
threshold how many origins (standing) or outlets (majority, latest) corroborate; it takes one to deny:
          standing  the outlets' last words: any denial denies
          majority  outlets that ever supported it against outlets that ever denied it
          latest    the last article that isn't observing; by minute: with times cut to the minute,
                    where the ids decide between equals"""

CAVEATS = """\
An outlet has to stand for an origin here, though forty outlets that print one letter are one origin:
that is why so much of what was never settled counts as corroborated. The times are those at which an
editor entered an article; order within a minute means nothing, and only latest leans on it. The rumours
are viral, English, from 2014 and 2015, and the verdicts partly rest on the very articles that are counted."""


@dataclass(slots=True)
class Score:
    """What one policy made of the rumours that were played to it."""

    denied: list[bool] = field(default_factory=list)  # of each settled rumour it denies, whether rightly
    corroborated: list[bool] = field(default_factory=list)
    unsettled: int = 0
    swaps: int = 0

    def take(self, truth: str, course: Sequence[Status]) -> None:
        """Count one rumour, by the statuses it had one after the other."""
        decided = [status for status in course if status in ("corroborated", "denied")]
        self.swaps += sum(1 for before, after in pairwise(decided) if before != after)
        match truth, course[-1]:
            case "unknown", "corroborated":
                self.unsettled += 1
            case (("true" | "false"), "corroborated"):
                self.corroborated.append(truth == "true")
            case (("true" | "false"), "denied"):
                self.denied.append(truth == "false")

    def row(self) -> str:
        """Return the figures, as a line of the table."""
        decided = self.denied + self.corroborated
        return (
            f"{len(decided):7} {_share(decided):>9} {_share(self.denied):>6} of {len(self.denied):<4}"
            f"{_share(self.corroborated):>6} of {len(self.corroborated):<4}{self.unsettled:9} {self.swaps:6}"
        )


def _share(right: Sequence[bool]) -> str:
    return f"{sum(right) / len(right):.3f}" if right else "-"


def policies(threshold: int) -> list[Policy]:
    """Return the policies to compare, all with one threshold."""
    return [
        standing(threshold, f"standing, {threshold}", "Denial wins."),
        majority(threshold, f"majority, {threshold}", "The side with more outlets wins."),
        latest(threshold, f"latest, {threshold}", "The last statement wins."),
    ]


def play(articles: Sequence[Mapping[str, str]], *, to_the_minute: bool) -> Iterator[tuple[Claim, Tally]]:
    """Register a rumour, take its articles one by one, and yield the claim after each."""
    claim, names, tally = Claim(derive("clm", articles[0]["claim_id"])), Names(), Tally()
    commands = [
        (RegisterClaim(text=articles[0]["claim_id"]), articles[0]),
        *((_said(row, to_the_minute), row) for row in articles),
    ]
    for command, row in commands:
        outlet = row["source_domain"]
        known = Known(
            log_id=LOG,
            actor="bench",
            command="0" * 64,
            claim=claim,
            names=names,
            parties={outlet: Party(id=source_id(LOG, outlet), name=outlet)},
        )
        for draft in decide(known, command):
            position = claim.position + 1
            event = Proposed(
                id=derive("evt", claim.id, str(position)),
                stream=draft.stream,
                fact=draft.fact,
                identity=draft.identity,
                wording=draft.wording,
            )
            recorded = _recorded(event, position)
            evolve(claim, position, recorded.leaf)
            names.learn(recorded)
        tally = tally.follow(claim)
        yield claim, tally


def _said(row: Mapping[str, str], to_the_minute: bool) -> AssertClaim | Deny | Note:
    entered = row["article_entered_at"]
    return SAYS[row["stance"]](source=row["source_domain"], occurred=f"{entered[:16]}Z" if to_the_minute else entered)


def _recorded(event: Proposed, position: int) -> Recorded:
    encoded = event.encode()
    return Recorded(
        position,
        encoded.leaf_at("2020-01-01T00:00:00.000000Z"),
        encoded.wording_salt,
        encoded.wording,
        encoded.identity_salt,
        encoded.identity,
    )


def compare(
    rows: Sequence[Mapping[str, str]], contenders: Sequence[Policy], *, to_the_minute: bool = False
) -> dict[str, Score]:
    """Play every rumour to every policy."""
    scores = {policy.id: Score() for policy in contenders}
    in_order = sorted(rows, key=itemgetter("claim_id", "article_entered_at"))
    for _, group in groupby(in_order, key=itemgetter("claim_id")):
        articles = list(group)
        courses: dict[str, list[Status]] = {policy.id: [] for policy in contenders}
        for claim, tally in play(articles, to_the_minute=to_the_minute):
            for policy in contenders:
                courses[policy.id].append(policy.rule_for(claim, tally).status)
        for name, course in courses.items():
            scores[name].take(articles[0]["claim_truth"], course)
    return scores


def report(path: Path) -> str:
    """Return the figures for the file, with what they mean and what they don't."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    truths = {row["claim_id"]: row["claim_truth"] for row in rows}
    settled = sum(1 for truth in truths.values() if truth != "unknown")
    lines = [
        f"{len(truths)} rumours, {len(rows):,} articles; {settled} settled, {len(truths) - settled} never settled",
        "",
        "threshold      decided  accuracy      denied  corroborated unsettled  swaps",
    ]
    for threshold in (1, 2, 3):
        scores = compare(rows, policies(threshold))
        [by_minute] = compare(rows, policies(threshold)[2:], to_the_minute=True).values()
        lines += [f"{name:14}{score.row()}" for name, score in scores.items()]
        lines.append(f"{'  by minute':14}{by_minute.row()}")
    return "\n".join([*lines, "", DEFINITIONS, "", CAVEATS])


def main() -> None:
    """Print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path, metavar="PATH")
    sys.stdout.write(report(parser.parse_args().path) + "\n")


if __name__ == "__main__":
    main()
