"""Checkpoints, cosignatures and proof files beyond the golden vectors."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.tlog import (
    EMPTY_ROOT,
    MLDSA_COSIGNATURE,
    Head,
    Malformed,
    TlogError,
    Unsatisfied,
    Unverified,
    add_cosignatures,
    check_policy,
    cosign,
    format_head,
    format_tlog_proof,
    open_checkpoint,
    parse_head,
    parse_policy,
    parse_tlog_proof,
    policy_satisfied,
    sign_checkpoint,
    verify_tlog_proof,
)
from tests.events.tlog.independent import (
    LEAVES,
    LOG,
    NEXT_LOG,
    OTHER_WITNESS,
    PQ_WITNESS,
    STRANGER,
    THIRD_WITNESS,
    WITNESS,
    Signer,
    checkpoint,
    head,
    mth,
    path,
)

ROOT = mth(LEAVES)
SIGNED = checkpoint(LOG)
TEXT = head(LOG.name, 8, ROOT)
COSIGNED = checkpoint(LOG, WITNESS)


def test_a_head_is_written_as_it_is_read() -> None:
    assert format_head(LOG.name, 8, ROOT) == TEXT
    assert parse_head(TEXT) == Head(LOG.name, 8, ROOT)
    assert parse_head(TEXT + "one\ntwo\n") == Head(LOG.name, 8, ROOT, ("one", "two"))


@pytest.mark.parametrize(
    "text", [None, 5, TEXT[:-1], TEXT.replace("news", "ne\x1bws"), TEXT + "tab\t\n", "\ud800" + TEXT]
)
def test_what_is_no_head_is_not_read(text: object) -> None:
    with pytest.raises(Malformed):
        parse_head(text)  # type: ignore[arg-type]


@pytest.mark.parametrize("origin", ["", "a\nb", "a\tb", "\ud800", "\udfff", None, b"a"])
def test_an_origin_is_one_line(origin: object) -> None:
    with pytest.raises(Malformed):
        format_head(origin, 8, ROOT)  # type: ignore[arg-type]


def test_a_witness_cosigns_with_the_time() -> None:
    assert cosign(SIGNED, WITNESS.secret, 1_700_000_000).decode() == WITNESS.line(TEXT, 1_700_000_000)
    assert cosign(SIGNED, WITNESS.secret, 1) != cosign(SIGNED, WITNESS.secret, 2)


@pytest.mark.parametrize("witness", [WITNESS, PQ_WITNESS])
def test_what_a_witness_cosigned_is_accepted_from_then_on(witness: object) -> None:
    both = SIGNED + cosign(SIGNED, witness.secret, 2**63 - 1)  # type: ignore[attr-defined]

    assert open_checkpoint(both, LOG.name, [LOG.vkey], [witness.vkey]) == (8, ROOT)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("raw", "key", "time"),
    [(SIGNED, LOG.secret, 5), (SIGNED, LOG.secret, None), (SIGNED, WITNESS.vkey, 5), (SIGNED, None, 5),
     (b"checkpoint", WITNESS.secret, 5),
     (None, WITNESS.secret, 5), (SIGNED, WITNESS.secret, 0), (SIGNED, WITNESS.secret, -1),
     (SIGNED, WITNESS.secret, 2**63),
     (SIGNED, WITNESS.secret, 1.5), (SIGNED, WITNESS.secret, None), (SIGNED, WITNESS.secret, True),
     (f"a\n\n{LOG.line('a' + chr(10))}", WITNESS.secret, 5)],
)  # fmt: skip
def test_nothing_else_is_cosigned(raw: object, key: object, time: object) -> None:
    with pytest.raises(Malformed):
        cosign(raw, key, time)  # type: ignore[arg-type]


def test_an_empty_tree_with_a_root_is_not_cosigned() -> None:
    with pytest.raises(Unverified):
        cosign(checkpoint(LOG, size=0, root=ROOT), WITNESS.secret, 5)


@pytest.mark.parametrize("length", [255, 256])
def test_an_mldsa_cosignature_holds_origins_and_names_of_255_bytes(length: int) -> None:
    named, signer = checkpoint(LOG, origin="o" * length), Signer("w" * length, MLDSA_COSIGNATURE, PQ_WITNESS.seed)

    for raw, key in ((named, PQ_WITNESS.secret), (SIGNED, signer.secret)):
        if length <= 255:
            assert cosign(raw, key, 5)
        else:
            with pytest.raises(Malformed):
                cosign(raw, key, 5)


def test_only_the_lines_of_known_witnesses_are_added() -> None:
    text = TEXT
    answer = WITNESS.line(text, 5) + OTHER_WITNESS.line(text, 6) + STRANGER.line(text) + WITNESS.line(text, 7)

    added = add_cosignatures(SIGNED, answer.encode(), [WITNESS.vkey, OTHER_WITNESS.vkey, THIRD_WITNESS.vkey])

    assert added.decode() == SIGNED.decode() + WITNESS.line(text, 7) + OTHER_WITNESS.line(text, 6)


def test_nothing_is_added_of_an_answer_without_a_known_witness() -> None:
    with pytest.raises(Unsatisfied):
        add_cosignatures(SIGNED, OTHER_WITNESS.line(TEXT, 5).encode(), [WITNESS.vkey])


def test_a_witness_that_had_cosigned_before_does_not_speak_for_its_answer() -> None:
    with pytest.raises(Unsatisfied):
        add_cosignatures(COSIGNED, OTHER_WITNESS.line(TEXT, 5).encode(), [WITNESS.vkey])


def test_nothing_is_added_where_one_line_does_not_hold() -> None:
    answer = OTHER_WITNESS.line(TEXT, 5) + WITNESS.line(TEXT.replace("8", "9"), 5)

    with pytest.raises(Unverified):
        add_cosignatures(SIGNED, answer.encode(), [WITNESS.vkey, OTHER_WITNESS.vkey])


@pytest.mark.parametrize(
    ("raw", "lines", "keys"),
    [(SIGNED, b"garbage\n", [WITNESS.vkey]), (SIGNED, b"\n", [WITNESS.vkey]), (SIGNED, None, [WITNESS.vkey]),
     (None, b"", [WITNESS.vkey]), (SIGNED, b"", [LOG.vkey]), (SIGNED, b"", WITNESS.vkey),
     (f"a\n\n{LOG.line('a' + chr(10))}", WITNESS.line(TEXT, 5).encode(), [WITNESS.vkey])],
)  # fmt: skip
def test_what_is_no_answer_of_a_witness_is_refused(raw: object, lines: object, keys: object) -> None:
    with pytest.raises(Malformed):
        add_cosignatures(raw, lines, keys)  # type: ignore[arg-type]


@given(at=st.integers(0, len(COSIGNED) - 1), bit=st.integers(0, 7))
def test_any_bit_changed_in_a_cosigned_checkpoint_is_noticed(at: int, bit: int) -> None:
    changed = COSIGNED[:at] + bytes([COSIGNED[at] ^ 1 << bit]) + COSIGNED[at + 1 :]

    with pytest.raises(TlogError):
        open_checkpoint(changed, LOG.name, [LOG.vkey], [WITNESS.vkey])


@given(at=st.integers(0, len(checkpoint(PQ_WITNESS)) - 1), bit=st.integers(0, 7))
def test_any_bit_changed_under_an_mldsa_signature_is_noticed(at: int, bit: int) -> None:
    signed = checkpoint(PQ_WITNESS)
    changed = signed[: at % len(signed)] + bytes([signed[at % len(signed)] ^ 1 << bit]) + signed[at % len(signed) + 1 :]

    with pytest.raises(TlogError):
        open_checkpoint(changed, LOG.name, [PQ_WITNESS.vkey])


def test_the_same_head_gives_the_same_checkpoint() -> None:
    assert sign_checkpoint(LOG.name, LOG.seed, 8, ROOT) == sign_checkpoint(LOG.name, LOG.seed, 8, ROOT) == SIGNED


def test_during_a_rotation_either_key_is_enough() -> None:
    keys = [LOG.vkey, NEXT_LOG.vkey]

    for signed in (SIGNED, checkpoint(NEXT_LOG), checkpoint(LOG, NEXT_LOG)):
        assert open_checkpoint(signed, LOG.name, keys) == (8, ROOT)


PROOF = path(2, LEAVES)


@pytest.mark.parametrize("extra", [None, b"a salt"])
def test_a_proof_file_reads_back_as_it_was_written(extra: bytes | None) -> None:
    written = format_tlog_proof(2, PROOF, COSIGNED, extra)

    read = parse_tlog_proof(written)
    assert (read.index, read.proof, read.checkpoint, read.extra) == (2, PROOF, COSIGNED, extra)
    assert verify_tlog_proof(written, mth(LEAVES[2:3]), LOG.name, [LOG.vkey]) == read


@given(data=st.data(), bit=st.integers(0, 7))
def test_any_bit_changed_in_a_proof_file_is_noticed(data: st.DataObject, bit: int) -> None:
    written = format_tlog_proof(2, PROOF, SIGNED)
    at = data.draw(st.integers(0, len(written) - 1))
    changed = written[:at] + bytes([written[at] ^ 1 << bit]) + written[at + 1 :]

    with pytest.raises(TlogError):
        verify_tlog_proof(changed, mth(LEAVES[2:3]), LOG.name, [LOG.vkey])


@pytest.mark.parametrize(
    ("index", "proof", "raw", "extra"),
    [(-1, PROOF, SIGNED, None), ("2", PROOF, SIGNED, None), (2, [b"short"], SIGNED, None), (2, None, SIGNED, None),
     (2, PROOF, b"checkpoint", None), (2, PROOF, None, None), (2, PROOF, SIGNED, b""), (2, PROOF, SIGNED, 5),
     (2, [EMPTY_ROOT] * 64, SIGNED, None), (2, PROOF, SIGNED, b"a" * 1_500_000)],
)  # fmt: skip
def test_what_is_no_proof_is_not_written(index: object, proof: object, raw: object, extra: object) -> None:
    with pytest.raises(Malformed):
        format_tlog_proof(index, proof, raw, extra)  # type: ignore[arg-type]


def test_a_proof_file_has_at_most_two_million_bytes() -> None:
    base = len(format_tlog_proof(2, PROOF, SIGNED, b"abc")) - 4
    most = b"abc" * ((2_000_000 - base) // 4)

    written = format_tlog_proof(2, PROOF, SIGNED, most)
    assert 2_000_000 - 4 < len(written) <= 2_000_000
    with pytest.raises(Malformed):
        format_tlog_proof(2, PROOF, SIGNED, most + b"abc")


POLICY = f"witness A {WITNESS.vkey}\nwitness B {OTHER_WITNESS.vkey}\ngroup g all A B\nquorum g\n"


def test_a_policy_says_what_is_missing() -> None:
    policy = f"log {LOG.vkey}\n{POLICY}"

    with pytest.raises(Unsatisfied, match="not the quorum"):
        check_policy(policy, COSIGNED)  # type: ignore[arg-type]
    with pytest.raises(Unsatisfied, match=r"no log of the policy that is named 'news\.example/log'"):
        check_policy(POLICY, COSIGNED)  # type: ignore[arg-type]


def test_a_policy_without_logs_is_completed_by_the_log_that_is_known() -> None:
    both = checkpoint(LOG, WITNESS, OTHER_WITNESS)

    assert check_policy(POLICY.encode(), both, [LOG.vkey]) == Head(LOG.name, 8, ROOT)
    assert check_policy(f"log {LOG.vkey}\n{POLICY}".encode(), both, [LOG.vkey]).size == 8
    assert not policy_satisfied(POLICY.encode(), both)


def test_the_key_of_another_log_does_not_complete_a_policy() -> None:
    with pytest.raises(Unsatisfied):
        check_policy(b"quorum none\n", checkpoint(LOG, origin="other.example"), [LOG.vkey])
    with pytest.raises(Malformed):
        check_policy(b"quorum none\n", SIGNED, LOG.vkey)


def test_a_policy_is_read_once_and_used_often() -> None:
    policy = parse_policy(f"log {LOG.vkey}\n{POLICY}".encode())

    assert policy_satisfied(policy, checkpoint(LOG, WITNESS, OTHER_WITNESS))
    assert not policy_satisfied(policy, COSIGNED)
    assert [key.name for key in policy.witnesses] == [WITNESS.name, OTHER_WITNESS.name]
    assert [key.name for key in policy.logs] == [LOG.name]


def test_an_error_in_a_policy_names_its_line() -> None:
    with pytest.raises(Malformed, match=r"^line 3 of the policy: another witness"):
        parse_policy(f"# ours\nwitness A {WITNESS.vkey}\nwitness B {WITNESS.vkey}\n".encode())


def test_a_log_that_is_a_witness_too_counts_as_both() -> None:
    policy = f"log {PQ_WITNESS.vkey}\nwitness A {PQ_WITNESS.vkey}\nquorum A\n".encode()

    assert policy_satisfied(policy, checkpoint(PQ_WITNESS, origin=PQ_WITNESS.name))


def test_a_policy_has_at_most_a_million_bytes() -> None:
    rest = b"\nquorum none\n"

    assert parse_policy(b"#" * (1_000_000 - len(rest)) + rest).quorum == b"none"
    with pytest.raises(Malformed):
        parse_policy(b"#" * (1_000_001 - len(rest)) + rest)


def test_a_policy_of_a_thousand_witnesses_is_read() -> None:
    witnesses = [Signer("w", 4, n.to_bytes(32)) for n in range(1000)]
    lines = [f"witness {n} {witness.vkey}" for n, witness in enumerate(witnesses)]
    policy = "\n".join([*lines, f"group g 501 {' '.join(map(str, range(1000)))}", "quorum g", ""])

    assert not policy_satisfied(policy.encode(), SIGNED)
