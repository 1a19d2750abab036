"""From what was typed to an open log: which one is meant, who writes it, and which id a few letters name.

A command that reads takes the server of the log if there is one, else it folds the log by itself and
needs no lock. A command that writes takes the log for the moment, or goes to the process that has it.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, NoReturn

import typer

from events import errors as log_errors
from verifier.cli.output import Format, say
from verifier.errors import Conflict, Invalid, NotFound, Problem
from verifier.naming import is_id

if TYPE_CHECKING:
    from verifier.client import Verifier
    from verifier.settings import Settings

LOG_WAIT: Final = 10.0
"""How many seconds a command waits for another one that has the log for a moment."""

FAILED: Final = 3
"""The exit code where something was verified and is not as it should be."""

POLL: Final = 0.05
"""How many seconds pass before such a command looks again."""

_LISTED_BY: Final = {"clm": "claims", "evt": "events CLAIM", "src": "sources", "sto": "stories"}
_TAIL: Final = re.compile(r"[a-z2-7]{6,26}")
_BESIDE_CLAIMS: Final[tuple[Literal["src", "sto"], ...]] = ("src", "sto")

LogOption = Annotated[
    str | None,
    typer.Option(
        "--log", "-l", metavar="URL", show_default=False,
        help="The log: sqlite:///newsroom.db, or a server's address where the command takes one."
        " Left out: VERIFIER_LOG, verifier.toml, or newsroom.db here.",
    ),
]  # fmt: skip
OutputOption = Annotated[Format, typer.Option("--output", "-o", help="How to print.")]

Work = Callable[["Verifier"], Awaitable[None]]


def settings_of(**flags: Any) -> Settings:
    """Return the settings, with what was given by flags on top. Raises `Invalid`."""
    from verifier.settings import Settings

    return Settings.load(flags)


def reading(log: str | None, work: Work) -> None:
    """Open a log for reading, do the work, and end the command with an exit code if there is a problem."""
    run(lambda: _with(open_for_reading, log, work))


def writing(log: str | None, work: Work, *, create: bool = True) -> None:
    """Open a log for writing, do the work, and end the command with an exit code if there is a problem.

    A log that isn't there is made, or refused without `create`.
    """
    run(lambda: _with(partial(open_for_writing, create=create), log, work))


async def _with(opening: Callable[[Settings], Awaitable[Verifier]], log: str | None, work: Work) -> None:
    async with await opening(settings_of(log=log)) as verifier:
        await work(verifier)


def run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a command's work. A problem is one sentence on stderr, and never a traceback."""
    try:
        asyncio.run(work())
    except Problem as problem:
        fail(problem.detail, code=4 if isinstance(problem, Conflict) else 1)
    except log_errors.LogError as error:
        fail(str(error))
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(1) from None
    except OSError as error:
        fail(f"{error.filename or 'a file'}: {error.strerror or error}: check the name and who may use it")


def fail(sentence: str, *, code: int = 1) -> NoReturn:
    """End the command with a sentence on stderr and an exit code."""
    say(f"verifier: {sentence}")
    raise typer.Exit(code) from None


# --- opening ---------------------------------------------------------------------------------------


async def open_for_reading(settings: Settings) -> Verifier:
    """Return a way to read a log, not yet open: its server, where it has one, or the log itself."""
    from verifier.client import Verifier

    if address := served_at(settings.log):
        return Verifier(address)
    return Verifier.open(settings.log, read_only=True)


async def open_for_writing(settings: Settings, *, create: bool = True) -> Verifier:
    """Return a way to write to a log, not yet open: its server, where it has one, or the log itself."""
    from verifier.client import Verifier

    if address := await _server_that_has(settings.log):
        return Verifier(address)
    return Verifier.open(settings.log, actor=settings.actor, create=create)


def served_at(log: str) -> str | None:
    """Return the address of the server that a log's URL names, or that serves it on this machine."""
    if log.startswith(("http://", "https://")):
        return log
    from events.open import holder_of

    holder = holder_of(log)
    return holder.address if holder else None


def log_url(log: str | None) -> str:
    """Return the log's own URL; a server keeps its log to itself here."""
    url = settings_of(log=log).log
    if url.startswith(("http://", "https://")):
        raise Invalid(
            f"{shown(url)} is a server: give the log's own URL, such as sqlite:///newsroom.db, on its machine"
        )
    return url


def shown(url: str) -> str:
    """Return the URL of a log as it may be shown to anyone: without a password, and cut short where one may be."""
    scheme, _, rest = url.partition(":")
    if scheme in ("memory", "sqlite"):
        return url
    if scheme in ("http", "https") and "@" not in rest:
        return url
    if scheme == "postgresql":
        from events.open import database_of

        with suppress(log_errors.Invalid):  # whoever opens it says what is wrong with it
            return database_of(url).url
    return f"{scheme}:…"


async def _server_that_has(log: str) -> str | None:
    """Return where to go to write, or `None` where this process may take the log.

    Another command has a log for a moment, and a server that starts has no address yet: both are waited
    for. Opening says who has it if that takes too long.
    """
    if served_at(log):
        return served_at(log)
    from events.open import holder_of

    loop = asyncio.get_running_loop()
    patient_until = loop.time() + LOG_WAIT
    while (holder := holder_of(log)) is not None and loop.time() < patient_until:
        if holder.address:
            return holder.address
        await asyncio.sleep(POLL)
    return None


# --- ids -------------------------------------------------------------------------------------------


async def claim_id(verifier: Verifier, given: str) -> str:
    """Return the claim that an id or the end of one names. Raises `NotFound` or `Invalid`."""
    if " " in given:
        raise Invalid(f"{given!r} is no id: give the claim's, as `verifier claims` lists it, or the end of it")
    return await _find(verifier, "clm", given)


async def event_id(verifier: Verifier, given: str) -> str:
    """Return the event that an id or the end of one names. Raises `NotFound` or `Invalid`."""
    return await _find(verifier, "evt", given)


async def named(verifier: Verifier, kind: Literal["src", "sto"], given: str) -> str:
    """Return the source or story that an id or the end of one names; what names none is a name, and stays it."""
    tail = given.removeprefix(f"{kind}_")
    if is_id(given, kind) or not _TAIL.fullmatch(tail):
        return given
    try:
        return await verifier.find(kind, tail)
    except NotFound:
        return given


async def target_id(verifier: Verifier, given: str) -> str:
    """Return the claim, story or source that an id or the end of one names; a bare end is a claim's."""
    for kind in _BESIDE_CLAIMS:
        if given.startswith(f"{kind}_"):
            return await _find(verifier, kind, given)
    return await claim_id(verifier, given)


async def _find(verifier: Verifier, kind: Literal["clm", "evt", "src", "sto"], given: str) -> str:
    try:
        return await verifier.find(kind, given if is_id(given, kind) else given.removeprefix(f"{kind}_"))
    except NotFound as problem:
        raise NotFound(f"{problem.detail} with `verifier {_LISTED_BY[kind]}`", **problem.extra) from problem


def looks_short(given: str) -> bool:
    """Say whether this may be the end of an id: the words of a new claim have spaces."""
    return _TAIL.fullmatch(given.removeprefix("clm_")) is not None
