"""Write the golden vectors: `python -m tests.events.tlog.make_vectors`.

They were written once, by hand and with `independent.py`, in `golden_*.py`; `events.tlog` had no part in it. Write
them again only where a format changes or a case is added, and read the difference: a vector that changes is a promise
that is broken. (The ML-DSA signatures differ each time, because that algorithm draws numbers.)

Bytes are `{"hex": …}` or, where they are a text, `{"utf8": …}`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.events.tlog import golden_notes as notes
from tests.events.tlog import golden_trees as trees
from tests.events.tlog import golden_trust as trust

FOLDER = Path(__file__).parent / "vectors"

FUNCTIONS = (
    trees.leaf_hash, trees.tree_root, trees.verify_inclusion, trees.verify_consistency, trees.tile_path,
    trees.parse_tile_path, trees.entry_bundle, trees.parse_entry_bundle, trees.canonical_json,
    notes.parse_vkey, notes.open_note, notes.open_checkpoint, notes.sign_checkpoint, notes.verify_tlog_proof,
    trust.policy_satisfied, trust.witness,
)  # fmt: skip


def plain(value: Any) -> Any:
    """A value as JSON, with bytes as objects."""
    match value:
        case bytes():
            try:
                return {"utf8": value.decode()} if value.isascii() and b"\0" not in value else {"hex": value.hex()}
            except UnicodeDecodeError:
                return {"hex": value.hex()}
        case list() | tuple():
            return [plain(item) for item in value]
        case dict():
            return {key: plain(item) for key, item in value.items()}
    return value


def write() -> None:
    FOLDER.mkdir(exist_ok=True)
    for function in FUNCTIONS:
        cases = ",\n".join(json.dumps(plain(case)) for case in function())
        (FOLDER / f"{function.__name__}.json").write_text(f"[\n{cases}\n]\n")


if __name__ == "__main__":
    write()
