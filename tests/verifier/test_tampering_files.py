"""The tampering matrix of files: a published folder, the texts beside it, and an export."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from serving_files import serving_folder
from tampering import Made, copied, found, make

from events.tlog import TILE_WIDTH, entry_bundle, parse_entry_bundle

HASH: Final = 32

Change = Callable[[bytes], bytes]


def flipped(at: int) -> Change:
    """Change one byte."""
    return lambda raw: raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]


def without(at: int, length: int = 1) -> Change:
    """Take bytes away."""
    return lambda raw: raw[:at] + raw[at + length :]


def added(at: int, more: bytes = b"\x00") -> Change:
    """Put bytes in."""
    return lambda raw: raw[:at] + more + raw[at:]


def swapped(one: int, other: int, length: int) -> Change:
    """Let two pieces change places."""

    def swap(raw: bytes) -> bytes:
        first, second = raw[one : one + length], raw[other : other + length]
        return raw[:one] + second + raw[one + length : other] + first + raw[other + length :]

    return swap


def in_bundle(change: Callable[[list[bytes]], None]) -> Change:
    """Change the leaves of a bundle, and leave its form as it must be."""

    def changed(raw: bytes) -> bytes:
        leaves = parse_entry_bundle(raw)
        change(leaves)
        return entry_bundle(leaves)

    return changed


def _put(leaves: list[bytes], at: int, leaf: bytes) -> None:
    leaves[at] = leaf


def _swap(leaves: list[bytes], one: int, other: int) -> None:
    leaves[one], leaves[other] = leaves[other], leaves[one]


FULL, PARTIAL = "tile/entries/000", "tile/entries/001.p/{edge}"
_ROOT: Final = "positions 1–{size}: root"
FILES: Final[list[tuple[str, Change | None, str]]] = [
    # The signature covers every byte of the text above it, and its own form every byte of its line.
    *(("checkpoint", change(at), "log: signature") for at in (0, 10, 22, 25, 30, 60, 80, 95, 130, 170)
      for change in (flipped, without, added)),
    ("checkpoint", swapped(0, 1, 1), "log: signature"),
    ("checkpoint", swapped(90, 120, 20), "log: signature"),
    ("checkpoint", None, "log: file"),
    ("log/vkey", flipped(3), "log: signature"),
    ("log/vkey", swapped(21, 25, 4), "log: signature"),  # halves of a hash, which are hardly ever the same
    ("tile/0/000", flipped(0), "position 1: tile"),
    ("tile/0/000", flipped(39 * HASH + 31), "position 40: tile"),
    ("tile/0/000", flipped(256 * HASH - 1), "position 256: tile"),
    ("tile/0/000", swapped(39 * HASH, 89 * HASH, HASH), "position 40: tile"),
    ("tile/0/000", without(256 * HASH - 1), "position 256: tile"),
    ("tile/0/000", without(0, HASH), "position 1: tile"),
    ("tile/0/000", added(256 * HASH), "position 256: tile"),
    ("tile/0/000", lambda raw: b"", "position 1: tile"),
    ("tile/0/000", None, "positions 1–256: tile"),
    ("tile/0/001.p/{edge}", flipped(5 * HASH), "position 262: tile"),
    ("tile/0/001.p/{edge}", swapped(0, HASH, HASH), "position 257: tile"),
    ("tile/0/001.p/{edge}", without(5 * HASH, HASH), "position 262: tile"),
    ("tile/0/001.p/{edge}", added(0, bytes(HASH)), "position 257: tile"),
    ("tile/0/001.p/{edge}", None, "positions 257–{size}: tile"),
    ("tile/1/000.p/1", flipped(7), "positions 1–256: tile"),
    ("tile/1/000.p/1", None, "positions 1–256: tile"),
    (FULL, in_bundle(lambda leaves: _put(leaves, 39, leaves[39].replace(b'"id":"evt_', b'"id":"evt_a', 1))),
     "position 40: form"),
    (FULL, in_bundle(lambda leaves: _put(leaves, 39, leaves[39] + b" ")), "position 40: leaf"),
    (FULL, in_bundle(lambda leaves: _put(leaves, 39, b"")), "position 40: leaf"),
    (FULL, in_bundle(lambda leaves: _put(leaves, 39, leaves[89])), "position 40: leaf"),
    (FULL, in_bundle(lambda leaves: _swap(leaves, 39, 89)), "position 90: leaf"),
    (FULL, in_bundle(lambda leaves: leaves.pop(39)), "position 40: leaf"),
    (FULL, in_bundle(lambda leaves: leaves.pop()), "position 256: missing"),
    (FULL, flipped(1), "position 1: file"),  # the length of the first leaf
    (FULL, without(10), "position 1: file"),
    (FULL, added(10), "position 1: file"),
    (FULL, lambda raw: raw[:-5], "position 1: file"),
    (FULL, None, "positions 1–256: missing"),
    (PARTIAL, in_bundle(lambda leaves: _put(leaves, 3, leaves[4])), _ROOT),
    (PARTIAL, in_bundle(lambda leaves: leaves.insert(3, leaves[3])), "position 257: file"),
    (PARTIAL, in_bundle(lambda leaves: leaves.pop()), "position {size}: missing"),
    (PARTIAL, None, "positions 257–{size}: missing"),
]  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A log with everything around it."""
    folder = tmp_path_factory.mktemp("sealed")
    return make(f"sqlite:///{folder}/newsroom.db", folder)


def _places(made: Made) -> dict[str, int]:
    size = int(made.note.split(b"\n")[1])
    return {"size": size, "edge": size - TILE_WIDTH}


def _changed(path: Path, change: Change | None) -> bool:
    """Change a file, or remove it; return whether that makes a difference."""
    before = path.read_bytes()
    if change is None:
        path.unlink()
        return True
    path.write_bytes(after := change(before))
    return after != before


def test_whatever_is_done_to_a_published_folder_is_found(made: Made, tmp_path: Path) -> None:
    places, missed = _places(made), []
    for number, (file, change, wanted) in enumerate(FILES):
        copy = copied(made, tmp_path / str(number))
        assert _changed(copy.folder / file.format(**places), change)
        findings = found(str(copy.folder), copy.trust)
        if not any(finding.startswith(wanted.format(**places)) for finding in findings):
            missed.append(f"{file}, number {number}: wanted {wanted.format(**places)!r}, found {findings[:4]}")

    assert missed == []


def test_every_published_file_is_in_the_matrix(made: Made) -> None:
    there = {str(path.relative_to(made.folder)) for path in made.folder.rglob("*") if path.is_file()}

    assert there == {file.format(**_places(made)) for file, _, _ in FILES}


# --- lines of texts and of an export ---------------------------------------------------------------


def _line(number: int, change: Callable[[dict[str, object]], None]) -> Change:
    """Change the fields of one line, counted from 0, and write it as it must be written."""

    def changed(raw: bytes) -> bytes:
        lines = raw.splitlines(keepends=True)
        fields = json.loads(lines[number])
        change(fields)
        lines[number] = json.dumps(fields, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode() + b"\n"
        return b"".join(lines)

    return changed


def _lines(change: Callable[[list[bytes]], None]) -> Change:
    def changed(raw: bytes) -> bytes:
        lines = raw.splitlines(keepends=True)
        change(lines)
        return b"".join(lines)

    return changed


def _set(name: str, change: Callable[[str], object]) -> Callable[[dict[str, object]], None]:
    def changed(fields: dict[str, object]) -> None:
        fields[name] = change(str(fields[name]))

    return changed


def _spaced(text: str) -> str:
    return text.replace("{", "{ ", 1)


def _ended(salt: str) -> str:
    return salt[:-1] + ("0" if salt[-1] != "0" else "1")


_HERE: Final = "position 40: "
TEXTS: Final[list[tuple[Change, str]]] = [
    *((_line(39, _set(name, _spaced)), f"{_HERE}text") for name in ("wording", "identity")),
    *((_line(39, _set(name, _ended)), f"{_HERE}text") for name in ("wording_salt", "identity_salt")),
    *((_line(39, _set(name, lambda _: None)), f"{_HERE}text")
      for name in ("wording", "identity", "wording_salt", "identity_salt")),
    (_line(39, lambda fields: fields.update(wording=None, wording_salt=None)), f"{_HERE}lost or hidden"),
    (_line(39, _set("wording_salt", str.upper)), f"{_HERE}file"),
    (_lines(lambda lines: lines.pop(39)), f"{_HERE}lost or hidden"),
    (_lines(lambda lines: lines.insert(39, lines[39])), "position 41: file"),
    (_lines(lambda lines: _swap(lines, 39, 40)), f"{_HERE}lost or hidden"),
    (_lines(lambda lines: lines.append(lines[0])), "position {size}: file"),
    (_lines(lambda lines: lines.pop()), "position {size}: lost or hidden"),
    (_line(39, _set("position", lambda _: 41)), f"{_HERE}lost or hidden"),
    (_lines(lambda lines: _put(lines, 39, b"no line\n")), f"{_HERE}file"),
    (lambda raw: raw[:-20], "position {size}: file"),
]  # fmt: skip


def test_whatever_is_done_to_the_texts_is_found(made: Made, tmp_path: Path) -> None:
    places, missed = _places(made), []
    for number, (change, wanted) in enumerate(TEXTS):
        copy = copied(made, tmp_path / str(number))
        assert _changed(copy.texts, change)
        findings = found(str(copy.folder), copy.trust, texts=copy.texts)
        if not any(finding.startswith(wanted.format(**places)) for finding in findings):
            missed.append(f"number {number}: wanted {wanted.format(**places)!r}, found {findings[:4]}")

    assert missed == []


# The first line is the header, so line 40 has position 40.
EXPORT: Final[list[tuple[Change, str]]] = [
    (_line(0, _set("log", lambda log: log[:-1] + ("a" if log[-1] != "a" else "b"))), "position 1: opening"),
    (_line(40, _set("leaf", lambda leaf: leaf + " ")), f"{_HERE}form"),
    (_line(290, _set("leaf", lambda leaf: leaf.replace("evt_", "evt_a", 1))), "position 290: form"),
    (_lines(lambda lines: _swap(lines, 290, 291)), "positions 1–{size}: history"),
    *((_line(40, _set(name, _spaced)), f"{_HERE}text") for name in ("wording", "identity")),
    *((_line(40, _set(name, _ended)), f"{_HERE}text") for name in ("wording_salt", "identity_salt")),
    (_line(40, lambda fields: fields.update(identity=None, identity_salt=None)), f"{_HERE}lost or hidden"),
    (_line(40, _set("position", lambda _: 41)), f"{_HERE}column"),
    (_lines(lambda lines: lines.pop(40)), f"{_HERE}column"),
    (_lines(lambda lines: lines.insert(41, lines[40])), "position 41: column"),
    (_line(-2, _set("data", lambda data: "AAAA" + data[4:])), "log: evidence"),
    (_lines(lambda lines: lines.pop(-2)), "log: file"),
    (_line(-1, _set("events", lambda _: 7)), "log: file"),
    (_line(-1, _set("sha256", lambda digest: digest[::-1])), "log: file"),
    (_lines(lambda lines: lines.pop()), "log: file"),
    (_lines(lambda lines: lines.append(lines[-1])), "log: file"),
    (_line(-1, _set("line", lambda _: "header")), "log: file"),
    (lambda raw: raw[:-5], "log: file"),
]  # fmt: skip


def test_whatever_is_done_to_an_export_is_found(made: Made, tmp_path: Path) -> None:
    places, missed = _places(made), []
    for number, (change, wanted) in enumerate(EXPORT):
        copy = copied(made, tmp_path / str(number))
        assert _changed(copy.export, change)
        findings = found(str(copy.export), copy.kept)
        if not any(finding.startswith(wanted.format(**places)) for finding in findings):
            missed.append(f"number {number}: wanted {wanted.format(**places)!r}, found {findings[:4]}")

    assert missed == []


def test_a_published_folder_is_audited_over_http_as_it_is_on_the_disk(made: Made, tmp_path: Path) -> None:
    copy = copied(made, tmp_path / "copy")
    with serving_folder(copy.folder) as address:
        clean = found(address, copy.trust, texts=copy.texts)
        _changed(copy.folder / "tile/0/000", flipped(39 * HASH))

        assert clean == []
        assert found(address, copy.trust) == ["position 40: tile: tile 0 of level 0 has another hash for it"]
