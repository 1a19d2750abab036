"""The book of meaning: what the facts say about a claim, and how people ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from verifier.client import Verifier

__all__ = ["Verifier", "__version__"]

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """Import the client when it is first asked for: whoever needs one part of this package loads no other."""
    if name == "Verifier":
        from verifier.client import Verifier

        return Verifier
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
