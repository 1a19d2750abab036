"""How the generated parts of the reference are written: tables, kinds, defaults, and running an example."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterable
from typing import Any, Final, get_args

import msgspec
from pydantic import BaseModel

from events import contracts
from events.contracts import ENUMERATIONS, Occurred

Row = Iterable[str]

REQUIRED: Final = ...
"""What stands for no default."""

_WORDS: Final = {
    alias: name
    for alias, value in vars(contracts).items()
    for name, words in ENUMERATIONS.items()
    if alias[0].isupper() and get_args(value) == words
}


def written_kinds(cls: type) -> dict[str, str]:
    """Return the annotations of a class as they stand in its file, those of its bases first."""
    written: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if base not in (object, BaseModel, msgspec.Struct):
            written |= {name: str(annotation) for name, annotation in inspect.get_annotations(base).items()}
    return written


def kind(annotation: str, *, null: bool = False) -> str:
    """Write a kind of value: without its bounds, with a link where it is a closed list of words. That it may
    be left out says its default; that it may be `null` is said only where asked for."""
    bare = re.sub(r"Annotated\[(\w+), .*?\](?= \||$|, )", r"\1", annotation)
    optional = bare.endswith(" | None")
    bare = bare.removesuffix(" | None")
    written = f"[`{bare}`](enumerations.md#{_WORDS[bare].replace(' ', '-')})" if bare in _WORDS else f"`{bare}`"
    return f"{written} or null" if optional and null else written


def default(value: object) -> str:
    """Write a default."""
    match value:
        case _ if value is REQUIRED or value is inspect.Parameter.empty:
            return "required"
        case None:
            return "left out"
        case bool():
            return str(value).lower()
        case () | [] | {}:
            return "none"
        case tuple():
            return ", ".join(f"`{item}`" for item in value)
        case Occurred():
            return "when recorded"
        case _:
            return f"`{value}`"


def doc(thing: Any) -> str:
    """Write a docstring as a paragraph."""
    return inspect.cleandoc(thing.__doc__ or "").replace("<", "&lt;")


def table(head: Row, rows: Iterable[Row]) -> str:
    """Write a table."""
    cells = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    if not cells:
        return "It takes nothing."
    head = list(head)
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *cells))


def code(language: str, text: str) -> str:
    """Write a block of code."""
    return f"```{language}\n{textwrap.dedent(text).rstrip()}\n```"


def spaced(parts: Iterable[str]) -> list[str]:
    """Put an empty line after each part."""
    return [f"{part.rstrip()}\n" for part in parts]


def names_ids(text: str) -> str:
    """Replace what changes from run to run: ids, keys, what is made from them, and the times at which we record."""
    text = re.sub(r"\b(clm|evt|src|org|sto|log)_[a-z2-7]{26}\b", r"\1_…", text)
    text = re.sub(r'("(?:state_digest|wording|identity|command|key|root|\w+_salt)": )"[0-9a-f]{32,64}"', r'\1"…"', text)
    text = re.sub(r'("index": )\d+', r"\1…", text)  # by the order of ids
    text = re.sub(r"\+[0-9a-f]{8}\+[A-Za-z0-9+/]{44}", "+…", text)  # a vkey
    text = re.sub(r"(\\n)?[A-Za-z0-9+/]{43,}=", r"\1…", text)  # base64, also after the end of a line
    return re.sub(r'("(?:recorded_at|made_at|until|next|request)": )"[^"]*"', r'\1"…"', text)


async def run_await(source: str, names: dict[str, Any]) -> None:
    """Run code that may await at its top level."""
    coroutine = eval(compile(source, "an example", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)
    if coroutine is not None:
        await coroutine
