"""The keys that sign: made once, kept from everybody else, changed with an overlap. And the second place."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from events.errors import Busy, Invalid
from events.keys import Keys, check_name, load_keys, make_keys, retire_keys, rotate_keys
from events.seals import Seals
from events.tlog import format_head, new_key, open_note, parse_vkey, vkey_of

NAME = "example.org/newsroom"
TEXT = format_head(NAME, 1, bytes(32))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A key file that isn't there yet, in a folder that isn't either."""
    return tmp_path / "keys" / "log.key"


# --- the key file --------------------------------------------------------------------------------------


def test_a_key_is_made_for_its_owner_alone(path: Path) -> None:
    keys = make_keys(path, NAME)

    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert load_keys(path) == keys
    assert parse_vkey(keys.vkeys[0]).name == NAME


def test_a_key_is_never_replaced(path: Path) -> None:
    keys = make_keys(path, NAME)

    with pytest.raises(Invalid, match="--rotate"):
        make_keys(path, NAME)

    assert load_keys(path) == keys


def test_of_many_who_make_a_key_at_once_one_does_and_the_others_are_told(path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        makings = [pool.submit(make_keys, path, NAME) for _ in range(8)]
        refused = [str(error) for making in makings if (error := making.exception())]

    assert ["there is a key" in sentence for sentence in refused] == [True] * 7
    assert [making.result() for making in makings if not making.exception()] == [load_keys(path)]
    assert [made.name for made in path.parent.iterdir()] == [path.name]


def test_while_one_changes_a_key_another_waits(path: Path) -> None:
    make_keys(path, NAME)
    with ThreadPoolExecutor(8) as pool:
        changes = [pool.submit(rotate_keys, path) for _ in range(8)]
        refused = [str(error) for change in changes if (error := change.exception())]

    assert ["has two keys already" in sentence for sentence in refused] == [True] * 7
    assert [change.result() for change in changes if not change.exception()] == [load_keys(path)]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_key_that_others_may_read_is_refused_with_the_line_to_run(path: Path, mode: int) -> None:
    make_keys(path, NAME)
    path.chmod(mode)

    with pytest.raises(Invalid, match=f"run `chmod 600 {path}`"):
        load_keys(path)


def test_no_file_is_no_key(path: Path) -> None:
    assert load_keys(path) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a secret",
        "PRIVATE+KEY+x+00000000+AAAA",
        vkey_of(new_key(NAME)),
        f"{new_key(NAME)} {new_key('example.org/other')}",
        f"{new_key(NAME)} a secret",
    ],
    ids=["nothing", "a word", "a damaged key", "a public key", "two logs", "a key and a word"],
)
def test_what_is_no_key_file_is_refused_without_showing_it(path: Path, text: str) -> None:
    make_keys(path, NAME)
    path.write_text(text)

    with pytest.raises(Invalid) as refused:
        load_keys(path)

    assert "secret" not in str(refused.value)
    assert "PRIVATE" not in str(refused.value)


def test_bytes_that_are_no_text_are_refused(path: Path) -> None:
    make_keys(path, NAME)
    path.write_bytes(b"\xff\xfe")

    with pytest.raises(Invalid, match="not a key file"):
        load_keys(path)


def test_a_key_is_not_shown_by_its_repr() -> None:
    key = new_key(NAME)

    assert key not in repr(Keys(name=NAME, private=(key,)))


@pytest.mark.parametrize("name", ["", "two words", "a+b", "a\nb", "ü.example", "x" * 201, "a/" * 41 + "x" * 60])
def test_a_name_that_a_checkpoint_can_not_carry_is_refused(name: str) -> None:
    with pytest.raises(Invalid, match=r"example\.org/newsroom"):
        check_name(name)


# --- rotation ------------------------------------------------------------------------------------------


def test_while_a_key_is_changed_both_sign(path: Path) -> None:
    old = make_keys(path, NAME)

    both = rotate_keys(path)

    assert both.vkeys[0] == old.vkeys[0]
    assert open_note(both.sign(TEXT), list(both.vkeys))[1] == list(both.vkeys)
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_old_key_is_retired(path: Path) -> None:
    make_keys(path, NAME)
    both = rotate_keys(path)

    new = retire_keys(path)

    assert new.vkeys == both.vkeys[1:]
    assert load_keys(path) == new


def test_the_last_key_is_not_retired(path: Path) -> None:
    make_keys(path, NAME)

    with pytest.raises(Invalid, match="--rotate"):
        retire_keys(path)


def test_a_third_key_waits_until_the_first_is_retired(path: Path) -> None:
    make_keys(path, NAME)
    rotate_keys(path)

    with pytest.raises(Invalid, match="--retire"):
        rotate_keys(path)


def test_there_is_nothing_to_rotate_before_there_is_a_key(path: Path) -> None:
    with pytest.raises(Invalid, match="verifier init"):
        rotate_keys(path)


# --- the second place ------------------------------------------------------------------------------------


def test_the_second_place_holds_the_last_seal_of_each_name(tmp_path: Path) -> None:
    seals = Seals(tmp_path / "seals")
    with seals.hold(NAME), seals.hold("other"):
        seals.write(NAME, b"one")
        seals.write(NAME, b"two")
        seals.write("other", b"three")

    assert (seals.read(NAME), seals.read("other"), seals.read("nobody")) == (b"two", b"three", None)


def test_a_name_is_no_path_out_of_the_second_place(tmp_path: Path) -> None:
    seals = Seals(tmp_path / "seals")

    assert seals.path("../../etc/passwd").parent == tmp_path / "seals"


def test_one_process_signs_for_a_name(tmp_path: Path) -> None:
    seals = Seals(tmp_path)
    with seals.hold(NAME), pytest.raises(Busy, match="another process signs"), Seals(tmp_path).hold(NAME):
        pass

    with Seals(tmp_path).hold(NAME):
        assert seals.read(NAME) is None
