"""Watches over every request: gives it an id, counts and times it, and logs one line when it is over.

The line says method, route, status, milliseconds, actor, request id, and correlation id where the command had one. The
route is the template, never the address: an address may hold a name. Nobody's body, parameters or headers are logged.
Whatever nobody foresaw is logged here, once, and answered as `internal` further in.
"""

from __future__ import annotations

import itertools
import re
import secrets
from time import perf_counter
from typing import Final

import structlog
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from events.leaf import FORMS
from verifier.meters import Meters

PROBES: Final = ("/healthz", "/readyz", "/metrics")
"""What machines ask every few seconds: logged at `debug`."""

NOWHERE: Final = "none"
"""The route of a request that met none."""

UNANSWERED: Final = "none"
"""The status of a request whose caller went away first."""

_METHODS: Final = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._:-]{1,64}")
_NOSNIFF: Final = (b"x-content-type-options", b"nosniff")


class Watch:
    """The outermost layer of the API. Nothing that a request comes to is raised beyond it."""

    def __init__(self, app: ASGIApp, *, meters: Meters, actor: str, log_id: str) -> None:
        self._app = app
        self._meters = meters
        self._actor = actor
        self._log = (b"verifier-log", log_id.encode())
        self._process = secrets.token_hex(4)  # counted within the process: randomness for each costs a system call
        self._count = itertools.count(1)
        self._logger = structlog.get_logger(__name__).bind()  # once: to look its settings up costs more than a line

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request. Raises nothing for it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = perf_counter()
        request_id = scope["request_id"] = _asked_for(scope) or f"{self._process}-{next(self._count)}"
        more = ((b"x-request-id", request_id.encode()), self._log, _NOSNIFF)
        status = UNANSWERED

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
                message["headers"] = [*message["headers"], *more]
            await send(message)

        structlog.contextvars.bind_contextvars(request=request_id)
        try:
            await self._app(scope, receive, send_with_headers)
        except ClientDisconnect:
            pass
        except Exception as error:  # the outermost edge: answered already, logged here
            self._logger.error("a request failed", route=_route(scope), exc_info=error)
        finally:
            self._over(scope, status, perf_counter() - begun)
            structlog.contextvars.unbind_contextvars("request", "correlation")

    def _over(self, scope: Scope, status: str, seconds: float) -> None:
        method, route = scope["method"] if scope["method"] in _METHODS else "other", _route(scope)
        self._meters.requests[method, route, status].add(seconds)
        say = self._logger.debug if route in PROBES else self._logger.info
        say("request", method=method, route=route, status=status, ms=round(seconds * 1e3, 1), actor=self._actor)


def correlate(body: object) -> None:
    """Bind the correlation id of a command, where its body has one, to every line that is logged for its request."""
    given = body.get("correlation") if isinstance(body, dict) else None
    if isinstance(given, str) and FORMS["correlation"].fullmatch(given):
        structlog.contextvars.bind_contextvars(correlation=given)


def _asked_for(scope: Scope) -> str | None:
    """Return the request id that the caller gave, where it may stand in a log: short, and of plain characters."""
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            return value.decode("ascii") if _REQUEST_ID.fullmatch(value) else None
    return None


def _route(scope: Scope) -> str:
    """Return the template of the route that a request met."""
    return getattr(scope.get("route"), "path_format", NOWHERE)
