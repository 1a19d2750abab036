"""Strict readers of the small forms that all these formats share: bytes, counts, hashes, base64, lines.

Every function of the package checks what it is given with these first, also its Python type, so that
nothing but a `TlogError` can come out of it.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from typing import Any, Final

from events.tlog.errors import Malformed

MAX_SIZE: Final = 2**63 - 1
"""The largest size of a tree. The formats name no limit; the common implementations keep sizes in 64 bits with a
sign, and C2SP tlog-witness, with at most 63 hashes in a proof, means about as much."""

_DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,18}")


def octets(raw: object, what: str) -> bytes:
    """Return bytes as they are, and a text as its UTF-8. Raises `Malformed` for anything else."""
    if isinstance(raw, bytes):
        return raw
    if isinstance(raw, str):
        try:
            return raw.encode()
        except UnicodeEncodeError as error:
            raise Malformed(f"{what} holds a lone surrogate, which is not a character") from error
    raise Malformed(f"{what} must be bytes, not {type(raw).__name__}")


def text_of(raw: object, what: str) -> str:
    """Return the text that these bytes are in UTF-8. Raises `Malformed` where they are not."""
    try:
        return octets(raw, what).decode()
    except UnicodeDecodeError as error:
        raise Malformed(f"{what} is not UTF-8 at byte {error.start}") from error


def is_line(text: str) -> bool:
    """Say whether a text holds no control character of ASCII, a newline among them, and can be written in UTF-8."""
    return not any(character < " " or "\ud800" <= character <= "\udfff" for character in text)


def count(value: object, what: str) -> int:
    """Return an integer from 0 to `MAX_SIZE`. Raises `Malformed` for anything else, `True` and `1.0` included."""
    if type(value) is not int:
        raise Malformed(f"{what} must be an integer, not {type(value).__name__}")
    if not 0 <= value <= MAX_SIZE:
        raise Malformed(f"{what} must lie between 0 and 2^63 - 1")
    return value


def decimal(digits: str, what: str) -> int:
    """Read an ASCII decimal without leading zeroes, up to `MAX_SIZE`. Raises `Malformed`."""
    if not _DECIMAL.fullmatch(digits):
        raise Malformed(f"{what} must be a decimal without leading zeroes, not {digits[:30]!r}")
    return count(int(digits), what)


def digest(value: object, what: str) -> bytes:
    """Return the 32 bytes of a SHA-256 hash. Raises `Malformed` for anything else."""
    if not isinstance(value, bytes) or len(value) != 32:
        raise Malformed(f"{what} must be the 32 bytes of a SHA-256 hash")
    return value


def unbase64(text: str, what: str) -> bytes:
    """Read standard base64 (RFC 4648, section 4) in its one canonical form: padded, no spaces, unused bits zero.

    Raises `Malformed`: two spellings of one value would let a note be changed without being noticed.
    """
    try:
        value = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Malformed(f"{what} is not base64: {text[:60]!r}") from error
    if tobase64(value) != text:
        raise Malformed(f"{what} is not in the canonical form of base64: {text[:60]!r}")
    return value


def tobase64(value: bytes) -> str:
    """Return standard base64, padded."""
    return base64.b64encode(value).decode()


def unbase64_hash(text: str, what: str) -> bytes:
    """Read one SHA-256 hash in base64. Raises `Malformed`."""
    return digest(unbase64(text, what), what)


def listed(values: object, what: str) -> list[Any]:
    """Return the members of a list, tuple or set. Raises `Malformed` for anything else, a single text included."""
    if not isinstance(values, (list, tuple, set, frozenset)):
        raise Malformed(f"{what} must be a list, not {type(values).__name__}")
    return list(values)


def digests(values: object, what: str) -> list[bytes]:
    """Return a list of SHA-256 hashes. Raises `Malformed` for anything else."""
    return [digest(value, f"each of {what}") for value in listed(values, what)]


def iterated(values: object, what: str) -> Iterable[Any]:
    """Return what can be iterated and is not itself bytes or a text. Raises `Malformed` for anything else."""
    if isinstance(values, (bytes, str)) or not isinstance(values, Iterable):
        raise Malformed(f"{what} must be a list, not {type(values).__name__}")
    return values
