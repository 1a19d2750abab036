"""The client's port without HTTP: the same routes, called in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any, Literal

import msgspec
import structlog

from events import errors as log_errors
from verifier import batches, parsing, routes
from verifier.app import Desk, open_desk
from verifier.errors import Invalid, Problem, ReadOnly
from verifier.handler.appending import Caller, translate
from verifier.logs import configure
from verifier.parameters import Asked, FeedParams, FollowParams
from verifier.settings import default_actor


class EmbeddedPort:
    """A desk in this process, behind the port that the client speaks to."""

    def __init__(self, desk: Desk, actor: str, opened: AsyncExitStack, *, seen: int) -> None:
        self._desk = desk
        self._actor = actor
        self._opened = opened
        self._seen = seen

    async def write(
        self, method: Literal["POST", "PUT"], path: str, command: dict[str, Any], *, key: str, if_match: int | None
    ) -> dict[str, Any]:
        """Carry out a command."""
        route, ids = routes.find(method, path)
        assert isinstance(route, routes.Order)  # `find` looks among the orders for a POST
        parsing.check(command)
        caller = Caller(actor=self._actor, key=key, if_match=if_match)
        answer = await routes.order(self._desk, route, ids, command, caller)
        self._learn(answer)
        return _plain(answer)

    async def batch(self, lines: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Carry out several commands, each answered by itself."""
        answers = await batches.batch(self._desk, [_checked(line) for line in lines], self._actor)
        for line, answer in zip(lines, answers, strict=True):
            answer["key"] = line.get("key")  # a line that could not even be read has lost it
            if answer["ok"]:
                self._learn(answer["result"])
        return [_plain(answer) for answer in answers]

    async def read(self, path: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Answer a question, with everything that this port has written."""
        route, ids = routes.find("GET", path)
        assert isinstance(route, routes.Question)  # `find` looks among the questions for a GET
        asked = Asked(ids=ids, params=routes.params_of(route.params, params), seen=self._seen or None)
        return _plain(await routes.ask(self._desk, route, asked))

    async def feed(self, path: Literal["/feed", "/events"], params: Mapping[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """Follow the changes or the events after a position."""
        feed = self._desk.feed
        try:
            if path == "/events":
                asked = routes.params_of(FollowParams, params)
                messages = feed.event_messages(asked.after, await routes.picked(self._desk, asked))
            else:
                wanted = routes.params_of(FeedParams, params)
                messages = feed.messages(wanted.after, routes.wanted(self._desk, wanted))
            async for message in messages:
                yield _plain(message)
        except log_errors.LogError as error:
            raise translate(error, "") from error

    def _learn(self, answer: Mapping[str, Any]) -> None:
        """Remember how far the caller has seen the log, so that the next answer knows at least that."""
        if "basis" in answer:
            self._seen = max(self._seen, answer.get("written_at", 0), answer["basis"]["position"])

    async def put_bytes(self, sha256: str, data: bytes, media_type: str) -> None:
        """Keep the bytes of a snapshot."""
        await routes.keep_bytes(self._desk, sha256, data)

    async def get_bytes(self, sha256: str) -> bytes:
        """Return the bytes of a snapshot."""
        return await routes.held_bytes(self._desk, sha256)

    async def close(self) -> None:
        """Close the desk."""
        await self._opened.aclose()


async def open_embedded(
    url: str, *, actor: str | None = None, read_only: bool = False, create: bool = True
) -> EmbeddedPort:
    """Open a log in this process, or only to read it, beside the process that writes it.

    Where there is none, one is made to be written; without `create` it is refused.

    Raises `ReadOnly` with the address where another process serves it, and `Invalid` for what is no
    log's URL.
    """
    if not structlog.is_configured():  # unasked, it would write to standard output, with local variables
        configure("warning", "console")
    opened = AsyncExitStack()
    try:
        desk = await opened.enter_async_context(open_desk(url, read_only=read_only, create=create))
        seen = await desk.log.head()  # so that the first question waits for views that another process left behind
    except log_errors.LogInUse as error:
        raise ReadOnly(str(error), address=error.address) from error
    except log_errors.LogError as error:
        raise Invalid(str(error)) from error
    return EmbeddedPort(desk, actor or default_actor(), opened, seen=seen)


def _checked(line: dict[str, Any]) -> dict[str, Any] | Problem:
    """Return a line of a batch, or the problem with which it is answered."""
    try:
        parsing.check(line)
    except Problem as problem:
        return problem
    return line


def _plain(answer: dict[str, Any]) -> dict[str, Any]:
    """Return an answer as JSON would carry it."""
    return msgspec.json.decode(msgspec.json.encode(answer), type=dict[str, Any])
