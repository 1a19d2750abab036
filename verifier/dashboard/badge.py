"""The badge of a claim: a small picture of its status with the label, to be put into a page elsewhere.

It is asked for each time, so that it never shows what no longer stands, and may be embedded anywhere.
"""

from __future__ import annotations

from typing import Final

from verifier.app import Desk
from verifier.dashboard.page import Data
from verifier.parameters import Asked

PATH: Final = "/claims/{id}/badge.svg"
"""Where the badge of a claim stands."""

LONGEST: Final = 80
"""How many characters of a label are shown; all of it stands in the title of the picture."""


async def badge(desk: Desk, asked: Asked) -> Data:
    """Return what a badge says: status, label, and as of which position."""
    answer = await desk.queries.claim(asked.ids["id"], **asked.at_least)
    label = answer["texts"]["label"]
    return {
        "status": answer["computed"]["status"],
        "label": label,
        "shown": label if len(label) <= LONGEST else f"{label[: LONGEST - 1]}…",
        "text": answer["texts"]["text"],
        "position": answer["basis"]["position"],
        "recorded_at": answer["basis"]["recorded_at"],
    }
