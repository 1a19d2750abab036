"""The past, what if, attesting and replaying, on the command line."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from newsroom import Newsroom
from typing_commands import Desk, desk, log, on_log, plan

from events.open import open_log
from verifier.policy import POLICIES

__all__ = ["desk", "log", "on_log"]  # fixtures


def denied(desk: Desk) -> dict[str, Any]:
    """Record a claim that was asserted and then denied; return it as it was asserted."""
    claim: dict[str, Any] = plan(desk)
    desk("deny", claim["id"], "--source", "Mark Esper")
    return claim


def test_every_list_has_a_past(desk: Desk) -> None:
    claim = denied(desk)
    at = claim["basis"]["position"]

    assert [one["computed"]["status"] for one in desk.json("claims", "--as-of", at)] == ["asserted"]
    assert [one["computed"]["status"] for one in desk.json("claims", "--policy", "majority")] == ["disputed"]
    assert [one["status"] for one in desk.json("history", claim["id"], "--as-of", at)] == ["asserted"]
    assert [one["status"] for one in desk.json("history", claim["id"], "--policy", "latest")] == ["asserted", "denied"]
    assert [one["type"] for one in desk.json("events", claim["id"], "--as-of", at)][-1] == "claim.asserted"
    assert [one["by_status"] for one in desk.json("stories", "--as-of", at)] == [{"asserted": 1}]
    assert desk.json("sources", "AFP", "--as-of", at)["standing"] == {"support": {"asserted": 1}}
    assert [one["computed"]["status"] for one in desk.json("stories", "iraq-letter", "--as-of", at)] == ["asserted"]


def test_a_verb_with_what_if_records_nothing(desk: Desk) -> None:
    claim = plan(desk)

    stands = desk.json("deny", claim["id"], "--source", "Mark Esper", "--what-if")
    shown = desk("retract", claim["id"], claim["statement"], "--by", "AFP", "--what-if").stdout

    assert (stands["computed"]["status"], stands["basis"]["speculative"]) == ("denied", True)
    assert "nothing: this is what would be" in shown
    assert desk.json("show", claim["id"])["computed"]["status"] == "asserted"
    wrong = desk("assert-claim", "Another claim", "--source", "AFP", "--what-if", code=1)
    assert "a claim that exists" in wrong.stderr


def test_a_log_is_attested_and_a_replay_agrees(on_log: Desk) -> None:
    denied(on_log)

    attested = on_log.json("attest")
    again = on_log.json("attest")
    replayed = on_log.json("replay", "--as-of", attested["at"])

    assert attested == again
    assert (attested["root"], attested["at"]) == (replayed["digest"], attested["position"] - 1)
    assert on_log.json("replay")["attested"] == 1
    assert "1 root compared, none another" in on_log("replay").stdout


def test_a_replay_ends_with_3_where_what_was_attested_is_not_so(on_log: Desk, log: str) -> None:
    denied(on_log)

    async def forge() -> None:
        async with await open_log(log) as opened:
            await Newsroom(opened).attest(2, "0" * 64)

    asyncio.run(forge())

    ended = on_log("replay", code=3)

    assert "what position 6 attests of position 2 is not what the facts give" in ended.stderr


def test_a_replay_shows_which_claims_stand_otherwise_under_another_policy(on_log: Desk) -> None:
    claim = denied(on_log)
    plan(on_log, "The letter is authentic")

    found = on_log.json("replay", "--diff", "majority")
    lines = [json.loads(line) for line in on_log("replay", "--diff", "majority", "-o", "jsonl").stdout.splitlines()]
    table = on_log("replay", "--diff", "majority").stdout
    other = on_log.json("replay", "--policy", "majority", "--diff", "majority")

    assert found["diff"]["counts"] == [{"status": "denied", "other": "disputed", "claims": 1}]
    assert [one["claim"] for one in found["otherwise"]] == [claim["id"]]
    assert lines[0] == found["otherwise"][0]
    assert lines[-1]["diff"] == found["diff"]
    assert "1 denied → disputed" in table
    assert (other["digest"], other["otherwise"]) == (found["diff"]["digest"], [])


@pytest.mark.parametrize("as_of", ["position", "time"])
def test_a_replay_goes_to_a_position_or_a_time(on_log: Desk, as_of: str) -> None:
    claim = denied(on_log)
    basis = claim["basis"]
    given = basis["position"] if as_of == "position" else basis["recorded_at"]

    replayed = on_log.json("replay", "--as-of", given)

    assert (replayed["position"], replayed["by_status"]) == (basis["position"], {"asserted": 1})


def test_what_can_not_be_asked_is_said(on_log: Desk, tmp_path: Path) -> None:
    plan(on_log)

    assert "no past" in on_log("sources", "--as-of", "2", code=1).stderr
    assert "--follow goes on" in on_log("events", "--as-of", "2", "--follow", code=1).stderr
    assert "beyond the head" in on_log("replay", "--as-of", "99", code=1).stderr
    assert all(policy in on_log("replay", "--diff", "nonsense", code=1).stderr for policy in POLICIES)
