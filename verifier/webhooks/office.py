"""What an operator asks for: add an endpoint, list them, remove one, give one a new secret, replay what was given up.

A secret is told once, to whoever made it. The same request sent again with its key makes no second one; within
`TOLD_AGAIN` it is answered as it was, so that an answer that was lost on the way can be had.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Final

from annotated_types import Ge, Le, MaxLen

from events.contracts import Status
from events.leaf import derive, timestamp
from events.log import Log
from verifier import render
from verifier.commands import STRICT
from verifier.errors import Invalid, KeyReused, NotFound
from verifier.naming import is_id, source_id, story_named
from verifier.queries.cursor import Cursor, read_cursor
from verifier.webhooks.clock import Clock
from verifier.webhooks.endpoint import LONGEST, Endpoint, Filters, Secret, checked_url
from verifier.webhooks.outbox import DeadLetter, Outbox, Progress, as_problems
from verifier.webhooks.sender import Sender
from verifier.webhooks.signing import new_secret

MOST: Final = 100
"""How many endpoints a log may have."""

OVERLAP: Final = 86_400
"""For how many seconds the old secret counts beside a new one, unless it is said otherwise."""

TOLD_AGAIN: Final = 600.0
"""For how many seconds a request that is sent again with its key is told the secret that it made."""

_DEAD: Final = "dead letters"


@dataclass(frozen=True, slots=True, kw_only=True)
class AddWebhook:
    """An address, which changes it wants (all, unless something is given), and after which position it begins (left
    out: from now)."""

    __pydantic_config__: ClassVar = STRICT
    url: Annotated[str, MaxLen(LONGEST)]
    claim: Annotated[str, MaxLen(500)] | None = None
    story: Annotated[str, MaxLen(500)] | None = None
    source: Annotated[str, MaxLen(500)] | None = None
    status: Status | None = None
    recalls: bool = False
    after: Annotated[int, Ge(0)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RotateWebhook:
    """For how many seconds the old secret counts beside the new one."""

    __pydantic_config__: ClassVar = STRICT
    overlap: Annotated[int, Ge(0), Le(90 * 86_400)] = OVERLAP


class Office:
    """The webhooks of one log, as an operator sees them."""

    def __init__(self, log: Log, outbox: Outbox, sender: Sender | None, clock: Clock) -> None:
        self._log = log
        self._outbox = outbox
        self._sender = sender
        self._clock = clock
        self._adding = asyncio.Lock()

    @property
    def error(self) -> str | None:
        """Why nothing is sent, where this process should and doesn't."""
        return self._sender.error if self._sender is not None else None

    async def add(self, asked: AddWebhook, actor: str, key: str) -> dict[str, Any]:
        """Add an endpoint, and tell its secret. Raises `Invalid`, `NotFound`, `KeyReused`."""
        now, id = self._clock.now(), derive("whk", actor, key)
        head = await self._log.head()
        if asked.after is not None and asked.after > head:
            raise Invalid(f"the log ends at {head}: begin after a position up to that", field="after", position=head)
        endpoint = Endpoint(
            id=id,
            url=checked_url(asked.url),
            filters=await self._filters(asked),
            position=head if asked.after is None else asked.after,
            made_at=now,
        )
        secret = Secret(id=derive("sec", id, actor, key), key=new_secret(), made_at=now)
        async with self._adding:
            with as_problems():
                there = await self._outbox.endpoints()
                if len(there) >= MOST and all(one.id != id for one in there):
                    raise Invalid(f"there are {MOST} endpoints already, which is the most: remove one first")
                kept = await self._outbox.add(endpoint, secret)
        if (kept.url, kept.filters) != (endpoint.url, endpoint.filters):
            raise KeyReused(f"the key {key} was used for another endpoint: use a new key for a new one", key=key)
        return await self._changed(kept, told=secret.id)

    async def _filters(self, asked: AddWebhook) -> Filters:
        if asked.claim is not None:
            await self._check_claim(asked.claim)
        story, source = asked.story, asked.source
        return Filters(
            claim=asked.claim,
            story=None if story is None else story_named(self._log.lineage, story),
            source=source if source is None or is_id(source, "src") else source_id(self._log.lineage, source),
            status=asked.status,
            recalls=asked.recalls,
        )

    async def _check_claim(self, claim: str) -> None:
        if is_id(claim, "clm"):
            async for _ in self._log.read(f"claim:{claim}"):
                return
        raise NotFound(f"this log has no claim {claim!r}: look it up in the list of claims", claim=claim)

    async def rotate(self, id: str, asked: RotateWebhook, actor: str, key: str) -> dict[str, Any]:
        """Give an endpoint a new secret, and tell it. Raises `NotFound`."""
        now = self._clock.now()
        secret = Secret(id=derive("sec", id, actor, key), key=new_secret(), made_at=now)
        with as_problems():
            kept = await self._outbox.rotate(id, secret, now + asked.overlap)
        return await self._changed(self._there(kept, id), told=secret.id)

    async def remove(self, id: str) -> dict[str, Any]:
        """Forget an endpoint, its secrets and what waits for it. Raises `NotFound`."""
        with as_problems():
            found = await self._outbox.endpoints(id)
            endpoint = self._there(found[0] if found else None, id)
            await self._outbox.remove(id)
        self._tell_sender()
        return self._answer(endpoint, Progress(), await self._log.head())

    async def replay(self, id: str) -> dict[str, Any]:
        """Send again what was given up and what waits for its next attempt, and go on with an endpoint that was
        disabled. Raises `NotFound`."""
        with as_problems():
            if await self._outbox.replay(id, self._clock.now()) is None:
                self._there(None, id)
            found = await self._outbox.endpoints(id)
        return await self._changed(self._there(found[0] if found else None, id))

    async def list(self) -> dict[str, Any]:
        """Return every endpoint, and how far it is."""
        head = await self._log.head()
        with as_problems():
            endpoints, progress = await self._outbox.endpoints(), await self._outbox.progress()
        items = [self._answer(endpoint, progress.get(endpoint.id, Progress()), head) for endpoint in endpoints]
        return {"items": items, "next": None, "position": head, "basis": render.basis(self._log.id, head, None)}

    async def dead(self, id: str, cursor: str | None, limit: int) -> dict[str, Any]:
        """Return a page of what was given up for an endpoint. Raises `NotFound`, and `Invalid` for a cursor."""
        head = await self._log.head()
        kind = f"{_DEAD} {id}"
        after = read_cursor(cursor, log=self._log.id, kind=kind, head=head, like=(0, ""))
        with as_problems():
            found = await self._outbox.endpoints(id)
            self._there(found[0] if found else None, id)
            letters = await self._outbox.dead(id, after, limit + 1)
        last = letters[limit - 1] if len(letters) > limit else None
        return {
            "items": [_letter(letter) for letter in letters[:limit]],
            "next": None if last is None else Cursor(self._log.id, kind, head, (last.position, last.claim)).encode(),
            "position": head,
            "basis": render.basis(self._log.id, head, None),
        }

    async def far(self) -> Mapping[str, tuple[Endpoint, Progress]]:
        """Return how far each endpoint is, by its id, for whoever watches the server."""
        with as_problems():
            endpoints, progress = await self._outbox.endpoints(), await self._outbox.progress()
        return {endpoint.id: (endpoint, progress.get(endpoint.id, Progress())) for endpoint in endpoints}

    def _there(self, endpoint: Endpoint | None, id: str) -> Endpoint:
        if endpoint is None:
            raise NotFound(f"there is no endpoint {id!r} here, or none any more: look it up in the list", webhook=id)
        return endpoint

    async def _changed(self, endpoint: Endpoint, *, told: str | None = None) -> dict[str, Any]:
        """Tell the sender of a change, and answer how the endpoint is now, with the secret that was just made."""
        self._tell_sender()
        with as_problems():
            progress = await self._outbox.progress()
        answer = self._answer(endpoint, progress.get(endpoint.id, Progress()), await self._log.head())
        if told is not None:
            since = self._clock.now() - TOLD_AGAIN
            keys = [one.key for one in endpoint.secrets if one.id == told and one.made_at >= since]
            answer["secret"] = keys[0] if keys else None
        return answer

    def _tell_sender(self) -> None:
        if self._sender is not None:
            self._sender.changed.set()

    def _answer(self, endpoint: Endpoint, progress: Progress, head: int) -> dict[str, Any]:
        filters, now = endpoint.filters, self._clock.now()
        failing = self._sender.failing(endpoint.id) if self._sender is not None else None
        return {
            "id": endpoint.id,
            "url": endpoint.url,
            "claim": filters.claim,
            "story": filters.story,
            "source": filters.source,
            "status": filters.status,
            "recalls": filters.recalls,
            "position": endpoint.position,
            "waiting": progress.waiting,
            "oldest": progress.oldest,
            "dead": progress.dead,
            "failing": failing or progress.failing,
            "disabled": endpoint.disabled,
            "made_at": _time(endpoint.made_at),
            "secrets": [
                {"made_at": _time(one.made_at), "until": None if one.until is None else _time(one.until)}
                for one in endpoint.secrets
                if one.until is None or one.until > now
            ],
            "basis": render.basis(self._log.id, head, None),
        }


def _letter(letter: DeadLetter) -> dict[str, Any]:
    return {
        "position": letter.position,
        "claim": letter.claim,
        "attempts": letter.attempts,
        "first_at": _time(letter.first),
        "given_up_at": _time(letter.died),
        "failure": letter.failure,
    }


def _time(seconds: float) -> str:
    return timestamp(datetime.fromtimestamp(seconds, UTC))
