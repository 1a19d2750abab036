"""The bytes of snapshots, kept by their hash, and quotes looked for letter by letter."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events import evidence as module
from events.contracts import Quote
from events.errors import DamagedEvidence, Invalid, TooLarge
from events.evidence import Evidence, Snapshots, check_quote, find_quote
from events.open import evidence_of, open_log

LETTER = b"Sir, in due deference to the sovereignty of the Republic of Iraq"
HASH = hashlib.sha256(LETTER).hexdigest()


@pytest.fixture
async def snapshots(log_url: str) -> Snapshots:
    """Where the snapshots of a log are kept, on every engine."""
    if log_url != "memory:":
        await (await open_log(log_url)).close()
    return evidence_of(log_url)


async def in_chunks(data: bytes, size: int = 7) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def files_in(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


# --- keeping ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", LETTER, bytes(range(256)) * 300])
async def test_what_was_put_is_held(snapshots: Snapshots, data: bytes) -> None:
    sha256 = hashlib.sha256(data).hexdigest()

    await snapshots.put(data, sha256=sha256)

    assert await snapshots.has(sha256)
    assert await snapshots.get(sha256) == data
    assert await snapshots.all() == [sha256]


async def test_bytes_may_come_in_chunks(snapshots: Snapshots) -> None:
    await snapshots.put(in_chunks(LETTER), sha256=HASH)

    assert await snapshots.get(HASH) == LETTER


async def test_what_was_never_put_is_not_held(snapshots: Snapshots) -> None:
    assert not await snapshots.has(HASH)
    assert await snapshots.get(HASH) is None
    assert await snapshots.all() == []


async def test_putting_twice_is_putting_once(snapshots: Snapshots) -> None:
    await snapshots.put(LETTER, sha256=HASH)
    await snapshots.put(in_chunks(LETTER), sha256=HASH)

    assert await snapshots.all() == [HASH]


async def test_all_are_listed_in_the_order_of_their_hashes(snapshots: Snapshots) -> None:
    hashes = []
    for data in (b"a", b"b", b"c", b"d", b"e"):
        hashes.append(hashlib.sha256(data).hexdigest())
        await snapshots.put(data, sha256=hashes[-1])

    assert await snapshots.all() == sorted(hashes)


async def test_other_bytes_than_the_hash_says_are_refused(snapshots: Snapshots) -> None:
    with pytest.raises(Invalid, match=f"not {HASH}"):
        await snapshots.put(LETTER + b".", sha256=HASH)

    assert not await snapshots.has(HASH)


@pytest.mark.parametrize("name", ["", "../../etc/passwd", HASH.upper(), HASH[:-1], f"{HASH}\n"])
async def test_a_hash_that_is_none_never_becomes_a_path(snapshots: Snapshots, name: str) -> None:
    for call in (snapshots.put(LETTER, sha256=name), snapshots.get(name), snapshots.has(name), snapshots.erase(name)):
        with pytest.raises(Invalid, match="is not a SHA-256"):
            await call


async def test_one_byte_too_many_is_refused_before_the_rest_is_read(
    snapshots: Snapshots, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SNAPSHOT_LIMIT", 20)
    chunks = in_chunks(LETTER)

    with pytest.raises(TooLarge):
        await snapshots.put(chunks, sha256=HASH)

    assert await anext(chunks) == LETTER[21:28]
    assert await snapshots.all() == []


async def test_what_was_erased_is_gone_and_may_be_erased_again(snapshots: Snapshots) -> None:
    await snapshots.put(LETTER, sha256=HASH)

    await snapshots.erase(HASH)
    await snapshots.erase(HASH)

    assert await snapshots.get(HASH) is None
    assert await snapshots.all() == []


async def test_what_was_erased_can_be_put_again(snapshots: Snapshots) -> None:
    await snapshots.put(LETTER, sha256=HASH)
    await snapshots.erase(HASH)

    await snapshots.put(LETTER, sha256=HASH)

    assert await snapshots.get(HASH) == LETTER


# --- in a folder -----------------------------------------------------------------------------------


async def test_a_snapshot_is_one_file_under_its_hash(tmp_path: Path) -> None:
    await Evidence(tmp_path).put(LETTER, sha256=HASH)

    assert list(files_in(tmp_path)) == [tmp_path / HASH[:2] / HASH]


async def test_a_put_that_fails_leaves_no_file(tmp_path: Path) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield LETTER
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await Evidence(tmp_path).put(broken(), sha256=HASH)

    assert list(files_in(tmp_path)) == []


async def test_a_put_that_is_cancelled_leaves_no_file(tmp_path: Path) -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield LETTER
        scope.cancel()
        await anyio.sleep_forever()

    with anyio.CancelScope() as scope:
        await Evidence(tmp_path).put(endless(), sha256=HASH)

    assert list(files_in(tmp_path)) == []


async def test_what_a_crash_left_half_written_is_not_held_and_is_erased_with_the_snapshot(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path)
    part = tmp_path / HASH[:2] / f"{HASH}.abc.part"
    part.parent.mkdir()
    part.write_bytes(LETTER[:9])

    assert await evidence.all() == []
    await evidence.erase(HASH)

    assert not part.exists()


async def test_a_damaged_file_is_noticed_and_mended_by_putting_the_snapshot_again(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path)
    await evidence.put(LETTER, sha256=HASH)
    (tmp_path / HASH[:2] / HASH).write_bytes(b"something else")

    with pytest.raises(DamagedEvidence, match=HASH):
        await evidence.get(HASH)
    await evidence.put(LETTER, sha256=HASH)

    assert await evidence.get(HASH) == LETTER


async def test_many_who_put_the_same_snapshot_at_once_all_succeed(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path)

    async with anyio.create_task_group() as group:
        for _ in range(8):
            group.start_soon(lambda: evidence.put(in_chunks(LETTER), sha256=HASH))

    assert await evidence.get(HASH) == LETTER
    assert list(files_in(tmp_path)) == [tmp_path / HASH[:2] / HASH]


# --- quotes ----------------------------------------------------------------------------------------

TEXT = "We respect your decision. Your decision to order our departure. 🪖 Your decision."


@pytest.mark.parametrize(
    ("quote", "expected"),
    [
        (Quote(exact="order our departure"), "found"),
        (Quote(exact=TEXT), "found"),
        (Quote(exact="order our departures"), "absent"),
        (Quote(exact="order our Departure"), "absent"),
        (Quote(exact="order  our departure"), "absent"),
        (Quote(exact="Your decision", start=26, end=39), "found"),
        (Quote(exact="Your decision", start=26), "found"),
        (Quote(exact="Your decision", end=39), "found"),
        (Quote(exact="Your decision", start=66, end=79), "found"),
        (Quote(exact="Your decision", start=27, end=40), "elsewhere"),
        (Quote(exact="Your decision", start=26, end=40), "elsewhere"),
        (Quote(exact="Your decision", start=-54), "elsewhere"),
        (Quote(exact="Your decision", start=26, end=-41), "elsewhere"),
        (Quote(exact="Your decision", end=3), "elsewhere"),
        (Quote(exact="Your decision", start=10_000), "elsewhere"),
        (Quote(exact="Your indecision", start=26), "absent"),
        (Quote(exact="Your decision", prefix="🪖 "), "found"),
        (Quote(exact="Your decision", suffix=" to order"), "found"),
        (Quote(exact="Your decision", prefix="🪖 ", suffix="."), "found"),
        (Quote(exact="Your decision", prefix="🪖 ", suffix=" to order"), "other_context"),
        (Quote(exact="Your decision", prefix="? "), "other_context"),
        (Quote(exact="Your decision", start=26, prefix=". "), "found"),
        (Quote(exact="Your decision", start=26, suffix=" to order"), "found"),
        (Quote(exact="Your decision", start=26, suffix="."), "other_context"),
        (Quote(exact="We respect", start=0, prefix="x"), "other_context"),
    ],
)
def test_a_quote_is_found_exactly_where_it_should_stand_or_not_at_all(quote: Quote, expected: str) -> None:
    assert find_quote(TEXT, quote) == expected


@given(st.text(), st.text(min_size=1), st.text())
def test_a_quote_cut_from_a_text_is_found_in_it(before: str, exact: str, after: str) -> None:
    quote = Quote(exact=exact, start=len(before), end=len(before) + len(exact), prefix=before, suffix=after)

    assert find_quote(before + exact + after, quote) == "found"
    assert find_quote(before + exact + after, Quote(exact=exact)) == "found"


@pytest.mark.parametrize(
    ("data", "media_type", "expected"),
    [
        ("naïve".encode(), "text/plain", "found"),
        ("naïve".encode(), "TEXT/HTML", "found"),
        ("nai\u0308ve".encode(), "text/plain", "absent"),
        ("naïve".encode("latin-1"), "text/plain", "not_text"),
        ("naïve".encode(), "application/pdf", "not_text"),
    ],
)
def test_only_text_in_utf_8_can_be_searched(data: bytes, media_type: str, expected: str) -> None:
    assert check_quote(data, media_type, Quote(exact="naïve")) == expected
