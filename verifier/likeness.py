"""Names that look alike: suggested to whoever may know, never joined.

A name's *words* are compared without case, accents and punctuation; "Esper, Mark" is read as "Mark Esper",
and shortened titles ("Gen.") and a leading "the" don't count. Two names look alike where they end in the
same word and every other word of the shorter one stands, in order, in the longer one, or is the initial of
what stands there, or the other way round: "M. Esper", "Mark T. Esper" and "Esper" look like "Mark Esper",
"Mary Esper" doesn't.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final

from verifier.naming import REMEMBERED, normal

_WORDS: Final = re.compile(r"\w+\.?")

LOOKED_UP: Final = 100
"""By how many letters of its last word a name is looked up, at the most: an index takes only short keys."""


@lru_cache(REMEMBERED)
def words(name: str) -> tuple[str, ...]:
    """Return the words by which a name is compared; none where it has only signs."""
    plain = "".join(
        letter for letter in unicodedata.normalize("NFKD", normal(name)) if not unicodedata.combining(letter)
    )
    last, comma, first = plain.partition(",")
    found = _WORDS.findall(f"{first} {last}" if comma and "," not in first else plain)
    kept = [word.rstrip(".") for word in found if not (word.endswith(".") and len(word) > 2)]
    if kept[:1] == ["the"]:
        del kept[0]
    return tuple(kept or (word.rstrip(".") for word in found))


def last_word(name: str) -> str:
    """Return the word in which names that look alike end: what to look them up by."""
    return words(name)[-1][:LOOKED_UP] if words(name) else ""


def alike(one: str, other: str) -> bool:
    """Say whether two names look alike, also where they are compared as the same."""
    shorter, longer = sorted((words(one), words(other)), key=len)
    if not shorter or shorter[-1] != longer[-1]:
        return False
    ahead = iter(longer[:-1])
    return all(any(_stands_for(word, there) for there in ahead) for word in shorter[:-1])


def _stands_for(one: str, other: str) -> bool:
    return one == other or (min(len(one), len(other)) == 1 and one[0] == other[0])
