"""What `verifier feed --follow` shows on a terminal, and that it goes on while the server is away."""

from __future__ import annotations

import io
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import httpx
import pytest
from rich.console import Console
from serving import served

from verifier.answers import Change
from verifier.cli.monitor import View, lasting

PROGRAM = [sys.executable, "-c", "from verifier.cli import main; main()"]


def change(position: int, claim: str, previous: str, status: str, **more: object) -> Change:
    """A change as a feed tells it."""
    return Change.model_validate(
        {
            "position": position, "recorded_at": "2020-01-07T09:00:00.000000Z", "claim": f"clm_{claim}", "story": None,
            "previous": previous, "status": status, "label": f"{status} by somebody", "rule": "R3",
            "policy": "standing/1",
            "counts": {"support_origins": 0, "denial_origins": 1, "outlets": 0}, "cause": "evt_1",
            "cause_type": "claim.denied", "explanation": "…", "recall": False, "text": "The letter is authentic",
            "basis": {"log": "log_1", "position": position}, **more,
        }
    )  # fmt: skip


def seen(view: View, *, since: float | None = None, width: int = 110, height: int = 20) -> str:
    """What a terminal of this size shows."""
    out = Console(file=io.StringIO(), width=width, height=height, force_terminal=False)
    out.print(view.drawn(out.size, since=since, position=7))
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue()


def test_claims_are_counted_by_the_status_that_they_have_come_to() -> None:
    view = View("http://127.0.0.1:8750")
    view.take(change(3, "one", "unassessed", "asserted"))
    view.take(change(4, "two", "unassessed", "asserted"))
    view.take(change(5, "one", "asserted", "denied"))

    assert "1 asserted   1 denied" in seen(view)
    assert str(view.last_line(7)) == "3 changes; go on with --after 7"


def test_the_newest_change_comes_first_and_as_many_as_the_terminal_has_lines() -> None:
    view = View("newsroom.db")
    for position in range(3, 103):
        view.take(change(position, "one", "asserted", "denied"))

    lines = seen(view, height=16).splitlines()
    shown = [int(line.split()[0]) for line in lines if line[:1].isdigit() and "denied by" in line]

    assert len(lines) <= 16
    assert shown == list(range(102, 102 - len(shown), -1)) and len(shown) == 10


def test_recalls_are_marked_and_counted() -> None:
    view = View("newsroom.db")
    view.take(change(3, "one", "corroborated", "denied", recall=True))

    assert "RECALL denied by somebody (was corroborated)" in seen(view, width=150)
    assert "1 recall" in seen(view) and "1 recall" in str(view.last_line(3))


def test_what_is_not_wanted_is_counted_and_not_shown() -> None:
    view = View("newsroom.db", status="denied")
    view.take(change(3, "one", "unassessed", "denied"))
    view.take(change(4, "one", "denied", "asserted"))

    assert "1 asserted" in seen(view) and "1 denied" not in seen(view)
    assert "denied by somebody" in seen(view) and "asserted by somebody" not in seen(view)


def test_no_text_drives_the_terminal() -> None:
    view = View("newsroom.db")
    view.take(change(3, "one", "unassessed", "denied", text="\x1b[2J\r\nred\u202e", label="denied by \x07[bold]x"))

    shown = seen(view)

    assert not re.search("[\x00-\x09\x0b-\x1f\u202e]", shown)
    assert "[bold]x" in shown


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    view = View("http://newsroom.example/" + "x" * 300)
    for position in range(3, 40):
        view.take(change(position, "one", "asserted", "denied", recall=True, text="long " * 200))

    assert max(map(len, seen(view, width=width).splitlines())) <= width


def test_the_connection_says_how_old_it_is_and_since_when_it_is_lost() -> None:
    view = View("newsroom.db")
    assert "connecting" in seen(view)
    assert "connected for 3 min 2" in seen(view, since=time.time() - 200)
    assert "connection lost, trying again for 0 s" in seen(view)
    assert "connected for 0 s" in seen(view, since=time.time())


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-1, "0 s"), (59.9, "59 s"), (60, "1 min 0 s"), (3_725, "1 h 2 min"), (90_000, "1 d 1 h")],
)
def test_a_time_span_is_told_in_its_two_largest_units(seconds: float, said: str) -> None:
    assert lasting(seconds) == said


# --- on a real terminal ----------------------------------------------------------------------------


class Screen:
    """A terminal on which a program draws."""

    def __init__(self, master: int) -> None:
        self._master = master
        self.drawn = ""

    def wait_for(self, is_there: Callable[[str], object]) -> None:
        """Read until what was drawn since the last time has something."""
        deadline = time.monotonic() + 30
        while not is_there(self.drawn):
            assert time.monotonic() < deadline, self.drawn[-3_000:]
            try:
                self.drawn += os.read(self._master, 65_536).decode(errors="replace")
            except OSError:  # the program has ended
                assert is_there(self.drawn), self.drawn[-3_000:]
        self.drawn = ""


@contextmanager
def on_a_terminal(*typed: str) -> Iterator[tuple[subprocess.Popen[bytes], Screen]]:
    """Run a command on a terminal of 120 columns and 30 lines."""
    master, slave = pty.openpty()
    environment = {**os.environ, "COLUMNS": "120", "LINES": "30", "TERM": "xterm"}
    environment.pop("NO_COLOR", None)
    process = subprocess.Popen([*PROGRAM, *typed], stdin=slave, stdout=slave, stderr=slave, env=environment)
    os.close(slave)
    try:
        yield process, Screen(master)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        process.wait()
        os.close(master)


def test_the_view_goes_on_when_the_server_comes_back_and_says_how_far_it_was(log_place: str) -> None:
    def assert_claim(address: str, text: str) -> None:
        body = {"text": text, "statement": {"type": "claim.asserted", "source": "AFP"}}
        httpx.post(f"{address}/api/v1/claims", json=body).raise_for_status()

    with served(log_place) as serving:
        assert_claim(serving.address, "The first one")
        port = int(serving.address.rpartition(":")[2])
        terminal = on_a_terminal("feed", "--follow", "--log", serving.address)
        process, screen = terminal.__enter__()
        screen.wait_for(lambda drawn: "The first one" in drawn and "connected for" in drawn)
        assert_claim(serving.address, "The second one")
        screen.wait_for(lambda drawn: "The second one" in drawn and "2 asserted" in drawn)
    screen.wait_for(lambda drawn: "connection lost" in drawn)
    with served(log_place, port=port) as serving:
        assert_claim(serving.address, "The third one")
        screen.wait_for(lambda drawn: "The third one" in drawn and "connected for" in drawn)
        process.send_signal(signal.SIGINT)
        screen.wait_for(lambda drawn: "3 changes; go on with --after 7" in drawn)
        terminal.__exit__(None, None, None)
