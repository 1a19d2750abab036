"""Webhooks as they are sent: to real receivers that fail, hang, answer late or are gone. Days pass by a clock of
ours."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import stat
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from newsroom import Newsroom, improvise
from receiving import OK, Answer, Hands, Received, Receiver, receiving

from events.contracts import ClaimPublished, ClaimUnpublished, StatementWithdrawn, Wording
from verifier.app import Desk, open_desk
from verifier.errors import NotFound
from verifier.logs import configure
from verifier.queries.changed import AT_ONCE
from verifier.webhooks import courier as couriers
from verifier.webhooks.office import AddWebhook, RotateWebhook
from verifier.webhooks.outbox import Outbox
from verifier.webhooks.sender import Sending

GONE = Answer(status=410)
FAILS = Answer(status=500)


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> Hands:
    """The clock by which messages are sent and signatures are verified."""
    return Hands().shown(monkeypatch)


@asynccontextmanager
async def sending(url: str, hands: Hands, *, wait: float = 5.0, room: int = couriers.ROOM) -> AsyncIterator[Desk]:
    """Have a log open that sends."""
    async with open_desk(url, sending=Sending(clock=hands, wait=wait, room=room)) as desk:
        yield desk


async def add(desk: Desk, receiver: Receiver, key: str = "hook", **filters: Any) -> dict[str, Any]:
    """Add a receiver as an endpoint."""
    return await desk.webhooks.add(AddWebhook(url=receiver.url, **filters), "ada", key)


async def until(desk: Desk, so: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Wait until it is so with every endpoint; return the first one."""
    async with asyncio.timeout(30):
        while not all(map(so, items := (await desk.webhooks.list())["items"])):  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(0.01)
    return items[0]


async def until_settled(desk: Desk) -> dict[str, Any]:
    """Wait until nothing waits and every endpoint has seen everything; return the first one."""
    head = await desk.log.head()
    return await until(desk, lambda item: bool(item["disabled"]) or (item["waiting"], item["position"]) == (0, head))


def beside(folder: Path, what: str) -> list[Path]:
    """Return the files of a log for its views or its webhooks."""
    return list(folder.glob(f"newsroom.{what}.db*"))


def statuses(messages: list[Received]) -> list[str]:
    return [received.data["status"] for received in messages]


# --- what is sent ----------------------------------------------------------------------------------


async def test_a_change_arrives_as_the_feed_has_it_signed_and_with_an_id(log_url: str, hands: Hands) -> None:
    async with receiving() as receiver, sending(log_url, hands) as desk:
        made = await add(desk, receiver)
        newsroom = Newsroom(desk.log)
        claim = await newsroom.claim("The letter is authentic")
        await newsroom.say(claim, "AFP")
        [received] = await receiver.got(1)
        await desk.views.reached(await desk.log.head(), 5)
        [change] = (await desk.queries.changes())["items"]

    received.checked(made["secret"])
    assert received.headers["content-type"] == "application/json"
    assert received.message["type"] == "status.changed"
    assert received.message["timestamp"] == change["recorded_at"]
    assert received.data == {"log": desk.log.id, **change, "published": {"shown": [], "total": 0}}


async def test_an_endpoint_begins_now_or_where_it_was_told_to(log_url: str, hands: Hands) -> None:
    async with receiving() as late, receiving() as early, sending(log_url, hands) as desk:
        newsroom = Newsroom(desk.log)
        claim = await newsroom.claim("The letter is authentic")
        await newsroom.say(claim, "AFP")
        await add(desk, late, "late")
        await add(desk, early, "early", after=0)
        await newsroom.deny(claim, "Mark Esper")
        await early.got(2)
        await late.got(1)
        await until_settled(desk)
    assert statuses(early.taken) == ["asserted", "denied"]
    assert statuses(late.taken) == ["denied"]


async def test_filters_narrow_down_what_is_sent(log_url: str, hands: Hands) -> None:
    async with AsyncExitStack() as stack:
        desk = await stack.enter_async_context(sending(log_url, hands))
        newsroom = Newsroom(desk.log)
        story = await newsroom.story("Iraq letter")
        letter = await newsroom.claim("The letter is authentic", story)
        other = await newsroom.claim("Parliament voted")
        receivers = {}
        for name, filters in {
            "claim": {"claim": letter},
            "story": {"story": "iraq LETTER"},
            "source": {"source": "Reuters"},
            "status": {"status": "denied"},
            "recalls": {"recalls": True},
            "all": {},
        }.items():
            receivers[name] = await stack.enter_async_context(receiving())
            await add(desk, receivers[name], name, **filters)
        await newsroom.say(letter, "AFP")
        await newsroom.say(other, "Reuters")
        await newsroom.deny(letter, "Mark Esper")
        denial = await newsroom.deny(other, "AFP")
        await until_settled(desk)
        got = {
            name: [(received.data["claim"], received.data["status"]) for received in receiver.taken]
            for name, receiver in receivers.items()
        }
    assert denial
    assert sorted(got["claim"]) == sorted(got["story"]) == [(letter, "asserted"), (letter, "denied")]
    assert sorted(got["source"]) == [(other, "asserted"), (other, "denied")]
    assert sorted(got["status"]) == sorted([(letter, "denied"), (other, "denied")])
    assert got["recalls"] == []
    assert len(got["all"]) == 4


async def test_one_position_that_changes_many_claims_is_a_message_for_each(log_url: str, hands: Hands) -> None:
    async with receiving() as receiver, sending(log_url, hands) as desk:
        newsroom = Newsroom(desk.log)
        claims = [await newsroom.claim(f"Claim {n}") for n in range(30)]
        for claim in claims:
            await newsroom.say(claim, "AFP")
            await newsroom.deny(claim, "an official", attribution="anonymous")
        await add(desk, receiver)
        await newsroom.adopt("precautionary/1")
        await newsroom.adopt("majority/1")
        await until_settled(desk)
    assert len({received.id for received in receiver.taken}) == len(receiver.taken)
    assert len(receiver.taken) % len(claims) == 0


async def test_one_position_may_change_more_claims_than_a_statement_takes(hands: Hands) -> None:
    async with receiving() as receiver, sending("memory:", hands) as desk:
        newsroom = Newsroom(desk.log)
        claims = [await newsroom.claim(f"Claim {n}") for n in range(AT_ONCE + 10)]
        for claim in claims:
            await newsroom.say(claim, "AFP")
            await newsroom.deny(claim, "Mark Esper")
        await add(desk, receiver, claim=claims[-1], source="AFP")
        await newsroom.adopt("majority/1")
        await until_settled(desk)
    [received] = receiver.taken
    assert received.data["recall"]


# --- recalls ---------------------------------------------------------------------------------------


async def publish(newsroom: Newsroom, claim: str, address: str) -> str:
    fact = ClaimPublished(day="2020-01-06", seen=await newsroom.log.head(), status="denied")
    return await newsroom.record(f"claim:{claim}", fact, Wording(address=address))


async def test_a_recall_goes_to_whoever_got_the_earlier_status_and_to_nobody_else(log_url: str, hands: Hands) -> None:
    async with receiving() as denials, receiving() as supports, sending(log_url, hands) as desk:
        await add(desk, denials, "denials", status="denied")
        await add(desk, supports, "supports", status="corroborated")
        newsroom = Newsroom(desk.log)
        claim = await newsroom.claim("The letter is authentic")
        await newsroom.say(claim, "AFP")
        denial = await newsroom.deny(claim, "Mark Esper")
        await denials.got(1)
        await newsroom.record(f"claim:{claim}", StatementWithdrawn(statement=denial))
        await denials.got(2)
        await until_settled(desk)
    first, recall = denials.taken
    assert (first.data["status"], first.data["recall"]) == ("denied", False)
    assert (recall.message["type"], recall.data["previous"], recall.data["recall"]) == (
        "status.recalled",
        "denied",
        True,
    )
    assert supports.received == []


async def test_a_recall_lists_the_published_uses_until_an_editor_ticks_them_off(log_url: str, hands: Hands) -> None:
    async with receiving() as receiver, sending(log_url, hands) as desk:
        await add(desk, receiver)
        newsroom = Newsroom(desk.log)
        claim = await newsroom.claim("The letter is authentic")
        await newsroom.say(claim, "AFP")
        denial = await newsroom.deny(claim, "Mark Esper")
        put_right = await publish(newsroom, claim, "https://example.org/first")
        await publish(newsroom, claim, "https://example.org/second")
        await newsroom.record(f"claim:{claim}", ClaimUnpublished(publication=put_right))
        await newsroom.record(f"claim:{claim}", StatementWithdrawn(statement=denial))
        await publish(newsroom, claim, "https://example.org/after")
        await receiver.got(3)
        await newsroom.deny(claim, "the Pentagon")
        await receiver.got(4)
    addresses = [[use["address"] for use in got.data["published"]["shown"]] for got in receiver.taken]
    second = ["https://example.org/second"]
    assert addresses == [[], [], second, second]


async def test_a_text_that_was_erased_while_its_message_waited_is_not_sent(log_url: str, hands: Hands) -> None:
    closed = asyncio.Event()
    async with receiving(lambda _: FAILS if not closed.is_set() else OK) as receiver, sending(log_url, hands) as desk:
        await add(desk, receiver)
        newsroom = Newsroom(desk.log)
        claim = await newsroom.claim("A private address")
        said = await newsroom.say(claim, "Jane Doe")
        await receiver.asked(1)
        await newsroom.erase(f"claim:{claim}", said, "identity")
        registered = (await desk.queries.events(f"claim:{claim}", after=0, limit=1))["items"][0]["id"]
        await newsroom.erase(f"claim:{claim}", registered, "wording")
        await desk.views.reached(await desk.log.head(), 5)
        closed.set()
        [received] = await receiver.got(1)
    assert b"Jane Doe" in receiver.received[0].body
    assert b"Jane Doe" not in received.body
    assert b"A private address" not in received.body


# --- what a receiver may do ------------------------------------------------------------------------


async def test_a_failed_message_is_sent_again_with_its_id_a_new_time_and_before_the_next_of_its_claim(
    log_url: str, hands: Hands
) -> None:
    left = [FAILS, Answer(hang_up=True), Answer(status=302, headers={"location": "/elsewhere"}), Answer(status=404)]
    async with receiving(lambda _: left.pop(0) if left else OK) as receiver, sending(log_url, hands) as desk:
        made = await add(desk, receiver)
        newsroom = Newsroom(desk.log)
        claim = await newsroom.claim("The letter is authentic")
        await newsroom.say(claim, "AFP")
        await receiver.asked(1)
        await newsroom.deny(claim, "Mark Esper")
        await receiver.got(2)
        await until_settled(desk)
    tries = receiver.received[:-1]
    assert len({received.id for received in tries}) == 1
    times = [int(received.headers["webhook-timestamp"]) for received in tries]
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert all(3 <= pause <= longest for pause, longest in zip(pauses, (7, 25, 97, 385), strict=True))
    assert statuses(receiver.taken) == ["asserted", "denied"]
    for received in receiver.taken:
        hands.at(received).checked(made["secret"])


async def test_an_answer_that_asks_for_a_pause_is_given_it(log_url: str, hands: Hands) -> None:
    left = [Answer(status=503, headers={"retry-after": "7200"})]
    async with receiving(lambda _: left.pop() if left else OK) as receiver, sending(log_url, hands) as desk:
        await add(desk, receiver)
        newsroom = Newsroom(desk.log)
        await newsroom.say(await newsroom.claim("The letter is authentic"), "AFP")
        await receiver.got(1)
    first, second = [int(received.headers["webhook-timestamp"]) for received in receiver.received]
    assert second - first >= 7_199


async def test_a_receiver_that_hangs_is_left_after_its_time_and_asked_again(log_url: str, hands: Hands) -> None:
    never = asyncio.Event()
    left = [Answer(after=never)]
    async with receiving(lambda _: left.pop() if left else OK) as receiver, sending(log_url, hands, wait=0.2) as desk:
        await add(desk, receiver)
        newsroom = Newsroom(desk.log)
        await newsroom.say(await newsroom.claim("The letter is authentic"), "AFP")
        await receiver.got(1)
        never.set()
    assert len(receiver.received) == 2


async def test_one_that_hangs_delays_no_other(log_url: str, hands: Hands) -> None:
    never = asyncio.Event()
    async with (
        receiving(lambda _: Answer(after=never)) as slow,
        receiving() as quick,
        sending(log_url, hands, wait=60) as desk,
    ):
        await add(desk, slow, "slow")
        await add(desk, quick, "quick")
        newsroom = Newsroom(desk.log)
        for n in range(30):
            await newsroom.say(await newsroom.claim(f"Claim {n}"), "AFP")
        await quick.got(30)
        assert slow.taken == []
        assert slow.most_at_once <= 8
        never.set()


async def test_one_that_is_gone_is_disabled_and_gets_everything_once_an_operator_says_so(
    log_url: str, hands: Hands
) -> None:
    gone = True
    async with receiving(lambda _: GONE if gone else OK) as receiver, sending(log_url, hands) as desk:
        made = await add(desk, receiver)
        newsroom = Newsroom(desk.log)
        claim = await newsroom.claim("The letter is authentic")
        await newsroom.say(claim, "AFP")
        await receiver.asked(1)
        await newsroom.deny(claim, "Mark Esper")
        item = await until(desk, lambda item: item["disabled"] is not None)
        assert "410" in item["disabled"]
        assert len(receiver.received) == 1
        gone = False
        await desk.webhooks.replay(made["id"])
        await receiver.got(2)
        assert (await until_settled(desk))["disabled"] is None
    assert statuses(receiver.taken) == ["asserted", "denied"]


async def test_a_message_is_given_up_after_days_listed_and_replayed(log_url: str, hands: Hands) -> None:
    well = False
    async with receiving(lambda _: OK if well else FAILS) as receiver, sending(log_url, hands) as desk:
        made = await add(desk, receiver)
        newsroom = Newsroom(desk.log)
        claim = await newsroom.claim("The letter is authentic")
        await newsroom.say(claim, "AFP")
        position = await desk.log.head()
        started = hands.now()
        assert (await until_settled(desk))["dead"] == 1
        assert hands.now() - started >= 3 * 86_400
        page = await desk.webhooks.dead(made["id"], None, 100)
        [letter] = page["items"]
        assert (letter["position"], letter["claim"], letter["failure"]) == (position, claim, "it answers 500")
        assert 15 <= letter["attempts"] == len(receiver.received)
        well = True
        await desk.webhooks.replay(made["id"])
        [received] = await receiver.got(1)
        assert (await until_settled(desk))["dead"] == 0
    assert received.id == receiver.received[0].id


# --- all of it at once -----------------------------------------------------------------------------


class Fickle:
    """A receiver's behaviour by chance: it fails, hangs up, hangs, answers late, wants a pause; and for each message
    it takes one in the end."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self.never = asyncio.Event()
        self.late = asyncio.Event()
        self.late.set()

    def __call__(self, received: Received) -> Answer:
        match self._dice.randrange(12):
            case 0:
                return FAILS
            case 1:
                return Answer(hang_up=True)
            case 2:
                return Answer(after=self.never)
            case 3:
                return Answer(status=429, headers={"retry-after": str(self._dice.randrange(900))})
            case 4:
                return Answer(status=301, headers={"location": "http://127.0.0.1:9/"})
            case 5:
                return Answer(status=503)
            case _:
                return Answer(status=self._dice.choice([200, 202, 204]), after=self.late)


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_receivers_do_every_change_arrives_at_least_once_in_order_per_claim_and_signed(
    log_url: str, hands: Hands, seed: int
) -> None:
    dice = random.Random(seed)
    async with (
        receiving(Fickle(random.Random(seed + 100))) as fickle,
        receiving(Fickle(random.Random(seed + 200))) as other,
        receiving() as well,
        receiving() as denials,
        sending(log_url, hands, wait=0.1, room=dice.choice([3, 50, 10_000])) as desk,
    ):
        made = {name: await add(desk, receiver, name) for name, receiver in
                {"fickle": fickle, "other": other, "well": well}.items()}  # fmt: skip
        await add(desk, denials, "denials", status="denied")
        await improvise(Newsroom(desk.log), dice, 120)
        await until_settled(desk)
        while any(one["dead"] for one in (await desk.webhooks.list())["items"]):
            for one in made.values():
                await desk.webhooks.replay(one["id"])
            await until_settled(desk)
        changes = await all_changes(desk)
    wanted: dict[str, list[int]] = defaultdict(list)
    for change in changes:
        wanted[change["claim"]].append(change["position"])
    for name, receiver in {"fickle": fickle, "other": other, "well": well}.items():
        first: dict[str, list[int]] = defaultdict(list)
        seen: set[str] = set()
        for received in receiver.taken:
            hands.at(received).checked(made[name]["secret"])
            if received.id not in seen:
                seen.add(received.id)
                first[received.data["claim"]].append(received.data["position"])
        assert first == wanted
    told: dict[str, str] = {}
    due: set[tuple[str, int]] = set()
    for change in changes:
        if change["status"] == "denied" or (change["recall"] and told.get(change["claim"]) == change["previous"]):
            told[change["claim"]] = change["status"]
            due.add((change["claim"], change["position"]))
    assert {(received.data["claim"], received.data["position"]) for received in denials.taken} == due


async def all_changes(desk: Desk) -> list[dict[str, Any]]:
    """Return every change there was."""
    head, changes, position = await desk.log.head(), list[dict[str, Any]](), 0
    while position < head:
        page = await desk.queries.changes(after=position, at_least=head)
        changes += page["items"]
        position = page["position"]
    return changes


# --- crashes, and what is kept ---------------------------------------------------------------------


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
@pytest.mark.parametrize("verb", ["queue", "settle"])
@pytest.mark.parametrize("kept", [False, True], ids=["and it was not kept", "and it was kept"])
async def test_killed_at_any_step_everything_arrives_and_what_comes_twice_has_the_same_id(
    place: str, hands: Hands, monkeypatch: pytest.MonkeyPatch, verb: str, kept: bool
) -> None:
    dies = asyncio.Event()
    real = getattr(Outbox, verb)

    async def killed(self: Outbox, *args: Any, **named: Any) -> Any:
        if kept:
            await real(self, *args, **named)
        dies.set()
        await asyncio.Event().wait()  # nothing of this process happens any more

    async with receiving() as receiver:
        async with sending(place, hands) as desk:
            await add(desk, receiver)
            newsroom = Newsroom(desk.log)
            claim = await newsroom.claim("The letter is authentic")
            monkeypatch.setattr(Outbox, verb, killed)
            await newsroom.say(claim, "AFP")
            await dies.wait()
        monkeypatch.setattr(Outbox, verb, real)
        async with sending(place, hands) as desk:
            newsroom = Newsroom(desk.log, parties=newsroom.parties, origins=newsroom.origins, made=newsroom.made)
            await newsroom.deny(claim, "Mark Esper")
            await receiver.until(lambda: "denied" in statuses(receiver.taken))
            await until_settled(desk)
    twice = verb == "settle" and not kept
    assert statuses(receiver.taken) == (["asserted", "asserted", "denied"] if twice else ["asserted", "denied"])
    assert len({received.id for received in receiver.taken}) == 2


async def test_what_waits_outlives_the_process_and_the_views(log_place: str, hands: Hands, tmp_path: Path) -> None:
    async with receiving(lambda _: FAILS) as receiver:
        async with sending(log_place, hands) as desk:
            await add(desk, receiver)
            newsroom = Newsroom(desk.log)
            claim = await newsroom.claim("The letter is authentic")
            await newsroom.say(claim, "AFP")
            await newsroom.deny(claim, "Mark Esper")
            await receiver.asked(1)
        for file in beside(tmp_path, "views"):
            file.unlink()
        receiver.behaviour = lambda _: OK
        async with sending(log_place, hands) as desk:
            await receiver.got(2)
            await until_settled(desk)
    assert statuses(receiver.taken) == ["asserted", "denied"]


async def test_nothing_that_was_said_is_kept_and_nobody_else_may_read_the_secrets(
    log_place: str, hands: Hands, tmp_path: Path
) -> None:
    async with receiving(lambda _: FAILS) as receiver, sending(log_place, hands) as desk:
        assert beside(tmp_path, "webhooks") == []
        await add(desk, receiver)
        newsroom = Newsroom(desk.log)
        await newsroom.say(await newsroom.claim("A private address"), "Jane Doe")
        await receiver.asked(1)
        files = beside(tmp_path, "webhooks")
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
        held = b"".join(file.read_bytes() for file in files)
    assert b"whsec_" in held
    assert b"private" not in held
    assert b"Jane" not in held


async def test_no_line_that_is_logged_holds_a_secret_an_address_or_a_text(
    log_place: str, hands: Hands, our_logs: None, capsys: pytest.CaptureFixture[str]
) -> None:
    configure("debug", "json")
    left = [FAILS, GONE]
    async with receiving(lambda _: left.pop(0) if left else OK) as receiver, sending(log_place, hands) as desk:
        made = await add(desk, receiver)
        newsroom = Newsroom(desk.log)
        await newsroom.say(await newsroom.claim("A private address"), "Jane Doe")
        await until(desk, lambda item: item["disabled"] is not None)
        await desk.webhooks.rotate(made["id"], RotateWebhook(), "ada", "new")
        await desk.webhooks.replay(made["id"])
        await receiver.got(1)
    logged = capsys.readouterr().err
    assert made["id"] in logged
    for secret in ("whsec_", receiver.url, "A private address", "Jane Doe"):
        assert secret not in logged


async def test_a_removed_endpoint_leaves_nothing_behind(log_place: str, hands: Hands, tmp_path: Path) -> None:
    async with receiving(lambda _: FAILS) as receiver, sending(log_place, hands) as desk:
        made = await add(desk, receiver)
        newsroom = Newsroom(desk.log)
        await newsroom.say(await newsroom.claim("The letter is authentic"), "AFP")
        await receiver.asked(1)
        await desk.webhooks.remove(made["id"])
        with pytest.raises(NotFound):
            await desk.webhooks.remove(made["id"])
        assert (await desk.webhooks.list())["items"] == []
    with sqlite3.connect(tmp_path / "newsroom.webhooks.db") as file:
        for table in ("endpoint", "secret", "waiting", "told", "dead"):
            assert file.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
    file.close()


async def test_secrets_rotate_with_both_signatures_for_a_while(log_url: str, hands: Hands) -> None:
    async with receiving() as receiver, sending(log_url, hands) as desk:
        made = await add(desk, receiver)
        newsroom = Newsroom(desk.log)
        claim = await newsroom.claim("The letter is authentic")
        new = await desk.webhooks.rotate(made["id"], RotateWebhook(overlap=3_600), "ada", "new")
        await newsroom.say(claim, "AFP")
        await receiver.got(1)
        hands.ahead += 3_601
        await newsroom.deny(claim, "Mark Esper")
        await receiver.got(2)
    both, one = receiver.taken
    assert new["secret"] != made["secret"]
    assert len(both.headers["webhook-signature"].split()) == 2
    hands.at(both).checked(made["secret"], new["secret"])
    assert len(one.headers["webhook-signature"].split()) == 1
    hands.at(one).checked(new["secret"])
