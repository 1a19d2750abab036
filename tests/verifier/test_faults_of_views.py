"""Whatever strikes the server that keeps the views, or the database under it: another one goes on, and the views are
what a fresh replay gives.

`python -m bench.faults` does the same many more times, and with more kinds of faults.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from bench.faults.fault import Fault
from bench.faults.office import Office, in_office
from bench.faults.views import FAULTS
from tests.postgres import Server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def office(postgres: Server) -> AsyncIterator[Office]:
    """Two servers over a log, which go through all the faults."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201  # pytest shows it where a test fails
    async with in_office(postgres, f"office_{secrets.token_hex(6)}", random.Random(seed)) as office:
        yield office


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("fault", {str(fault): fault for fault in FAULTS}.values(), ids=str)
async def test_views_survive(office: Office, fault: Fault[Office]) -> None:
    await fault.on(office)
