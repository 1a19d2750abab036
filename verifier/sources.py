"""Who a name means in a log: its derived id, followed to the survivor where it is another one's alias.

A source's facts stand in its own stream, and an alias has a stream of its own that points on, so
resolving a name takes one short read and no view. What was read is cached; whoever appends to a
source's stream tells the cache.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from events.contracts import Party, SourceKind, SourceRegistered, SourceUpdated, TextErased
from events.log import Log, Recorded
from verifier.errors import NotFound
from verifier.naming import is_id, source_id

CACHED: Final = 50_000
"""How many sources the cache holds."""

CHAIN: Final = 20
"""How many times a source may be the same as another one before we stop following."""


@dataclass(slots=True)
class Source:
    """A source as its own facts leave it."""

    id: str
    position: int = 0
    registered: bool = False
    kind: SourceKind = "unknown"
    protected: bool = False
    same_as: str | None = None
    party: Party | None = None
    events: frozenset[str] = frozenset()
    erased: frozenset[tuple[str, str]] = frozenset()

    def apply(self, event: Recorded) -> None:
        """Take one of its facts."""
        fact = event.leaf.fact
        self.position = event.position
        self.events |= {event.leaf.id}
        match fact:
            case SourceRegistered():
                self.registered, self.kind, self.protected = True, fact.kind, fact.protected
            case SourceUpdated():
                self.registered |= fact.same_as is None
                self.kind = fact.kind
                self.same_as = fact.same_as
            case TextErased():
                self.erased |= {(fact.event, fact.slot)}
            case _:
                return
        if not isinstance(fact, TextErased) and event.identity is not None:
            self.party = event.identity.parties.get("1", self.party)


async def read_source(log: Log, id: str) -> Source:
    """Read a source from its stream; one without facts has position 0."""
    source = Source(id)
    async for page in log.read(f"source:{id}"):
        for event in page:
            source.apply(event)
    return source


class Sources:
    """Resolves names to sources."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._cache: OrderedDict[str, Source] = OrderedDict()
        self._forgotten = 0  # how often a source was forgotten: what was read meanwhile may be stale

    async def resolve(self, names: Iterable[str], *, known: Callable[[str], bool] | None = None) -> dict[str, Party]:
        """Return whom each name or id means, the survivor where it is an alias.

        A claim may have met a source under a name that became an alias since. `known` says whether it knows
        an id; then the source goes on under the id by which it is known there, so that it counts once.

        Raises `NotFound` for an id that this log has never heard of.
        """
        return {name: self._remembered(name) or await self._party(name, known) for name in dict.fromkeys(names)}

    def _remembered(self, name: str) -> Party | None:
        """Return whom a name means that nobody registered, as most names: without awaiting, from what was read."""
        source = None if is_id(name, "src") else self._cache.get(source_id(self._log.lineage, name))
        if source is None or source.party is not None or source.same_as is not None:
            return None
        self._cache.move_to_end(source.id)
        return Party(id=source.id, name=name)

    async def _party(self, name: str, known: Callable[[str], bool] | None) -> Party:
        by_id = is_id(name, "src")
        chain = await self.chain(name if by_id else source_id(self._log.lineage, name))
        source = chain[-1]
        if source.party is None and by_id:
            self.forget(source.id)  # never refused from what is remembered: another process may have registered it
            source = await self.read(source.id)
        if source.party is None:
            if by_id:
                raise NotFound(f"the log has registered no source {name}: give its name instead", source=name)
            return Party(id=source.id, name=name)
        id = source.id
        if known is not None and not known(id):
            aliases = [source_id(self._log.lineage, alias) for alias in source.party.aliases]
            id = next(filter(known, (*(one.id for one in chain), *aliases)), id)
        return Party(id=id, name=source.party.name)

    async def chain(self, id: str) -> list[Source]:
        """Return a source and those it is the same as, the one that it stands for today last."""
        chain = [await self.read(id)]
        while (same_as := chain[-1].same_as) is not None and len(chain) < CHAIN:
            chain.append(await self.read(same_as))
        return chain

    async def survivor(self, id: str) -> Source:
        """Return the source that an id stands for today."""
        return (await self.chain(id))[-1]

    async def read(self, id: str) -> Source:
        """Return a source as its own facts leave it."""
        source = self._cache.get(id)
        if source is None:
            forgotten = self._forgotten
            source = await read_source(self._log, id)
            if forgotten == self._forgotten:
                self._cache[id] = source
            if len(self._cache) > CACHED:
                self._cache.popitem(last=False)
        else:
            self._cache.move_to_end(id)
        return source

    def forget(self, id: str) -> None:
        """Read a source anew the next time: its stream has grown."""
        self._cache.pop(id, None)
        self._forgotten += 1
