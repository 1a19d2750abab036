"""Canonical JSON, compared with an implementation that is not ours and with what leaves are written with."""

from __future__ import annotations

import json
from enum import IntEnum, StrEnum
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from events.leaf import canonical
from events.tlog import Malformed, canonical_json

INTEGERS = st.integers(1 - 2**53, 2**53 - 1)


def values(keys: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    alone = st.none() | st.booleans() | INTEGERS | st.text()
    return st.recursive(alone, lambda inner: st.lists(inner) | st.dictionaries(keys, inner), max_leaves=20)


@given(value=values(st.text()))
def test_the_bytes_are_those_of_another_implementation(value: Any) -> None:
    assert canonical_json(value) == rfc8785.dumps(value)


@given(value=values(st.text(st.characters(codec="ascii"))))
def test_the_bytes_are_those_of_a_leaf(value: Any) -> None:
    assert canonical_json(value) == canonical(value)


@given(value=values(st.text()))
def test_the_bytes_read_back_as_the_value(value: Any) -> None:
    assert json.loads(canonical_json(value)) == value


def test_a_tuple_is_written_as_a_list() -> None:
    assert canonical_json((1, ("a",))) == b'[1,["a"]]'


class Word(StrEnum):
    ONE = "one"


class Number(IntEnum):
    ONE = 1


class Text(str):
    """A text that would spell itself otherwise."""

    __slots__ = ()


CIRCLE: list[Any] = []
CIRCLE.append(CIRCLE)


@pytest.mark.parametrize(
    "value",
    [1.0, float("nan"), float("inf"), -0.0, 1j, b"a", bytearray(b"a"), {1, 2}, range(3), object(), Word.ONE, Number.ONE,
     Text("a"), {1: 2}, {None: 1}, {True: 1}, {b"a": 1}, {Word.ONE: 1}, {("a",): 1}, {"a": 1, 2: 3}, CIRCLE, int, len,
     [object()], {"a": {"b": 1.5}}],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_what_has_no_one_spelling_is_refused(value: Any) -> None:
    with pytest.raises(Malformed):
        canonical_json(value)
