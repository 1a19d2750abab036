"""What a page is: an address, a template, and the question that gives its data."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from pydantic import TypeAdapter

from verifier import parsing
from verifier.app import Desk
from verifier.parameters import Asked, Params

Data = dict[str, Any]
"""What a page shows, as JSON can carry it: the `.json` twin gives it as it is, the template draws it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page for people. Its `.json` twin stands at `twin` and gives the same data.

    `name` is that of the template and of the entry in the navigation; the data have a `title`. `remembers` is a
    parameter that the browser keeps for the log, and gives back where the address doesn't say it.
    """

    path: str
    name: str
    about: str
    ask: Callable[[Desk, Asked], Awaitable[Data]]
    params: type[Any] = Params
    remembers: str | None = None

    @property
    def twin(self) -> str:
        """Where the data stand: beside the page, or, of the first page, under its name."""
        return f"{self.path.rstrip('/') or f'/{self.name}'}.json"


_ADAPTERS: Final[dict[type[Any], TypeAdapter[Any]]] = {}


def params_of(page: Page, given: dict[str, str]) -> Any:
    """Check what an address says. A field of a form that was left empty says nothing. Raises `Invalid`."""
    adapter = _ADAPTERS.setdefault(page.params, TypeAdapter(page.params))
    return parsing.parse(adapter, {name: value for name, value in given.items() if value})
