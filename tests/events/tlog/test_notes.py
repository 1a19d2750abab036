"""Keys and signed notes beyond the golden vectors: writing them, the limits, and that any change is noticed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.tlog import (
    COSIGNATURE,
    ED25519,
    MLDSA_COSIGNATURE,
    Malformed,
    TlogError,
    Unsupported,
    Unverified,
    keys,
    new_key,
    open_note,
    parse_vkey,
    sign_note,
    split_note,
    vkey_of,
)
from tests.events.tlog.independent import LOG, NEXT_LOG, PQ_WITNESS, STRANGER, WITNESS, Signer, checkpoint

TEXT = "One line.\n\nAnd another.\n"
NOTE = sign_note(TEXT, [LOG.secret])


@pytest.mark.parametrize("signer", [LOG, WITNESS, PQ_WITNESS])
def test_a_private_key_has_the_vkey_that_its_form_gives(signer: Signer) -> None:
    assert vkey_of(signer.secret) == signer.vkey


@pytest.mark.parametrize("kind", [ED25519, COSIGNATURE, MLDSA_COSIGNATURE])
def test_a_new_key_is_like_no_other_and_keeps_its_name_and_type(kind: int) -> None:
    one, other = new_key("news.example/log", kind), new_key("news.example/log", kind)

    assert one != other
    assert one.startswith("PRIVATE+KEY+news.example/log+")
    assert (parse_vkey(vkey_of(one)).name, parse_vkey(vkey_of(one)).type) == ("news.example/log", kind)


def test_a_new_key_is_a_logs_unless_another_type_is_asked_for() -> None:
    assert parse_vkey(vkey_of(new_key("news.example/log"))).type == ED25519


@pytest.mark.parametrize(
    ("name", "kind"),
    [("", 1), ("a b", 1), ("a+b", 1), ("a\u3000b", 1), ("a\nb", 1), ("\ud800", 1), (None, 1), (b"a", 1), ("a", 2),
     ("a", 0), ("a", "1"), ("a", None), ("a", True), ("a", [])],
)  # fmt: skip
def test_there_is_no_key_of_another_name_or_type(name: object, kind: object) -> None:
    with pytest.raises(Malformed):
        new_key(name, kind)  # type: ignore[arg-type]


WRONG_KEYS = [
    LOG.vkey, LOG.secret.removeprefix("PRIVATE+KEY+"), LOG.secret[:-1], LOG.secret + "=",
    LOG.secret.replace("example", "test"), LOG.secret.replace(LOG.id.hex(), LOG.id.hex().upper()),
    LOG.secret.replace("+AQ", "+Ag"),
    "PRIVATE+KEY+a+00000000+AQ==", "PRIVATE+KEY+a+00000000+", "PRIVATE+KEY+", "", "private+key+" + LOG.secret[12:],
]  # fmt: skip


@pytest.mark.parametrize("written", [*WRONG_KEYS, None, 5, b"\xff"])
def test_a_private_key_in_another_form_is_refused_and_never_shown(written: object) -> None:
    with pytest.raises(Malformed) as caught:
        vkey_of(written)  # type: ignore[arg-type]

    secret = LOG.secret.rpartition("+")[2].rstrip("=")
    assert secret not in f"{caught.value!r} {caught.value.__cause__!r}"


def test_a_signing_key_does_not_show_its_seed() -> None:
    key = keys.parse_private_key(LOG.secret)

    assert LOG.secret.rpartition("+")[2] not in repr(key)
    assert LOG.seed.hex() not in repr(key)


@pytest.mark.parametrize("seed", [b"", bytes(31), bytes(33), "x" * 32, None])
def test_a_seed_has_32_bytes(seed: object) -> None:
    with pytest.raises(Malformed):
        keys.signing_key("a", ED25519, seed)  # type: ignore[arg-type]


def test_a_private_key_for_another_seed_is_refused() -> None:
    swapped = LOG.secret.rpartition("+")[0] + "+" + NEXT_LOG.secret.rpartition("+")[2]

    with pytest.raises(Malformed):
        vkey_of(swapped)


def test_a_note_may_be_signed_by_several_keys() -> None:
    note = sign_note(TEXT, [LOG.secret, STRANGER.secret])

    assert note == f"{TEXT}\n{LOG.line(TEXT)}{STRANGER.line(TEXT)}".encode()
    assert open_note(note, [STRANGER.vkey, LOG.vkey]) == (TEXT, [STRANGER.vkey, LOG.vkey])


@pytest.mark.parametrize(
    ("text", "private_keys"),
    [("no newline", [LOG.secret]), ("tab\t\n", [LOG.secret]), ("\ud800\n", [LOG.secret]), (b"bytes\n", [LOG.secret]),
     (None, [LOG.secret]), (TEXT, []), (TEXT, [LOG.vkey]), (TEXT, LOG.secret), (TEXT, [LOG.secret, LOG.secret]),
     (TEXT, [WITNESS.secret]), (f"{TEXT}\n{STRANGER.line(TEXT)[:-1]}", [LOG.secret]),
     ("a" * 1_000_000 + "\n", [LOG.secret])],
)  # fmt: skip
def test_what_is_no_note_is_not_signed(text: object, private_keys: object) -> None:
    with pytest.raises(Malformed):
        sign_note(text, private_keys)  # type: ignore[arg-type]


def test_a_note_has_at_most_a_million_bytes() -> None:
    room = 1_000_000 - len(sign_note("\n", [LOG.secret]))
    text = "a" * room + "\n"

    assert open_note(sign_note(text, [LOG.secret]), [LOG.vkey])[0] == text
    with pytest.raises(Malformed):
        split_note(b"a" + sign_note(text, [LOG.secret]))


@pytest.mark.parametrize(("signer", "length"), [(LOG, 63), (LOG, 65), (WITNESS, 71), (WITNESS, 7), (PQ_WITNESS, 2427)])
def test_a_signature_of_another_length_is_called_so(signer: Signer, length: int) -> None:
    note = checkpoint() + signer.line_of(bytes(length)).encode()

    with pytest.raises(Unverified, match="wrong length"):
        open_note(note, [signer.vkey])


def test_a_text_that_can_not_be_written_is_refused_with_the_reason() -> None:
    with pytest.raises(Malformed, match="lone surrogate"):
        open_note("\ud800" + NOTE.decode(), [LOG.vkey])  # type: ignore[arg-type]


def test_a_note_may_be_given_as_a_text() -> None:
    assert open_note(NOTE.decode(), [LOG.vkey]) == open_note(NOTE, [LOG.vkey])  # type: ignore[arg-type]


def test_the_signatures_of_a_note_can_be_read_without_verifying_any() -> None:
    text, [signature] = split_note(NOTE)

    assert (text, signature.name, signature.id) == (TEXT, LOG.name, LOG.id)
    assert str(signature) == LOG.line(TEXT)


@given(at=st.integers(0, len(NOTE) - 1), bit=st.integers(0, 7))
def test_any_bit_changed_in_a_note_is_noticed(at: int, bit: int) -> None:
    changed = NOTE[:at] + bytes([NOTE[at] ^ 1 << bit]) + NOTE[at + 1 :]

    with pytest.raises(TlogError):
        open_note(changed, [LOG.vkey])


@given(at=st.integers(0, len(NOTE) - 1), more=st.binary(max_size=3))
def test_any_byte_put_into_or_taken_out_of_a_note_is_noticed(at: int, more: bytes) -> None:
    changed = NOTE[:at] + more + (NOTE[at:] if more else NOTE[at + 1 :])

    with pytest.raises(TlogError):
        open_note(changed, [LOG.vkey])


@given(text=st.text(st.characters(exclude_categories=("Cs", "Cc"), include_characters="\n"), max_size=200))
def test_every_text_that_can_be_signed_opens_as_it_was(text: str) -> None:
    assert open_note(sign_note(text + "\n", [LOG.secret]), [LOG.vkey]) == (text + "\n", [LOG.vkey])


@pytest.mark.parametrize("module", [None, object()])
def test_without_the_algorithm_its_keys_are_refused_with_what_to_do(
    module: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "mldsa", module)

    for use in (lambda: parse_vkey(PQ_WITNESS.vkey), lambda: new_key("a", MLDSA_COSIGNATURE)):
        with pytest.raises(Unsupported, match="install version 47"):
            use()
    assert parse_vkey(WITNESS.vkey).name == WITNESS.name
