"""The endpoints, made from the tables of `verifier.routes`: read the request, call the desk, write the bytes.

Answers are encoded once, with msgspec, and no model is built on the way: the shapes are those of
`verifier.answers`, which a test proves.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from events.evidence import SNAPSHOT_LIMIT
from verifier import batches, routes
from verifier.api import edge
from verifier.api.reading import (
    BATCH_LIMIT,
    BODY_LIMIT,
    JSON,
    LINES,
    body_of,
    check_length,
    check_type,
    chunks_of,
    if_match_of,
    key_of,
    query_of,
    seen_of,
)
from verifier.api.watching import correlate
from verifier.app import Desk
from verifier.errors import PROBLEMS, NotFound, Problem, TooLarge
from verifier.handler.appending import Caller
from verifier.parameters import Asked
from verifier.parsing import strict_json

Endpoint = Callable[[Request], Awaitable[Response]]

_JSON_TYPE: Final = "application/json"
_encode = msgspec.json.Encoder().encode


def order(desk: Desk, route: routes.Order, actor: str) -> Endpoint:
    """Make the endpoint of a route that writes."""

    async def endpoint(request: Request) -> Response:
        check_type(request, JSON)
        caller = Caller(actor=actor, key=key_of(request), if_match=if_match_of(request))
        body = strict_json(await body_of(request, BODY_LIMIT))
        correlate(body)
        answer = await routes.order(desk, route, request.path_params, body, caller)
        headers = _position(answer)
        if route.records and "computed" in answer:
            headers["etag"] = _tag(answer, answer["basis"]["state_digest"])
        return Response(_encode(answer), headers=headers, media_type=_JSON_TYPE)

    return endpoint


def question(desk: Desk, route: routes.Question) -> Endpoint:
    """Make the endpoint of a route that reads."""

    async def endpoint(request: Request) -> Response:
        params = routes.params_of(route.params, query_of(request))
        asked = Asked(ids=request.path_params, params=params, seen=seen_of(request))
        answer = await routes.ask(desk, route, asked)
        raw, headers = _encode(answer), _position(answer)
        if "computed" in answer:
            tag = _tag(answer, hashlib.sha256(raw).hexdigest())
            headers |= {"etag": tag, "cache-control": "no-cache"}
            if tag in request.headers.get("if-none-match", ""):
                return Response(status_code=304, headers=headers)
        return Response(raw, headers=headers, media_type=_JSON_TYPE)

    return endpoint


def _position(answer: dict[str, Any]) -> dict[str, str]:
    return {"verifier-position": str(answer["basis"]["position"])} if "basis" in answer else {}


def _tag(answer: dict[str, Any], digest: str) -> str:
    """Return the `ETag` of a claim: `If-Match` compares its position, `If-None-Match` all of it."""
    return f'"{answer["position"]}-{digest[:16]}"'


def batch(desk: Desk, actor: str) -> Endpoint:
    """Make the endpoint that takes many commands, each answered by its own line."""

    async def endpoint(request: Request) -> Response:
        check_type(request, LINES)
        raw = await body_of(request, BATCH_LIMIT)
        lines = [_line(line) for line in raw.splitlines() if line.strip()]
        answers = await batches.batch(desk, lines, actor)
        return Response(b"".join(_encode(line) + b"\n" for line in answers), media_type=LINES[0])

    return endpoint


def _line(raw: bytes) -> Any:
    """Return a line's command, or the problem with which it is answered."""
    try:
        if len(raw) > BODY_LIMIT:
            raise TooLarge(f"the line has more than {BODY_LIMIT:,} bytes: send less at once", limit=BODY_LIMIT)
        return strict_json(raw)
    except Problem as problem:
        return problem


def put_evidence(desk: Desk) -> Endpoint:
    """Make the endpoint that keeps the bytes of a snapshot, as they come."""

    async def endpoint(request: Request) -> Response:
        sha256 = request.path_params["sha256"]
        check_length(request, SNAPSHOT_LIMIT)
        await routes.keep_bytes(desk, sha256, chunks_of(request))
        return Response(_encode({"sha256": sha256}), media_type=_JSON_TYPE)

    return endpoint


def get_evidence(desk: Desk) -> Endpoint:
    """Make the endpoint that gives the bytes of a snapshot back: to keep, never to show, whatever they are."""

    async def endpoint(request: Request) -> Response:
        sha256 = request.path_params["sha256"]
        data = await routes.held_bytes(desk, sha256)
        headers = {"content-disposition": f'attachment; filename="{sha256}"', "content-security-policy": "sandbox"}
        return Response(data, headers=headers, media_type="application/octet-stream")

    return endpoint


async def problem_page(request: Request) -> Response:
    """Say what a problem means: the page that its `type` names."""
    problem = PROBLEMS.get(request.path_params["slug"])
    if problem is None:
        raise NotFound(f"there is no such problem: they are {', '.join(PROBLEMS)}")
    status = edge.STATUS.get(problem)
    where = f"HTTP status {status}" if status else "raised by the client, never sent by a server"
    return PlainTextResponse(f"{problem.title} ({problem.slug}, {where})\n\n{problem.__doc__}\n")
