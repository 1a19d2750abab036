"""init, fork and receipt: the key of a log, a log that goes on under a new name, and what somebody takes home."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from serving import check_log, served
from typer.testing import CliRunner
from typing_commands import Desk, plan

import events.fork
from events.contracts import LogOpened
from events.fork import Forked
from events.keys import Keys
from events.log import Log
from events.open import open_log, tiles_of
from events.seals import Seals
from events.tiles import CHECKPOINT
from events.tlog import format_head, new_key, open_note, parse_head, parse_vkey, sign_note, split_note
from tests.events.making import everything
from tests.events.sealing import as_restored
from verifier.cli import app
from verifier.client import Verifier
from verifier.errors import NotSealed


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's state, which no test of ours may touch, is elsewhere."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("VERIFIER_SEAL_KEY", raising=False)
    return tmp_path / "state" / "verifier"


on_one_engine = pytest.mark.parametrize("place", ["sqlite"], indirect=True)
"""For what has nothing to do with where the log is kept."""


@pytest.fixture
def desk(place: str) -> Desk:
    """A desk on a log, on every engine that keeps anything."""
    return Desk(place)


def shown(desk: Desk, *typed: object) -> dict[str, str]:
    """Run a command that prints fields, and read them."""
    lines = [line.split("  ", 1) for line in desk(*typed).stdout.splitlines() if "  " in line]
    return {name.strip(): value.strip() for name, value in lines}


def sealed(place: str, of: str) -> None:
    """Serve a log until a claim of it is sealed."""

    async def work(address: str) -> None:
        async with Verifier(address) as verifier:
            await verifier.receipt(of)

    with served(place) as serving:
        asyncio.run(work(serving.address))


async def checkpoint_of(place: str) -> tuple[str, bytes]:
    """Return the log's id and the checkpoint that a server of it serves."""
    async with Verifier.open(place, read_only=True) as verifier:
        found = await verifier.checkpoint()
    return found.log, found.checkpoint.encode()


# --- init ------------------------------------------------------------------------------------------------


def test_init_makes_a_log_and_its_key_and_says_what_to_do_next(desk: Desk, state: Path) -> None:
    done = desk("init")

    log = desk.json("events")[0]["fact"]["log"]
    (key,) = (state / "keys").iterdir()
    assert key.name == f"{log}.key" and key.stat().st_mode & 0o777 == 0o600
    assert f"vkey        {log}+" in done.stdout
    assert "PRIVATE" not in done.output
    assert "verifier serve" in done.stderr


def test_a_key_is_made_for_a_log_that_a_server_has_open(desk: Desk, place: str, state: Path) -> None:
    with served(place):
        desk("init", "--name", "example.org/newsroom")

    assert len(list((state / "keys").iterdir())) == 1


def test_a_log_has_the_name_that_it_was_given(desk: Desk) -> None:
    told = shown(desk, "init", "--name", "example.org/newsroom")

    assert told["name"] == parse_vkey(told["vkey"]).name == "example.org/newsroom"


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        (["--name", "two words"], "can't be the name"),
        (["--rotate", "--retire"], "retire later"),
        (["--rotate", "--name", "x"], "keeps its name"),
        (["--rotate"], "make one with `verifier init`"),
        (["--retire"], "make one with `verifier init`"),
    ],
)
def test_init_says_what_can_not_be(desk: Desk, typed: list[str], why: str) -> None:
    assert why in desk("init", *typed, code=1).stderr


def test_a_second_key_is_not_made_by_mistake(desk: Desk) -> None:
    told = shown(desk, "init")

    assert "--rotate" in desk("init", code=1).stderr
    assert told["vkey"] in desk("init", "--rotate").stdout


def test_a_log_in_memory_and_one_at_a_server_have_no_key_file(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "gone with its process" in Desk("memory:")("init", code=1).stderr
    assert "on its machine" in Desk("http://127.0.0.1:9")("init", code=1).stderr
    monkeypatch.setenv("VERIFIER_SEAL_KEY", new_key("x"))
    refused = Desk("memory:")("init", code=1).stderr
    assert "unset it" in refused and "PRIVATE" not in refused


def test_a_key_in_the_environment_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    key = new_key("x")
    monkeypatch.setenv("VERIFIER_SEAL_KEY", key)

    for output in ("table", "json"):
        shown = CliRunner().invoke(app, ["config", "--output", output])
        assert shown.exit_code == 0 and "****" in shown.stdout
        assert key[-10:] not in shown.output


def test_a_key_is_changed_with_an_overlap(desk: Desk, place: str) -> None:
    first = shown(desk, "init")["vkey"]
    sealed(place, plan(desk)["id"])
    second = shown(desk, "init", "--rotate")["vkey"]
    assert "has not signed yet" in desk("init", "--retire", code=1).stderr

    sealed(place, plan(desk, "The letter is authentic")["id"])
    _, both = asyncio.run(checkpoint_of(place))
    told = shown(desk, "init", "--retire")
    sealed(place, plan(desk, "The letter was a draft")["id"])
    _, last = asyncio.run(checkpoint_of(place))

    assert told["vkey"] == second and "also signs" not in told
    assert open_note(both, [first, second])[1] == [first, second]
    assert open_note(last, [first, second])[1] == [second]


def test_a_lost_key_is_not_replaced_by_another(desk: Desk, place: str, state: Path) -> None:
    desk("init")
    sealed(place, plan(desk)["id"])
    for key in (state / "keys").iterdir():
        key.unlink()

    for typed in ([], ["--name", "example.org/newsroom"]):
        assert "verifier fork" in desk("init", *typed, code=1).stderr


# --- fork --------------------------------------------------------------------------------------------------


@pytest.fixture
def lost(desk: Desk, place: str, tmp_path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """A copy that lost the last facts that were sealed, and a claim that it still has."""
    desk("init")
    claim = plan(desk)
    sealed(place, plan(desk, "The letter is authentic", "Reuters")["id"])
    copy = f"sqlite:///{tmp_path}/copy.db"
    asyncio.run(_copied(place, copy))
    yield copy, claim


async def _copied(place: str, copy: str) -> None:
    async with await open_log(place, writable=False, create=None) as log:
        events = as_restored(await everything(log))[:-1]
    async with await open_log(copy, create="empty") as restored:
        await restored.restore(events)


async def _first(url: str) -> tuple[Log, LogOpened]:
    async with await open_log(url, writable=False, create=None) as log:
        (event, *_) = await everything(log)
        assert isinstance(event.fact, LogOpened)
        return log, event.fact


def fork(*typed: object, code: int = 0) -> str:
    """Fork, and return what was said."""
    result = CliRunner().invoke(app, ["fork", *map(str, typed)])
    assert result.exit_code == code, result.output
    return result.output


def refused(place: str, of: str) -> str:
    """Serve a log that signs nothing, and return why."""
    with pytest.raises(NotSealed) as error:
        sealed(place, of)
    return error.value.detail


def test_where_the_second_place_was_lost_nothing_is_signed_until_a_checkpoint_is_brought(
    lost: tuple[str, dict[str, Any]], place: str, state: Path, tmp_path: Path
) -> None:
    copy, claim = lost
    kept = tmp_path / "kept"
    kept.write_bytes(asyncio.run(checkpoint_of(place))[1])
    shutil.rmtree(state / "seals")

    assert "verifier init --resume FILE" in refused(copy, claim["id"])
    assert "verifier init --resume FILE" in refused(place, claim["id"])
    said = Desk(place)("init", "--resume", kept).stdout

    assert "start the server again" in said
    assert "verifier fork" in refused(copy, claim["id"])
    sealed(place, claim["id"])


def test_what_the_key_has_not_signed_is_not_resumed(desk: Desk, place: str, state: Path, tmp_path: Path) -> None:
    kept, other = tmp_path / "kept", tmp_path / "other"
    kept.touch()
    desk("init", "--resume", kept, code=1)
    assert not Path(place.removeprefix("sqlite:///")).exists()  # a mistyped URL makes no log
    plan(desk)
    no_key = desk("init", "--resume", kept, code=1).stderr
    desk("init")
    (seal,) = (state / "seals").glob("*.checkpoint")
    kept.write_bytes(seal.read_bytes())
    other.write_bytes(sign_note(format_head(seal.stem, 9, bytes(32)), [new_key(seal.stem)]))

    there = desk("init", "--resume", kept, code=1).stderr
    seal.unlink()
    foreign = desk("init", "--resume", other, code=1).stderr

    assert "put it back first" in no_key
    assert "the second place has a seal" in there
    assert "has signed no such checkpoint" in foreign
    assert not seal.exists()
    desk("init", "--resume", kept)
    assert seal.read_bytes() == kept.read_bytes()


def test_a_fork_says_what_was_sealed_goes_on_and_is_sealed_under_a_new_name(
    lost: tuple[str, dict[str, Any]], tmp_path: Path
) -> None:
    copy, claim = lost
    new = f"sqlite:///{tmp_path}/new.db"

    said = fork(copy, new, "--name", "example.org/second")

    desk = Desk(new)
    before, opened = asyncio.run(_first(new))
    assert opened.fork is not None and opened.lineage is not None
    head = parse_head(split_note(opened.fork.encode())[0])
    assert f"goes on from {head.origin}" in said and "lost: 1" in said
    answer = desk.json("corroborate", claim["id"], "--source", "AFP")
    assert answer["computed"]["counts"]["support_origins"] == 1  # the AFP of before the fork, not another one
    assert [source["name"] for source in desk.json("sources")].count("AFP") == 1
    sealed(new, claim["id"])
    log, note = asyncio.run(checkpoint_of(new))
    assert log == before.id != opened.lineage
    assert parse_head(split_note(note)[0]).origin == "example.org/second"
    asyncio.run(check_log(new))


def test_a_story_and_an_origin_are_the_same_after_a_fork(lost: tuple[str, dict[str, Any]], tmp_path: Path) -> None:
    copy, claim = lost
    new = f"sqlite:///{tmp_path}/new.db"
    fork(copy, new)
    desk = Desk(new)

    assert "this wording" in desk("assert-claim", "The United States plans to withdraw", "--source", "EFE",
                                  "--story", "iraq-letter", code=1).stderr  # fmt: skip
    assert claim["id"] in [found["id"] for found in desk.json("claims", "--story", "iraq-letter")]
    assert [found["id"] for found in desk.json("claims", "--source", "AFP")] == [claim["id"]]


def test_a_fork_needs_the_checkpoint_and_a_new_name(
    lost: tuple[str, dict[str, Any]], state: Path, tmp_path: Path
) -> None:
    copy, _ = lost
    new = f"sqlite:///{tmp_path}/new.db"
    other = f"sqlite:///{tmp_path}/other.db"
    Desk(other)("init")
    (tmp_path / "text").write_text("no checkpoint")

    assert "no checkpoint" in fork(copy, new, "--checkpoint", tmp_path / "text", code=1)
    assert "can't be the name" in fork(copy, new, "--name", "two words", code=1)
    assert "gone with its process" in fork(copy, "memory:", code=1)
    assert not (tmp_path / "new.db").exists()
    assert "not empty" in fork(copy, other, code=1)
    shutil.rmtree(state / "seals")
    assert "give the last one that was signed with --checkpoint" in fork(copy, new, code=1)


@on_one_engine
def test_a_fork_takes_no_name_that_was_signed_for_before(
    lost: tuple[str, dict[str, Any]], state: Path, tmp_path: Path
) -> None:
    copy, _ = lost
    new = f"sqlite:///{tmp_path}/new.db"
    old_name = asyncio.run(_first(copy))[1].log
    kept = state / "seals" / f"{old_name}.checkpoint"

    again = fork(copy, new, "--name", old_name, code=1)
    kept.rename(tmp_path / "kept")
    at_hand = fork(copy, new, "--name", old_name, "--checkpoint", tmp_path / "kept", code=1)

    assert "choose another name" in again and "is the old log's name" in at_hand
    assert not (tmp_path / "new.db").exists()


@on_one_engine
def test_a_fork_checks_the_signature_by_a_key_that_is_known(
    lost: tuple[str, dict[str, Any]], state: Path, tmp_path: Path
) -> None:
    copy, _ = lost
    new, forged = f"sqlite:///{tmp_path}/new.db", tmp_path / "forged"
    (key,) = (state / "keys").iterdir()
    keys = Keys.parse(key.read_text(), "the key")
    forged.write_bytes(sign_note(format_head(keys.name, 999, bytes(32)), [new_key(keys.name)]))

    assert "is not signed by a known key" in fork(copy, new, "--checkpoint", forged, code=1)
    key.unlink()
    assert "give the one that the log's auditors have" in fork(copy, new, code=1)
    assert not (tmp_path / "new.db").exists()
    assert "lost: 1" in fork(copy, new, "--vkey", keys.vkeys[0])


@on_one_engine
def test_a_fork_is_not_begun_while_a_key_is_in_the_environment(
    lost: tuple[str, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VERIFIER_SEAL_KEY", new_key("x"))

    assert "VERIFIER_SEAL_KEY" in fork(lost[0], f"sqlite:///{tmp_path}/new.db", code=1)
    assert not (tmp_path / "new.db").exists()


@on_one_engine
def test_a_fork_whose_key_can_not_be_made_says_how_to_make_it(
    lost: tuple[str, dict[str, Any]], state: Path, tmp_path: Path
) -> None:
    new = f"sqlite:///{tmp_path}/new.db"
    (key,) = (state / "keys").iterdir()
    vkey = Keys.parse(key.read_text(), "the key").vkeys[0]
    key.unlink()
    (state / "keys").rmdir()
    (state / "keys").write_text("no folder")

    said = fork(lost[0], new, "--name", "example.org/second", "--vkey", vkey, code=1)
    (state / "keys").unlink()

    assert f"verifier init --log {new} --name example.org/second" in " ".join(said.split())
    assert shown(Desk(new), "init", "--name", "example.org/second")["name"] == "example.org/second"


def test_a_log_that_lost_its_key_is_found_in_the_second_place_under_its_name(
    desk: Desk, place: str, state: Path, tmp_path: Path
) -> None:
    desk("init", "--name", "example.org/newsroom")
    sealed(place, plan(desk)["id"])
    _, older = asyncio.run(checkpoint_of(place))
    sealed(place, plan(desk, "The letter is authentic", "Reuters")["id"])
    asyncio.run(_left_beside(place, older))  # as a backup would bring it back, tiles and all
    (key,) = (state / "keys").iterdir()
    key.unlink()
    new = f"sqlite:///{tmp_path}/new.db"

    assert "verifier fork" in desk("init", "--name", "example.org/other", code=1).stderr
    fork(place, new)

    opened = asyncio.run(_first(new))[1]
    assert opened.fork is not None
    assert parse_head(split_note(opened.fork.encode())[0]).size > parse_head(split_note(older)[0]).size
    shutil.rmtree(state / "seals")
    assert "may be older" in fork(place, f"sqlite:///{tmp_path}/again.db", code=1)


async def _left_beside(url: str, note: bytes) -> None:
    tiles = tiles_of(url)
    async with tiles.turn():
        await tiles.write({CHECKPOINT: note})
    await tiles.close()


@on_one_engine
def test_a_name_under_which_another_log_was_sealed_is_not_given_again(desk: Desk, place: str, tmp_path: Path) -> None:
    desk("init", "--name", "example.org/newsroom")
    sealed(place, plan(desk)["id"])

    refused = Desk(f"sqlite:///{tmp_path}/another.db")("init", "--name", "example.org/newsroom", code=1).stderr

    assert "choose another name" in refused
    assert not (tmp_path / "another.db").exists()


@on_one_engine
def test_a_name_that_another_log_took_during_a_fork_is_left_to_that(
    lost: tuple[str, dict[str, Any]], state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, other = "example.org/second", f"sqlite:///{tmp_path}/other.db"
    taken: list[bytes] = []

    async def fork_while_another_log_takes_the_name(*args: Any, **options: Any) -> Forked:
        done = await fork_of_events(*args, **options)
        await asyncio.to_thread(Desk(other), "init", "--name", name)
        taken.append((state / "seals" / "example.org%2Fsecond.checkpoint").read_bytes())
        return done

    fork_of_events = events.fork.fork
    monkeypatch.setattr(events.fork, "fork", fork_while_another_log_takes_the_name)
    said = fork(lost[0], f"sqlite:///{tmp_path}/new.db", "--name", name, code=1)

    assert f"a log was sealed as {name} before" in " ".join(said.split())
    assert [(state / "seals" / "example.org%2Fsecond.checkpoint").read_bytes()] == taken
    assert len(list((state / "keys").iterdir())) == 2


@on_one_engine
def test_nobody_begins_under_a_name_while_somebody_signs_for_it(desk: Desk, state: Path) -> None:
    with Seals(state / "seals").hold("example.org/newsroom"):
        refused = desk("init", "--name", "example.org/newsroom", code=1).stderr

    assert "another process signs for example.org/newsroom" in " ".join(refused.split())
    assert not (state / "keys").exists()


def test_a_log_sealed_by_its_id_gets_no_key_of_another_name(desk: Desk, place: str, state: Path) -> None:
    desk("init")
    sealed(place, plan(desk)["id"])
    (key,) = (state / "keys").iterdir()
    key.unlink()
    asyncio.run(_left_beside(place, b""))

    assert "verifier fork" in desk("init", "--name", "example.org/other", code=1).stderr


# --- receipt -------------------------------------------------------------------------------------------------


def test_a_receipt_is_printed_or_written_to_a_file(desk: Desk, place: str, tmp_path: Path) -> None:
    desk("init")
    claim = plan(desk)
    sealed(place, claim["id"])

    printed = json.loads(desk("receipt", claim["id"][-6:]).stdout)
    told = desk("receipt", claim["written_at"], tmp_path / "receipt.json").stdout

    written = json.loads((tmp_path / "receipt.json").read_text())
    assert [fact["position"] for fact in printed["facts"]][-1] == claim["position"]
    assert [fact["position"] for fact in written["facts"]] == [claim["written_at"]]
    assert "1 fact of" in told


def test_there_is_no_receipt_of_what_nobody_sealed(desk: Desk) -> None:
    claim = plan(desk)

    assert "verifier init" in desk("receipt", claim["id"], code=1).stderr
