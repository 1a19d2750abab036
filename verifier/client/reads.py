"""The questions: how a claim stands, who said what about it, and what happens in the log.

Every answer knows at least what this client has written or seen before. Questions raise `NotFound`,
`Invalid`, `ViewsBehind` where `at_least` isn't reached in time, and `Busy` or `Unreachable` where the
server can't answer in time. Lists are read page by page while they are looped over.
"""

from __future__ import annotations

import hashlib
from typing import Any, Literal, TypeVar
from urllib.parse import quote

from anyio import to_thread

from verifier.answers import (
    Answer,
    Attestation,
    Attested,
    Change,
    Checkpoint,
    Claim,
    Event,
    Found,
    Health,
    Page,
    Receipt,
    Source,
    Statement,
    Story,
)
from verifier.client.connection import Connection
from verifier.client.feed import Feed
from verifier.client.listing import Listing
from verifier.client.port import Message
from verifier.client.watch import Watch
from verifier.client.wire import Target, id_of
from verifier.errors import Internal
from verifier.keys import key_or_new

A = TypeVar("A", bound=Answer)


class Reads(Connection):
    """What can be asked."""

    async def claim(
        self,
        claim: Target,
        *,
        as_of: int | str | None = None,
        said_by: str | None = None,
        policy: str | None = None,
        at_least: int | None = None,
    ) -> Claim:
        """Return how a claim stands.

        `as_of`, a position or a time, asks how it stood for us then; `said_by`, a time, how it stood by
        what had been said, as we know it today; `policy` asks by another rule; `at_least` waits until
        the answer knows this position.
        """
        params = _params(as_of=as_of, said_by=said_by, policy=policy, at_least=at_least)
        return Claim.model_validate(await self._port.read(_path("claims", claim), params))

    def claims(
        self,
        *,
        status: str | None = None,
        story: str | None = None,
        source: str | None = None,
        attention: str | None = None,
        language: str | None = None,
        text: str | None = None,
        as_of: int | str | None = None,
        said_by: str | None = None,
        policy: str | None = None,
        at_least: int | None = None,
    ) -> Listing[Claim]:
        """List claims, newest first, narrowed down by what is given; as they stood then, as `claim` has it."""
        params = _params(
            status=status,
            story=story,
            source=source,
            attention=attention,
            language=language,
            text=text,
            as_of=as_of,
            said_by=said_by,
            policy=policy,
            at_least=at_least,
        )
        return self._list("/claims", Claim, params)

    def statements(
        self, claim: Target, *, as_of: int | str | None = None, said_by: str | None = None
    ) -> Listing[Statement]:
        """List who said what about a claim, and what became of it: what was recorded by then, what had been said."""
        return self._list(_path("claims", claim, "statements"), Statement, _params(as_of=as_of, said_by=said_by))

    def history(self, claim: Target, *, as_of: int | str | None = None, policy: str | None = None) -> Listing[Change]:
        """List the changes of a claim's status: those up to then, or those that another policy would have made."""
        return self._list(_path("claims", claim, "history"), Change, _params(as_of=as_of, policy=policy))

    def events(self, claim: Target | None = None, *, after: int = 0, as_of: int | str | None = None) -> Listing[Event]:
        """List the facts of a claim, or of the whole log, that were recorded after a position, and by another."""
        path = "/events" if claim is None else _path("claims", claim, "events")
        return self._list(path, Event, _params(after=after, as_of=as_of), turn="after")

    async def source(
        self, source: str, *, as_of: int | str | None = None, said_by: str | None = None, policy: str | None = None
    ) -> Source:
        """Return a source, by id or by name, and how the claims stand that it spoke about, or stood then.

        Raises `Invalid` for the past of a source that has come up on more than 500 claims: list those instead.
        """
        params = _params(as_of=as_of, said_by=said_by, policy=policy)
        return Source.model_validate(await self._port.read(_path("sources", source), params))

    def sources(self) -> Listing[Source]:
        """List the sources."""
        return self._list("/sources", Source, {})

    async def story(
        self, story: str, *, as_of: int | str | None = None, said_by: str | None = None, policy: str | None = None
    ) -> Story:
        """Return a story, by id or by title, and its claims by status, or as they stood then.

        Raises `Invalid` where more than 500 claims would have to be counted anew: list those instead.
        """
        params = _params(as_of=as_of, said_by=said_by, policy=policy)
        return Story.model_validate(await self._port.read(_path("stories", story), params))

    def stories(self, *, as_of: int | str | None = None) -> Listing[Story]:
        """List the stories, or those that there were, and how their claims stood."""
        return self._list("/stories", Story, _params(as_of=as_of))

    def changes(
        self,
        *,
        after: int = 0,
        as_of: int | str | None = None,
        claim: Target | None = None,
        story: str | None = None,
        status: str | None = None,
        source: str | None = None,
        recalls: bool = False,
    ) -> Listing[Change]:
        """List the changes of all statuses after a position, up to another or to where the views are now, narrowed as
        `feed` is, which goes on from there."""
        params = _wanted(claim=claim, story=story, status=status, source=source, recalls=recalls)
        return self._list("/changes", Change, {**_params(after=after, as_of=as_of), **params}, turn="after")

    async def find(self, kind: Literal["clm", "evt", "src", "sto"], tail: str) -> str:
        """Return the one id of this kind that ends so; a full id is returned as it is.

        Raises `NotFound` where none does, and `Invalid` for fewer than six characters or where several do.
        """
        return Found.model_validate(await self._port.read(f"/ids/{kind}/{quote(tail, safe='')}", {})).id

    async def policies(self) -> tuple[dict[str, Any], ...]:
        """Return the policies that ship, with their rules, and which of them is in force."""
        return Page.model_validate(await self._port.read("/policies", {})).items

    async def health(self) -> Health:
        """Return how far the log and its views are, and whether the server can serve."""
        return Health.model_validate(await self._port.read("/health", {}))

    async def rebuild(self) -> Health:
        """Begin to rebuild the views, while reads and writes go on; `health` says how far it is."""
        path, body = "/rebuild", dict[str, Any]()
        return Health.model_validate(await self._port.write("POST", path, body, key=key_or_new(None), if_match=None))

    async def attest(self) -> Attested:
        """Attest how all claims stand now: the root over their states goes into the log. Where nothing was recorded
        since the last attestation, that one is returned."""
        path, body = "/attestations", dict[str, Any]()
        return Attested.model_validate(await self._port.write("POST", path, body, key=key_or_new(None), if_match=None))

    async def attestation(self, claim: Target) -> Attestation:
        """Return the state of a claim as it was attested last, and the proof of it.

        Raises `NotFound` where nothing was attested since the claim was registered.
        """
        return Attestation.model_validate(await self._port.read(_path("claims", claim, "attestation"), {}))

    async def checkpoint(self) -> Checkpoint:
        """Return the last signed checkpoint of the log, and what it says.

        Raises `NotFound` where the log is not sealed, and `NotSealed` where nothing is signed any more.
        """
        return Checkpoint.model_validate(await self._port.read("/checkpoint", {}))

    async def receipt(self, of: Target | int) -> Receipt:
        """Return a claim's facts, or the event at a position, with the proofs that they are in the log: to be kept,
        and verified without it. The receipt of what was just written is that of its `written_at`.

        Raises `NotFound`, and `NotSealed` where it isn't sealed within some seconds: ask again.
        """
        path = f"/events/{of}/receipt" if isinstance(of, int) else _path("claims", of, "receipt")
        return Receipt.model_validate(await self._port.read(path, {}))

    async def evidence(self, sha256: str) -> bytes:
        """Return the bytes of a snapshot, whose hash was checked on arrival.

        Raises `NotFound` where the bytes are not held, and `Internal` where they are others.
        """
        data = await self._port.get_bytes(sha256)
        found = (await to_thread.run_sync(hashlib.sha256, data)).hexdigest()
        if found != sha256:
            raise Internal(f"the bytes that came for {sha256} have the hash {found}: put the snapshot again")
        return data

    def feed(
        self,
        *,
        after: int | None = None,
        claim: Target | None = None,
        story: str | None = None,
        status: str | None = None,
        source: str | None = None,
        recalls: bool = False,
    ) -> Feed[Change]:
        """Follow the changes of statuses, each exactly once, through lost connections and restarts.

        `after` is the last position that the caller has seen; 0 is the beginning, and left out means now. `source` is
        one that has said or carried something about the claim, or is accused by it; `recalls` are what a careful
        publisher has to look at.
        """
        params = _wanted(claim=claim, story=story, status=status, source=source, recalls=recalls)
        return self._follow("/feed", params, after, _changes)

    def watch(self, *, story: str | None = None, status: str | None = None, source: str | None = None) -> Watch:
        """Return how claims stand, newest first, and then follow their changes, without a gap and none twice.

        With `status`, these are the claims that have it, and then each change to it and away from it.
        """
        params = _params(story=story, source=source)
        return Watch(
            self._list("/claims", Claim, {**params, **_params(status=status)}),
            lambda after: self._follow("/feed", params, after, _changes),
            status=status,
        )

    def follow_events(
        self,
        *,
        after: int | None = None,
        claim: Target | None = None,
        story: str | None = None,
        source: str | None = None,
    ) -> Feed[Event]:
        """Follow the facts of the log as they are recorded, with the promises of `feed`: all of them, those on a claim,
        those of a story and on its claims, or those of a source and in which it is named."""
        params = _params(claim=None if claim is None else id_of(claim), story=story, source=source)
        return self._follow("/events", params, after, _event)

    def _follow(
        self, path: Literal["/feed", "/events"], params: dict[str, Any], after: int | None, items: Any
    ) -> Feed[Any]:
        feed: Feed[Any] = Feed(self._port, path, params, after=after, items=items, forget=self._feeds.discard)
        self._feeds.add(feed)
        return feed

    def _list(
        self, path: str, kind: type[A], params: dict[str, Any], *, turn: Literal["cursor", "after"] = "cursor"
    ) -> Listing[A]:
        return Listing(self._port, path, kind, params, turn=turn)


def _path(collection: str, target: Target, part: str | None = None) -> str:
    path = f"/{collection}/{quote(id_of(target), safe='')}"
    return path if part is None else f"{path}/{part}"


def _params(**given: str | int | None) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value is not None}


def _wanted(*, claim: Target | None, recalls: bool, **given: str | None) -> dict[str, Any]:
    return _params(claim=None if claim is None else id_of(claim), recalls=recalls or None, **given)


def _changes(message: Message) -> list[Change]:
    return [Change.model_validate(change) for change in message["changes"]]


def _event(message: Message) -> list[Event]:
    return [Event.model_validate(message)]
