"""Two servers over one log, as processes of their own: they can be frozen, killed, and held against the log.

Each reaches the database through a wire of its own, which can be cut.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import asyncpg
import httpx

from bench.crash import check_whole
from bench.faults.gates import PATIENCE, console, until
from bench.faults.writer import ROOT
from events.audit import Trust
from events.contracts import Fact, Wording
from events.open import database_of
from events.postgres import PostgresLog
from tests.events.wire import Wire, wired
from tests.postgres import Server
from tests.verifier.keeping import built_anew, rows
from tests.verifier.newsroom import Newsroom, improvise
from verifier.adopted import Adopted
from verifier.audit import audit_log
from verifier.projections import Views
from verifier.projections.postgres import PostgresPlace
from verifier.projections.turns import Turns
from verifier.replay import replay
from verifier.tailer import Tailer


@dataclass
class Recording(Newsroom):
    """A newsroom that remembers what it recorded."""

    recorded: list[str] = field(default_factory=list)

    async def record(self, stream: str, fact: Fact, wording: Wording = Wording(), **identity: object) -> str:  # noqa: B008
        """Append one event, remember it and return its id."""
        event = await super().record(stream, fact, wording, **identity)
        self.recorded.append(event)
        return event

    async def story(self, title: str) -> str:
        """Open a story of which nobody has heard: the product opens none twice."""
        return await super().story(f"{title}, {self.made}")


@dataclass(frozen=True, slots=True)
class At:
    """Which views are served, and how far they are."""

    generation: int
    position: int


@dataclass(eq=False, slots=True)
class Clerk:
    """A server in a process of its own."""

    process: asyncio.subprocess.Process
    address: str
    wire: Wire

    @property
    def holder(self) -> str:
        """How it signs when it keeps the views."""
        return f"process {self.process.pid} on {socket.gethostname()}"

    async def freeze(self) -> None:
        """Stop the process where it stands."""
        self.process.send_signal(signal.SIGSTOP)
        await until(self._is_stopped)

    async def _is_stopped(self) -> bool:
        await asyncio.sleep(0)
        stat = Path(f"/proc/{self.process.pid}/stat").read_text()  # noqa: ASYNC240  # there is no disk behind it
        return stat.rpartition(")")[2].split()[0] == "T"

    def wake(self) -> None:
        """Let it go on as if nothing had happened."""
        self.process.send_signal(signal.SIGCONT)

    async def end(self, number: signal.Signals = signal.SIGKILL) -> None:
        """End the process."""
        if self.process.returncode is None:
            self.wake()
            self.process.send_signal(number)
            await self.process.communicate()

    async def shows(self, position: int) -> dict[str, str]:
        """Wait until its views contain a position; return how every claim stands by them."""
        stands: dict[str, str] = {}
        params: dict[str, Any] = {"at_least": position, "limit": 100}
        async with httpx.AsyncClient(base_url=f"{self.address}/api/v1/", timeout=PATIENCE) as http:
            while True:
                answer = await until(partial(_answered, http, params))
                stands |= {claim["id"]: claim["basis"]["state_digest"] for claim in answer["items"]}
                if not answer["next"]:
                    return stands
                params["cursor"] = answer["next"]


async def _answered(http: httpx.AsyncClient, params: dict[str, Any]) -> dict[str, Any] | None:
    response = await http.get("claims", params=params)
    if response.status_code == httpx.codes.SERVICE_UNAVAILABLE:  # it is behind, and will catch up
        return None
    answer: dict[str, Any] = response.raise_for_status().json()
    return answer


class Office:
    """A log, the servers that have it open, and what was recorded beside them. Made by `in_office`."""

    def __init__(
        self, server: Server, url: str, chance: random.Random, log: PostgresLog, stack: AsyncExitStack
    ) -> None:
        self.server = server
        self.url = url
        self.schema = database_of(url).schema
        self.newsroom = Recording(log)
        self.clerks: list[Clerk] = []
        self._chance = chance
        self._log = log
        self._stack = stack

    async def hire(self) -> Clerk:
        """Start one more server."""
        clerk = await self._stack.enter_async_context(_serving(self.url))
        self.clerks.append(clerk)
        return clerk

    async def keeper_and_other(self) -> tuple[Clerk, Clerk]:
        """Return the server that keeps the views, and the other."""
        async with console(self.server) as looking:
            holder = await until(lambda: self._holder(looking))
        first, second = self.clerks
        return (first, second) if holder == first.holder else (second, first)

    async def keeps(self, clerk: Clerk) -> None:
        """Wait until a server keeps the views."""
        async with console(self.server) as looking:

            async def kept() -> bool:
                return await self._holder(looking) == clerk.holder

            await until(kept)

    async def _holder(self, looking: asyncpg.Connection) -> str | None:
        holder: str | None = await looking.fetchval(
            f"SELECT holder FROM {self.schema}_views.turn WHERE until > clock_timestamp()"
        )
        return holder if holder in [clerk.holder for clerk in self.clerks] else None

    async def record(self, events: int) -> None:
        """Record so many events, or a few more."""
        await improvise(self.newsroom, self._chance, events)

    async def at(self) -> At:
        """Look which views are served, and how far they are."""
        async with console(self.server) as looking:
            row = await looking.fetchrow(f"SELECT generation, position FROM {self.schema}_views.views WHERE active")
        return At(row["generation"], row["position"])

    async def verify(self) -> None:
        """Record more, then hold the log against what was recorded, and the views and every answer against a replay."""
        await self.record(20)
        events = [event async for page in self._log.read_all() for event in page]
        check_whole(events)
        assert [event.id for event in events[1:]] == self.newsroom.recorded
        report = await asyncio.to_thread(audit_log, self.url, Trust())
        assert not report.audited.findings, report.audited.findings
        replayed = await replay(self._log)
        for clerk in self.clerks:
            stands = await clerk.shows(len(events))
            assert stands == {id: replayed.assess(id).digest for id in replayed.folded}
        await self._verify_rows()

    async def _verify_rows(self) -> None:
        place, tailer = PostgresPlace(database_of(self.url).dsn, self.schema), await Tailer.open(self._log)
        views = await Views.open(place, self._log, await Adopted.read(self._log), turns=Turns(place, tailer))
        try:
            held, anew = await rows(views), await built_anew(self._log)
            for part, expected in anew.items():
                assert held[part] == expected, f"{part} of the views are not what a replay gives"
        finally:
            await views.close()


@asynccontextmanager
async def _serving(url: str) -> AsyncIterator[Clerk]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("VERIFIER_")}
    with TemporaryDirectory() as folder:
        async with wired(url) as (wire, wired_url):
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "verifier", "serve", "--port", "0", "--actor", "ada", "--log-level", "error",
                stdout=asyncio.subprocess.PIPE, cwd=folder,
                env={**environment, "PYTHONPATH": str(ROOT), "VERIFIER_LOG": wired_url},
            )  # fmt: skip
            assert process.stdout is not None
            line = (await process.stdout.readline()).decode()
            assert "http://" in line, "the server didn't start"
            clerk = Clerk(process, line.split()[-1], wire)
            try:
                yield clerk
            finally:
                await clerk.end(signal.SIGTERM)


@asynccontextmanager
async def in_office(server: Server, schema: str, chance: random.Random) -> AsyncIterator[Office]:
    """Make a log with some history, and serve it twice."""
    url = server.url(schema)
    async with AsyncExitStack() as stack:
        log = await PostgresLog.open(url, busy_timeout=PATIENCE, answer_timeout=PATIENCE)
        office = Office(server, url, chance, await stack.enter_async_context(log), stack)
        await office.record(400)
        await office.hire()
        await office.hire()
        yield office
