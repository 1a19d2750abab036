"""The edge of the HTTP API: who may come in, and how a problem looks when it goes out.

The status codes of our answers stand here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from verifier.errors import (
    Busy,
    Conflict,
    DiskFull,
    DuplicateClaim,
    Internal,
    Invalid,
    KeyReused,
    NotFound,
    NotReady,
    NotSealed,
    OutcomeUnknown,
    Problem,
    ReadOnly,
    Refused,
    TooLarge,
    ViewsBehind,
    document_of,
)

PROBLEM_TYPE: Final = "application/problem+json"


class Foreign(Refused):
    """The request comes from where none should come from."""


class WrongMethod(NotFound):
    """The address is known, the method is not."""


STATUS: Final[dict[type[Problem], int]] = {
    Invalid: 422,
    NotFound: 404,
    Refused: 409,
    DuplicateClaim: 409,
    Conflict: 412,
    KeyReused: 422,
    TooLarge: 413,
    ViewsBehind: 503,
    Busy: 503,
    ReadOnly: 503,
    DiskFull: 503,
    NotSealed: 503,
    NotReady: 503,
    OutcomeUnknown: 503,
    Internal: 500,
    Foreign: 403,
    WrongMethod: 405,
}
"""The HTTP status of every problem that a server answers with."""

_LATER: Final = (Busy, ViewsBehind, NotSealed, NotReady)
"""What passes by itself: the answer says when to ask again."""


def answer(problem: Problem, request: Request) -> Response:
    """Return a problem as RFC 9457 has it."""
    status = STATUS[type(problem)]
    document = {**document_of(problem), "status": status, "request": request.scope["request_id"]}
    response = Response(msgspec.json.encode(document), status, media_type=PROBLEM_TYPE)
    if isinstance(problem, _LATER):
        response.headers["retry-after"] = "1"
    if isinstance(problem, WrongMethod):
        response.headers["allow"] = str(problem.extra["allow"])
    return response


async def on_problem(request: Request, problem: Exception) -> Response:
    """Answer a problem that somebody raised."""
    assert isinstance(problem, Problem)  # registered for nothing else
    return answer(problem, request)


async def on_http_error(request: Request, error: Exception) -> Response:
    """Answer what the router raises: no such address, or no such method there."""
    assert isinstance(error, HTTPException)  # registered for nothing else
    where = f"{request.method} {request.url.path}"
    if error.status_code == 405:
        allow = (error.headers or {}).get("Allow", "")
        return answer(WrongMethod(f"there is no {where}: the methods here are {allow}", allow=allow), request)
    return answer(NotFound(f"there is no {where}: the addresses are listed at /api/v1/openapi.json"), request)


async def on_bug(request: Request, error: Exception) -> Response:
    """Answer what nobody foresaw. It is raised again after this, and logged by `Watch`."""
    return answer(_internal(request.scope), request)


def _internal(scope: Scope) -> Internal:
    return Internal(f"something went wrong here: report it with the request id {scope['request_id']}")


class Edge:
    """Lets requests in for the host names it was told, and from no foreign page."""

    def __init__(self, app: ASGIApp, *, hosts: Collection[str], log_id: str) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)
        self._log = log_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or answer why it may not come in."""
        if scope["type"] == "http":
            try:
                self._check(scope)
            except Problem as problem:
                await answer(problem, Request(scope))(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        host = origin = log = ""
        for name, value in scope["headers"]:
            match name:
                case b"host":
                    host = value.decode("latin-1").lower()
                case b"origin":
                    origin = value.decode("latin-1").lower()
                case b"verifier-log":
                    log = value.decode("latin-1")
        if _name(host) not in self._hosts:
            raise Foreign(
                f"this server does not answer to the name {host!r}: use one of {', '.join(sorted(self._hosts))},"
                " or tell it the name with the setting `hosts`",
                rule="foreign-host",
            )
        if origin and origin.partition("://")[2] != host:
            raise Foreign(
                f"a page of {origin} may not ask here: ask from a page of this server, or from a program",
                rule="foreign-origin",
            )
        if log and log != self._log:
            raise Invalid(
                f"this server serves {self._log}, not {log}: your cursors belong to another log; start from 0",
                field="Verifier-Log",
            )


def _name(host: str) -> str:
    """Return a `Host` without its port; an address of IPv6 keeps its brackets."""
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdecimal() else host
