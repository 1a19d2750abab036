"""Replaying a log: every claim folded anew, under a policy, beside another one, and beside what its server shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import typer

from verifier.cli import output
from verifier.cli.output import counted
from verifier.cli.reach import FAILED, LogOption, OutputOption, fail, log_url, run, served_at

if TYPE_CHECKING:
    from events.log import Log
    from verifier.policy import Policy
    from verifier.replay import Replayed

AsOf = Annotated[
    str | None,
    typer.Option("--as-of", metavar="POSITION|TIME", help="Only what was recorded by then. Left out: all."),
]


class Differs(NamedTuple):
    """A claim that stands otherwise under the other policy."""

    claim: str
    status: str
    rule: str
    other: str
    other_rule: str


DIFFERING: Final[output.Columns[Differs]] = {
    "id": lambda claim: claim.claim,
    "status": lambda claim: f"{claim.status} ({claim.rule})",
    "other": lambda claim: f"{claim.other} ({claim.other_rule})",
}


def replay(
    as_of: AsOf = None,
    policy: Annotated[
        str | None, typer.Option("--policy", help="Assess by this policy. Left out: the one in force then.")
    ] = None,
    diff: Annotated[
        str | None, typer.Option("--diff", metavar="POLICY", help="Show which claims stand otherwise by this policy.")
    ] = None,
    log: LogOption = None,
    output: OutputOption = "table",
) -> None:
    """Fold every claim from the log again; compare with what was attested, and with what its server shows, if one
    runs.

    Ends with exit code 3 where they differ. With --diff the claims are listed whose status is another one under the
    other policy; as JSON Lines, each is one line, and the summary is the last.
    """
    run(lambda: _replay(log_url(log), as_of, policy, diff, output))


async def _replay(url: str, as_of: str | None, policy: str | None, diff: str | None, format: output.Format) -> None:
    from events.open import open_log
    from verifier.policy import policy_named

    rules, other = (None if name is None else policy_named(name) for name in (policy, diff))
    async with await open_log(url, writable=False, create=None) as log:
        done = await _folded(log, as_of, rules)
    address = served_at(url) if as_of is None and policy is None else None
    compared, differing = await _compare(address, done) if address else (0, [])
    report: dict[str, Any] = {
        **{name: getattr(done, name) for name in ("log", "position", "policy", "claims", "by_status", "digest")},
        "attested": len(done.agreeing) + len(done.disagreeing),
        "disagreeing": [one.attested.position for one in done.disagreeing],
        "compared": compared,
        "differing": differing,
    }
    _show(report, done, other, address, format)
    if done.disagreeing:
        first = done.disagreeing[0].attested
        fail(
            f"what position {first.position} attests of position {first.at} is not what the facts give: run"
            " `verifier audit`, and report it",
            code=FAILED,
        )
    if differing:
        fail(
            f"{len(differing)} claims stand otherwise at {address}, first {differing[0]}: run `verifier rebuild`"
            " and report it",
            code=FAILED,
        )


async def _folded(log: Log, as_of: str | None, policy: Policy | None) -> Replayed:
    from verifier.queries.past import position_of
    from verifier.replay import replay

    upto = None if as_of is None else await position_of(log, as_of)
    with output.progress("folding") as tell:
        return await replay(log, upto=upto, policy=policy, progress=tell, attested=True)


def _show(
    report: dict[str, Any], done: Replayed, other: Policy | None, address: str | None, format: output.Format
) -> None:
    differs: list[Differs] = []
    if other is not None:
        beside = done.under(other)
        differs = list(_differing(done, beside))
        report["diff"] = {
            "policy": beside.policy,
            "digest": beside.digest,
            "claims": len(differs),
            "counts": [
                {"status": status, "other": otherwise, "claims": claims}
                for (status, otherwise), claims in sorted(Counter((one.status, one.other) for one in differs).items())
            ],
        }
    match format:
        case "table":
            _table(report, address, differs)
        case "json" if other is not None:
            output.document({**report, "otherwise": [one._asdict() for one in differs]}, format)
        case _:
            for one in differs:
                output.document(one._asdict(), format)
            output.document(report, format)


def _differing(done: Replayed, beside: Replayed) -> Iterator[Differs]:
    for id, (status, rule) in done.statuses.items():
        other, other_rule = beside.statuses[id]
        if other != status:
            yield Differs(id, status, rule, other, other_rule)


def _table(report: dict[str, Any], address: str | None, differs: list[Differs]) -> None:
    fields = {name: report[name] for name in ("log", "position", "policy", "claims")}
    fields["of which"] = ", ".join(f"{count} {status}" for status, count in report["by_status"].items())
    fields["digest"] = report["digest"]
    if report["attested"]:
        wrong = len(report["disagreeing"])
        fields["attested"] = f"{counted(report['attested'], 'root')} compared, {wrong or 'none'} another"
    if address:
        fields["server"] = f"{counted(report['compared'], 'claim')} compared, {len(report['differing'])} differ"
    if diff := report.get("diff"):
        fields["other policy"] = diff["policy"]
        fields["other digest"] = diff["digest"]
        fields["otherwise"] = ", ".join(
            f"{one['claims']} {one['status']} → {one['other']}" for one in diff["counts"]
        ) or "none"  # fmt: skip
    output.fields(fields)
    if differs:
        output.console().print()
        output.table(DIFFERING, differs)


async def _compare(address: str, done: Replayed) -> tuple[int, list[str]]:
    """Compare with what a server shows of the claims that have not moved on since."""
    from verifier.client import Verifier

    compared, differing = 0, []
    async with Verifier(address) as verifier:
        async for claim in verifier.claims():
            position, digest = done.states.get(claim.id, (0, ""))
            if claim.position == position and claim.computed.policy == done.policy:
                compared += 1
                if claim.basis.state_digest != digest:
                    differing.append(claim.id)
    return compared, differing
