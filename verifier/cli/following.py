"""Following the feed: as lines, or on a terminal as a view to leave open."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Final

import typer

from events.contracts import Status
from verifier.cli import output
from verifier.cli.monitor import View, since_of
from verifier.cli.output import Format, moment, short
from verifier.cli.reach import LogOption, OutputOption, claim_id, named, reading, settings_of, shown
from verifier.cli.reading import After, Follow, one_of, print_item, print_list

if TYPE_CHECKING:
    from verifier.answers import Change
    from verifier.client import Feed, Verifier

REDRAWN: Final = 0.25
"""Every how many seconds the view is drawn anew."""

CHANGES: Final[output.Columns[Change]] = {
    "position": lambda change: change.position,
    "at": lambda change: moment(change.recorded_at),
    "id": lambda change: short(change.claim),
    "status": lambda change: f"{change.label} ({since_of(change)}{', recall' if change.recall else ''})",
    "text": lambda change: change.text or "a wording that was erased",
}


def add_to(app: typer.Typer) -> None:
    """Add the feed as a command."""
    app.command(rich_help_panel="Ask")(feed)


def feed(
    after: After = 0,
    claim: Annotated[str | None, typer.Option(help="Only those of this claim.")] = None,
    story: Annotated[str | None, typer.Option(help="Only those of this story, by its title or id.")] = None,
    status: Annotated[Status | None, one_of("Only those to this status.", Status)] = None,
    source: Annotated[
        str | None, typer.Option(help="Only those of claims about which this source said something.")
    ] = None,
    recalls: Annotated[
        bool, typer.Option("--recalls", help="Only recalls: what was printed no longer stands.")
    ] = False,
    follow: Follow = False,
    log: LogOption = None,
    output: OutputOption = "table",
) -> None:
    """List the changes of all statuses after a position; with --follow, go on with those to come.

    On a terminal, --follow is a view to leave open: how many claims have come to which status, the last changes with
    the recalls among them marked, and how the connection is.
    """

    async def work(verifier: Verifier) -> None:
        of_claim = None if claim is None else await claim_id(verifier, claim)
        within = None if story is None else await named(verifier, "sto", story)
        by = None if source is None else await named(verifier, "src", source)
        if not follow:
            changes = verifier.changes(
                after=after, claim=of_claim, story=within, status=status, source=by, recalls=recalls
            )
            await print_list(changes, output, CHANGES, empty="No status has changed.")
            return
        view = View(shown(settings_of(log=log).log), status=status, recalls=recalls) if _is_watched(output) else None
        if view is not None:  # which counts what it doesn't show, too
            await _watch(verifier.feed(after=after, claim=of_claim, story=within, source=by), view)
            return
        async for change in verifier.feed(
            after=after, claim=of_claim, story=within, status=status, source=by, recalls=recalls
        ):
            print_item(change, output, CHANGES)

    reading(log, work)


def _is_watched(format: Format) -> bool:
    """Say whether somebody looks, at a terminal that can be drawn on."""
    out = output.console()
    return format == "table" and out.is_terminal and not out.is_dumb_terminal


async def _watch(changes: Feed[Change], view: View) -> None:
    """Draw the view until the feed ends, or until interrupted; what was seen last stays on the terminal."""
    from rich.live import Live

    out = output.console()
    following = asyncio.ensure_future(_take(changes, view))
    try:
        with Live(console=out, auto_refresh=False, screen=True) as live:
            while not following.done():
                live.update(view.drawn(out.size, since=changes.since, position=changes.position), refresh=True)
                await asyncio.wait({following}, timeout=REDRAWN)
    finally:
        following.cancel()
        await asyncio.wait({following})
        out.print(view.last_line(changes.position), soft_wrap=True)
    following.result()


async def _take(changes: Feed[Change], view: View) -> None:
    async with changes:
        async for change in changes:
            view.take(change)
