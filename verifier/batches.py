"""Many commands at once: each carried out by itself, and answered in brief by its own line."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

from verifier.app import Desk
from verifier.errors import Invalid, Problem, TooLarge, document_of
from verifier.handler.answering import in_brief
from verifier.handler.appending import Caller
from verifier.keys import check_key
from verifier.routes import ORDERS, Order, order

BATCH_LINES: Final = 1_000
"""How many commands a batch may have."""


async def batch(desk: Desk, lines: Sequence[Any], actor: str) -> list[dict[str, Any]]:
    """Carry out commands and answer each in brief by its own line, in their order; one that is refused
    stops no other.

    Commands on one claim are carried out in the order of their lines; the rest at the same time, so
    that they share commits. Raises `TooLarge` for more than `BATCH_LINES`.
    """
    if len(lines) > BATCH_LINES:
        raise TooLarge(f"a batch has at most {BATCH_LINES:,} lines: cut it into several")
    async with asyncio.TaskGroup() as group:
        # Tasks start in order, and each reaches its claim's queue before it first waits.
        tasks = [group.create_task(_line(desk, line, actor)) for line in lines]
    return [task.result() for task in tasks]


async def _line(desk: Desk, line: Any, actor: str) -> dict[str, Any]:
    key = line.get("key") if isinstance(line, Mapping) else None
    try:
        if isinstance(line, Problem):
            raise line
        return {"key": key, "ok": True, "result": await _carry_out(desk, line, key, actor)}
    except Problem as problem:
        return {"key": key, "ok": False, "problem": document_of(problem)}


async def _carry_out(desk: Desk, line: Any, key: Any, actor: str) -> dict[str, Any]:
    if not isinstance(line, Mapping):
        raise Invalid('the line is not a JSON object: send a command, such as {"type": "claim.denied", …}')
    if not isinstance(key, str):
        raise Invalid("the line has no `key`: give each line its own, so that it can be sent again", field="key")
    check_key(key)
    body = {name: value for name, value in line.items() if name != "key"}
    route, ids = _route_of(body)
    return await order(desk, route, ids, body, Caller(actor=actor, key=key), answer=in_brief)


_BY_PATH: Final = {route.path: route for route in ORDERS}
_OPENING: Final = {route.fixed["type"]: route for route in ORDERS if route.fixed}


def _route_of(body: dict[str, Any]) -> tuple[Order, dict[str, str]]:
    """Return the route that a line of a batch would be sent to by itself, and take out of it what it is about."""
    type_name = body.get("type")
    if not isinstance(type_name, str):
        raise Invalid("`type` is missing: give the type of the fact to record, such as claim.denied", field="type")
    if type_name in _OPENING:
        return _OPENING[type_name], {}
    if type_name == "source.updated":  # here `source` is a field of the command, too
        return _BY_PATH["/sources/{id}/events"], {"id": _named(body.get("source"), "source")}
    for name in _MAY_BE_ABOUT.get(type_name, ("claim",)):
        if name in body:
            return _BY_PATH[_ABOUT[name]], {"id": _named(body.pop(name), name)}
    may = " or ".join(f"`{name}`" for name in _MAY_BE_ABOUT.get(type_name, ("claim",)))
    raise Invalid(f"the line doesn't say what it is about: give {may}", field="claim")


_ABOUT: Final = {"claim": "/claims/{id}/events", "story": "/stories/{id}/events", "source": "/sources/{id}/events"}

_MAY_BE_ABOUT: Final = {
    "origins.merged": ("claim", "story"),
    "origins.split": ("claim", "story"),
    "text.erased": ("claim", "story", "source"),
}
"""What commands may be about that are not about a claim only."""


def _named(given: object, field: str) -> str:
    if not isinstance(given, str) or not given:
        raise Invalid(f"{field} is not an id or a name: give it as a text", field=field)
    return given
