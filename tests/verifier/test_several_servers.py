"""Several server processes over one log on PostgreSQL: each takes writes, each answers with everything, one keeps the
views for all.

Desks stand for processes where nothing has to die; where something has to, they are real ones.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from server_processes import Served, served
from serving import check_log

from events.open import open_log
from verifier.app import Desk, open_desk
from verifier.client import Verifier
from verifier.commands import AdoptPolicy, AssertClaim, OpenStory, RegisterClaim, RegisterSource, UpdateSource
from verifier.errors import DuplicateClaim
from verifier.handler.appending import Caller
from verifier.replay import replay

# --- desks -----------------------------------------------------------------------------------------


@dataclass
class Process:
    """A desk, as a process of its own would have it."""

    desk: Desk
    keys: int = 0

    def caller(self) -> Caller:
        """A caller with a key that nobody has used."""
        self.keys += 1
        return Caller(actor="ada", key=f"{id(self)}-{self.keys}")

    async def register(self, text: str, *, source: str | None = None, story: str | None = None) -> dict[str, Any]:
        """Register a claim."""
        statement = AssertClaim(source=source) if source else None
        return await self.desk.handler.register(
            RegisterClaim(text=text, story=story, statement=statement), self.caller()
        )

    async def heard(self, position: int) -> None:
        """Wait until this process has heard of everything up to a position."""
        assert await self.desk.views.reached(position, 20)


@pytest.fixture
async def several(postgres_url: str) -> AsyncIterator[tuple[Process, Process]]:
    """Two desks over one log, which is checked at the end."""
    async with open_desk(postgres_url) as one, open_desk(postgres_url) as two:
        yield Process(one), Process(two)
    await check_log(postgres_url)


async def test_what_one_has_recorded_another_answers_and_follows(several: tuple[Process, Process]) -> None:
    one, two = several
    async with aclosing(two.desk.feed.messages(after=0)) as messages:
        claim = await one.register("The letter is authentic", source="AFP")
        message = await anext(messages)
        answer = await two.desk.queries.claim(claim["id"], at_least=claim["position"])

    assert message["changes"][0]["claim"] == claim["id"]
    assert answer["basis"]["state_digest"] == claim["basis"]["state_digest"]


async def test_both_write_one_claim_and_nothing_is_lost(several: tuple[Process, Process]) -> None:
    claim = (await several[0].register("The letter is authentic"))["id"]

    await asyncio.gather(
        *(
            process.desk.handler.handle(claim, AssertClaim(source=f"{letter} {number}"), process.caller())
            for number in range(10)
            for letter, process in zip("AB", several, strict=True)
        )
    )

    head = await several[0].desk.log.head()
    answers = [await process.desk.queries.claim(claim, at_least=head) for process in several]
    assert answers[0] == answers[1]
    assert answers[0]["computed"]["counts"]["support_origins"] == 20


async def test_a_source_that_another_process_renames_is_the_same_here(several: tuple[Process, Process]) -> None:
    one, two = several
    await two.register("The letter is authentic", source="AFP")  # from now on it remembers who AFP is
    await one.desk.registrar.handle_source(None, RegisterSource(name="Agence France-Presse"), one.caller())
    done = await one.desk.registrar.handle_source(
        "AFP", UpdateSource(source="AFP", same_as="Agence France-Presse"), one.caller()
    )
    await two.heard(done["written_at"])

    claim = await two.register("They plan to leave", source="AFP")

    source = await two.desk.queries.source("Agence France-Presse", at_least=claim["position"])
    assert claim["id"] in [of["id"] for of in source["claims"]]


async def test_a_story_opened_by_another_process_is_open_here(several: tuple[Process, Process]) -> None:
    one, two = several
    opened = await one.desk.registrar.open_story(OpenStory(title="Iraq letter"), one.caller())
    await two.heard(opened["written_at"])

    claim = await two.register("The letter is authentic", story="Iraq letter")

    assert claim["story"] == opened["id"]


async def test_a_policy_that_another_process_adopted_decides_here(several: tuple[Process, Process]) -> None:
    one, two = several
    adopted = await one.desk.registrar.adopt_policy(AdoptPolicy(policy="strict/1"), one.caller())
    await two.heard(adopted["written_at"])

    claim = await two.register("The letter is authentic", source="AFP")

    assert claim["basis"]["policy"] == "strict/1"


async def test_a_wording_that_another_process_registered_is_refused_here(several: tuple[Process, Process]) -> None:
    one, two = several
    claim = await one.register("The letter is authentic")
    await two.heard(claim["position"])

    with pytest.raises(DuplicateClaim) as refused:
        await two.register("the letter  is authentic")

    assert refused.value.extra["claim"] == claim["id"]


async def test_a_rebuild_asked_of_either_is_done_while_both_answer(several: tuple[Process, Process]) -> None:
    claim = (await several[0].register("The letter is authentic", source="AFP"))["id"]

    for process in several:
        process.desk.rebuilding.start()
        await process.desk.rebuilding.ended()
        assert process.desk.rebuilding.failure is None

    head = await several[0].desk.log.head()
    answers = [await process.desk.queries.claim(claim, at_least=head) for process in several]
    generations = [await process.desk.views.read(lambda reading: reading.at.generation) for process in several]
    assert answers[0] == answers[1]
    assert generations == [3, 3]


# --- processes -------------------------------------------------------------------------------------


@pytest.fixture
def servers(postgres_url: str, tmp_path: Path) -> Iterator[list[Served]]:
    """Two servers over one log, which is checked at the end."""
    with ExitStack() as stack:
        yield [stack.enter_context(served(postgres_url, tmp_path)) for _ in range(2)]
    asyncio.run(check_log(postgres_url))


async def test_a_keeper_that_is_stopped_is_followed_by_the_next_and_writes_nothing_when_it_wakes(
    servers: list[Served], postgres_url: str
) -> None:
    first, second = servers  # the first has kept the views since before the second was there
    async with Verifier(first.address) as one, Verifier(second.address) as two:
        await one.assert_claim("The letter is authentic", source="AFP")

        first.send(signal.SIGSTOP)
        claims = [await two.assert_claim(f"Claim {number}", source="AFP") for number in range(5)]
        await follow(two, claims[-1].id)
        first.send(signal.SIGCONT)
        again = await one.assert_claim("They plan to leave", source="Reuters")
        await follow(two, again.id)

    await equal_a_replay(servers, postgres_url)


async def test_a_keeper_that_is_killed_is_followed_by_the_next(servers: list[Served], postgres_url: str) -> None:
    first, second = servers
    async with Verifier(first.address) as one, Verifier(second.address) as two:
        await one.assert_claim("The letter is authentic", source="AFP")

        first.send(signal.SIGKILL)
        claim = await two.assert_claim("They plan to leave", source="AFP")
        await follow(two, claim.id)

    await equal_a_replay([second], postgres_url)


async def follow(verifier: Verifier, claim: str) -> None:
    """Follow the feed until it has a claim."""
    async with asyncio.timeout(30), aclosing(verifier.feed(after=0)) as changes:
        async for change in changes:
            if change.claim == claim:
                return


async def equal_a_replay(servers: list[Served], url: str) -> None:
    """Check that every server answers, about every claim, what the log gives."""
    async with await open_log(url, writable=False) as log:
        replayed, head = await replay(log), await log.head()
    for server in servers:
        async with httpx.AsyncClient(base_url=f"{server.address}/api/v1/", timeout=30) as http:
            page = (await http.get("claims", params={"at_least": head, "limit": 100})).raise_for_status().json()
        assert {claim["id"]: claim["basis"]["state_digest"] for claim in page["items"]} == {
            id: replayed.assess(id).digest for id in replayed.folded
        }
