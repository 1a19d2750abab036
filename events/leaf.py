"""The stored form of an event: the leaf that is hashed, and the two texts that can be erased.

The *leaf* is canonical JSON (RFC 8785 on a restricted domain: ASCII keys, no floats, integers below
2^53), at most 65,535 bytes, stored verbatim and hashed as stored. It holds the fact, the envelope and
one digest per text. The position is not in it: that is the leaf's index in the log, plus one.

A *text* is canonical JSON with a 128-bit salt of its own; its digest is SHA-256 over the canonical
`[salt, slot, value]`. Erasing removes value and salt, so that what was erased can't be guessed from
its digest; the leaf stays as it is.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import secrets
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import inspect

from events.contracts import FACTS, AnyFact, EventId, Fact, Identity, Sha256, Slot, Stream, Time, Wording, type_of
from events.errors import Invalid, TooLarge, UnknownFact

LEAF_LIMIT: Final = 65_535
"""The most bytes a leaf may have (the limit of a C2SP tlog-tiles entry)."""

TEXT_LIMIT: Final = 262_144
"""The most bytes one text may have."""

_encoder = msgspec.json.Encoder(order="sorted")


class Leaf(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """The envelope, the fact and the digests of the two texts: what is hashed."""

    causation: EventId | None = None
    correlation: str | None = None
    fact: AnyFact
    id: EventId
    identity: Sha256
    recorded_at: Time
    stream: Stream
    wording: Sha256


class _Typed(msgspec.Struct):
    """The least of a leaf that names the type of its fact."""

    fact: dict[str, Any]


_leaf_decoder = msgspec.json.Decoder(Leaf)
_wording_decoder = msgspec.json.Decoder(Wording)
_identity_decoder = msgspec.json.Decoder(Identity)
_type_decoder = msgspec.json.Decoder(_Typed)

UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for bytes that it can't decode."""


def canonical(value: Any) -> bytes:
    """Encode a value as canonical JSON (RFC 8785, for ASCII keys and without floats).

    Raises `Invalid` for lone surrogates, which have no UTF-8 form.
    """
    try:
        return _encoder.encode(value)
    except UnicodeEncodeError as error:
        raise Invalid("a text holds a lone surrogate, which is not a character; remove it and send again") from error


def decode_leaf(raw: bytes) -> Leaf:
    """Decode a stored leaf.

    Raises `UnknownFact` for a fact this version doesn't know, and `Invalid` for anything else that is
    not a leaf. Bytes that decode need not be canonical: see `check_form`.
    """
    try:
        return _leaf_decoder.decode(raw)
    except UNREADABLE as error:
        raise _explain(raw, error) from error


def _explain(raw: bytes, error: Exception) -> Invalid | UnknownFact:
    try:
        name = _type_decoder.decode(raw).fact.get("type")
    except UNREADABLE:
        name = None
    if isinstance(name, str) and name not in FACTS:
        return UnknownFact(name)
    return Invalid(f"not a leaf: {error}")


def decode_wording(raw: bytes) -> Wording:
    """Decode a stored wording; raises `Invalid` where it isn't one."""
    try:
        return _wording_decoder.decode(raw)
    except UNREADABLE as error:
        raise Invalid(f"not a wording: {error}") from error


def decode_identity(raw: bytes) -> Identity:
    """Decode a stored identity; raises `Invalid` where it isn't one."""
    try:
        return _identity_decoder.decode(raw)
    except UNREADABLE as error:
        raise Invalid(f"not an identity: {error}") from error


FORMS: Final = {
    "time": re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z", re.ASCII),
    "day": re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII),
    "sha256": re.compile(r"[0-9a-f]{64}"),
    "stream": re.compile(r"log|claim:clm_[a-z2-7]{26}|source:src_[a-z2-7]{26}|story:sto_[a-z2-7]{26}"),
    "id": re.compile(r"(evt|clm|sto|src|org|log)_[a-z2-7]{26}"),
    "language": re.compile(r"[a-zA-Z]{2,3}(-[a-zA-Z0-9]{2,8})*"),
    "media_type": re.compile(r"[\w.+-]+/[\w.+-]+", re.ASCII),
    "correlation": re.compile(r"[A-Za-z0-9_.:-]{1,128}"),
    "local": re.compile(r"[1-9][0-9]{0,9}"),
}
"""The form of each kind of string that is not words."""

# The field's name decides, wherever it stands.
_FORM_OF: Final = {
    **dict.fromkeys(("recorded_at", "earliest", "latest", "valid_from", "valid_to", "fetched_at"), "time"),
    **dict.fromkeys(("wording", "identity", "digest", "root"), "sha256"),
    **dict.fromkeys(
        ("id", "causation", "derived_from", "statement", "merge", "replaces", "adjudication", "link", "to", "into",
         "publication", "story", "same_as", "log", "lineage", "event"),
        "id",
    ),
    **dict.fromkeys(("command", "document"), "sha256"),
    **{name: name for name in ("day", "stream", "language", "media_type", "correlation", "local")},
}  # fmt: skip


def check_form(leaf: Leaf, raw: bytes) -> None:
    """Check what decoding doesn't: that the bytes are canonical and that ids, times and digests have their form.

    For leaves that come from outside: restore and audit. Raises `Invalid`.
    """
    _check_bytes("a leaf", leaf, raw, LEAF_LIMIT)
    _check_strings(leaf)


def check_text(text: Wording | Identity, raw: bytes) -> None:
    """Check of a text what decoding doesn't, as `check_form` does of a leaf. Raises `Invalid`."""
    _check_bytes("a text", text, raw, TEXT_LIMIT)
    _check_strings(text)
    if isinstance(text, Identity):
        _check_strings([*text.documents, *text.origins, *text.parties], "local")
        _check_strings(list(text.documents.values()), "document")


def check_words(fact: Fact, wording: Wording) -> None:
    """Check that a fact carries only words that it may carry. Raises `Invalid`."""
    for name in wording.__struct_fields__:
        if getattr(wording, name) is not None and name not in fact.words:
            raise Invalid(f"a fact of type {type_of(fact)} carries no {name}")


def _check_bytes(what: str, value: Any, raw: bytes, limit: int) -> None:
    if len(raw) > limit:
        raise TooLarge(f"{what} has {len(raw):,} bytes, the limit is {limit:,}")
    # Where these differ, it is compared as plain JSON and not as the class that it decodes to: a field that holds its
    # default may stand in the bytes or be left out, and both are canonical.
    if _encoder.encode(value) != raw and canonical(msgspec.json.decode(raw)) != raw:
        raise Invalid(f"{what} is not canonical JSON (RFC 8785)")


def _check_strings(value: Any, name: str = "") -> None:
    """Check every string in a value that stands, at any depth, in a field of this name or with a name of its own."""
    if (looked_at := _looked_at(value.__class__)) is not None:
        have_form, strings, others = looked_at
        if strings and not have_form(value):
            others = (*strings, *others)
        for field in others:
            inner = getattr(value, field)
            if inner is not None:
                _check_strings(inner, field)
    elif isinstance(value, str):
        if name in _FORM_OF and not FORMS[_FORM_OF[name]].fullmatch(value):
            raise Invalid(f"{name} {value!r} does not have the form of one")
    elif isinstance(value, dict):
        for key, inner in value.items():
            _check_strings(inner, key)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            _check_strings(inner, name)


class _LookedAt(NamedTuple):
    """The fields of a class in which a string with a form may stand: those that hold such a string and never anything
    else, which `have_form` checks at once, and the others."""

    have_form: Callable[[msgspec.Struct], bool]
    strings: tuple[str, ...]
    others: tuple[str, ...]


@functools.cache
def _looked_at(cls: type) -> _LookedAt | None:
    """Return what is looked at in values of a class, `None` for one without fields."""
    if not issubclass(cls, msgspec.Struct):
        return None
    strings, others = [], []
    for field in msgspec.structs.fields(cls):
        kind = inspect.type_info(field.type)
        if field.name in _FORM_OF and isinstance(kind, inspect.StrType):
            strings.append(field.name)
        elif field.name in _FORM_OF or _holds_fields(kind):
            others.append(field.name)
    return _LookedAt(_form_of_all(strings), tuple(strings), tuple(others))


def _form_of_all(names: Sequence[str]) -> Callable[[msgspec.Struct], bool]:
    """Return what says whether the strings in these fields all have their form.

    By one match, because the steps around a match cost more than it does. No form has a line break in it, so what
    matches line by line is these strings and no others.
    """
    pattern = re.compile("\n".join(f"(?:{FORMS[_FORM_OF[name]].pattern})" for name in names), re.ASCII)
    if len(names) < 2:
        return lambda struct: all(pattern.fullmatch(getattr(struct, name)) for name in names)
    values = attrgetter(*names)
    return lambda struct: pattern.fullmatch("\n".join(values(struct))) is not None


def _holds_fields(kind: inspect.Type) -> bool:
    """Say whether values of a type hold fields with names of their own."""
    match kind:
        case inspect.Metadata(type=inner) | inspect.VarTupleType(item_type=inner):
            return _holds_fields(inner)
        case inspect.UnionType(types=inner):
            return any(map(_holds_fields, inner))
        case _:
            return isinstance(kind, (inspect.StructType, inspect.DictType))


def text_digest(salt: bytes, slot: Slot, value: bytes) -> str:
    """Return SHA-256, in hex, over the canonical `[salt, slot, value]`; `value` is canonical already."""
    return hashlib.sha256(b'["%b","%b",%b]' % (salt.hex().encode(), slot.encode(), value)).hexdigest()


_salts: list[bytes] = []
os.register_at_fork(after_in_child=_salts.clear)


def new_salt() -> bytes:
    """Return 128 fresh random bits, from the system's source.

    Drawn many at a time: a system call lets other threads run, and getting the interpreter back costs
    more than the call. A forked child draws its own.
    """
    try:
        return _salts.pop()
    except IndexError:
        drawn = secrets.token_bytes(16 * 256)
        _salts.extend(drawn[at : at + 16] for at in range(16, len(drawn), 16))
        return drawn[:16]


def derive(prefix: str, *parts: str) -> str:
    """Return the id that these parts always give: 128 bits of SHA-256 over their JSON array, in base32."""
    return f"{prefix}_{_base32(hashlib.sha256(canonical(parts)).digest()[:16])}"


def new_id(prefix: str) -> str:
    """Return a random id, for what must not be derivable from a name."""
    return f"{prefix}_{_base32(secrets.token_bytes(16))}"


_ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz234567"
_PAIRS: Final = [first + second for first in _ALPHABET for second in _ALPHABET]


def _base32(digest: bytes) -> str:
    """Encode 16 bytes as 26 letters (RFC 4648, lower case, unpadded), two letters at a time: an id is
    derived many times a command, and the standard library's way costs four times as much."""
    number = int.from_bytes(digest) << 2
    return "".join([_PAIRS[number >> shift & 1023] for shift in range(120, -1, -10)])


def timestamp(moment: datetime) -> str:
    """Return a moment as the log writes it: UTC, microseconds, fixed width."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")[:26] + "Z"


def now() -> str:
    """Return the present moment as the log writes it."""
    return timestamp(datetime.now(UTC))
