"""Something for every page: the letter's case, and what it doesn't have. Tests and pictures are made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from verifier.answers import Written
from verifier.case import play
from verifier.client import Verifier

PLAN = "clm:withdraw"
ARABIC = "القوات الأمريكية تنسحب من العراق"


@dataclass(frozen=True, slots=True, kw_only=True)
class Newsdesk:
    """What was recorded, and the address of every page, by its name, with that in it."""

    plan: str
    recalled: str
    addresses: Mapping[str, str]


EMPTY: Mapping[str, str] = {
    "desk": "/", "live": "/live", "stories": "/stories", "sources": "/sources", "search": "/search", "audit": "/audit",
    "enter": "/enter",
}  # fmt: skip
"""The pages that are there before anything is recorded."""

NOTHING_YET: Mapping[str, str] = {
    "desk": "Nothing has changed yet.",
    "live": "No claim is recorded yet.",
    "stories": "No story is open yet.",
    "sources": "No source is mentioned yet.",
    "search": "Words of a claim",
    "audit": "Your browser has hashed this leaf",
    "enter": "A claim that nobody spoke about yet",
}
"""What the pages show before anything is recorded."""

EVERYTHING: Mapping[str, str] = {
    "desk": "We used it on 2020-01-06",
    "live": "denied by Mark Esper",
    "stories": "withdrawal-letter",
    "sources": "Mark Esper",
    "search": "corroborated by two origins",
    "audit": "Your browser has hashed this leaf",
    "enter": "A claim that nobody spoke about yet",
    "claim": "Only the Secretary decides on a withdrawal.",
    "story": "denied by Mark Esper",
    "source": "It denied",
}
"""What each page shows that can't be there by chance, once everything below is recorded."""

ERASED: Mapping[str, str] = {
    "desk": "The wording was erased",
    "live": "The wording was erased",
    "claim": "somebody whose name was erased",
    "story": "The wording was erased",
}
"""What the pages show once what the claim says, and who said it first, is erased."""


async def record(verifier: Verifier) -> Newsdesk:
    """Play the case, and record a use that is recalled, a verdict, and a claim that is written from right to left."""
    *_, end = [step async for step in play(verifier)]
    plan = end.standing[PLAN]
    carriers = await verifier.assert_claim("A second carrier group is on its way to the Gulf", source="The Navy Times")
    used = await verifier.corroborate(carriers, source="Reuters")
    await verifier.publish_claim(used, address="https://example.org/2020/01/carriers", day="2020-01-06")
    await verifier.deny(carriers.id, source="The Pentagon", occurred="2020-01-07")
    await verifier.assert_claim(ARABIC, source="وكالة الأنباء العراقية", language="ar", story=plan.story)
    last = await verifier.adjudicate(plan, verdict="false", reason="Only the Secretary decides on a withdrawal.")
    assert isinstance(last, Written)
    await verifier.receipt(last.written_at)  # waits until it is sealed
    esper = [source.id async for source in verifier.sources() if source.name == "Mark Esper"]
    ids = {"claim": f"/claims/{plan.id}", "story": f"/stories/{plan.story}", "source": f"/sources/{esper[0]}"}
    return Newsdesk(plan=plan.id, recalled=carriers.id, addresses={**EMPTY, "search": "/search?text=letter", **ids})


async def erase(verifier: Verifier, claim: str) -> None:
    """Erase what a claim says, and who said it first."""
    events = [event async for event in verifier.events(claim)]
    said = next(event for event in events if event.type == "claim.asserted")
    for event, slot in ((events[0], "wording"), (said, "wording"), (said, "identity")):
        if getattr(event, slot) is not None:
            await verifier.erase(claim, event.id, slot=slot, basis="court_order")
