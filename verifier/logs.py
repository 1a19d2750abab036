"""Structured logs on standard error: ours and those of the libraries, in one format, one line each.

There is a line for every request, which must cost little beside the request. So routine lines are gathered for a
moment, then rendered and written together: code that has just run runs faster, and each write by itself would let
other threads have the interpreter. A warning or an error goes out at once, after everything before it. If the process
is killed, the routine lines of the last moment are lost; nothing else depends on them.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, Literal, TextIO

import msgspec
import structlog
from structlog.typing import EventDict, Processor

Level = Literal["debug", "info", "warning", "error"]
Format = Literal["console", "json"]
Render = Callable[[EventDict], str]

MOMENT: Final = 0.05
"""How many seconds routine lines wait for others, while an event loop runs."""

_encode: Final = msgspec.json.Encoder(enc_hook=repr).encode


def configure(level: Level, format: Format) -> None:
    """Write logs of at least this level to standard error, for people (`console`) or machines (`json`).

    May be called again; the last call counts. What is bound to structlog's context variables, such as the id of a
    request, stands in every line.
    """
    render = _as_json if format == "json" else _for_people
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        _stamp,
        # Plain tracebacks: prettier ones print local variables, and with them names and words that may be erased.
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, _as_it_is],
        logger_factory=Lines(sys.stderr, render),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                lambda _logger, _method, event: render(event),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    for library in ("alembic", "httpx", "uvicorn"):  # what they say of each step, we say better
        logging.getLogger(library).setLevel(logging.WARNING)


class Lines:
    """Takes what happened, renders it and writes it to a stream. May be used by several threads."""

    def __init__(self, stream: TextIO, render: Render) -> None:
        self._stream = stream
        self._render = render
        self._waiting: list[EventDict] = []
        self._lock = threading.Lock()
        atexit.register(self.flush)

    def __call__(self, *_: object) -> Lines:
        """Return itself, as the logger of every name."""
        return self

    def info(self, event: EventDict) -> None:
        """Write a line within a moment, at once where no event loop runs."""
        with self._lock:
            self._waiting.append(event)
            first = len(self._waiting) == 1
        if first:
            try:
                asyncio.get_running_loop().call_later(MOMENT, self.flush)
            except RuntimeError:
                self.flush()

    def error(self, event: EventDict) -> None:
        """Write a line at once, after all that wait."""
        with self._lock:
            self._waiting.append(event)
        self.flush()

    debug = info
    warning = critical = exception = error

    def flush(self) -> None:
        """Write all lines that wait; a stream that was closed meanwhile takes none."""
        with self._lock:
            waiting, self._waiting = self._waiting, []
        if waiting and not self._stream.closed:
            self._stream.write("".join(f"{self._render(event)}\n" for event in waiting))
            self._stream.flush()


def _stamp(logger: Any, method: str, event: EventDict) -> EventDict:
    event["timestamp"] = time.time()
    return event


def _as_it_is(logger: Any, method: str, event: EventDict) -> tuple[tuple[EventDict], dict[str, Any]]:
    return (event,), {}


def _as_json(event: EventDict) -> str:
    return _encode({**event, "timestamp": _moment(event["timestamp"])}).decode()


def _for_people(event: EventDict) -> str:
    """Write the time, the level and what happened, then what is known of it; a traceback below."""
    head = f"{_moment(event.pop('timestamp'))} [{event.pop('level')}] {_plain(event.pop('event'))}"
    trace = event.pop("exception", "")
    return f"{' '.join([head, *(f'{name}={_plain(value)}' for name, value in event.items())])}\n{trace}".rstrip()


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def _plain(value: object) -> str:
    """Return a value on one line, and without what a terminal would obey."""
    text = str(value)
    return text if text.isprintable() else repr(text)
