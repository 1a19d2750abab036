"""A witness: what it remembers and when, beyond the answers in the golden vectors."""

from __future__ import annotations

from base64 import b64encode

import pytest

from events.tlog import EMPTY_ROOT, MAX_REQUEST, NEVER, Malformed, open_checkpoint, witness
from tests.events.tlog.independent import LEAVES, LOG, PQ_WITNESS, STRANGER, WITNESS, checkpoint, mth, proof
from tests.events.tlog.remembering import Remembering


def request(old: int, new: int) -> bytes:
    lines = [b64encode(hashed).decode() for hashed in proof(old, LEAVES[:new])]
    return "\n".join([f"old {old}", *lines, "", ""]).encode() + checkpoint(LOG, size=new)


def test_a_log_is_followed_step_by_step() -> None:
    memory = Remembering()
    answer = witness(memory)

    for old, new in ((0, 2), (2, 3), (3, 3), (3, 8)):
        status, _, lines = answer(request(old, new))
        assert status == 200
        assert memory.last(LOG.name) == (new, mth(LEAVES[:new]))
        cosigned = checkpoint(LOG, size=new) + lines
        assert open_checkpoint(cosigned, LOG.name, [LOG.vkey], [WITNESS.vkey])[0] == new


def test_a_witness_may_sign_with_several_keys() -> None:
    status, _, lines = witness(Remembering(keys=(WITNESS.secret, PQ_WITNESS.secret)))(request(0, 8))

    cosigned = checkpoint(LOG) + lines
    assert status == 200
    assert open_checkpoint(cosigned, LOG.name, [LOG.vkey], [WITNESS.vkey, PQ_WITNESS.vkey]) == (8, mth(LEAVES))


class Overtaken(Remembering):
    """Another request comes in between."""

    def replace(self, origin: str, old: tuple[int, bytes], new: tuple[int, bytes]) -> bool:
        self.heads[origin] = (7, mth(LEAVES[:7]))
        return False


def test_of_two_requests_at_once_the_second_is_told_what_the_first_left() -> None:
    memory = Overtaken((3, mth(LEAVES[:3])))

    assert witness(memory)(request(3, 8)) == (409, "text/x.tlog.size", b"7\n")
    assert memory.last(LOG.name)[0] == 7


class Full(Remembering):
    """Can't remember anything more."""

    def replace(self, origin: str, old: tuple[int, bytes], new: tuple[int, bytes]) -> bool:
        raise OSError("no space left on the device")


def test_what_could_not_be_remembered_is_not_cosigned() -> None:
    with pytest.raises(OSError, match="no space"):
        witness(Full())(request(0, 8))


class Keyless(Remembering):
    """Has lost its key."""

    def cosign(self, checkpoint: bytes) -> bytes:
        raise OSError("no key")


def test_what_could_not_be_cosigned_is_not_remembered() -> None:
    memory = Keyless()

    with pytest.raises(OSError, match="no key"):
        witness(memory)(request(0, 8))

    assert memory.last(LOG.name) == NEVER == (0, EMPTY_ROOT)


class Mistyped(Remembering):
    """Was set up with what is no vkey."""

    def vkeys(self, origin: str) -> list[str]:
        return ["news.example/log"]


def test_a_witness_that_is_set_up_wrongly_says_so_to_its_operator() -> None:
    with pytest.raises(Malformed):
        witness(Mistyped())(request(0, 8))


def test_a_refusal_says_why_and_changes_nothing() -> None:
    memory = Remembering((5, mth(LEAVES[:5])))

    status, kind, reason = witness(memory)(b"old 5\n\n" + checkpoint(STRANGER))

    assert (status, kind, reason) == (
        403, "text/plain; charset=utf-8", b"no known key of this log has signed the checkpoint\n",
    )  # fmt: skip
    assert memory.last(LOG.name)[0] == 5


def test_a_request_is_read_up_to_its_limit() -> None:
    answer = witness(Remembering())
    origin = "a" * (1_000_000 - len(checkpoint(LOG)) + len(LOG.name))
    largest = b"old 0\n\n" + checkpoint(LOG, origin=origin)

    assert len(largest) < MAX_REQUEST == 1_004_096
    assert answer(largest)[0] == 404
    assert answer(b"old 0\n\n" + checkpoint(LOG, origin=origin + "a"))[::2] == (
        400, b"a note has at most 1,000,000 bytes\n",
    )  # fmt: skip
    assert b"1,004,096" not in answer(b"a" * MAX_REQUEST)[2]
    assert answer(b"a" * (MAX_REQUEST + 1))[::2] == (400, b"a request has at most 1,004,096 bytes\n")


def test_63_hashes_are_read_and_not_found_to_lead_anywhere() -> None:
    body = f"old 3\n{(b64encode(EMPTY_ROOT).decode() + chr(10)) * 63}\n".encode() + checkpoint(LOG)

    assert witness(Remembering((3, mth(LEAVES[:3]))))(body)[0] == 422
