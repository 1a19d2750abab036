"""Serving a log: serve, demo, config."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from verifier.cli import output
from verifier.cli.reach import LogOption, OutputOption, run, settings_of, shown

Host = Annotated[str | None, typer.Option(help="The address to listen at. Default: 127.0.0.1.")]
Port = Annotated[int | None, typer.Option(help="The port to listen at; 0 takes a free one. Default: 8750.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands that serve, and the one that shows with what settings."""
    for function in (serve, demo, config):
        app.command(rich_help_panel="Serve and look after")(function)


def serve(
    log: LogOption = None,
    host: Host = None,
    port: Port = None,
    hosts: Annotated[str | None, typer.Option(help="The host names it answers to, divided by commas.")] = None,
    actor: Annotated[str | None, typer.Option(help="Who is recorded as the writer. Default: the login name.")] = None,
    ready_lag: Annotated[
        float | None, typer.Option(help="By how many seconds the views may lag while it says that it is ready.")
    ] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error.")] = None,
    log_format: Annotated[str | None, typer.Option(help="console for people, json for machines.")] = None,
) -> None:
    """Serve a log at an address of this machine, until interrupted."""

    async def work() -> None:
        from verifier import server
        from verifier.logs import configure

        settings = settings_of(
            log=log,
            host=host,
            port=port,
            hosts=hosts,
            actor=actor,
            ready_lag=ready_lag,
            log_level=log_level,
            log_format=log_format,
        )
        configure(settings.log_level, settings.log_format)
        await server.serve(settings, lambda it: output.tell(f"serving {it.desk.log.url} at {it.address}"))

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


def config(log: LogOption = None, output: OutputOption = "table") -> None:
    """Show every setting, its value and where the value comes from: flag, environment, verifier.toml, default."""

    async def work() -> None:
        settings = settings_of(log=log)
        rows = {
            name: {"value": _plain(getattr(settings, name)), "from": settings.origin(name), "about": field.description}
            for name, field in type(settings).model_fields.items()
        }
        rows["log"]["value"] = shown(settings.log)
        _show_config(rows, output)

    run(work)


def _show_config(rows: dict[str, dict[str, Any]], format: output.Format) -> None:
    if format != "table":
        output.document(rows, format)
        return
    output.table(
        {
            "setting": lambda name: name,
            "value": lambda name: _as_typed(rows[name]["value"]),
            "from": lambda name: rows[name]["from"],
            "about": lambda name: rows[name]["about"],
        },
        list(rows),
    )


def _plain(value: object) -> object:
    """Return a value as JSON can have it; a secret is not shown."""
    from pydantic import SecretStr  # here, because help needn't wait for it

    return str(value) if isinstance(value, Path | SecretStr) else value


def _as_typed(value: object) -> str:
    return ",".join(value) if isinstance(value, tuple) else "" if value is None else str(value)
