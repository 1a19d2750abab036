"""Many commands at once, cut into requests that a server takes."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from verifier.answers import Done
from verifier.client.port import Port
from verifier.client.wire import Target, line, outcome
from verifier.commands import Command
from verifier.errors import OutcomeUnknown, Problem

LINES: Final = 1_000
BYTES: Final = 2**20
"""The most that one request may have, in lines and in bytes."""

Item = Command | tuple[Target, Command]
"""One command of a batch; one on something that exists stands beside that: `(claim, Deny(source=…))`."""


class Batch:
    """The commands of one batch on their way. `results` says what became of those that are through, in order.

    Each command has its own key, made from the batch's and its place, so it is the same when the same
    batch is sent again.
    """

    def __init__(self, port: Port, key: str) -> None:
        self.results: list[Done | Problem] = []
        self._port = port
        self._key = key
        self._count = 0
        self._waiting: list[dict[str, Any]] = []
        self._size = 0

    async def add(self, item: Item) -> None:
        """Take a command, and first send what waits if it has no room for this one."""
        target, command = item if isinstance(item, tuple) else (None, item)
        new = line(target, command, f"{self._key}-{self._count}")
        size = len(msgspec.json.encode(new)) + 1
        if len(self._waiting) == LINES or self._size + size > BYTES:
            await self.flush()
        self._waiting.append(new)
        self._size += size
        self._count += 1

    async def flush(self) -> None:
        """Send what waits.

        Raises `OutcomeUnknown` with the key of the batch, and what else a port raises.
        """
        waiting, self._waiting, self._size = self._waiting, [], 0
        if not waiting:
            return
        try:
            self.results += [outcome(answer) for answer in await self._port.batch(waiting)]
        except OutcomeUnknown as error:
            raise OutcomeUnknown(error.detail, key=self._key) from error
