"""When a request is tried again, and what the caller hears when it no longer is.

    no connection                      nothing was recorded: try again
    connection lost, silence           it may have been recorded: try again, and from now on never say "failed"
    busy                               this attempt recorded nothing: wait as long as the server asks
    any other problem                  raise it

When the time is up: `OutcomeUnknown` if any attempt of a write may have been recorded, else the `Busy`
that the server answered, else `Unreachable`.
"""

from __future__ import annotations

import random
from typing import Final

import anyio
import httpx
import msgspec

from verifier.client.wire import problem
from verifier.errors import Busy, OutcomeUnknown, Problem, Unreachable

FIRST_CONTACT: Final = 5.0
"""Seconds to wait for an address at which nothing has answered yet: it is more likely wrong than restarting."""

_BY_SOMETHING_BETWEEN: Final = frozenset({502, 504})
"""A proxy that lost the server, or waited for it in vain: the server may have done it."""


class Tries:
    """What is known of one request after so many attempts."""

    def __init__(self, url: str, *, timeout: float, key: str | None) -> None:
        self.url = url
        self.key = key
        self.timeout = timeout
        self._began = anyio.current_time()
        self._count = 0
        self._unclear = False
        self._last: Exception | None = None

    def failed(self, error: httpx.RequestError | TimeoutError) -> None:
        """Take note that an attempt got no answer."""
        self._last = error
        # Only where no connection was made is it certain that the server has not seen the request.
        self._unclear = self._unclear or not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)

    def answered(self, response: httpx.Response) -> None:
        """Take note of an answer that is not the end of it. Raises every problem that is."""
        found = problem_of(response, key=self.key or "")
        unclear = isinstance(found, OutcomeUnknown) or response.status_code in _BY_SOMETHING_BETWEEN
        if not unclear and not isinstance(found, Busy):
            raise found
        self._last = found
        self._unclear = self._unclear or unclear

    async def pause(self, seconds: float, *, patience: float) -> None:
        """Wait before the next attempt, at least as long as the server asked for. Raises what the caller
        should hear if there is no time for another one."""
        seconds = max(seconds, backoff(self._count))
        self._count += 1
        patience = self.timeout if self._unclear else min(patience, self.timeout)
        if anyio.current_time() + seconds >= self._began + patience:
            raise self._end() from self._last
        await anyio.sleep(seconds)

    def _end(self) -> Problem:
        if self._unclear and self.key is not None:
            return OutcomeUnknown(
                f"{self.url} gave no clear answer within {self.timeout:g} s: the command may be recorded or not;"
                " send it again with the same key",
                key=self.key,
            )
        if isinstance(self._last, Problem):
            return self._last
        why = str(self._last) or type(self._last).__name__
        return Unreachable(f"nothing answers at {self.url} ({why}): start the server, or name the right address")


def backoff(count: int) -> float:
    """Return how long to wait before attempt `count + 1`: longer each time, and never all callers at once."""
    return min(2.0, 0.05 * 2.0 ** min(count, 10)) * random.uniform(0.5, 1.0)


def asked_to_wait(response: httpx.Response) -> float:
    """Return the seconds of `Retry-After`, or 0 where there are none."""
    text: str = response.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdigit() else 0.0


def problem_of(response: httpx.Response, *, key: str = "") -> Problem:
    """Return the exception for an answer that is a problem. The body must have been read."""
    try:
        document = msgspec.json.decode(response.content)
    except msgspec.DecodeError:
        document = None
    if not isinstance(document, dict):  # not our server's words
        document = {"detail": f"{response.request.url.host} answered {response.status_code} {response.reason_phrase}"}
    return problem(document, status=response.status_code, key=key)
