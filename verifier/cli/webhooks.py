"""Webhooks: where changes are sent by themselves. A server that has the log is asked, and it sends."""

from __future__ import annotations

from collections.abc import AsyncIterable
from typing import TYPE_CHECKING, Annotated, Final, get_args

import typer

from events.contracts import Status
from verifier.cli import output
from verifier.cli.output import SHORT, counted, moment, short
from verifier.cli.reach import LogOption, OutputOption, claim_id, named, reading, writing
from verifier.errors import Invalid, NotFound

if TYPE_CHECKING:
    from verifier.answers import DeadLetter, Webhook
    from verifier.client import Verifier

EndpointArgument = Annotated[
    str, typer.Argument(help="The endpoint, by its id or the end of it.", metavar="ENDPOINT")
]  # fmt: skip
KeyOption = Annotated[str | None, typer.Option(help="Your name for this request: sent again with it, it is done once.")]

ENDPOINTS: Final[output.Columns[Webhook]] = {
    "id": lambda webhook: short(webhook.id),
    "to": lambda webhook: webhook.url,
    "wants": lambda webhook: _wants(webhook),
    "up to": lambda webhook: webhook.position,
    "waiting": lambda webhook: webhook.waiting,
    "dead": lambda webhook: webhook.dead,
    "look at": lambda webhook: webhook.disabled or webhook.failing or "",
}
DEAD: Final[output.Columns[DeadLetter]] = {
    "position": lambda letter: letter.position,
    "claim": lambda letter: short(letter.claim),
    "attempts": lambda letter: letter.attempts,
    "tried first": lambda letter: moment(letter.first_at),
    "given up": lambda letter: moment(letter.given_up_at),
    "about": lambda letter: letter.failure,
}


def add_to(app: typer.Typer) -> None:
    """Add the commands on webhooks, in a group of their own."""
    group = typer.Typer(name="webhooks", help="Send changes to other programs, signed, as they happen.",
                        no_args_is_help=True)  # fmt: skip
    for function in (add, rotate, remove, dead, replay):
        group.command()(function)
    group.command("list")(list_)
    for command in group.registered_commands:
        command.help = output.flowing(getattr(command.callback, "__doc__", None) or "")
    app.add_typer(group, rich_help_panel="Serve and look after")


def add(
    url: Annotated[str, typer.Argument(help="Where to send: https://…, or http://… on this machine.", metavar="URL")],
    claim: Annotated[str | None, typer.Option(help="Only changes of this claim.")] = None,
    story: Annotated[str | None, typer.Option(help="Only those of this story, by its title or id.")] = None,
    source: Annotated[
        str | None, typer.Option(help="Only those of claims on which this source has said something.")
    ] = None,
    status: Annotated[
        Status | None, typer.Option(help=f"Only those to this status. One of {', '.join(get_args(Status))}.",
                                    metavar="WORD")
    ] = None,
    recalls: Annotated[bool, typer.Option("--recalls", help="Only recalls.")] = False,
    after: Annotated[int | None, typer.Option(min=0, help="Begin after this position. Left out: from now.")] = None,
    key: KeyOption = None,
    log: LogOption = None,
    output: OutputOption = "table",
) -> None:  # fmt: skip
    """Send the changes of statuses to an address, and print the secret that checks their signatures: once, here.

    Whoever got a status also gets the recall of it, wanted or not. A server sends, for as long as it runs.
    """

    async def work(verifier: Verifier) -> None:
        on = None if claim is None else await claim_id(verifier, claim)
        made = await verifier.add_webhook(
            url, claim=on, story=story and await named(verifier, "sto", story),
            source=source and await named(verifier, "src", source), status=status, recalls=recalls, after=after,
            key=key,
        )  # fmt: skip
        _show_secret(made, output)

    writing(log, work, create=False)


def list_(log: LogOption = None, output: OutputOption = "table") -> None:
    """List the endpoints: what each wants, up to where changes were queued for it, what waits and what was given up."""

    async def work(verifier: Verifier) -> None:
        await _answers(verifier.webhooks(), output)

    reading(log, work)


async def _answers(items: AsyncIterable[Webhook], format: output.Format) -> None:
    await output.answers(items, format, ENDPOINTS, empty="Nobody is sent anything: `verifier webhooks add` a URL.")


def rotate(
    endpoint: EndpointArgument,
    overlap: Annotated[
        int | None, typer.Option(min=0, help="For how many seconds both secrets count. Default: a day.")
    ] = None,
    key: KeyOption = None,
    log: LogOption = None,
    output: OutputOption = "table",
) -> None:
    """Give an endpoint a new secret, and print it: once, here. Until the old one ends, messages are signed by both."""

    async def work(verifier: Verifier) -> None:
        made = await verifier.rotate_webhook(await _id(verifier, endpoint), overlap=overlap, key=key)
        _show_secret(made, output)

    writing(log, work, create=False)


def remove(endpoint: EndpointArgument, log: LogOption = None, output: OutputOption = "table") -> None:
    """Forget an endpoint, its secrets and what waits for it."""

    async def work(verifier: Verifier) -> None:
        _show(
            await verifier.remove_webhook(await _id(verifier, endpoint)), output, "forgotten, nothing more is sent to"
        )

    writing(log, work, create=False)


def dead(endpoint: EndpointArgument, log: LogOption = None, output: OutputOption = "table") -> None:
    """List the messages that were given up for an endpoint, after days of trying."""

    async def work(verifier: Verifier) -> None:
        letters = verifier.dead_letters(await _id(verifier, endpoint))
        await _letters(letters, output)

    reading(log, work)


async def _letters(items: AsyncIterable[DeadLetter], format: output.Format) -> None:
    await output.answers(items, format, DEAD, empty="Nothing was given up.")


def replay(endpoint: EndpointArgument, log: LogOption = None, output: OutputOption = "table") -> None:
    """Send again what was given up, and at once what has failed; go on with an endpoint that was disabled."""

    async def work(verifier: Verifier) -> None:
        replayed = await verifier.replay_webhook(await _id(verifier, endpoint))
        _show(replayed, output, f"{counted(replayed.waiting, 'message')} due now for")

    writing(log, work, create=False)


# --- printing --------------------------------------------------------------------------------------


def _show_secret(made: Webhook, format: output.Format) -> None:
    def table() -> None:
        output.fields({"id": made.id, "to": made.url, "wants": _wants(made), "secret": made.secret})
        if made.secret is None:
            output.say("The secret was told before and isn't told again: `verifier webhooks rotate` makes another one.")
        else:
            output.say("The secret is not shown again: give it to the receiver now.")

    output.answer(made, format, table=table)


def _show(webhook: Webhook, format: output.Format, what: str) -> None:
    output.answer(webhook, format, table=lambda: output.tell(f"{what} {webhook.url} ({short(webhook.id)})"))


def _wants(webhook: Webhook) -> str:
    """Say in words which changes an endpoint wants."""
    wants = [
        f"{name} {value if name == 'status' else short(value)}"
        for name in ("claim", "story", "source", "status")
        if (value := getattr(webhook, name)) is not None
    ]
    return ", ".join([*wants, *(["recalls"] if webhook.recalls else [])]) or "everything"


async def _id(verifier: Verifier, given: str) -> str:
    """Return the endpoint that an id or the end of one names. Raises `NotFound` or `Invalid`."""
    tail = given.removeprefix("whk_")
    if len(tail) < SHORT:
        raise Invalid(f"{given!r} is too short for an endpoint: give its last {SHORT} characters or more")
    found = [webhook.id async for webhook in verifier.webhooks() if webhook.id.endswith(tail)]
    match found:
        case [id]:
            return id
        case []:
            raise NotFound(f"no endpoint ends in {tail!r}: look it up with `verifier webhooks list`")
        case several:
            raise Invalid(f"{tail!r} is the end of {', '.join(several)}: give more of it")
