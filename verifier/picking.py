"""Which events of the log a subscriber wants: those about one claim, within one story, or that mention one source."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from events.contracts import ClaimRegistered, SourceUpdated
from events.log import Log, Recorded

REMEMBERED: Final = 10_000
"""Of how many claims it is remembered to which story they belong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picked:
    """Which events are wanted; what is left out doesn't matter. A source is given by every id that stands for it."""

    claim: str | None = None
    story: str | None = None
    sources: frozenset[str] = frozenset()


class Picker:
    """Picks events from pages in the order of the log. One for each subscriber."""

    def __init__(self, log: Log, picked: Picked) -> None:
        self._log = log
        self._picked = picked
        self._sources = set(picked.sources)
        self._stories: OrderedDict[str, str | None] = OrderedDict()

    async def of(self, page: Sequence[Recorded]) -> Sequence[Recorded]:
        """Return the events of a page that are wanted."""
        if self._picked == Picked():
            return page
        return [event for event in page if await self._wants(event)]

    async def _wants(self, event: Recorded) -> bool:
        claim, story = self._picked.claim, self._picked.story
        return (
            (claim is None or event.stream == f"claim:{claim}")
            and (not self._sources or self._mentions(event))
            and (story is None or event.stream == f"story:{story}" or await self._story_of(event) == story)
        )

    def _mentions(self, event: Recorded) -> bool:
        kind, _, source = event.stream.partition(":")
        if kind == "source":
            if isinstance(event.fact, SourceUpdated) and event.fact.same_as in self._sources:
                self._sources.add(source)  # from here on it is the same
            return source in self._sources
        parties = event.identity.parties.values() if event.identity is not None else ()
        return any(party.id in self._sources for party in parties)

    async def _story_of(self, event: Recorded) -> str | None:
        """Return the story of the claim that an event is about: the claim's first event says it, and none changes
        it."""
        if not event.stream.startswith("claim:"):
            return None
        if isinstance(event.fact, ClaimRegistered):
            story = event.fact.story
        elif event.stream in self._stories:
            self._stories.move_to_end(event.stream)
            return self._stories[event.stream]
        else:
            story = await self._read_story(event)
        self._stories[event.stream] = story
        if len(self._stories) > REMEMBERED:
            self._stories.popitem(last=False)
        return story

    async def _read_story(self, event: Recorded) -> str | None:
        async for page in self._log.read(event.stream, upto=event.position):
            for earlier in page:
                if isinstance(earlier.fact, ClaimRegistered):
                    return earlier.fact.story
        return None
