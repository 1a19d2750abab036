"""A rebuild of the views in the background of a desk: one at a time, while reads and writes go on."""

from __future__ import annotations

import asyncio

import structlog

from verifier.projections import Views

logger = structlog.get_logger(__name__)


class Rebuilding:
    """Rebuilds the views when asked. `position` is how far a rebuild is, `None` where none is under way;
    `failure` says why the last one came to nothing, where it did."""

    def __init__(self, views: Views) -> None:
        self._views = views
        self._task: asyncio.Task[None] | None = None
        self.position: int | None = None
        self.failure: str | None = None

    def start(self) -> None:
        """Begin a rebuild; one that is under way goes on."""
        if self._task is None or self._task.done():
            self.position, self.failure = 0, None
            self._task = asyncio.create_task(self._run(), name="rebuild")

    async def ended(self) -> None:
        """Wait until no rebuild is under way. A caller that is cancelled ends nothing."""
        if self._task is not None:
            await asyncio.wait({self._task})

    async def close(self) -> None:
        """Give up a rebuild that is under way; the views that serve are not touched by it."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        try:
            await self._views.rebuild(self._tell)
        except Exception as error:  # the outermost of this task: what serves goes on, and whoever asks is told
            self.failure = f"the rebuild failed ({type(error).__name__}: {error}): mend that and ask for it again"
            logger.error("the rebuild failed", exc_info=error)
        finally:
            self.position = None

    def _tell(self, position: int, target: int) -> None:
        self.position = position
