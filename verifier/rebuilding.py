"""A rebuild of the views in the background of a desk: one at a time, while reads and writes go on."""

from __future__ import annotations

import asyncio

from verifier.projections import Views


class Rebuilding:
    """Rebuilds the views when asked. `position` is how far a rebuild is, `None` where none is under way."""

    def __init__(self, views: Views) -> None:
        self._views = views
        self._task: asyncio.Task[None] | None = None
        self.position: int | None = None

    def start(self) -> None:
        """Begin a rebuild; one that is under way goes on."""
        if self._task is None or self._task.done():
            self.position = 0
            self._task = asyncio.create_task(self._run(), name="rebuild")

    async def close(self) -> None:
        """Give up a rebuild that is under way; the views that serve are not touched by it."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        try:
            await self._views.rebuild(self._tell)
        finally:
            self.position = None

    def _tell(self, position: int, target: int) -> None:
        self.position = position
