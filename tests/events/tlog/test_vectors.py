"""Golden vectors: what each function of `events.tlog` accepts, what it gives, and what it refuses with which error.

The files can be run against any implementation; `make_vectors.py` says what they hold.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from events import tlog
from tests.events.tlog.remembering import Remembering

FILES = sorted((Path(__file__).parent / "vectors").glob("*.json"))


def cases(refused: bool) -> list[Any]:
    return [
        pytest.param(file.stem, case, id=f"{file.stem}: {case['name']}")
        for file in FILES
        for case in json.loads(file.read_text())
        if ("refused" in case) == refused
    ]


def value(written: Any) -> Any:
    """A value out of a file, with its bytes."""
    match written:
        case {"hex": str(digits), **rest} if not rest:
            return bytes.fromhex(digits)
        case {"utf8": str(text), **rest} if not rest:
            return text.encode()
        case dict():
            return {key: value(inner) for key, inner in written.items()}
        case list():
            return [value(inner) for inner in written]
    return written


def shown(result: Any) -> Any:
    """A result as the files hold it: a record as an object, and any sequence as a list."""
    if dataclasses.is_dataclass(result) and not isinstance(result, type):
        return {field.name: getattr(result, field.name) for field in dataclasses.fields(result)}
    if isinstance(result, tuple):
        return [shown(item) for item in result]
    return result


def witness(last: list[Any], body: Any) -> Any:
    """Ask a witness that has this behind it; also give what it has then. The reason it gives is not compared."""
    size, root = last
    memory = Remembering((size, root))
    status, kind, answer = tlog.witness(memory)(body)
    said = None if kind.startswith("text/plain") and status != 200 else answer.decode()
    [head] = memory.heads.values()
    return status, kind, said, head


def function(name: str) -> Any:
    return witness if name == "witness" else getattr(tlog, name)


@pytest.mark.parametrize(("name", "case"), cases(refused=False))
def test_what_is_well_formed_and_true_is_accepted(name: str, case: dict[str, Any]) -> None:
    assert shown(function(name)(*value(case["given"]))) == value(case["gives"])


@pytest.mark.parametrize(("name", "case"), cases(refused=True))
def test_everything_else_is_refused_with_the_documented_error(name: str, case: dict[str, Any]) -> None:
    with pytest.raises(tlog.TlogError) as caught:
        function(name)(*value(case["given"]))

    assert type(caught.value).__name__ == case["refused"]
    assert str(caught.value)


def test_every_function_of_the_issue_has_vectors_of_both_kinds() -> None:
    for name in (
        "leaf_hash", "tree_root", "verify_inclusion", "verify_consistency", "parse_vkey", "open_note",
        "open_checkpoint", "sign_checkpoint", "tile_path", "parse_tile_path", "verify_tlog_proof",
        "policy_satisfied", "canonical_json",
    ):  # fmt: skip
        kinds = {"refused" in case for case in json.loads((FILES[0].parent / f"{name}.json").read_text())}
        assert kinds == {True, False}, name
