"""One attempt to deliver a message: a POST, and what came of it.

Redirects are not followed, cookies not kept, and of the answer only its status and its `Retry-After` count. An attempt
has its time, whatever the receiver does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Final

import httpx

from verifier import __version__
from verifier.webhooks.backoff import Outcome, asked_pause

WAIT: Final = 15.0
"""How many seconds a receiver has to answer."""

_READ: Final = 16 * 2**10  # bytes of an answer that are read so that the connection can be used again
_HEADERS: Final = {"content-type": "application/json", "user-agent": f"claim-verifier/{__version__}"}


class Posting:
    """Posts messages to any number of receivers. For one event loop; close it at the end."""

    def __init__(self, *, wait: float = WAIT) -> None:
        self._wait = wait
        self._client = httpx.AsyncClient(
            timeout=None,  # each attempt has its time
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=50),  # how many there are, couriers say
            headers=_HEADERS,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
            follow_redirects=False,
        )

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], now: float) -> Outcome:
        """Send a message. Raises nothing but the cancellation of its caller, after which nobody knows what came of
        it."""
        try:
            async with (
                asyncio.timeout(self._wait),
                self._client.stream("POST", url, content=body, headers=dict(headers)) as answer,
            ):
                after = asked_pause(answer.status_code, answer.headers.get("retry-after"), now)
                outcome = Outcome(status=answer.status_code, after=after)
                with suppress(httpx.HTTPError):  # what counts has come
                    await _read(answer)
                return outcome
        except TimeoutError:
            return Outcome(failure=f"no answer within {self._wait:g} seconds")
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            return Outcome(failure=_why(error))

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


async def _read(answer: httpx.Response) -> None:
    length = 0
    async for chunk in answer.aiter_raw():
        length += len(chunk)
        if length > _READ:
            return


def _why(error: Exception) -> str:
    match error:
        case httpx.ConnectError():
            return "it can't be reached"
        case httpx.RemoteProtocolError() | httpx.ReadError() | httpx.WriteError():
            return "the connection was lost before it answered"
        case _:
            return f"it could not be sent ({type(error).__name__})"
