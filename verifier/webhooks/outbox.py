"""What is kept of webhooks: endpoints and their secrets, how far each is, what waits and what was given up.

It is no fact of the log and no view: it can't be computed again, and says nothing about claims that the log doesn't.
So it has a place of its own: a file beside the log (`newsroom.webhooks.db`, which only its owner may read), or a schema
of the same database (`newsroom_webhooks`). It is made when the first endpoint is. Nothing of a message is kept but
which change it is about; what it says is rendered when it is sent.

Every verb is one transaction. On PostgreSQL those of the sender are fenced by its turn (`verifier.projections.lease`):
whoever has lost it changes nothing any more.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from copy import copy
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, Table, and_, delete, exc, func, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from verifier.errors import Busy, DiskFull, NotReady
from verifier.projections.database import CutOff, Database, NoRoom, Place, Unreadable
from verifier.projections.lease import Deposed, Lease
from verifier.queries.changed import AT_ONCE, batched
from verifier.webhooks.endpoint import Change, Endpoint, Filters, Secret
from verifier.webhooks.queue import Waiting
from verifier.webhooks.tables import DEAD, ENDPOINT, METADATA, OF_ENDPOINT, OUTBOX, SECRET, TOLD, VERSION, WAITING

LOST: Final = (CutOff, Deposed, NoRoom, Unreadable)
"""What may come of any verb where the database has the last word."""

_INSERTS: Final = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
_THERE: Final = {
    "sqlite": "SELECT count(*) FROM sqlite_master WHERE name = 'outbox'",
    "postgresql": "SELECT count(to_regclass('outbox'))",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A message that was given up: which change it is about, how often and from when until when it was tried, and why
    it failed the last time."""

    position: int
    claim: str
    attempts: int
    first: float
    died: float
    failure: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far an endpoint is: how many messages wait, the first of them, the last failure, and how many were given
    up."""

    waiting: int = 0
    oldest: int | None = None
    failing: str | None = None
    dead: int = 0


class Gone(Exception):
    """The endpoint was removed, or another process moved it on: what was decided about it no longer holds."""


class Outbox:
    """What is kept of the webhooks of one log. Made by `at`."""

    def __init__(self, place: Place, log_id: str, *, file: Path | None, lease: Lease | None) -> None:
        self._database = Database(place)
        self._insert: Any = _INSERTS[place.dialect]
        self._dialect = place.dialect
        self._log = log_id
        self._file = file
        self._lease = lease
        self._made = False
        self._give_up: Callable[[], Awaitable[None]] | None = None

    # --- being there ---------------------------------------------------------------------------------

    async def there(self) -> bool:
        """Say whether anything is kept at all. Raises `NotReady` for what is kept of another log or by other code."""
        if not self._made and (self._file is None or self._file.exists()):
            self._made = await self._database.read(self._is_made)
        return self._made

    def _is_made(self, connection: Connection) -> bool:
        if not connection.exec_driver_sql(_THERE[self._dialect]).scalar_one():
            return False
        row = connection.execute(select(OUTBOX)).one()
        if row.version != VERSION:
            raise NotReady(f"the webhooks beside this log are of version {row.version}, this code keeps {VERSION}:"
                           " use a newer version of the product")  # fmt: skip
        if row.log != self._log:
            raise NotReady(f"the webhooks beside this log are those of {row.log}: move them away")
        return True

    async def make(self) -> None:
        """Make what is needed to keep anything, where it isn't there."""
        if await self.there():
            return
        if self._file is not None:  # before SQLite does, which would let others read it; its other files get its mode
            os.close(os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
        if self._dialect == "postgresql":
            await self._database.check()
        await self._database.write(self._make)
        self._made = True

    def _make(self, connection: Connection) -> None:
        if self._dialect == "postgresql":  # two processes may come here at once
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(hashtext(current_schema()))")
        if not self._is_made(connection):
            METADATA.create_all(connection)
            if self._lease is not None:
                self._lease.create(connection)
            connection.execute(insert(OUTBOX).values(log=self._log, version=VERSION))

    async def close(self) -> None:
        """Let go of the connections."""
        await self._database.close()

    # --- turns ---------------------------------------------------------------------------------------

    async def take_turn(self) -> Outbox | None:
        """Return what the sender writes by if it is its turn; `None` while another process has it."""
        if self._lease is None:
            return self
        epoch = await self._database.write(self._lease.take)
        if epoch is None:
            return None
        fenced = copy(self)
        fenced._database = self._database.fenced(partial(self._lease.during, epoch))
        fenced._give_up = partial(self._database.write, partial(self._lease.give_up, epoch))
        return fenced

    async def hold(self) -> None:
        """Let a turn last. Raises `Deposed` where it is over."""
        await self._database.write(lambda connection: None)  # what renews it is the fence around this

    async def give_up(self) -> None:
        """End a turn, so that the next process takes over at once. A turn that was cut off ends by itself."""
        if self._give_up is not None:
            with suppress(*LOST):
                await self._give_up()

    @property
    def shared(self) -> bool:
        """Whether several processes take turns at sending."""
        return self._lease is not None

    @property
    def lasts(self) -> float:
        """How many seconds a turn lasts that isn't renewed."""
        return self._lease.seconds if self._lease is not None else float("inf")

    # --- what an operator changes --------------------------------------------------------------------

    async def add(self, endpoint: Endpoint, secret: Secret) -> Endpoint:
        """Keep an endpoint with its first secret; one that is there under this id is returned as it is."""
        await self.make()

        def work(connection: Connection) -> Endpoint:
            if not (found := self._read(connection, endpoint.id)):
                filters = asdict(endpoint.filters)
                connection.execute(
                    insert(ENDPOINT).values(
                        id=endpoint.id, url=endpoint.url, position=endpoint.position, made_at=endpoint.made_at,
                        changed=0, **filters,
                    )
                )  # fmt: skip
                self._add_secret(connection, endpoint.id, secret)
                found = self._read(connection, endpoint.id)
            return found[0]

        return await self._database.write(work)

    async def remove(self, id: str) -> bool:
        """Forget an endpoint and all that is kept of it; say whether it was there."""

        def work(connection: Connection) -> bool:
            for table in OF_ENDPOINT:
                connection.execute(delete(table).where(table.c.endpoint == id))
            return connection.execute(delete(ENDPOINT).where(ENDPOINT.c.id == id)).rowcount > 0

        removed = await self.there() and await self._database.write(work)
        if removed:
            await self._database.scrub()  # the secrets are gone from the file's log, too
        return removed

    async def rotate(self, id: str, secret: Secret, until: float) -> Endpoint | None:
        """Give an endpoint a new secret, and let those that it has count until then; the same one again changes
        nothing. `None` where the endpoint isn't there."""

        def work(connection: Connection) -> Endpoint | None:
            found = self._read(connection, id)
            if not found or any(known.id == secret.id for known in found[0].secrets):
                return found[0] if found else None
            connection.execute(
                update(SECRET)
                .where(SECRET.c.endpoint == id, or_(SECRET.c.until.is_(None), SECRET.c.until > until))
                .values(until=until)
            )
            connection.execute(delete(SECRET).where(SECRET.c.endpoint == id, SECRET.c.until <= secret.made_at))
            self._add_secret(connection, id, secret)
            self._touch(connection, id)
            return self._read(connection, id)[0]

        return await self._database.write(work) if await self.there() else None

    async def replay(self, id: str, now: float) -> int | None:
        """Queue again what was given up, and go on with an endpoint that was disabled; return how many messages these
        were. `None` where the endpoint isn't there."""

        def work(connection: Connection) -> int | None:
            if not self._read(connection, id):
                return None
            dead = connection.execute(select(DEAD).where(DEAD.c.endpoint == id)).all()
            connection.execute(delete(DEAD).where(DEAD.c.endpoint == id))
            self._wait(connection, id, [Waiting(position=row.position, claim=row.claim, due=now) for row in dead])
            connection.execute(update(WAITING).where(WAITING.c.endpoint == id).values(due=now, attempts=0, first=None))
            connection.execute(update(ENDPOINT).where(ENDPOINT.c.id == id).values(disabled=None))
            self._touch(connection, id)
            return len(dead)

        return await self._database.write(work) if await self.there() else None

    def _add_secret(self, connection: Connection, id: str, secret: Secret) -> None:
        connection.execute(
            insert(SECRET).values(id=secret.id, endpoint=id, key=secret.key, made_at=secret.made_at)
        )  # fmt: skip

    def _touch(self, connection: Connection, id: str) -> None:
        connection.execute(update(ENDPOINT).where(ENDPOINT.c.id == id).values(changed=ENDPOINT.c.changed + 1))

    # --- what is read --------------------------------------------------------------------------------

    async def endpoints(self, id: str | None = None) -> list[Endpoint]:
        """Return the endpoints, the first made first, or one of them."""
        return await self._database.read(lambda connection: self._read(connection, id)) if await self.there() else []

    def _read(self, connection: Connection, id: str | None = None) -> list[Endpoint]:
        wanted, of = select(ENDPOINT), select(SECRET)
        if id is not None:
            wanted, of = wanted.where(ENDPOINT.c.id == id), of.where(SECRET.c.endpoint == id)
        secrets: dict[str, list[Secret]] = {}
        for row in connection.execute(of.order_by(SECRET.c.made_at, SECRET.c.id)):
            one = Secret(id=row.id, key=row.key, made_at=row.made_at, until=row.until)
            secrets.setdefault(row.endpoint, []).append(one)
        rows = connection.execute(wanted.order_by(ENDPOINT.c.made_at, ENDPOINT.c.id))
        return [_as_endpoint(row, secrets.get(row.id, ())) for row in rows]

    async def progress(self) -> Mapping[str, Progress]:
        """Return how far each endpoint is that has anything waiting or given up."""

        def work(connection: Connection) -> dict[str, Progress]:
            counted = select(DEAD.c.endpoint, func.count()).group_by(DEAD.c.endpoint)
            dead: dict[str, int] = {row[0]: row[1] for row in connection.execute(counted)}
            found = {id: Progress(dead=count) for id, count in dead.items()}
            waiting = select(WAITING.c.endpoint, func.count().label("many"), func.min(WAITING.c.position).label("at"))
            for row in connection.execute(waiting.group_by(WAITING.c.endpoint)):
                failing = (
                    select(WAITING.c.failure)
                    .where(WAITING.c.endpoint == row.endpoint, WAITING.c.failure.is_not(None))
                    .order_by(WAITING.c.position)
                    .limit(1)
                )
                found[row.endpoint] = Progress(
                    waiting=row.many,
                    oldest=row.at,
                    failing=connection.scalar(failing),
                    dead=dead.get(row.endpoint, 0),
                )
            return found

        return await self._database.read(work) if await self.there() else {}

    async def dead(self, id: str, after: tuple[int, str], limit: int) -> list[DeadLetter]:
        """Return what was given up for an endpoint, in the order of positions, after a position and claim."""
        wanted = _beyond(DEAD, id, after)

        def work(connection: Connection) -> list[DeadLetter]:
            return [
                DeadLetter(
                    position=row.position, claim=row.claim, attempts=row.attempts, first=row.first, died=row.died,
                    failure=row.failure,
                )
                for row in connection.execute(wanted.limit(limit))
            ]  # fmt: skip

        return await self._database.read(work) if await self.there() else []

    # --- what the sender does ------------------------------------------------------------------------

    async def waiting(self, id: str, after: tuple[int, str], limit: int) -> list[Waiting]:
        """Return what waits for an endpoint, in the order of positions, after a position and claim."""
        wanted = _beyond(WAITING, id, after)

        def work(connection: Connection) -> list[Waiting]:
            return [
                Waiting(
                    position=row.position, claim=row.claim, due=row.due, attempts=row.attempts, first=row.first,
                    failure=row.failure,
                )
                for row in connection.execute(wanted.limit(limit))
            ]  # fmt: skip

        return await self._database.read(work)

    async def told(self, id: str, claims: Collection[str]) -> dict[str, str]:
        """Return the status that an endpoint was told last of each of some claims, or is about to be told."""

        def work(connection: Connection) -> dict[str, str]:
            found: dict[str, str] = {}
            for some in batched(claims, AT_ONCE):
                wanted = select(TOLD).where(TOLD.c.endpoint == id, TOLD.c.claim.in_(some))
                found |= {row.claim: row.status for row in connection.execute(wanted)}
            return found

        return await self._database.read(work)

    async def queue(self, id: str, seen: int, upto: int, changes: Sequence[Change], now: float) -> list[Waiting]:
        """Queue changes for an endpoint that was queued for up to `seen`, and take note that it is up to `upto` now.

        Raises `Gone` where it isn't there any more, or not where we thought it was.
        """
        messages = [Waiting(position=change.position, claim=change.claim, due=now) for change in changes]
        told = {
            change.claim: {"endpoint": id, "claim": change.claim, "position": change.position, "status": change.status}
            for change in changes
        }

        def work(connection: Connection) -> list[Waiting]:
            here = and_(ENDPOINT.c.id == id, ENDPOINT.c.position == seen, ENDPOINT.c.disabled.is_(None))
            if connection.execute(update(ENDPOINT).where(here).values(position=upto)).rowcount == 0:
                raise Gone
            self._wait(connection, id, messages)
            if told:
                statement = self._insert(TOLD)
                replaced = {name: statement.excluded[name] for name in ("position", "status")}
                upsert = statement.on_conflict_do_update(index_elements=["endpoint", "claim"], set_=replaced)
                connection.execute(upsert, list(told.values()))
            return messages

        return await self._database.write(work)

    def _wait(self, connection: Connection, id: str, messages: Sequence[Waiting]) -> None:
        if messages:
            rows = [{"endpoint": id, **asdict(message)} for message in messages]
            connection.execute(self._insert(WAITING).on_conflict_do_nothing(), rows)

    async def settle(
        self,
        id: str,
        *,
        delivered: Sequence[Waiting] = (),
        failed: Sequence[Waiting] = (),
        dead: Sequence[DeadLetter] = (),
        disabled: str | None = None,
    ) -> None:
        """Take note of what came of some attempts, and why the endpoint gets nothing any more, where it doesn't."""

        def work(connection: Connection) -> None:
            ended: list[Waiting | DeadLetter] = [*delivered, *dead]
            for message in ended:
                connection.execute(delete(WAITING).where(_is(WAITING, id, message)))
            for waits in failed:
                values = {"due": waits.due, "attempts": waits.attempts, "first": waits.first, "failure": waits.failure}
                connection.execute(update(WAITING).where(_is(WAITING, id, waits)).values(values))
            there = connection.execute(select(ENDPOINT.c.id).where(ENDPOINT.c.id == id)).first() is not None
            if dead and there:
                rows = [{"endpoint": id, **asdict(letter)} for letter in dead]
                connection.execute(self._insert(DEAD).on_conflict_do_nothing(), rows)
            if disabled is not None:
                connection.execute(update(ENDPOINT).where(ENDPOINT.c.id == id).values(disabled=disabled))
                self._touch(connection, id)

        await self._database.write(work)


def _beyond(table: Table, id: str, after: tuple[int, str]) -> Select[Any]:
    """Return what a table holds for an endpoint after a position and claim, in their order."""
    position, claim = after
    beyond = or_(table.c.position > position, and_(table.c.position == position, table.c.claim > claim))
    return select(table).where(table.c.endpoint == id, beyond).order_by(table.c.position, table.c.claim)


def _is(table: Table, id: str, message: Waiting | DeadLetter) -> Any:
    return and_(table.c.endpoint == id, table.c.position == message.position, table.c.claim == message.claim)


def _as_endpoint(row: Row[Any], secrets: Sequence[Secret]) -> Endpoint:
    filters = Filters(claim=row.claim, story=row.story, source=row.source, status=row.status, recalls=row.recalls)
    return Endpoint(
        id=row.id, url=row.url, filters=filters, position=row.position, made_at=row.made_at, disabled=row.disabled,
        changed=row.changed, secrets=tuple(secrets),
    )  # fmt: skip


@contextmanager
def as_problems() -> Iterator[None]:
    """Tell trouble with what is kept as a problem, with what to do. Raises `DiskFull`, `Busy`, `NotReady`."""
    try:
        yield
    except NoRoom as full:
        raise DiskFull(f"there is no room for the webhooks ({full}): make room and try again") from full
    except CutOff as cut:
        raise Busy(
            f"the database of the webhooks can't be reached ({cut}): see whether it runs, and try again"
        ) from cut
    except Unreadable as damage:
        raise NotReady(
            f"the webhooks can't be read ({damage}): put the backup of their file or schema back"
        ) from damage
    except exc.DBAPIError as refusal:
        said = str(refusal.orig).partition("\n")[0]
        raise NotReady(f"the webhooks can't be kept ({said}): see who may write beside the log") from refusal
