"""Servers in processes of their own, for tests in which one is killed or frozen."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Served:
    """A server in a process of its own."""

    process: subprocess.Popen[str]
    address: str

    def send(self, number: signal.Signals) -> None:
        """Send the process a signal."""
        self.process.send_signal(number)


@contextmanager
def served(url: str, folder: Path) -> Iterator[Served]:
    """Serve a log from a process of its own."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("VERIFIER_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "verifier", "serve", "--log", url, "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**environment, "PYTHONPATH": str(Path.cwd()), "VERIFIER_ACTOR": "ada"},
        cwd=folder,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = next(line for line in process.stdout if "http://" in line)
        yield Served(process, "http://" + line.split("http://")[1].split()[0].rstrip("/.,"))
    finally:
        process.send_signal(signal.SIGCONT)
        process.send_signal(signal.SIGTERM)
        process.communicate()
