"""Data to HTML: the templates, and what they can say that plain Jinja can't.

Everything is escaped. Texts from outside are isolated by `<bdi dir="auto">`, and in our own sentences, where such
texts stand among ours, the characters that turn the direction of writing are left out.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Any, Final
from urllib.parse import quote, urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined

from verifier.dashboard.done import Done
from verifier.dashboard.page import Data, Page
from verifier.dashboard.statics import statics

STATUSES: Final = (
    "unassessed", "asserted", "corroborated", "disputed", "denied", "retracted", "withdrawn", "merged", "split",
)  # fmt: skip
"""Every status, in the order of the tiles."""

LISTED: Final = 300
"""How many characters of a text stand in a list."""

_TURNS: Final = dict.fromkeys((*range(0x202A, 0x202F), *range(0x2066, 0x206A)))


def draw(
    template: str,
    data: Data,
    *,
    page: Page | None = None,
    json: str | None = None,
    done: Done | None = None,
    kind: str = "html",
) -> str:
    """Draw data with a template. `json` is the address of the same data as JSON, `done` what was recorded just now."""
    return _environment().get_template(f"{template}.{kind}").render(data, page=page, json=json, done=done)


@cache
def _environment() -> Environment:
    from verifier.dashboard.forms import beside, on
    from verifier.dashboard.pages import NAVIGATION  # here, because the table's modules may draw

    environment = Environment(
        loader=PackageLoader("verifier.dashboard"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters |= {
        "sentence": sentence,
        "moment": moment,
        "short": short,
        "said": said,
        "segment": segment,
        "query": query,
        "bytes": size,
        "words": words,
    }
    environment.globals |= {
        "navigation": NAVIGATION,
        "static": {name: file.path for name, file in statics().items()},
        "statuses": STATUSES,
        "forms_on": on,
        "forms_beside": beside,
    }
    return environment


def sentence(text: str) -> str:
    """Return a sentence of ours without what would turn the direction of what stands after a name in it."""
    return text.translate(_TURNS)


def moment(written: str) -> str:
    """Return a recorded time as people read it, in UTC."""
    at = datetime.fromisoformat(written).astimezone(UTC)
    return f"{at.day} {at:%B %Y, %H:%M} UTC"


def said(occurred: Data | None) -> tuple[str, str | None]:
    """Return when something was said, as people read it, and, where that is one moment, the moment; all in UTC."""
    occurred = occurred or {}
    earliest, latest = occurred.get("earliest"), occurred.get("latest")
    precision = occurred.get("precision", "instant")
    if precision == "unknown":
        return "at an unknown time", None
    if earliest is None or latest is None:
        return "when it was recorded", None
    if precision == "instant":
        return moment(earliest), earliest
    first, last = (datetime.fromisoformat(bound).astimezone(UTC) for bound in (earliest, latest))
    days = [f"{day.day} {day:%B %Y}" for day in (first, last)]
    return days[0] if days[0] == days[1] else f"between {days[0]} and {days[1]}", None


def short(text: str, most: int = LISTED) -> str:
    """Return a text as lists show it: all of it stands on its own page."""
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"


def words(name: str) -> str:
    """Return a word of the log, such as `on_record` or `claim.denied`, as people write it."""
    return name.replace("_", " ").replace(".", " ")


def size(count: int) -> str:
    """Return a number of bytes as people read it."""
    if count < 1_000:
        return f"{count} bytes"
    return f"{count / 1e3:.0f} kB" if count < 1e6 else f"{count / 1e6:.1f} MB"


def segment(text: str) -> str:
    """Return a text as one segment of an address."""
    return quote(text, safe="")


def query(given: dict[str, Any], **more: Any) -> str:
    """Return parameters as the end of an address, with `more` in place of those of the same name; `None` says
    nothing."""
    said = {name: value for name, value in {**given, **more}.items() if value not in (None, "")}
    return f"?{urlencode(said)}" if said else "?"
