"""How commands and problems look between client and server: JSON, where what was left out stays out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any, Final
from urllib.parse import quote

import msgspec

from verifier.answers import Claim, Done, Written
from verifier.commands import (
    AdoptPolicy,
    Command,
    OpenStory,
    Quotation,
    RegisterClaim,
    RegisterSource,
    UpdateSource,
    When,
)
from verifier.errors import (
    PROBLEMS,
    Busy,
    Conflict,
    DuplicateClaim,
    Internal,
    Invalid,
    NotFound,
    OutcomeUnknown,
    Problem,
    Refused,
    TooLarge,
    ViewsBehind,
)

Target = Claim | str
"""What a command is about: a claim as it was answered, or an id."""

_COLLECTIONS: Final = {"claim": "claims", "source": "sources", "story": "stories"}
_STANDARD: Final = frozenset({"type", "title", "status", "detail", "instance"})
_NEEDED: Final[dict[type[Problem], dict[str, Any]]] = {
    Refused: {"rule": "unknown"},
    DuplicateClaim: {"claim": ""},
    Conflict: {"position": 0},
    ViewsBehind: {"position": 0},
}
"""What a problem can't be made without, in case a server leaves it out."""

_BY_STATUS: Final[dict[int, type[Problem]]] = {404: NotFound, 413: TooLarge, 429: Busy, 502: Busy, 503: Busy, 504: Busy}


def id_of(target: Target) -> str:
    """Return the id of what a command is about."""
    return target.id if isinstance(target, Claim) else target


def names(given: str | Sequence[str]) -> tuple[str, ...]:
    """Return several names; one name alone is taken as one name, not as its letters."""
    return (given,) if isinstance(given, str) else tuple(given)


def body(command: Command | When | Quotation) -> dict[str, Any]:
    """Return a command as the JSON object that is sent for it, without what is `None`."""
    given = ((field.name, getattr(command, field.name)) for field in fields(command))
    return {
        name: body(value) if isinstance(value, Command | When | Quotation) else value
        for name, value in given
        if value is not None
    }


def line(target: Target | None, command: Command, key: str) -> dict[str, Any]:
    """Return a command as one line of a batch: its key and what it is about stand beside its fields."""
    if target is None:
        return {"key": key, **body(command)}
    about = id_of(target)
    return {"key": key, _kind(about): about, **body(command)}


def path_of(command: Command, target: Target | None) -> str:
    """Return the path to which a command is sent.

    Raises `Invalid` for a command on a claim, a source or a story that doesn't say on which one.
    """
    match command:
        case RegisterClaim():
            return "/claims"
        case RegisterSource():
            return "/sources"
        case OpenStory():
            return "/stories"
        case AdoptPolicy():
            return "/policies"
        case UpdateSource():
            return f"/sources/{quote(command.source, safe='')}/events"
    if target is None:
        raise Invalid(f"{command.verb} is about something that exists: say on what", field="on")
    about = id_of(target)
    return f"/{_COLLECTIONS[_kind(about)]}/{quote(about, safe='')}/events"


def encode_lines(lines: Iterable[Mapping[str, Any]]) -> bytes:
    """Return objects as JSON Lines."""
    return b"".join(msgspec.json.encode(item) + b"\n" for item in lines)


def outcome(answer: Mapping[str, Any]) -> Done | Problem:
    """Return what one line of a batch's answer says."""
    return Done.model_validate(answer["result"]) if answer["ok"] else problem(answer["problem"], key=answer["key"])


def result(answer: Mapping[str, Any]) -> Written | Done:
    """Return the answer to a write: a claim as it now stands, or something else that was done."""
    return Written.model_validate(answer) if "computed" in answer else Done.model_validate(answer)


def problem(document: Mapping[str, Any], *, status: int = 0, key: str = "") -> Problem:
    """Return the exception that a problem document (RFC 9457) stands for, with all its fields.

    One of an unknown type, from a newer server or from something in between, becomes what its status
    says. `key` is that of the command, for a problem that has to name it.
    """
    detail = str(document.get("detail") or document.get("title") or f"the server answered {status}")
    extra = {name: value for name, value in document.items() if name not in _STANDARD}
    cls = PROBLEMS.get(str(document.get("type", "")).rstrip("/").rpartition("/")[2])
    if cls is None:
        cls = _BY_STATUS.get(status) or (Invalid if 400 <= status < 500 else Internal)
    extra = {**_NEEDED.get(cls, {}), **({"key": key} if cls is OutcomeUnknown else {}), **extra}
    return cls(detail, **extra)


def _kind(target: str) -> str:
    return {"sto_": "story", "src_": "source"}.get(target[:4], "claim")
