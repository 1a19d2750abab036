"""Whose turn it is to write the views of a log that several processes have open.

One row says who, and until when by the database's clock. Whoever keeps the views renews it, also while there is
nothing to write; who gives up or falls silent is followed by the next that looks. Each turn has a number of its
own, its *epoch*. Every transaction that writes views begins by checking, under the row's lock, that the
epoch is still its own: so a process that slept through its turn finds out before it writes anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, select

from events.errors import Busy
from verifier.projections.database import CutOff
from verifier.projections.generation import Overtaken
from verifier.tables import views

SECONDS: Final = 3.0
"""How long a turn lasts that isn't renewed."""

TABLE: Final = "turn"
"""The name of the table with that one row."""

_CREATE: Final = f"""
    CREATE TABLE IF NOT EXISTS {TABLE} (
        one boolean PRIMARY KEY DEFAULT true CHECK (one),
        epoch bigint NOT NULL DEFAULT 0,
        holder text,
        until timestamptz NOT NULL DEFAULT clock_timestamp(),
        asked bigint NOT NULL DEFAULT 0,  -- how many rebuilds were asked for,
        done bigint NOT NULL DEFAULT 0,   -- how many of them are done,
        failure text                      -- or came to nothing, and why the last one did
    )"""
_LONG: Final = "%(seconds)s * interval '1 s'"
_INSERT: Final = f"INSERT INTO {TABLE} DEFAULT VALUES ON CONFLICT DO NOTHING"
# A turn that would last longer than any was given by a clock that has been set back since.
_OVER: Final = f"(until < clock_timestamp() OR until > clock_timestamp() + 2 * {_LONG})"
# Nobody waits for the row: while it is locked, whoever has the turn is writing.
_TAKE: Final = f"""
    UPDATE {TABLE} SET epoch = epoch + 1, holder = %(holder)s, until = clock_timestamp() + {_LONG}
    WHERE one = (SELECT one FROM {TABLE} WHERE {_OVER} FOR UPDATE SKIP LOCKED)
    RETURNING epoch"""
_CHECK: Final = f"SELECT 1 FROM {TABLE} WHERE epoch = %(epoch)s FOR UPDATE"
_RENEW: Final = f"""
    UPDATE {TABLE} SET until = clock_timestamp() + {_LONG} WHERE epoch = %(epoch)s"""
_GIVE_UP: Final = f"UPDATE {TABLE} SET until = clock_timestamp() WHERE epoch = %(epoch)s"
_LEFT: Final = f"""
    SELECT CASE WHEN {_OVER} THEN 0 ELSE extract(epoch FROM until - clock_timestamp())::float8 END FROM {TABLE}"""
_ASK: Final = f"UPDATE {TABLE} SET asked = asked + 1 RETURNING asked"
_ASKED: Final = f"SELECT asked, done, failure FROM {TABLE}"
_NEWEST: Final = select(views.c.position).where(~views.c.active).order_by(views.c.generation.desc()).limit(1)
_END: Final = f"UPDATE {TABLE} SET done = %(asked)s, failure = %(failure)s"


class Deposed(Exception):
    """The turn is over: another process keeps the views, or may."""


TURN_OVER: Final = (Deposed, Overtaken, CutOff, Busy)
"""What ends a turn at keeping the views; whoever has the next one goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """How this process takes its turns. The methods are parts of the caller's transaction."""

    holder: str
    seconds: float = SECONDS

    def create(self, connection: Connection) -> None:
        """Make the row where there is none."""
        connection.exec_driver_sql(_CREATE)
        connection.exec_driver_sql(_INSERT)

    def take(self, connection: Connection) -> int | None:
        """Begin a turn where nobody has one, and return its epoch."""
        # An epoch that a crash of the server forgot could be given out twice.
        connection.exec_driver_sql("SET LOCAL synchronous_commit TO on")
        asked = {"holder": self.holder, "seconds": self.seconds}
        epoch: int | None = connection.exec_driver_sql(_TAKE, asked).scalar_one_or_none()
        return epoch

    @contextmanager
    def during(self, epoch: int, connection: Connection) -> Iterator[None]:
        """Hold on to a turn until the transaction ends, and let it last from then.

        Raises `Deposed` where it is over.
        """
        if connection.exec_driver_sql(_CHECK, {"epoch": epoch}).one_or_none() is None:
            raise Deposed
        yield
        connection.exec_driver_sql(_RENEW, {"epoch": epoch, "seconds": self.seconds})

    def give_up(self, epoch: int, connection: Connection) -> None:
        """End a turn, so that the next process takes over at once."""
        connection.exec_driver_sql(_GIVE_UP, {"epoch": epoch})

    def left(self, connection: Connection) -> float:
        """Return how many seconds the present turn lasts, whosever it is; less than none where it is over."""
        seconds: float = connection.exec_driver_sql(_LEFT, {"seconds": self.seconds}).scalar_one()
        return seconds


# --- rebuilds that are asked for -------------------------------------------------------------------


def ask(connection: Connection) -> int:
    """Ask whoever keeps the views to build them anew, and return the number of this rebuild."""
    number: int = connection.exec_driver_sql(_ASK).scalar_one()
    return number


def asked(connection: Connection) -> int | None:
    """Return the number of the last rebuild that was asked for, unless it has ended."""
    row = connection.exec_driver_sql(_ASKED).one()
    return row.asked if row.asked > row.done else None


def building(connection: Connection, number: int) -> tuple[bool, str | None, int | None]:
    """Say whether a rebuild has ended, why it came to nothing, where it did, and how far one is."""
    row = connection.exec_driver_sql(_ASKED).one()
    return row.done >= number, row.failure, connection.scalar(_NEWEST)


def end(connection: Connection, number: int, failure: str | None) -> None:
    """Say that a rebuild, and every one asked for before it, is done or came to nothing."""
    connection.exec_driver_sql(_END, {"asked": number, "failure": failure})
