"""Webhooks: where changes are sent by themselves, as an operator sets it up."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from verifier.answers import DeadLetter, Webhook
from verifier.client.connection import Connection
from verifier.client.listing import Listing
from verifier.client.wire import Target, id_of
from verifier.keys import key_or_new


class Webhooks(Connection):
    """The endpoints to which changes are sent."""

    async def add_webhook(
        self,
        url: str,
        *,
        claim: Target | None = None,
        story: str | None = None,
        source: str | None = None,
        status: str | None = None,
        recalls: bool = False,
        after: int | None = None,
        key: str | None = None,
    ) -> Webhook:
        """Send the changes that are wanted to an address, from now on or from `after` a position.

        The answer tells the `secret` by which the receiver checks signatures, once. Raises `Invalid` for an address to
        which nothing is sent.
        """
        body = {
            "url": url,
            "claim": None if claim is None else id_of(claim),
            "story": story,
            "source": source,
            "status": status,
            "recalls": recalls,
            "after": after,
        }
        return await self._order("/webhooks", {name: value for name, value in body.items() if value is not None}, key)

    def webhooks(self) -> Listing[Webhook]:
        """List the endpoints, and how far each is."""
        return Listing(self._port, "/webhooks", Webhook, {}, limit=None)

    def dead_letters(self, webhook: Webhook | str) -> Listing[DeadLetter]:
        """List the messages that were given up for an endpoint, as positions. Raises `NotFound`."""
        return Listing(self._port, _path(webhook, "dead"), DeadLetter, {})

    async def rotate_webhook(
        self, webhook: Webhook | str, *, overlap: int | None = None, key: str | None = None
    ) -> Webhook:
        """Give an endpoint a new secret, which the answer tells, once; both count for `overlap` seconds (a day where
        it is left out). Raises `NotFound`."""
        return await self._order(_path(webhook, "rotate"), {} if overlap is None else {"overlap": overlap}, key)

    async def remove_webhook(self, webhook: Webhook | str) -> Webhook:
        """Forget an endpoint, its secrets and what waits for it. Raises `NotFound`."""
        return await self._order(_path(webhook, "remove"), {}, None)

    async def replay_webhook(self, webhook: Webhook | str) -> Webhook:
        """Send again what was given up, and go on with an endpoint that was disabled. Raises `NotFound`."""
        return await self._order(_path(webhook, "replay"), {}, None)

    async def _order(self, path: str, body: dict[str, Any], key: str | None) -> Webhook:
        answer = await self._port.write("POST", path, body, key=key_or_new(key), if_match=None)
        return Webhook.model_validate(answer)


def _path(webhook: Webhook | str, part: str) -> str:
    return f"/webhooks/{quote(webhook if isinstance(webhook, str) else webhook.id, safe='')}/{part}"
