"""A queue per name: commands on one claim are carried out one after the other in this process."""

from __future__ import annotations

import asyncio


class Queues:
    """Locks by name, kept only while somebody holds or waits for them. First come, first served."""

    def __init__(self) -> None:
        self._locks: dict[str, asyncio.Lock] = {}
        self._users: dict[str, int] = {}

    def hold(self, *names: str) -> _Held:
        """Hold the queues of some names, in one order for everybody, so that nobody waits in a circle."""
        return _Held(self, sorted(set(names)) if len(names) > 1 else names)

    async def acquire(self, name: str) -> None:
        """Wait for a queue's turn. A caller that is cancelled leaves the queue."""
        lock = self._locks.setdefault(name, asyncio.Lock())
        self._users[name] = self._users.get(name, 0) + 1
        try:
            await lock.acquire()
        except asyncio.CancelledError:
            self._leave(name)
            raise

    def release(self, name: str) -> None:
        """Let the next one in."""
        self._locks[name].release()
        self._leave(name)

    def _leave(self, name: str) -> None:
        self._users[name] -= 1
        if not self._users[name]:
            del self._users[name], self._locks[name]


class _Held:
    """The queues of some names, held between `async with` and its end."""

    __slots__ = ("_held", "_names", "_queues")

    def __init__(self, queues: Queues, names: list[str] | tuple[str, ...]) -> None:
        self._queues = queues
        self._names = names
        self._held: list[str] = []

    async def __aenter__(self) -> None:
        try:
            for name in self._names:
                await self._queues.acquire(name)
                self._held.append(name)
        except asyncio.CancelledError:
            self._release()
            raise

    async def __aexit__(self, *exc: object) -> None:
        self._release()

    def _release(self) -> None:
        for name in reversed(self._held):
            self._queues.release(name)
