"""The table of all pages."""

from __future__ import annotations

from typing import Final

from verifier.dashboard import audit, claim, desk, enter, live, search, source, story

PAGES: Final = (
    desk.PAGE, enter.PAGE, live.PAGE, story.STORIES, source.SOURCES, search.PAGE, audit.PAGE,
    claim.PAGE, story.PAGE, source.PAGE,
)  # fmt: skip
"""Every page; those without an id are the navigation, in this order."""

NAVIGATION: Final = tuple(page for page in PAGES if "{" not in page.path)
"""The pages that stand at the head of every page."""
