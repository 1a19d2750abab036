"""Logs and files: new facts from a file, a whole log into a file and back."""

from __future__ import annotations

import hashlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, Final

import typer

from verifier.cli import output
from verifier.cli.reach import LogOption, OutputOption, fail, log_url, run, served_at, shown, writing
from verifier.errors import Invalid, Problem

if TYPE_CHECKING:
    from verifier.answers import Done
    from verifier.client import Item, Verifier

CHUNK: Final = 1_000
"""How many lines are sent at once. The keys depend on it: changed, a file once begun would be recorded anew."""

LINE_LIMIT: Final = 2**20
"""The most bytes that a line may have."""

_ABOUT: Final = ("claim", "story", "source")
_ABOUT_NOTHING: Final = ("claim.registered", "source.registered", "source.updated", "story.opened", "policy.adopted")
_LINE: Final = "line:"
_LINE_NUMBER: Final = re.compile("[0-9]{1,12}")


def add_to(app: typer.Typer) -> None:
    """Add the commands on files."""
    app.command("import", rich_help_panel="Files")(import_)
    app.command(rich_help_panel="Files")(export)
    app.command(rich_help_panel="Files")(restore)


def import_(
    file: Annotated[str, typer.Argument(help="JSON Lines, one command each; - reads standard input.", metavar="FILE")],
    log: LogOption = None,
    output: OutputOption = "table",
) -> None:
    """Record new facts in bulk, now and by you, from a file of commands.

    A line is a command as the API takes it: {"type": "claim.registered", "text": "…"}, or
    {"type": "claim.denied", "claim": "clm_…", "source": "…"}. Where a later line speaks of what an earlier
    one registers, it says so: {"claim": "line:1", …}; `statement` and `to` take that, too.

    The whole file is checked before anything is sent: a bad line is named, and the log stays as it was. Each
    line's key is made from what the whole file holds and the line's number, so an import that was cut short is
    simply run again, and nothing is recorded twice; a file that was changed is another file.
    """

    async def work(verifier: Verifier) -> None:
        with _readable(file) as lines:
            await _import(verifier, lines, output)

    writing(log, work)


def export(
    file: Annotated[Path, typer.Argument(help="The file to write; it appears when it is whole.", metavar="FILE")],
    after: Annotated[int, typer.Option("--after", min=0, help="Only what was recorded after this position.")] = 0,
    log: LogOption = None,
) -> None:
    """Write the whole log into a file, verbatim, with the documents held beside it."""

    async def work() -> None:
        from events import archive
        from events.open import evidence_of, open_log

        if str(file) == "-":
            raise Invalid("an export is a file, put in place when it is whole: give it a name, such as newsroom.jsonl")
        url = log_url(log)
        async with await open_log(url, writable=False, create=None) as opened:
            with whole_file(file) as write:
                done = await archive.export(opened, write, after=after, evidence=evidence_of(url))
        events, documents = output.counted(done.count, "event"), output.counted(done.snapshots, "document")
        output.tell(f"{file}: {events} and {documents}, SHA-256 {done.sha256}")

    run(work)


def restore(
    file: Annotated[str, typer.Argument(help="A file that export wrote; - reads standard input.", metavar="FILE")],
    log: LogOption = None,
) -> None:
    """Bring an exported log back, verbatim, into an empty log or one that holds a part of it.

    The whole file is checked before anything is written. Cut short, the same restore goes on.
    """

    async def work() -> None:
        from events import archive
        from events.open import evidence_of, open_log
        from verifier.app import file_of

        url = log_url(log)
        if address := served_at(url):
            raise Invalid(
                f"{shown(url)} is served at {address}: stop that server first, a restore needs the log to itself"
            )
        path = file_of(url)
        made = path if path is not None and not path.exists() else None
        empty = False
        with _readable(file) as read:
            try:
                async with await open_log(url, create="empty") as opened:
                    try:
                        done = await archive.restore(opened, read, evidence=evidence_of(url))
                    finally:
                        empty = await opened.head() == 0
            finally:
                if made is not None and empty:  # the file was refused: the log is as it was, not there
                    _remove(made)
        events, documents = output.counted(done.count, "event"), output.counted(done.snapshots, "document")
        output.tell(f"{shown(url)}: {events} restored, {done.held:,} held already, {documents}")

    run(work)


def _remove(log: Path) -> None:
    """Remove a log in which nothing stands, with the files beside it."""
    for name in (log.name, f"{log.name}-wal", f"{log.name}-shm", f"{log.name}.lock"):
        log.with_name(name).unlink(missing_ok=True)


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """Open a file that appears under its name only when it is whole and on the disk; cut short, the old one stays.

    Raises `Invalid` for what is no ordinary file, such as a pipe: replacing it would take its place.
    """
    if path.exists() and not path.is_file():
        raise Invalid(f"{path} is no ordinary file and would be replaced: name one that is, or a new one")
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as part:
        try:
            yield part
            part.flush()
            os.fsync(part.fileno())
            Path(part.name).chmod(0o644)
            Path(part.name).replace(path)
        except BaseException:
            Path(part.name).unlink(missing_ok=True)
            raise


@contextmanager
def _readable(file: str) -> Iterator[IO[bytes]]:
    """Open a file, or what comes in, so that it can be read twice."""
    with ExitStack() as stack:
        if file != "-":
            yield stack.enter_context(Path(file).open("rb"))
            return
        spooled = stack.enter_context(tempfile.TemporaryFile())
        while chunk := sys.stdin.buffer.read(2**20):
            spooled.write(chunk)
        spooled.seek(0)
        yield spooled


# --- importing -------------------------------------------------------------------------------------


async def _import(verifier: Verifier, lines: IO[bytes], format: output.Format) -> None:
    total, digest = _check(lines)
    if total == 0:
        raise Invalid("the file has no commands: give one JSON object on each line")
    recorded, before, refused = 0, 0, 0
    answers: dict[int, Done] = {}
    wanted = _lines_spoken_of(lines)
    with output.progress("recording") as tell:
        for first, chunk in _chunks(lines):
            items = [_resolved(number, body, answers) for number, body in chunk]
            results = await verifier.batch(items, key=f"{digest[:40]}-{first}")
            for (number, _), result in zip(chunk, results, strict=True):
                if isinstance(result, Problem):
                    output.say(f"verifier: line {number}: {result.detail}")
                    refused += 1
                    continue
                if result.effect == "already recorded":
                    before += 1
                else:
                    recorded += 1
                if number in wanted:
                    answers[number] = result
                if format != "table":
                    output.json_line(result)
            tell(chunk[-1][0], total)
    if format == "table":
        output.tell(f"{recorded:,} recorded, {before:,} recorded before, {refused:,} refused")
    if refused:
        were, them = ("was", "it") if refused == 1 else ("were", "them")
        fail(f"{refused:,} of {output.counted(total, 'line')} {were} refused: mend {them}, and import {them} alone")


def _check(lines: IO[bytes]) -> tuple[int, str]:
    """Check every line; return how many there are, and SHA-256 over the file. Raises `Invalid`, naming the line."""
    digest, last, total = hashlib.sha256(), 0, 0
    opened: set[int] = set()
    lines.seek(0)
    for last, raw in enumerate(lines, start=1):
        digest.update(raw)
        if not raw.strip():
            continue
        body = _parsed(last, raw)
        for name, number in _spoken_of(body):
            if number not in opened:
                raise Invalid(f"line {last}: {name} speaks of line {number}, which is none before it; nothing was sent")
        opened.add(last)
        total += 1
    return total, digest.hexdigest()


def _parsed(number: int, raw: bytes) -> dict[str, Any]:
    from verifier.parsing import ANY, parse, strict_json

    try:
        if len(raw) > LINE_LIMIT:
            raise Invalid(f"it has more than {LINE_LIMIT:,} bytes: shorten it")
        body = strict_json(raw)
        parse(ANY, _command(body))
    except Invalid as problem:
        torn = "" if raw.endswith(b"\n") else " (the file ends in this line: perhaps it was cut short)"
        raise Invalid(f"line {number}: {problem.detail}{torn}; nothing was sent", line=number) from problem
    checked: dict[str, Any] = body
    return checked


def _command(body: Any) -> Any:
    """Return a line without what it is about, which is no field of the command itself."""
    if not isinstance(body, dict):
        return body
    about = _about(body)
    return {name: value for name, value in body.items() if name != about}


def _about(body: Mapping[str, Any]) -> str | None:
    """Return under which name a line says what it is about. Raises `Invalid` where it should and doesn't."""
    if body.get("type") in _ABOUT_NOTHING:
        return None
    # In a statement `source` is whose word it is; only an erasure may be about a source.
    names = _ABOUT if body.get("type") == "text.erased" else _ABOUT[:2]
    for name in names:
        if name in body:
            return name
    raise Invalid(f"it names nothing that it is about: give {' or '.join(names)}", field=names[0])


def _spoken_of(body: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    for name in ("claim", "statement", "to"):
        value = body.get(name)
        if isinstance(value, str) and value.startswith(_LINE):
            number = value.removeprefix(_LINE)
            yield name, int(number) if _LINE_NUMBER.fullmatch(number) else 0


def _lines_spoken_of(lines: IO[bytes]) -> set[int]:
    from verifier.parsing import strict_json

    lines.seek(0)
    return {number for raw in lines if b'"line:' in raw for _, number in _spoken_of(strict_json(raw))}


def _chunks(lines: IO[bytes]) -> Iterator[tuple[int, list[tuple[int, dict[str, Any]]]]]:
    """Cut the file into what is sent at once: before a line that speaks of another one in the same chunk, too."""
    from verifier.parsing import strict_json

    lines.seek(0)
    chunk: list[tuple[int, dict[str, Any]]] = []
    for number, raw in enumerate(lines, start=1):
        if not raw.strip():
            continue
        body = strict_json(raw)
        if chunk and (len(chunk) == CHUNK or any(of >= chunk[0][0] for _, of in _spoken_of(body))):
            yield chunk[0][0], chunk
            chunk = []
        chunk.append((number, body))
    if chunk:
        yield chunk[0][0], chunk


def _resolved(number: int, body: dict[str, Any], answers: Mapping[int, Done]) -> Item:
    """Return a line as the client takes it, with the ids of the lines that it speaks of."""
    from verifier.parsing import ANY, parse

    body = dict(body)
    for name, of in list(_spoken_of(body)):
        if of not in answers:
            raise Invalid(f"line {number}: line {of}, of which it speaks, was refused; what comes before was recorded")
        body[name] = answers[of].statement if name == "statement" else answers[of].id
    about = _about(body)
    command = parse(ANY, _command(body))
    return command if about is None else (str(body[about]), command)
