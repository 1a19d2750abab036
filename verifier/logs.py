"""Structured logs on standard error: ours and those of the libraries, in one format, one line each.

A line is rendered by whoever has something to say and written at once, whole, so lines of several threads and of
several event loops stand in the order in which they were written, and nothing is lost when the process is killed.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final, Literal, TextIO

import msgspec
import structlog
from structlog.typing import EventDict, Processor

Level = Literal["debug", "info", "warning", "error"]
Format = Literal["console", "json"]
Render = Callable[[EventDict], str]

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
        processors=[*shared, lambda _logger, _method, event: render(event)],
        logger_factory=Lines(sys.stderr),
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
    """Writes lines to a stream, each at once and whole. May be used by several threads."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def __call__(self, *_: object) -> Lines:
        """Return itself, as the logger of every name."""
        return self

    def info(self, line: str) -> None:
        """Write a line, or nothing where whoever read the stream is gone: that must stop nothing else."""
        with self._lock, suppress(OSError, ValueError):
            self._stream.write(f"{line}\n")
            self._stream.flush()

    debug = warning = error = critical = exception = info


def _stamp(logger: Any, method: str, event: EventDict) -> EventDict:
    event["timestamp"] = time.time()
    return event


def _as_json(event: EventDict) -> str:
    line = {**event, "timestamp": _moment(event["timestamp"])}
    try:
        return _encode(line).decode()
    except UnicodeEncodeError:  # half a surrogate pair, as a traceback may hold: escaped, so that the line isn't lost
        return json.dumps(line, default=repr)


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
