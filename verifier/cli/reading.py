"""The questions: how a claim stands and why, who said what, what has changed, what the log holds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated, Any, Final, get_args

import typer

from events.contracts import Status
from verifier.assessment import Attention
from verifier.cli import output
from verifier.cli.output import moment, short
from verifier.cli.reach import LogOption, OutputOption, claim_id, named, reading
from verifier.errors import Invalid

if TYPE_CHECKING:
    from verifier.answers import Change, Claim, Event, Source, Statement, Story
    from verifier.client import Verifier


def one_of(help: str, words: Any) -> Any:
    """Return a flag that takes one of these words, which its help lists."""
    return typer.Option(help=f"{help} One of {', '.join(get_args(words))}.", metavar="WORD")


ClaimArgument = Annotated[str, typer.Argument(help="The claim, by its id or the end of it.", metavar="CLAIM")]
AsOf = Annotated[
    str | None,
    typer.Option("--as-of", metavar="POSITION|TIME", help="How it stood for us then: the facts recorded by then."),
]
SaidBy = Annotated[
    str | None,
    typer.Option("--said-by", metavar="TIME", help="How it stood by what had been said by then, as we know it today."),
]
Policy = Annotated[str | None, typer.Option("--policy", help="Ask by another policy than the one in force.")]
After = Annotated[int, typer.Option("--after", min=0, help="Begin after this position.")]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Go on as the log grows, until interrupted.")]

STATEMENTS: Final[output.Columns[Statement]] = {
    "id": lambda said: short(said.event),
    "what": lambda said: said.stance if said.stance != "none" else "noted",
    "who": lambda said: said.source_name or "a name that was erased",
    "via": lambda said: ", ".join(said.via),
    "origin": lambda said: said.origin_label,
    "when": lambda said: _when(said.occurred),
    "counts as": lambda said: said.standing.replace("_", " "),
}
CLAIMS: Final[output.Columns[Claim]] = {
    "id": lambda claim: short(claim.id),
    "status": lambda claim: claim.label,
    "claim": lambda claim: claim.text or "a wording that was erased",
    "look at": lambda claim: ", ".join(claim.attention),
}
HISTORY: Final[output.Columns[Change]] = {
    "position": lambda change: change.position,
    "at": lambda change: moment(change.recorded_at),
    "before": lambda change: change.previous,
    "status": lambda change: change.label + (" (recall)" if change.recall else ""),
    "because of": lambda change: f"{change.cause_type.partition('.')[2]} {short(change.cause)}",
}
EVENTS: Final[output.Columns[Event]] = {
    "position": lambda event: event.position,
    "at": lambda event: moment(event.recorded_at),
    "id": lambda event: short(event.id),
    "fact": lambda event: event.type,
    "of": lambda event: short(event.stream.partition(":")[2]),
    "who": lambda event: ", ".join(party["name"] for party in (event.identity or {}).get("parties", {}).values()),
}
SOURCES: Final[output.Columns[Source]] = {
    "id": lambda source: short(source.id),
    "name": lambda source: source.name or "a name that was erased",
    "kind": lambda source: source.kind,
    "role": lambda source: source.role or "",
    "statements": lambda source: source.statements,
    "same source?": lambda source: ", ".join(source.same_source),
}
STORIES: Final[output.Columns[Story]] = {
    "id": lambda story: short(story.id),
    "title": lambda story: story.title or "a title that was erased",
    "claims": lambda story: story.claims,
    "of which": lambda story: ", ".join(f"{count} {status}" for status, count in story.by_status.items()),
}


def add_to(app: typer.Typer) -> None:
    """Add the questions as commands."""
    for function in (show, explain, history, claims, sources, stories, events):
        app.command(rich_help_panel="Ask")(function)


def show(
    claim: ClaimArgument, as_of: AsOf = None, said_by: SaidBy = None, policy: Policy = None,
    log: LogOption = None, output: OutputOption = "table",
) -> None:  # fmt: skip
    """Show how a claim stands, and who said what about it."""
    reading(log, lambda verifier: _show(verifier, claim, output, as_of=as_of, said_by=said_by, policy=policy))


def explain(
    claim: ClaimArgument, as_of: AsOf = None, said_by: SaidBy = None, policy: Policy = None,
    log: LogOption = None, output: OutputOption = "table",
) -> None:  # fmt: skip
    """Explain why a claim stands as it does: the rule, what decided, what was set aside, what it rests on."""
    reading(log, lambda verifier: _explain(verifier, claim, output, as_of=as_of, said_by=said_by, policy=policy))


def history(
    claim: ClaimArgument, as_of: AsOf = None, policy: Policy = None,
    log: LogOption = None, output: OutputOption = "table",
) -> None:  # fmt: skip
    """List the changes of a claim's status: up to a position or time, or as another policy would have made them."""

    async def work(verifier: Verifier) -> None:
        changes = verifier.history(await claim_id(verifier, claim), as_of=as_of, policy=policy)
        await print_list(changes, output, HISTORY, empty="The status of this claim has never changed.")

    reading(log, work)


def claims(
    status: Annotated[Status | None, one_of("Only those of this status.", Status)] = None,
    story: Annotated[str | None, typer.Option(help="Only those of this story, by its title or id.")] = None,
    source: Annotated[str | None, typer.Option(help="Only those about which this source said something.")] = None,
    attention: Annotated[Attention | None, one_of("Only those to look at for this reason.", Attention)] = None,
    language: Annotated[str | None, typer.Option(help="Only those worded in this language.")] = None,
    text: Annotated[str | None, typer.Option(help="Only those whose wording has this in it.")] = None,
    as_of: AsOf = None,
    said_by: SaidBy = None,
    policy: Policy = None,
    log: LogOption = None,
    output: OutputOption = "table",
) -> None:
    """List claims, the latest registered first, as they stand or stood."""

    async def work(verifier: Verifier) -> None:
        found = verifier.claims(
            status=status, story=story and await named(verifier, "sto", story),
            source=source and await named(verifier, "src", source), attention=attention, language=language, text=text,
            as_of=as_of, said_by=said_by, policy=policy,
        )  # fmt: skip
        await print_list(found, output, CLAIMS, empty="There is no such claim.")

    reading(log, work)


def sources(
    source: Annotated[str | None, typer.Argument(help="One source, by its name or id.", metavar="SOURCE")] = None,
    as_of: AsOf = None,
    said_by: SaidBy = None,
    policy: Policy = None,
    log: LogOption = None,
    output: OutputOption = "table",
) -> None:
    """List the sources, or show one and how the claims stand, or stood, that it spoke about."""

    async def work(verifier: Verifier) -> None:
        if source is None and (as_of or said_by or policy):
            raise Invalid("the list of sources has no past: name one source, or leave the flags out")
        if source is None:
            await print_list(verifier.sources(), output, SOURCES, empty="Nobody has said anything yet.")
        else:
            found = await named(verifier, "src", source)
            _show_source(await verifier.source(found, as_of=as_of, said_by=said_by, policy=policy), output)

    reading(log, work)


def stories(
    story: Annotated[str | None, typer.Argument(help="One story, by its title or id.", metavar="STORY")] = None,
    as_of: AsOf = None,
    log: LogOption = None,
    output: OutputOption = "table",
) -> None:
    """List the stories, or the claims of one, as they stand or stood."""

    async def work(verifier: Verifier) -> None:
        if story is None:
            await print_list(verifier.stories(as_of=as_of), output, STORIES, empty="There is no story yet.")
        else:
            found = await verifier.story(await named(verifier, "sto", story), as_of=as_of)
            claims = verifier.claims(story=found.id, as_of=as_of)
            await print_list(claims, output, CLAIMS, empty="The story has no claims.")

    reading(log, work)


def events(
    claim: Annotated[str | None, typer.Argument(help="Only those of this claim.", metavar="CLAIM")] = None,
    after: After = 0,
    as_of: AsOf = None,
    follow: Follow = False,
    log: LogOption = None,
    output: OutputOption = "table",
) -> None:
    """List the facts of the log, or of one claim, as they were recorded."""

    async def work(verifier: Verifier) -> None:
        if as_of and follow:
            raise Invalid("--follow goes on and --as-of ends: leave one of them out")
        on = None if claim is None else await claim_id(verifier, claim)
        listed = _Last(verifier.events(on, after=after, as_of=as_of))
        await print_list(listed, output, EVENTS, empty="Nothing was recorded.", stream=follow)
        if follow:
            async for event in verifier.follow_events(after=max(after, listed.position)):
                if on is None or event.stream == f"claim:{on}":
                    print_item(event, output, EVENTS)

    reading(log, work)


# --- printing --------------------------------------------------------------------------------------


async def _show(verifier: Verifier, claim: str, format: output.Format, **asked: Any) -> None:
    stands = await verifier.claim(await claim_id(verifier, claim), **asked)

    def table() -> None:
        output.fields(
            {
                "claim": stands.text,
                "why": stands.explanation,
                "verdict": stands.verdict,
                "look at": ", ".join(stands.attention),
                "id": stands.id,
                "position": stands.position,
            },
            title=stands.label,
        )

    output.answer(stands, format, table=table)
    if format == "table":
        by_then = {question: asked[question] for question in ("as_of", "said_by")}  # a policy changes none of them
        said = [statement async for statement in verifier.statements(stands, **by_then)]
        if said:
            output.console().print()
            output.table(STATEMENTS, said)


async def _explain(verifier: Verifier, claim: str, format: output.Format, **asked: Any) -> None:
    stands = await verifier.claim(await claim_id(verifier, claim), **asked)
    computed, counts = stands.computed, stands.counts

    def table() -> None:
        output.fields(
            {
                "why": stands.explanation,
                "rule": f"{stands.rule} of {computed.policy}",
                "origins for": counts.support_origins,
                "origins against": counts.denial_origins,
                "outlets": counts.outlets,
                "decided by": ", ".join(short(event) for event in computed.decisive),
                "set aside": "; ".join(f"{short(a['event'])}: {a['reason']}" for a in computed.set_aside["shown"]),
                "superseded": ", ".join(short(event) for event in computed.superseded["shown"]),
                "left out": ", ".join(short(event) for event in computed.left_out["shown"]),
                "look at": ", ".join(stands.attention),
                "verdict": stands.verdict,
                "rests on": f"position {stands.basis.position} of {stands.basis.log}",
                "computed": moment(stands.basis.recorded_at),
                "digest": stands.basis.state_digest,
            },
            title=stands.label,
        )

    output.answer(stands, format, table=table)


def _show_source(source: Source, format: output.Format) -> None:
    def table() -> None:
        output.fields(
            {
                "kind": source.kind,
                "role": source.role,
                "aliases": ", ".join(source.aliases),
                "same as": source.same_as,
                "same source?": ", ".join(source.same_source),
                "statements": source.statements,
                **{status: _sides(sides) for status, sides in source.standing.items()},
                "id": source.id,
            },
            title=source.name or "a name that was erased",
        )

    output.answer(source, format, table=table)


def _sides(sides: dict[str, int]) -> str:
    return ", ".join(f"{count} {side}" for side, count in sides.items() if count)


async def print_list(
    items: AsyncIterator[Any], format: output.Format, columns: output.Columns[Any], *, empty: str, stream: bool = False
) -> None:
    """Print a list: as a whole, or line by line where it goes on."""
    if stream:
        async for item in items:
            print_item(item, format, columns)
    else:
        await output.answers(items, format, columns, empty=empty)


def print_item(item: Any, format: output.Format, columns: output.Columns[Any]) -> None:
    """Print one item of a list that goes on."""
    if format == "table":
        output.line(columns, item)
    else:
        output.json_line(item)


class _Last(AsyncIterator[Any]):
    """A list that remembers the position of the last item that it gave."""

    def __init__(self, items: AsyncIterator[Any]) -> None:
        self._items = items
        self.position = 0

    async def __anext__(self) -> Any:
        item = await anext(self._items)
        self.position = item.position
        return item


def _when(occurred: dict[str, Any] | None) -> str:
    if occurred is None or "earliest" not in occurred:
        return "unknown" if occurred and occurred.get("precision") == "unknown" else "when recorded"
    first, last = occurred["earliest"][:10], occurred.get("latest", occurred["earliest"])[:10]
    return first if first == last else f"{first} to {last}"
