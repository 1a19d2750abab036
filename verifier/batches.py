"""Many commands at once: each answered in brief by its own line, those on different claims recorded together."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from events import errors as log_errors
from verifier.app import Desk
from verifier.errors import Invalid, Problem, TooLarge, document_of
from verifier.handler.answering import in_brief
from verifier.handler.appending import Caller, translate
from verifier.handler.together import Answered, Request, can_join
from verifier.keys import check_key
from verifier.naming import is_id
from verifier.routes import ORDERS, RECORDED, Order, carry_out, command_of, count
from verifier.slices import Slices

BATCH_LINES: Final = 1_000
"""How many commands a batch may have."""


class Line(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One command of a batch, checked, and its place among the answers."""

    place: int
    route: Order
    ids: dict[str, str]
    command: Any
    caller: Caller

    @property
    def about(self) -> str:
        """What the lines have in common that are carried out one after the other; a line about nothing else
        that exists stands by itself."""
        return self.ids.get("id", f"line {self.place}")

    @property
    def joins(self) -> bool:
        """Whether it can be recorded with others in one append."""
        return self.route is _ON_CLAIM and is_id(self.ids["id"], "clm") and can_join(self.command)


async def batch(desk: Desk, lines: Sequence[Any], actor: str) -> list[dict[str, Any]]:
    """Carry out commands and answer each in brief by its own line, in their order; one that is refused
    stops no other.

    Commands on one claim are carried out in the order of their lines; the rest at the same time: the first
    on each claim in one append, then the second, and so on. Raises `TooLarge` for more than `BATCH_LINES`.
    """
    if len(lines) > BATCH_LINES:
        raise TooLarge(f"a batch has at most {BATCH_LINES:,} lines: cut it into several")
    with desk.views.burst.held():
        answers, lanes = await _read_all(lines, actor)
        turn = 0
        while lanes:
            await _carry_out(desk, [lane[turn] for lane in lanes], answers)
            turn += 1
            lanes = [lane for lane in lanes if len(lane) > turn]
    for place, line in enumerate(lines):
        answered = answers[place]
        if not isinstance(answered, Problem):
            desk.views.burst.recorded = max(desk.views.burst.recorded, answered["written_at"])
        given = line.get("type") if isinstance(line, Mapping) else None
        count(desk, given, answered.slug if isinstance(answered, Problem) else RECORDED)
    return [_document(line, answers[place]) for place, line in enumerate(lines)]


async def _read_all(lines: Sequence[Any], actor: str) -> tuple[dict[int, Answered], list[list[Line]]]:
    """Check every line; return what answers those that are refused, and the others, together by what they are
    about."""
    refused: dict[int, Answered] = {}
    lanes: dict[str, list[Line]] = {}
    slices = Slices()
    for place, given in enumerate(lines):
        try:
            line = _read(place, given, actor)
            lanes.setdefault(line.about, []).append(line)
        except Problem as problem:
            refused[place] = problem
        if slices.over:
            await slices.rest()
    return refused, list(lanes.values())


def _read(place: int, given: Any, actor: str) -> Line:
    if isinstance(given, Problem):
        raise given
    if not isinstance(given, Mapping):
        raise Invalid('the line is not a JSON object: send a command, such as {"type": "claim.denied", …}')
    body = dict(given)
    key = body.pop("key", None)
    if not isinstance(key, str):
        raise Invalid("the line has no `key`: give each line its own, so that it can be sent again", field="key")
    check_key(key)
    route, ids = _route_of(body)
    command = command_of(route, body)
    return Line(place=place, route=route, ids=ids, command=command, caller=Caller(actor=actor, key=key))


async def _carry_out(desk: Desk, lines: Sequence[Line], answers: dict[int, Answered]) -> None:
    """Carry out lines of which no two are about the same."""
    together = [line for line in lines if line.joins]
    async with asyncio.TaskGroup() as group:
        for line in lines:
            if not line.joins:
                group.create_task(_alone(desk, line, answers))
        if together:
            group.create_task(_together(desk, together, answers))


async def _alone(desk: Desk, line: Line, answers: dict[int, Answered]) -> None:
    try:
        answers[line.place] = await carry_out(desk, line.route, line.ids, line.command, line.caller, answer=in_brief)
    except Problem as problem:
        answers[line.place] = problem


async def _together(desk: Desk, lines: Sequence[Line], answers: dict[int, Answered]) -> None:
    requests = [Request(claim=line.ids["id"], command=line.command, caller=line.caller) for line in lines]
    try:
        if desk.tailer is not None:
            await desk.tailer.level()
        answered = await desk.together.handle(requests, answer=in_brief)
    except log_errors.LogError as error:
        answered = [translate(error, request.caller.key) for request in requests]
    answers |= zip((line.place for line in lines), answered, strict=True)


def _document(line: Any, answered: Answered) -> dict[str, Any]:
    key = line.get("key") if isinstance(line, Mapping) else None
    if isinstance(answered, Problem):
        return {"key": key, "ok": False, "problem": document_of(answered)}
    return {"key": key, "ok": True, "result": answered}


_BY_PATH: Final = {route.path: route for route in ORDERS}
_ON_CLAIM: Final = _BY_PATH["/claims/{id}/events"]
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
