"""How names become ids: two writers who use one name mean one source without asking.

An id is derived from the log's id and the name (NFKC, case folded, spaces collapsed), so nothing has to
be registered first. A label such as "the letter" means one thing within a story, or within a claim
that has none; an unnamed source is known by its label within one claim.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final

from events.leaf import derive

REMEMBERED: Final = 20_000
"""How many ids of each kind are remembered: the same names come again and again."""

_ID = re.compile(r"(clm|evt|src|org|sto|log)_[a-z2-7]{26}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def is_id(text: str, prefix: str) -> bool:
    """Say whether a text is a full id of this kind."""
    return text.startswith(prefix) and _ID.fullmatch(text) is not None


def normal(name: str) -> str:
    """Return the form in which names are compared."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


@lru_cache(REMEMBERED)
def source_id(lineage: str, name: str) -> str:
    """Return the id of the source that this name means in this log."""
    return derive("src", lineage, normal(name))


@lru_cache(REMEMBERED)
def unnamed_source_id(lineage: str, claim_id: str, label: str) -> str:
    """Return the id of a source that is described, not named: it means somebody within one claim only."""
    return derive("src", lineage, claim_id, normal(label))


@lru_cache(REMEMBERED)
def origin_id(lineage: str, scope: str, source: str) -> str:
    """Return the id of what a source, or a label taken as one, is the origin of within a story or claim."""
    return derive("org", lineage, scope, source)


def story_id(lineage: str, title: str) -> str:
    """Return the id of the story with this title."""
    return derive("sto", lineage, normal(title))


def story_named(lineage: str, given: str) -> str:
    """Return the id of a story that is given by its id or its title."""
    return given if is_id(given, "sto") else story_id(lineage, given)


def is_sha256(text: str) -> bool:
    """Say whether a text has the form of a SHA-256 in lower-case hex."""
    return _SHA256.fullmatch(text) is not None


def source_named(lineage: str, given: str) -> str:
    """Return the id of a source that is given by its id or its name."""
    return given if is_id(given, "src") else source_id(lineage, given)
