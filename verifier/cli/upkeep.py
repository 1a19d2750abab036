"""Looking after a log: doctor, migrate, attest, rebuild; `replaying` has replay."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import typer

from events import errors as log_errors
from verifier.cli import output, replaying
from verifier.cli.reach import (
    LOG_WAIT,
    POLL,
    LogOption,
    OutputOption,
    fail,
    log_url,
    run,
    served_at,
    settings_of,
    shown,
    writing,
)
from verifier.errors import Internal

if TYPE_CHECKING:
    from events.condition import Condition
    from verifier.answers import Attested
    from verifier.client import Verifier
    from verifier.doctor import Report
    from verifier.settings import Settings


def add_to(app: typer.Typer) -> None:
    """Add the commands on what a server keeps."""
    for function in (doctor, migrate, replaying.replay, attest, rebuild):
        app.command(rich_help_panel="Serve and look after")(function)


def doctor(log: LogOption = None, output: OutputOption = "table") -> None:
    """Look a log over: its tables, its head, how far behind its views are, disk, clock, and the server that has it.

    Ends with exit code 1 where something is wrong, and says what to do.
    """
    run(lambda: _doctor(settings_of(log=log), output))


async def _doctor(settings: Settings, format: output.Format) -> None:
    from verifier import doctor
    from verifier.sealing import Signing

    url, address = settings.log, served_at(settings.log)
    if address == url:
        report = await doctor.look_at_server(url)
    else:
        report = await doctor.look_over(url, address, ready_lag=settings.ready_lag, signing=Signing.of(settings))
    if format == "table":
        _show(report)
    else:
        output.document({**report.sections, "wrong": report.wrong}, format)
    if report.wrong:
        fail("; ".join(report.wrong))


_WITHOUT: Final = {
    "log tables": "none",
    "views kept by": "no process: the next that serves the log",
    "seal name": "none: `verifier init` makes a key",
    "seal position": "none: nothing is sealed yet",
    "views position": "none yet: whoever keeps them builds them",
    "disk free bytes": "not known to the database",
    "server address": "none known: give one with --log",
}
"""What a table shows where there is no value."""


def _show(report: Report) -> None:
    values = {}
    for section, found in report.sections.items():
        for name, value in found.items():
            label = f"{section} {name.replace('_', ' ')}"
            values[label] = _WITHOUT.get(label) if value is None else _for_people(name, value)
    output.fields(values)


def migrate(log: LogOption = None) -> None:
    """Bring the tables of a log to the version that this program needs, all of it or nothing.

    A log on SQLite is also migrated when it is opened for writing; one on PostgreSQL only by this. Two at once are
    fine.
    """
    run(lambda: _migrate(log_url(log)))


def _for_people(name: str, value: object) -> object:
    match name, value:
        case "recorded_at", str():
            return output.moment(value)
        case _, bool():
            return "yes" if value else "no"
        case _, int():
            return f"{value:,}"
        case _:
            return value


async def _migrate(url: str) -> None:
    from events.open import examine

    found = await _condition(url)
    before = found.version if found else None
    after = await _migrated(url)
    where = (await examine(url)).url
    if before == after:
        output.tell(f"the tables of {where} are of version {after}: nothing to do")
    else:
        output.tell(f"the tables of {where} are now of version {after}; before: {before or 'none'}")


async def _migrated(url: str) -> str:
    """Migrate a log, also one that another process has open for writing: that one has migrated it, or is about to."""
    from events.open import migrate_log

    loop = asyncio.get_running_loop()
    patient_until = loop.time() + LOG_WAIT
    while True:
        try:
            return await migrate_log(url)
        except log_errors.LogInUse:
            found = await _condition(url)
            if found is not None and found.version == found.needed:
                return found.needed
            if loop.time() > patient_until:
                raise
            await asyncio.sleep(POLL)  # nobody tells when it is done


async def _condition(url: str) -> Condition | None:
    """Return what there is, `None` where there is nothing yet."""
    from events.open import examine

    try:
        return await examine(url)
    except log_errors.Invalid:  # a URL that names no log is refused by whoever makes it
        return None


def attest(log: LogOption = None, output: OutputOption = "table") -> None:
    """Attest how all claims stand now: the root over their states goes into the log, so that a status can be proved.

    A server does it by itself, as often as the setting attest_every says.
    """

    async def work(verifier: Verifier) -> None:
        _show_attested(await verifier.attest(), output)

    writing(log, work, create=False)


def _show_attested(attested: Attested, format: output.Format) -> None:
    fields = {name: getattr(attested, name) for name in ("at", "policy", "root", "position", "event")}
    output.answer(attested, format, table=lambda: output.fields(fields))


def rebuild(log: LogOption = None) -> None:
    """Build the views anew from the log, while a server that has it open goes on serving."""
    run(lambda: _rebuild(log_url(log)))


async def _rebuild(url: str) -> None:
    address = served_at(url)
    with output.progress("building") as tell:
        position = await (_rebuild_at(address, tell) if address else _rebuild_here(url, tell))
    output.tell(f"the views of {address or shown(url)} are at {position:,}")


async def _rebuild_here(url: str, tell: Callable[[int, int | None], None]) -> int:
    from verifier.app import open_desk

    async with open_desk(url) as desk:
        await desk.views.rebuild(tell)
        return desk.views.position


async def _rebuild_at(address: str, tell: Callable[[int, int | None], None]) -> int:
    """Ask a server to rebuild, and look twice a second how far it is."""
    from verifier.client import Verifier

    async with Verifier(address) as verifier:
        health = await verifier.rebuild()
        while health.rebuilding is not None:
            tell(health.rebuilding, health.head)
            await asyncio.sleep(0.5)  # a server tells nobody how far it is: it is asked
            health = await verifier.health()
        if health.detail is not None:
            raise Internal(health.detail)
        return health.views
