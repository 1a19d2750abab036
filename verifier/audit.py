"""Audits a log with its meaning: every claim is folded anew, and what was attested of the statuses is computed again.

`events.audit` checks what anyone can check; this adds the replay, by the same `evolve` as live, and reading a
published log from a web server.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from events.audit import Audited, Book, Finding, Trust, audit
from events.audit.auditing import Progress
from events.audit.exported import Exported
from events.audit.published import Directory, Published
from events.audit.stored import Stored
from events.contracts import PolicyAdopted
from events.errors import Busy, Invalid
from events.log import Recorded
from events.tlog import TILE_WIDTH, tile_path
from verifier.client.address import checked, shown
from verifier.errors import NotFound
from verifier.garbage import no_collections, take_as_old
from verifier.policy import policy_named
from verifier.replay import Disagreeing, Folding
from verifier.states import Attested, attested_by

FILE_LIMIT: Final = TILE_WIDTH * (2 + 65_535)
"""The most bytes that a file of a published log has: a bundle of the longest leaves."""

_SQLITE: Final = b"SQLite format 3\x00"  # how every file of it begins
_SECONDS: Final = 30.0  # how long a server may take to go on with an answer


@dataclass(frozen=True, slots=True)
class Report:
    """What an audit found, and what a replay counted on the way."""

    audited: Audited
    claims: int
    attestations: int
    agreeing: int


def audit_log(
    where: str,
    trust: Trust,
    *,
    texts: Path | None = None,
    processes: int = 1,
    progress: Progress | None = None,
) -> Report:
    """Audit the log at a URL, the one that a server or a folder publishes, or an export: see `events.audit.audit`.

    Blocks until it is done, and keeps the garbage collector from running: nothing made here has cycles. Raises
    `LogError` or `OSError`.
    """
    replay = Replay()
    with no_collections():
        audited = audit(book_of(where, texts), trust, follower=replay, processes=processes, progress=progress)
    return Report(audited, replay.claims, replay.attestations, replay.agreeing)


def document_of(report: Report) -> dict[str, object]:
    """Return a report as JSON has it. `findings` holds the first of each kind, `counts` how many there are of each."""
    audited = report.audited
    return {
        "log": audited.log,
        "head": audited.head,
        "size": audited.size,
        "root": audited.root,
        "covered": audited.covered,
        "keys": audited.keys,
        "own_keys": audited.own_keys,
        "known": audited.known,
        "texts": audited.texts,
        "unsealed": audited.unsealed,
        "claims": report.claims,
        "attestations": report.attestations,
        "agreeing": report.agreeing,
        "counts": audited.counts,
        "findings": audited.findings,
    }


def book_of(where: str, texts: Path | None = None) -> Book:
    """Return what is to be audited. Raises `Invalid` where there can't be one."""
    if where.startswith(("http://", "https://")):
        return Published(files=Site(checked(where).rstrip("/")), texts=texts)
    if Path(where).is_dir():
        return Published(files=Directory(Path(where)), texts=texts)
    if Path(where).is_file():
        if texts is not None:
            raise Invalid(f"{where} brings its texts along: leave the file of texts out")
        if _is_database(Path(where)):
            raise Invalid(f"{where} is a database: give the log in it by its URL, sqlite:///{where}")
        return Exported(Path(where))
    if ":" not in where:
        raise Invalid(
            f"there is no folder and no file {where}: give a published folder, an export, the URL of a log, such as"
            " sqlite:///newsroom.db, or the address of a server or a published log, with https:// in front"
        )
    if texts is not None:
        raise Invalid("a log at its URL brings its texts along: leave the file of texts out")
    return Stored(where)


def _is_database(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_SQLITE)) == _SQLITE


@dataclass(frozen=True, slots=True)
class Site:
    """The address at which a log is published."""

    address: str

    def open(self) -> OpenSite:
        """Begin to read."""
        return OpenSite(self.address)


class OpenSite:
    """A published log on a web server: see `events.audit.published.Files`."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._shown = shown(address).rstrip("/")
        self._client = httpx.Client(timeout=_SECONDS)

    def read(self, path: str) -> bytes | None:
        """Return a file, `None` where there is none. Raises `Busy` where the server gives no proper answer."""
        url = f"{self._shown}/{path}"
        try:
            with self._client.stream("GET", f"{self._address}/{path}") as answer:
                if answer.status_code in (404, 410):
                    return None
                if answer.status_code != 200:
                    raise Busy(f"{url} answers with {answer.status_code}: see that a log is published there")
                raw = bytearray()
                for chunk in answer.iter_bytes():
                    raw += chunk
                    if len(raw) > FILE_LIMIT:
                        raise Busy(f"{url} is longer than any file of a published log")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Busy(f"{url} can't be read: {str(error) or type(error).__name__}; try again") from error
        return bytes(raw)

    def versions(self, level: int | str, n: int, width: int) -> Sequence[tuple[int, bytes]]:
        """Return the tile or bundle of this width, or the full one that it may have become since."""
        for wanted in dict.fromkeys((width, TILE_WIDTH)):
            raw = self.read(tile_path(level, n, wanted))
            if raw is not None:
                return [(wanted, raw)]
        return []

    def astray(self) -> Sequence[str]:
        """Return none: a server gives no list of its files."""
        return ()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


class Replay:
    """Folds the claims while a log is audited, and compares with every attestation: an `events.audit.Follower`."""

    def __init__(self) -> None:
        self._folding = Folding()
        self._stopped: Finding | None = None
        self._unknown: list[Attested] = []
        self.attestations = 0

    def begin(self, attesting: Sequence[Recorded]) -> None:
        """Take notice of the attestations that there are."""
        attested = [one for event in attesting if (one := _attested(event)) is not None]
        self.attestations = len(attested)
        self._unknown = [one for one in attested if not _is_known(one.policy)]
        self._folding = Folding(one for one in attested if one not in self._unknown)

    def take(self, page: Sequence[Recorded]) -> None:
        """Let each event change its claim."""
        if self._stopped is not None:
            return
        try:
            self._folding.take(page)
            take_as_old()
        except NotFound as error:
            what = (
                f"it adopts a policy that this version doesn't have, so nothing after it was replayed: {error.detail}"
            )
            position = next(event.position for event in page if _adopts_unknown(event))
            self._stopped = Finding(kind="attestation", what=what, position=position)

    def end(self) -> Iterator[Finding]:
        """Yield the attestations that the facts do not give."""
        if self._stopped is not None:
            yield self._stopped
        for unknown in self._unknown:
            what = f"it speaks of the policy {unknown.policy}, which this version doesn't have: use a newer one"
            yield Finding(kind="attestation", what=what, position=unknown.position)
        for one in self._folding.disagreeing:
            yield _finding(one)

    @property
    def claims(self) -> int:
        """How many claims there are."""
        return len(self._folding.claims)

    @property
    def agreeing(self) -> int:
        """How many attestations were computed again and found right."""
        return len(self._folding.agreeing)


def _attested(event: Recorded) -> Attested | None:
    try:
        return attested_by(event)
    except Invalid:
        return None  # said where the event is checked


def _is_known(policy: str) -> bool:
    try:
        policy_named(policy)
    except NotFound:
        return False
    return True


def _adopts_unknown(event: Recorded) -> bool:
    return isinstance(event.fact, PolicyAdopted) and not _is_known(event.fact.policy)


def _finding(one: Disagreeing) -> Finding:
    attested = one.attested
    gives = f"the facts give {one.root}" if one.root else "that was still to come"
    what = f"it says that under {attested.policy} the state digest at {attested.at} is {attested.root}; {gives}"
    return Finding(kind="attestation", what=what, position=attested.position)
