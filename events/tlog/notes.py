"""Signed notes: a text, a blank line, and the lines of its signatures (C2SP signed-note)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from events.tlog.errors import Malformed, Unsatisfied
from events.tlog.keys import VerifierKey, check_signature, is_key_name, parse_private_key, parse_vkey
from events.tlog.reading import is_line, listed, octets, text_of, tobase64, unbase64

MAX_NOTE: Final = 1_000_000
"""The most bytes of a note. The specification asks for a limit; this is that of the format's first implementation,
Go's `sumdb/note`."""

MAX_SIGNATURES: Final = 100
"""The most signatures of a note, by the same measure; the specification asks for at least 16."""

_DASH: Final = "\u2014 "


class Signature(NamedTuple):
    """A line of a note, not verified: whose key it names, and the signature."""

    name: str
    id: bytes
    signature: bytes

    def __str__(self) -> str:
        """Write it as a line."""
        return f"{_DASH}{self.name} {tobase64(self.id + self.signature)}\n"


def split_note(raw: bytes) -> tuple[str, list[Signature]]:
    """Take a note apart without verifying anything: its text, with the last newline, and its signatures.

    Raises `Malformed` for anything that is not a note, malformed signatures of others included.
    """
    note = _note_text(octets(raw, "a note"))
    at = note.rfind("\n\n")
    if at < 0:
        raise Malformed("a note has a blank line between its text and its signatures")
    text, lines = note[: at + 1], note[at + 2 :].split("\n")
    if lines.pop() != "":
        raise Malformed("a note ends in a newline")
    if not 1 <= len(lines) <= MAX_SIGNATURES:
        raise Malformed(f"a note has from 1 to {MAX_SIGNATURES} signatures")
    return text, [_signature(line) for line in lines]


def _note_text(octets_: bytes) -> str:
    if len(octets_) > MAX_NOTE:
        raise Malformed(f"a note has at most {MAX_NOTE:,} bytes")
    note = text_of(octets_, "a note")
    if not all(map(is_line, note.split("\n"))):
        raise Malformed("a note holds a control character")
    return note


def _signature(line: str) -> Signature:
    parts = line.removeprefix(_DASH).split(" ")
    if not line.startswith(_DASH) or len(parts) != 2 or not is_key_name(parts[0]):
        raise Malformed(f"not a signature line, which is a dash, a name and base64: {line[:80]!r}")
    signed = unbase64(parts[1], "a signature")
    if len(signed) < 5:
        raise Malformed("a signature is too short to name a key and hold anything")
    return Signature(parts[0], signed[:4], signed[4:])


def open_note(raw: bytes, vkeys: Sequence[str]) -> tuple[str, list[str]]:
    """Verify a note: return its text and those of the vkeys whose signatures hold, in the order of the vkeys.

    Signatures by other keys are ignored, as the specification says. Raises `Malformed` for what is not a note or
    not a vkey and for a key given twice; `Unverified` where any signature by one of the keys does not hold;
    `Unsatisfied` where none of the keys has signed.
    """
    keys = known_keys(vkeys)
    text, signatures = split_note(raw)
    verified = verified_keys(text, signatures, keys)
    if not verified:
        raise Unsatisfied("none of the known keys has signed this note")
    return text, [str(key) for key in verified]


def known_keys(vkeys: Sequence[str]) -> list[VerifierKey]:
    """Read vkeys of which no two share both name and id. Raises `Malformed`, and `Unsupported` as `parse_vkey`."""
    keys = [parse_vkey(vkey) for vkey in listed(vkeys, "the vkeys")]
    if len({(key.name, key.id) for key in keys}) != len(keys):
        raise Malformed("a key is given twice")
    return keys


def verified_keys(text: str, signatures: list[Signature], keys: list[VerifierKey]) -> list[VerifierKey]:
    """Return which of the keys have signed the text. Raises `Unverified` where one of their signatures does not
    hold: a note that was changed must not pass on the strength of what else stands on it."""
    by_id = {(key.name, key.id): key for key in keys}
    signed = set()
    for name, key_id, signature in signatures:
        if key := by_id.get((name, key_id)):
            check_signature(key, text, signature)
            signed.add(key)
    return [key for key in keys if key in signed]


def sign_note(text: str, private_keys: Sequence[str]) -> bytes:
    """Return the note of this text, signed by each of the keys. Deterministic.

    Raises `Malformed` for a text that can't be a note's, for keys that are none, of a witness, or given twice.
    """
    keys = [parse_private_key(private_key) for private_key in listed(private_keys, "the private keys")]
    known_keys([str(key.verifier) for key in keys])
    if not isinstance(text, str) or not text.endswith("\n"):
        raise Malformed("the text of a note ends in a newline")
    lines = [str(Signature(key.verifier.name, key.verifier.id, key.sign(text))) for key in keys]
    note = octets(f"{text}\n{''.join(lines)}", "a note")
    split_note(note)
    return note
