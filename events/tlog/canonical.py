"""Canonical JSON (RFC 8785), for values whose one spelling needs no floating-point rules."""

from __future__ import annotations

import json
from typing import Any, Final

from events.tlog.errors import Malformed

MAX_INTEGER: Final = 2**53 - 1
"""The largest integer, of either sign, that every reader of JSON reads as it was written (RFC 7493)."""

MAX_DEPTH: Final = 100
"""How deep lists and objects may stand in one another. A limit of our own, below that of the interpreter."""

_WORDS: Final = {None: b"null", True: b"true", False: b"false"}


def canonical_json(obj: Any) -> bytes:
    """Return the canonical bytes of a value (RFC 8785): no spaces, keys in the order of their UTF-16 units.

    Takes `None`, `bool`, `int` below 2^53 in magnitude, `str`, `list`, `tuple` and `dict` with `str` keys, at
    most 100 deep. Raises `Malformed` for anything else, floats and lone surrogates included: floats because two
    programs may spell them differently, and what is hashed must have one spelling.
    """
    return b"".join(_pieces(obj, MAX_DEPTH))


def _pieces(obj: Any, depth: int) -> list[bytes]:
    kind = type(obj)  # and not isinstance: a subclass may spell itself otherwise
    if obj is None or kind is bool:
        return [_WORDS[obj]]
    if kind is str:
        return [_string(obj)]
    if kind is int:
        return [_integer(obj)]
    if kind not in (list, tuple, dict):
        raise Malformed(f"canonical JSON has no {kind.__name__}: use text, whole numbers, lists and objects")
    if depth == 0:
        raise Malformed(f"lists and objects may stand in one another at most {MAX_DEPTH} deep")
    return _object(obj, depth - 1) if kind is dict else _array(obj, depth - 1)


def _integer(number: int) -> bytes:
    if abs(number) > MAX_INTEGER:
        raise Malformed("an integer must lie between -(2^53 - 1) and 2^53 - 1: write a larger one as a text")
    return b"%d" % number


def _string(text: str) -> bytes:
    try:
        return json.dumps(text, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise Malformed("a text holds a lone surrogate, which is not a character") from error


def _array(items: list[Any] | tuple[Any, ...], depth: int) -> list[bytes]:
    pieces = [b"["]
    for at, item in enumerate(items):
        pieces += [b","] * (at > 0) + _pieces(item, depth)
    return [*pieces, b"]"]


def _object(members: dict[Any, Any], depth: int) -> list[bytes]:
    for key in members:
        if type(key) is not str:
            raise Malformed(f"the keys of an object must be texts, not {type(key).__name__}")
    pieces = [b"{"]
    for at, key in enumerate(sorted(members, key=_units)):
        pieces += [b","] * (at > 0) + [_string(key), b":"] + _pieces(members[key], depth)
    return [*pieces, b"}"]


def _units(key: str) -> bytes:
    """The UTF-16 units of a key, high byte first, so that bytes compare as the units do."""
    return key.encode("utf-16-be", "surrogatepass")
