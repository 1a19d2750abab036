"""Roots and proofs, compared with RFC 6962 word for word, and whatever is changed in a proof is noticed."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.tlog import (
    EMPTY_ROOT,
    MAX_SIZE,
    Frontier,
    Malformed,
    Unverified,
    leaf_hash,
    node_hash,
    prove_consistency,
    prove_inclusion,
    root_at,
    tiles_needed,
    tree_root,
    verify_consistency,
    verify_inclusion,
)
from tests.events.tlog.independent import mth, path, proof
from tests.events.tlog.trees import Tiled

SMALL = [b"leaf %d" % n for n in range(70)]
TREE = Tiled(SMALL)
ROOTS = [mth(SMALL[:size]) for size in range(71)]
LARGE = Tiled([b"%d" % n for n in range(66_000)])
EDGES = (1, 2, 255, 256, 257, 511, 512, 513, 1000, 65_280, 65_535, 65_536, 65_537, 65_793, 66_000)

sizes = st.integers(1, 70)
HASH = st.binary(min_size=32, max_size=32)


def flip(hashed: bytes, bit: int) -> bytes:
    return (int.from_bytes(hashed) ^ 1 << bit).to_bytes(32)


def test_the_frontier_has_the_root_of_every_size() -> None:
    frontier = Frontier()

    for size, hashed in enumerate(TREE.hashes):
        assert frontier.size == size
        assert frontier.root() == tree_root(SMALL[:size]) == ROOTS[size]
        frontier.append(hashed)


def test_the_tree_takes_leaves_from_any_iterable() -> None:
    assert tree_root(iter(SMALL)) == ROOTS[70]


@given(size=st.integers(0, 70))
def test_a_frontier_goes_on_from_its_size_and_peaks(size: int) -> None:
    before = Frontier()
    for hashed in TREE.hashes[:size]:
        before.append(hashed)

    after = Frontier(before.size, before.peaks)
    for hashed in TREE.hashes[size:]:
        after.append(hashed)

    assert len(before.peaks) == size.bit_count()
    assert after.root() == ROOTS[70]


@pytest.mark.parametrize(
    ("size", "peaks"),
    [(1, ()), (0, (EMPTY_ROOT,)), (3, (EMPTY_ROOT,)), (-1, ()), (2**63, (EMPTY_ROOT,)), (1, (b"short",)), (1, None),
     (True, (EMPTY_ROOT,)), (None, ()), (1, b"x" * 32)],
)  # fmt: skip
def test_a_frontier_refuses_peaks_that_do_not_fit_its_size(size: object, peaks: object) -> None:
    with pytest.raises(Malformed):
        Frontier(size, peaks)  # type: ignore[arg-type]


@pytest.mark.parametrize("leaf", [b"short", None, "x" * 32, EMPTY_ROOT + b"0"])
def test_a_frontier_that_refuses_a_leaf_is_as_it_was(leaf: object) -> None:
    frontier = Frontier()
    frontier.append(TREE.hashes[0])

    with pytest.raises(Malformed):
        frontier.append(leaf)  # type: ignore[arg-type]

    assert (frontier.size, frontier.root()) == (1, ROOTS[1])


def test_a_frontier_is_full_at_the_largest_size() -> None:
    frontier = Frontier(2**63 - 1, (EMPTY_ROOT,) * 63)

    with pytest.raises(Malformed):
        frontier.append(EMPTY_ROOT)

    assert frontier.peaks == (EMPTY_ROOT,) * 63


def test_every_inclusion_is_proved_as_the_rfc_does() -> None:
    for size in range(1, 71):
        for index in range(size):
            made = prove_inclusion(index, size, TREE.tile)
            assert made == path(index, SMALL[:size])
            verify_inclusion(index, size, TREE.hashes[index], made, ROOTS[size])


def test_every_continuation_is_proved_as_the_rfc_does() -> None:
    for size2 in range(71):
        for size1 in range(size2 + 1):
            made = prove_consistency(size1, size2, TREE.tile)
            assert made == proof(size1, SMALL[:size2])
            verify_consistency(size1, size2, made, ROOTS[size1], ROOTS[size2])


@given(data=st.data(), size=sizes, bit=st.integers(0, 255))
def test_any_bit_changed_in_an_inclusion_proof_is_noticed(data: st.DataObject, size: int, bit: int) -> None:
    index = data.draw(st.integers(0, size - 1))
    hashes = [TREE.hashes[index], ROOTS[size], *path(index, SMALL[:size])]
    at = data.draw(st.integers(0, len(hashes) - 1))
    hashes[at] = flip(hashes[at], bit)

    leaf, root, *proof_of_it = hashes
    with pytest.raises(Unverified):
        verify_inclusion(index, size, leaf, proof_of_it, root)


@given(data=st.data(), size1=sizes, size2=sizes, bit=st.integers(0, 255))
def test_any_bit_changed_in_a_consistency_proof_is_noticed(
    data: st.DataObject, size1: int, size2: int, bit: int
) -> None:
    size1, size2 = sorted((size1, size2))
    hashes = [ROOTS[size1], ROOTS[size2], *proof(size1, SMALL[:size2])]
    at = data.draw(st.integers(0, len(hashes) - 1))
    hashes[at] = flip(hashes[at], bit)

    root1, root2, *proof_of_it = hashes
    with pytest.raises(Unverified):
        verify_consistency(size1, size2, proof_of_it, root1, root2)


@given(data=st.data(), size=sizes, extra=HASH)
def test_a_proof_with_a_hash_more_or_less_is_refused(data: st.DataObject, size: int, extra: bytes) -> None:
    index = data.draw(st.integers(0, size - 1))
    good = path(index, SMALL[:size])
    at = data.draw(st.integers(0, len(good)))

    for bad in ([*good[:at], extra, *good[at:]], [*good[:at], *good[at + 1 :]]):
        if bad != good:
            with pytest.raises(Unverified):
                verify_inclusion(index, size, TREE.hashes[index], bad, ROOTS[size])


@given(data=st.data(), size1=sizes, size2=sizes, extra=HASH)
def test_a_continuation_with_a_hash_more_or_less_is_refused(
    data: st.DataObject, size1: int, size2: int, extra: bytes
) -> None:
    size1, size2 = sorted((size1, size2))
    good = proof(size1, SMALL[:size2])
    at = data.draw(st.integers(0, len(good)))

    for bad in ([*good[:at], extra, *good[at:]], [*good[:at], *good[at + 1 :]]):
        if bad != good:
            with pytest.raises(Unverified):
                verify_consistency(size1, size2, bad, ROOTS[size1], ROOTS[size2])


@given(data=st.data(), size=sizes, extra=HASH)
def test_a_proof_of_another_length_is_refused_though_it_leads_to_the_root(
    data: st.DataObject, size: int, extra: bytes
) -> None:
    index = data.draw(st.integers(0, size - 1))
    good = path(index, SMALL[:size])

    with pytest.raises(Unverified, match="too long"):
        verify_inclusion(index, size, TREE.hashes[index], [*good, extra], node_hash(extra, ROOTS[size]))
    if size > 1:
        # The leaf stands for a subtree, so that the root above it is reached with a hash less.
        with pytest.raises(Unverified, match="too short"):
            verify_inclusion(0, size, ROOTS[size], [], ROOTS[size])


@given(size1=sizes, size2=sizes, extra=HASH)
def test_a_continuation_of_another_length_is_refused_though_it_leads_to_the_roots(
    size1: int, size2: int, extra: bytes
) -> None:
    size1, size2 = sorted((size1, size2))
    if size1 == size2:
        return
    good = proof(size1, SMALL[:size2])
    # What a left sibling at the top would make of both roots.
    above1, above2 = node_hash(extra, ROOTS[size1]), node_hash(extra, ROOTS[size2])

    if size1.bit_count() > 1:
        with pytest.raises(Unverified, match="too long"):
            verify_consistency(size1, size2, [*good, extra], above1, above2)
        with pytest.raises(Unverified, match="too short"):
            verify_consistency(size1, size2, [ROOTS[size1]], ROOTS[size1], ROOTS[size1])
    else:
        with pytest.raises(Unverified, match="too long"):
            verify_consistency(size1, size2, [*good, extra], ROOTS[size1], node_hash(ROOTS[size2], extra))
        with pytest.raises(Unverified, match="too short"):
            verify_consistency(size1, size2, [], ROOTS[size1], ROOTS[size1])


@given(size=sizes, index=st.integers(0, 69), other=st.integers(0, 69))
def test_an_entry_is_proved_at_its_own_index_only(size: int, index: int, other: int) -> None:
    if other == index or max(index, other) >= size:
        return

    with pytest.raises(Unverified):
        verify_inclusion(other, size, TREE.hashes[index], path(index, SMALL[:size]), ROOTS[size])


@given(sizes=st.tuples(sizes, sizes, st.integers(0, 70)))
def test_a_continuation_is_proved_between_its_own_roots_only(sizes: tuple[int, int, int]) -> None:
    size1, size2 = sorted(sizes[:2])
    for root1, root2 in ((ROOTS[sizes[2]], ROOTS[size2]), (ROOTS[size1], ROOTS[sizes[2]])):
        if (root1, root2) != (ROOTS[size1], ROOTS[size2]):
            with pytest.raises(Unverified):
                verify_consistency(size1, size2, proof(size1, SMALL[:size2]), root1, root2)


@pytest.mark.parametrize("size", EDGES)
def test_proofs_from_tiles_of_several_levels_hold(size: int) -> None:
    frontier, roots = Frontier(), {0: EMPTY_ROOT}
    for hashed in LARGE.hashes[:size]:
        frontier.append(hashed)
        if frontier.size in EDGES:
            roots[frontier.size] = frontier.root()

    assert root_at(size, LARGE.tile) == roots[size]
    for index in {0, size // 3, size - 1, *(edge for edge in EDGES if edge < size)}:
        verify_inclusion(index, size, LARGE.hashes[index], prove_inclusion(index, size, LARGE.tile), roots[size])
    for old, root in roots.items():
        verify_consistency(old, size, prove_consistency(old, size, LARGE.tile), root, roots[size])


@given(size=st.sampled_from(EDGES) | st.integers(1, 66_000), data=st.data())
@settings(max_examples=50, deadline=None)
def test_the_tiles_that_are_needed_are_those_that_are_read(size: int, data: st.DataObject) -> None:
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, size))

    LARGE.read.clear()
    root_at(size, LARGE.tile)
    assert set(tiles_needed(size)) == LARGE.read
    prove_inclusion(index, size, LARGE.tile)
    assert set(tiles_needed(size, index=index)) == LARGE.read
    prove_consistency(old, size, LARGE.tile)
    assert set(tiles_needed(size, index=index, old_size=old)) == LARGE.read


def test_each_tile_is_read_once_in_a_proof() -> None:
    reads: list[tuple[int, int, int]] = []

    def read(level: int, n: int, width: int) -> bytes:
        reads.append((level, n, width))
        return LARGE.tile(level, n, width)

    prove_inclusion(65_700, 66_000, read)

    assert len(reads) == len(set(reads)) > 1
    assert tiles_needed(66_000) == sorted(tiles_needed(66_000))


def test_the_empty_tree_needs_no_tile() -> None:
    assert root_at(0, TREE.tile) == EMPTY_ROOT
    assert tiles_needed(0) == tiles_needed(0, old_size=0) == []
    assert prove_consistency(0, 0, TREE.tile) == []


@pytest.mark.parametrize("raw", [b"", bytes(31), bytes(32 * 71), bytes(32 * 69), "x" * 32 * 70, None])
def test_a_tile_of_another_length_is_refused(raw: object) -> None:
    def read(level: int, n: int, width: int) -> bytes:
        return raw  # type: ignore[return-value]

    for use in (
        lambda: root_at(70, read),
        lambda: prove_inclusion(3, 70, read),
        lambda: prove_consistency(3, 70, read),
    ):
        with pytest.raises(Malformed):
            use()


def test_what_is_no_function_reads_no_tile() -> None:
    for use in (
        lambda: root_at(70, None),  # type: ignore[arg-type]
        lambda: prove_inclusion(3, 70, None),  # type: ignore[arg-type]
        lambda: prove_consistency(3, 70, b"tile"),  # type: ignore[arg-type]
    ):
        with pytest.raises(Malformed):
            use()


def test_an_error_of_the_reader_is_passed_on() -> None:
    def read(level: int, n: int, width: int) -> bytes:
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        root_at(70, read)


@pytest.mark.parametrize(
    ("index", "size"), [(70, 70), (71, 70), (-1, 70), (0, 0), ("0", 70), (0, None), (0, 2**63), (True, 70)]
)
def test_there_is_no_proof_of_an_entry_outside_the_tree(index: object, size: object) -> None:
    for use in (lambda: prove_inclusion(index, size, TREE.tile), lambda: tiles_needed(size, index=index)):  # type: ignore[arg-type]
        with pytest.raises(Malformed):
            use()


@pytest.mark.parametrize(("old", "size"), [(71, 70), (-1, 70), (1, 0), ("0", 70), (0, None), (0, 2**63), (True, 70)])
def test_there_is_no_proof_backwards(old: object, size: object) -> None:
    for use in (lambda: prove_consistency(old, size, TREE.tile), lambda: tiles_needed(size, old_size=old)):  # type: ignore[arg-type]
        with pytest.raises(Malformed):
            use()


@pytest.mark.parametrize("size", [-1, 2**63, None, "", 0.0, [], False])
def test_there_is_no_root_of_what_is_not_a_size(size: object) -> None:
    for use in (lambda: root_at(size, TREE.tile), lambda: tiles_needed(size)):  # type: ignore[arg-type]
        with pytest.raises(Malformed):
            use()


def test_the_largest_tree_has_proofs_like_any_other() -> None:
    # Its leaves are all alike, so one hash stands for every full subtree of a height.
    full = [leaf_hash(b"the same everywhere")]
    while len(full) < 64:
        full.append(sha256(b"\x01" + full[-1] * 2).digest())

    def read(level: int, n: int, width: int) -> bytes:
        return full[8 * level] * width

    size = MAX_SIZE
    root = root_at(size, read)
    for index in (0, 1, size // 2, size - 1):
        verify_inclusion(index, size, full[0], prove_inclusion(index, size, read), root)
    for old in (1, 2**62, 2**62 + 1, size - 1, size):
        verify_consistency(old, size, prove_consistency(old, size, read), root_at(old, read), root)
    assert len(prove_inclusion(0, size, read)) == 63
