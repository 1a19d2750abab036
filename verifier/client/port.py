"""What the client speaks to: a server over HTTP (`verifier.client.http`) or a log in this process
(`verifier.embedded`). Both know the same paths, those below `/api/v1` of the HTTP interface.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Literal, Protocol

Message = dict[str, Any]
"""What a stream hands over at one position: `{"position": n, "changes": [Change, …]}` from `/feed`, an
`Event` from `/events`. No two messages of a stream have the same position. One that has nothing else is a mark: up to
there, nothing more was wanted."""

Params = Mapping[str, str | int | bool]
"""The parameters of a question. A parameter that was left out is not in it."""


class Port(Protocol):
    """The few ways in. Every method raises the problems of `verifier.errors` and no other error."""

    async def write(
        self, method: Literal["POST", "PUT"], path: str, command: dict[str, Any], *, key: str, if_match: int | None
    ) -> dict[str, Any]:
        """Carry out one command, at most once for one `key`, and return a `Written` or a `Done`.

        May be repeated with the same key: what was recorded is answered as it was. Raises
        `OutcomeUnknown` where nobody can say whether it was recorded.
        """
        ...

    async def batch(self, lines: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Carry out commands that have a `key` each, and return one answer for each, in the same order:
        `{"key": …, "ok": true, "result": …}` or `{"key": …, "ok": false, "problem": …}`."""
        ...

    async def read(self, path: str, params: Params) -> dict[str, Any]:
        """Answer a question. The answer knows everything that this port has written or shown before."""
        ...

    def feed(self, path: Literal["/feed", "/events"], params: Params) -> AsyncIterator[Message]:
        """Follow a stream from after `params["after"]`, which is always given: no gap and no repeat."""
        ...

    async def put_bytes(self, sha256: str, data: bytes, media_type: str) -> None:
        """Keep the bytes of a snapshot under their hash; may be repeated."""
        ...

    async def get_bytes(self, sha256: str) -> bytes:
        """Return the bytes kept under a hash. Raises `NotFound` where they are not held."""
        ...

    async def close(self) -> None:
        """Give back what is held; the port can't be used after."""
        ...
