"""A witness's memory in a dictionary, for tests."""

from __future__ import annotations

from collections.abc import Sequence

from events.tlog import NEVER, cosign
from tests.events.tlog.independent import LOG, WITNESS


class Remembering:
    """Knows one log, and remembers what was last cosigned of it."""

    def __init__(self, last: tuple[int, bytes] = NEVER, keys: Sequence[str] = (WITNESS.secret,)) -> None:
        self.heads = {LOG.name: last}
        self.keys = keys
        self.time = 1_700_000_000

    def vkeys(self, origin: str) -> Sequence[str] | None:
        return [LOG.vkey] if origin == LOG.name else None

    def last(self, origin: str) -> tuple[int, bytes]:
        return self.heads[origin]

    def replace(self, origin: str, old: tuple[int, bytes], new: tuple[int, bytes]) -> bool:
        if self.heads[origin] != old:
            return False
        self.heads[origin] = new
        return True

    def cosign(self, checkpoint: bytes) -> bytes:
        return b"".join(cosign(checkpoint, key, self.time) for key in self.keys)
