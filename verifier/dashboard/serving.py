"""The endpoints of the pages: read the address, ask, draw; and what every answer to a browser must say.

Nothing on a page comes from elsewhere, nothing in it runs that isn't a file of ours, and nobody may frame it. Pages
are kept nowhere: a text that was erased must not live on in a browser's cache.
"""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Scope

from events import errors as log_errors
from verifier.api import edge
from verifier.api.endpoints import Endpoint
from verifier.api.reading import query_of, seen_of
from verifier.app import Desk
from verifier.dashboard import badge
from verifier.dashboard.done import forget, told
from verifier.dashboard.drawing import draw
from verifier.dashboard.page import Data, Page, params_of
from verifier.dashboard.pages import PAGES
from verifier.dashboard.statics import Static, statics
from verifier.errors import Problem
from verifier.handler.appending import translate
from verifier.parameters import Asked, Params

HTML: Final = "text/html"

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self';"
    " base-uri 'none'; frame-ancestors 'none'"
)
"""What a page may load and do: what comes from this server, and nothing that stands in the page itself."""

HEADERS: Final = {
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "same-origin",  # with `no-referrer` a browser would send forms with `Origin: null`
    "cache-control": "no-store",
    "vary": "accept-encoding",
}
"""What every page and its data are sent with."""

_FOR_EVER: Final = {**HEADERS, "cache-control": "public, max-age=31536000, immutable"}
_YEAR: Final = 31_536_000  # seconds
_SMALL: Final = 1_000  # bytes that are not worth compressing


def routes(desk: Desk) -> Sequence[BaseRoute]:
    """Return the routes of the dashboard of a desk."""
    return [
        *(Named(static.path, _static(static)) for static in statics().values()),
        Named("/seen", _seen(desk)),
        Named(badge.PATH, _badge(desk)),
        *(Named(page.twin, _data(desk, page)) for page in PAGES),  # first: no id ends in `.json`
        *(Named(page.path, _page(desk, page)) for page in PAGES),
    ]


class Named(Route):
    """A route that tells the requests that it takes by which it came, so that they are counted under its path."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Say whether a request is meant for this route."""
        match, more = super().matches(scope)
        return match, {**more, "route": self}


def _page(desk: Desk, page: Page) -> Endpoint:
    """Make the endpoint of a page."""

    async def endpoint(request: Request) -> Response:
        try:
            data = await _ask(desk, page, request)
        except Problem as problem:
            return on_problem(problem, request)
        done = told(request, desk)
        response = respond(request, draw(page.name, data, page=page, json=_twin_of(page, request), done=done))
        if done is not None:
            forget(response, desk)
        return response

    return endpoint


def _data(desk: Desk, page: Page) -> Endpoint:
    """Make the endpoint of a page's data. Its problems are those of the API."""

    async def endpoint(request: Request) -> Response:
        data = await _ask(desk, page, request)
        return respond(request, msgspec.json.encode(data), media_type="application/json")

    return endpoint


async def _ask(desk: Desk, page: Page, request: Request) -> Data:
    """Ask what an address asks. The answer knows what was recorded before, as far as the views get there in time.

    Raises a `Problem`.
    """
    given = query_of(request)
    if page.remembers is not None and page.remembers not in given:
        given |= {page.remembers: _remembered(request, desk)}
    params = params_of(page, given)
    try:
        seen = max(seen_of(request) or 0, await desk.log.head())
        return await page.ask(desk, Asked(ids=request.path_params, params=params, seen=seen))
    except log_errors.LogError as error:
        raise translate(error, "") from error


# --- what a browser remembers ----------------------------------------------------------------------


def _cookie(desk: Desk) -> str:
    """Return the name of the cookie of a log: servers of other logs on the same machine have others."""
    return f"seen-{desk.log.id[-12:]}"


def _remembered(request: Request, desk: Desk) -> str:
    """Return the position that the reader has seen, by their browser; nothing where it makes no sense (any more)."""
    given = request.cookies.get(_cookie(desk), "")
    return given if given.isascii() and given.isdecimal() and len(given) < 16 else ""


def _seen(desk: Desk) -> Endpoint:
    """Make the endpoint that has the browser remember up to where its reader has seen the changes."""

    async def endpoint(request: Request) -> Response:
        given = request.query_params.get("position", "")
        response = Response(status_code=303, headers={**HEADERS, "location": "/"})
        if given.isascii() and given.isdecimal() and int(given[:16]) <= await desk.log.head():
            response.set_cookie(_cookie(desk), given, max_age=_YEAR, httponly=True, samesite="lax")
        return response

    return endpoint


def _twin_of(page: Page, request: Request) -> str:
    """Return where the data of the page that is asked for stand."""
    path = f"{request.url.path}.json" if request.url.path != "/" else page.twin
    return f"{path}?{request.url.query}" if request.url.query else path


def on_problem(problem: Problem, request: Request) -> Response:
    """Answer a problem as a page: what is wrong, what to do, and where to go on."""
    status = edge.STATUS[type(problem)]
    data = {"title": problem.title, "problem": problem, "status": status, "request": request.scope["request_id"]}
    return respond(request, draw("problem", data), status=status)


def _badge(desk: Desk) -> Endpoint:
    """Make the endpoint of a claim's badge, which pages elsewhere may show."""

    async def endpoint(request: Request) -> Response:
        asked = Asked(ids=request.path_params, params=Params(), seen=await desk.log.head())
        body = draw("badge", await badge.badge(desk, asked), kind="svg")
        headers = {**HEADERS, "cross-origin-resource-policy": "cross-origin", "cache-control": "no-cache"}
        return Response(body, headers=headers, media_type="image/svg+xml")

    return endpoint


def _static(static: Static) -> Endpoint:
    """Make the endpoint of a file that pages use."""

    async def endpoint(request: Request) -> Response:
        if not _takes_gzip(request):
            return Response(static.data, headers=_FOR_EVER, media_type=static.media_type)
        headers = {**_FOR_EVER, "content-encoding": "gzip"}
        return Response(static.small, headers=headers, media_type=static.media_type)

    return endpoint


def respond(request: Request, body: str | bytes, *, status: int = 200, media_type: str = HTML) -> Response:
    """Answer a browser, compressed where it is worth it."""
    raw = body.encode() if isinstance(body, str) else body
    if len(raw) < _SMALL or not _takes_gzip(request):
        return Response(raw, status, headers=HEADERS, media_type=media_type)
    headers = {**HEADERS, "content-encoding": "gzip"}
    return Response(gzip.compress(raw, compresslevel=5, mtime=0), status, headers=headers, media_type=media_type)


def _takes_gzip(request: Request) -> bool:
    return "gzip" in request.headers.get("accept-encoding", "")
