"""Handlers over one log, as several processes would have them, and a log on which a test sets the schedule."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from events.archive import export, restore
from events.evidence import MemoryEvidence
from events.leaf import check_form, check_text, check_words
from events.log import Log, Proposed, Recorded
from events.memory import MemoryLog
from verifier.adopted import Adopted
from verifier.commands import ClaimCommand, RegisterClaim, RegisterSource, SourceCommand, StoryCommand
from verifier.fold import CACHED, Folded, Folds, fold
from verifier.handler import Handler
from verifier.handler.appending import Caller
from verifier.handler.deciding import Decider
from verifier.handler.queues import Queues
from verifier.handler.registrar import Registrar
from verifier.handler.together import Together
from verifier.naming import normal
from verifier.policy import DEFAULT, Assessment
from verifier.registry import Registry
from verifier.sources import Sources
from verifier.stories import Stories


@dataclass
class Process:
    """What one process has over a log: caches and queues of its own. It looks wordings up in the log itself."""

    log: Log
    handler: Handler
    together: Together
    registrar: Registrar
    registry: Registry
    folds: Folds
    evidence: MemoryEvidence
    keys: int = 0
    name: str = "one"

    @classmethod
    async def start(cls, log: Log, *, name: str = "one", cached: int = CACHED, views: bool = True) -> Process:
        """Start a process; without `views` it finds no wording that it didn't register itself."""
        adopted, evidence = await Adopted.read(log), MemoryEvidence()
        registry, folds, queues = Registry(log, Sources(log), Stories(log), adopted), Folds(log, limit=cached), Queues()
        decider = Decider(log, evidence=evidence, adopted=adopted, folds=folds, registry=registry)

        async def find_claim(story: str | None, text: str) -> str | None:
            claims = [folded async for folded in _claims(log)] if views else []
            found = (f.claim.id for f in claims if f.claim.ended is None and _says(f, story, text))
            return next(found, None)

        async def claims_of_story(story: str) -> Sequence[str]:
            return [f.claim.id async for f in _claims(log) if f.claim.registered and f.claim.registered.story == story]

        common: dict[str, Any] = {"registry": registry, "folds": folds, "decider": decider, "queues": queues}
        handler = Handler(log, adopted=adopted, find_claim=find_claim, **common)
        registrar = Registrar(log, claims_of_story=claims_of_story, **common)
        together = Together(log, handler, registry=registry, folds=folds, decider=decider, queues=queues)
        return cls(log, handler, together, registrar, registry, folds, evidence, name=name)

    def caller(self, key: str | None = None, if_match: int | None = None) -> Caller:
        """Return a caller with this key, or with one that nobody has used."""
        self.keys += 1
        return Caller(actor="ada", key=key or f"{self.name}-{self.keys}", if_match=if_match)

    async def register(
        self, text: str = "They plan to leave", *, key: str | None = None, **more: Any
    ) -> dict[str, Any]:
        """Register a claim."""
        return await self.handler.register(RegisterClaim(text=text, **more), self.caller(key))

    async def do(
        self, claim: str, command: ClaimCommand, *, key: str | None = None, if_match: int | None = None
    ) -> dict[str, Any]:
        """Carry out a command on a claim."""
        return await self.handler.handle(claim, command, self.caller(key, if_match))

    async def source(
        self, command: RegisterSource | SourceCommand, source: str | None = None, *, key: str | None = None
    ) -> dict[str, Any]:
        """Register or change a source."""
        return await self.registrar.handle_source(source, command, self.caller(key))

    async def story(self, story: str, command: StoryCommand, *, key: str | None = None) -> dict[str, Any]:
        """Carry out a command on a story."""
        return await self.registrar.handle_story(story, command, self.caller(key))


class Staged:
    """A log on which a test says what happens right before or after the next append, and otherwise that log."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self.before: list[Callable[[], Awaitable[object]]] = []
        self.afterwards: list[Callable[[], Awaitable[object]]] = []
        self.reached = asyncio.Event()  # set when a step begins

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    async def append(self, events: Sequence[Proposed], *, after: Mapping[str, int] = {}) -> Sequence[Recorded]:
        await self._step(self.before)
        recorded = await self._log.append(events, after=after)
        await self._step(self.afterwards)
        return recorded

    async def _step(self, steps: list[Callable[[], Awaitable[object]]]) -> None:
        if steps:
            self.reached.set()
            await steps.pop(0)()


def failing(error: Exception) -> Callable[[], Awaitable[object]]:
    """Return a step of a schedule that fails."""

    async def fail() -> None:
        raise error

    return fail


async def _claims(log: Log) -> Any:
    streams = {event.stream for event in await everything(log) if event.stream.startswith("claim:")}
    for stream in sorted(streams):
        yield await fold(log, stream.removeprefix("claim:"))


def _says(folded: Folded, story: str | None, text: str) -> bool:
    words = folded.names.wordings.get(folded.claim.wording)
    here = folded.claim.registered is not None and folded.claim.registered.story == story
    return here and words is not None and normal(words.text or "") == normal(text)


async def everything(log: Log) -> list[Recorded]:
    """Read a whole log."""
    return [event async for page in log.read_all() for event in page]


async def stands(log: Log, claim: str) -> Assessment:
    """Say how a claim stands, folded anew from the log."""
    return (await fold(log, claim)).assess(DEFAULT)


async def check(log: Log) -> None:
    """Check that everything in a log has its form, and that an export of it restores to what exports the same."""
    for event in await everything(log):
        check_form(event.leaf, event.leaf_raw)
        if event.wording is not None and event.wording_raw is not None:
            check_text(event.wording, event.wording_raw)
            check_words(event.fact, event.wording)
        if event.identity is not None and event.identity_raw is not None:
            check_text(event.identity, event.identity_raw)
    first, second = io.BytesIO(), io.BytesIO()
    async with await MemoryLog.open(create="empty") as copy:
        await export(log, first)
        first.seek(0)
        await restore(copy, first)
        await export(copy, second)
        assert await everything(copy) == await everything(log)
    assert first.getvalue() == second.getvalue()
