"""Webhooks as an operator asks for them: over HTTP, from Python, at the command line; and how a server tells of
them."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest
from receiving import receiving
from serving import served
from typer.testing import CliRunner

from verifier.cli import app
from verifier.client import Verifier
from verifier.errors import Invalid, KeyReused, NotFound

HOOK = "https://cms.example.org/hook"


@pytest.fixture(params=["over HTTP", "in this process"])
def client(request: pytest.FixtureRequest, server: str) -> Verifier:
    """A client that is to be opened: of a server, or of a log in this process."""
    return Verifier(server) if request.param == "over HTTP" else Verifier.open("memory:", actor="ada")


async def test_a_secret_is_told_once_and_again_only_to_the_same_request(client: Verifier) -> None:
    async with client as verifier:
        made = await verifier.add_webhook(HOOK, status="denied", key="hook")
        again = await verifier.add_webhook(HOOK, status="denied", key="hook")
        [listed] = [webhook async for webhook in verifier.webhooks()]
        assert made.secret is not None
        assert made.secret.startswith("whsec_")
        assert again.secret == made.secret
        assert (listed.id, listed.url, listed.status, listed.secret) == (made.id, HOOK, "denied", None)
        assert "whsec_" not in repr(listed)
        with pytest.raises(KeyReused):
            await verifier.add_webhook("https://elsewhere.example.org/hook", key="hook")


async def test_a_rotation_tells_a_new_secret_and_until_when_the_old_one_counts(client: Verifier) -> None:
    async with client as verifier:
        made = await verifier.add_webhook(HOOK)
        rotated = await verifier.rotate_webhook(made, overlap=60, key="rotate")
        again = await verifier.rotate_webhook(made, overlap=60, key="rotate")
        assert rotated.secret not in (None, made.secret)
        assert again.secret == rotated.secret
        old, new = rotated.secrets
        assert old["until"] is not None
        assert new["until"] is None
        at_once = await verifier.rotate_webhook(made, overlap=0)
        assert len(at_once.secrets) == 1


async def test_an_endpoint_that_is_not_there_is_not_found(client: Verifier) -> None:
    async with client as verifier:
        for ask in (verifier.rotate_webhook, verifier.remove_webhook, verifier.replay_webhook):
            with pytest.raises(NotFound, match="look it up"):
                await ask("whk_nobody")
        with pytest.raises(NotFound):
            [letter async for letter in verifier.dead_letters("whk_nobody")]
        made = await verifier.add_webhook(HOOK)
        await verifier.remove_webhook(made)
        assert [webhook async for webhook in verifier.webhooks()] == []
        with pytest.raises(NotFound):
            await verifier.remove_webhook(made)


@pytest.mark.parametrize(
    ("asked", "problem", "why"),
    [
        ({"url": "http://cms.example.org/hook"}, Invalid, "https"),
        ({"url": "https://user:hunter2@example.org/"}, Invalid, "password"),
        ({"url": HOOK, "status": "true"}, Invalid, "status"),
        ({"url": HOOK, "after": 99}, Invalid, "the log ends at"),
        ({"url": HOOK, "claim": "clm_aaaaaaaaaaaaaaaaaaaaaaaaaa"}, NotFound, "no claim"),
        ({"url": HOOK, "claim": "plan"}, NotFound, "no claim"),
    ],
    ids=str,
)
async def test_what_makes_no_endpoint_is_refused_and_says_why(
    client: Verifier, asked: dict[str, Any], problem: type[Exception], why: str
) -> None:
    async with client as verifier:
        with pytest.raises(problem, match=why) as refused:
            await verifier.add_webhook(**asked)
        assert "hunter2" not in str(refused.value)
        assert [webhook async for webhook in verifier.webhooks()] == []


async def test_a_cursor_of_dead_letters_is_checked(http: httpx.AsyncClient) -> None:
    made = (await http.post("webhooks", json={"url": HOOK})).json()
    answer = await http.get(f"webhooks/{made['id']}/dead", params={"cursor": "nonsense"})
    assert answer.status_code == 422
    assert (await http.get(f"webhooks/{made['id']}/dead")).json()["items"] == []


async def test_a_server_sends_and_its_metrics_say_how_far_each_endpoint_is(server: str, verifier: Verifier) -> None:
    async with receiving() as receiver, httpx.AsyncClient(base_url=server) as http:
        made = await verifier.add_webhook(receiver.url)
        claim = await verifier.assert_claim("The letter is authentic", source="AFP")
        [received] = await receiver.got(1)
        received.checked(made.secret)
        assert received.data["claim"] == claim.id
        async with asyncio.timeout(10):
            while True:
                lines = (await http.get("/metrics")).text.splitlines()
                if f'verifier_webhook_position{{endpoint="{made.id}"}} {float(claim.position)}' in lines:
                    break
        assert f'verifier_webhook_enabled{{endpoint="{made.id}"}} 1.0' in lines
        assert "verifier_webhooks_running 1.0" in lines


# --- at the command line ---------------------------------------------------------------------------


def run(*args: str, code: int = 0) -> str:
    """Run a command; return what it prints."""
    result = CliRunner().invoke(app, args, env={"COLUMNS": "200", "VERIFIER_ACTOR": "ada"})
    assert result.exit_code == code, result.output
    return result.output


def made_at(place: str, *args: str) -> dict[str, Any]:
    """Add an endpoint; return what was answered."""
    answer: dict[str, Any] = json.loads(run("webhooks", "add", HOOK, *args, "-o", "json", "--log", place))
    return answer


def test_the_command_line_does_all_of_it_without_a_server(place: str) -> None:
    run("assert-claim", "The letter is authentic", "--source", "AFP", "--key", "letter", "--log", place)
    made = made_at(place, "--status", "denied", "--recalls", "--source", "AFP")
    short = made["id"][-6:]
    listed = run("webhooks", "list", "--log", place)
    assert short in listed
    assert "status denied, recalls" in listed
    assert "whsec_" not in listed
    assert "whsec_" in run("webhooks", "rotate", short, "--log", place)
    assert "Nothing was given up" in run("webhooks", "dead", short, "--log", place)
    assert "0 messages due now" in run("webhooks", "replay", short, "--log", place)
    assert f"webhook {short} waiting" in run("doctor", "--log", place)
    assert "forgotten" in run("webhooks", "remove", short, "--log", place)
    assert "Nobody is sent anything" in run("webhooks", "list", "--log", place)
    assert "look it up" in run("webhooks", "remove", short, "--log", place, code=1)


def test_the_command_line_goes_to_the_server_that_has_the_log(log_place: str) -> None:
    with served(log_place) as serving:
        made = made_at(log_place)
        assert made["id"][-6:] in run("webhooks", "list", "--log", serving.address)
        assert f"webhook {made['id'][-6:]} position" in run("doctor", "--log", serving.address)


def test_a_log_without_webhooks_has_none_and_no_file_for_them(log_place: str, tmp_path: Any) -> None:
    run("assert-claim", "The letter is authentic", "--source", "AFP", "--key", "letter", "--log", log_place)
    assert "Nobody is sent anything" in run("webhooks", "list", "--log", log_place)
    assert not list(tmp_path.glob("*webhooks*"))
