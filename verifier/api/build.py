"""Puts the API together: every route of the tables, the streams and the bytes, behind the edge."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, Final

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from verifier import __version__, routes, syndication
from verifier.api import edge, endpoints, probes, schema, sealed, streams, syndicated
from verifier.api.watching import Watch
from verifier.app import Desk
from verifier.errors import Problem
from verifier.settings import READY_LAG

PREFIX: Final = "/api/v1"


class Lean(APIRoute):
    """A route whose endpoint takes the request and returns the response: nothing is parsed or built on the way."""

    def get_route_handler(self) -> Callable[[Request], Any]:
        """Return the endpoint itself."""
        return self.endpoint


def build(
    desk: Desk,
    *,
    actor: str,
    hosts: Collection[str],
    ready_lag: float = READY_LAG,
    pages: Sequence[BaseRoute] = (),
) -> ASGIApp:
    """Return the application that serves a desk: `actor` is recorded as the writer, `hosts` are the names
    it answers to, `ready_lag` is by how many seconds the views of a ready server may lag, and `pages` are
    served beside the API."""
    app = FastAPI(
        title="Claim verifier",
        summary="Who said what about a claim, and how the evidence stands.",
        version=__version__,
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,
        redoc_url=None,
        exception_handlers={
            Problem: edge.on_problem,
            HTTPException: edge.on_http_error,
            Exception: edge.on_bug,
        },
    )
    # Longer addresses come first: an id may hold a slash, because a source may be named by its name.
    table: list[routes.Order | routes.Question] = [*routes.ORDERS, *routes.QUESTIONS]
    for route in sorted(table, key=lambda route: -len(route.path)):
        if isinstance(route, routes.Order):
            add(app, "POST", route.path, endpoints.order(desk, route, actor), schema.of_order(route))
        elif route.path == "/events":
            page = endpoints.question(desk, route)
            add(app, "GET", route.path, streams.events(desk, page), schema.of_events(route))
        else:
            add(app, "GET", route.path, endpoints.question(desk, route), schema.of_question(route))
    add(app, "GET", "/feed", streams.feed(desk), schema.FEED)
    add(app, "GET", "/feed.json", syndicated.document(desk, syndication.JSON_FEED), schema.FEED_JSON)
    add(app, "GET", "/feed.atom", syndicated.document(desk, syndication.ATOM), schema.FEED_ATOM)
    add(app, "POST", "/batch", endpoints.batch(desk, actor), schema.BATCH)
    add(app, "PUT", "/evidence/{sha256}", endpoints.put_evidence(desk), schema.PUT_EVIDENCE)
    add(app, "GET", "/evidence/{sha256}", endpoints.get_evidence(desk), schema.GET_EVIDENCE)
    add(app, "GET", "/events/{position}/proof", sealed.proof(desk), schema.PROOF)
    add(app, "GET", "/checkpoint", sealed.checkpoint(desk), schema.CHECKPOINT, prefix="")
    add(app, "GET", "/tile/{path}", sealed.tile(desk), schema.TILE, prefix="")
    add(app, "GET", "/log/vkey", sealed.vkey(desk), schema.VKEY, prefix="")
    add(app, "GET", "/healthz", probes.alive, schema.ALIVE, prefix="")
    add(app, "GET", "/readyz", probes.ready(desk, ready_lag), schema.READY, prefix="")
    add(app, "GET", "/metrics", probes.metrics(desk), schema.METRICS, prefix="")
    app.add_route("/problems/{slug}", endpoints.problem_page, methods=["GET"])
    app.router.routes.extend(pages)
    app.openapi = lambda: schema.document(app)  # type: ignore[method-assign]  # FastAPI's own way to change it
    inside = edge.Edge(app, hosts=hosts, log_id=desk.log.id)
    return Watch(inside, meters=desk.meters, actor=actor, log_id=desk.log.id)


def add(
    app: FastAPI, method: str, path: str, endpoint: endpoints.Endpoint, about: schema.About, *, prefix: str = PREFIX
) -> None:
    """Add one route, with what the OpenAPI document says of it."""
    app.router.add_api_route(
        prefix + path.replace("{id}", "{id:path}").replace("{path}", "{path:path}"),
        endpoint,
        methods=[method],
        response_class=Response,
        response_model=None,
        route_class_override=Lean,
        summary=about.summary,
        operation_id=about.operation,
        tags=[about.tag],
        openapi_extra=about.extra,
    )
