"""Names that look alike, and names that only share a word."""

from __future__ import annotations

import pytest

from verifier.likeness import alike, last_word, words


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Mark Esper", "M. Esper"),
        ("Mark Esper", "Esper, Mark"),
        ("Mark Esper", "Mark T. Esper"),
        ("Mark Esper", "ESPER"),
        ("Mark Thomas Esper", "M. T. Esper"),
        ("Brig. Gen. William Seely", "William Seely"),
        ("The Guardian", "Guardian"),
        ("Agence France-Presse", "Agence France Presse"),
        ("Jürgen Müller", "Jurgen Muller"),
    ],
)
def test_names_of_what_may_be_one_source_look_alike(one: str, other: str) -> None:
    assert alike(one, other)
    assert alike(other, one)
    assert last_word(one) == last_word(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Mark Esper", "Mary Esper"),
        ("Mark Esper", "Mark Milley"),
        ("Mark T. Esper", "Mark Q. Esper"),
        ("a senior official", "a Pentagon official"),
        ("Ministry of Defence", "Ministry of Health"),
        ("???", "!!!"),
        ("Outlet 1", "Outlet 11"),
    ],
)
def test_names_that_only_share_a_word_do_not(one: str, other: str) -> None:
    assert not alike(one, other)
    assert not alike(other, one)


def test_a_name_of_nothing_but_titles_keeps_its_words() -> None:
    assert words("The Gen.") == ("the", "gen")
    assert words("U.S. Army") == ("u", "s", "army")
    assert last_word("…") == ""
