"""A witness for the logs of others: it cosigns a checkpoint if it continues the last one (C2SP tlog-witness).

    POST /add-checkpoint     as the specification has it
    GET  /                   the witness's public key, and what it cosigned last of each log, or `damaged`

All it keeps is its key, the names of the logs, and one small file for each of them, in one folder. What was cosigned is
on the disk before the cosignature is given away, so a witness that crashes has never signed two histories. It reads no
log and no text.
"""

from __future__ import annotations

import base64
import fcntl
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from events.keys import check_private
from events.tlog import (
    COSIGNATURE,
    MAX_REQUEST,
    NEVER,
    Malformed,
    TlogError,
    cosign,
    new_key,
    parse_vkey,
    vkey_of,
    witness,
)
from events.whole_file import write_whole
from verifier.errors import Busy, Invalid, Problem
from verifier.server import address_of, bind

logger = structlog.get_logger(__name__)

_HASH: Final = 32

Last = tuple[int, bytes]
"""The size and the root that were cosigned last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """A witness that takes requests: its address, its public key, and how to stop it (from its own event loop)."""

    address: str
    vkey: str
    stop: Callable[[], None]


class Witness:
    """A witness's folder, held by this process: an `events.tlog.witness.Witnessed`. Its methods block."""

    def __init__(self, folder: Path, key: str, logs: Mapping[str, Sequence[str]], clock: Callable[[], float]) -> None:
        self._folder = folder
        self._key = key
        self._logs = logs
        self._clock = clock
        self._one_at_a_time = threading.Lock()
        self.vkey = vkey_of(key)
        self.origins = sorted(logs)
        self._answer = witness(self)

    def answer(self, body: bytes) -> tuple[int, str, bytes]:
        """Answer the body of a request. One at a time: reading what was last and replacing it belong together.

        Raises as `replace` does; then nothing was cosigned.
        """
        with self._one_at_a_time:
            return self._answer(body)

    def vkeys(self, origin: str) -> Sequence[str] | None:
        """Return the keys of a log, `None` where this witness does not know it."""
        return self._logs.get(origin)

    def last(self, origin: str) -> Last:
        """Return what was cosigned last.

        Raises `Invalid` for a file that is not as it was written or is gone, `Busy` for one that can't be read now.
        """
        path = self._path(origin)
        try:
            return _read(path.read_bytes())
        except FileNotFoundError as error:
            raise _lost(path, "is gone") from error
        except OSError as error:
            raise Busy(f"{path} can't be read ({error.strerror}): see to the disk") from error
        except ValueError as error:
            raise _lost(path, "is damaged") from error

    def know(self) -> None:
        """Remember of each log that is new here that nothing of it was cosigned: from now on its file must be there.

        If we crash here, a file is there that nobody misses yet.
        """
        known = self._folder / "logs"
        before = known.read_text("utf-8").splitlines() if known.exists() else []
        new = [origin for origin in self.origins if origin not in before]
        for origin in new:
            if not self._path(origin).exists():
                write_whole(self._path(origin), _written(NEVER))
        if new:
            write_whole(known, "".join(f"{origin}\n" for origin in [*before, *new]).encode())

    def replace(self, origin: str, old: Last, new: Last) -> bool:
        """Remember a new size and root, on the disk before this returns: the old or the new ones if we crash here.

        Raises as `last` does, and `Busy` where they can't be written.
        """
        if self.last(origin) != old:
            return False
        path = self._path(origin)
        try:
            write_whole(path, _written(new))
        except OSError as error:
            raise Busy(f"{path} can't be written ({error.strerror}): see to the disk") from error
        return True

    def cosign(self, checkpoint: bytes) -> bytes:
        """Return this witness's signature line, with the present time."""
        return cosign(checkpoint, self._key, int(self._clock()))

    def _path(self, origin: str) -> Path:
        return self._folder / f"{quote(origin, safe='')}.last"


def _written(last: Last) -> bytes:
    size, root = last
    return f"{size}\n{base64.b64encode(root).decode()}\n".encode()


def _read(raw: bytes) -> Last:
    """Read what `_written` wrote. Raises `ValueError` for anything else."""
    size, root = raw.decode("ascii").split()
    last = int(size), base64.b64decode(root, validate=True)
    if len(last[1]) != _HASH or _written(last) != raw:
        raise ValueError("it was not written like this")
    return last


def _lost(path: Path, what: str) -> Invalid:
    return Invalid(f"{path} {what}, so the log is not cosigned: start a new witness, newly named, in an empty folder")


@contextmanager
def held(folder: Path, *, name: str, vkeys: Sequence[str], clock: Callable[[], float] = time.time) -> Iterator[Witness]:
    """Open a witness's folder, making it and its key where there is none; no other process has it until the end.

    Raises `Invalid` for a name or keys that are none, for a folder whose witness has another name, and where another
    process has it.
    """
    logs = _logs(vkeys)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Invalid(f"another process is the witness of {folder}: stop that one first") from error
        witness = Witness(folder, _key(folder / "key", name), logs, clock)
        witness.know()
        yield witness
    finally:
        os.close(lock)


def _logs(vkeys: Sequence[str]) -> dict[str, list[str]]:
    """Return the keys of each log by its origin, which is the name of its keys."""
    logs: dict[str, list[str]] = {}
    for number, vkey in enumerate(dict.fromkeys(vkeys), start=1):
        try:
            logs.setdefault(parse_vkey(vkey).name, []).append(vkey)
        except TlogError as error:  # not shown: it may be a private key
            raise Invalid(f"key {number} is not the public key of a log: ask its operator for the vkey") from error
    return logs


def _key(path: Path, name: str) -> str:
    try:
        check_private(path)
        key = path.read_text("utf-8").strip()
    except FileNotFoundError:
        try:
            key = new_key(name, COSIGNATURE)
        except Malformed as error:
            raise Invalid(
                f"{name!r} can't be the name of a witness: use one such as partner.example/witness"
            ) from error
        write_whole(path, f"{key}\n".encode())
    except UnicodeDecodeError:
        key = ""
    try:
        found = parse_vkey(vkey_of(key)).name
    except TlogError as error:
        raise Invalid(f"{path} is not the key of a witness: put it back from a backup") from error
    if found != name:
        raise Invalid(f"the witness in this folder is {found}: use that name, or another folder for {name}")
    return key


# --- over HTTP -------------------------------------------------------------------------------------


def application(witness: Witness) -> Starlette:
    """Return the witness as an ASGI application."""

    async def add_checkpoint(request: Request) -> Response:
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_REQUEST:
                return PlainTextResponse("a request to cosign is not as long as this\n", 413)
        try:
            status, kind, answer = await run_in_threadpool(witness.answer, bytes(body))
        except Problem as problem:
            logger.error("a checkpoint was not cosigned", reason=problem.detail)
            return PlainTextResponse("this witness can't remember what it cosigns: tell its operator\n", 503)
        return Response(answer, status, headers={"content-type": kind})

    async def about(request: Request) -> Response:
        lines = [witness.vkey]
        for origin in witness.origins:
            try:
                size, _ = await run_in_threadpool(witness.last, origin)
            except Problem:
                lines.append(f"{origin} damaged")
            else:
                lines.append(f"{origin} {size}")
        return PlainTextResponse("".join(f"{line}\n" for line in lines))

    return Starlette(routes=[Route("/add-checkpoint", add_checkpoint, methods=["POST"]), Route("/", about)])


async def serve(
    folder: Path,
    *,
    name: str,
    vkeys: Sequence[str],
    host: str,
    port: int,
    ready: Callable[[Serving], None] | None = None,
) -> None:
    """Stand witness until a signal or `Serving.stop`; `ready` is called once requests are taken.

    Raises `Invalid` as `held` does, and for an address that can't be listened at.
    """
    with held(folder, name=name, vkeys=vkeys) as opened, bind(host, port) as listener:
        server = _Server(application(opened), opened, ready)
        await server.serve([listener])


class _Server(uvicorn.Server):
    """Uvicorn, which says where it listens."""

    def __init__(self, app: Starlette, witness: Witness, ready: Callable[[Serving], None] | None) -> None:
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
            )
        )
        self._witness = witness
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Take requests, and say where."""
        await super().startup(sockets)
        if self._ready is not None:
            address = address_of(self.servers[0].sockets[0])
            self._ready(Serving(address=address, vkey=self._witness.vkey, stop=self.stop))

    def stop(self) -> None:
        """Ask the witness to stop."""
        self.should_exit = True
