"""What a command prints: tables for people, JSON for programs; progress and problems go to stderr.

Whatever came from outside is printed without control characters, so that no claim's text can drive a
terminal. In JSON they are escaped.
"""

from __future__ import annotations

import inspect
import os
import re
import sys
from collections.abc import AsyncIterable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

import msgspec

if TYPE_CHECKING:
    from rich.console import Console

    from verifier.answers import Answer

T = TypeVar("T")
A = TypeVar("A", bound="Answer")

Format = Literal["table", "json", "jsonl"]

Columns = Mapping[str, Callable[[T], object]]
"""The columns of a table: a heading, and what stands under it for one answer."""

SHORT: Final = 6
"""How many characters of an id a table shows: as many as suffice to name it."""

_PROSE: Final = (
    "about", "claim", "from", "look at", "name", "origin", "role", "same source?", "status", "text", "title", "via",
    "who",
)  # fmt: skip
"""The columns whose texts may be broken into lines."""

_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_STYLES: Final = {
    "denied": "red", "disputed": "yellow", "corroborated": "green", "asserted": "cyan", "retracted": "magenta",
}  # fmt: skip


def style_of(status: str) -> str:
    """Return the colour in which a status is shown."""
    return _STYLES.get(status, "")


def console(*, stderr: bool = False) -> Console:
    """Return where to print. With `NO_COLOR`, or where nobody looks, there are no escape sequences."""
    from rich.console import Console

    class Quiet(Console):
        """Tells who called that nobody reads any more, instead of ending the program from within."""

        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    plain = bool(os.environ.get("NO_COLOR"))
    kind = Console if stderr else Quiet
    return kind(stderr=stderr, color_system=None if plain else "auto", highlight=False, markup=False, emoji=False)


def printable(text: object) -> str:
    """Return a text without what a terminal would obey."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", str(text))


def short(id: str | None) -> str:
    """Return the end of an id, by which a command takes it too."""
    return id[-SHORT:] if id else ""


def moment(recorded_at: str | None) -> str:
    """Return a time to the minute, as people read it."""
    return recorded_at[:16].replace("T", " ") if recorded_at else ""


def fields(pairs: Mapping[str, object], *, title: str | None = None) -> None:
    """Print a title, then one line for each field that has a value."""
    out = console()
    if title:
        out.print(printable(title), style=_STYLES.get(title.partition(" ")[0], "") + " bold")
    width = max(map(len, pairs), default=0)
    for name, value in pairs.items():
        if value not in (None, "", (), [], {}):
            _hanging(out, f"{name:<{width}}  ", printable(value))


def _hanging(out: Console, head: str, text: str) -> None:
    from rich.text import Text

    lines = [text]
    if " " in text:  # an id or a hash stays whole, so that it can be copied
        width = max(out.width - len(head), 1)
        lines = [line.plain.rstrip() for line in Text(text).wrap(out, width, overflow="fold")]
    for line in lines:
        out.print(f"{head}{line}", soft_wrap=True)
        head = " " * len(head)


def answer(answer: Answer, format: Format, *, table: Callable[[], None]) -> None:
    """Print one answer."""
    match format:
        case "table":
            table()
        case "json":
            _write(msgspec.json.format(_json(answer), indent=2))
        case "jsonl":
            _write(_json(answer))


async def answers(items: AsyncIterable[A], format: Format, columns: Columns[A], *, empty: str) -> None:
    """Print a list: as one table or one JSON array at the end, or as JSON Lines while it comes."""
    if format == "jsonl":
        async for item in items:
            _write(_json(item))
        return
    everything = [item async for item in items]
    if format == "json":
        _write(msgspec.json.format(b"[" + b",".join(map(_json, everything)) + b"]", indent=2))
    elif everything:
        table(columns, everything)
    else:
        console(stderr=True).print(empty)


def table(columns: Columns[T], items: Sequence[T]) -> None:
    """Print a table that fits the terminal, long texts folded."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for heading in columns:
        grid.add_column(heading, overflow="fold", no_wrap=heading not in _PROSE)
    for item in items:
        cells = [printable(value(item)) for value in columns.values()]
        grid.add_row(*(Text(cell, style=_STYLES.get(cell.partition(" ")[0], "")) for cell in cells))
    console().print(grid)


def line(columns: Columns[T], item: T) -> None:
    """Print one line of a list that doesn't end."""
    console().print("  ".join(printable(value(item)) for value in columns.values()), soft_wrap=True)


def json_line(item: Answer) -> None:
    """Print one answer as a line of JSON."""
    _write(_json(item))


def document(value: Any, format: Format) -> None:
    """Print something that is no answer of the API, as JSON."""
    raw = msgspec.json.encode(value)
    _write(raw if format == "jsonl" else msgspec.json.format(raw, indent=2))


def flowing(text: str) -> str:
    """Return help whose paragraphs are one line each, so that the terminal alone decides where they break."""
    return "\n\n".join(" ".join(part.split()) for part in inspect.cleandoc(text).split("\n\n"))


def counted(count: int, what: str) -> str:
    """Return how many there are of what, in words: 1 event, 2 events."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def tell(text: str) -> None:
    """Print a sentence as the command's answer."""
    console().print(printable(text), soft_wrap=True)


def say(text: str) -> None:
    """Say something to the person at the terminal; a program that reads the output doesn't get it."""
    console(stderr=True).print(printable(text), soft_wrap=True)


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int | None], None]]:
    """Show how far something is, on stderr and only on a terminal."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        console=console(stderr=True), transient=True,
    )  # fmt: skip
    with bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _json(item: Answer) -> bytes:
    return item.model_dump_json().encode()


def _write(raw: bytes) -> None:
    sys.stdout.write(raw.decode() + "\n")
    sys.stdout.flush()
