"""Serving a log, and looking after it: serve, demo, replay, rebuild, doctor, config."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from verifier.cli import output
from verifier.cli.reach import FAILED, LogOption, OutputOption, fail, log_url, run, served_at, settings_of
from verifier.errors import Internal, Invalid

if TYPE_CHECKING:
    from verifier.replay import Replayed
    from verifier.settings import Settings

Host = Annotated[str | None, typer.Option(help="The address to listen at. Default: 127.0.0.1.")]
Port = Annotated[int | None, typer.Option(help="The port to listen at; 0 takes a free one. Default: 8750.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands on servers and on what they keep."""
    for function in (serve, demo, replay, rebuild, doctor, config):
        app.command(rich_help_panel="Serve and look after")(function)


def serve(
    log: LogOption = None,
    host: Host = None,
    port: Port = None,
    hosts: Annotated[str | None, typer.Option(help="The host names it answers to, divided by commas.")] = None,
    actor: Annotated[str | None, typer.Option(help="Who is recorded as the writer. Default: the login name.")] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error.")] = None,
    log_format: Annotated[str | None, typer.Option(help="console for people, json for machines.")] = None,
) -> None:
    """Serve a log at an address of this machine, until interrupted."""

    async def work() -> None:
        from verifier import server
        from verifier.logs import configure

        settings = settings_of(
            log=log, host=host, port=port, hosts=hosts, actor=actor, log_level=log_level, log_format=log_format
        )
        configure(settings.log_level, settings.log_format)
        await server.serve(settings, lambda serving: output.tell(f"serving {settings.log} at {serving.address}"))

    run(work)


def demo(
    keep: Annotated[Path | None, typer.Option(help="Keep the log in this file; left out, it is thrown away.")] = None,
    exit: Annotated[bool, typer.Option("--exit", help="End after the case, instead of serving on.")] = False,
    port: Annotated[int, typer.Option(help="The port to take; a free one where it is taken.", min=0)] = 8750,
) -> None:
    """Play the case of the withdrawal letter on a real server, and show how its claims stand at every step."""

    async def work() -> None:
        from verifier import demo
        from verifier.logs import configure

        configure("error", "console")
        await demo.run(keep=keep, stay=not exit, port=port, out=output.console())

    run(work)


def replay(
    as_of: Annotated[int | None, typer.Option("--as-of", min=0, help="Up to this position. Default: all.")] = None,
    log: LogOption = None,
    output: OutputOption = "table",
) -> None:
    """Fold every claim from the log again, and compare with what its server shows, if one runs.

    Ends with exit code 3 where they differ.
    """
    run(lambda: _replay(log_url(log), as_of, output))


async def _replay(url: str, as_of: int | None, format: output.Format) -> None:
    from events.open import open_log
    from verifier.replay import replay

    async with await open_log(url, writable=False, create=None) as log:
        head = await log.head()
        if as_of is not None and as_of > head:
            raise Invalid(f"position {as_of} lies beyond the head, {head}: give one that the log has")
        with output.progress("folding") as tell:
            done = await replay(log, upto=as_of, progress=tell)
    address = served_at(url) if as_of is None else None
    compared, differing = await _compare(address, done) if address else (0, [])
    if format == "table":
        output.fields(
            {
                "log": done.log,
                "position": done.position,
                "policy": done.policy,
                "claims": done.claims,
                "of which": ", ".join(f"{count} {status}" for status, count in done.by_status.items()),
                "digest": done.digest,
                "server": f"{compared} claims compared, {len(differing)} differ" if address else None,
            }
        )
    else:
        report = {name: getattr(done, name) for name in ("log", "position", "policy", "claims", "by_status", "digest")}
        output.document({**report, "compared": compared, "differing": differing}, format)
    if differing:
        fail(
            f"{len(differing)} claims stand otherwise at {address}, first {differing[0]}: run `verifier rebuild`"
            " and report it",
            code=FAILED,
        )


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


def rebuild(log: LogOption = None) -> None:
    """Build the views anew from the log, while a server that has it open goes on serving."""
    run(lambda: _rebuild(log_url(log)))


async def _rebuild(url: str) -> None:
    address = served_at(url)
    with output.progress("building") as tell:
        position = await (_rebuild_at(address, tell) if address else _rebuild_here(url, tell))
    output.tell(f"the views of {address or url} are at {position:,}")


async def _rebuild_here(url: str, tell: Callable[[int, int | None], None]) -> int:
    from verifier.app import open_desk

    async with open_desk(url) as desk:
        await desk.views.rebuild(tell)
        return desk.views.position


async def _rebuild_at(address: str, tell: Callable[[int, int | None], None]) -> int:
    """Ask a server to rebuild, and look twice a second how far it is."""
    from verifier.client import Verifier

    async with Verifier(address) as verifier:
        health = await verifier.rebuild()
        while health.rebuilding is not None:
            tell(health.rebuilding, health.head)
            await asyncio.sleep(0.5)  # a server tells nobody how far it is: it is asked
            health = await verifier.health()
        if health.detail is not None:
            raise Internal(health.detail)
        return health.views


def doctor(log: LogOption = None, output: OutputOption = "table") -> None:
    """Look a log over: its tables, its head, how far its views are, who has it open."""
    run(lambda: _doctor(settings_of(log=log), output))


async def _doctor(settings: Settings, format: output.Format) -> None:
    found: dict[str, Any] = {"url": settings.log}
    address = served_at(settings.log)
    if not settings.log.startswith(("http://", "https://")):
        found |= await _look_at_log(settings.log)
    if address:
        from verifier.client import Verifier

        async with Verifier(address, timeout=5.0) as verifier:
            health = await verifier.health()
        found |= {
            "log": health.log,
            "head": health.head,
            "views": health.views,
            "server": f"{address}: {health.status}",
        }
        found["wrong"] = health.detail
    if format == "table":
        output.fields(found)
    else:
        output.document(found, format)
    if found.get("wrong"):
        fail(f"{found['wrong']}: run `verifier rebuild`, and report it")


async def _look_at_log(url: str) -> dict[str, Any]:
    from events.open import holder_of, open_log
    from verifier.app import views_place

    async with await open_log(url, writable=False, create=None) as log:
        head = await log.head()
        found: dict[str, Any] = {"log": log.id, "tables": "of this version", "head": head}
    place = views_place(url)
    holder = holder_of(url)
    if place is not None:
        kept = _views_position(place)
        found["views"] = kept if kept is not None else "none yet: the next to open the log for writing builds them"
    found["open for writing in"] = f"process {holder.pid}" if holder else "no process"
    return found


def _views_position(place: Path) -> int | None:
    """Return how far views are that another process may keep; `None` where there are none to be read."""
    import sqlite3
    from contextlib import closing

    try:
        with closing(sqlite3.connect(f"{place.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            row = connection.execute("SELECT position FROM views WHERE active").fetchone()
    except sqlite3.Error:
        return None
    return int(row[0]) if row else None


def config(log: LogOption = None, output: OutputOption = "table") -> None:
    """Show every setting, its value and where the value comes from: flag, environment, verifier.toml, default."""

    async def work() -> None:
        settings = settings_of(log=log)
        shown = {
            name: {"value": getattr(settings, name), "from": settings.origin(name), "about": field.description}
            for name, field in type(settings).model_fields.items()
        }
        _show_config(shown, output)

    run(work)


def _show_config(shown: dict[str, dict[str, Any]], format: output.Format) -> None:
    if format != "table":
        output.document(shown, format)
        return
    output.table(
        {
            "setting": lambda name: name,
            "value": lambda name: _as_typed(shown[name]["value"]),
            "from": lambda name: shown[name]["from"],
            "about": lambda name: shown[name]["about"],
        },
        list(shown),
    )


def _as_typed(value: object) -> str:
    return ",".join(value) if isinstance(value, tuple) else str(value)
