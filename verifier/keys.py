"""Idempotency keys: the caller's own, or a new one. A command sent again with its key is recorded once."""

from __future__ import annotations

import re
import uuid
from typing import Final

from verifier.errors import Invalid

LONGEST: Final = 128
"""The most characters a key may have."""

_KEY: Final = re.compile(r"[\x21-\x7e]+")


def key_or_new(given: str | None, *, longest: int = LONGEST) -> str:
    """Return the key of a write: the caller's, or a new one. Raises `Invalid` for one that no header can carry."""
    return uuid.uuid4().hex if given is None else check_key(given, longest=longest)


def check_key(key: str, *, longest: int = LONGEST) -> str:
    """Return a key that every way in can carry. Raises `Invalid` for any other."""
    if len(key) > longest or not _KEY.fullmatch(key):
        raise Invalid(f"a key has 1 to {longest} visible ASCII characters and no space: make another one", field="key")
    return key
