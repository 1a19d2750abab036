"""A server with a log that it seals, which can be stopped and started again, and one with something on every page."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from events.keys import Keys
from events.seals import Seals
from events.tlog import new_key
from tests.browser.newsdesk import Newsdesk
from tests.verifier.serving import served
from verifier.client import Verifier


class Server:
    """A server with a log on disk, which it seals. It comes back at the address at which it was."""

    def __init__(self, folder: Path) -> None:
        self.log, self.stopped = f"sqlite:///{folder}/newsroom.db", False
        self._port = 0
        self._sealing = {"seal_key": new_key("example.org/newsroom"), "seals": folder / "seals"}
        Seals(folder / "seals").begin(Keys.parse(str(self._sealing["seal_key"]), "the test"))
        self._running = ExitStack()

    def start(self) -> None:
        """Serve the log."""
        serving = self._running.enter_context(served(self.log, port=self._port, **self._sealing))
        self.address, self._port = serving.address, int(serving.address.rpartition(":")[2])

    def stop(self) -> None:
        """Stop serving. To whoever has a page open, the connection is lost."""
        self._running.close()
        self.stopped = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A server with something on every page, a client of it, and where things stand."""

    server: Server
    verifier: Verifier
    desk: Newsdesk
