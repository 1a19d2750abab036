"""The states of all claims at a position, in the order of their ids: from the rows, and from the log what moved on."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any, Final

from sqlalchemy import Row, Select, bindparam, select

from events.log import Log
from verifier.fold import fold
from verifier.policy import Policy
from verifier.projections import Reading, Views
from verifier.states import StateTree, state_of
from verifier.tables import GENERATIONS, TableSet

AT_ONCE: Final = 500
"""How many rows are read in one transaction."""


async def state_tree(log: Log, views: Views, at: int, policy: Policy) -> StateTree:
    """Return the tree over all claim states at a position that the views have reached, under a policy.

    No transaction lasts longer than one page of rows: a claim that has moved on since, or is served under another
    policy, is folded from the log. Raises what reading the views and the log raises.
    """
    tree, last = StateTree(), ""
    while True:
        rows = await views.read(partial(_rows, after=last))
        for row in rows:
            if row.registered_at <= at:
                tree.add(row.id, await _state(log, row, at, policy))
        if len(rows) < AT_ONCE:
            return tree
        last = rows[-1].id


async def _state(log: Log, row: Row[Any], at: int, policy: Policy) -> bytes:
    if row.position <= at and row.policy == policy.id:
        state: bytes = row.computed
        return state
    return state_of((await fold(log, row.id, upto=at)).assess(policy))


def _rows(reading: Reading, after: str) -> Sequence[Row[Any]]:
    return reading.connection.execute(_select(reading.tables), {"after": after}).all()


@lru_cache(GENERATIONS)
def _select(tables: TableSet) -> Select[Any]:
    claims = tables.claims
    columns = claims.c.id, claims.c.registered_at, claims.c.position, claims.c.policy, claims.c.computed
    return select(*columns).where(claims.c.id > bindparam("after")).order_by(claims.c.id).limit(AT_ONCE)
