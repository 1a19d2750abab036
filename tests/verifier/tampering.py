"""A log with one of everything, sealed and published, that tests tamper with: each gets a copy of its own."""

from __future__ import annotations

import asyncio
import hashlib
import random
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from newsroom import Newsroom, improvise

from events.archive import export
from events.audit import Known, Trust
from events.contracts import EvidenceAttached, StatusesAttested
from events.evidence import Snapshots
from events.open import evidence_of, open_log
from events.publish import publish, publish_texts
from tests.events.sealing import Place, seal_all
from verifier.audit import Report, audit_log
from verifier.replay import replay

EVENTS = 300
"""More than a tile holds, so that some leaves have their hash kept and some stand at the edge."""

SNAPSHOT = b"In letter, US military tells Iraq it will withdraw"


@dataclass(frozen=True, kw_only=True)
class Made:
    """A log at a URL, all of it sealed, published in `folder` with `texts` beside, exported to `export`."""

    url: str
    folder: Path
    texts: Path
    export: Path
    vkeys: Sequence[str]
    note: bytes

    @property
    def trust(self) -> Trust:
        """What an auditor has who got the key elsewhere."""
        return Trust(vkeys=self.vkeys)

    @property
    def kept(self) -> Trust:
        """What an auditor has who kept the last checkpoint, too."""
        return Trust(vkeys=self.vkeys, known=[Known("kept", self.note)])


def make(url: str, folder: Path) -> Made:
    """Make the log, with everything around it, in a folder."""
    return asyncio.run(_make(url, folder))


async def _make(url: str, folder: Path) -> Made:
    place = Place(url, folder)
    made = Made(
        url=url,
        folder=folder / "published",
        texts=folder / "texts.jsonl",
        export=folder / "newsroom.jsonl",
        vkeys=place.keys.vkeys,
        note=b"",
    )
    async with await open_log(url) as log:
        newsroom = Newsroom(log)
        await improvise(newsroom, random.Random(7), EVENTS - 4)
        await attach(newsroom, evidence_of(url))
        await attest(newsroom)
        await newsroom.claim("What comes after what was attested")
        seal = await seal_all(log, place)
        await publish(log, place.tiles, made.folder)
        await publish_texts(log, made.texts, size=seal.size, published=made.folder)
        with made.export.open("wb") as file:
            await export(log, file, evidence=evidence_of(url))
        await place.tiles.close()
    return Made(**{**made.__dict__, "note": seal.note})


async def attach(newsroom: Newsroom, evidence: Snapshots) -> None:
    """Attach a snapshot, and keep its bytes."""
    sha256 = hashlib.sha256(SNAPSHOT).hexdigest()
    await evidence.put(SNAPSHOT, sha256=sha256)
    claim = await newsroom.claim("A claim with evidence")
    fact = EvidenceAttached(document=1, media_type="text/plain", size=len(SNAPSHOT))
    await newsroom.record(f"claim:{claim}", fact, documents={"1": sha256})


async def attest(newsroom: Newsroom) -> None:
    """Attest the statuses as they are."""
    now = await replay(newsroom.log)
    await newsroom.record("log", StatusesAttested(at=now.position, policy=now.policy, root=now.digest))


def copied(made: Made, to: Path) -> Made:
    """Return a copy of all that lies in files."""
    source = made.folder.parent
    with suppress(FileNotFoundError):
        shutil.rmtree(to)
    shutil.copytree(source, to)
    return Made(
        url=made.url.replace(str(source), str(to)),
        folder=to / "published",
        texts=to / "texts.jsonl",
        export=to / "newsroom.jsonl",
        vkeys=made.vkeys,
        note=made.note,
    )


def found(where: str, trust: Trust, *, texts: Path | None = None) -> list[str]:
    """Audit, and return the findings as a person reads them."""
    return [str(finding) for finding in audited(where, trust, texts=texts).audited.findings]


def audited(where: str, trust: Trust, *, texts: Path | None = None) -> Report:
    """Audit in this process."""
    return audit_log(where, trust, texts=texts)
