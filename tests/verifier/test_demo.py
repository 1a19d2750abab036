"""The demonstration: it runs as it is, ends as the case ends, and cleans up after itself."""

from __future__ import annotations

import io
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from rich.console import Console

from verifier import demo
from verifier.case import letter
from verifier.client import Verifier

PROGRAM = [sys.executable, "-c", "from verifier.cli import main; main()", "demo"]


async def shown(*, keep: Path | None = None, port: int = 0) -> str:
    out = Console(file=io.StringIO(), width=80)
    await demo.run(keep=keep, stay=False, port=port, out=out)
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue()


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port at which somebody else listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


async def test_it_shows_both_claims_at_every_step_and_ends_denied_and_corroborated() -> None:
    text = await shown()

    steps = text.split("\nT")
    assert all(checkpoint.name in text for checkpoint in letter().checkpoints)
    assert re.search(r"the withdrawal +denied by", steps[-1])
    assert re.search(r"the letter +corroborated", steps[-1])


async def test_it_fits_into_80_columns() -> None:
    assert max(map(len, (await shown()).splitlines())) <= 80


async def test_it_takes_a_free_port_where_its_own_is_taken(taken_port: int) -> None:
    assert "corroborated" in await shown(port=taken_port)


async def test_played_into_a_log_that_was_kept_it_records_nothing_and_ends_the_same(tmp_path: Path) -> None:
    place = tmp_path / "letter.db"
    first = await shown(keep=place)
    async with Verifier.open(f"sqlite:///{place}", read_only=True) as verifier:
        head = (await verifier.health()).head

    again = await shown(keep=place)

    async with Verifier.open(f"sqlite:///{place}", read_only=True) as verifier:
        assert (await verifier.health()).head == head
    assert again.rpartition("T7")[2] == first.rpartition("T7")[2]


def test_it_serves_on_until_interrupted_and_says_where_and_how_to_stop() -> None:
    with subprocess.Popen([*PROGRAM, "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        line = next(line for line in run.stdout if line.startswith("Serving at"))
        address = re.findall(r"http://\S+\d", line)[0]
        claims = httpx.get(f"{address}/api/v1/claims?status=denied").json()["items"]
        run.send_signal(signal.SIGINT)
        _, errors = run.communicate()

    assert "Ctrl-C" in line
    assert [claim["texts"]["label"] for claim in claims] == ["denied by Mark Esper"]
    assert (run.returncode, errors) == (0, "")
