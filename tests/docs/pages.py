"""The pages as the tests see them: blocks of code with the output below them, headings, links, regions.

A block of output is a ```text block right after a block of code. In it `…` stands for whatever changes
from run to run. A block of code after `<!-- not run: reason -->` is shown and not run; one after
`<!-- file: name -->` is the content of that file.

A *region* stands between `<!-- generated: name -->` and `<!-- /generated -->`, and is written by
`reference.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
DOCS: Final = ROOT / "docs"

_FENCE: Final = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NOT_RUN: Final = re.compile(r"<!-- not run: .+ -->\n\Z")
_FILE: Final = re.compile(r"<!-- file: (.+) -->\n\Z")
_HEADING: Final = re.compile(r"^(#{1,6}) (.+)$", re.MULTILINE)
_LINK: Final = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_REGION: Final = re.compile(r"(<!-- generated: (.+?) -->\n)(.*?)(<!-- /generated -->)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A block of code, and the output that stands below it, if any does."""

    language: str
    text: str
    line: int
    output: str | None
    run: bool
    file: str | None


def all_pages() -> list[Path]:
    """Return every page, the README first."""
    return [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]


def blocks(page: Path) -> list[Block]:
    """Return the blocks of code that were written by hand, in order."""
    text = _REGION.sub(lambda match: "\n" * match[0].count("\n"), page.read_text())
    found = list(_FENCE.finditer(text))
    result = []
    for index, match in enumerate(found):
        below = found[index + 1] if index + 1 < len(found) else None
        is_output = below is not None and below[1] == "text" and not text[match.end() : below.start()].strip()
        line_before = text.rfind("\n", 0, max(match.start() - 1, 0)) + 1
        note = text[line_before : match.start()]
        file = _FILE.search(note)
        result.append(
            Block(
                language=match[1],
                text=match[2],
                line=text.count("\n", 0, match.start()) + 1,
                output=below[2] if is_output and below else None,
                run=_NOT_RUN.search(note) is None,
                file=file[1] if file else None,
            )
        )
    return result


def without_blocks(text: str) -> str:
    """Return a page's prose."""
    return _FENCE.sub("", text)


def headings(page: Path) -> list[str]:
    """Return the headings of a page, without the backticks around names."""
    return [match[2].replace("`", "") for match in _HEADING.finditer(without_blocks(page.read_text()))]


def section(page: Path, heading: str) -> str:
    """Return what stands between a heading and the next one of its level or above; '' where it isn't there."""
    text = page.read_text()
    marks = list(_HEADING.finditer(text))
    for index, mark in enumerate(marks):
        if mark[2].replace("`", "") == heading:
            ends = [later.start() for later in marks[index + 1 :] if len(later[1]) <= len(mark[1])]
            return text[mark.end() : ends[0] if ends else len(text)]
    return ""


def anchor(heading: str) -> str:
    """Return what a link to a heading names: lower case, hyphens for spaces, nothing but letters and digits."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def links(page: Path) -> list[str]:
    """Return the targets of a page's links."""
    return _LINK.findall(without_blocks(page.read_text()))


def regions(text: str) -> Iterator[tuple[str, str]]:
    """Yield the name and the content of every region."""
    for match in _REGION.finditer(text):
        yield match[2], match[3]


def with_regions(text: str, write: Callable[[str], str]) -> str:
    """Return a page with every region written anew."""
    return _REGION.sub(lambda match: f"{match[1]}{write(match[2])}{match[4]}", text)


def matches(expected: str, actual: str) -> bool:
    """Say whether a run printed what the page shows."""
    pattern = ".+?".join(re.escape(part) for part in expected.rstrip().split("…"))
    return re.fullmatch(pattern, actual.rstrip(), re.DOTALL) is not None
