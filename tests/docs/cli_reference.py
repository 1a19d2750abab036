"""Writes the reference of the command line: every command from the application itself, with what an example
of it prints. The examples are one session, on one log, in this order; in this process, to be quick."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
import re
import shlex
import tempfile
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import typer.main
from examples import CLI, LINES
from typer.testing import CliRunner
from writing import code, spaced, table

from events.leaf import derive
from events.open import open_log
from tests.events.sealing import Place, seal_all
from verifier.cli import app
from verifier.sealing import Signing
from verifier.settings import Settings

COLUMNS: Final = 110
"""How wide the terminal is in the examples."""

LONG: Final = 24
"""How many lines of output are shown."""

# Keys and seals are kept in the folder of the examples, and not in that of whoever runs them.
_ENVIRONMENT: Final = {
    "VERIFIER_ACTOR": "desk", "NO_COLOR": "1", "COLUMNS": str(COLUMNS), "TERM": "dumb", "XDG_STATE_HOME": "state",
}  # fmt: skip
_KINDS: Final[dict[Any, str]] = {
    bool: "switch", int: "number", float: "number", str: "text", Path: "file", list[str]: "text, several times",
    list[Path]: "file, several times",
}  # fmt: skip
_EVERYWHERE: Final = ("log", "output", "help")
_PLACE: Final = re.compile(r"\{(\w+)(?: (\d))?\}")
_ENDPOINT: Final = re.compile(r"\{whk (\w+)\}")


def typed(example: str) -> str:
    """Return an example with its ids: `{plan}` is the end of the id that the key *plan* gives a claim, `{plan 1}`
    that of the second event recorded with that key, `{whk cms}` that of an endpoint."""

    def end(match: re.Match[str]) -> str:
        key, ordinal = match.groups()
        return derive("clm", "desk", key)[-6:] if ordinal is None else derive("evt", "desk", key, ordinal)[-6:]

    return _PLACE.sub(end, _ENDPOINT.sub(lambda match: derive("whk", "desk", match[1])[-6:], example))


@contextlib.contextmanager
def a_place_of_our_own() -> Iterator[None]:
    """Work in an empty directory, with the settings of the examples."""
    before = dict(os.environ)
    with tempfile.TemporaryDirectory() as place, contextlib.chdir(place):
        os.environ.update(_ENVIRONMENT)
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)


_printed: dict[str, str] = {}


def printed() -> dict[str, str]:
    """Run the session once; return what each example prints."""
    if _printed:
        return _printed
    with a_place_of_our_own():
        Path("letter.txt").write_text("In letter, US military tells Iraq it will withdraw\n")
        Path("facts.jsonl").write_text(LINES)
        for name, example in CLI.items():
            if name == "receipt":
                asyncio.run(_sealed())
            _printed[name] = [stable(run(line)) for line in typed(example).splitlines()][-1]
        changing = asyncio.run(_changing())
    for name, output in _printed.items():
        for id, shown in changing.items():
            output = output.replace(id, shown).replace(id[-6:], "……")
        _printed[name] = output
    return _printed


def run(line: str) -> str:
    """Run a command in this process; return what it prints. Raises `AssertionError` where it fails."""
    program, *args = shlex.split(line)
    assert program == "verifier", line
    result = CliRunner().invoke(app, args, prog_name="verifier")
    assert result.exit_code == 0, f"{line}\n{result.output}\n{result.exception}"
    return result.output


async def _sealed() -> None:
    """Seal the log, as a server does once a second."""
    async with await open_log("sqlite:///newsroom.db") as log:
        signing = Signing.of(Settings.load())
        await seal_all(log, Place("sqlite:///newsroom.db", signing.seals.parent, signing.keys_of(log.id)))


async def _changing() -> dict[str, str]:
    """Return the ids that follow from the log's own, which chance gives."""
    async with await open_log("sqlite:///newsroom.db", writable=False, create=None) as log:
        ids = {log.id}
        async for page in log.read_all():
            for event in page:
                if event.stream == "log":
                    ids.add(event.id)
                ids |= set(
                    re.findall(r"\b(?:sto|src|org)_[a-z2-7]{26}\b", f"{event.leaf_raw!r} {event.identity_raw!r}")
                )
    return {id: f"{id[:4]}…" for id in sorted(ids)}


def stable(output: str) -> str:
    """Replace what changes from run to run: times, sizes, hashes, keys; leave out the spaces at the ends of lines."""
    output = re.sub(r"\b20(2[6-9]|[3-9]\d)-\d\d-\d\d \d\d:\d\d\b", "2020-01-07 09:00", output)
    output = re.sub(r"\b[0-9a-f]{64}\b", "…", output)
    output = re.sub(r"\+[0-9a-f]{8}\+[A-Za-z0-9+/]{44}", "+…", output)  # a vkey
    output = re.sub(r"\blog_[a-z2-7]{26}\b", "log_…", output)
    output = re.sub(r"\bwhsec_[A-Za-z0-9+/=]{44}", "whsec_…", output)
    output = re.sub(r"(?m)^((?:disk|clock|views lag) .*(?:bytes|seconds) +)[\d.,]+$", r"\g<1>…", output)
    output = re.sub(r"\bSQLite \d[\d.]+", "SQLite …", output)
    return "\n".join(line.rstrip() for line in output.strip("\n").splitlines())


# --- the page --------------------------------------------------------------------------------------


def commands() -> dict[str, Any]:
    """Return every command of the application, by name; one in a group by both names."""
    group: Any = typer.main.get_command(app)
    found: dict[str, Any] = {}
    for name, command in group.commands.items():
        inner = getattr(command, "commands", None)
        found |= {name: command} if inner is None else {f"{name} {under}": one for under, one in inner.items()}
    return found


def _functions() -> dict[str, Any]:
    """Return the function of every command, by name."""
    found = _functions_of(app, "")
    for group in app.registered_groups:
        assert group.typer_instance is not None
        found |= _functions_of(group.typer_instance, f"{group.typer_instance.info.name} ")
    return found


def _functions_of(group: typer.Typer, before: str) -> dict[str, Any]:
    infos = group.registered_commands
    return {f"{before}{info.name or getattr(info.callback, '__name__', '')}": info.callback for info in infos}


def cli() -> str:
    """Write every command."""
    return "".join(_command(name, command) for name, command in commands().items())


def _command(name: str, command: Any) -> str:
    taken = inspect.signature(_functions()[name], eval_str=True).parameters
    rows = [
        _parameter(given, taken[given.name].annotation) for given in command.params if given.name not in _EVERYWHERE
    ]
    parts = [f"\n## `verifier {name}`\n", re.sub(r"(?<!\n)\n(?!\n)", " ", command.help)]
    parts.append(table(("argument or flag", "kind", "meaning"), rows) if rows else "It has no flags of its own.")
    if name in CLI:
        example = typed(CLI[name]).splitlines()[-1]
        parts.append(code("console", f"$ {example}\n{_cut(printed()[name])}"))
    return "\n".join(spaced(parts))


def _cut(output: str) -> str:
    """Leave out the beginning of a long output."""
    lines = output.splitlines()
    return output if len(lines) <= LONG else "\n".join(["…", *lines[-LONG:]])


def _parameter(parameter: Any, annotation: Any) -> tuple[str, str, str]:
    is_argument = parameter.param_type_name == "argument"
    names = f"`{(parameter.metavar or parameter.name).upper()}`" if is_argument else _flags(parameter)
    return names, _kind(annotation), _meaning(parameter)


def _kind(annotation: Any) -> str:
    """Write the kind of an argument, from what the function of the command says of it."""
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) in (Union, types.UnionType):
        annotation = next(choice for choice in get_args(annotation) if choice is not type(None))
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(annotation))
    return _KINDS[annotation]


def _flags(parameter: Any) -> str:
    return ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))


def _meaning(parameter: Any) -> str:
    return f"{parameter.help}{' Required.' if parameter.required else ''}"
