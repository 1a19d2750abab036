"""Paths of tiles, their widths, and bundles of entries."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.tlog import (
    MAX_SIZE,
    Malformed,
    entry_bundle,
    parse_entry_bundle,
    parse_tile_path,
    tile_path,
    tiles_needed,
    width_at,
)

LEVELS = st.integers(0, 63) | st.just("entries")


@given(level=LEVELS, n=st.integers(0, MAX_SIZE), width=st.integers(1, 256))
def test_every_path_reads_back_as_it_was_written(level: int | str, n: int, width: int) -> None:
    assert parse_tile_path(tile_path(level, n, width)) == (level, n, width)


LIKE_A_PATH = r"tile/(entries|[0-9]{1,3})/(x?[0-9]{1,4}/){0,3}x?[0-9]{1,4}(\.p/[0-9]{0,4})?"


@given(path=st.from_regex(LIKE_A_PATH, fullmatch=True))
def test_a_path_has_one_spelling(path: str) -> None:
    try:
        read = parse_tile_path(path)
    except Malformed:
        return

    assert tile_path(*read) == path


def test_a_tree_of_70000_has_the_tiles_that_the_specification_names() -> None:
    assert [width_at(70_000, 0, n) for n in (0, 272, 273, 274)] == [256, 256, 112, 0]
    assert [width_at(70_000, 1, n) for n in (0, 1, 2)] == [256, 17, 0]
    assert [width_at(70_000, 2, n) for n in (0, 1)] == [1, 0]
    assert width_at(70_000, 3, 0) == 0


def test_a_tree_of_256_has_a_full_tile_and_a_partial_one_above() -> None:
    assert (width_at(256, 0, 0), width_at(256, 0, 1), width_at(256, 1, 0)) == (256, 0, 1)
    assert tiles_needed(256) == [(1, 0, 1)]


def test_the_largest_tree_ends_at_level_7() -> None:
    assert (width_at(MAX_SIZE, 7, 0), width_at(MAX_SIZE, 8, 0), width_at(MAX_SIZE, MAX_SIZE, 0)) == (127, 0, 0)


@pytest.mark.parametrize(("size", "level", "n"), [(-1, 0, 0), (1, -1, 0), (1, 0, -1), (1, "entries", 0), (None, 0, 0)])
def test_there_is_no_width_of_what_is_no_tile(size: object, level: object, n: object) -> None:
    with pytest.raises(Malformed):
        width_at(size, level, n)  # type: ignore[arg-type]


@given(entries=st.lists(st.binary(max_size=300), min_size=1, max_size=256))
def test_every_bundle_reads_back_as_it_was_written(entries: list[bytes]) -> None:
    assert parse_entry_bundle(entry_bundle(entries)) == entries


@given(raw=st.binary(max_size=40))
def test_a_bundle_has_one_spelling(raw: bytes) -> None:
    try:
        entries = parse_entry_bundle(raw)
    except Malformed:
        return

    assert entry_bundle(entries) == raw


def test_an_entry_has_at_most_65535_bytes() -> None:
    longest = bytes(65_535)

    assert parse_entry_bundle(entry_bundle([longest])) == [longest]
    with pytest.raises(Malformed):
        entry_bundle([longest + b"0"])


def test_a_bundle_may_come_from_any_iterable() -> None:
    assert entry_bundle(iter([b"a"])) == b"\x00\x01a"
