"""Waking very many tasks without keeping everybody else waiting: a group of them in each turn of the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

GROUP: Final = 200
"""How many tasks are woken in one turn: each of them sends something, which takes some microseconds."""


class Group:
    """Tasks that are woken together."""

    def __init__(self) -> None:
        self.members = 0
        self.event = asyncio.Event()
        """What wakes them, once: take it before looking for what they wait for, then wait for it."""


class Bell:
    """Wakes everybody who has joined, group by group."""

    def __init__(self) -> None:
        self._groups: list[Group] = []

    @contextmanager
    def joined(self) -> Iterator[Group]:
        """Be woken by every `ring` that begins inside."""
        group = next((group for group in self._groups if group.members < GROUP), None)
        if group is None:
            group = Group()
            self._groups.append(group)
        group.members += 1
        try:
            yield group
        finally:
            group.members -= 1

    def ring(self) -> None:
        """Wake the first group now and each other one a turn later."""
        self._ring(0)

    def _ring(self, number: int) -> None:
        if number < len(self._groups):
            group = self._groups[number]
            group.event.set()
            group.event = asyncio.Event()
            asyncio.get_running_loop().call_soon(self._ring, number + 1)
