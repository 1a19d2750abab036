"""Fills in the forms of the dashboard as a browser does: what a page offers is sent back with what was typed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

import httpx

Values = dict[str, list[str]]


@dataclass
class Drawn:
    """A form as a page has it: where it is sent to, what would be sent as it is, and what can be chosen."""

    action: str = ""
    values: Values = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    choices: dict[str, list[str]] = field(default_factory=dict)
    multipart: bool = False


class Forms(HTMLParser):
    """The forms of a page that are posted, and the words of the page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.forms: list[Drawn] = []
        self.words: list[str] = []
        self._form: Drawn | None = None
        self._area = self._select = ""
        self.feed(html)

    @property
    def text(self) -> str:
        """What the page says."""
        return " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._form = Drawn(action=given.get("action", ""), multipart="multipart" in given.get("enctype", ""))
            if given.get("method") == "post":
                self.forms.append(self._form)
            return
        if self._form is None:
            return
        name = given.get("name", "")
        if tag in ("input", "textarea", "select"):
            self._form.names.add(name)
        if tag == "textarea":
            self._area = name
            self._form.values[name] = [""]
        elif tag == "select":
            self._select = name
        elif tag == "option" and self._select:
            self._form.choices.setdefault(self._select, []).append(given["value"])
            if "selected" in given or self._select not in self._form.values:
                self._form.values[self._select] = [given["value"]]
        elif tag == "input" and given.get("type") == "checkbox":
            self._form.choices.setdefault(name, []).append(given["value"])
            if "checked" in given:
                self._form.values.setdefault(name, []).append(given["value"])
        elif tag == "input" and given.get("type") != "file" and name:
            self._form.values[name] = [given.get("value", "")]

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        elif tag == "textarea":
            value = self._form.values[self._area][0] if self._form else ""
            if self._form and value.startswith("\n"):  # as a browser does
                self._form.values[self._area] = [value[1:]]
            self._area = ""
        elif tag == "select":
            self._select = ""

    def handle_data(self, data: str) -> None:
        if self._area and self._form:
            self._form.values[self._area][0] += data
        else:
            self.words.append(data)


async def drawn(browser: httpx.AsyncClient, path: str, at: int = 0) -> Drawn:
    """Open a page and return one of its forms."""
    response = await browser.get(path)
    assert response.status_code == 200, response.text
    return Forms(response.text).forms[at]


async def send(
    browser: httpx.AsyncClient, form: Drawn, typed: Mapping[str, str | Sequence[str]] | None = None, **more: Any
) -> httpx.Response:
    """Send a form with what was typed into it. What it doesn't offer can't be typed."""
    values = dict(form.values)
    for name, value in (typed or {}).items():
        assert name in form.names, (name, form.names)
        values[name] = [value] if isinstance(value, str) else list(value)
    sent = {name: [one.replace("\n", "\r\n") for one in value] for name, value in values.items()}
    origin = str(browser.base_url).rstrip("/")
    return await browser.post(form.action, data=sent, headers={"origin": origin, **more.pop("headers", {})}, **more)


async def fill(
    browser: httpx.AsyncClient, path: str, typed: Mapping[str, str | Sequence[str]] | None = None, **more: Any
) -> httpx.Response:
    """Open a form, fill it in and send it."""
    return await send(browser, await drawn(browser, path), typed, **more)
