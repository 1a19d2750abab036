"""Serves a log for a test, quietly, and checks afterwards what the test has recorded."""

from __future__ import annotations

import asyncio
import io
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager

import structlog

from events.archive import export, restore
from events.leaf import check_form, check_text, check_words
from events.log import Log, Recorded
from events.memory import MemoryLog
from events.open import open_log
from verifier.server import Serving, serve
from verifier.settings import Settings


@contextmanager
def served(log: str, **flags: object) -> Iterator[Serving]:
    """Serve a log on a free port, in a thread of its own, and stop at the end."""
    started: Future[tuple[Serving, asyncio.AbstractEventLoop]] = Future()

    async def run() -> None:
        loop = asyncio.get_running_loop()
        settings = Settings.load({"log": log, "port": 0, "actor": "ada", **flags})
        await serve(settings, ready=lambda serving: started.set_result((serving, loop)))

    def in_thread() -> None:
        try:
            asyncio.run(run())
        except BaseException as error:
            if started.done():
                raise
            started.set_exception(error)

    thread = threading.Thread(target=in_thread, name="server")
    thread.start()
    try:
        serving, loop = started.result()
        try:
            yield serving
        finally:
            loop.call_soon_threadsafe(serving.stop)
    finally:
        thread.join()


def only_errors() -> None:
    """Log only what goes wrong, and to standard error: what commands print is looked at."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger("error"),
        logger_factory=_to_stderr,
        cache_logger_on_first_use=False,
    )


def _to_stderr(*_: object) -> structlog.PrintLogger:
    return structlog.PrintLogger(sys.stderr)  # looked up anew, because a test may have replaced it


async def check_log(url: str) -> None:
    """Read a log anew: everything in it has its form, and an export of it can be restored to the same."""
    file = io.BytesIO()
    async with await open_log(url, writable=False, create=None) as log, await MemoryLog.open(create="empty") as copy:
        held = await _everything(log)
        for event in held:
            check_form(event.leaf, event.leaf_raw)
            if event.wording is not None and event.wording_raw is not None:
                check_text(event.wording, event.wording_raw)
                check_words(event.fact, event.wording)
            if event.identity is not None and event.identity_raw is not None:
                check_text(event.identity, event.identity_raw)
        await export(log, file)
        file.seek(0)
        await restore(copy, file)
        assert await _everything(copy) == held


async def _everything(log: Log) -> list[Recorded]:
    return [event async for page in log.read_all() for event in page]
