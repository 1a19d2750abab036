"""Secrets, signatures and the ids of messages, as Standard Webhooks has them. Pure but for the making of a secret.

webhook-id         the same each time the message is sent
webhook-timestamp  when this attempt began, in Unix seconds
webhook-signature  one `v1,` and HMAC-SHA256 over `id.timestamp.body` for each secret that is valid, the newest first
"""

from __future__ import annotations

import hmac
import secrets
from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import Final

from events.leaf import derive

PREFIX: Final = "whsec_"
"""What a secret begins with, so that it is known for one wherever it turns up."""

_BYTES: Final = 32


def new_secret() -> str:
    """Make a secret."""
    return PREFIX + b64encode(secrets.token_bytes(_BYTES)).decode()


def message_id(log_id: str, position: int, claim: str, endpoint: str) -> str:
    """Return the id of a message: whoever gets it twice knows it by this."""
    return derive("msg", log_id, str(position), claim, endpoint)


def headers_of(message: str, timestamp: int, body: bytes, keys: Sequence[str]) -> dict[str, str]:
    """Return the three headers of an attempt, signed with each of some secrets."""
    signed = b"%b.%d.%b" % (message.encode(), timestamp, body)
    return {
        "webhook-id": message,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{_mac(key, signed)}" for key in keys),
    }


def _mac(key: str, signed: bytes) -> str:
    return b64encode(hmac.digest(b64decode(key.removeprefix(PREFIX)), signed, "sha256")).decode()
