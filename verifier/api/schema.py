"""The OpenAPI document: bodies, parameters, answers and problems of every route, from what the code checks by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import TypeAdapter

from verifier import answers, batches, parsing, routes
from verifier.api import edge
from verifier.api.reading import BATCH_LIMIT, BODY_LIMIT, JSON, LINES
from verifier.errors import (
    Busy,
    DiskFull,
    Internal,
    Invalid,
    NotFound,
    NotReady,
    NotSealed,
    Problem,
    ReadOnly,
    TooLarge,
    ViewsBehind,
)
from verifier.parameters import FeedParams, FollowParams, SyndicationParams

Schema = dict[str, Any]
Mode = Literal["validation", "serialization"]

_REF: Final = "#/components/schemas/{model}"
_READING: Final = (Invalid, NotFound, edge.Foreign, Busy, ViewsBehind, Internal)
_NOT_WRITING: Final = (ViewsBehind, NotSealed, NotReady, edge.WrongMethod)
_WRITING: Final = tuple(problem for problem in edge.STATUS if problem not in _NOT_WRITING)
_SEALED: Final = ("Checkpoint", "Receipt")
_BYTES: Final = (Invalid, NotFound, TooLarge, edge.Foreign, ReadOnly, DiskFull, Internal)


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What the document says of one route."""

    summary: str
    operation: str
    tag: str
    extra: Schema


def of_order(route: routes.Order) -> About:
    """Describe a route that writes one command."""
    body = {"required": True, "content": _content(JSON[0], _bodies[route.path])}
    return _about(
        "POST",
        route.path,
        route.about,
        parameters=[_KEY, *([_IF_MATCH] if route.answer == "Written" else [])],
        body={**body, "description": f"At most {BODY_LIMIT:,} bytes."},
        responses={"200": _response("What was recorded", _content(JSON[0], _answers[route.answer]), write=True)},
        problems=_WRITING,
    )


def of_question(route: routes.Question) -> About:
    """Describe a route that reads."""
    claim = route.answer == "Claim"
    responses = {"200": _response("The answer", _content(JSON[0], _answers[route.answer]), tagged=claim)}
    if claim:
        responses["304"] = {"description": "It is as you have it (`If-None-Match`)"}
    parameters = [*_params(route.params), _SEEN, *([_IF_NONE_MATCH] if claim else [])]
    problems = (*_READING, NotSealed) if route.answer in _SEALED else _READING
    return _about("GET", route.path, route.about, parameters=parameters, responses=responses, problems=problems)


def of_events(route: routes.Question) -> About:
    """Describe the route that gives the events of the log, in three forms."""
    content = {
        **_content(JSON[0], _answers[route.answer]),
        **_content(LINES[0], _answers["Event"]),
        **_content("text/event-stream", {"type": "string", "description": "Each event's data is an `Event`."}),
    }
    of_page = _params(route.params)
    narrowing = [one for one in _params(FollowParams) if one["name"] not in {other["name"] for other in of_page}]
    parameters = [*of_page, *({**one, "description": "For a stream only."} for one in narrowing), _LAST_EVENT]
    return _about(
        "GET",
        route.path,
        route.about,
        parameters=parameters,
        responses={"200": _response("A page, all as lines, or a stream, by `Accept`", content)},
        problems=_READING,
    )


# --- parts -----------------------------------------------------------------------------------------


def _about(
    method: str,
    path: str,
    summary: str,
    *,
    responses: Schema,
    problems: Iterable[type[Problem]],
    parameters: Iterable[Schema] = (),
    body: Schema | None = None,
    operation: str | None = None,
) -> About:
    ids = [name.strip("{}") for name in path.split("/") if name.startswith("{")]
    tag = path.split("/")[1]
    extra: Schema = {
        "parameters": [*(_path(name) for name in ids), *parameters],
        "responses": {**responses, **_problems(problems)},
    }
    if body is not None:
        extra["requestBody"] = body
    words = [method.lower(), *(part.strip("{}") for part in path.split("/") if part)]
    return About(summary=summary, operation=operation or "_".join(words), tag=tag, extra=extra)


def _content(media_type: str, schema: Schema) -> Schema:
    return {media_type: {"schema": schema}}


def _response(description: str, content: Schema, *, tagged: bool = False, write: bool = False) -> Schema:
    headers = {"Verifier-Position": _header("The last position that the answer knows of.", "integer")}
    if tagged or write:
        headers["ETag"] = _header("For a claim: its position and a digest of this answer.", "string")
    return {"description": description, "content": content, "headers": headers}


def _header(description: str, kind: str) -> Schema:
    return {"description": description, "schema": {"type": kind}}


def _problems(problems: Iterable[type[Problem]]) -> Schema:
    by_status: dict[int, list[type[Problem]]] = {}
    for problem in problems:
        by_status.setdefault(edge.STATUS[problem], []).append(problem)
    return {
        str(status): {
            "description": "; ".join(f"{problem.title} (`{problem.slug}`)" for problem in those),
            "content": _content(edge.PROBLEM_TYPE, {"$ref": _REF.format(model="Problem")}),
        }
        for status, those in sorted(by_status.items())
    }


def _path(name: str) -> Schema:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}, "description": _IDS[name]}


_IDS: Final = {
    "id": "The id; a source or a story also by its name or title.",
    "sha256": "The SHA-256 of the bytes, in lower-case hex.",
    "prefix": "The kind of id: clm, evt, src or sto.",
    "tail": "The last characters of the id, six or more.",
    "position": "The position of an event.",
    "path": "Level and index, and the width of a partial one: `0/000`, `entries/000.p/7`.",
}


def _params(kind: type[Any]) -> list[Schema]:
    properties = TypeAdapter(kind).json_schema()["properties"]
    return [{"name": name, "in": "query", "schema": schema} for name, schema in properties.items()]


def _in_header(name: str, description: str, kind: str = "string") -> Schema:
    return {"name": name, "in": "header", "description": description, "schema": {"type": kind}}


_KEY: Final = _in_header(
    "Idempotency-Key", "Your name for this command: sent again with it, it is recorded once. Left out: made for you."
)
_IF_MATCH: Final = _in_header("If-Match", "An `ETag` of the claim: refused where the claim has moved on since.")
_IF_NONE_MATCH: Final = _in_header("If-None-Match", "An `ETag` of this answer: 304 where it is still the same.")
_SEEN: Final = _in_header(
    "Verifier-Position", "The last position you know of: waited for a little, then answered and marked `behind`.",
    "integer",
)  # fmt: skip
_LAST_EVENT: Final = _in_header("Last-Event-ID", "For a stream: the last position that was received.", "integer")


# --- the routes that stand in no table -----------------------------------------------------------------

_EVENT_STREAM = {
    "type": "string",
    "description": "Server-sent events named `change`: `id` is a position, `data` has `position` and `changes`.",
}

FEED: Final = _about(
    "GET",
    "/feed",
    "Follow the changes of statuses.",
    parameters=[*_params(FeedParams), _LAST_EVENT],
    responses={"200": {"description": "The stream", "content": _content("text/event-stream", _EVENT_STREAM)}},
    problems=_READING,
)

FEED_JSON: Final = _about(
    "GET",
    "/feed.json",
    "Give the changes of statuses as JSON Feed 1.1, newest first.",
    parameters=[*_params(SyndicationParams), _IF_NONE_MATCH],
    responses={
        "200": {"description": "A page", "content": _content("application/feed+json", {"type": "object"})},
        "304": {"description": "It is still the same"},
    },
    problems=_READING,
)

FEED_ATOM: Final = _about(
    "GET",
    "/feed.atom",
    "Give the changes of statuses as Atom, newest first.",
    parameters=[*_params(SyndicationParams), _IF_NONE_MATCH],
    responses={
        "200": {"description": "A page", "content": _content("application/atom+xml", {"type": "string"})},
        "304": {"description": "It is still the same"},
    },
    problems=_READING,
)

_ANSWERED_LINE = {
    "type": "object",
    "required": ["key", "ok"],
    "properties": {
        "key": {"type": ["string", "null"]},
        "ok": {"type": "boolean"},
        "result": {"$ref": _REF.format(model="Done")},
        "problem": {"$ref": _REF.format(model="Problem")},
    },
}

BATCH: Final = _about(
    "POST",
    "/batch",
    "Record many facts, each line answered by its own.",
    body={
        "required": True,
        "description": f"JSON Lines: commands with a `key` each, and `claim`, `story` or `source` where they are about "
        f"one. At most {batches.BATCH_LINES:,} lines and {BATCH_LIMIT:,} bytes.",
        "content": _content(LINES[0], {"type": "object", "required": ["key", "type"]}),
    },
    responses={
        "200": {
            "description": "A line for each line: `ok` with its `result`, or its `problem`",
            "content": _content(LINES[0], _ANSWERED_LINE),
        }
    },
    problems=(Invalid, TooLarge, edge.Foreign, Internal),
)

PUT_EVIDENCE: Final = _about(
    "PUT",
    "/evidence/{sha256}",
    "Keep the bytes of a snapshot.",
    body={"required": True, "content": _content("*/*", {"type": "string", "format": "binary"})},
    responses={"200": {"description": "Kept", "content": _content(JSON[0], {"type": "object"})}},
    problems=_BYTES,
)

GET_EVIDENCE: Final = _about(
    "GET",
    "/evidence/{sha256}",
    "Give the bytes of a snapshot back.",
    responses={
        "200": {
            "description": "The bytes",
            "content": _content("application/octet-stream", {"type": "string", "format": "binary"}),
        }
    },
    problems=(Invalid, NotFound, edge.Foreign, Internal),
)


_PROBING: Final = (edge.Foreign, Internal)

ALIVE: Final = _about(
    "GET",
    "/healthz",
    "Say that the process is alive; looks at nothing.",
    responses={"200": {"description": "It is", "content": _content(JSON[0], {"type": "object"})}},
    problems=_PROBING,
)

READY: Final = _about(
    "GET",
    "/readyz",
    "Say whether the server should be sent requests: the log answers, and the views follow it closely.",
    responses={
        "200": {"description": "It should", "content": _content(JSON[0], {"$ref": _REF.format(model="Health")})}
    },
    problems=(NotReady, *_PROBING),
)

METRICS: Final = _about(
    "GET",
    "/metrics",
    "Tell Prometheus what the server has counted. Needs the extra `metrics`.",
    responses={"200": {"description": "Metrics", "content": _content("text/plain", {"type": "string"})}},
    problems=(NotFound, *_PROBING),
)

_NOTE = _content("text/plain", {"type": "string"})
_OCTETS = _content("application/octet-stream", {"type": "string", "format": "binary"})
_AUDITING: Final = (Invalid, NotFound, NotSealed, edge.Foreign, Busy, Internal)

CHECKPOINT: Final = _about(
    "GET",
    "/checkpoint",
    "Give the last signed checkpoint (C2SP tlog-checkpoint).",
    operation="get_signed_checkpoint",  # `get_checkpoint` is the question of the API
    responses={"200": {"description": "A signed note", "content": _NOTE}},
    problems=_AUDITING,
)

TILE: Final = _about(
    "GET",
    "/tile/{path}",
    "Give a tile of hashes, or a bundle of leaves (C2SP tlog-tiles). It never changes.",
    responses={"200": {"description": "32 bytes for each hash, or leaves with their lengths", "content": _OCTETS}},
    problems=_AUDITING,
)

VKEY: Final = _about(
    "GET",
    "/log/vkey",
    "Give the public keys that sign checkpoints, one a line.",
    responses={"200": {"description": "The keys, oldest first", "content": _NOTE}},
    problems=_AUDITING,
)

PROOF: Final = _about(
    "GET",
    "/events/{position}/proof",
    "Give the proof that an event is in the log (C2SP tlog-proof).",
    responses={"200": {"description": "Index, hashes and checkpoint", "content": _NOTE}},
    problems=_AUDITING,
)


# --- the document ----------------------------------------------------------------------------------


def document(app: FastAPI) -> Schema:
    """Return the whole document; it is made once."""
    if app.openapi_schema is None:
        made = get_openapi(title=app.title, summary=app.summary, version=app.version, routes=app.routes)
        made.setdefault("components", {})["schemas"] = {**_definitions, "Problem": _PROBLEM}
        app.openapi_schema = made
    return app.openapi_schema


_PROBLEM: Final = {
    "title": "Problem",
    "description": "RFC 9457: what went wrong and what to do next, with the values needed for it.",
    "type": "object",
    "required": ["type", "title", "status", "detail", "request"],
    "properties": {name: {"type": "string"} for name in ("type", "title", "detail", "request")}
    | {"status": {"type": "integer"}},
    "additionalProperties": True,
}


def _models() -> tuple[dict[str, Schema], dict[str, Schema], dict[str, Schema]]:
    """Return the schemas of bodies by path, of answers by name, and the definitions of both."""
    names = {question.answer for question in routes.QUESTIONS} | {order.answer for order in routes.ORDERS} | {"Event"}
    adapters: list[tuple[tuple[str, str], Mode, TypeAdapter[Any]]] = [
        *((("body", route.path), "validation", route.body) for route in routes.ORDERS),
        *((("answer", name), "serialization", TypeAdapter(getattr(answers, name))) for name in sorted(names)),
    ]
    made, definitions = TypeAdapter.json_schemas(adapters, ref_template=_REF)
    bodies = {key[1]: schema for (key, _mode), schema in made.items() if key[0] == "body"}
    shapes = {key[1]: schema for (key, _mode), schema in made.items() if key[0] == "answer"}
    for schema in definitions["$defs"].values():
        _add_forms(schema)
    return bodies, shapes, definitions["$defs"]


def _add_forms(schema: Mapping[str, Any]) -> None:
    for name, about in schema.get("properties", {}).items():
        if name in parsing.FORM_OF:
            for variant in about.get("anyOf", [about]):
                if variant.get("type") == "string":
                    variant["pattern"] = f"^{parsing.FORM_OF[name][0].pattern}$"


_bodies, _answers, _definitions = _models()
