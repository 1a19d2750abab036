"""Files that appear whole, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from events.whole_file import whole_file, write_whole


def test_a_file_takes_the_place_of_another_with_its_own_mode(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    write_whole(path, b"old")
    private = path.stat().st_mode & 0o777

    write_whole(path, b"new", mode=0o644, sync=False)

    assert (private, path.stat().st_mode & 0o777, path.read_bytes()) == (0o600, 0o644, b"new")
    assert list(tmp_path.iterdir()) == [path]


def test_cut_short_the_old_file_stays_and_nothing_is_left_behind(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    write_whole(path, b"old")

    with pytest.raises(OSError, match="cut"), whole_file(path) as file:
        file.write(b"half")
        raise OSError("cut short")

    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
