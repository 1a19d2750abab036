"""The table of all pages."""

from __future__ import annotations

from typing import Final

from verifier.dashboard import claim, live

PAGES: Final = (live.PAGE, claim.PAGE)
"""Every page, in the order of the navigation."""

NAVIGATION: Final = tuple(page for page in PAGES if "{" not in page.path)
"""The pages that stand at the head of every page."""
