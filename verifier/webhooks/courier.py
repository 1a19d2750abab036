"""The courier of one endpoint: queues what it wants, sends it, and takes note of what came of it.

    the views ──▶ 1. queue (rows and position, together) ──▶ 2. send ──▶ 3. settle (delivered, failed, given up)

If we crash

- before 1 is done, the changes are read again from where the endpoint was;
- between 1 and 2, the messages wait, and are sent at the next start;
- between 2 and 3, the receiver has a message of which we don't know it: it is sent again, with the same `webhook-id`;
- after 3, nothing is left to do.

A courier holds at most `ROOM` messages in memory, as positions: an endpoint that is behind by more stays behind, and
reads on once there is room. Nothing that one endpoint does delays another: each has its own courier.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from events.errors import LogError
from events.log import Log
from verifier.errors import ViewsBehind
from verifier.projections import Reading, Views
from verifier.queries.changed import changed_after, claims_with
from verifier.webhooks.backoff import Outcome
from verifier.webhooks.clock import Clock
from verifier.webhooks.endpoint import Change, Endpoint, is_told
from verifier.webhooks.message import body_of
from verifier.webhooks.outbox import DeadLetter, Gone, Outbox
from verifier.webhooks.posting import Posting
from verifier.webhooks.queue import Queue, Waiting
from verifier.webhooks.signing import headers_of, message_id

ROOM: Final = 10_000
"""How many messages of one endpoint are held in memory at the most, but for those of one position."""

PAGE: Final = 200
"""About how many changes are read at once."""

VIEWS_WAIT: Final = 1.0
"""How many seconds a message waits for views that are being built anew before it is put off."""

Chance = Callable[[], float]
"""Returns a number from 0 to 1."""

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What couriers work with: the log and its views, what is kept, how messages are posted, time and chance."""

    log: Log
    views: Views
    outbox: Outbox
    posting: Posting
    clock: Clock
    chance: Chance = random.random


class Courier:
    """Serves one endpoint as it was when the courier was made: one that an operator changes gets another courier."""

    def __init__(self, endpoint: Endpoint, round: Round, *, room: int = ROOM) -> None:
        self.endpoint = endpoint
        self.woken = asyncio.Event()
        """Set by whoever knows that the views have moved, and once a second."""
        self._round = round
        self._room = room
        self._queue = Queue()
        self._position = endpoint.position
        self._loaded = (0, "")  # everything that waits up to here is in the queue …
        self._more = True  # … and this says whether there may be more of it
        self._underway: dict[asyncio.Task[Outcome | None], Waiting] = {}

    @property
    def failing(self) -> str | None:
        """Why the endpoint got nothing the last time, where it didn't."""
        return self._queue.failure

    async def run(self) -> None:
        """Serve until cancelled, or until the endpoint is gone. Raises what the database does (`outbox.LOST`)."""
        try:
            async with asyncio.TaskGroup() as attempts:
                while True:
                    self.woken.clear()
                    moved = await self._fill()
                    self._send(attempts)
                    if not moved:
                        await self._wait()
                    if await self._settle():
                        return
        except* Gone:
            logger.debug("a courier stops: its endpoint was changed or removed", endpoint=self.endpoint.id)

    # --- 1. queue ------------------------------------------------------------------------------------

    async def _fill(self) -> bool:
        """Queue what waits already, then the next changes, as far as there is room; say whether to come again soon."""
        if len(self._queue) >= self._room:
            return False
        if self._more:
            return await self._load()
        if self._position >= self._round.views.position:
            return False
        try:
            await self._queue_next()
        except ViewsBehind:  # their database can't be reached: nobody tells when it can
            return False
        return True

    async def _load(self) -> bool:
        found = await self._round.outbox.waiting(self.endpoint.id, self._loaded, PAGE)
        self._queue.add(found)
        self._more = len(found) == PAGE
        if found:
            self._loaded = (found[-1].position, found[-1].claim)
        return True

    async def _queue_next(self) -> None:
        round, id, seen = self._round, self.endpoint.id, self._position
        changes, wanted, upto = await round.views.read(self._read)
        recalled = {change.claim for change in changes if change.recall}
        told = await round.outbox.told(id, recalled) if recalled else {}
        going: list[Change] = []
        for change in changes:
            if is_told(change, wanted=change in wanted, told=told.get(change.claim)):
                going.append(change)
                told[change.claim] = change.status
        self._queue.add(await round.outbox.queue(id, seen, upto, going, round.clock.now()))
        self._position = upto

    def _read(self, reading: Reading) -> tuple[list[Change], set[Change], int]:
        """Read the next changes, and which of them are wanted."""
        rows, upto = changed_after(reading, self._position, PAGE)
        changes = [Change(**row._mapping) for row in rows]
        filters, of_source = self.endpoint.filters, set[str]()
        if filters.source is not None:
            of_source = claims_with(reading, filters.source, {change.claim for change in changes})
        wanted = {change for change in changes if filters.want(change, of_source=change.claim in of_source)}
        return changes, wanted, upto

    # --- 2. send -------------------------------------------------------------------------------------

    def _send(self, attempts: asyncio.TaskGroup) -> None:
        while (message := self._queue.take(self._round.clock.now())) is not None:
            task = attempts.create_task(self._attempt(message))
            task.add_done_callback(lambda _: self.woken.set())
            self._underway[task] = message

    async def _attempt(self, message: Waiting) -> Outcome | None:
        """Send a message; `None` where there is nothing to say any more."""
        round = self._round
        try:
            body = await self._body(message)
        except (ViewsBehind, LogError) as error:
            return Outcome(failure=f"it can't be rendered now: {error}")
        except Exception as error:  # the outermost for one message: our bug, and the others go on
            logger.error("a webhook can't be rendered", position=message.position, exc_info=error)
            return Outcome(failure=f"it can't be rendered ({type(error).__name__}): report it")
        if body is None:
            logger.error("a change that was to be sent is not there any more", position=message.position)
            return None
        now = round.clock.now()
        id = message_id(round.log.id, message.position, message.claim, self.endpoint.id)
        headers = headers_of(id, int(now), body, self.endpoint.keys(now))
        return await round.posting.post(self.endpoint.url, body, headers, now)

    async def _body(self, message: Waiting) -> bytes | None:
        """Render a message, once more where a text was erased meanwhile: it may hold it."""
        views = self._round.views
        if not await views.reached(message.position, VIEWS_WAIT):
            raise ViewsBehind("the views are being built anew: it is sent when they are there", position=views.position)
        while True:
            erasures = views.erasures
            body = await body_of(self._round.log, views, message.claim, message.position)
            if erasures == views.erasures:
                return body

    async def _wait(self) -> None:
        due, clock = self._queue.due(), self._round.clock
        await clock.within(None if due is None else max(0.0, due - clock.now()), self.woken)

    # --- 3. settle -----------------------------------------------------------------------------------

    async def _settle(self) -> bool:
        """Take note of what came of the attempts that have ended, all together; say whether the endpoint is gone."""
        now, chance = self._round.clock.now(), self._round.chance
        delivered: list[Waiting] = []
        failed: list[Waiting] = []
        dead: list[DeadLetter] = []
        disabled = None
        for task in [task for task in self._underway if task.done()]:
            message, outcome = self._underway.pop(task), task.result()
            if outcome is None or outcome.delivered:
                self._queue.delivered(message, now)
                delivered.append(message)
                continue
            if outcome.gone:
                disabled = "it answered 410: it wants nothing any more"
            again = self._queue.failed(message, outcome, now, chance())
            if again is not None:
                failed.append(again)
            else:
                dead.append(_letter(message, outcome, now))
        if delivered or failed or dead:
            self._tell(failed, dead, disabled)
            await self._round.outbox.settle(
                self.endpoint.id, delivered=delivered, failed=failed, dead=dead, disabled=disabled
            )
        if disabled is None:
            return False
        for task in self._underway:
            task.cancel()
        return True

    def _tell(self, failed: list[Waiting], dead: list[DeadLetter], disabled: str | None) -> None:
        """Log what an operator should know: neither address nor text, which may be nobody else's business."""
        say = logger.bind(endpoint=self.endpoint.id)
        for message in failed:
            if message.attempts == 1:
                say.info("a webhook was not delivered", position=message.position, reason=message.failure)
        for letter in dead:
            say.warning("a webhook was given up", position=letter.position, reason=letter.failure)
        if disabled is not None:
            say.warning("a webhook's endpoint is disabled", reason=disabled)


def _letter(message: Waiting, outcome: Outcome, now: float) -> DeadLetter:
    return DeadLetter(
        position=message.position,
        claim=message.claim,
        attempts=message.attempts + 1,
        first=now if message.first is None else message.first,
        died=now,
        failure=outcome.why,
    )
