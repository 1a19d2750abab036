"""The sender: a courier for each endpoint, for as long as this process has the turn.

A log on SQLite has one process, and that one sends. Of several servers on PostgreSQL one sends at a time: its turn is
a lease, which the next takes over within seconds where it dies or freezes. One that wakes up late may still have a
message on its way; whoever gets it twice knows it by its id.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final

import structlog
from sqlalchemy.exc import DBAPIError

from events.log import Log
from verifier.errors import NotReady
from verifier.projections import Views
from verifier.webhooks.clock import Clock
from verifier.webhooks.courier import ROOM, Courier, Round
from verifier.webhooks.endpoint import Endpoint
from verifier.webhooks.outbox import LOST, Outbox
from verifier.webhooks.posting import WAIT, Posting

AGAIN: Final = 2.0
"""Seconds until sending is tried again that was cut off."""

LOOK: Final = 1.0
"""Seconds between two looks whether there is an endpoint, whether one was changed, and whether the turn is free."""

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """How a process sends: by which clock, how many seconds it waits for an answer, and how much it holds."""

    clock: Clock = field(default_factory=Clock)
    wait: float = WAIT
    room: int = ROOM


class Sender:
    """Sends what the endpoints of one log want, for as long as `run` does."""

    def __init__(self, log: Log, views: Views, outbox: Outbox, sending: Sending) -> None:
        self._log = log
        self._views = views
        self._outbox = outbox
        self._sending = sending
        self._couriers: dict[str, tuple[Courier, asyncio.Task[None]]] = {}
        self.changed = asyncio.Event()
        """Set by whoever has added an endpoint, or changed one."""
        self.error: str | None = None
        """Why nothing is sent, where something should be."""

    def failing(self, id: str) -> str | None:
        """Say why an endpoint got nothing the last time, where this process sends and it didn't."""
        found = self._couriers.get(id)
        return found[0].failing if found else None

    async def run(self) -> None:
        """Send until cancelled. What cuts it off is tried again, and `error` says what that is."""
        while True:
            try:
                await self._take_turns()
            except* (*LOST, NotReady, DBAPIError) as cut:
                self._failed("sending was cut off and is tried again", cut)
            except* Exception as bugs:  # the outermost loop: any other error is our bug, and the server goes on
                self._failed("sending failed and is tried again: report it", bugs)
                logger.error("webhooks are not sent", exc_info=bugs)
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise asyncio.CancelledError  # it came while a task of ours failed, whose error took its place
            await asyncio.sleep(AGAIN)  # it is time itself that is waited for

    def _failed(self, what: str, group: ExceptionGroup[Exception]) -> None:
        first: Exception = group
        while isinstance(first, ExceptionGroup):
            first = first.exceptions[0]
        self.error = f"{what} ({type(first).__name__}: {first})"
        logger.warning("webhooks are not sent: it is tried again", reason=self.error)

    async def _take_turns(self) -> None:
        """Wait until there is an endpoint and it is our turn, and send until that is over."""
        while True:
            mine = await self._outbox.take_turn() if await self._outbox.there() else None
            self.error = None
            if mine is not None:
                break
            await _within(LOOK, self.changed)
            self.changed.clear()
        try:
            # In a task of its own: the groups in it leave it marked as cancelled when one of their tasks fails.
            await asyncio.create_task(self._send(mine), name="send webhooks")
        finally:
            self._couriers.clear()
            await mine.give_up()

    async def _send(self, outbox: Outbox) -> None:
        posting = Posting(wait=self._sending.wait)
        round = Round(log=self._log, views=self._views, outbox=outbox, posting=posting, clock=self._sending.clock)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._wake())
                if outbox.shared:
                    tasks.create_task(_hold(outbox))
                while True:
                    self.changed.clear()
                    self._look_after(await outbox.endpoints(), round, tasks)
                    await _within(LOOK, self.changed)
        finally:
            await posting.close()

    def _look_after(self, endpoints: list[Endpoint], round: Round, tasks: asyncio.TaskGroup) -> None:
        """Let each endpoint have its courier: a new one where an operator has changed something."""
        wanted = {endpoint.id: endpoint for endpoint in endpoints if endpoint.disabled is None}
        for id, (courier, task) in list(self._couriers.items()):
            if task.done() or id not in wanted or wanted[id].changed != courier.endpoint.changed:
                task.cancel()  # what it has on its way is sent again by the next one
                del self._couriers[id]
        for id, endpoint in wanted.items():
            if id not in self._couriers:
                courier = Courier(endpoint, round, room=self._sending.room)
                self._couriers[id] = courier, tasks.create_task(courier.run(), name=f"courier of {id}")

    async def _wake(self) -> None:
        """Wake the couriers as the views move, and once a second."""
        while True:
            if self._couriers:
                self._views.burst.wanted()
            await self._views.moved(self._views.position, LOOK)
            for courier, _ in self._couriers.values():
                courier.woken.set()


async def _hold(outbox: Outbox) -> None:
    while True:
        await outbox.hold()
        await asyncio.sleep(outbox.lasts / 3)  # it is time itself that is waited for


async def _within(seconds: float, event: asyncio.Event) -> None:
    await Clock().within(seconds, event)
