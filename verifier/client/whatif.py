"""The verbs as a question: how a claim would stand if this were recorded. Nothing is."""

from __future__ import annotations

from typing import Any

from verifier.client.connection import Connection
from verifier.client.verbs import Verbs
from verifier.client.wire import Target, body, path_of
from verifier.commands import Command
from verifier.errors import Invalid
from verifier.keys import key_or_new


class WhatIf(Verbs):
    """The verbs on a claim that exists, with the same words; each answers what recording it would come to.

        stands = await verifier.what_if.deny(plan, source="Mark Esper")

    In the answer `basis` says that it is speculative, `written_at` is 0 and `recorded` is empty. Nothing is recorded
    and no bytes are sent. Every verb raises the problem with which recording it would be refused.
    """

    def __init__(self, verifier: Connection) -> None:
        super().__init__("")
        self._verifier = verifier

    async def _write(
        self, target: Target | None, command: Command, key: str | None, if_match: int | None
    ) -> dict[str, Any]:
        path = path_of(command, target)
        if not path.startswith("/claims/"):
            raise Invalid("a what-if is about a claim that exists: give its id, and a verb on a claim", field="claim")
        path = path.removesuffix("events") + "what-if"
        port = self._verifier._port
        return await port.write("POST", path, body(command), key=key_or_new(key), if_match=if_match)

    async def _keep_bytes(self, sha256: str, data: bytes, media_type: str) -> None:
        """Keep nothing."""
