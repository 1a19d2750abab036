"""The command line: `verifier`.

`verbs`    what can be recorded, one command each, from one table.
`reading`  what can be asked.
`following` the feed; `monitor` is what it shows on a terminal.
`files`    import, export, restore.
`serving`  serve, demo, and with what settings.
`sealing`  init, fork, receipt.
`auditing` audit, publish, witness.
`upkeep`   doctor, migrate, replay, rebuild.
`webhooks` a group of its own: webhooks add, list, rotate, remove, dead, replay.
`reach`    which log is meant, who writes it, which id a few letters name, what a problem ends with.
`output`   tables, JSON, progress.

Exit codes: 0 fine, 1 an error, 2 wrong usage, 3 a verification failed, 4 a conflict.
"""

from __future__ import annotations

import sys

import typer

from verifier import __version__
from verifier.cli import auditing, files, following, reading, sealing, serving, upkeep, verbs, webhooks
from verifier.cli.output import flowing
from verifier.garbage import collect_seldom

app = typer.Typer(
    name="verifier",
    help="Who said what about a claim, when and on whose word, and how the evidence stands.",
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Show the version."),
) -> None:
    """Who said what about a claim, when and on whose word, and how the evidence stands."""


verbs.add_to(app)
reading.add_to(app)
following.add_to(app)
files.add_to(app)
serving.add_to(app)
upkeep.add_to(app)
sealing.add_to(app)
auditing.add_to(app)
webhooks.add_to(app)
for command in app.registered_commands:
    command.help = flowing(getattr(command.callback, "__doc__", None) or "")


def main() -> None:
    """Run the command that was typed."""
    collect_seldom()
    app(args=sys.argv[1:], prog_name="verifier")
