"""Asking witnesses: the log's checkpoint comes back with their cosignatures, whoever of them is there."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path

import pytest
from witnessing import LEAVES, checkpoint, never_answering, policy, standing

from events.errors import Invalid
from events.tlog import COSIGNATURE, check_policy, leaf_hash, new_key, open_note, vkey_of
from verifier.cosigning import Witnesses

ABSENT = "http://127.0.0.1:9/absent"


async def hashes(level: int, n: int, width: int) -> bytes:
    """The tiles of the test's log, which has less than a full one."""
    return b"".join(leaf_hash(leaf) for leaf in LEAVES[:width])


async def test_a_checkpoint_comes_back_cosigned_also_when_the_log_has_grown(tmp_path: Path) -> None:
    async with standing(tmp_path) as serving:
        asked = policy((serving.vkey, serving.address))
        witnesses = Witnesses(asked, hashes)

        first = await witnesses.cosign(checkpoint(7))
        second = await witnesses.cosign(checkpoint(12))
        again = await witnesses.cosign(checkpoint(12))
        await witnesses.close()

    assert [check_policy(asked, note).size for note in (first, second, again)] == [7, 12, 12]


async def test_a_process_that_knows_nothing_of_the_last_size_is_told_it(tmp_path: Path) -> None:
    async with standing(tmp_path) as serving:
        asked = policy((serving.vkey, serving.address))
        for size in (7, 12):
            witnesses = Witnesses(asked, hashes)
            note = await witnesses.cosign(checkpoint(size))
            await witnesses.close()
            assert check_policy(asked, note).size == size


async def test_who_is_away_is_left_out_and_what_is_signed_by_nobody_known_is_not_taken(tmp_path: Path) -> None:
    other = vkey_of(new_key("partner.example/other", COSIGNATURE))
    async with standing(tmp_path) as serving:
        asked = policy(
            (serving.vkey, serving.address), (vkey_of(new_key("w", COSIGNATURE)), ABSENT), (other, serving.address)
        )
        witnesses = Witnesses(asked, hashes)

        note = await witnesses.cosign(checkpoint(7))
        await witnesses.close()

    assert note.startswith(checkpoint(7))
    assert open_note(note, [serving.vkey])[1] == [serving.vkey]
    assert note.count("\n— ".encode()) == 2


async def test_a_witness_that_is_ahead_of_the_log_cosigns_nothing(tmp_path: Path) -> None:
    async with standing(tmp_path) as serving:
        asked = policy((serving.vkey, serving.address))
        witnesses = Witnesses(asked, hashes)
        await witnesses.cosign(checkpoint(12))

        behind = await witnesses.cosign(checkpoint(7))
        await witnesses.close()

    assert behind == checkpoint(7)


async def test_who_did_not_answer_in_time_is_waited_for_only_briefly_the_next_time(tmp_path: Path) -> None:
    async with standing(tmp_path) as serving, never_answering() as silent:
        other = vkey_of(new_key("w", COSIGNATURE))
        witnesses = Witnesses(policy((serving.vkey, serving.address), (other, silent.address)), hashes, wait=0.5)
        loop = asyncio.get_running_loop()
        times = [loop.time()]
        for size in (7, 12, 15):
            note = await witnesses.cosign(checkpoint(size))
            times.append(loop.time())
            assert open_note(note, [serving.vkey])[1] == [serving.vkey]
        await witnesses.close()

    first, *others = [end - begin for begin, end in pairwise(times)]
    assert first >= 0.5 > max(others)


async def test_an_answer_that_never_ends_is_not_read_to_the_end() -> None:
    async with never_answering(b"x" * 2**15) as endless:
        witnesses = Witnesses(policy((vkey_of(new_key("w", COSIGNATURE)), endless.address)), hashes, wait=30)

        assert await witnesses.cosign(checkpoint(7)) == checkpoint(7)
        await witnesses.close()


async def test_tiles_that_can_not_be_read_take_the_cosignature_and_nothing_else(tmp_path: Path) -> None:
    async def broken(level: int, n: int, width: int) -> bytes:
        raise OSError("the disk went away")

    async with standing(tmp_path) as serving:
        witnesses = Witnesses(policy((serving.vkey, serving.address)), broken)
        first = await witnesses.cosign(checkpoint(7))  # needs no proof

        second = await witnesses.cosign(checkpoint(12))
        await witnesses.close()

    assert open_note(first, [serving.vkey])[1] == [serving.vkey]
    assert second == checkpoint(12)


URLS = [
    "https://[::1/x", "http://w.example:99999", "http://w.example:x", "ftp://w.example", "w.example", "http://",
    "http://w..example", f"http://{'w' * 64}.example", "http://xn--/", "http://w.example/?a=b",
]  # fmt: skip


@pytest.mark.parametrize("url", URLS)
def test_a_url_at_which_nobody_can_answer_is_refused_with_its_line(url: str) -> None:
    asked = policy(
        (vkey_of(new_key("one", COSIGNATURE)), "http://w.example"), (vkey_of(new_key("two", COSIGNATURE)), url)
    )

    with pytest.raises(Invalid, match="line 3 of the policy"):
        Witnesses(asked, hashes)


@pytest.mark.parametrize("asked", [b"nothing", b"quorum none\n"])
def test_a_policy_that_names_nobody_to_ask_is_refused(asked: bytes) -> None:
    with pytest.raises(Invalid):
        Witnesses(asked, hashes)
