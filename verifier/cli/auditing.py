"""Auditing a log, publishing it, and standing witness for a partner's: audit, publish, witness."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from verifier.cli import output
from verifier.cli.reach import FAILED, LogOption, OutputOption, fail, log_url, run, settings_of
from verifier.errors import Invalid

if TYPE_CHECKING:
    from events.audit import Audited, Known, Trust
    from verifier.audit import Report

_UNSIGNED: Final = (
    "by no checkpoint: nothing says that these are the events that were recorded, only whether they agree;"
    " give a checkpoint that you kept with --known"
)
_UNCHECKED: Final = "not checked, for want of a key: give the log's with --vkey"


def add_to(app: typer.Typer) -> None:
    """Add the commands on what can be proved."""
    for function in (audit, publish, witness):
        app.command(rich_help_panel="Audit")(function)


def audit(
    where: Annotated[
        str | None,
        typer.Argument(
            help="A log's URL, a server's address, a published folder or an export. Left out: as set.",
            metavar="WHERE",
            show_default=False,
        ),
    ] = None,
    vkey: Annotated[
        list[str] | None, typer.Option(help="The log's public key, as you got it elsewhere; repeatable.")
    ] = None,
    known: Annotated[
        list[Path] | None, typer.Option(help="A checkpoint that you kept, in a file; repeatable.", metavar="CHECKPOINT")
    ] = None,
    witness_policy: Annotated[
        Path | None, typer.Option(help="Whose cosignatures are enough, as a tlog-policy.", metavar="FILE")
    ] = None,
    texts: Annotated[
        Path | None, typer.Option(help="The texts of a published log, as publish wrote them.", metavar="FILE")
    ] = None,
    processes: Annotated[int, typer.Option(min=1, max=64, help="How many processes share the work.")] = 1,
    output: OutputOption = "table",
) -> None:
    """Check a whole log, without trusting who keeps it: signatures, every leaf, every text, every attested status.

    Ends with exit code 3 where anything is wrong, and names the place.
    """

    async def work() -> None:
        trust = _trust(vkey or [], known or [], witness_policy)
        report = await _audited(where or settings_of().log, trust, texts, processes)
        _end(report, output)

    run(work)


def _end(report: Report, format: output.Format) -> None:
    _show(report, format)
    if report.audited.findings:
        total = report.audited.counts.total()
        fail(f"the audit failed, with {output.counted(total, 'finding')}: keep a copy of all of it", code=FAILED)


def _trust(vkeys: list[str], known: list[Path], policy: Path | None) -> Trust:
    from events.audit import Trust

    return Trust(
        vkeys=vkeys,
        known=[_kept(path) for path in known],
        policy=policy.read_bytes() if policy is not None else None,
    )


def _kept(path: Path) -> Known:
    """Read a checkpoint that somebody kept. Raises `Invalid` for what can't ever have been one."""
    from events.audit import Known
    from events.tlog import TlogError, parse_head, split_note

    raw = path.read_bytes()
    try:
        parse_head(split_note(raw)[0])
    except TlogError as error:
        raise Invalid(f"{path} is no checkpoint ({error}): give one as it is served at /checkpoint") from error
    return Known(str(path), raw)


async def _audited(where: str, trust: Trust, texts: Path | None, processes: int) -> Report:
    """Audit in a thread: reading and hashing block. Interrupted, it ends at the next look at the progress."""
    from verifier.audit import audit_log

    stopped = threading.Event()

    def stoppable(tell: Callable[[int, int | None], None]) -> Callable[[int, int], None]:
        def progress(done: int, total: int) -> None:
            if stopped.is_set():
                raise Invalid("the audit was stopped")
            tell(done, total)

        return progress

    with output.progress("auditing") as tell:
        auditing = asyncio.to_thread(
            audit_log, where, trust, texts=texts, processes=processes, progress=stoppable(tell)
        )
        try:
            return await auditing
        except asyncio.CancelledError:
            stopped.set()
            raise


def _show(report: Report, format: output.Format) -> None:
    from verifier.audit import document_of

    if format != "table":
        output.document(document_of(report), format)
        return
    audited = report.audited
    output.fields(
        {
            "log": audited.log,
            "events": f"{audited.head:,}",
            "checkpoint": None if audited.size is None else f"{audited.size:,} events, with root {audited.root}",
            "kept before": output.counted(audited.known, "checkpoint") if audited.known else None,
            "signed by": _signers(audited) if audited.size is not None or audited.known else None,
            "covered": f"up to {audited.covered:,}; not sealed after it: {audited.unsealed:,}"
            if audited.size is not None or audited.known
            else _UNSIGNED,
            "texts": "checked" if audited.texts else "not here, so not checked",
            "replayed": output.counted(report.claims, "claim"),
            "attested": f"{report.agreeing:,} of {output.counted(report.attestations, 'time')} as a replay gives it"
            if report.attestations
            else "never, so no status was attested that could be compared",
            "wrong": None if audited.findings else "nothing",
        }
    )
    for finding in audited.findings:
        output.tell(str(finding))


def _signers(audited: Audited) -> str:
    if not audited.keys:
        return _UNCHECKED
    names = ", ".join(dict.fromkeys(key.partition("+")[0] for key in audited.keys))
    return (
        f"{names}, by the key that it gives itself: give one that you trust with --vkey" if audited.own_keys else names
    )


def publish(
    folder: Annotated[Path, typer.Argument(help="The folder to publish into.", metavar="DIR")],
    texts: Annotated[
        Path | None,
        typer.Option(help="Write the texts into this file, for an auditor; it lies outside DIR.", metavar="FILE"),
    ] = None,
    log: LogOption = None,
) -> None:
    """Write leaves, tiles and checkpoint of a sealed log into a folder that any web server can serve. No texts.

    Run it again to go on from what is there.
    """

    async def work() -> None:
        from events.open import open_log, tiles_of
        from events.publish import check_apart, publish, publish_texts

        url = log_url(log)
        if texts is not None:
            check_apart(texts, folder)
        async with await open_log(url, writable=False, create=None) as opened:
            tiles = tiles_of(url)
            try:
                with output.progress("publishing") as tell:
                    done = await publish(opened, tiles, folder, tell)
            finally:
                await tiles.close()
            written = output.counted(done.files, "file")
            output.tell(f"{folder}: {done.name}, {output.counted(done.size, 'event')}, {written} written")
            if texts is not None:
                with output.progress("writing texts") as tell:
                    await publish_texts(opened, texts, size=done.size, published=folder, progress=tell)
                output.tell(f"{texts}: the texts of {output.counted(done.size, 'event')}, for auditors only")

    run(work)


def witness(
    folder: Annotated[Path, typer.Argument(help="Where it keeps its key and what it has cosigned.", metavar="DIR")],
    name: Annotated[str, typer.Option(help="The name of its key, such as partner.example/witness.")],
    vkey: Annotated[list[str], typer.Option(help="The public key of a log that it knows; repeatable.")],
    host: Annotated[str, typer.Option(help="The address to listen at; only loopback.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="The port to listen at; 0 takes a free one.")] = 8751,
) -> None:
    """Stand witness for logs of others: cosign each checkpoint that continues the one before, until interrupted."""

    async def work() -> None:
        from verifier import witness
        from verifier.logs import configure

        configure("warning", settings_of().log_format)
        await witness.serve(
            folder,
            name=name,
            vkeys=vkey,
            host=host,
            port=port,
            ready=lambda it: output.tell(f"witness {it.vkey} at {it.address}"),
        )

    run(work)
