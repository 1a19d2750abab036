"""Records facts the way the product does, without deciding anything: for tests of what follows a log.

Local numbers are handed out in the order of first appearance, and each event names everyone it mentions.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from events.contracts import (
    AdjudicationWithdrawn,
    ClaimAdjudicated,
    ClaimAsserted,
    ClaimCorroborated,
    ClaimDenied,
    ClaimLinked,
    ClaimRegistered,
    ClaimUnlinked,
    Fact,
    Identity,
    Origin,
    OriginsMerged,
    Party,
    PolicyAdopted,
    Quote,
    Slot,
    SourceRegistered,
    SourceUpdated,
    Statement,
    StatementCorrected,
    StatementRetracted,
    StatementWithdrawn,
    StatusesAttested,
    StoryOpened,
    TextErased,
    Wording,
)
from events.leaf import derive
from events.log import Log, Proposed
from verifier.naming import origin_id, source_id, story_id
from verifier.policy import policy_named

NAMES = ("AFP", "Reuters", "Newsweek", "The Guardian", "Mark Esper", "M. Esper", "William Seely", "an official")


@dataclass
class Newsroom:
    """A log, and whom each claim's local numbers mean."""

    log: Log
    parties: dict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))
    origins: dict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))
    made: int = 0

    def id(self, prefix: str) -> str:
        """Return an id that this newsroom didn't use yet, the same in every run."""
        self.made += 1
        return derive(prefix, str(self.made))

    async def record(self, stream: str, fact: Fact, wording: Wording = Wording(), **identity: object) -> str:  # noqa: B008
        """Append one event and return its id."""
        event = self.id("evt")
        proposed = Proposed(
            id=event, stream=stream, fact=fact, identity=Identity(actor="ada", **identity), wording=wording
        )
        await self.log.append([proposed])
        return event

    async def story(self, title: str) -> str:
        """Open a story."""
        id = story_id(self.log.id, title)
        await self.record(f"story:{id}", StoryOpened(), Wording(title=title))
        return id

    async def claim(self, text: str, story: str | None = None, *, language: str = "en", checkable: bool = True) -> str:
        """Register a claim."""
        claim = self.id("clm")
        fact = ClaimRegistered(kind="event", language=language, story=story, checkable=checkable)
        await self.record(f"claim:{claim}", fact, Wording(text=text))
        return claim

    def said(self, claim: str, source: str, via: Iterable[str], origin: str | None) -> tuple[dict, dict]:
        """Return the fields of a statement that name somebody, and the identity that says whom."""
        parties, origins, log_id = self.parties[claim], self.origins[claim], self.log.id
        via = tuple(carrier for carrier in via if carrier != source)
        numbers = {name: parties.setdefault(name, len(parties) + 1) for name in (source, *via)}
        label = origin or source
        number = origins.setdefault(label, len(origins) + 1)
        fact = {"source": numbers[source], "via": tuple(numbers[name] for name in via), "origin": number}
        identity = {
            "parties": {str(n): Party(id=source_id(log_id, name), name=name) for name, n in numbers.items()},
            "origins": {str(number): Origin(id=origin_id(log_id, claim, source_id(log_id, label)), label=label)},
        }
        return fact, identity

    async def say(
        self,
        claim: str,
        source: str,
        fact: type[Statement] = ClaimAsserted,
        *,
        via: Iterable[str] = (),
        origin: str | None = None,
        quote: str | None = None,
        **more: object,
    ) -> str:
        """Record a statement."""
        names, identity = self.said(claim, source, via, origin)
        wording = Wording(quote=Quote(exact=quote)) if quote else Wording()
        return await self.record(f"claim:{claim}", fact(**names, **more), wording, **identity)

    async def deny(self, claim: str, source: str, **more: object) -> str:
        """Record a denial."""
        return await self.say(claim, source, ClaimDenied, **more)

    async def erase(self, stream: str, event: str, slot: Slot) -> str:
        """Erase a text."""
        return await self.record(stream, TextErased(basis="court_order", event=event, slot=slot))

    async def adopt(self, policy: str) -> str:
        """Adopt a policy."""
        adopted = policy_named(policy)
        return await self.record("log", PolicyAdopted(digest=adopted.digest, policy=adopted.id))

    async def attest(self, at: int, root: str, policy: str = "standing/1") -> str:
        """Attest the statuses at a position, whether or not they are so."""
        return await self.record("log", StatusesAttested(at=at, policy=policy, root=root))

    async def source(self, name: str, *, same_as: str | None = None, role: str | None = None) -> str:
        """Register a source, or say that it is the same as another."""
        id = source_id(self.log.id, name)
        fact = SourceUpdated(same_as=source_id(self.log.id, same_as)) if same_as else SourceRegistered(kind="outlet")
        await self.record(f"source:{id}", fact, parties={"1": Party(id=id, name=name, role=role)})
        return id

    async def adjudicate(self, claim: str, *, status: str = "asserted") -> str:
        """Record a verdict."""
        fact = ClaimAdjudicated(policy="standing/1", seen=await self.log.head(), status=status, verdict="false")
        return await self.record(f"claim:{claim}", fact, Wording(reason="we asked"))


async def improvise(newsroom: Newsroom, dice: random.Random, events: int) -> None:
    """Record so many random events about a few claims: every kind that the views treat in a way of its own."""
    stories = [await newsroom.story("Iraq letter")]
    claims = [await newsroom.claim("The letter is authentic", stories[0])]
    statements: dict[str, tuple[str, str]] = {}  # event -> claim and source; nothing acted on it yet
    texts: list[tuple[str, str, Slot]] = []
    verdicts: dict[str, str] = {}
    merged: set[str] = set()
    links: list[tuple[str, str]] = []  # stream and event
    for number in range(events):
        claim = dice.choice(claims)
        stream = f"claim:{claim}"
        free = [event for event, (of, _) in statements.items() if of == claim]
        match dice.randrange(24):
            case 0:
                claims.append(await newsroom.claim(f"Claim {number}", dice.choice([None, *stories])))
            case 1:
                stories.append(await newsroom.story(f"Story {number}"))
            case 2:
                await newsroom.source(dice.choice(NAMES))
            case 3 if free:
                event = dice.choice(free)
                party = newsroom.parties[claim][statements.pop(event)[1]]
                await newsroom.record(stream, StatementRetracted(by="source", party=party, statement=event))
            case 4 if free:
                event = dice.choice(free)
                del statements[event]
                await newsroom.record(stream, StatementWithdrawn(statement=event))
            case 5 if free:
                event = dice.choice(free)
                del statements[event]
                names, identity = newsroom.said(claim, dice.choice(NAMES), (), None)
                fact = StatementCorrected(by="desk", stance="denied", statement=event, **names)
                await newsroom.record(stream, fact, **identity)
            case 6 if texts:
                await newsroom.erase(*texts.pop(dice.randrange(len(texts))))
            case 7:
                await newsroom.adopt(dice.choice(["standing/1", "strict/1", "balanced/1", "majority/1"]))
            case 8 if claim not in verdicts:
                verdicts[claim] = await newsroom.adjudicate(claim)
            case 9 if claim in verdicts:
                await newsroom.record(stream, AdjudicationWithdrawn(adjudication=verdicts.pop(claim)))
            case 10 if len(newsroom.origins[claim]) > 1 and claim not in merged:
                merged.add(claim)
                await newsroom.record(stream, OriginsMerged(kept=1, merged=2))
            case 11:
                await newsroom.source("Agence France-Presse", same_as="AFP")
            case 12 if len(claims) > 1:
                other = dice.choice([other for other in claims if other != claim])
                links.append((stream, await newsroom.record(stream, ClaimLinked(kind="contradicts", to=other))))
            case 13 if links:
                of, link = links.pop(dice.randrange(len(links)))
                await newsroom.record(of, ClaimUnlinked(link=link))
            case _:
                source = dice.choice(NAMES)
                kind = dice.choice([ClaimAsserted, ClaimCorroborated, ClaimDenied])
                via = dice.sample(NAMES, dice.randrange(3))
                attribution = dice.choice(["on_record", "on_record", "anonymous", "unattributed"])
                event = await newsroom.say(claim, source, kind, via=via, quote="so he said", attribution=attribution)
                statements[event] = (claim, source)
                texts.append((stream, event, dice.choice(["identity", "wording"])))
