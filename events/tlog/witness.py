"""What a witness answers to a log that asks for a cosignature (C2SP tlog-witness, `add-checkpoint`).

This is the whole decision and none of the surroundings: what is remembered, which keys there are and what time it
is come from a `Witnessed`, and carrying bytes over HTTP is for a server.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, Protocol

from events.tlog.checkpoints import check_empty_root
from events.tlog.errors import Malformed, TlogError, Unverified
from events.tlog.hashing import EMPTY_ROOT
from events.tlog.head import Head, parse_head
from events.tlog.notes import MAX_NOTE, known_keys, split_note, verified_keys
from events.tlog.proofs import verify_consistency
from events.tlog.reading import decimal, octets, text_of, unbase64_hash

MAX_PROOF_LINES: Final = 63
"""The most hashes that a log may send (C2SP tlog-witness)."""

MAX_REQUEST: Final = MAX_NOTE + 4096
"""The most bytes of a request: a note, 63 hashes, and the line above them. Beyond it nothing need be read."""

NEVER: Final = (0, EMPTY_ROOT)
"""The last size and root of a log that was never cosigned."""

_SIZE: Final = "text/x.tlog.size"
_TEXT: Final = "text/plain; charset=utf-8"

Answer = tuple[int, str, bytes]
"""The answer to a request: status, content type, body."""


class Witnessed(Protocol):
    """The logs that a witness knows, what it last cosigned of each, and its keys."""

    def vkeys(self, origin: str) -> Sequence[str] | None:
        """Return the vkeys that this log signs with; `None` for a log that the witness does not know."""

    def last(self, origin: str) -> tuple[int, bytes]:
        """Return the size and root last cosigned; size 0 and the root of the empty tree where nothing was."""

    def replace(self, origin: str, old: tuple[int, bytes], new: tuple[int, bytes]) -> bool:
        """Remember the new size and root if the last are still the old, all in one step that nothing can come
        between, and durably before returning. Return `False`, and change nothing, if they are not."""

    def cosign(self, checkpoint: bytes) -> bytes:
        """Return the signature lines of the witness's keys with the present time, as `events.tlog.cosign` makes."""


class _Request(NamedTuple):
    old_size: int
    proof: list[bytes]
    checkpoint: bytes
    head: Head


class _Refused(Exception):
    """A request that gets this answer instead of a cosignature."""

    def __init__(self, status: int, reason: str, kind: str = _TEXT) -> None:
        super().__init__(reason)
        self.answer: Answer = (status, kind, f"{reason}\n".encode())


def witness(logs: Witnessed) -> Callable[[bytes], Answer]:
    """Return the function that answers the body of a POST to `add-checkpoint` with status, content type and body.

    200 with cosignatures; 400 for a body that is not a request, 403 where no known key of the log has signed or a
    signature does not hold, 404 for an unknown log, 409 with the size last cosigned where the request goes on from
    another, or where the same size has two roots, 422 where the proof does not hold. Checked in this order:
    signature, size, consistency. A cosignature is only given away once its head is remembered, so that a witness
    that crashes at any point has never signed two trees. Whatever the body, nothing is raised but what `logs`
    raises, and `Malformed` where it gives no vkeys; then the caller has no cosignature.
    """

    def answer(body: bytes) -> Answer:
        try:
            return 200, _TEXT, _cosigned(logs, body)
        except _Refused as refused:
            return refused.answer

    return answer


def _cosigned(logs: Witnessed, body: bytes) -> bytes:
    request = _read(body)
    origin, size, root = request.head.origin, request.head.size, request.head.root
    _check_signatures(logs.vkeys(origin), request)
    if request.old_size > size:
        raise _Refused(400, f"the old size {request.old_size} is larger than the size {size} of the checkpoint")
    last = logs.last(origin)
    if request.old_size != last[0]:
        raise _Refused(409, str(last[0]), _SIZE)
    _check_growth(last, request)
    lines = logs.cosign(request.checkpoint)
    if not logs.replace(origin, last, (size, root)):
        # Another request came between: what it left is the size to go on from. Our lines are not given away.
        raise _Refused(409, str(logs.last(origin)[0]), _SIZE)
    return lines


def _read(body: bytes) -> _Request:
    try:
        return _parsed(body)
    except TlogError as error:
        raise _Refused(400, str(error)) from error


def _parsed(body: bytes) -> _Request:
    content = octets(body, "a request")
    if len(content) > MAX_REQUEST:
        raise Malformed(f"a request has at most {MAX_REQUEST:,} bytes")
    before, blank, checkpoint = content.partition(b"\n\n")
    old, *lines = text_of(before, "a request").split("\n")
    if not blank or not old.startswith("old "):
        raise Malformed("a request is a line with the old size, the proof, a blank line and a checkpoint")
    old_size = decimal(old.removeprefix("old "), "the old size")
    if len(lines) > MAX_PROOF_LINES:
        raise Malformed(f"a request has at most {MAX_PROOF_LINES} lines of proof")
    proof = [unbase64_hash(line, "a line of the proof") for line in lines]
    return _Request(old_size, proof, checkpoint, parse_head(split_note(checkpoint)[0]))


def _check_signatures(vkeys: Sequence[str] | None, request: _Request) -> None:
    if vkeys is None:
        raise _Refused(404, "this witness does not know this log")
    text, signatures = split_note(request.checkpoint)
    try:
        signed = verified_keys(text, signatures, known_keys(vkeys))
    except Unverified as error:
        raise _Refused(403, str(error)) from error
    if not signed:
        raise _Refused(403, "no known key of this log has signed the checkpoint")


def _check_growth(last: tuple[int, bytes], request: _Request) -> None:
    try:
        check_empty_root(request.head)
        if request.head.size == last[0] and request.head.root != last[1]:
            raise _Refused(409, f"another root was cosigned for size {last[0]}: the log was rewritten")
        verify_consistency(last[0], request.head.size, request.proof, last[1], request.head.root)
    except Unverified as error:
        raise _Refused(422, str(error)) from error
