"""Attesting: what all claims stand at goes into the log, and one claim's status can be proved from it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import pytest
from newsroom import Newsroom, improvise

from events.contracts import StatusesAttested
from events.log import Recorded
from events.memory import MemoryLog
from events.tlog import TlogError, leaf_hash, verify_inclusion
from verifier import answers
from verifier.adopted import Adopted
from verifier.app import Desk, open_desk
from verifier.attesting import Attester, attesting
from verifier.client import Verifier
from verifier.errors import Internal, NotFound
from verifier.policy import policy_named
from verifier.projections import Views
from verifier.projections.sqlite import SqlitePlace
from verifier.replay import Folding, replay
from verifier.states import attestations


def newsroom_of(desk: Desk) -> Newsroom:
    return Newsroom(desk.log)


def proves(attestation: answers.Attestation) -> None:
    """Check an attestation as anyone can: with the hashes in it and nothing else."""
    verify_inclusion(
        attestation.index,
        attestation.size,
        leaf_hash(attestation.state.encode()),
        [bytes.fromhex(one) for one in attestation.proof],
        bytes.fromhex(attestation.root),
    )


async def test_what_is_attested_is_what_a_replay_gives_on_every_engine(place: str) -> None:
    async with open_desk(place) as desk:
        await improvise(newsroom_of(desk), random.Random(3), 150)

        attested = await desk.attester.attest()

        done = await replay(desk.log, upto=attested.at)
        assert (attested.at, attested.policy, attested.root) == (attested.position - 1, done.policy, done.digest)
        assert (await replay(desk.log, attested=True)).agreeing == [attested]


async def test_a_status_is_proved_by_the_attestation_that_has_it(embedded: Verifier) -> None:
    claims = [await embedded.assert_claim(f"Claim {number}", source="AFP") for number in range(300)]
    attested = await embedded.attest()
    plan = await embedded.deny(claims[0], source="Mark Esper")  # since then, it stands otherwise

    for claim in (claims[0], claims[150], claims[299]):
        attestation = await embedded.attestation(claim)

        proves(attestation)
        assert (attestation.root, attestation.at, attestation.size) == (attested.root, attested.at, 300)
        then = await embedded.claim(claim, as_of=attestation.at, policy=attestation.policy)
        assert (then.status, then.basis) == ("asserted", attestation.basis)
    assert plan.status == "denied"


async def test_another_state_is_not_proved(embedded: Verifier) -> None:
    claim = await embedded.assert_claim("The letter is authentic", source="AFP")
    await embedded.attest()
    attestation = await embedded.attestation(claim)

    forged = attestation.model_copy(update={"state": attestation.state.replace("asserted", "corroborated")})

    with pytest.raises(TlogError):
        proves(forged)


async def test_where_nothing_was_recorded_since_nothing_is_attested_again(embedded: Verifier) -> None:
    claim = await embedded.assert_claim("The letter is authentic", source="AFP")
    first = await embedded.attest()
    again = await embedded.attest()
    await embedded.deny(claim, source="Mark Esper")
    later = await embedded.attest()

    assert again == first
    assert (later.at, later.position) == (first.position + 1, first.position + 2)
    assert later.root != first.root


async def test_a_claim_that_was_not_there_has_no_attestation_yet(embedded: Verifier) -> None:
    early = await embedded.assert_claim("The letter is authentic", source="AFP")
    with pytest.raises(NotFound, match="verifier attest"):
        await embedded.attestation(early)
    await embedded.attest()
    late = await embedded.assert_claim("The letter was sent", source="AFP")

    with pytest.raises(NotFound, match="attest anew"):
        await embedded.attestation(late)

    await embedded.attest()
    proves(await embedded.attestation(late))


async def test_a_restart_proves_what_was_attested_before_it_under_the_policy_of_then(place: str) -> None:
    async with open_desk(place) as desk:
        newsroom = newsroom_of(desk)
        claims = [await newsroom.claim(f"Claim {number}") for number in range(5)]
        for claim in claims:
            await newsroom.say(claim, "AFP")
            await newsroom.say(claim, "Reuters", origin="a scan")
        attested = await desk.attester.attest()
        await newsroom.adopt("strict/1")
        await newsroom.deny(claims[2], "Mark Esper")

    async with open_desk(place) as desk:
        answer = answers.Attestation.model_validate(await desk.attester.attestation_of(claims[2]))
        assert await desk.views.reached(await desk.log.head(), 20)
        again = answers.Attestation.model_validate(await desk.attester.attestation_of(claims[2]))

    proves(answer)
    assert answer == again
    assert (answer.root, answer.policy) == (attested.root, "standing/1")
    assert '"status":"corroborated"' in answer.state


async def test_an_erasure_changes_nothing_that_was_attested(embedded: Verifier) -> None:
    claim = await embedded.assert_claim("The letter is authentic", source="AFP")
    await embedded.attest()
    before = await embedded.attestation(claim)

    await embedded.erase(claim, claim.statement, slot="identity", basis="court_order")

    assert await embedded.attestation(claim) == before


async def test_facts_recorded_meanwhile_are_not_in_what_is_attested() -> None:
    log = Growing()
    await log.begin()
    adopted = await Adopted.read(log.log)
    views = await Views.open(SqlitePlace(), log.log, adopted)
    await views.catch_up()
    views.read = log.growing(views)  # each look at the rows meets newer ones

    attested = await Attester(log.log, views, adopted).attest()

    assert attested.position > attested.at + 1
    assert attested.root == (await replay(log.log, upto=attested.at)).digest
    assert (await replay(log.log, attested=True)).disagreeing == []
    await views.close()


class Growing:
    """A log that grows, with its views, whenever somebody has read these."""

    async def begin(self) -> None:
        self.log = await MemoryLog.open()
        self.newsroom = Newsroom(self.log)
        self.claims = [await self.newsroom.claim(f"Claim {number}") for number in range(3)]

    def growing(self, views: Views):
        read = views.read

        async def reading(work):
            found = await read(work)
            await self.newsroom.say(self.claims[1], "AFP")
            await self.newsroom.claim(f"Claim {await self.log.head()}")
            await self.newsroom.adopt("strict/1")
            await views.catch_up()
            return found

        return reading


async def test_an_attestation_that_the_facts_do_not_give_is_found() -> None:
    log = await MemoryLog.open()
    newsroom = Newsroom(log)
    await newsroom.say(await newsroom.claim("The letter is authentic"), "AFP")
    true = (await replay(log)).digest
    for at, root in ((3, true), (3, "0" * 64), (99, true), (3, true), (2, true)):
        await newsroom.attest(at, root)

    done = await replay(log, attested=True)

    assert [one.position for one in done.agreeing] == [4, 7]
    assert sorted((one.attested.position, one.root) for one in done.disagreeing if one.root) == [
        (5, true),
        (8, (await replay(log, upto=2)).digest),
    ]
    assert [one.attested.position for one in done.disagreeing if one.root is None] == [6]


@pytest.mark.parametrize("page", [1, 3, 1000])
async def test_any_number_of_attestations_is_checked_in_one_pass(page: int) -> None:
    log = await MemoryLog.open()
    newsroom = Newsroom(log)
    expected = []
    for seed, policy in enumerate(["standing/1", "majority/1", "standing/1", "strict/1"]):
        await improvise(newsroom, random.Random(seed), 40)
        at = await log.head()
        expected.append((await replay(log, upto=at, policy=policy_named(policy))).digest)
        await newsroom.attest(at, expected[-1], policy)
    events = [event async for some in log.read_all(texts=False) for event in some]

    folding = Folding(await attestations(log))
    for some in pages_of(events, page):
        folding.take(some)

    assert [one.root for one in folding.agreeing] == expected
    assert folding.disagreeing == []


def pages_of(events: Sequence[Recorded], size: int) -> list[Sequence[Recorded]]:
    return [events[start : start + size] for start in range(0, len(events), size)]


async def test_a_root_that_the_facts_do_not_give_proves_nothing(desk: Desk) -> None:
    newsroom = newsroom_of(desk)
    claim = await newsroom.claim("The letter is authentic")
    await newsroom.attest(2, "0" * 64)

    with pytest.raises(Internal, match="verifier audit"):
        await desk.attester.attestation_of(claim)


async def test_a_server_attests_by_itself_while_the_head_moves(desk: Desk) -> None:
    newsroom = newsroom_of(desk)
    await newsroom.claim("The letter is authentic")

    async with attesting(desk.attester, 0.01):
        async for page in desk.log.subscribe(after=2):
            assert [type(event.fact) for event in page] == [StatusesAttested]
            break
        await newsroom.claim("The letter was sent")
        async for _ in desk.log.subscribe(after=4):
            break

    assert [one.at for one in await attestations(desk.log)] == [2, 4]


async def test_a_restart_begins_no_new_hour(desk: Desk) -> None:
    newsroom = newsroom_of(desk)
    await newsroom.claim("The letter is authentic")
    first = await desk.attester.attest()
    await newsroom.claim("The letter was sent")
    again = Attester(desk.log, desk.views, desk.adopted)

    left, overdue = await again.due_in(3_600), await again.due_in(0.000_001)

    assert 3_500 < left < 3_600
    assert overdue == 0
    assert await again.last() == first


async def test_a_last_attestation_with_a_time_that_there_is_not_ends_no_attesting() -> None:
    log = await MemoryLog.open()
    newsroom = Newsroom(log)
    await newsroom.claim("The letter is authentic")
    await newsroom.attest(2, "0" * 64)
    _tamper_with_time(log, 3, "2020-02-30T00:00:00.000000Z")
    adopted = await Adopted.read(log)
    views = await Views.open(SqlitePlace(), log, adopted)
    await newsroom.claim("The letter was sent")
    await views.catch_up()

    async with asyncio.timeout(20), attesting(Attester(log, views, adopted), 0.01):
        async for _ in log.subscribe(after=4):
            break

    assert [one.at for one in await attestations(log)] == [2, 4]
    await views.close()


def _tamper_with_time(log: MemoryLog, position: int, moment: str) -> None:
    """Give an event another time in the log's store, past all of its verbs."""
    event = log._events[position - 1]
    leaf = event.leaf_raw.replace(event.recorded_at.encode(), moment.encode())
    texts = event.wording_salt, event.wording_raw, event.identity_salt, event.identity_raw
    log._events[position - 1] = Recorded(position, leaf, *texts)


async def test_two_that_attest_the_same_record_it_once(desk: Desk) -> None:
    await newsroom_of(desk).claim("The letter is authentic")
    others = [Attester(desk.log, desk.views, desk.adopted) for _ in range(3)]

    attested = await asyncio.gather(*(one.attest() for one in others))

    assert len({one.position for one in attested}) == len(await attestations(desk.log)) == 1


async def test_of_several_servers_the_one_that_keeps_the_views_attests(postgres_url: str) -> None:
    async with open_desk(postgres_url) as one, open_desk(postgres_url) as two:
        claim = await newsroom_of(one).claim("The letter is authentic")
        for desk in (one, two):
            assert await desk.views.reached(2, 20)
        [keeps] = [desk for desk in (one, two) if desk.views.kept_here]
        [looks] = [desk for desk in (one, two) if desk is not keeps]

        async with attesting(looks.attester, 0.001), attesting(keeps.attester, 0.001):
            async for _ in one.log.subscribe(after=2):
                break

        [attested] = await attestations(one.log)
        proofs = [await desk.attester.attestation_of(claim) for desk in (one, two)]
        assert proofs[0] == proofs[1]
        assert proofs[0]["root"] == attested.root
