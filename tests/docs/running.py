"""Runs the examples of a page, in order, as a reader would: in an empty directory, one after the other.

Python may await at its top level, as in `python -m asyncio`. Lines that begin with `$ verifier` are run by the
command line itself, in this process; `verifier serve` runs beside us until the page ends, or serves again. `curl -s`
asks that server. A block after `<!-- file: name -->` is written to that file.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
from cli_reference import run, stable
from pages import ROOT, Block, blocks

ADDRESS: Final = "http://127.0.0.1:8750"
"""Where pages say that a server is; ours takes a free port."""

_SERVE: Final = "from verifier.cli import main; main()"
_NOT_OURS: Final = ("export ", "python ", "python3 ", "sha256sum ", "rm ", "cp ")


@dataclass(slots=True)
class Session:
    """What a page has made so far: its names, its server, and the loop that its code awaits in."""

    names: dict[str, Any] = field(default_factory=dict)
    runner: asyncio.Runner = field(default_factory=asyncio.Runner)
    server: subprocess.Popen[str] | None = None
    address: str = ADDRESS

    def stop(self) -> None:
        """Stop the server, if there is one."""
        if self.server is not None:
            self.server.terminate()
            self.server.communicate(timeout=20)
            self.server = None

    def close(self) -> None:
        """Stop the server and the loop."""
        self.runner.close()
        self.stop()


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What an example should print, and what it printed."""

    where: str
    expected: str
    actual: str


def run_page(page: Path) -> Iterator[Result]:
    """Run every example of a page and yield what each should print and has printed."""
    session = Session()
    with contextlib.closing(session):
        for block in blocks(page):
            where = f"{page.name}:{block.line}"
            if block.file is not None:
                Path(block.file).write_text(block.text)
            elif not block.run:
                continue
            elif block.language == "python":
                yield Result(where=where, expected=block.output or "", actual=_python(block, session))
            elif block.language == "console":
                for command, expected in commands_of(block):
                    yield Result(where=f"{where} {command}", expected=expected, actual=_typed(command, session))


def _python(block: Block, session: Session) -> str:
    """Run a block of Python; return what it prints."""
    source = block.text.replace(ADDRESS, session.address)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        made = eval(compile(source, "a page", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), session.names)
        if inspect.iscoroutine(made):
            session.runner.run(made)
    return printed.getvalue()


def commands_of(block: Block) -> list[tuple[str, str]]:
    """Return the commands of a console block, each with what stands below it."""
    parts = re.split(r"^\$ (.*)\n", block.text, flags=re.MULTILINE)[1:]
    return list(zip(parts[::2], parts[1::2], strict=True))


def _typed(command: str, session: Session) -> str:
    """Run what was typed; return what it prints."""
    command = command.replace(ADDRESS, session.address)
    if command.startswith("verifier serve"):
        return _serve(command, session).replace(session.address, ADDRESS)
    if command.startswith("curl -s "):
        return httpx.get(command.removeprefix("curl -s ")).text
    if command.startswith("verifier "):
        return stable(run(command)).replace(session.address, ADDRESS)
    assert command.startswith(_NOT_OURS), f"{command}: no test runs this"
    return ""


def _serve(command: str, session: Session) -> str:
    """Start a server, in place of the one before it; return what it prints."""
    session.stop()
    args = command.split()[1:]
    session.server = subprocess.Popen(
        [sys.executable, "-c", _SERVE, *args, "--port", "0", "--log-level", "error"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # A checkout is found also where it isn't installed; and the address comes when it is printed.
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
    )
    assert session.server.stdout is not None
    line = session.server.stdout.readline()
    session.address = line.rpartition(" at ")[2].strip()
    assert session.address.startswith("http://"), line
    return line.strip()
