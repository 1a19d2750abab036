"""The server: one process, one log, one port on this machine.

    bind ──▶ open the log ──▶ serve ──▶ (signal) ──▶ end the streams ──▶ finish requests ──▶ close the log

No ASGI server ends open streams by itself, so ours does that first; then a stop takes as long as the
requests in flight. If the process is killed instead, every acknowledged event is in the log already.
"""

from __future__ import annotations

import asyncio
import ipaddress
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import structlog
import uvicorn
from starlette.types import ASGIApp

from events import errors as log_errors
from events.open import announce
from verifier import api, dashboard
from verifier.app import Desk, open_desk
from verifier.attesting import attesting
from verifier.errors import Invalid, ReadOnly
from verifier.garbage import sweeping
from verifier.sealing import Signing
from verifier.settings import Settings
from verifier.webhooks.sender import Sending

GRACE: Final = 5
"""How many seconds a request in flight has to end before it is cut off."""

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """A server that takes requests: its address, its desk, and how to stop it (from its own event loop)."""

    address: str
    desk: Desk
    stop: Callable[[], None]


Ready = Callable[[Serving], None]


async def serve(settings: Settings, ready: Ready | None = None) -> None:
    """Serve a log until a signal or `Serving.stop`; `ready` is called once requests are taken.

    Returns when everything is closed. Raises `Invalid` for an address that can't be listened at, and
    `ReadOnly` where another process serves the log already.
    """
    with bind(settings.host, settings.port) as listener:
        try:
            async with (
                open_desk(settings.log, signing=Signing.of(settings), sending=Sending()) as desk,
                attesting(desk.attester, settings.attest_every),
                sweeping(desk.caches),
            ):
                app = api.build(
                    desk,
                    actor=settings.actor,
                    hosts=settings.hosts,
                    ready_lag=settings.ready_lag,
                    pages=dashboard.routes(desk, actor=settings.actor),
                )
                await Server(app, desk, ready).serve([listener])
        except log_errors.LogInUse as error:
            raise ReadOnly(str(error), address=error.address) from error


class Server(uvicorn.Server):
    """Uvicorn, which ends our streams before it waits for requests, and doesn't die of the signal."""

    def __init__(self, app: ASGIApp, desk: Desk, ready: Ready | None) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http="httptools",
                ws="none",
                lifespan="off",
                access_log=False,
                log_config=None,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=GRACE,
            )
        )
        self._desk = desk
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Take requests, and say where: beside the log, in our logs, and to whoever started us."""
        await super().startup(sockets)
        address = address_of(self.servers[0].sockets[0])
        announce(self._desk.log, address)
        logger.info("serving", address=address, log=self._desk.log.url, id=self._desk.log.id)
        if self._ready is not None:
            self._ready(Serving(address=address, desk=self._desk, stop=self.stop))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams, then finish what is in flight."""
        self._desk.feed.stop()
        await super().shutdown(sockets)
        logger.info("stopped", log=self._desk.log.url)

    def stop(self) -> None:
        """Ask the server to stop."""
        self.should_exit = True

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop at SIGINT and SIGTERM. Uvicorn would raise them again at the end, before the log is closed."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        loop = asyncio.get_running_loop()
        signals = (signal.SIGINT, signal.SIGTERM)
        for number in signals:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in signals:
                loop.remove_signal_handler(number)


def bind(host: str, port: int) -> socket.socket:
    """Take a port on this machine.

    Raises `Invalid` for an address beyond loopback, and where the port is taken.
    """
    _check_loopback(host)
    family, kind, protocol, _, place = _resolve(host, port)
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
    except OSError as error:
        listener.close()
        raise Invalid(
            f"port {port} at {host} can't be taken ({error.strerror}): stop what listens there, or choose another"
            " with --port",
            field="port",
        ) from error
    return listener


def _resolve(host: str, port: int) -> tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[Any, ...]]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise Invalid(f"{host} is no address of this machine: use 127.0.0.1", field="host") from error
    return found[0]


def _check_loopback(host: str) -> None:
    try:
        inside = host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        inside = False
    if not inside:
        raise Invalid(
            f"this server has no tokens yet and anyone who reaches {host} could write: listen at 127.0.0.1, and put"
            " a proxy that knows your users in front of it",
            field="host",
        )


def address_of(listener: socket.socket) -> str:
    """Return the URL at which a socket is reached."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
