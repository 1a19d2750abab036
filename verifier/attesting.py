"""Attesting: the root over all claim states goes into the log, so that a status can be proved like an event.

    views at a position ──▶ state tree ──▶ statuses.attested {at, policy, root} ──▶ sealed with the log

What is attested is what was served: the states come from the views' rows, and from the log where a claim has moved
on meanwhile. Whoever folds the leaves gets the same root, or has found a fault of ours.

The event's id follows from what it says. So if we crash before the answer, or two processes attest the same, it is
recorded once. Nothing is lost if none is recorded for a while: the next one covers everything before it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final

import structlog

from events.contracts import Identity, StatusesAttested
from events.errors import LogError
from events.leaf import derive
from events.log import Log, Proposed
from verifier import render
from verifier.adopted import Adopted
from verifier.errors import Internal, NotFound, Problem, ViewsBehind
from verifier.fold import fold
from verifier.policy import policy_named
from verifier.projections import Views
from verifier.queries.past import recorded_at
from verifier.queries.states import state_tree
from verifier.states import Attested, StateTree, attestations, attested_by, state_of

WAIT: Final = 20.0
"""How many seconds an attestation waits for views that are being caught up."""

ACTOR: Final = "verifier"
"""Who attests: the product itself, whoever runs it."""

logger = structlog.get_logger(__name__)


class Attester:
    """Attests the statuses of one log, and proves those that it attested last."""

    def __init__(self, log: Log, views: Views, adopted: Adopted) -> None:
        self._log = log
        self._views = views
        self._adopted = adopted
        self._read_to = 0  # up to here the log's own stream was read
        self._last: Attested | None = None
        self._tree: tuple[Attested, StateTree] | None = None  # of one attestation: about 65 bytes for each claim
        self._one_at_a_time = asyncio.Lock()

    async def run(self, every: float) -> None:
        """Attest every so many seconds while the head moves, until cancelled.

        Of several processes the one that keeps the views does it. What fails is tried again the next time.
        """
        begun = False
        while True:
            rest = every
            try:
                if not begun:
                    rest = await self.due_in(every)
                elif self._views.kept_here:
                    await self.attest()
            except (LogError, Problem) as error:
                logger.warning("the statuses were not attested: it is tried again the next time", reason=str(error))
            except Exception as error:  # the outermost loop: any other error is our bug, and the server goes on
                logger.error("the statuses were not attested: report it", exc_info=error)
            begun = True
            await asyncio.sleep(rest)  # it is time itself that is waited for

    async def due_in(self, every: float) -> float:
        """Return in how many seconds the next attestation is due: a restart begins no new hour.

        Raises what reading the log raises.
        """
        last = await self.last()
        if last is None:
            return every
        since = datetime.now(UTC) - datetime.fromisoformat(last.recorded_at)
        return min(every, max(0.0, every - since.total_seconds()))

    async def _is_quiet(self, last: Attested) -> bool:
        """Say whether nothing was recorded since an attestation but itself."""
        return last.position == last.at + 1 == await self._log.head()

    async def attest(self) -> Attested:
        """Attest how all claims stand now; where nothing was recorded since the last attestation, return that one.

        Raises `ViewsBehind` where the views don't get to the head in time, and what appending raises.
        """
        async with self._one_at_a_time:
            head = await self._log.head()
            if not await self._views.reached(head, WAIT):
                at = self._views.position
                raise ViewsBehind(f"the views are at {at} and not yet at {head}: attest again in a moment", position=at)
            last = await self.last()
            if last is not None and await self._is_quiet(last):
                return last
            at = self._views.position
            policy = self._adopted.at(at)
            tree = await state_tree(self._log, self._views, at, policy)
            fact = StatusesAttested(at=at, policy=policy.id, root=tree.root)
            [event] = await self._log.append(
                [
                    Proposed(
                        id=derive("evt", "statuses.attested", self._log.id, str(at), policy.id),
                        stream="log",
                        fact=fact,
                        identity=Identity(actor=ACTOR),
                    )
                ]
            )
            attested = attested_by(event)
            assert attested is not None  # it is what was appended
            self._tree = (attested, tree)
            return attested

    async def last(self) -> Attested | None:
        """Return the last attestation of the log, whoever recorded it, or `None` where there is none."""
        found = await attestations(self._log, after=self._read_to)
        if found:
            self._last, self._read_to = found[-1], found[-1].position
        return self._last

    async def attestation_of(self, claim_id: str) -> dict[str, Any]:
        """Return the state of a claim as it was attested last, and the proof that it was, in the shape of
        `answers.Attestation`.

        Raises `NotFound` where nothing was attested yet, or the claim was registered since; `Internal` where the
        root that was attested is not the one that the facts give.
        """
        attested = await self.last()
        if attested is None:
            raise NotFound("no statuses were attested in this log yet: ask for it with `verifier attest`")
        async with self._one_at_a_time:
            tree = await self._tree_of(attested)
        index = tree.index(claim_id)
        if index is None:
            raise NotFound(
                f"no claim {claim_id} was there at position {attested.at}, which was attested last: look it up in the"
                " list of claims, or attest anew with `verifier attest`",
                claim=claim_id,
            )
        policy = policy_named(attested.policy)
        assessment = (await fold(self._log, claim_id, upto=attested.at)).assess(policy)
        return {
            "claim": claim_id,
            "state": state_of(assessment).decode(),
            "index": index,
            "size": tree.size,
            "proof": [one.hex() for one in tree.prove(index)],
            **told(attested),
            "basis": render.basis(
                self._log.id, attested.at, await recorded_at(self._log, attested.at), policy, assessment.digest
            ),
        }

    async def _tree_of(self, attested: Attested) -> StateTree:
        """Return the tree that was attested; it is made anew where this process did not make it."""
        if self._tree is None or self._tree[0] != attested:
            if not await self._views.reached(attested.at, WAIT):
                raise ViewsBehind(
                    f"the views are not yet at {attested.at}: ask again in a moment", position=self._views.position
                )
            tree = await state_tree(self._log, self._views, attested.at, policy_named(attested.policy))
            if tree.root != attested.root:
                raise Internal(
                    f"the root attested at position {attested.position} is not the one that the facts give:"
                    " run `verifier audit` and report it"
                )
            self._tree = (attested, tree)
        return self._tree[1]


@asynccontextmanager
async def attesting(attester: Attester, every: float) -> AsyncIterator[None]:
    """Attest every so many seconds until the end of the block; with 0, never."""
    if not every:
        yield
        return
    task = asyncio.create_task(attester.run(every), name="attest")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def told(attested: Attested) -> dict[str, Any]:
    """Return an attestation as answers tell it: which event says what root, of which position and policy."""
    return {
        "position": attested.position,
        "event": attested.event,
        "at": attested.at,
        "policy": attested.policy,
        "root": attested.root,
    }
