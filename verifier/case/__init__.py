"""The case that this product is measured by: the withdrawal letter of January 2020.

`withdrawal-letter.txt`   the text from which everything is quoted.
`withdrawal-letter.json`  what a careful editor reads out of it, and how every claim must stand when.
`letter`  maps the editor's ids and words to the product's.
`player`  records it through the client, step by step.
"""

from __future__ import annotations

from verifier.case.letter import Case, Checkpoint, Expected, letter
from verifier.case.player import Step, play

__all__ = ["Case", "Checkpoint", "Expected", "Step", "letter", "play"]
