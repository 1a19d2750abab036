"""The questions. Each is answered from one state of the views, or from the log, and says on what it rests.

`at_least` waits a little for the views to reach a position. Where the caller set it and they don't, that is a
problem (`ViewsBehind`); where the client added it by itself (`lenient`), what there is, is answered and
marked `behind`. A position beyond the log's head is refused at once: waiting can't help.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from sqlalchemy import select

from events.log import Recorded
from verifier.errors import Invalid, NotFound
from verifier.fold import fold
from verifier.naming import is_id, normal
from verifier.projections import Reading
from verifier.queries.about_claims import AboutClaims
from verifier.queries.about_others import AboutOthers

FIRST_LOOK: Final = 20.0
"""How many seconds the first registration of a process waits for views that are being caught up."""

TAIL: Final = 6
"""How many last characters of an id are enough to look it up."""


class Queries(AboutClaims, AboutOthers):
    """What can be asked of a log and its views."""

    async def find_claim(self, story: str | None, text: str) -> str | None:
        """Return the claim of a story (or of none) that has this wording and still takes facts.

        The first to ask waits until the views have what earlier processes recorded. Raises `ViewsBehind`
        where they don't get there in time.
        """
        if not self._level:
            await self._wait(await self._log.head(), False, within=FIRST_LOOK)
            self._level = True
        wording = (story, normal(text))
        heard = self._wordings.heard(wording)  # before the rows are read: then it is found there, or here
        found = await self._wordings.find(wording)
        return found if found is not None or heard is None else await self._still(heard, wording[1])

    async def _still(self, claim: str, text: str) -> str | None:
        """Return a claim if it has this wording now and still takes facts."""
        folded = await fold(self._log, claim)
        words = folded.names.wordings.get(folded.claim.wording)
        says = words is not None and normal(words.text or "") == text
        return claim if says and folded.claim.ended is None else None

    def hear(self, event: Recorded) -> None:
        """Take note of a fact that any process recorded, before the views have it."""
        self._wordings.hear(event)

    async def claim_ids_of_story(self, story: str) -> Sequence[str]:
        """Return all claims of a story, the first registered first, as the log has them now.

        Raises `ViewsBehind` where the views don't get there in time.
        """

        def read(reading: Reading) -> Sequence[str]:
            claims = reading.tables.claims
            wanted = select(claims.c.id).where(claims.c.story == story).order_by(claims.c.registered_at)
            return reading.connection.scalars(wanted).all()

        await self._wait(await self._log.head(), False)
        return await self._read(read)

    async def resolve(self, prefix: str, tail: str, *, at_least: int | None = None, lenient: bool = False) -> str:
        """Return the id of this kind (`clm`, `src`, `sto`, `evt`) that ends so; a full id is returned as it is.

        Raises `NotFound` where none does, `Invalid` where several do or where the end is too short.
        """
        if is_id(tail, prefix):
            return tail
        if prefix not in ("clm", "evt", "src", "sto"):
            raise NotFound(f"no id that is looked up begins with {prefix}_: give clm, evt, src or sto", id=tail)
        await self._wait(at_least, lenient)
        if len(tail) < TAIL:
            raise Invalid(f"{tail!r} is too short for an id: give its last {TAIL} characters or more", id=tail)
        found = await self._ending(prefix, tail)
        match list(found):
            case [id]:
                return id
            case []:
                raise NotFound(
                    f"no id of this log begins with {prefix}_ and ends in {tail!r}: look it up again", id=tail
                )
            case several:
                raise Invalid(f"{tail!r} is the end of {', '.join(several)}: give more of it", id=tail, ids=several)

    async def _ending(self, prefix: str, tail: str) -> Collection[str]:
        if prefix == "evt":
            return [
                event.id async for page in self._log.read_all(texts=False) for event in page if event.id.endswith(tail)
            ]

        def read(reading: Reading) -> Collection[str]:
            tables = reading.tables
            ids = {"clm": tables.claims, "src": tables.sources, "sto": tables.stories}[prefix].c.id
            wanted = select(ids).where(ids.endswith(tail, autoescape=True)).order_by(ids).limit(10)
            return reading.connection.scalars(wanted).all()

        return await self._read(read)
