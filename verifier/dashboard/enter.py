"""*Enter*: where something new begins, by one form each."""

from __future__ import annotations

from typing import Final

from verifier.app import Desk
from verifier.dashboard.forms import FORMS
from verifier.dashboard.page import Data, Page
from verifier.parameters import Asked


async def enter(desk: Desk, asked: Asked) -> Data:
    """Return the forms with which something new begins."""
    begin = [form for form in FORMS if "{" not in form.path]
    return {
        "title": "Enter",
        "forms": [{"path": form.path, "title": form.title, "about": form.about, "type": form.type} for form in begin],
    }


PAGE: Final = Page(path="/enter", name="enter", about="Record something new.", ask=enter)
