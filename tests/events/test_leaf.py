"""The stored form of an event: canonical, hashed as it stands, and the same wherever it is made."""

from __future__ import annotations

import hashlib
import json
import types
import typing
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import inspect

from events.contracts import (
    FACTS,
    ClaimAsserted,
    ClaimDenied,
    ClaimRegistered,
    ClaimSplit,
    EvidenceAttached,
    Fact,
    Identity,
    Occurred,
    Party,
    StatementWithdrawn,
    Wording,
)
from events.errors import Invalid, TooLarge, UnknownFact
from events.leaf import (
    LEAF_LIMIT,
    TEXT_LIMIT,
    Leaf,
    canonical,
    check_form,
    check_text,
    check_words,
    decode_identity,
    decode_leaf,
    decode_wording,
    derive,
    new_id,
    new_salt,
    now,
    text_digest,
    timestamp,
)
from events.log import Proposed

CLAIM = f"claim:{derive('clm', 'withdrawal')}"
AT = "2020-01-06T21:30:00.000001Z"
DENIED = ClaimDenied(source=1, origin=1)
BY = Identity(actor="editor")


def proposed(fact: Fact = DENIED, **fields: Any) -> Proposed:
    return Proposed(**{"id": derive("evt", "event"), "stream": CLAIM, "identity": BY, "fact": fact} | fields)


def leaf_of(fact: Fact = DENIED, **fields: Any) -> Leaf:
    return Leaf(
        **{"id": derive("evt", "event"), "stream": CLAIM, "recorded_at": AT, "fact": fact}
        | {"wording": "0a" * 32, "identity": "f0" * 32}
        | fields
    )


# --- canonical JSON --------------------------------------------------------------------------------


def rfc_8785(value: Any) -> str:
    """An encoder of its own, as the RFC says it (section 3.2), for objects with ASCII keys and for integers."""
    match value:
        case None | bool() | int():
            return json.dumps(value)
        case str():
            return f'"{"".join(map(escaped, value))}"'
        case list() | tuple():
            return f"[{','.join(map(rfc_8785, value))}]"
        case dict():
            members = sorted(value.items(), key=lambda member: member[0].encode("utf-16-be"))
            return f"{{{','.join(f'{rfc_8785(key)}:{rfc_8785(inner)}' for key, inner in members)}}}"
    raise AssertionError(value)


def escaped(character: str) -> str:
    short = {8: "\\b", 9: "\\t", 10: "\\n", 12: "\\f", 13: "\\r", 34: '\\"', 92: "\\\\"}
    code = ord(character)
    return short.get(code) or (character if code > 31 else f"\\u{code:04x}")


TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
KEYS = st.text(st.characters(max_codepoint=127))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_canonical_json_is_that_of_rfc_8785(value: Any) -> None:
    assert canonical(value).decode() == rfc_8785(value)
    assert json.loads(canonical(value)) == value


def test_the_bytes_do_not_depend_on_the_order_in_which_fields_were_given() -> None:
    one = Identity(actor="a", parties={"2": Party(id="s" * 30, name="B"), "1": Party(name="A", id="s" * 30)})
    two = Identity(parties={"1": Party(id="s" * 30, name="A"), "2": Party(id="s" * 30, name="B")}, actor="a")

    assert canonical(one) == canonical(two)


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb", "\udc00\ud800"])
def test_a_lone_surrogate_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="lone surrogate"):
        canonical([text])
    with pytest.raises(Invalid, match="lone surrogate"):
        derive("src", text)
    with pytest.raises(Invalid, match="lone surrogate"):
        proposed(wording=Wording(note=text)).encode()


# --- digests ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("slot", ["wording", "identity"])
@pytest.mark.parametrize("value", [{}, {"note": 'Ünï 🪖 \n \\ " \u2028 \x7f'}, {"actor": "editor", "parties": {}}])
def test_a_digest_is_sha_256_over_salt_slot_and_value(
    slot: typing.Literal["wording", "identity"], value: dict[str, Any]
) -> None:
    salt = bytes(range(16))
    text = json.dumps(["000102030405060708090a0b0c0d0e0f", slot, value], ensure_ascii=False, separators=(",", ":"))

    assert text_digest(salt, slot, canonical(value)) == hashlib.sha256(text.encode()).hexdigest()


def test_a_digest_is_what_it_always_was() -> None:
    digest = text_digest(b"\x00" * 16, "wording", b'{"note":"hello"}')

    assert digest == "e85f92616783cf0bffbed1f330c5aceb8863c0f1c03f07ceb78d04f5674237b3"


def test_the_leaf_holds_the_digests_of_its_texts() -> None:
    encoded = proposed(wording=Wording(note="hello")).encode()

    leaf = decode_leaf(encoded.leaf_at(AT))

    assert leaf.wording == text_digest(encoded.wording_salt, "wording", b'{"note":"hello"}')
    assert leaf.identity == text_digest(encoded.identity_salt, "identity", b'{"actor":"editor"}')


def test_equal_texts_have_different_digests() -> None:
    one, two = proposed().encode(), proposed().encode()

    assert decode_leaf(one.leaf_at(AT)).identity != decode_leaf(two.leaf_at(AT)).identity
    assert len({one.wording_salt, one.identity_salt, two.wording_salt, two.identity_salt}) == 4


def test_a_salt_has_128_bits() -> None:
    assert len(new_salt()) == 16
    assert new_salt() != new_salt()


# --- ids -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prefix", "parts", "expected"),
    [
        ("evt", (), "evt_j5j43immfovaya2uxnpzupwl4u"),
        ("src", ("log_x", "mark esper"), "src_ukme7wymoxyehmeuesemnniei4"),
        ("org", ("log_x", "mark esper"), "org_ukme7wymoxyehmeuesemnniei4"),
        ("clm", ("log_x", "مارك إسبر 🪖"), "clm_dk4jgduyla4nyrjgvunatecgwm"),
    ],
)
def test_an_id_is_what_it_always_was(prefix: str, parts: tuple[str, ...], expected: str) -> None:
    assert derive(prefix, *parts) == expected


PARTS = st.lists(TEXTS, max_size=3)


@given(PARTS, PARTS)
def test_different_parts_give_different_ids(one: list[str], two: list[str]) -> None:
    assert (derive("evt", *one) == derive("evt", *two)) == (one == two)


@pytest.mark.parametrize(("one", "two"), [(["ab", ""], ["a", "b"]), (['a","b'], ["a", "b"]), ([], [""])])
def test_parts_do_not_run_together(one: list[str], two: list[str]) -> None:
    assert derive("evt", *one) != derive("evt", *two)


def test_every_id_has_one_form() -> None:
    for made in (derive("evt", "x"), new_id("evt")):
        check_form(leaf := leaf_of(id=made), canonical(leaf))

    assert new_id("src") != new_id("src")


# --- times -----------------------------------------------------------------------------------------

MOMENTS = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))


@given(MOMENTS, MOMENTS)
def test_times_have_one_width_and_sort_as_they_are(one: datetime, two: datetime) -> None:
    assert len(timestamp(one)) == 27
    assert (timestamp(one) < timestamp(two)) == (one < two)
    assert datetime.fromisoformat(timestamp(one)) == one


def test_a_time_is_written_in_utc() -> None:
    noon_in_baghdad = datetime(2020, 1, 6, 12, tzinfo=timezone(timedelta(hours=3)))

    assert timestamp(noon_in_baghdad) == "2020-01-06T09:00:00.000000Z"


def test_now_is_a_time() -> None:
    check_form(leaf := leaf_of(recorded_at=now()), canonical(leaf))


# --- leaves ----------------------------------------------------------------------------------------


def facts() -> st.SearchStrategy[Fact]:
    return st.sampled_from(list(FACTS.values())).flatmap(of_class)


def of_class(cls: type[Any]) -> st.SearchStrategy[Any]:
    info = inspect.type_info(cls)
    assert isinstance(info, inspect.StructType)
    required = {field.name: of_kind(field.type) for field in info.fields if field.required}
    optional = {field.name: of_kind(field.type) for field in info.fields if not field.required}
    return st.fixed_dictionaries(required, optional=optional).map(lambda fields: cls(**fields))


def of_kind(kind: inspect.Type) -> st.SearchStrategy[Any]:
    match kind:
        case inspect.UnionType(types=options):
            return st.one_of(*map(of_kind, options))
        case inspect.NoneType():
            return st.none()
        case inspect.LiteralType(values=values):
            return st.sampled_from(values)
        case inspect.BoolType():
            return st.booleans()
        case inspect.IntType(ge=low, le=high):
            return st.integers(low, high)
        case inspect.StrType(min_length=low, max_length=high):
            return st.text(st.characters(exclude_categories=["Cs"]), min_size=low or 0, max_size=high and min(high, 99))
        case inspect.VarTupleType(item_type=item):
            return st.lists(of_kind(item), max_size=3).map(tuple)
        case inspect.StructType(cls=cls):
            return of_class(cls)
    raise AssertionError(kind)


@given(facts(), st.none() | st.just("import-7"))
def test_any_fact_comes_back_as_it_was_written(fact: Fact, correlation: str | None) -> None:
    leaf = leaf_of(fact, correlation=correlation)

    raw = canonical(leaf)

    assert decode_leaf(raw) == leaf
    assert raw.decode() == rfc_8785(json.loads(raw))


@given(facts(), TEXTS)
def test_a_leaf_filled_in_under_the_lock_is_the_leaf_encoded_at_once(fact: Fact, correlation: str) -> None:
    encoded = proposed(fact, correlation=correlation, causation=derive("evt", "cause")).encode()

    raw = encoded.leaf_at(AT)

    leaf = decode_leaf(raw)
    assert leaf.recorded_at == AT
    assert raw == canonical(
        Leaf(
            id=derive("evt", "event"),
            stream=CLAIM,
            recorded_at=AT,
            fact=fact,
            correlation=correlation,
            causation=derive("evt", "cause"),
            wording=text_digest(encoded.wording_salt, "wording", encoded.wording),
            identity=text_digest(encoded.identity_salt, "identity", encoded.identity),
        )
    )


def test_a_text_that_looks_like_a_time_field_is_left_alone() -> None:
    encoded = proposed(correlation='"recorded_at":"0000-00-00T00:00:00.000000Z","stream":"').encode()

    leaf = decode_leaf(encoded.leaf_at(AT))

    assert (leaf.recorded_at, leaf.stream) == (AT, CLAIM)
    assert leaf.correlation == '"recorded_at":"0000-00-00T00:00:00.000000Z","stream":"'


def test_an_unknown_fact_is_named() -> None:
    raw = canonical(leaf_of()).replace(b"claim.denied", b"claim.sung")

    with pytest.raises(UnknownFact, match=r"'claim\.sung'; use a newer version") as refused:
        decode_leaf(raw)

    assert refused.value.type_name == "claim.sung"


@pytest.mark.parametrize(
    "raw",
    [b"", b"null", b"{}", b"[]", b'"', b"\xff", b'{"fact":{}}', b'{"fact":{"type":7}}', b'{"x":' + b"[" * 60_000,
     b'{"fact":{"type":"claim.denied","x":' + b"[" * 60_000, b'{"id":"\\ud800"}'],
)  # fmt: skip
def test_bytes_that_are_no_leaf_are_refused(raw: bytes) -> None:
    for decode in (decode_leaf, decode_wording, decode_identity):
        if not (raw == b"{}" and decode is decode_wording):
            with pytest.raises(Invalid):
                decode(raw)


# --- what an append refuses ------------------------------------------------------------------------


def test_a_leaf_may_have_so_many_bytes_and_no_more() -> None:
    room = LEAF_LIMIT - len(proposed(correlation="").encode().leaf_at(AT))

    assert len(proposed(correlation="x" * room).encode().leaf_at(AT)) == LEAF_LIMIT
    with pytest.raises(TooLarge, match="has 65,536 bytes, the limit is 65,535"):
        proposed(correlation="x" * (room + 1)).encode()


def test_a_text_may_have_so_many_bytes_and_no_more() -> None:
    parties = {f"{n}": Party(id=derive("src", f"{n}"), name="🪖" * 500) for n in range(1, 128)}
    room = TEXT_LIMIT - len(canonical(Identity(actor="", parties=parties)))
    actor = "🪖" * (room // 4) + "x" * (room % 4)

    assert len(proposed(identity=Identity(actor=actor, parties=parties)).encode().identity) == TEXT_LIMIT
    with pytest.raises(TooLarge, match="more than 262,144 bytes"):
        proposed(identity=Identity(actor=f"{actor}x", parties=parties)).encode()


@pytest.mark.parametrize(
    "fields",
    [
        {"fact": ClaimDenied(source=0, origin=1)},
        {"fact": ClaimDenied(source=1, origin="the letter")},
        {"fact": ClaimDenied(source=1, origin=1, standing="loud")},
        {"fact": ClaimDenied(source=1, origin=1, occurred=Occurred(earliest="yesterday"))},
        {"fact": StatementWithdrawn(statement="that one")},
        {"id": "evt_1"},
        {"stream": ""},
        {"wording": Wording(note="")},
        {"wording": Wording(note="x" * 10_001)},
        {"wording": Wording(title="a claim has no title")},
        {"identity": Identity(actor="")},
        {"identity": Identity(actor="editor", documents={"1": "a hash"})},
    ],
)
def test_what_breaks_its_contract_is_not_recorded(fields: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        proposed(**fields).encode()


def test_a_fact_carries_only_the_words_it_may() -> None:
    check_words(ClaimAsserted(source=1, origin=1), Wording(note="a note"))

    with pytest.raises(Invalid, match=r"claim\.asserted carries no place"):
        check_words(ClaimAsserted(source=1, origin=1), Wording(place="Baghdad"))


# --- what an audit refuses -------------------------------------------------------------------------


def test_a_leaf_of_ours_has_its_form() -> None:
    for fact in (DENIED, ClaimRegistered(language="en", kind="event"), ClaimSplit(assignments=(), into=())):
        check_form(leaf := leaf_of(fact), canonical(leaf))


def test_a_default_that_is_written_out_is_canonical_too() -> None:
    raw = canonical(leaf_of()).replace(b'"source":1', b'"source":1,"standing":"unknown"')

    check_form(decode_leaf(raw), raw)


ID = derive("evt", "another")


@pytest.mark.parametrize(
    ("leaf", "name"),
    [
        (leaf_of(id=ID.upper()), "id"),
        (leaf_of(id=f"evt-{ID[4:]}"), "id"),
        (leaf_of(id=f"abc_{ID[4:]}"), "id"),
        (leaf_of(id=f"{ID[:-1]}1"), "id"),
        (leaf_of(causation="x" * 30), "causation"),
        (leaf_of(correlation="two words"), "correlation"),
        (leaf_of(correlation=""), "correlation"),
        (leaf_of(stream=CLAIM[:-1]), "stream"),
        (leaf_of(stream=CLAIM.replace("claim", "story")), "stream"),
        (leaf_of(stream="logs"), "stream"),
        (leaf_of(wording="0A" * 32), "wording"),
        (leaf_of(identity="xy" * 32), "identity"),
        (leaf_of(recorded_at="2020-01-06T21:30:00.000000+"), "recorded_at"),
        (leaf_of(recorded_at="2020-01-06 21:30:00.000000Z"), "recorded_at"),
        (leaf_of(recorded_at="٢٠٢٠-01-06T21:30:00.000000Z"), "recorded_at"),
        (leaf_of(ClaimDenied(source=1, origin=1, occurred=Occurred(latest="9" * 27))), "latest"),
        (leaf_of(ClaimDenied(source=1, origin=1, derived_from="x" * 30)), "derived_from"),
        (leaf_of(ClaimRegistered(language="Klingon!")), "language"),
        (leaf_of(ClaimSplit(assignments=(), into=("x" * 30,))), "into"),
        (leaf_of(EvidenceAttached(document=1, size=1, media_type="text/plain; charset=utf-8")), "media_type"),
        (leaf_of(EvidenceAttached(document=1, size=1, media_type="tëxt/plain")), "media_type"),
    ],
)
def test_a_field_that_does_not_have_its_form_is_refused(leaf: Leaf, name: str) -> None:
    with pytest.raises(Invalid, match=f"^{name} .* does not have the form"):
        check_form(leaf, canonical(leaf))


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw + b" ",
        lambda raw: raw.replace(b",", b", ", 1),
        lambda raw: b'{"stream":"log",' + raw[1:],
        lambda raw: raw.replace(b'"id"', b'"\\u0069d"'),
        lambda raw: raw.replace(b"claim:", b"claim\\u003a"),
        lambda raw: json.dumps(dict(reversed(json.loads(raw).items())), separators=(",", ":")).encode(),
    ],
)
def test_bytes_that_mean_the_same_and_are_not_canonical_are_refused(change: types.FunctionType) -> None:
    raw = change(canonical(leaf_of()))

    with pytest.raises(Invalid, match="a leaf is not canonical JSON"):
        check_form(decode_leaf(raw), raw)


def test_a_leaf_that_is_too_large_is_refused() -> None:
    leaf = leaf_of(correlation="x" * LEAF_LIMIT)

    with pytest.raises(TooLarge):
        check_form(leaf, canonical(leaf))


@pytest.mark.parametrize(
    "text",
    [
        Identity(actor="editor", documents={"1": "XY" * 32}),
        Identity(actor="editor", documents={"0": "0a" * 32}),
        Identity(actor="editor", documents={"١": "0a" * 32}),
        Identity(actor="editor", command="0A" * 32),
        Identity(actor="editor", parties={"one": Party(id=derive("src", "x"), name="X")}),
        Identity(actor="editor", parties={"1": Party(id="x" * 30, name="X")}),
    ],
)
def test_a_text_that_does_not_have_its_form_is_refused(text: Identity) -> None:
    with pytest.raises(Invalid, match="does not have the form"):
        check_text(text, canonical(text))


def test_a_text_of_ours_has_its_form() -> None:
    for text in (Wording(note="a note"), Identity(actor="editor", documents={"12": "0a" * 32}, command="0b" * 32)):
        check_text(text, canonical(text))
    with pytest.raises(Invalid, match="a text is not canonical JSON"):
        check_text(Wording(note="a note"), b'{"note": "a note"}')


def test_a_leaf_is_a_value() -> None:
    leaf = leaf_of()

    with pytest.raises(AttributeError):
        leaf.stream = "log"
    assert msgspec.structs.replace(leaf, stream="log") != leaf
