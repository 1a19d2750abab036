"""What if: how a claim would stand with a fact that nobody records, and nothing is left of the question."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest

from verifier.client import Verifier
from verifier.errors import Conflict, Invalid, NotFound, Refused

Asked = Callable[[Any, Any, Any], Awaitable[Any]]


@pytest.fixture(params=["embedded", "server"])
async def verifier(request: pytest.FixtureRequest) -> AsyncIterator[Verifier]:
    """A client of a log in this process, and one of a server."""
    url = "memory:" if request.param == "embedded" else request.getfixturevalue("server")
    async with Verifier.open(url) as opened:
        yield opened


async def everything(verifier: Verifier) -> list[Any]:
    return [event async for event in verifier.events()]


async def test_a_denial_that_nobody_recorded_is_answered_and_forgotten(verifier: Verifier) -> None:
    plan = await verifier.assert_claim("The US plans to withdraw", source="AFP", origin="the letter")
    before = await everything(verifier)

    stands = await verifier.what_if.deny(plan, source="Mark Esper")

    assert (stands.status, stands.effect) == ("denied", "counted: denial, named, on the record")
    assert stands.explanation.startswith("Denied by Mark Esper")
    assert stands.basis.speculative
    assert (stands.recorded, stands.written_at) == ((), 0)
    assert (stands.position, stands.basis.position) == (plan.position, plan.basis.position)
    assert await everything(verifier) == before
    again = await verifier.claim(plan)
    assert (again.status, again.basis.speculative) == ("asserted", False)


VERBS: dict[str, tuple[Asked, str, str]] = {
    "assert_claim": (lambda v, plan, other: v.assert_claim(plan, source="Reuters"), "corroborated", "new origin"),
    "corroborate": (lambda v, plan, other: v.corroborate(plan, source="AFP", origin="it"), "corroborated", "counted"),
    "note": (lambda v, plan, other: v.note(plan, source="AFP", kind="query"), "asserted", "noted: query"),
    "retract": (lambda v, plan, other: v.retract(plan, plan.statement, by="AFP"), "retracted", "became retracted"),
    "correct": (lambda v, plan, other: v.correct(plan, plan.statement, stance="denied"), "denied", "put right"),
    "undo": (lambda v, plan, other: v.withdraw_statement(plan, plan.statement), "unassessed", "became unassessed"),
    "attach": (lambda v, plan, other: v.attach(plan, b"a letter"), "asserted", "evidence attached"),
    "adjudicate": (lambda v, plan, other: v.adjudicate(plan, "false", reason="we asked"), "asserted", "verdict"),
    "link": (lambda v, plan, other: v.link(plan, other, kind="contradicts"), "asserted", "linked"),
    "reword": (lambda v, plan, other: v.reword(plan, "The US will withdraw", reason="as it says"), "asserted", "rew"),
    "merge": (lambda v, plan, other: v.merge(plan, other), "merged", "merged"),
    "withdraw": (lambda v, plan, other: v.withdraw(plan, reason="a mistake"), "withdrawn", "withdrawn"),
    "erase": (lambda v, plan, other: v.erase(plan, plan.statement, slot="identity", basis="court_order"),
              "asserted", "text erased"),
}  # fmt: skip


@pytest.mark.parametrize("verb", VERBS)
async def test_every_verb_says_what_recording_it_then_comes_to(embedded: Verifier, verb: str) -> None:
    ask, status, effect = VERBS[verb]
    plan = await embedded.assert_claim("The US plans to withdraw", source="AFP", origin="the letter")
    other = await embedded.assert_claim("The letter is authentic", source="AFP")
    before = await everything(embedded)

    stands = await ask(embedded.what_if, plan, other)

    assert (stands.status, stands.basis.speculative) == (status, True)
    assert effect in stands.effect
    assert await everything(embedded) == before
    done = await ask(embedded, plan, other)
    assert (done.status, done.rule, done.counts, done.effect) == (
        stands.status,
        stands.rule,
        stands.counts,
        stands.effect,
    )


async def test_the_key_of_a_question_is_still_free(verifier: Verifier) -> None:
    plan = await verifier.assert_claim("The US plans to withdraw", source="AFP")

    asked = await verifier.what_if.deny(plan, source="Mark Esper", key="esper")
    recorded = await verifier.corroborate(plan, source="Reuters", key="esper")

    assert (asked.status, recorded.status) == ("denied", "corroborated")
    assert recorded.effect.startswith("counted: new origin")


async def test_the_bytes_of_a_document_are_not_kept(verifier: Verifier) -> None:
    plan = await verifier.assert_claim("The US plans to withdraw", source="AFP")

    await verifier.what_if.attach(plan, b"a letter that nobody keeps")

    with pytest.raises(NotFound):
        await verifier.evidence(hashlib.sha256(b"a letter that nobody keeps").hexdigest())


async def test_what_would_be_refused_is_refused(verifier: Verifier) -> None:
    plan = await verifier.assert_claim("The US plans to withdraw", source="AFP")
    plan = await verifier.withdraw(plan, reason="a mistake")

    with pytest.raises(Refused, match="withdrawn"):
        await verifier.what_if.deny(plan, source="Mark Esper")
    with pytest.raises(NotFound):
        await verifier.what_if.deny("clm_" + "a" * 26, source="Mark Esper")
    with pytest.raises(Conflict):
        await verifier.what_if.deny(plan, source="Mark Esper", if_match=plan.position - 1)
    with pytest.raises(Invalid, match="a claim that exists"):
        await verifier.what_if.register("The letter was sent")
    with pytest.raises(Invalid, match="a claim that exists"):
        await verifier.what_if.adopt_policy("strict")


async def test_what_is_asked_is_asked_under_the_policy_in_force(embedded: Verifier) -> None:
    plan = await embedded.assert_claim("The US plans to withdraw", source="AFP")
    plan = await embedded.corroborate(plan, source="Reuters")
    await embedded.adopt_policy("strict")

    stands = await embedded.what_if.corroborate(plan, source="AP")

    assert (stands.status, stands.computed.policy) == ("corroborated", "strict/1")


async def test_a_server_answers_without_an_etag_that_a_write_could_take(http: httpx.AsyncClient) -> None:
    body = {"text": "The US plans to withdraw", "statement": {"type": "claim.asserted", "source": "AFP"}}
    plan = (await http.post("claims", json=body)).json()

    response = await http.post(f"claims/{plan['id']}/what-if", json={"type": "claim.denied", "source": "Mark Esper"})

    assert response.json()["computed"]["status"] == "denied"
    assert "etag" not in response.headers
    counted = (await http.get(str(http.base_url).replace("/api/v1/", "/metrics"))).text
    assert 'fact="claim.registered"' in counted
    assert 'fact="claim.denied"' not in counted
