"""The client: one API for a server and a log in this process, complete and light."""

from __future__ import annotations

import hashlib
import inspect
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import fields
from functools import partial
from itertools import count
from typing import Any

import anyio
import pytest

import verifier
from verifier.answers import Done, Written
from verifier.client import Verifier, batch, wire
from verifier.client.batch import Batch, Item
from verifier.commands import (
    COMMANDS,
    VERBS,
    AdoptPolicy,
    Corroborate,
    Deny,
    Erase,
    MergeOrigins,
    Quotation,
    RegisterClaim,
    RegisterSource,
    UpdateSource,
    When,
)
from verifier.errors import (
    PROBLEMS,
    Busy,
    Conflict,
    DuplicateClaim,
    Internal,
    Invalid,
    KeyReused,
    NotFound,
    Refused,
    TooLarge,
)

CLAIM = "clm_" + "a" * 26
_fresh = count()


def text() -> str:
    """Return a wording that is not taken yet."""
    return f"It is so, says test {next(_fresh)}"


@pytest.fixture(params=["asyncio server", "trio server", "asyncio memory"])
def place(request: pytest.FixtureRequest) -> tuple[str, str]:
    """Where the same tests run: the event loop, and the log's URL."""
    backend, _, where = request.param.partition(" ")
    return backend, request.getfixturevalue("server") if where == "server" else "memory:"


def tell(place: tuple[str, str], story: Any) -> None:
    """Run a test's story with an open verifier."""

    async def told(url: str) -> None:
        with anyio.fail_after(20):
            async with Verifier.open(url) as opened:
                await story(opened)

    anyio.run(told, place[1], backend=place[0])


# --- its shape -----------------------------------------------------------------------------------------


def test_every_command_has_a_verb_with_all_its_fields() -> None:
    for verb, type_name in VERBS.items():
        own = {field.name for field in fields(COMMANDS[type_name])} - {"type", "causation", "correlation"}
        taken = inspect.signature(getattr(Verifier, verb)).parameters
        # assert_claim registers a claim as well, with the fields that a first statement leaves room for
        missing = {name for name in own if name not in taken}
        assert not missing, f"{verb} does not take {missing}"
        assert {"key", "if_match"} <= set(taken), verb
        assert inspect.getdoc(getattr(Verifier, verb)), verb


def test_every_public_method_says_what_it_does() -> None:
    silent = [name for name, method in inspect.getmembers(Verifier) if name[0] != "_" and not inspect.getdoc(method)]

    assert silent == []


def test_importing_the_client_loads_nothing_of_the_server() -> None:
    script = (
        "import json, sys, verifier.client;"
        "print(json.dumps(sorted(m for m in sys.modules if m.split('.')[0] in"
        " ('verifier', 'events', 'fastapi', 'starlette', 'sqlmodel', 'sqlalchemy', 'uvicorn', 'typer', 'jinja2'))))"
    )

    loaded = json.loads(subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout)

    ours = {name for name in loaded if not name.startswith("verifier.client")}
    assert ours == {
        "events", "events.contracts", "events.errors", "events.leaf",
        "verifier", "verifier.answers", "verifier.commands", "verifier.errors", "verifier.keys", "verifier.naming",
    }  # fmt: skip


def test_importing_the_package_does_not_import_the_client() -> None:
    script = "import sys, verifier; assert 'verifier.client' not in sys.modules; verifier.Verifier"

    subprocess.run([sys.executable, "-c", script], check=True)


def test_the_package_offers_the_client() -> None:
    assert verifier.Verifier is Verifier
    with pytest.raises(AttributeError, match="Verifyer"):
        verifier.Verifyer  # noqa: B018 # the attribute is looked up for its error


# --- its words on the wire -------------------------------------------------------------------------------


def test_what_was_left_out_of_a_command_is_not_sent() -> None:
    command = Deny(
        source="Mark Esper", occurred=When(at="2020-01-06", basis="inferred"), quote=Quotation(exact="no plans")
    )

    assert wire.body(command) == {
        "type": "claim.denied",
        "source": "Mark Esper",
        "via": (),
        "documents": (),
        "attribution": "on_record",
        "extent": "whole",
        "occurred": {"at": "2020-01-06", "basis": "inferred"},
        "quote": {"exact": "no plans"},
    }


def test_one_name_is_not_taken_for_its_letters() -> None:
    assert wire.names("AFP") == ("AFP",)
    assert wire.names(["AFP", "Reuters"]) == ("AFP", "Reuters")


@pytest.mark.parametrize(
    ("command", "on", "path"),
    [
        (RegisterClaim(text="It is so"), None, "/claims"),
        (Deny(source="x"), CLAIM, f"/claims/{CLAIM}/events"),
        (MergeOrigins(kept="a", merged="b"), "sto_" + "a" * 26, f"/stories/sto_{'a' * 26}/events"),
        (
            Erase(event="evt_x", slot="identity", basis="court_order"),
            "src_" + "b" * 26,
            f"/sources/src_{'b' * 26}/events",
        ),
        (UpdateSource(source="AFP/Paris", name="AFP"), None, "/sources/AFP%2FParis/events"),
        (AdoptPolicy(policy="strict"), None, "/policies"),
    ],
)
def test_a_command_goes_where_its_subject_is(command: Any, on: str | None, path: str) -> None:
    assert wire.path_of(command, on) == path


def test_a_command_on_nothing_is_refused_before_it_is_sent() -> None:
    with pytest.raises(Invalid, match="say on what"):
        wire.path_of(Deny(source="x"), None)


@pytest.mark.parametrize("slug", PROBLEMS)
def test_every_problem_becomes_its_exception_with_all_its_fields(slug: str) -> None:
    sent = {"rule": "closed", "claim": CLAIM, "position": 7, "key": "k", "field": "text", "request_id": "r"}

    problem = wire.problem(
        {"type": f"https://docs.example/problems/{slug}", "detail": "because", "status": 400, **sent}
    )

    assert type(problem) is PROBLEMS[slug]
    assert problem.detail == "because"
    assert problem.extra == sent


@pytest.mark.parametrize("slug", PROBLEMS)
def test_a_problem_that_lacks_its_fields_is_still_that_problem(slug: str) -> None:
    assert type(wire.problem({"type": f"/problems/{slug}"}, key="k")) is PROBLEMS[slug]


@pytest.mark.parametrize(
    ("status", "kind"), [(404, NotFound), (413, TooLarge), (418, Invalid), (429, Busy), (503, Busy), (500, Internal)]
)
def test_a_problem_of_an_unknown_type_becomes_what_its_status_says(status: int, kind: type[Exception]) -> None:
    assert type(wire.problem({"type": "/problems/from-the-future"}, status=status)) is kind


class Counting:
    """A port that counts what one request holds. It answers nothing, so nothing else of a port is needed."""

    def __init__(self) -> None:
        self.requests: list[tuple[int, int]] = []

    async def batch(self, lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
        self.requests.append((len(lines), len(wire.encode_lines(lines))))
        return []


@pytest.mark.parametrize(("length", "number"), [(1, 2_500), (9_000, 300), (700, 1_600)])
def test_a_batch_is_cut_into_requests_that_a_server_takes(length: int, number: int) -> None:
    port = Counting()

    async def story() -> None:
        sent = Batch(port, "k")  # type: ignore[arg-type] # a port that can do nothing but this
        for _ in range(number):
            await sent.add(RegisterClaim(text="x" * length))
        await sent.flush()

    anyio.run(story)

    assert sum(lines for lines, _ in port.requests) == number
    assert all(lines <= batch.LINES and size <= batch.BYTES for lines, size in port.requests)
    assert len(port.requests) <= 4


# --- what it does, on a server and in this process ---------------------------------------------------------


def test_the_withdrawal_letter_is_authentic_and_its_content_is_denied(place: tuple[str, str]) -> None:
    async def story(verifier: Verifier) -> None:
        name = text()
        plan = await verifier.assert_claim(
            "The United States plans to withdraw its forces from Iraq", source="Brig. Gen. William Seely",
            origin="the letter", attribution="documentary", via="AFP", story=name,
        )  # fmt: skip
        letter = await verifier.assert_claim(
            "The letter is authentic", source="AFP", origin="a copy seen by AFP", attribution="documentary", story=name
        )
        letter = await verifier.corroborate(
            letter, source="a senior Pentagon official", attribution="anonymous", via=["Newsweek"]
        )
        plan = await verifier.deny(plan, source="Mark Esper")

        assert (plan.status, letter.status) == ("denied", "corroborated")
        assert "Mark Esper" in plan.explanation
        assert await verifier.claim(plan) == (await verifier.claim(plan.id))
        assert [statement.type async for statement in verifier.statements(plan)] == ["claim.asserted", "claim.denied"]

    tell(place, story)


def test_a_caller_reads_its_own_writes(place: tuple[str, str]) -> None:
    async def story(verifier: Verifier) -> None:
        for _ in range(20):
            written = await verifier.register(text())

            read = await verifier.claim(written)

            assert (read.position, read.behind) == (written.position, False)
            assert (await anext(verifier.claims())).id == written.id

    tell(place, story)


def test_the_same_key_records_once_and_another_command_may_not_have_it(place: tuple[str, str]) -> None:
    async def story(verifier: Verifier) -> None:
        claim = await verifier.register(text())
        key = f"denial-{claim.id}"

        first = await verifier.deny(claim, source="Mark Esper", key=key)
        again = await verifier.deny(claim, source="Mark Esper", key=key)

        assert (again.statement, again.written_at, again.key) == (first.statement, first.written_at, key)
        with pytest.raises(KeyReused):
            await verifier.deny(claim, source="Somebody else", key=key)

    tell(place, story)


def test_a_problem_brings_what_is_needed_to_act_on_it(place: tuple[str, str]) -> None:
    async def story(verifier: Verifier) -> None:
        wording = text()
        claim = await verifier.assert_claim(wording, source="AFP")
        moved = await verifier.deny(claim, source="Mark Esper", if_match=claim.position)

        with pytest.raises(DuplicateClaim) as duplicate:
            await verifier.register(wording)
        with pytest.raises(Conflict) as conflict:
            await verifier.deny(claim, source="Mark Esper", if_match=claim.position)
        with pytest.raises(NotFound):
            await verifier.claim(CLAIM)
        with pytest.raises(Invalid, match="source"):
            await verifier.deny(claim, source="")
        opinion = await verifier.register(text(), kind="opinion", checkable=False)
        with pytest.raises(Refused) as refused:
            await verifier.deny(opinion, source="Mark Esper")

        assert duplicate.value.claim == claim.id
        assert conflict.value.position == moved.position
        assert refused.value.rule

    tell(place, story)


@pytest.mark.parametrize("key", ["", "a b", "ä", "x" * 129, "a\nb"])
def test_a_key_that_no_header_can_carry_is_refused_everywhere(place: tuple[str, str], key: str) -> None:
    async def story(verifier: Verifier) -> None:
        with pytest.raises(Invalid, match="visible ASCII"):
            await verifier.register(text(), key=key)

    tell(place, story)


def test_a_new_claims_fields_are_not_silently_dropped_for_a_claim_that_exists(place: tuple[str, str]) -> None:
    async def story(verifier: Verifier) -> None:
        claim = await verifier.register(text())

        with pytest.raises(Invalid, match="for a new claim"):
            await verifier.assert_claim(claim, source="AFP", story="iraq-letter")

    tell(place, story)


def test_a_snapshot_is_attached_by_its_bytes_and_read_back(place: tuple[str, str]) -> None:
    async def story(verifier: Verifier) -> None:
        data = f"MEMORANDUM FOR {text()}".encode()
        sha256 = hashlib.sha256(data).hexdigest()
        claim = await verifier.register(text())

        await verifier.attach(claim, data, shows="the letter")

        assert await verifier.evidence(sha256) == data
        with pytest.raises(NotFound):
            await verifier.evidence("0" * 64)
        with pytest.raises(Invalid, match="leave sha256 and size out"):
            await verifier.attach(claim, data, sha256=sha256)
        with pytest.raises(Invalid, match="one of the two"):
            await verifier.attach(claim, sha256=sha256)

    tell(place, story)


def test_a_verdict_names_what_the_editor_had_in_front_of_them(place: tuple[str, str]) -> None:
    async def story(verifier: Verifier) -> None:
        before = await verifier.assert_claim(text(), source="AFP")
        await verifier.deny(before, source="Mark Esper")

        judged = await verifier.adjudicate(before, "false", reason="The Secretary says so")

        assert judged.verdict == "false"
        assert judged.computed.verdict is not None
        assert judged.computed.verdict["seen"] == before.position

    tell(place, story)


def test_sources_stories_and_policies_are_answered_as_done(place: tuple[str, str]) -> None:
    async def story(verifier: Verifier) -> None:
        name = text()

        source = await verifier.register_source(name, kind="person", aliases=f"the {name}")
        updated = await verifier.update_source(name, role="official")
        opened = await verifier.open_story(name)
        policies = {policy["in_force"]: policy["id"] for policy in await verifier.policies()}
        adopted = await verifier.adopt_policy(policies[False])
        back = await verifier.adopt_policy(policies[True])

        assert all(isinstance(answer, Done) for answer in (source, updated, opened, adopted, back))
        assert updated.id == source.id
        assert (await verifier.source(source.id)).name == name
        assert (await verifier.source(f"the {name}")).id == source.id
        assert (await verifier.story(opened.id)).title == name
        assert source.id in [each.id async for each in verifier.sources()]
        assert opened.id in [each.id async for each in verifier.stories()]

    tell(place, story)


def test_a_batch_answers_every_command_in_its_order(place: tuple[str, str]) -> None:
    async def commands(claim: Written) -> AsyncIterator[Item]:
        yield RegisterClaim(text=text())
        yield claim, Corroborate(source="AFP")
        yield CLAIM, Corroborate(source="AFP")
        yield RegisterSource(name=text())
        yield claim.id, Deny(source="Mark Esper")

    async def story(verifier: Verifier) -> None:
        claim = await verifier.register(text())

        first, second, third, fourth, fifth = await verifier.batch(commands(claim))

        assert isinstance(first, Done)
        assert isinstance(second, Done)
        assert isinstance(third, NotFound)
        assert isinstance(fourth, Done)
        assert isinstance(fifth, Done)
        assert (second.status, fifth.status) == ("asserted", "denied")
        assert await verifier.batch([]) == []

    tell(place, story)


def test_a_line_that_is_too_large_is_answered_in_its_place(place: tuple[str, str]) -> None:
    async def story(verifier: Verifier) -> None:
        first, second, third = await verifier.batch(
            [RegisterClaim(text=text()), RegisterClaim(text="x" * 70_000), RegisterClaim(text=text())]
        )

        assert isinstance(first, Done)
        assert isinstance(second, TooLarge | Invalid)
        assert isinstance(third, Done)

    tell(place, story)


def test_a_cancelled_caller_gives_back_what_it_holds(place: tuple[str, str]) -> None:
    async def story(verifier: Verifier) -> None:
        with anyio.CancelScope() as scope:
            async with Verifier.open(place[1]) as other, other.feed(after=0) as changes:
                scope.cancel()
                await anext(changes)

        assert changes.position == 0
        with pytest.raises(RuntimeError, match="async with"):
            await other.health()

    tell(place, story)


def test_lists_go_on_from_page_to_page(place: tuple[str, str]) -> None:
    async def story(verifier: Verifier) -> None:
        name = text()
        await verifier.open_story(name)
        made = await verifier.batch(RegisterClaim(text=f"{name} {n}", story=name) for n in range(450))
        ids = {answer.id for answer in made if isinstance(answer, Done)}

        listed = [claim.id async for claim in verifier.claims(story=name)]
        before = min(answer.written_at for answer in made if isinstance(answer, Done)) - 1
        events = [event.position async for event in verifier.events(after=before)]

        assert len(listed) == len(ids) == 450
        assert set(listed) == ids
        assert events[:450] == list(range(before + 1, before + 451))

    tell(place, story)


def test_a_feed_tells_each_change_of_a_claim(place: tuple[str, str]) -> None:
    async def story(verifier: Verifier) -> None:
        claim = await verifier.register(text())
        async with verifier.feed(claim=claim) as changes:
            first = await verifier.corroborate(claim, source="AFP")
            second = await verifier.deny(claim, source="Mark Esper")

            told = [await anext(changes), await anext(changes)]

            assert [(change.position, change.status) for change in told] == [
                (first.written_at, "asserted"),
                (second.written_at, "denied"),
            ]
            assert changes.position == second.written_at
        history = [change.status async for change in verifier.history(claim)]
        assert sorted(history)[-2:] == sorted(["asserted", "denied"])[-2:]

    tell(place, story)


def test_a_wait_for_a_feed_that_is_given_up_loses_nothing(place: tuple[str, str]) -> None:
    async def story(verifier: Verifier) -> None:
        claim = await verifier.register(text())
        async with verifier.feed(claim=claim) as changes:
            with anyio.move_on_after(0.05) as scope:
                await anext(changes)
            denied = await verifier.deny(claim, source="Mark Esper")

            change = await anext(changes)

        assert scope.cancelled_caught
        assert change.cause == denied.statement

    tell(place, story)


def test_events_are_followed_from_any_position(place: tuple[str, str]) -> None:
    async def story(verifier: Verifier) -> None:
        claim = await verifier.register(text())
        denied = await verifier.deny(claim, source="Mark Esper")

        async with verifier.follow_events(after=claim.written_at) as events:
            event = await anext(events)

        assert (event.position, event.id, event.type) == (denied.written_at, denied.statement, "claim.denied")

    tell(place, story)


def test_many_tasks_share_one_client(place: tuple[str, str]) -> None:
    async def story(verifier: Verifier) -> None:
        claim = await verifier.register(text())

        async with anyio.create_task_group() as group:
            for n in range(64):
                group.start_soon(partial(verifier.corroborate, claim, source=f"outlet {n}"))

        assert (await verifier.claim(claim)).counts.support_origins == 64

    tell(place, story)


def test_a_verifier_that_is_not_open_says_how_to_open_it() -> None:
    async def story() -> None:
        with pytest.raises(RuntimeError, match="async with"):
            await Verifier("http://127.0.0.1:8750").health()

    anyio.run(story)


def test_a_server_is_not_told_who_writes() -> None:
    async def story() -> None:
        with pytest.raises(Invalid, match="token"):
            async with Verifier("http://127.0.0.1:8750", actor="somebody"):
                pass

    anyio.run(story)
