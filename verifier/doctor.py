"""Looks a log over, and everything around it that can go wrong: what `verifier doctor` says.

    log      its engine, where it is, its tables, its head
    views    how far they are, how far behind, and who keeps them
    seal     up to where the log is sealed, under which name, and whether it lacks what was sealed
    webhook  for each endpoint, up to where changes were queued, what waits and what was given up
    disk     what the log takes, and what is free
    clock    how the clock that dates events stands to this machine's, and to the newest event
    server   whether one serves the log, and whether it is ready

Nothing is opened for writing and no lock is taken, so it may be asked at any time. What is wrong is said in
sentences that end in what to do.
"""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

import httpx

from events.condition import Condition
from events.errors import LogError
from events.log import Log
from events.open import database_of, examine, holder_of, open_log, tiles_of
from events.seals import Seals
from events.tiles import CHECKPOINT
from events.tlog import Head, TlogError, parse_head, split_note
from verifier.app import file_of, several, views_place
from verifier.client.address import checked, shown
from verifier.errors import Problem
from verifier.health import lag_of
from verifier.projections.database import Place
from verifier.projections.looking import look_at
from verifier.projections.sqlite import SqlitePlace
from verifier.sealing import Signing
from verifier.settings import READY_LAG
from verifier.webhooks.opening import outbox_of, webhooks_place
from verifier.webhooks.outbox import Progress, as_problems

LOW: Final = 256 * 2**20
"""How many bytes should be free where a log is kept."""

CLOCKS: Final = 5.0
"""By how many seconds two clocks may differ."""

_SHORT: Final = 6  # characters of an id that name an endpoint

SERVER_WAIT: Final = 5.0
"""How many seconds a server has to answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was found: sections of named values, and what is wrong."""

    sections: dict[str, dict[str, Any]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)


async def look_over(
    url: str, address: str | None, *, ready_lag: float = READY_LAG, signing: Signing | None = None
) -> Report:
    """Look a log over, and the server at an address, if one is known.

    Whatever can't be looked at is reported as wrong, and the rest is looked at all the same. Raises `LogError` where
    nothing is known about the log at all.
    """
    report = Report()
    condition = await examine(url)
    report.sections["log"] = {"engine": condition.engine, "url": condition.url}
    report.sections["views"] = {}
    report.sections["seal"] = {}
    _look_at_tables(report, condition)
    _look_at_disk(report, condition)
    report.sections["clock"] = {"ahead_seconds": round(condition.clock_ahead, 3)}
    if abs(condition.clock_ahead) > CLOCKS:
        report.wrong.append(
            f"the database's clock is {condition.clock_ahead:+.0f} seconds from this machine's: set both by NTP"
        )
    if condition.version == condition.needed:
        await _look_inside(report, url, ready_lag, signing)
    report.sections["server"] = {"address": None}
    if address is not None:
        await _look_at_server(report, address)
    return report


async def look_at_server(address: str) -> Report:
    """Ask a server how it is; the rest stands beside its log, on its own machine."""
    report = Report(sections={"log": {}, "views": {}, "seal": {}, "clock": {}})
    await _look_at_server(report, address)
    return report


# --- the log ---------------------------------------------------------------------------------------


def _look_at_tables(report: Report, condition: Condition) -> None:
    found, needed = condition.version, condition.needed
    report.sections["log"] |= {"tables": found, "tables_needed": needed}
    if found is None:
        report.wrong.append("there are no tables yet: run `verifier migrate`, or record something")
    elif found > needed:
        report.wrong.append(
            f"the log's tables are of version {found}, newer than {needed}: use a newer version of the product"
        )
    elif found < needed:
        report.wrong.append(
            f"the log's tables are of version {found or 'none'}, older than {needed}: run `verifier migrate`"
        )


def _look_at_disk(report: Report, condition: Condition) -> None:
    report.sections["disk"] = {"used_bytes": condition.used, "free_bytes": condition.free}
    if condition.free is not None and condition.free < LOW:
        report.wrong.append(
            f"{condition.free / 2**20:,.0f} MiB are free where the log is kept: make room, or writes will be refused"
        )


async def _look_inside(report: Report, url: str, ready_lag: float, signing: Signing | None) -> None:
    try:
        async with await open_log(url, writable=False, create=None) as log:
            head = await log.head()
            newest = await _recorded_at(log, head)
            report.sections["log"] |= {"id": log.id if head else None, "head": head, "recorded_at": newest}
            _look_at_newest(report, newest)
            await _look_at_views(report, url, log, head, ready_lag)
            if head:
                await _look_at_seal(report, url, log, head, signing)
                await _look_at_webhooks(report, url, log, head)
    except LogError as error:
        report.wrong.append(str(error))


async def _recorded_at(log: Log, head: int) -> str | None:
    async with aclosing(log.read_all(after=max(head - 1, 0), upto=head, texts=False)) as pages:  # type: ignore[type-var]  # a generator
        times = [event.recorded_at async for page in pages for event in page]
    return times[-1] if times else None


def _look_at_newest(report: Report, newest: str | None) -> None:
    if newest is None:
        return
    theirs: float = report.sections["clock"]["ahead_seconds"]
    ahead = (datetime.fromisoformat(newest) - datetime.now(UTC)).total_seconds() - theirs
    report.sections["clock"]["newest_event_ahead_seconds"] = round(max(ahead, 0.0), 3)
    if ahead > CLOCKS:
        report.wrong.append(
            f"the newest event is dated {ahead:.0f} seconds from now, so a clock was wrong: set it; until then every"
            " new event is dated like that one"
        )


async def _look_at_seal(report: Report, url: str, log: Log, head: int, signing: Signing | None) -> None:
    """Compare the log with the seals that are kept beside it and in the second place."""
    section = report.sections["seal"]
    tiles = tiles_of(url)
    try:
        notes = [await tiles.read(CHECKPOINT)]
    finally:
        await tiles.close()
    keys = signing.keys_of(log.id) if signing is not None else None
    if signing is not None and keys is not None:
        notes.append(Seals(signing.seals).read(keys.name))
    sealed = [found for note in notes if note is not None and (found := _said(note)) is not None]
    last = max(sealed, key=lambda found: found.size, default=None)
    section |= {"name": keys.name if keys else last.origin if last else None, "position": last.size if last else None}
    if last is not None:
        section["unsealed_events"] = max(0, head - last.size)
        if last.size > head:
            report.wrong.append(
                f"the log ends at {head}, and {last.size} events of {last.origin} were sealed: bring back the log that"
                " has them all, or go on under a new name with `verifier fork`"
            )


def _said(note: bytes) -> Head | None:
    try:
        return parse_head(split_note(note)[0])
    except TlogError:  # torn by a crash
        return None


def _views_of(url: str) -> Place:
    if not several(url):
        return SqlitePlace(views_place(url))
    from verifier.projections.postgres import PostgresPlace  # here, because the driver is an extra

    database = database_of(url)
    return PostgresPlace(database.dsn, database.schema)


async def _look_at_views(report: Report, url: str, log: Log, head: int, ready_lag: float) -> None:
    section = report.sections["views"]
    holder = holder_of(url)
    try:
        kept = await look_at(_views_of(url))
    except Problem as problem:
        report.wrong.append(problem.detail)
        return
    keeper = f"process {holder.pid}" if holder else kept.keeper if kept else None
    section |= {"kept_by": keeper, "position": None}
    if kept is None or (head and kept.log != log.id) or kept.position > head:
        return  # whoever keeps them builds them
    lag = await lag_of(log, kept.position, head)
    section |= {"position": kept.position, "lag_events": lag.events, "lag_seconds": round(lag.seconds, 3)}
    section["rebuilding"] = kept.rebuilding
    if not kept.current:
        section["version"] = "of other code: built anew while these serve"
    if keeper is not None and lag.seconds > ready_lag:
        report.wrong.append(
            f"the views lack {lag.events:,} events, the oldest {lag.seconds:,.0f} seconds old, although {keeper} keeps"
            " them: see its log, and run `verifier rebuild`"
        )


async def _look_at_webhooks(report: Report, url: str, log: Log, head: int) -> None:
    outbox = outbox_of(url, log.id, file=webhooks_place(file_of(url)))
    try:
        with as_problems():
            endpoints, progress = await outbox.endpoints(), await outbox.progress()
    except Problem as problem:
        report.wrong.append(problem.detail)
        return
    finally:
        await outbox.close()
    for one in endpoints:
        far = progress.get(one.id, Progress())
        _look_at_endpoint(report, one.id, one.position, head, far.waiting, far.dead, one.disabled)


def _look_at_endpoint(
    report: Report, id: str, position: int, head: int, waiting: int, dead: int, disabled: str | None
) -> None:
    short = id[-_SHORT:]
    report.sections[f"webhook {short}"] = {"position": position, "waiting": waiting, "dead": dead}
    if disabled is not None:
        report.wrong.append(f"endpoint {short} is disabled ({disabled}): `verifier webhooks replay {short}` goes on")
    if dead:
        report.wrong.append(
            f"{dead:,} messages to endpoint {short} were given up: see `verifier webhooks dead {short}`, mend the"
            f" receiver, and `verifier webhooks replay {short}`"
        )
    if position > head:
        report.wrong.append(
            f"endpoint {short} was told of changes up to {position:,}, and the log ends at {head:,}: bring back the log"
            " that has them all, or remove the endpoint and add it again"
        )


# --- the server ------------------------------------------------------------------------------------


async def _look_at_server(report: Report, address: str) -> None:
    checked(address)
    where = shown(address)
    section = report.sections["server"] = {"address": where}
    try:
        async with httpx.AsyncClient(base_url=address, timeout=SERVER_WAIT) as http:
            asked = datetime.now(UTC)
            ready = await http.get("/readyz")
            health = (await http.get("/api/v1/health")).raise_for_status().json()
            webhooks = (await http.get("/api/v1/webhooks")).raise_for_status().json()
    except (httpx.HTTPError, ValueError) as error:
        report.wrong.append(f"the server at {where} doesn't answer ({error or type(error).__name__}): start it again")
        return
    section |= {"ready": ready.status_code == 200, "version": health["version"]}
    report.sections["log"] |= {"id": health["log"], "head": health["head"]}
    report.sections["views"] |= {
        "position": health["views"],
        "lag_events": health["lag_events"],
        "lag_seconds": health["lag_seconds"],
        "rebuilding": health["rebuilding"],
    }
    if health["sealed"] is not None:
        report.sections["seal"] |= {
            "position": health["sealed"],
            "unsealed_events": health["unsealed_events"],
            "unsealed_seconds": health["unsealed_seconds"],
        }
    for one in webhooks["items"]:
        if f"webhook {one['id'][-_SHORT:]}" not in report.sections:  # known from beside the log
            values = [one[name] for name in ("waiting", "dead", "disabled")]
            _look_at_endpoint(report, one["id"], one["position"], health["head"], *values)
    if ready.status_code != 200:
        report.wrong.append(str(ready.json().get("detail", f"{where}/readyz answers {ready.status_code}")))
    elif health["detail"] is not None:
        report.wrong.append(health["detail"])
    if "date" in ready.headers and "ahead_seconds" not in report.sections["clock"]:
        _look_at_date(report, ready.headers["date"], asked)


def _look_at_date(report: Report, date: str, asked: datetime) -> None:
    """Compare clocks by the second: a server tells no more."""
    ahead = (parsedate_to_datetime(date) - asked).total_seconds()
    ahead = 0.0 if -1.0 <= ahead <= 1.0 else round(ahead, 3)
    report.sections["clock"]["ahead_seconds"] = ahead
    if abs(ahead) > CLOCKS:
        report.wrong.append(f"the server's clock is {ahead:+.0f} seconds from this machine's: set both by NTP")
