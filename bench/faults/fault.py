"""What a fault is: a kind, a side, and what does it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar

Side = Literal["not persisted", "persisted"]
"""What a fault leaves of the work that it strikes, before anybody tries that again."""


class Subject(Protocol):
    """What faults are injected into."""

    async def verify(self) -> None:
        """Check everything that must hold, whatever was injected."""
        ...


On = TypeVar("On", bound=Subject)


@dataclass(frozen=True, slots=True)
class Fault(Generic[On]):
    """A kind of fault, the side on which it is to fall, and what does it and looks where it fell."""

    kind: str
    side: Side
    inject: Callable[[On], Awaitable[Side]]

    async def on(self, subject: On) -> None:
        """Inject it, and verify everything. Raises `AssertionError` for what must not be."""
        side = await self.inject(subject)
        assert side == self.side, f"{self.kind}: what should be {self.side} is {side}"
        await subject.verify()

    def __str__(self) -> str:
        return f"{self.kind}, {self.side}"
