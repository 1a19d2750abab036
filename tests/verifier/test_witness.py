"""The witness: it cosigns what continues what it cosigned before, remembers it, and says no to everything else."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import httpx
import pytest
from witnessing import KEY, NAME, checkpoint, growth, standing, submission

import events.errors
from events.tlog import (
    check_policy,
    new_key,
    open_checkpoint,
    sign_note,
    vkey_of,
)
from events.tlog.head import format_head
from verifier.errors import Invalid
from verifier.witness import held


def test_what_continues_is_cosigned_and_satisfies_a_policy(tmp_path: Path) -> None:
    with held(tmp_path, name=NAME, vkeys=[vkey_of(KEY)]) as witness:
        first = witness.answer(growth(0, 7))
        status, kind, lines = witness.answer(growth(7, 12))
        policy = f"log {vkey_of(KEY)}\nwitness w1 {witness.vkey}\nquorum w1\n".encode()

    assert (first[0], status, kind) == (200, 200, "text/plain; charset=utf-8")
    assert open_checkpoint(checkpoint(12) + lines, "example.org/newsroom", [vkey_of(KEY)], [witness.vkey])[0] == 12
    assert check_policy(policy, checkpoint(12) + lines).size == 12


def test_what_was_cosigned_is_remembered_by_the_next_process(tmp_path: Path) -> None:
    with held(tmp_path, name=NAME, vkeys=[vkey_of(KEY)]) as witness:
        witness.answer(growth(0, 7))
        vkey = witness.vkey

    with held(tmp_path, name=NAME, vkeys=[vkey_of(KEY)]) as again:
        assert again.vkey == vkey
        assert again.answer(growth(0, 12)) == (409, "text/x.tlog.size", b"7\n")
        assert again.answer(growth(7, 12))[0] == 200


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"old 0\n\nnothing", 400),
        (
            submission(
                0, [], sign_note(format_head("other.example/log", 1, bytes(32)), [new_key("other.example/log")])
            ),
            404,
        ),
        (submission(0, [], sign_note(format_head("example.org/newsroom", 1, bytes(32)), [new_key("other")])), 403),
        (submission(9, [], checkpoint(7)), 400),
        (submission(3, [], checkpoint(7)), 409),
        (submission(0, [bytes(32)], checkpoint(7)), 422),
    ],
)
def test_anything_else_is_refused_and_changes_nothing(tmp_path: Path, body: bytes, status: int) -> None:
    with held(tmp_path, name=NAME, vkeys=[vkey_of(KEY)]) as witness:
        assert witness.answer(body)[0] == status
        assert witness.answer(growth(0, 7))[0] == 200


def test_only_one_process_has_the_folder(tmp_path: Path) -> None:
    with held(tmp_path, name=NAME, vkeys=[vkey_of(KEY)]), pytest.raises(Invalid, match="another process"):
        held(tmp_path, name=NAME, vkeys=[]).__enter__()


def test_a_witness_keeps_its_name_its_key_to_itself_and_what_it_knows(tmp_path: Path) -> None:
    with held(tmp_path, name=NAME, vkeys=[vkey_of(KEY)]) as witness:
        witness.answer(growth(0, 7))

    with pytest.raises(Invalid, match=NAME):
        held(tmp_path, name="partner.example/other", vkeys=[]).__enter__()
    assert {path.name: path.stat().st_mode & 0o077 for path in tmp_path.iterdir()} == {
        "key": 0,
        "lock": 0,
        "logs": 0,
        "example.org%2Fnewsroom.last": 0,
    }


@pytest.mark.parametrize("record", ["7\n", "7 AAAA\n", "07\n{}\n", "7\n{}", ""])
def test_a_damaged_record_is_never_taken_for_none(tmp_path: Path, record: str) -> None:
    with held(tmp_path, name=NAME, vkeys=[vkey_of(KEY)]) as witness:
        witness.answer(growth(0, 7))
        path = tmp_path / "example.org%2Fnewsroom.last"
        path.write_text(record.format(path.read_text().split()[1]))

        with pytest.raises(Invalid, match="damaged"):
            witness.answer(growth(7, 12))


def test_a_lost_record_is_never_taken_for_none(tmp_path: Path) -> None:
    with held(tmp_path, name=NAME, vkeys=[vkey_of(KEY)]) as witness:
        witness.answer(growth(0, 7))
    (tmp_path / "example.org%2Fnewsroom.last").unlink()

    with held(tmp_path, name=NAME, vkeys=[vkey_of(KEY)]) as again, pytest.raises(Invalid, match="is gone"):
        again.answer(growth(0, 12))


def test_a_log_that_comes_to_a_witness_later_is_known_from_then_on(tmp_path: Path) -> None:
    with held(tmp_path, name=NAME, vkeys=[]) as witness:
        assert witness.answer(growth(0, 7))[0] == 404

    with held(tmp_path, name=NAME, vkeys=[vkey_of(KEY)]) as again:
        assert again.answer(growth(0, 7))[0] == 200


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    with held(tmp_path, name=NAME, vkeys=[]):
        (tmp_path / "key").chmod(0o644)

    with pytest.raises(events.errors.Invalid, match="chmod 600"):
        held(tmp_path, name=NAME, vkeys=[]).__enter__()


@pytest.mark.parametrize("what", ["a key", "a name"])
def test_a_witness_that_is_set_up_wrong_says_how_to_do_it(tmp_path: Path, what: str) -> None:
    with pytest.raises(Invalid):
        held(
            tmp_path, name=NAME if what == "a key" else "no name", vkeys=["nokey"] if what == "a key" else []
        ).__enter__()


async def test_a_witness_answers_over_http(tmp_path: Path) -> None:
    async with standing(tmp_path) as serving, httpx.AsyncClient(base_url=serving.address) as client:
        answer = await client.post("/add-checkpoint", content=growth(0, 7))
        stale = await client.post("/add-checkpoint", content=growth(0, 12))
        huge = await client.post("/add-checkpoint", content=bytes(2**21))
        about = await client.get("/")

    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert open_checkpoint(checkpoint(7) + answer.content, "example.org/newsroom", [vkey_of(KEY)], [serving.vkey])
    assert (stale.status_code, stale.headers["content-type"], stale.text) == (409, "text/x.tlog.size", "7\n")
    assert huge.status_code == 413
    assert about.text == f"{serving.vkey}\nexample.org/newsroom 7\n"


async def test_a_witness_that_can_not_remember_answers_503_and_its_log_names_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "witness"
    async with standing(folder) as serving, httpx.AsyncClient(base_url=serving.address) as client:
        await client.post("/add-checkpoint", content=growth(0, 7))
        (folder / "example.org%2Fnewsroom.last").write_text("7\n")
        damaged = await client.post("/add-checkpoint", content=growth(7, 12))
        about = await client.get("/")
        shutil.rmtree(folder)  # as when the disk goes away
        gone = await client.post("/add-checkpoint", content=growth(0, 7))

    assert (damaged.status_code, gone.status_code) == (503, 503)
    assert about.text == f"{serving.vkey}\nexample.org/newsroom damaged\n"
    lines = [line for line in capsys.readouterr().err.splitlines() if "not cosigned" in line]
    assert ["newsroom.last" in line for line in lines] == [True, True]


async def test_of_many_requests_at_once_only_those_that_continue_are_cosigned(tmp_path: Path) -> None:
    async with standing(tmp_path) as serving, httpx.AsyncClient(base_url=serving.address) as client:
        answers = await asyncio.gather(*(client.post("/add-checkpoint", content=growth(0, n)) for n in range(1, 9)))

    assert sorted(answer.status_code for answer in answers) == [200, *[409] * 7]


def test_a_private_key_that_is_given_as_a_public_one_is_refused_without_showing_it(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="key 2 is not the public key") as refused:
        held(tmp_path, name=NAME, vkeys=[vkey_of(KEY), KEY]).__enter__()

    assert KEY not in str(refused.value)


def test_a_key_that_is_given_twice_is_one(tmp_path: Path) -> None:
    with held(tmp_path, name=NAME, vkeys=[vkey_of(KEY), vkey_of(KEY)]) as witness:
        assert witness.answer(growth(0, 7))[0] == 200


def test_a_key_of_a_witness_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"\xff\xfe")
    (tmp_path / "key").chmod(0o600)

    with pytest.raises(Invalid, match="not the key of a witness"):
        held(tmp_path, name=NAME, vkeys=[]).__enter__()
