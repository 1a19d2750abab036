"""Keys that sign notes, and how they are written (C2SP signed-note, tlog-cosignature).

A *vkey* is `name+id+base64`: the name, the first four bytes of a hash over name, type and public key in hex, and
one byte for the type with the public key. A private key is written alike after `PRIVATE+KEY+`, with the seed in
place of the public key.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, NamedTuple

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from events.tlog.errors import Malformed, Unsupported, Unverified
from events.tlog.head import parse_head
from events.tlog.reading import MAX_SIZE, count, is_line, octets, text_of, tobase64, unbase64

mldsa: Any
try:
    from cryptography.hazmat.primitives.asymmetric import mldsa
except ImportError:  # it came with version 47
    mldsa = None

ED25519: Final = 0x01
"""Ed25519 over the text of a note: how a log signs (C2SP signed-note)."""

COSIGNATURE: Final = 0x04
"""Ed25519 over the time and the text of a checkpoint: how a witness signs (C2SP tlog-cosignature)."""

MLDSA_COSIGNATURE: Final = 0x06
"""ML-DSA-44 over time, cosigner, origin, size and root of a checkpoint: how a log or a witness signs where that must
also hold against quantum computers (C2SP tlog-cosignature)."""

COSIGNATURES: Final = (COSIGNATURE, MLDSA_COSIGNATURE)
"""The types that say when they were made."""

_PUBLIC_LENGTH: Final = {ED25519: 32, COSIGNATURE: 32, MLDSA_COSIGNATURE: 1312}
_SIGNATURE_LENGTH: Final = {ED25519: 64, COSIGNATURE: 8 + 64, MLDSA_COSIGNATURE: 8 + 2420}
_ID: Final = re.compile(r"[0-9a-f]{8}")
_PRIVATE: Final = "PRIVATE+KEY+"


class VerifierKey(NamedTuple):
    """A public key that signs notes: `id` has 4 bytes, and with the name it says which key signed."""

    name: str
    id: bytes
    type: int
    public: bytes

    def __str__(self) -> str:
        """Write it as a vkey."""
        return f"{self.name}+{self.id.hex()}+{tobase64(bytes([self.type]) + self.public)}"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key that signs notes. Its seed is not shown."""

    verifier: VerifierKey
    _signer: Any

    def sign(self, text: str, timestamp: int | None = None) -> bytes:
        """Return the bytes of a signature over the text of a note; a cosignature takes the time in seconds since
        1970. Raises `Malformed` for a text or a time that this type of key doesn't sign."""
        if (timestamp is None) != (self.verifier.type == ED25519):
            raise Malformed("a cosignature says when it was made, and a plain signature does not")
        stamp = b"" if timestamp is None else count(timestamp, "the time of a cosignature").to_bytes(8)
        signature: bytes = self._signer.sign(_message(self.verifier, text, stamp))
        return stamp + signature


def is_key_name(name: object) -> bool:
    """Say whether this may be the name of a key: a text, not empty, without spaces, `+` and control characters."""
    return isinstance(name, str) and name != "" and is_line(name) and not any(map(_separates, name))


def _separates(character: str) -> bool:
    return character.isspace() or character == "+"


def parse_vkey(vkey: str) -> VerifierKey:
    """Read a vkey (C2SP signed-note): its name, id, type and public key.

    Knows the types 0x01, 0x04 and 0x06. The id must be the one that name, type and public key give. Raises
    `Malformed`, and `Unsupported` for ML-DSA-44 where `cryptography` does not have it.
    """
    name, key_id, (kind, public) = _fields(text_of(vkey, "a vkey"), "a vkey")
    if len(public) != _PUBLIC_LENGTH[kind]:
        raise Malformed(f"a public key of type 0x{kind:02x} has {_PUBLIC_LENGTH[kind]} bytes, not {len(public)}")
    key = _key(name, kind, public)
    if key.id != key_id:
        raise Malformed(f"the id in the vkey of {name} is not that of its key: it was mistyped, or is another key")
    _public(key)
    return key


def parse_private_key(private_key: str) -> SigningKey:
    """Read a private key in the form that `new_key` writes. Its id must fit, as that of a vkey.

    Raises `Malformed`, never with any of the key in the message, and `Unsupported` as `parse_vkey` does.
    """
    written = text_of(private_key, "a private key")
    if not written.startswith(_PRIVATE):
        raise Malformed(f"a private key begins with {_PRIVATE}")
    name, key_id, (kind, seed) = _fields(written.removeprefix(_PRIVATE), "a private key")
    key = signing_key(name, kind, seed)
    if key.verifier.id != key_id:
        raise Malformed(f"the id in the private key of {name} is not that of its key: it was mistyped")
    return key


def new_key(name: str, kind: int = ED25519) -> str:
    """Return a fresh private key, `PRIVATE+KEY+name+id+base64`: for a log, or of a cosignature's type for a witness.

    The one function here that gives another answer each time. Raises `Malformed` for what can't be a key's name or
    type, and `Unsupported` as `parse_vkey` does.
    """
    seed = secrets.token_bytes(32)
    verifier = signing_key(name, kind, seed).verifier
    return f"{_PRIVATE}{verifier.name}+{verifier.id.hex()}+{tobase64(bytes([kind]) + seed)}"


def vkey_of(private_key: str) -> str:
    """Return the vkey of a private key. Raises as `parse_private_key` does."""
    return str(parse_private_key(private_key).verifier)


def signing_key(name: str, kind: int, seed: bytes) -> SigningKey:
    """Return the key of this name and type that a seed of 32 bytes gives. Raises `Malformed`, `Unsupported`."""
    if not isinstance(seed, bytes) or len(seed) != 32:
        raise Malformed("a seed has 32 bytes")
    if type(kind) is not int or kind not in _PUBLIC_LENGTH:
        raise Malformed("the type of a key is 0x01, 0x04 or 0x06")
    if kind == MLDSA_COSIGNATURE:
        signer = _mldsa("MLDSA44PrivateKey", "from_seed_bytes", seed)
    else:
        signer = Ed25519PrivateKey.from_private_bytes(seed)
    return SigningKey(_key(name, kind, signer.public_key().public_bytes_raw()), signer)


def check_signature(key: VerifierKey, text: str, signature: bytes) -> None:
    """Check a signature of this key, without the id, over the text of a note; a cosignature only signs a checkpoint.

    Raises `Unverified` where it does not hold, for whatever reason.
    """
    if len(signature) != _SIGNATURE_LENGTH[key.type]:
        raise Unverified(f"a signature by {key.name} has the wrong length")
    stamp = signature[:8] if key.type in COSIGNATURES else b""
    if int.from_bytes(stamp) > MAX_SIZE:
        raise Unverified(f"the time of a cosignature by {key.name} is beyond 2^63 - 1")
    try:
        _public(key).verify(signature[len(stamp) :], _message(key, text, stamp))
    except InvalidSignature as error:
        raise Unverified(f"a signature by {key.name} does not hold: the note or the signature was changed") from error
    except Malformed as error:
        raise Unverified(f"{key.name} can't have signed this: {error}") from error


def _key(name: str, kind: int, public: bytes) -> VerifierKey:
    if not is_key_name(name):
        raise Malformed("the name of a key is a text without spaces, '+' and control characters")
    digest = sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()
    return VerifierKey(name, digest[:4], kind, public)


def _fields(written: str, what: str) -> tuple[str, bytes, tuple[int, bytes]]:
    """Split `name+id+base64`. The base64 may hold further plus signs."""
    name, _, rest = written.partition("+")
    key_id, _, key = rest.partition("+")
    if not _ID.fullmatch(key_id):
        raise Malformed(f"{what} is a name, eight hexadecimal digits in lower case and base64, with + between")
    try:
        raw = unbase64(key, "the key")
    except Malformed:
        # From None: the message and its cause would show what may be a private key.
        raise Malformed(f"the last part of {what} is not canonical base64") from None
    if not raw or raw[0] not in _PUBLIC_LENGTH:
        raise Malformed(f"{what} is of an unknown type: this version knows 0x01, 0x04 and 0x06")
    return name, bytes.fromhex(key_id), (raw[0], raw[1:])


def _message(key: VerifierKey, text: str, stamp: bytes) -> bytes:
    """What a signature is over. Raises `Malformed` for a cosignature over what is not a checkpoint."""
    if key.type == ED25519:
        return octets(text, "a note")
    head = parse_head(text)
    if key.type == COSIGNATURE:
        return b"cosignature/v1\ntime %d\n" % int.from_bytes(stamp) + octets(text, "a note")
    name, origin = key.name.encode(), octets(head.origin, "an origin")
    if len(name) > 255 or len(origin) > 255:
        raise Malformed("ML-DSA-44 cosignatures take names and origins of at most 255 bytes")
    sizes = (0).to_bytes(8) + head.size.to_bytes(8)
    named = [bytes([len(name)]) + name, stamp, bytes([len(origin)]) + origin]
    return b"".join([b"subtree/v1\n\x00", *named, sizes, head.root])


def _public(key: VerifierKey) -> Any:
    if key.type == MLDSA_COSIGNATURE:
        return _mldsa("MLDSA44PublicKey", "from_public_bytes", key.public)
    return Ed25519PublicKey.from_public_bytes(key.public)


def _mldsa(kind: str, load: str, raw: bytes) -> Any:
    """Load a key of ML-DSA-44, or say in our words that the algorithm is not there."""
    try:
        return getattr(getattr(mldsa, kind), load)(raw)
    except (AttributeError, UnsupportedAlgorithm) as error:
        raise Unsupported("ML-DSA-44 needs another `cryptography`: install version 47 or newer as a wheel") from error
