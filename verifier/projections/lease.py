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

from sqlalchemy import Connection

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
        asked bigint NOT NULL DEFAULT 0,  -- how many rebuilds were asked for …
        done bigint NOT NULL DEFAULT 0,   -- … and how many of them are done,
        failure text                      -- or came to nothing, and why the last one did
    )"""
_INSERT: Final = f"INSERT INTO {TABLE} DEFAULT VALUES ON CONFLICT DO NOTHING"
# Nobody waits for the row: while it is locked, whoever has the turn is writing.
_TAKE: Final = f"""
    UPDATE {TABLE} SET epoch = epoch + 1, holder = %(holder)s, until = clock_timestamp() + %(seconds)s * interval '1 s'
    WHERE one = (SELECT one FROM {TABLE} WHERE until < clock_timestamp() FOR UPDATE SKIP LOCKED)
    RETURNING epoch"""
_CHECK: Final = f"SELECT 1 FROM {TABLE} WHERE epoch = %(epoch)s FOR UPDATE"
_RENEW: Final = f"""
    UPDATE {TABLE} SET until = clock_timestamp() + %(seconds)s * interval '1 s' WHERE epoch = %(epoch)s"""
_GIVE_UP: Final = f"UPDATE {TABLE} SET until = clock_timestamp() WHERE epoch = %(epoch)s"
_LEFT: Final = f"SELECT extract(epoch FROM until - clock_timestamp())::float8 FROM {TABLE}"
_ASK: Final = f"UPDATE {TABLE} SET asked = asked + 1 RETURNING asked"
_ASKED: Final = f"SELECT asked, done, failure FROM {TABLE}"
_END: Final = f"UPDATE {TABLE} SET done = %(asked)s, failure = %(failure)s"


class Deposed(Exception):
    """The turn is over: another process keeps the views, or may."""


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
        seconds: float = connection.exec_driver_sql(_LEFT).scalar_one()
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


def ended(connection: Connection, number: int) -> tuple[bool, str | None]:
    """Say whether a rebuild has ended, and why it came to nothing, where it did."""
    row = connection.exec_driver_sql(_ASKED).one()
    return row.done >= number, row.failure


def end(connection: Connection, number: int, failure: str | None) -> None:
    """Say that a rebuild, and every one asked for before it, is done or came to nothing."""
    connection.exec_driver_sql(_END, {"asked": number, "failure": failure})
