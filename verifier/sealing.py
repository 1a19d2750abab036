"""Sealing in a process that has a log open: with which key, and how it goes.

A log without a key is served and not sealed. Where sealing can't go on, reads and writes do, because no fact may be
lost; `/checkpoint`, `/readyz` and `verifier doctor` say why nothing is signed.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog

from events.errors import Invalid, LogError, SealRefused
from events.keys import Keys, load_keys
from events.log import Log
from events.sealed import LOOK, Seal, Sealed
from events.sealer import EVERY, Sealer, alone
from events.seals import Seals
from verifier import cosigning
from verifier.cosigning import Witnesses
from verifier.errors import NotFound, NotSealed
from verifier.settings import Settings

AGAIN: Final = 2.0
"""Seconds until sealing is tried again that was cut off."""

WAIT: Final = EVERY + 2 * cosigning.WAIT + 1.0
"""How many seconds an answer waits for the seal that it needs: in the worst case witnesses are being waited for as it
is written, the next seal is then a while off, and they are waited for again."""

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signing:
    """Where the keys of logs are, and the second place in which their last seals stand."""

    keys: Path
    seals: Path
    witnesses: Path | None = None
    key: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, settings: Settings) -> Signing:
        """Take it from the settings."""
        key = settings.seal_key
        return cls(
            keys=settings.keys,
            seals=settings.seals,
            witnesses=settings.witnesses,
            key=None if key is None else key.get_secret_value(),
        )

    def path(self, log_id: str) -> Path:
        """Return the file of a log's keys."""
        return self.keys / f"{log_id}.key"

    def keys_of(self, log_id: str) -> Keys | None:
        """Return the keys of a log, `None` where it has none. Raises `events.errors.Invalid`."""
        if self.key is not None:
            return Keys.parse(self.key, "VERIFIER_SEAL_KEY")
        return load_keys(self.path(log_id))


class Sealing:
    """Seals one log for as long as `run` does, if this process has the key."""

    def __init__(self, log: Log, sealed: Sealed, signing: Signing | None, *, again: float = AGAIN) -> None:
        """Load the key. Raises `events.errors.Invalid` for one that others may read, or that is none, and for a file
        that is no policy of witnesses."""
        self.sealed = sealed
        self._again = again
        keys = signing.keys_of(log.id) if signing is not None else None
        self.name = keys.name if keys else None
        self._failure: str | None = None
        self._judged = False  # whether it is another's turn, or sealing failed: else we are about to begin
        self._sealer: Sealer | None = None
        self._witnesses: Witnesses | None = None
        if signing is not None and keys is not None:
            if signing.witnesses is not None:
                self._witnesses = Witnesses(_policy(signing.witnesses), sealed.hashes)
            cosign = alone if self._witnesses is None else self._witnesses.cosign
            self._sealer = Sealer(log, sealed, Seals(signing.seals), keys, cosign=cosign)

    @property
    def error(self) -> str | None:
        """Why nothing is signed now, where it should be."""
        return None if self.sealed.sealing else self._failure

    async def run(self) -> None:
        """Seal until cancelled, or until the log is closed. What cut it off is tried again, a refusal is not.

        While another process has the turn, nothing is wrong here: it seals, and this one waits.
        """
        while self._sealer is not None:
            try:
                await self._sealer.run(self._waits)
                return  # the log is closed
            except SealRefused as error:
                self._fail(str(error))
                logger.error("the log is not sealed any more", name=self.name, reason=str(error))
                return
            except (LogError, OSError) as error:
                self._fail(f"sealing was cut off and is tried again: {error}")
                logger.warning("the log is not sealed: it is tried again", name=self.name, reason=str(error))
            except Exception as error:  # the outermost loop: any other error is our bug, and the server goes on
                self._fail(f"sealing stopped ({type(error).__name__}: {error}): start again, and report it")
                logger.error("the log is not sealed any more", name=self.name, exc_info=error)
                return
            await asyncio.sleep(self._again)  # it is time itself that is waited for

    def _waits(self) -> None:
        self._failure, self._judged = None, True

    def _fail(self, why: str) -> None:
        self._failure, self._judged = why, True

    async def _checked(self) -> bool:
        """Wait some seconds until this process has compared the log with what was signed before, or won't; say whether.

        Before that, a checkpoint that is merely kept may be one that the log no longer continues.
        """
        if self._sealer is None:
            return True
        with suppress(TimeoutError):
            async with asyncio.timeout(WAIT):
                while not (self.sealed.here or self._judged):  # noqa: ASYNC110  # nobody tells
                    await asyncio.sleep(LOOK)
        return self.sealed.here or self._judged

    async def close(self) -> None:
        """Let go of connections to witnesses."""
        if self._witnesses is not None:
            await self._witnesses.close()

    async def covering(self, position: int) -> Seal:
        """Return a seal that covers a position, after waiting some seconds for it.

        Raises `NotFound` where the log is not sealed at all, `NotSealed` where it isn't sealed so far, or no more.
        """
        if not await self._checked():
            raise NotSealed("this server still compares the log with what was signed before: ask again in a moment")
        seal = await self.sealed.seal()
        sealing = seal is not None or self.name is not None  # by this process, or by another one
        if sealing and self.error is None and (seal is None or seal.size < position):
            seal = await self.sealed.reached(position, WAIT) or seal
        if self.error is not None:
            raise NotSealed(f"nothing is signed any more: {self.error}")
        if seal is None and not sealing:
            raise NotFound("this log is not sealed: make a key for it with `verifier init`, and start the server again")
        if seal is None or seal.size < position:
            size = seal.size if seal else 0
            raise NotSealed(
                f"position {position} is not sealed yet, {size} is: ask again in a second, or, where no server seals"
                " this log now, start one with its key",
                sealed=size,
            )
        return seal


def _policy(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Invalid(f"the witnesses' policy in {path} can't be read ({error.strerror}): mend the setting") from error
