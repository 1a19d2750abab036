"""What is sealed, as the tools of transparency logs ask for it: checkpoint, tiles and keys at the root of the server
(C2SP tlog-tiles), and the proof of one event."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from verifier import receipts
from verifier.api.endpoints import Endpoint
from verifier.app import Desk

_TEXT: Final = "text/plain; charset=utf-8"
_OCTETS: Final = "application/octet-stream"
_FRESH: Final = {"cache-control": "no-store"}
_FOR_EVER: Final = {"cache-control": "public, max-age=31536000, immutable"}


def checkpoint(desk: Desk) -> Endpoint:
    """Make the endpoint that gives the last signed checkpoint."""

    async def endpoint(request: Request) -> Response:
        return Response(await receipts.checkpoint_note(desk), headers=_FRESH, media_type=_TEXT)

    return endpoint


def tile(desk: Desk) -> Endpoint:
    """Make the endpoint that gives tiles and bundles, partial ones too. None of them ever changes."""

    async def endpoint(request: Request) -> Response:
        data = await receipts.tile(desk, f"tile/{request.path_params['path']}")
        return Response(data, headers=_FOR_EVER, media_type=_OCTETS)

    return endpoint


def vkey(desk: Desk) -> Endpoint:
    """Make the endpoint that gives the public keys."""

    async def endpoint(request: Request) -> Response:
        return Response(await receipts.public_keys(desk), headers=_FRESH, media_type=_TEXT)

    return endpoint


def proof(desk: Desk) -> Endpoint:
    """Make the endpoint that gives the proof of an event. It leads to the newest checkpoint, so it changes."""

    async def endpoint(request: Request) -> Response:
        data = await receipts.proof(desk, request.path_params["position"])
        return Response(data, headers=_FRESH, media_type=_TEXT)

    return endpoint
