"""What the client does when the wire fails: nothing is recorded twice, nothing is lost, nothing is guessed.

Between the client and the real server stands a proxy that fails as it is told. Most faults come in
pairs: *failed and was not recorded*, *failed but was recorded*. The log itself, asked directly, decides.
"""

from __future__ import annotations

import contextlib
import random
import re
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx
import pytest
from anyio.abc import SocketStream

from verifier.answers import Done, Written
from verifier.client import Verifier
from verifier.commands import Corroborate, Deny, RegisterClaim
from verifier.errors import Busy, Invalid, NotFound, OutcomeUnknown, Unreachable

Fault = Callable[["Proxy", SocketStream, bytes], Awaitable[None]]


class Proxy:
    """A wire that does to each request what `plan` says, and carries it faithfully when the plan is over."""

    def __init__(self, upstream: str) -> None:
        where = httpx.URL(upstream)
        self._upstream = (where.host, where.port or 80)
        self.plan: deque[Fault] = deque()
        self.always: Fault = carry
        self.requests = 0
        self.url = ""

    async def serve(self, client: SocketStream) -> None:
        async with client:
            if (request := await _request(client)) is None:
                return
            self.requests += 1
            fault = self.plan.popleft() if self.plan else self.always
            # The client may hang up, and the answer may be over before it was cut.
            with contextlib.suppress(anyio.BrokenResourceError, anyio.EndOfStream):
                await fault(self, client, request)

    @asynccontextmanager
    async def answer_to(self, request: bytes) -> AsyncIterator[SocketStream]:
        """Ask the server; its answer ends with its connection."""
        async with await anyio.connect_tcp(*self._upstream) as server:
            kept = re.sub(rb"(?i)\r\nconnection: [^\r]*", b"", request, count=1)
            await server.send(kept.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
            yield server


async def _request(client: SocketStream) -> bytes | None:
    data = b""
    async for chunk in client:
        data += chunk
        head, blank, body = data.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
        if blank and len(body) >= int(length[1] if length else 0):
            return data
    return None


async def carry(proxy: Proxy, client: SocketStream, request: bytes) -> None:
    """Work."""
    async with proxy.answer_to(request) as answer:
        async for chunk in answer:
            await client.send(chunk)


async def cut_before(proxy: Proxy, client: SocketStream, request: bytes) -> None:
    """Lose the request."""


async def cut_after(proxy: Proxy, client: SocketStream, request: bytes) -> None:
    """Lose the answer."""
    async with proxy.answer_to(request) as answer:
        async for _ in answer:
            pass


async def silent(proxy: Proxy, client: SocketStream, request: bytes) -> None:
    """Lose the request, and say nothing until the client hangs up."""
    async for _ in client:
        pass


async def silent_after(proxy: Proxy, client: SocketStream, request: bytes) -> None:
    """Lose the answer, and say nothing until the client hangs up."""
    await cut_after(proxy, client, request)
    await silent(proxy, client, request)


def cut_at(count: int) -> Fault:
    """Hang up after so many bytes of the answer."""

    async def fault(proxy: Proxy, client: SocketStream, request: bytes) -> None:
        left = count
        async with proxy.answer_to(request) as answer:
            while left > 0:
                chunk = await answer.receive(left)
                left -= len(chunk)
                await client.send(chunk)

    fault.__name__ = f"cut_at_{count}"
    return fault


def name_of(fault: Fault) -> str:
    return fault.__name__


def answers(status: str, headers: str = "", body: str = "") -> Fault:
    """Answer something else, without asking the server."""
    text = f"HTTP/1.1 {status}\r\n{headers}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}"

    async def fault(proxy: Proxy, client: SocketStream, request: bytes) -> None:
        await client.send(text.encode())

    return fault


def busy(retry_after: str) -> Fault:
    body = '{"type": "/problems/busy", "title": "Busy", "detail": "too much at once"}'
    return answers("503 Service Unavailable", f"Content-Type: application/problem+json\r\n{retry_after}", body)


bad_gateway = answers("502 Bad Gateway", "Content-Type: text/html\r\n", "<h1>Bad Gateway</h1>")


@asynccontextmanager
async def proxied(server: str) -> AsyncIterator[Proxy]:
    proxy = Proxy(server)
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(anyio.abc.SocketAttribute.local_port)
    proxy.url = f"http://127.0.0.1:{port}"
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, proxy.serve)
        yield proxy
        group.cancel_scope.cancel()


Story = Callable[[Proxy, str], Awaitable[None]]


def on_both_loops(story: Story) -> Callable[[str, str], None]:
    """Make a test of a story about a proxy and a server, told once on asyncio and once on trio."""

    async def tell(server: str) -> None:
        async with proxied(server) as proxy:
            with anyio.fail_after(20):
                await story(proxy, server)

    @pytest.mark.parametrize("backend", ["asyncio", "trio"])
    def test(server: str, backend: str) -> None:
        anyio.run(tell, server, backend=backend)

    test.__name__ = story.__name__
    return test


async def registered(server: str) -> Written:
    """Register a claim without a proxy."""
    async with Verifier(server) as direct:
        return await direct.register("The letter is authentic", again=True)


async def recorded(server: str, claim: str) -> list[str]:
    """Say what the log holds about a claim, asked directly."""
    async with Verifier(server) as direct:
        return [event.type async for event in direct.events(claim)]


# --- writes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [cut_before, cut_after, cut_at(0), cut_at(1), cut_at(200)], ids=name_of)
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_write_whose_connection_breaks_is_recorded_once(server: str, backend: str, fault: Fault) -> None:
    async def story() -> None:
        claim = await registered(server)
        async with proxied(server) as proxy, Verifier(proxy.url) as verifier:
            proxy.plan.append(fault)

            answer = await verifier.corroborate(claim, source="AFP")

            assert proxy.requests == 2
        assert answer.status == "asserted"
        assert await recorded(server, claim.id) == ["claim.registered", "claim.corroborated"]

    anyio.run(story, backend=backend)


@on_both_loops
async def test_a_write_that_was_recorded_and_not_answered_is_answered_the_second_time(
    proxy: Proxy, server: str
) -> None:
    claim = await registered(server)
    proxy.plan.append(cut_after)

    async with Verifier(proxy.url) as verifier:
        answer = await verifier.deny(claim, source="Mark Esper", key="the-denial-" + claim.id)

    assert answer.effect == "already recorded"
    assert answer.key == "the-denial-" + claim.id
    assert await recorded(server, claim.id) == ["claim.registered", "claim.denied"]


@on_both_loops
async def test_a_silent_server_that_recorded_nothing_leaves_the_outcome_unknown(proxy: Proxy, server: str) -> None:
    claim = await registered(server)
    proxy.always = silent

    async with Verifier(proxy.url, timeout=0.3) as verifier:
        with pytest.raises(OutcomeUnknown) as raised:
            await verifier.deny(claim, source="Mark Esper")

    assert await recorded(server, claim.id) == ["claim.registered"]
    async with Verifier(server) as direct:
        await direct.deny(claim, source="Mark Esper", key=raised.value.key)
    assert await recorded(server, claim.id) == ["claim.registered", "claim.denied"]


@on_both_loops
async def test_a_silent_server_that_did_record_leaves_the_outcome_unknown(proxy: Proxy, server: str) -> None:
    claim = await registered(server)
    proxy.always = silent_after

    async with Verifier(proxy.url, timeout=0.6) as verifier:
        with pytest.raises(OutcomeUnknown) as raised:
            await verifier.deny(claim, source="Mark Esper", key="d" + claim.id)

    async with Verifier(server) as direct:
        answer = await direct.deny(claim, source="Mark Esper", key=raised.value.key)
    assert answer.effect == "already recorded"
    assert await recorded(server, claim.id) == ["claim.registered", "claim.denied"]


@on_both_loops
async def test_once_a_request_may_have_arrived_the_client_never_says_that_it_failed(proxy: Proxy, server: str) -> None:
    claim = await registered(server)
    proxy.plan.append(cut_after)
    proxy.always = busy("Retry-After: 0\r\n")

    async with Verifier(proxy.url, timeout=0.3) as verifier:
        with pytest.raises(OutcomeUnknown):
            await verifier.deny(claim, source="Mark Esper")


@on_both_loops
async def test_a_busy_server_is_asked_again_when_it_said(proxy: Proxy, server: str) -> None:
    claim = await registered(server)
    proxy.plan.extend([busy("Retry-After: 0\r\n"), busy(""), busy("Retry-After: soon\r\n")])

    async with Verifier(proxy.url) as verifier:
        await verifier.deny(claim, source="Mark Esper")

    assert proxy.requests == 4
    assert await recorded(server, claim.id) == ["claim.registered", "claim.denied"]


@on_both_loops
async def test_a_server_that_is_busy_for_longer_than_the_caller_waits_is_busy(proxy: Proxy, server: str) -> None:
    claim = await registered(server)
    proxy.always = busy("Retry-After: 3600\r\n")

    async with Verifier(proxy.url) as verifier:
        with pytest.raises(Busy, match="too much at once"):
            await verifier.deny(claim, source="Mark Esper")

    assert proxy.requests == 1


@on_both_loops
async def test_a_gateway_that_lost_the_server_is_asked_again_with_the_same_key(proxy: Proxy, server: str) -> None:
    claim = await registered(server)

    async def recorded_behind_a_bad_gateway(proxy: Proxy, client: SocketStream, request: bytes) -> None:
        await cut_after(proxy, client, request)
        await bad_gateway(proxy, client, request)

    proxy.plan.append(recorded_behind_a_bad_gateway)

    async with Verifier(proxy.url) as verifier:
        answer = await verifier.deny(claim, source="Mark Esper")

    assert answer.effect == "already recorded"


@on_both_loops
async def test_a_refusal_is_never_asked_again(proxy: Proxy, server: str) -> None:
    async with Verifier(proxy.url) as verifier:
        with pytest.raises(NotFound):
            await verifier.deny("clm_" + "a" * 26, source="Mark Esper")

    assert proxy.requests == 1


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_an_address_where_nothing_listens_is_unreachable(backend: str) -> None:
    async def story() -> None:
        async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
            port = listener.extra(anyio.abc.SocketAttribute.local_port)
        async with Verifier(f"http://127.0.0.1:{port}", timeout=0.2) as verifier:
            with pytest.raises(Unreachable, match="start the server"):
                await verifier.register("Nobody hears this")
            with pytest.raises(Unreachable):
                await verifier.health()
            with pytest.raises(Unreachable):
                await anext(verifier.feed(after=0))

    anyio.run(story, backend=backend)


@on_both_loops
async def test_a_question_that_nobody_answers_is_unreachable_and_never_unknown(proxy: Proxy, server: str) -> None:
    proxy.always = silent

    async with Verifier(proxy.url, timeout=0.2) as verifier:
        with pytest.raises(Unreachable):
            await verifier.health()


# --- batches -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [cut_before, cut_after, cut_at(700)], ids=name_of)
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_batch_whose_connection_breaks_is_recorded_once(server: str, backend: str, fault: Fault) -> None:
    async def story() -> None:
        claim = await registered(server)
        async with proxied(server) as proxy, Verifier(proxy.url) as verifier:
            proxy.plan.append(fault)

            results = await verifier.batch((claim, Corroborate(source=f"outlet {n}")) for n in range(20))

        assert all(isinstance(result, Done) for result in results)
        assert await recorded(server, claim.id) == ["claim.registered"] + ["claim.corroborated"] * 20

    anyio.run(story, backend=backend)


@on_both_loops
async def test_a_batch_of_unknown_outcome_is_sent_again_under_its_own_key(proxy: Proxy, server: str) -> None:
    claim = await registered(server)
    commands = [(claim, Deny(source=f"official {n}")) for n in range(3)]
    proxy.always = silent_after
    async with Verifier(proxy.url, timeout=0.6) as verifier:
        with pytest.raises(OutcomeUnknown) as raised:
            await verifier.batch(commands, key="b" + claim.id)

    async with Verifier(server) as direct:
        results = await direct.batch(commands, key=raised.value.key)

    assert [isinstance(result, Done) and result.effect for result in results] == ["already recorded"] * 3
    assert await recorded(server, claim.id) == ["claim.registered"] + ["claim.denied"] * 3


@on_both_loops
async def test_the_lines_that_were_busy_are_sent_again_and_only_those(proxy: Proxy, server: str) -> None:
    bodies: list[bytes] = []

    async def busy_on_the_second(proxy: Proxy, client: SocketStream, request: bytes) -> None:
        bodies.append(request)
        line = '{{"key": "{}", "ok": false, "problem": {{"type": "/problems/{}", "detail": "because"}}}}\n'
        body = line.format("k-0", "not-found") + line.format("k-1", "busy")
        await answers("200 OK", "Content-Type: application/jsonl\r\n", body)(proxy, client, request)

    async def keep(proxy: Proxy, client: SocketStream, request: bytes) -> None:
        bodies.append(request)
        await carry(proxy, client, request)

    proxy.plan.extend([busy_on_the_second, keep])
    async with Verifier(proxy.url) as verifier:
        first, second = await verifier.batch([RegisterClaim(text=f"It rains {n}", again=True) for n in (0, 1)], key="k")
        assert isinstance(second, Done)
        kept = await verifier.claim(second.id)

    assert isinstance(first, NotFound)
    assert kept.text == "It rains 1"
    assert b"k-0" not in bodies[1].partition(b"\r\n\r\n")[2]


# --- streams -------------------------------------------------------------------------------------------


async def told(server: str, count: int) -> tuple[str, int, list[tuple[int, str]]]:
    """Give a claim `count` changes of status, and return it, the position before and all that happened."""
    claim = await registered(server)
    async with Verifier(server) as direct:
        for _ in range(count // 2):
            denied = await direct.deny(claim, source="Mark Esper")
            await direct.withdraw_statement(claim, denied.statement)
        events = [(event.position, event.id) async for event in direct.events(after=claim.written_at)]
    return claim.id, claim.written_at, events


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_feed_that_breaks_at_any_byte_has_no_gap_and_no_repeat(server: str, backend: str, seed: int) -> None:
    async def story() -> None:
        claim, before, events = await told(server, 20)
        rolls = random.Random(seed)
        async with proxied(server) as proxy, Verifier(proxy.url) as verifier:
            proxy.plan.extend(cut_at(rolls.randrange(6_000)) for _ in range(25))
            with anyio.fail_after(20):
                feed = verifier.feed(after=before, claim=claim)
                changes = [(change.position, change.cause) async for change in _first(feed, 20)]
                stream = verifier.follow_events(after=before)
                followed = [(event.position, event.id) async for event in _first(stream, len(events))]

        assert changes == events
        assert followed == events

    anyio.run(story, backend=backend)


@on_both_loops
async def test_a_feed_from_now_begins_where_it_was_opened(proxy: Proxy, server: str) -> None:
    claim = await registered(server)
    async with Verifier(proxy.url) as verifier, verifier.feed(claim=claim) as changes:
        proxy.plan.extend([cut_before, cut_at(0), busy("Retry-After: 0\r\n"), bad_gateway])
        denied = await registered(server)
        async with Verifier(server) as direct:
            denied = await direct.deny(claim, source="Mark Esper")

        change = await anext(changes)

    assert (change.position, change.status) == (denied.written_at, "denied")


@on_both_loops
async def test_a_feed_that_falls_silent_is_connected_anew(proxy: Proxy, server: str) -> None:
    claim, before, events = await told(server, 4)
    proxy.plan.append(silent)

    async with Verifier(proxy.url, idle_timeout=0.1) as verifier:
        changes = [change.position async for change in _first(verifier.feed(after=before, claim=claim), 4)]

    assert changes == [position for position, _ in events]


@on_both_loops
async def test_a_feed_outlives_the_server(proxy: Proxy, server: str) -> None:
    claim, before, events = await told(server, 4)
    proxy.plan.extend([cut_at(700), *[cut_before] * 3])

    async with Verifier(proxy.url, timeout=0.1) as verifier:
        changes = [change.position async for change in _first(verifier.feed(after=before, claim=claim), 4)]

    assert changes == [position for position, _ in events]
    assert proxy.requests >= 5


@on_both_loops
async def test_a_feed_goes_on_only_in_the_log_that_it_began_in(proxy: Proxy, server: str) -> None:
    claim, before, _ = await told(server, 4)
    asked: list[bytes] = []

    async def refuse(proxy: Proxy, client: SocketStream, request: bytes) -> None:
        asked.append(request)
        await answers("422 Unprocessable", body='{"type": "/problems/invalid", "detail": "another log"}')(
            proxy, client, request
        )

    proxy.plan.extend([cut_at(700), refuse])
    async with Verifier(proxy.url) as verifier:
        with pytest.raises(Invalid, match="another log"):
            _ = [change async for change in verifier.feed(after=before, claim=claim)]
        log = (await verifier.health()).log

    assert f"verifier-log: {log}".encode() in asked[0]


@on_both_loops
async def test_a_feed_after_a_position_that_the_log_never_gave_out_is_refused(proxy: Proxy, server: str) -> None:
    async with Verifier(proxy.url) as verifier:
        with pytest.raises(Invalid, match="beyond the head"):
            await anext(verifier.feed(after=10**9))


@on_both_loops
async def test_closing_the_client_ends_a_feed_that_waits(proxy: Proxy, server: str) -> None:
    seen: list[Any] = []

    async def follow(verifier: Verifier) -> None:
        seen.extend([change async for change in verifier.feed()])

    async with anyio.create_task_group() as group, Verifier(proxy.url) as verifier:
        group.start_soon(follow, verifier)
        await anyio.wait_all_tasks_blocked()

    assert seen == []


async def _first(feed: AsyncIterator[Any], count: int) -> AsyncIterator[Any]:
    for _ in range(count):
        yield await anext(feed)
