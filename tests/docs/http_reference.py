"""Writes the reference of the HTTP API: its routes from the OpenAPI document of a running server, with one
example each that is sent to it, and the shapes of bodies and answers."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import json
import re
import tempfile
import textwrap
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import structlog
from examples import BEFORE, HTTP, PARAMETERS, REFUSED
from pydantic import SecretStr
from writing import code, default, doc, kind, names_ids, run_await, spaced, table, written_kinds

from events.keys import Keys
from events.leaf import derive
from events.seals import Seals
from events.tlog import new_key
from verifier import Verifier, answers
from verifier.commands import COMMANDS
from verifier.errors import PROBLEMS
from verifier.routes import ORDERS, QUESTIONS
from verifier.server import Serving, serve
from verifier.settings import Settings

SNAPSHOT: Final = hashlib.sha256(b"a letter").hexdigest()
_DEEP: Final = 2
"""How deep an answer is shown."""


@asynccontextmanager
async def running() -> AsyncIterator[Serving]:
    """Serve a new log in memory, which is sealed, until the end of the block."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("error"))  # a page is no place for them
    ready: asyncio.Future[Serving] = asyncio.get_running_loop().create_future()
    with tempfile.TemporaryDirectory() as seals:
        key = SecretStr(new_key("example.org/newsroom"))
        Seals(Path(seals)).begin(Keys.parse(key.get_secret_value(), "the page"))
        settings = Settings(log="memory:", port=0, actor="desk", seal_key=key, seals=Path(seals))
        task: asyncio.Future[None] = asyncio.create_task(serve(settings, ready.set_result))
        waiting: list[asyncio.Future[Any]] = [task, ready]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
        serving = ready.result()
        try:
            yield serving
        finally:
            serving.stop()
            await task


# --- routes ----------------------------------------------------------------------------------------


_known: list[tuple[dict[str, Any], dict[str, tuple[str, str]]]] = []
_PROBLEM: Final = "a problem"
_LAST: Final = ("POST /api/v1/webhooks/{id}/remove", "POST /api/v1/rebuild")


def _api() -> tuple[dict[str, Any], dict[str, tuple[str, str]]]:
    """Return the OpenAPI document and what came of each example, once."""
    if not _known:
        _known.append(asyncio.run(_ask()))
    return _known[0]


async def _ask() -> tuple[dict[str, Any], dict[str, tuple[str, str]]]:
    async with running() as serving:
        names: dict[str, Any] = {"sha256": SNAPSHOT, "hook": derive("whk", "desk", "hook-1")}
        async with Verifier.open(serving.address) as verifier:
            made: dict[str, Any] = {"verifier": verifier}
            await run_await(BEFORE, made)
            names["plan"] = made["plan"].id
            names["said"] = made["plan"].statement
        async with httpx.AsyncClient(base_url=serving.address) as client:
            document = (await client.get("/api/v1/openapi.json")).json()
            results = {}
            reads = [operation for operation in HTTP if operation.startswith("GET")]
            for operation in [operation for operation in HTTP if operation not in (*reads, *_LAST)]:
                results[operation] = await _exchange(client, HTTP[operation], names)
            head = (await client.get("/api/v1/health")).json()["head"]
            await client.get("/api/v1/claims", params={"at_least": head})  # now the views have it all
            while (await client.get(f"/api/v1/events/{head}/receipt")).status_code == 503:  # and now it is all sealed
                pass
            for operation in reads:
                results[operation] = await _exchange(client, HTTP[operation], names)
            for operation in _LAST:
                results[operation] = await _exchange(client, HTTP[operation], names)
            results[_PROBLEM] = await _exchange(client, REFUSED, names)
    return document, results


async def _exchange(client: httpx.AsyncClient, template: str, names: Mapping[str, Any]) -> tuple[str, str]:
    """Send an example; return the request as it is shown, and the answer."""
    filled = textwrap.dedent(template).replace("{plan[20:]}", names["plan"][20:])
    for name, value in names.items():
        filled = filled.replace("{" + name + "}", value)
    head, _, body = filled.partition("\n\n")
    line, *headers = head.splitlines()
    method, path = line.split(" ", 1)
    sent = dict(header.split(": ", 1) for header in headers)
    async with client.stream(method, path, headers=sent, content=body or None) as response:
        if "text/event-stream" in response.headers["content-type"]:
            answer = await _first_frame(response)
        elif path.startswith("/tile/"):
            answer = f"{len(await response.aread())} bytes"
        elif path == "/metrics":
            answer = _first_metric(await response.aread())
        elif "atom+xml" in response.headers["content-type"]:
            answer = _first_titles((await response.aread()).decode())
        else:
            answer = _brief((await response.aread()).decode())
        answer = answer.replace(f":{response.url.port}/", ":8750/")
        status = f"{response.status_code} {response.reason_phrase}"
    shown = filled.replace(names["plan"][20:], "…") if "{plan[" in template else filled
    return names_ids(shown), names_ids(f"{status}\n\n{answer}")


async def _first_frame(response: httpx.Response) -> str:
    """Return the first frame of a stream that carries something, cut short."""
    frame: list[str] = []
    async for line in response.aiter_lines():
        if line.startswith(("id:", "event:")):
            frame.append(line)
        if line.startswith("data:"):
            data = json.dumps(_cut(json.loads(line.removeprefix("data:")), 3), ensure_ascii=False)
            return "\n".join([*frame, f"data: {data}"])
    return ""


def _first_metric(text: bytes) -> str:
    """Return the counts of commands, which are the same in each run; the rest is cut."""
    counts = [line for line in text.decode().splitlines() if "verifier_commands" in line and "_created" not in line]
    return "\n".join([*counts[:4], "…"])


def _first_titles(text: str) -> str:
    """Return the titles in a document of Atom, which are the same in each run; the rest is cut."""
    return "\n".join(f"… {title} …" for title in re.findall("<title>.*?</title>", text))


def _brief(text: str) -> str:
    """Return an answer as it is shown: laid out, and what lies deep in it left out."""
    try:
        return json.dumps(_cut(json.loads(text), _DEEP), indent=2, ensure_ascii=False)
    except ValueError:
        lines = text.splitlines()
    try:
        return "\n".join(json.dumps(_cut(json.loads(line), _DEEP), ensure_ascii=False) for line in lines)
    except ValueError:
        return text


def _cut(value: Any, depth: int) -> Any:
    match value:
        case {} if not depth and value:
            return "…"
        case dict():
            # How long a proof is depends on where the claim's id comes among the others.
            return {name: "…" if name == "proof" else _cut(inner, depth - 1) for name, inner in value.items()}
        case [first, *rest]:
            return [_cut(first, depth), *(["…"] if rest else [])] if depth else "…"
        case str() if value.startswith('{"'):  # a leaf, verbatim
            return "…"
        case _:
            return value


def routes() -> str:
    """Write every route, by address."""
    document, results = _api()
    operations = {
        f"{method.upper()} {path}": about
        for path, methods in document["paths"].items()
        for method, about in methods.items()
    }
    ordered = sorted(operations, key=lambda operation: (operation.split(" ")[1], operation))
    return "".join(_route(operation, operations[operation], results[operation]) for operation in ordered)


def problem() -> str:
    """Write a request that is refused, and the problem with which it is answered."""
    request, answer = _api()[1][_PROBLEM]
    return f"{code('http', request)}\n\n{code('http', answer)}\n"


def operations() -> set[str]:
    """Return every method and address that the server's own document names."""
    document, _ = _api()
    return {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods}


def _route(operation: str, about: Mapping[str, Any], result: tuple[str, str]) -> str:
    rows = [
        (
            f"`{given['name']}`",
            given["in"],
            _schema(given["schema"]),
            given.get("description") or PARAMETERS[given["name"]],
        )
        for given in about["parameters"]
    ]
    request, answer = result
    parts = [
        f"\n## `{operation}`\n",
        about["summary"],
        table(("parameter", "in", "kind", "meaning"), rows),
        f"{_body_of(operation)}Answer: {_answer_of(operation)}.",
        f"Problems: {_problems(about['responses'])}.",
        code("http", request),
        code("http", answer),
    ]
    return "\n".join(spaced(parts))


def _meaning(parameter: Mapping[str, Any]) -> str:
    return parameter.get("description") or PARAMETERS[parameter["name"]]


def _schema(schema: Mapping[str, Any]) -> str:
    kinds = [variant.get("type", "") for variant in schema.get("anyOf", [schema])]
    words = {"integer": "number", "string": "text"}
    return " or ".join(words.get(name, name) for name in kinds if name != "null")


def _body_of(operation: str) -> str:
    method, path = operation.split(" ")
    order = next((o for o in ORDERS if method == "POST" and f"/api/v1{o.path}" == path), None)
    if order is None:
        return {
            "POST /api/v1/batch": "Body: one [command](bodies.md) a line, at most 1,000 lines and 1 MiB. ",
            "PUT /api/v1/evidence/{sha256}": "Body: the bytes, at most 50 MiB. ",
        }.get(operation, "")
    if order.fixed:
        return f"Body: {_body(order.fixed['type'])}, whose `type` may be left out. "
    schema = order.body.json_schema()
    types = schema.get("discriminator", {}).get("mapping")
    if types is None:
        fields = [
            f"`{name}`{'' if name in schema.get('required', ()) else ' (may be left out)'}"
            for name in schema.get("properties", {})
        ]
        return f"Body: an object with {', '.join(fields)}. " if fields else "Body: an empty object. "
    return f"Body: one of {', '.join(map(_body, types))}. "


def _body(type_name: str) -> str:
    return f"[`{type_name}`](bodies.md#{COMMANDS[type_name].verb})"


def _answer_of(operation: str) -> str:
    method, path = operation.split(" ")
    for route in (*QUESTIONS, *ORDERS):
        if (route.method, f"/api/v1{route.path}") == (method, path):
            return f"[`{route.answer}`](#{route.answer.lower()})"
    return {
        "GET /api/v1/feed": "server-sent events named `change`, the `changes` of each a list of [`Change`](#change)",
        "GET /api/v1/feed.json": "a [JSON Feed](https://jsonfeed.org/version/1.1)",
        "GET /api/v1/feed.atom": "an [Atom](https://www.rfc-editor.org/rfc/rfc4287) document",
        "POST /api/v1/batch": "one line for each line: `ok` with its `result`, or its `problem`",
        "GET /api/v1/evidence/{sha256}": "the bytes",
        "PUT /api/v1/evidence/{sha256}": "the hash",
        "GET /checkpoint": "the signed note",
        "GET /tile/{path}": "the tile, or the bundle",
        "GET /log/vkey": "one [vkey](../glossary.md#vkey) a line",
        "GET /api/v1/events/{position}/proof": "the proof, with the checkpoint that it leads to",
        "GET /healthz": "`status`: `alive`",
        "GET /readyz": "[`Health`](#health), or the problem that says why not",
        "GET /metrics": "text in Prometheus' format ([what it says](../howto/watch-a-server.md#metrics))",
    }[operation]


def _problems(responses: Mapping[str, Mapping[str, str]]) -> str:
    said = " ".join(response["description"] for status, response in responses.items() if status >= "400")
    slugs = [slug for slug in PROBLEMS if f"`{slug}`" in said]
    return ", ".join(f"[`{slug}`](problems.md#{slug})" for slug in slugs)


# --- shapes ----------------------------------------------------------------------------------------


def answer_models() -> str:
    """Write the shape of every answer."""
    parts = []
    for model in vars(answers).values():
        if not (isinstance(model, type) and issubclass(model, answers.Answer)) or model is answers.Answer:
            continue
        written = written_kinds(model)
        rows = [(f"`{name}`", kind(written[name], null=True)) for name in model.model_fields]
        parts += [f"\n### `{model.__name__}`\n", doc(model), table(("field", "kind"), rows)]
    return "\n".join(spaced(parts))


def bodies() -> str:
    """Write the body of every command, by verb."""
    parts = []
    for type_name, command in COMMANDS.items():
        written = written_kinds(command)
        rows = [
            (f"`{field.name}`", kind(written[field.name]), default(_default_of(field)))
            for field in dataclasses.fields(command)
            if field.name not in ("type", "causation", "correlation")
        ]
        parts += [
            f"\n## `{command.verb}`\n",
            f"`type`: [`{type_name}`](events.md#{type_name.replace('.', '')}).",
            doc(command),
            table(("field", "kind", "default"), rows),
        ]
    return "\n".join(spaced(parts))


def _default_of(field: dataclasses.Field[Any]) -> object:
    if field.default is not dataclasses.MISSING:
        return field.default
    return field.default_factory() if field.default_factory is not dataclasses.MISSING else ...
