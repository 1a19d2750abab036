"""Webhooks from processes that are killed or frozen, and from several at once: real ones."""

from __future__ import annotations

import signal
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from receiving import OK, Answer, Received, Receiver, receiving
from server_processes import Served, served

from verifier.app import open_desk
from verifier.client import Verifier
from verifier.webhooks.office import AddWebhook
from verifier.webhooks.sender import Sending


async def test_killed_after_a_delivery_and_before_it_knows_a_server_sends_again_with_the_same_id(
    place: str, tmp_path: Path
) -> None:
    def kills(received: Received) -> Answer:
        servers[-1].send(signal.SIGKILL)
        return OK

    servers: list[Served] = []
    async with receiving() as receiver:
        with served(place, tmp_path) as first:
            servers.append(first)
            async with Verifier(first.address) as verifier:
                made = await verifier.add_webhook(receiver.url)
                receiver.behaviour = kills
                claim = await verifier.assert_claim("The letter is authentic", source="AFP", key="letter")
                await receiver.got(1)
        receiver.behaviour = lambda _: OK
        with served(place, tmp_path) as second:
            await receiver.got(2)
            async with Verifier(second.address) as verifier:
                await verifier.deny(claim.id, source="Mark Esper")
            await receiver.until(lambda: receiver.taken[-1].data["status"] == "denied")

    once, again, denied = receiver.taken
    assert once.id == again.id != denied.id
    assert once.body == again.body
    for received in receiver.taken:
        received.checked(made.secret)


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "frozen"])
async def test_of_several_servers_another_goes_on_where_the_one_that_sends_is(
    postgres_url: str, tmp_path: Path, end: signal.Signals
) -> None:
    async with receiving() as receiver, AsyncExitStack() as stack:
        first, second = [stack.enter_context(served(postgres_url, tmp_path)) for _ in range(2)]
        async with Verifier(first.address) as one, Verifier(second.address) as two:
            await one.add_webhook(receiver.url)
            await one.assert_claim("The letter is authentic", source="AFP")
            await receiver.got(1)
            # Whichever sends: both are ended in turn, and the other one is there.
            first.send(end)
            await two.assert_claim("They plan to leave", source="AFP")
            await receiver.got(2)
            if end == signal.SIGSTOP:
                first.send(signal.SIGCONT)
                second.send(end)
                await one.assert_claim("Parliament voted", source="AFP")
                await until_different(receiver, 3)
    assert all(received.data["status"] == "asserted" for received in receiver.taken)


async def until_different(receiver: Receiver, count: int) -> None:
    """Wait until so many different messages were taken."""
    await receiver.until(lambda: len({received.id for received in receiver.taken}) >= count)


async def test_several_processes_send_each_message_once(postgres_url: str) -> None:
    async with receiving() as receiver, AsyncExitStack() as stack:
        desks = [await stack.enter_async_context(open_desk(postgres_url, sending=Sending())) for _ in range(3)]
        await desks[1].webhooks.add(AddWebhook(url=receiver.url), "ada", "hook")
        async with Verifier.open(postgres_url, actor="ada") as verifier:
            for number in range(40):
                await verifier.assert_claim(f"Claim {number}", source="AFP")
        await receiver.got(40)
        assert len({received.id for received in receiver.taken}) == 40
        assert len(receiver.received) == 40
