"""What a golden vector is, for the modules that list them: `make_vectors.py` writes them to files."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from tests.events.tlog.independent import mth

Case = dict[str, Any]
EMPTY = mth([])


def accepted(name: str, given: list[Any], gives: Any) -> Case:
    return {"name": name, "given": given, "gives": gives}


def refused(name: str, given: list[Any], error: str = "Malformed") -> Case:
    return {"name": name, "given": given, "refused": error}


def flipped(raw: bytes, at: int = 0) -> bytes:
    return raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]


def line_of_hash(hashed: bytes) -> str:
    return b64encode(hashed).decode()
