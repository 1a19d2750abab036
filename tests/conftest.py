"""Logs for every test. A test that takes `log` runs on every engine and doesn't know which."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from events.log import Log
from events.open import open_log


@pytest.fixture(params=["memory", "sqlite"])
def log_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a log that isn't there yet, on every engine."""
    urls = {"memory": "memory:", "sqlite": f"sqlite:///{tmp_path}/newsroom.db"}
    return urls[request.param]


@pytest.fixture
async def log(log_url: str) -> AsyncIterator[Log]:
    """A new log, open, on every engine. It holds its `log.opened` and nothing else."""
    async with await open_log(log_url) as opened:
        yield opened


@pytest.fixture
async def empty_log(log_url: str) -> AsyncIterator[Log]:
    """A log without any event, open and waiting to be restored, on every engine."""
    async with await open_log(log_url.replace("newsroom", "restored"), create="empty") as opened:
        yield opened
