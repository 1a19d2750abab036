"""Somebody who types commands about a log, at a desk that fixtures set up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from serving import served
from typer.testing import CliRunner, Result

from verifier.cli import app


class Desk:
    """Types commands about one log."""

    def __init__(self, place: str) -> None:
        self.place = place

    def __call__(self, *typed: object, code: int = 0, stdin: str | None = None) -> Result:
        """Run a command and check how it ends."""
        arguments = [str(word) for word in (*typed, "--log", self.place)]
        result = CliRunner().invoke(app, arguments, input=stdin)
        assert result.exit_code == code, f"{arguments}: {result.output}{result.exception!r}"
        return result

    def json(self, *typed: object) -> Any:
        """Run a command and read what it prints."""
        return json.loads(self(*typed, "--output", "json").stdout)


@pytest.fixture
def log(tmp_path: Path) -> str:
    """The URL of a log on disk that isn't there yet."""
    return f"sqlite:///{tmp_path}/newsroom.db"


@pytest.fixture(params=["log", "server"])
def desk(request: pytest.FixtureRequest, log: str) -> Iterator[Desk]:
    """A desk on a log, and one on a server."""
    if request.param == "log":
        yield Desk(log)
        return
    with served(log) as serving:
        yield Desk(serving.address)


@pytest.fixture
def on_log(log: str) -> Desk:
    """A desk on a log that no server serves."""
    return Desk(log)


def plan(desk: Desk, text: str = "The United States plans to withdraw", source: str = "AFP") -> Any:
    """Record a claim, and return it."""
    return desk.json("assert-claim", text, "--source", source, "--story", "iraq-letter")
