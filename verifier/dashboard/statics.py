"""Style sheet, module and marks: read once, and served under names that change with their content.

So a browser may keep them for ever, and never shows a page with a style sheet of another version.
"""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

TYPES: Final = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
"""The media types of what there is, by how its name ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Static:
    """A file that pages use."""

    name: str
    data: bytes
    small: bytes
    """The same, compressed."""

    @property
    def path(self) -> str:
        """Where it is served."""
        stem, _, kind = self.name.rpartition(".")
        return f"/static/{stem}.{hashlib.sha256(self.data).hexdigest()[:12]}.{kind}"

    @property
    def media_type(self) -> str:
        """What it is."""
        return TYPES[self.name.rpartition(".")[2]]


@cache
def statics() -> dict[str, Static]:
    """Return every file by its name."""
    folder = files("verifier.dashboard") / "static"
    found = {}
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        data = file.read_bytes()
        found[file.name] = Static(name=file.name, data=data, small=gzip.compress(data, mtime=0))
    return found
