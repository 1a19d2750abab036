"""Speaking to a server. Every request is repeated until it is settled or its time is up; a write carries
its key, which makes that safe: a server that has recorded it answers as it did the first time.
`verifier.client.retry` says what is tried again.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, Literal

import anyio
import httpx
import msgspec

from verifier.client.address import checked, shown
from verifier.client.lanes import Lanes
from verifier.client.port import Message, Params
from verifier.client.retry import FIRST_CONTACT, Tries, asked_to_wait, backoff
from verifier.client.stream import Stream
from verifier.client.wire import encode_lines
from verifier.errors import Busy, Internal, OutcomeUnknown, Unreachable

IN_FLIGHT: Final = 8
"""Requests at once. More bring one client nothing: it is busy with these."""

ATTEMPTS: Final = 3
"""How many attempts have room in the timeout if the server stays silent each time."""

_JSON: Final = {"accept": "application/json", "content-type": "application/json"}
_LINES: Final = {"accept": "application/jsonl", "content-type": "application/jsonl"}
_UNSETTLED: Final = (Busy.slug, OutcomeUnknown.slug)


class HttpPort:
    """A server as a `Port`. Made for one event loop."""

    def __init__(self, url: str, *, token: str | None, timeout: float, idle_timeout: float) -> None:
        self._url = checked(url.rstrip("/"))
        self._shown = shown(self._url)
        self._timeout = timeout
        self._met = False  # whether anything has ever answered here
        self._closed = False
        self._log = ""
        self._seen = 0  # the last position of this log that the caller can know of
        self._base = f"{self._url}/api/v1"
        self._headers = {} if token is None else {"authorization": f"Bearer {token}"}
        connect = min(timeout, FIRST_CONTACT)
        self._lanes = Lanes(IN_FLIGHT, tls=self._url.startswith("https:"))
        # An attempt is timed as a whole (`_ask`), a stream by the time between two reads.
        self._extensions = {"timeout": httpx.Timeout(None, connect=connect).as_dict()}
        # What the environment says about proxies and passwords is meant for browsers: a server on this machine
        # must not be looked for elsewhere.
        self._streams = httpx.AsyncClient(
            base_url=self._base,
            headers=self._headers,
            timeout=httpx.Timeout(idle_timeout, connect=connect),
            limits=httpx.Limits(max_connections=None),
            trust_env=False,
        )
        self._slots = anyio.Semaphore(IN_FLIGHT, fast_acquire=True)

    async def write(
        self, method: Literal["POST", "PUT"], path: str, command: dict[str, Any], *, key: str, if_match: int | None
    ) -> dict[str, Any]:
        headers = {**_JSON, "idempotency-key": key}
        if if_match is not None:
            headers["if-match"] = f'"{if_match}"'
        request = self._request(method, path, content=msgspec.json.encode(command), headers=headers)
        return self._learn(_decoded(await self._ask(request, key=key)))

    async def batch(self, lines: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        answers = {item["key"]: _unanswered(item["key"]) for item in lines}
        left = list(lines)
        deadline = anyio.current_time() + self._timeout
        for count in itertools.count():
            request = self._request("POST", "/batch", content=encode_lines(left), headers=_LINES)
            response = await self._ask(request, key=left[0]["key"])
            for item, answer in zip(left, _decoded_lines(response), strict=False):  # fewer, if it was cut short
                answers[item["key"]] = {**answer, "key": item["key"]}
                if answer["ok"]:
                    self._learn(answer["result"])
            # What was busy or not answered is sent again with its own key; the other lines are settled.
            left = [item for item in left if _unsettled(answers[item["key"]])]
            pause = backoff(count)
            if not left or anyio.current_time() + pause >= deadline:
                break
            await anyio.sleep(pause)
        return list(answers.values())

    async def read(self, path: str, params: Params) -> dict[str, Any]:
        headers = {"accept": "application/json", "verifier-position": str(self._seen)}
        request = self._request("GET", path, params=params, headers=headers)
        return self._learn(_decoded(await self._ask(request)))

    def feed(self, path: Literal["/feed", "/events"], params: Params) -> AsyncIterator[Message]:
        return Stream(self._streams, path, params, patience=min(self._timeout, FIRST_CONTACT))

    async def put_bytes(self, sha256: str, data: bytes, media_type: str) -> None:
        headers = {"content-type": media_type}
        request = self._request("PUT", f"/evidence/{sha256}", content=data, headers=headers)
        await self._ask(request, limit=self._timeout)  # bytes may be many: each attempt gets all the time

    async def get_bytes(self, sha256: str) -> bytes:
        request = self._request("GET", f"/evidence/{sha256}", headers={"accept": "*/*"})
        return (await self._ask(request, limit=self._timeout)).content

    async def close(self) -> None:
        self._closed = True
        await self._lanes.close()
        await self._streams.aclose()

    def _request(
        self,
        method: str,
        path: str,
        *,
        headers: dict[str, str],
        params: Mapping[str, Any] | None = None,
        content: bytes | None = None,
    ) -> httpx.Request:
        return httpx.Request(
            method,
            _address(self._base + path),
            params=params or None,
            headers={**self._headers, **headers},
            content=content,
            extensions=self._extensions,
        )

    async def _ask(
        self, request: httpx.Request, *, key: str | None = None, limit: float | None = None
    ) -> httpx.Response:
        """Send a request until it is answered. Raises the problem that ends it (see `verifier.client.retry`)."""
        tries: Tries | None = None
        while True:
            seconds = 0.0
            async with self._slots:
                if self._closed:
                    raise Unreachable("this client was closed: open another one")
                # Only now: waiting for a slot is not trying.
                tries = tries or Tries(self._shown, timeout=self._timeout, key=key)
                try:
                    with anyio.fail_after(limit or self._timeout / ATTEMPTS):
                        response = await self._lanes.send(request)
                except (httpx.RequestError, TimeoutError) as error:
                    tries.failed(error)
                else:
                    self._met = True
                    if response.is_success:
                        return response
                    tries.answered(response)
                    seconds = asked_to_wait(response)
            await tries.pause(seconds, patience=self._timeout if self._met else FIRST_CONTACT)

    def _learn(self, answer: dict[str, Any]) -> dict[str, Any]:
        """Remember how far the caller has seen the log, so that the next answer knows at least that."""
        basis = answer.get("basis")
        if basis is not None:
            if basis["log"] != self._log:  # a new log at an old address: what was seen means nothing in it
                self._log, self._seen = basis["log"], 0
            self._seen = max(self._seen, answer.get("written_at", 0), basis["position"])
        return answer


@lru_cache(maxsize=1_024)
def _address(url: str) -> httpx.URL:
    """Return an address as httpx has it: taking it apart costs a tenth of a request, and the same claims come again."""
    return httpx.URL(url)


def _decoded(response: httpx.Response) -> dict[str, Any]:
    try:
        return msgspec.json.decode(response.content, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise Internal(f"{response.request.url.host} answered with something that is not a JSON object") from error


def _decoded_lines(response: httpx.Response) -> list[dict[str, Any]]:
    try:
        return [msgspec.json.decode(item, type=dict[str, Any]) for item in response.content.splitlines()]
    except msgspec.MsgspecError as error:
        raise Internal(f"{response.request.url.host} answered a batch with something that is not JSON Lines") from error


def _unanswered(key: str) -> dict[str, Any]:
    """Return what is known of a line that has no answer yet."""
    detail = "the server did not answer this command: send it again with the same key"
    return {"key": key, "ok": False, "problem": {"type": OutcomeUnknown.slug, "detail": detail, "key": key}}


def _unsettled(answer: Mapping[str, Any]) -> bool:
    return not answer["ok"] and str(answer["problem"]["type"]).rpartition("/")[2] in _UNSETTLED
