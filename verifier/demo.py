"""The demonstration: the case of the withdrawal letter, played on a real server over HTTP.

A log in a file, a server on it, a client that records; after each step it shows how the two claims stand
that the case is about. They end *denied* and *corroborated*: an authentic letter is not a plan.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from verifier import server
from verifier.case import Step, play
from verifier.client import Verifier
from verifier.errors import Invalid
from verifier.server import Serving
from verifier.settings import Settings

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

SHOWN: Final = {"clm:withdraw": "the withdrawal", "clm:letter-authentic": "the letter"}
"""The claims that are shown, and what they are called here."""

ACTOR: Final = "demo"
"""Who records the case: always the same, so that a log that was kept is played again without a change."""

WIDTH: Final = 80
"""How many columns a table takes, on every terminal."""


async def run(*, keep: Path | None, stay: bool, port: int, out: Console) -> None:
    """Play the case and show every step; then serve on until interrupted, if told to `stay`.

    Takes a free port where its own is taken. Raises `ReadOnly` where a kept log is served by another
    process, and whatever the client raises.
    """
    with _place(keep) as path:
        settings = _settings(path, port)
        try:
            await _run(settings, stay, keep, out)
        except Invalid as problem:
            if problem.extra.get("field") != "port" or port == 0:
                raise
            await _run(_settings(path, 0), stay, keep, out)


@contextmanager
def _place(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        yield keep
        return
    with tempfile.TemporaryDirectory(prefix="verifier-demo-") as folder:
        yield Path(folder) / "letter.db"


def _settings(path: Path, port: int) -> Settings:
    return Settings.load({"log": f"sqlite:///{path.resolve()}", "host": "127.0.0.1", "port": port, "actor": ACTOR})


async def _run(settings: Settings, stay: bool, keep: Path | None, out: Console) -> None:
    ready: asyncio.Future[Serving] = asyncio.get_running_loop().create_future()
    serving: asyncio.Future[None] = asyncio.create_task(server.serve(settings, ready.set_result), name="server")
    try:
        either: list[asyncio.Future[Any]] = [serving, ready]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():  # it could not begin, or was interrupted while it did
            return
        playing = asyncio.create_task(_play(ready.result().address, out), name="player")
        await asyncio.wait({serving, playing}, return_when=asyncio.FIRST_COMPLETED)
        if not playing.done():  # interrupted: the server has stopped, so nobody answers the player
            playing.cancel()
            await asyncio.wait({playing})
            return
        playing.result()
        if stay:
            out.print(_farewell(ready.result().address, keep), soft_wrap=True)
        else:
            ready.result().stop()
    except BaseException:
        serving.cancel()
        raise
    finally:
        await asyncio.wait({serving})
        if not serving.cancelled():
            serving.result()


async def _play(address: str, out: Console) -> None:
    introduced = False
    async with Verifier(address) as verifier:
        async for step in play(verifier):
            if not introduced:
                out.print(_introduction(step))
                introduced = True
            out.print(_table(step))


def _introduction(step: Step) -> Table:
    """Say what the case is, and which claims are followed through it."""
    from rich.table import Table

    table = Table(
        title="What became of two claims in January 2020, as it was reported, step by step:\n",
        title_justify="left", title_style="", box=None, show_header=False, width=WIDTH,
    )  # fmt: skip
    table.add_column(no_wrap=True)
    table.add_column(ratio=1)
    for id, called in SHOWN.items():
        table.add_row(called, step.standing[id].text)
    table.add_row()
    return table


def _table(step: Step) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(
        title=step.checkpoint.name, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, width=WIDTH
    )
    table.add_column("claim", no_wrap=True)
    table.add_column("status", width=15)
    table.add_column("rule", no_wrap=True)
    table.add_column("reason", ratio=1)
    for id, called in SHOWN.items():
        claim = step.standing[id]
        table.add_row(called, claim.label, claim.rule, claim.explanation)
    return table


def _farewell(address: str, keep: Path | None) -> str:
    kept = f"The log is kept in {keep}." if keep else "The log is thrown away at the end."
    return f"\nServing at {address}. {kept} Stop with Ctrl-C.\nAsk it elsewhere: verifier claims --log {address}"
