"""Any input at all, for every parser and verifier of `events.tlog`: what both the short run and the long one do.

Each *target* is a function with good arguments. A run gives it other arguments: good ones of which something was
changed, which get past the first checks, and values of any type. It may raise `TlogError` and nothing else; and where
it accepts, its *oracle* must agree: an answer that no signature covers, a second spelling of the same, or a proof
that the naive tree does not lead from leaf to root by, is a failure too.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from events import tlog
from tests.events.tlog.golden import line_of_hash
from tests.events.tlog.independent import (
    LEAVES,
    LOG,
    OTHER_WITNESS,
    PQ_WITNESS,
    WITNESS,
    checkpoint,
    head,
    mth,
    path,
    proof,
)
from tests.events.tlog.remembering import Remembering

ROOT = mth(LEAVES)
SIGNED, COSIGNED = checkpoint(LOG), checkpoint(LOG, WITNESS, PQ_WITNESS)
PROOF_FILE = tlog.format_tlog_proof(2, path(2, LEAVES), SIGNED, b"extra")
POLICY = (
    f"# ours\nlog {LOG.vkey} https://news.example/\nwitness A {WITNESS.vkey}\nwitness B {OTHER_WITNESS.vkey}\n"
    "group g any A B\nquorum g\n"
).encode()
REQUEST = "\n".join(["old 3", *map(line_of_hash, proof(3, LEAVES)), "", ""]).encode() + SIGNED
OLD = (3, mth(LEAVES[:3]))

Oracle = Callable[[Sequence[Any], Any], bool]


@dataclass(frozen=True)
class Target:
    """A function, arguments that it accepts, and what must hold where it accepts others."""

    call: Callable[..., Any]
    good: Sequence[Sequence[Any]]
    holds: Oracle


@dataclass
class Tally:
    """What came of the runs of a target."""

    runs: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)


def ask_witness(body: Any) -> Any:
    """Ask a witness that has cosigned three leaves. It answers whatever it is given."""
    memory = Remembering(OLD)
    status, kind, answer = tlog.witness(memory)(body)
    return status, kind, answer, memory.last(LOG.name)


def same_bytes(left: Any, right: Any) -> bool:
    return as_bytes(left) == as_bytes(right)


def as_bytes(raw: Any) -> Any:
    return raw.encode() if isinstance(raw, str) else raw


def witness_was_right(given: Sequence[Any], result: Any) -> bool:
    status, kind, answer, last = result
    if status == 200:
        return bool(last == (8, ROOT) and kind.startswith("text/plain") and answer.startswith(b"\xe2\x80\x94 "))
    known = status in (400, 403, 404, 409, 422) and last == OLD
    return known and (kind != "text/x.tlog.size" or (status == 409 and answer == b"3\n"))


def leads_to_the_root(given: Sequence[Any], result: Any) -> bool:
    """Whether the proof is the one of some tree: the root, joined from it as the shape of the tree says."""
    index, size, hashed, hashes, root = given
    for begin_left, sibling in zip(sides(index, size), hashes, strict=True):
        hashed = tlog.node_hash(sibling, hashed) if begin_left else tlog.node_hash(hashed, sibling)
    return bool(result is None and hashed == root)


def sides(index: int, size: int) -> list[bool]:
    """From the leaf up: whether the sibling is on the left."""
    found = []
    while size > 1:
        half = 1 << (size - 1).bit_length() - 1
        found.append(index >= half)
        index, size = (index - half, size - half) if index >= half else (index, half)
    return found[::-1]


def grew(given: Sequence[Any], result: Any) -> bool:
    size1, size2, hashes, root1, root2 = given
    if result is not None:
        return False
    if size1 in (0, size2):
        return not hashes and (root1 == root2 if size1 == size2 else root1 == tlog.EMPTY_ROOT)
    rest = list(hashes)
    joined = rebuilt(size1, size2, True, rest, root1)
    return not rest and joined == (root1, root2)


def rebuilt(m: int, n: int, known: bool, rest: list[bytes], root1: bytes) -> tuple[bytes, bytes]:
    """Take a consistency proof apart from its end, as RFC 6962, section 2.1.2 puts it together: both roots."""
    if m == n:
        hashed = root1 if known else rest.pop()
        return hashed, hashed
    k = 1 << (n - 1).bit_length() - 1
    sibling = rest.pop()
    if m <= k:
        old, new = rebuilt(m, k, known, rest, root1)
        return old, tlog.node_hash(new, sibling)
    old, new = rebuilt(m - k, n - k, False, rest, root1)
    return tlog.node_hash(sibling, old), tlog.node_hash(sibling, new)


def signed_head(given: Sequence[Any], result: Any) -> bool:
    """No key here has signed any other head."""
    return bool(result == (8, ROOT) and given[1] == LOG.name)


LINE = "A line.\n\nAnother.\n"
NOTE = f"{LINE}\n{LOG.line(LINE)}".encode()

TARGETS: dict[str, Target] = {
    "leaf_hash": Target(tlog.leaf_hash, [[b"abc"]], lambda given, result: result == mth(given)),
    "tree_root": Target(tlog.tree_root, [[LEAVES]], lambda given, result: result == mth(list(given[0]))),
    "verify_inclusion": Target(
        tlog.verify_inclusion,
        [[index, size, mth(LEAVES[index : index + 1]), path(index, LEAVES[:size]), mth(LEAVES[:size])]
         for index, size in ((0, 1), (2, 7), (7, 8), (4, 5))],
        leads_to_the_root,
    ),
    "verify_consistency": Target(
        tlog.verify_consistency,
        [[old, new, proof(old, LEAVES[:new]), mth(LEAVES[:old]), mth(LEAVES[:new])]
         for old, new in ((0, 5), (3, 7), (4, 8), (6, 7), (5, 5))],
        grew,
    ),
    "parse_vkey": Target(
        tlog.parse_vkey,
        [[LOG.vkey], [WITNESS.vkey], [PQ_WITNESS.vkey]],
        lambda given, result: same_bytes(given[0], str(result)),
    ),
    "vkey_of": Target(
        tlog.vkey_of, [[LOG.secret], [PQ_WITNESS.secret]], lambda given, result: str(tlog.parse_vkey(result)) == result
    ),
    "open_note": Target(
        tlog.open_note,
        [[NOTE, [LOG.vkey]], [COSIGNED, [WITNESS.vkey, PQ_WITNESS.vkey, LOG.vkey]]],
        lambda given, result: bool(result[1]) and result[0] in (LINE, head(LOG.name, 8, ROOT)),
    ),
    "open_checkpoint": Target(
        tlog.open_checkpoint,
        [[SIGNED, LOG.name, [LOG.vkey], []], [COSIGNED, LOG.name, [LOG.vkey], [WITNESS.vkey, PQ_WITNESS.vkey]]],
        signed_head,
    ),
    "sign_checkpoint": Target(
        tlog.sign_checkpoint,
        [[LOG.name, LOG.seed, 8, ROOT]],
        lambda given, result: tlog.parse_head(tlog.split_note(result)[0])[:3] == (given[0], given[2], given[3]),
    ),
    "cosign": Target(
        tlog.cosign,
        [[SIGNED, WITNESS.secret, 5], [COSIGNED, PQ_WITNESS.secret, 5]],
        lambda given, result: tlog.split_note(as_bytes(given[0]) + result) is not None,
    ),
    "add_cosignatures": Target(
        tlog.add_cosignatures,
        [[SIGNED, WITNESS.line(head(LOG.name, 8, ROOT), 5).encode(), [WITNESS.vkey]]],
        lambda given, result: result.startswith(as_bytes(given[0])) and WITNESS.name in result.decode(),
    ),
    "tile_path": Target(
        tlog.tile_path, [[0, 1_234_067, 256], ["entries", 0, 17]],
        lambda given, result: tlog.parse_tile_path(result) == tuple(given),
    ),
    "parse_tile_path": Target(
        tlog.parse_tile_path, [["tile/0/x001/x234/067"], ["tile/entries/273.p/112"], ["tile/63/000.p/1"]],
        lambda given, result: tlog.tile_path(*result) == given[0],
    ),
    "parse_entry_bundle": Target(
        tlog.parse_entry_bundle, [[b"\x00\x03abc\x00\x00\x01\x00" + bytes(256)]],
        lambda given, result: tlog.entry_bundle(result) == given[0],
    ),
    "entry_bundle": Target(
        tlog.entry_bundle, [[[b"abc", b""]]],
        lambda given, result: tlog.parse_entry_bundle(result) == list(given[0]),
    ),
    "verify_tlog_proof": Target(
        tlog.verify_tlog_proof, [[PROOF_FILE, mth(LEAVES[2:3]), LOG.name, [LOG.vkey]]],
        lambda given, result: (result.index, result.proof, given[1]) == (2, path(2, LEAVES), mth(LEAVES[2:3])),
    ),
    "parse_tlog_proof": Target(
        tlog.parse_tlog_proof, [[PROOF_FILE]],
        lambda given, result: same_bytes(
            given[0], tlog.format_tlog_proof(result.index, result.proof, result.checkpoint, result.extra)
        ),
    ),
    "parse_policy": Target(
        tlog.parse_policy, [[POLICY]],
        lambda given, result: result.quorum == b"none" or result.quorum in dict(result.members),
    ),
    "policy_satisfied": Target(
        tlog.policy_satisfied, [[POLICY, COSIGNED], [POLICY, SIGNED]],
        lambda given, result: result is False or same_head(given[1]),
    ),
    "witness": Target(ask_witness, [[REQUEST]], witness_was_right),
    "canonical_json": Target(
        tlog.canonical_json, [[{"b": [1, "é", None, {"ключ": True}], "a": {}}]],
        lambda given, result: json.loads(result) == json.loads(json.dumps(given[0])),
    ),
}  # fmt: skip


def same_head(raw: Any) -> bool:
    return tlog.split_note(raw)[0] == head(LOG.name, 8, ROOT)


INTEGERS = st.integers() | st.sampled_from([0, 1, -1, 2**53, 2**63 - 1, 2**63, 2**64])
ANYTHING = st.recursive(
    st.none() | st.booleans() | INTEGERS | st.floats() | st.text(st.characters()) | st.binary() | st.complex_numbers(),
    lambda inner: st.lists(inner) | st.tuples(inner) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=8,
)
PIECES = st.sampled_from(
    [b"\n", b"\n\n", b" ", b"+", b"=", b"0", b"-", b"\xe2\x80\x94 ", b"\r\n", b"\t", b"\x00", b"\xff", b"\xc2\xa0"]
)


@st.composite
def changed_bytes(draw: st.DrawFn, raw: bytes) -> bytes:
    """Bytes with some of them changed, cut out, repeated, moved or put in."""
    for _ in range(draw(st.integers(1, 3))):
        begin, end = sorted(draw(st.tuples(st.integers(0, len(raw)), st.integers(0, len(raw)))))
        short = min(end, begin + draw(st.integers(0, 4)))
        match draw(st.sampled_from(["put in", "cut out", "cut off", "repeat", "flip", "random"])):
            case "put in":
                raw = raw[:begin] + draw(PIECES) + raw[begin:]
            case "cut out":
                raw = raw[:begin] + raw[short:]
            case "cut off":
                raw = raw[:end]
            case "repeat":
                raw = raw[:end] + raw[begin:]
            case "flip" if begin < len(raw):
                raw = raw[:begin] + bytes([raw[begin] ^ 1 << draw(st.integers(0, 7))]) + raw[begin + 1 :]
            case _:
                raw = raw[:begin] + draw(st.binary(max_size=8)) + raw[short:]
    return raw


@st.composite
def changed(draw: st.DrawFn, value: Any) -> Any:
    """A value like this one, with something changed; now and then one of any type."""
    if draw(st.integers(0, 15)) == 0:
        return draw(ANYTHING)
    match value:
        case bytes():
            return draw(changed_bytes(value))
        case str():
            raw = draw(changed_bytes(value.encode()))
            return raw.decode(errors=draw(st.sampled_from(["replace", "surrogateescape", "ignore"])))
        case bool() | None:
            return draw(ANYTHING)
        case int():
            return draw(st.sampled_from([value + 1, value - 1, -value, value * 2]) | INTEGERS)
        case dict():
            keys = st.sampled_from(list(value)) | st.text(st.characters()) | st.integers()
            return {draw(keys): draw(changed(item)) for item in value.values()}
        case _ if value:
            at = draw(st.integers(0, len(value) - 1))
            return draw(st.sampled_from([
                value[:at], value[at:], [*value[:at], *value[at + 1 :]], [*value, value[at]], value[::-1], tuple(value),
                [*value[:at], draw(changed(value[at])), *value[at + 1 :]],
            ]))  # fmt: skip
    return [draw(ANYTHING)]


@st.composite
def arguments(draw: st.DrawFn, good: Sequence[Sequence[Any]]) -> list[Any]:
    """Good arguments of which one, or each, was changed."""
    chosen = list(draw(st.sampled_from(good)))
    for at in draw(st.sampled_from([*([at] for at in range(len(chosen))), range(len(chosen))])):
        chosen[at] = draw(changed(chosen[at]))
    return chosen


def fuzz(name: str, examples: int, number: int, tally: Tally) -> None:
    """Give a target this many inputs, the same for the same number. Raises at what must not be, with the input."""
    target = TARGETS[name]

    @seed(number)
    @settings(
        max_examples=examples, deadline=None, database=None, phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(given_=arguments(target.good))
    def run(given_: list[Any]) -> None:
        tally.runs += 1
        try:
            result = target.call(*given_)
        except tlog.TlogError as error:
            tally.outcomes[type(error).__name__] += 1
            return
        tally.outcomes["accepted"] += 1
        assert target.holds(given_, result), f"{name} accepted {given_!r} and gave {result!r}"

    run()
