"""Released contracts: what was written once can be read for ever, and nothing else passes for it.

`golden/` holds, for each type, the leaf of a fact with every field (`.full.json`) and of one with only the
required ones (`.least.json`), as the log stores them, and one full record of each text. A released file
never changes. For a new type, the test says what to write.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import inspect

from events.contracts import ENUMERATIONS, FACTS, Fact, Identity, Wording, type_of
from events.errors import Invalid, UnknownFact
from events.leaf import Leaf, canonical, check_form, check_text, decode_identity, decode_leaf, decode_wording, derive

GOLDEN = Path(__file__).parent / "golden"

OPEN = {"correlation", "fork", "language", "media_type", "policy", "stream"}
"""The only fields of a leaf that take a string which is not of an enumeration, a time, an id or a digest."""


def filled(kind: inspect.Type, name: str, default: Any = None) -> Any:
    """Return a value of this type that is not its default; always the same."""
    match kind:
        case inspect.UnionType(types=types):
            return filled(next(one for one in types if not isinstance(one, inspect.NoneType)), name)
        case inspect.LiteralType(values=values):
            return next(value for value in values if value != default)
        case inspect.BoolType():
            return not default
        case inspect.IntType():
            return 7
        case inspect.StrType(min_length=30):
            return derive("clm" if name in ("to", "into", "claims") else "evt", name)
        case inspect.StrType(min_length=length):
            return {27: "2020-01-06T21:30:00.000000Z", 64: "5e" * 32, 10: "2020-01-07"}.get(length or 0) or {
                "language": "ar-IQ",
                "media_type": "application/pdf",
            }.get(name, f"the {name} – “ünï”\n")
        case inspect.VarTupleType(item_type=item):
            return (filled(item, name), filled(item, name))
        case inspect.DictType(value_type=value):
            return {"1": filled(value, name), "12": filled(value, name)}
        case inspect.StructType(cls=cls):
            return full(cls)
    raise AssertionError(f"a contract has no fields such as {name}: {kind}")


def fields_of(cls: type[msgspec.Struct]) -> tuple[inspect.Field, ...]:
    info = inspect.type_info(cls)
    assert isinstance(info, inspect.StructType)
    return info.fields


def full(cls: type[msgspec.Struct]) -> Any:
    return cls(**{field.name: filled(field.type, field.name, field.default) for field in fields_of(cls)})


def least(cls: type[msgspec.Struct]) -> Any:
    return cls(**{field.name: filled(field.type, field.name) for field in fields_of(cls) if field.required})


def leaf_of(fact: Fact, **more: str) -> Leaf:
    return Leaf(
        id=derive("evt", "event"),
        stream=f"claim:{derive('clm', 'claim')}",
        recorded_at="2020-01-08T12:00:00.000001Z",
        wording="0a" * 32,
        identity="f0" * 32,
        fact=fact,
        **more,
    )


LEAVES = {
    f"{name}.{size}": leaf
    for name, cls in FACTS.items()
    for size, leaf in {
        "full": leaf_of(full(cls), causation=derive("evt", "cause"), correlation="import-7"),
        "least": leaf_of(least(cls)),
    }.items()
}
TEXTS = {"wording.full": full(Wording), "identity.full": full(Identity)}


def golden(name: str, expected: bytes) -> bytes:
    path = GOLDEN / f"{name}.json"
    assert path.exists(), f"a new contract: write this to {path.name}, and never change it:\n{expected.decode()}"
    return path.read_bytes().removesuffix(b"\n")


# --- what was written can be read ------------------------------------------------------------------


@pytest.mark.parametrize("name", LEAVES)
def test_a_golden_leaf_is_read_and_written_as_ever(name: str) -> None:
    leaf = LEAVES[name]

    raw = golden(name, canonical(leaf))

    assert decode_leaf(raw) == leaf
    assert canonical(leaf) == raw
    assert canonical(decode_leaf(raw)) == raw
    check_form(decode_leaf(raw), raw)


@pytest.mark.parametrize("name", TEXTS)
def test_a_golden_text_is_read_and_written_as_ever(name: str) -> None:
    text = TEXTS[name]

    raw = golden(name, canonical(text))

    decoded = decode_wording(raw) if name.startswith("wording") else decode_identity(raw)
    assert decoded == text
    assert canonical(decoded) == raw
    check_text(decoded, raw)


def test_every_golden_file_is_of_a_fact_that_is_still_read() -> None:
    assert {path.name.removesuffix(".json") for path in GOLDEN.iterdir()} == {*LEAVES, *TEXTS}


def test_a_full_record_leaves_no_field_out() -> None:
    for name in FACTS:
        fact = json.loads(canonical(LEAVES[f"{name}.full"]))["fact"]

        assert set(fact) == {"type", *(field.encode_name for field in fields_of(FACTS[name]))}


# --- and nothing else passes -----------------------------------------------------------------------


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Yield every place in a JSON value, with what stands there."""
    yield path, value
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(inner, (*path, key))


def changed(raw: bytes, path: tuple[str | int, ...], new: Any) -> bytes:
    value = at = json.loads(raw)
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = new
    return canonical(value)


def refuses(raw: bytes) -> bool:
    try:
        decode_leaf(raw)
    except Invalid:
        return True
    return False


@pytest.mark.parametrize("name", FACTS)
def test_an_unknown_value_is_refused_wherever_a_field_is_closed(name: str) -> None:
    raw = canonical(LEAVES[f"{name}.full"])
    strings = [path for path, value in places(json.loads(raw)) if isinstance(value, str)]

    taken = {path[-1] for path in strings if not refuses(changed(raw, path, "xyzzy"))}

    assert taken <= OPEN


@pytest.mark.parametrize("name", FACTS)
def test_a_value_of_another_kind_is_refused_everywhere(name: str) -> None:
    raw = canonical(LEAVES[f"{name}.full"])

    for path, value in places(json.loads(raw)):
        for other in (None, 1.5, -1, 2**53, True, "", [[]], {"a": 1}):
            if path and type(other) is not type(value):
                # A field that may be left out may also say null; it is not written so by us.
                assert other is None or refuses(changed(raw, path, other)), f"{path} takes {other!r}"


@pytest.mark.parametrize("name", FACTS)
def test_an_unknown_field_is_refused_everywhere(name: str) -> None:
    raw = canonical(LEAVES[f"{name}.full"])

    for path, value in places(json.loads(raw)):
        if isinstance(value, dict):
            assert refuses(changed(raw, (*path, "colour"), "red")), f"{path} takes an unknown field"


@pytest.mark.parametrize("name", FACTS)
def test_a_required_field_is_required(name: str) -> None:
    raw = canonical(LEAVES[f"{name}.least"])

    for path, _ in places(json.loads(raw)):
        if path and isinstance(path[-1], str):
            value = at = json.loads(raw)
            for key in path[:-1]:
                at = at[key]
            del at[path[-1]]
            assert refuses(canonical(value)), f"{path} may be left out"


def test_a_fact_of_a_later_version_is_named() -> None:
    raw = changed(canonical(LEAVES["claim.denied.full"]), ("fact",), {"type": "claim.denied.v2", "mood": "grave"})

    with pytest.raises(UnknownFact, match=r"claim\.denied\.v2.* newer version") as refused:
        decode_leaf(raw)

    assert refused.value.type_name == "claim.denied.v2"


# --- how contracts are made ------------------------------------------------------------------------


@pytest.mark.parametrize("name", FACTS)
def test_a_type_is_a_noun_and_a_past_tense(name: str) -> None:
    noun, verb = re.fullmatch(r"([a-z]+)\.([a-z_]+)(?:\.v[2-9])?", name).groups()

    assert noun in {"claim", "statement", "origins", "evidence", "adjudication", "source", "story", "log", "policy",
                    "statuses", "text", "identity"}  # fmt: skip
    assert verb.endswith("ed") or verb in {"withdrawn", "split", "read"}
    assert type_of(least(FACTS[name])) == name


@pytest.mark.parametrize("cls", [*FACTS.values(), Leaf, Wording, Identity], ids=lambda cls: cls.__name__)
def test_every_field_is_in_the_domain_of_canonical_json(cls: type[msgspec.Struct]) -> None:
    def check(kind: inspect.Type) -> None:
        assert not isinstance(kind, (inspect.FloatType, inspect.AnyType, inspect.DecimalType))
        match kind:
            case inspect.IntType(ge=low, le=high):
                assert low is not None and high is not None and 0 <= low < high < 2**53
            case inspect.UnionType(types=types) if cls is not Leaf:
                for one in types:
                    check(one)
            case inspect.VarTupleType(item_type=inner) | inspect.DictType(value_type=inner):
                check(inner)
            case inspect.StructType(fields=fields) if not issubclass(kind.cls, Fact):
                for field in fields:
                    assert re.fullmatch(r"[a-z_]+", field.encode_name)
                    check(field.type)

    for field in fields_of(cls):
        assert re.fullmatch(r"[a-z_]+", field.encode_name)
        check(field.type)


@pytest.mark.parametrize("name", FACTS)
def test_the_words_of_a_fact_are_fields_of_wording(name: str) -> None:
    assert set(FACTS[name].words) <= set(Wording.__struct_fields__)


def test_every_enumeration_that_a_fact_uses_is_listed() -> None:
    def literals(kind: inspect.Type) -> Iterator[tuple[Any, ...]]:
        match kind:
            case inspect.LiteralType(values=values):
                yield values
            case inspect.UnionType(types=types):
                for one in types:
                    yield from literals(one)
            case inspect.VarTupleType(item_type=item):
                yield from literals(item)
            case inspect.StructType(fields=fields):
                for field in fields:
                    yield from literals(field.type)

    used = {tuple(sorted(values)) for cls in FACTS.values() for values in literals(inspect.type_info(cls))}

    listed = {tuple(sorted(values)) for values in ENUMERATIONS.values()}
    assert used == listed
