"""What can only be said of a whole log: no id comes twice, and a text is missing where, and only where, it was erased.

Kept in a temporary database, which grows on the disk and not in memory; it holds ids and no texts.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Final, Literal, NamedTuple

from events.contracts import Slot

Doubt = Literal["id", "lost or hidden", "not erased", "erasure"]
"""An id that comes twice; a text missing that no fact erased; one that stands though a fact erased it; a fact
that erases a text of an event that does not come before it."""


class Doubtful(NamedTuple):
    """What is wrong with the whole, and the first position and slot where it is."""

    doubt: Doubt
    position: int
    slot: Slot | None


_TABLES: Final = """
    pragma journal_mode = off;
    create table event (id text, position integer);
    create table missing (event text, slot text, position integer, primary key (event, slot));
    create table erased (event text, slot text, position integer);
    begin;
"""

_QUERIES: Final[dict[Doubt, str]] = {
    "id": """
        select position, null from (
            select position, row_number() over (partition by id order by position) as nth from event
        ) where nth > 1""",
    "lost or hidden": """
        select position, slot from missing where (event, slot) not in (select event, slot from erased)""",
    "not erased": """
        select event.position, erased.slot from erased join event on event.id = erased.event
        where (erased.event, erased.slot) not in (select event, slot from missing)""",
    "erasure": """
        select erased.position, erased.slot from erased left join event on event.id = erased.event
        where event.position >= erased.position or event.id is null and :after = 0""",
}


class Ledger:
    """Takes note of each event of a log, in order, and says at the end what does not agree."""

    def __init__(self) -> None:
        # Used by one thread at a time, but not always by the same.
        self._db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._db.executescript(_TABLES)

    def close(self) -> None:
        """Drop the database."""
        self._db.close()

    def events(self, events: Sequence[tuple[str, int]]) -> None:
        """Note the id and the position of events, at most some thousands."""
        if events:  # in one statement: a step into the database for each costs more than the row
            rows = ", ".join(["(?, ?)"] * len(events))
            self._db.execute(f"insert into event values {rows}", list(chain.from_iterable(events)))

    def missing(self, texts: Iterable[tuple[str, Slot, int]]) -> None:
        """Note which texts are missing: of which event, which slot, at which position."""
        self._db.executemany("insert or ignore into missing values (?, ?, ?)", texts)

    def erased(self, texts: Iterable[tuple[str, Slot, int]]) -> None:
        """Note which texts were erased: of which event, which slot, and the position of the fact that says so."""
        self._db.executemany("insert into erased values (?, ?, ?)", texts)

    def explain(self, texts: Iterable[tuple[str, Slot]]) -> None:
        """Take texts for erased that are missing, because of a fact beyond what is noted here."""
        self._db.executemany("delete from missing where event = ? and slot = ?", texts)

    def doubts(self, *, after: int = 0, texts: bool = True) -> Iterator[Doubtful]:
        """Yield what doesn't agree, kind by kind, in the order of positions. `after` is where the log began to be
        read: what was erased may stand before. Without `texts` none were read, and none are missed.
        """
        self._db.execute("create index if not exists ids on event (id, position)")
        for doubt, query in _QUERIES.items():
            if texts or doubt in ("id", "erasure"):
                for position, slot in self._db.execute(f"{query} order by 1, 2", {"after": after}):
                    yield Doubtful(doubt, position, slot)
