"""What a story's own facts say: whether somebody opened it, and which labels mean one origin in it.

As with sources, what was read is cached, and whoever appends to a story's stream tells the cache.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from events.contracts import Origin, OriginsMerged, OriginsSplit, StoryOpened, TextErased
from events.log import Log, Recorded
from verifier.naming import normal

CACHED: Final = 10_000
"""How many stories the cache holds."""


@dataclass(slots=True)
class Story:
    """A story as its own facts leave it. `merges` gives, by event, the label that was kept and the one that was
    merged away."""

    id: str
    position: int = 0
    opened: bool = False
    events: set[str] = field(default_factory=set)
    erased: set[tuple[str, str]] = field(default_factory=set)
    origins: dict[int, Origin] = field(default_factory=dict)
    merges: dict[str, tuple[str, str]] = field(default_factory=dict)
    splits: set[str] = field(default_factory=set)

    def apply(self, event: Recorded) -> None:
        """Take one of its facts."""
        fact = event.leaf.fact
        self.position = event.position
        self.events.add(event.leaf.id)
        if event.identity is not None:
            self.origins |= {int(number): origin for number, origin in event.identity.origins.items()}
        match fact:
            case StoryOpened():
                self.opened = True
            case OriginsMerged() if fact.kept in self.origins and fact.merged in self.origins:
                self.merges[event.leaf.id] = (self.origins[fact.kept].label, self.origins[fact.merged].label)
            case OriginsSplit():
                self.splits.add(fact.merge)
            case TextErased():
                self.erased.add((fact.event, fact.slot))

    def label(self, given: str) -> str:
        """Return the label that a label stands for in this story today."""
        for _ in range(len(self.merges) + 1):
            for merge, (kept, merged) in self.merges.items():
                if merge not in self.splits and normal(given) == normal(merged) and normal(given) != normal(kept):
                    given = kept
                    break
            else:
                return given
        return given


class Stories:
    """Reads stories, and remembers those that somebody opened."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._cache: OrderedDict[str, Story] = OrderedDict()
        self._forgotten = 0  # how often a story was forgotten: what was read meanwhile may be stale

    async def read(self, id: str) -> Story:
        """Return a story; one that nobody opened has position 0."""
        story = self._cache.get(id)
        if story is None:
            forgotten = self._forgotten
            story = Story(id)
            async for page in self._log.read(f"story:{id}"):
                for event in page:
                    story.apply(event)
            if story.opened and forgotten == self._forgotten:
                self._cache[id] = story
                if len(self._cache) > CACHED:
                    self._cache.popitem(last=False)
        return story

    def forget(self, id: str) -> None:
        """Read a story anew the next time: its stream has grown."""
        self._cache.pop(id, None)
        self._forgotten += 1
