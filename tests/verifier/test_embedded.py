"""The client's port without HTTP: the same routes, the same answers, the same problems."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from serving import served

from verifier.embedded import EmbeddedPort, open_embedded
from verifier.errors import Invalid, KeyReused, NotFound, ReadOnly

LETTER = b"We respect your sovereign decision."
HASH = hashlib.sha256(LETTER).hexdigest()


@pytest.fixture
async def port(log_place: str) -> AsyncIterator[EmbeddedPort]:
    """A log on disk, open in this process."""
    opened = await open_embedded(log_place, actor="ada")
    try:
        yield opened
    finally:
        await opened.close()


async def write(port: EmbeddedPort, path: str, key: str, **body: Any) -> dict[str, Any]:
    return await port.write("POST", path, body, key=key, if_match=None)


async def test_what_was_written_is_read_at_once(port: EmbeddedPort) -> None:
    for n in range(20):
        written = await write(
            port, "/claims", f"k{n}", text=f"claim {n}", statement={"type": "claim.asserted", "source": "AFP"}
        )

        read = await port.read(f"/claims/{written['id']}", {})
        listed = await port.read("/claims", {"limit": 1})

        assert (read["position"], read["computed"]["status"]) == (written["position"], "asserted")
        assert listed["items"][0]["id"] == written["id"]


async def test_answers_are_plain_json(port: EmbeddedPort) -> None:
    written = await write(port, "/claims", "k", text="A claim", statement={"type": "claim.asserted", "source": "AFP"})

    assert written["computed"]["grounds"]["shown"][0]["attribution"] == "on_record"
    assert _plain(written)


def _plain(value: object) -> bool:
    match value:
        case dict():
            return all(isinstance(key, str) and _plain(inner) for key, inner in value.items())
        case list():
            return all(map(_plain, value))
        case _:
            return value is None or isinstance(value, str | int | bool)


async def test_a_key_is_recorded_once_and_for_one_command(port: EmbeddedPort) -> None:
    first = await write(port, "/claims", "once", text="A claim")

    again = await write(port, "/claims", "once", text="A claim")

    assert (again["statement"], again["effect"]) == (first["statement"], "already recorded")
    with pytest.raises(KeyReused):
        await write(port, "/claims", "once", text="Another claim")


async def test_a_name_in_a_path_is_read_as_it_was_quoted(port: EmbeddedPort) -> None:
    await write(port, "/sources", "k", name="AP/Reuters pool, 50 %")

    shown = await port.read("/sources/AP%2FReuters%20pool%2C%2050%20%25", {})

    assert shown["name"] == "AP/Reuters pool, 50 %"


async def test_a_batch_answers_each_line_by_itself(port: EmbeddedPort) -> None:
    answers = await port.batch(
        [
            {"key": "1", "type": "claim.registered", "text": "one"},
            {"key": "2", "type": "claim.registered", "text": "\ud800"},
            {"key": "3", "type": "claim.registered", "text": "three"},
        ]
    )

    assert [(answer["key"], answer["ok"]) for answer in answers] == [("1", True), ("2", False), ("3", True)]
    assert "surrogate" in answers[1]["problem"]["detail"]
    assert len((await port.read("/claims", {}))["items"]) == 2


async def test_a_feed_hands_over_changes_and_events(port: EmbeddedPort) -> None:
    written = await write(port, "/claims", "k", text="A claim", statement={"type": "claim.asserted", "source": "AFP"})

    change = await anext(port.feed("/feed", {"after": 0, "claim": written["id"]}))
    event = await anext(port.feed("/events", {"after": 2}))

    assert change["position"] == written["written_at"]
    assert change["changes"][0]["status"] == "asserted"
    assert event["id"] == written["statement"]


@pytest.mark.parametrize("params", [{"after": 10_000}, {"after": 0, "colour": "red"}])
async def test_a_feed_that_can_t_begin_says_why(port: EmbeddedPort, params: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        await anext(port.feed("/feed", params))


async def test_bytes_are_given_back_or_not_held(port: EmbeddedPort) -> None:
    with pytest.raises(NotFound):
        await port.get_bytes(HASH)

    await port.put_bytes(HASH, LETTER, "text/plain")

    assert await port.get_bytes(HASH) == LETTER
    with pytest.raises(Invalid):
        await port.put_bytes(HASH, b"other bytes", "text/plain")


async def test_a_path_that_is_none_is_not_found(port: EmbeddedPort) -> None:
    with pytest.raises(NotFound):
        await port.read("/nothing", {})
    with pytest.raises(NotFound):
        await write(port, "/nothing", "k")


async def test_a_log_that_a_server_has_can_only_be_written_there(log_place: str) -> None:
    with served(log_place) as serving:
        with pytest.raises(ReadOnly) as raised:
            await open_embedded(log_place)
        beside = await open_embedded(log_place, read_only=True)
        health = await beside.read("/health", {})
        await beside.close()

    assert raised.value.extra["address"] == serving.address
    assert health["head"] == 1


@pytest.mark.parametrize("url", ["newsroom.db", "sqlite://", "mysql:///newsroom", "sqlite:////nowhere/at/all.db"])
async def test_what_names_no_log_is_refused(url: str) -> None:
    with pytest.raises(Invalid):
        await open_embedded(url)


async def test_a_quote_from_a_damaged_snapshot_is_refused_with_what_to_do(tmp_path: Path) -> None:
    place = tmp_path / "newsroom.db"
    port = await open_embedded(f"sqlite:///{place}", actor="ada")
    try:
        await port.put_bytes(HASH, LETTER, "text/plain")
        (place.with_suffix(".evidence") / HASH[:2] / HASH).write_bytes(b"something else")
        said = {"type": "claim.asserted", "source": "AFP", "quote": {"exact": "We respect", "document": HASH}}

        with pytest.raises(Invalid, match="put the snapshot again, or erase it"):
            await write(port, "/claims", "k", text="A claim", statement=said)

        assert (await port.read("/health", {}))["head"] == 1
    finally:
        await port.close()
