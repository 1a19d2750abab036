"""What machines ask: is the process alive, should it be sent requests, and its metrics. Outside `/api/v1`, and open to
the same host names as everything else."""

from __future__ import annotations

from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from verifier.api.endpoints import Endpoint
from verifier.app import Desk
from verifier.errors import NotFound
from verifier.health import readiness

INSTALL: Final = "pip install 'claim-verifier[metrics]'"
"""What brings the package that writes metrics."""

_FRESH: Final = {"cache-control": "no-store"}


async def alive(request: Request) -> Response:
    """Say that the event loop turns. Looks at nothing: a full disk is no reason to be started again."""
    return Response(b'{"status":"alive"}', headers=_FRESH, media_type="application/json")


def ready(desk: Desk, lag: float) -> Endpoint:
    """Make the endpoint that says whether a desk should be sent requests: with views at most `lag` seconds behind."""

    async def endpoint(request: Request) -> Response:
        found = await readiness(desk, lag=lag)
        return Response(msgspec.json.encode(found.answer), headers=_FRESH, media_type="application/json")

    return endpoint


def metrics(desk: Desk) -> Endpoint:
    """Make the endpoint that tells Prometheus what it collects; without the package it says how to get it."""
    try:
        from verifier.metrics import MEDIA_TYPE, Metrics
    except ModuleNotFoundError as error:
        if error.name != "prometheus_client":
            raise
        return _without_metrics
    collected = Metrics(desk)

    async def endpoint(request: Request) -> Response:
        return Response(await collected.text(), headers={**_FRESH, "content-type": MEDIA_TYPE})

    return endpoint


async def _without_metrics(request: Request) -> Response:
    raise NotFound(f"this server collects no metrics: {INSTALL}, and start it again")
