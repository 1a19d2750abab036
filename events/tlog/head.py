"""The text of a checkpoint: which log, how many entries, which root (C2SP tlog-checkpoint)."""

from __future__ import annotations

from typing import NamedTuple

from events.tlog.errors import Malformed
from events.tlog.reading import count, decimal, digest, is_line, text_of, tobase64, unbase64_hash


class Head(NamedTuple):
    """The head of a log's tree, as the text of a checkpoint says it. Not signed by itself."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()


def parse_head(text: str) -> Head:
    """Read the text of a checkpoint: origin, size and root, then any extension lines, none of them empty.

    Raises `Malformed`.
    """
    lines = text_of(text, "the text of a checkpoint").split("\n")
    if len(lines) < 4 or lines.pop() != "":
        raise Malformed("the text of a checkpoint is at least three lines: origin, size, root")
    if not all(lines):
        raise Malformed("a line of a checkpoint is empty")
    if not all(map(is_line, lines)):
        raise Malformed("a checkpoint holds a control character")
    origin, size, root, *extensions = lines
    return Head(
        origin, decimal(size, "the size in a checkpoint"), unbase64_hash(root, "the root in a checkpoint"),
        tuple(extensions),
    )  # fmt: skip


def format_head(origin: str, size: int, root: bytes) -> str:
    """Return the text of a checkpoint without extension lines. Raises `Malformed` for what can't stand in one."""
    if not isinstance(origin, str) or not origin or not is_line(origin):
        raise Malformed("an origin is a text in one line, without control characters")
    number, hashed = count(size, "the size"), digest(root, "the root")
    return f"{origin}\n{number}\n{tobase64(hashed)}\n"
