"""Sealing a log: init, fork, receipt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from events import errors as log_errors
from verifier.cli import output
from verifier.cli.files import whole_file
from verifier.cli.reach import LogOption, claim_id, log_url, reading, run, settings_of, shown
from verifier.errors import Invalid

if TYPE_CHECKING:
    from events.evidence import Snapshots
    from events.fork import Forked
    from events.keys import Keys
    from events.log import Log
    from events.tlog import Head
    from verifier.client import Verifier
    from verifier.sealing import Signing
    from verifier.settings import Settings

Name = Annotated[
    str | None,
    typer.Option(help="The log's name, a URL without a scheme: example.org/newsroom. Left out: its id."),
]


def add_to(app: typer.Typer) -> None:
    """Add the commands on sealing."""
    for function in (init, fork, receipt):
        app.command(rich_help_panel="Audit")(function)


# --- init ------------------------------------------------------------------------------------------


def init(
    name: Name = None,
    rotate: Annotated[bool, typer.Option("--rotate", help="Add a key: both sign, until one is retired.")] = False,
    retire: Annotated[bool, typer.Option("--retire", help="Remove the old key, once the new one has signed.")] = False,
    resume: Annotated[
        Path | None,
        typer.Option(help="Go on from this checkpoint, where the second place has lost the last one.", metavar="FILE"),
    ] = None,
    log: LogOption = None,
) -> None:
    """Make the key that signs how far a log is, and the log if there is none yet.

    The key is kept in a file that only you may read. Print the public key: whoever audits the log needs it, from you
    and not from the server.
    """

    async def work() -> None:
        from events.keys import check_name

        if rotate and retire:
            raise Invalid("a key is retired after its successor has signed: --rotate first, --retire later")
        if resume is not None and (rotate or retire):
            raise Invalid("--resume changes no key: leave --rotate and --retire for later")
        if name is not None and (rotate or retire or resume is not None):
            raise Invalid("a log keeps its name for ever: leave --name out")
        if name is not None:
            check_name(name)
        settings = settings_of(log=log)
        if resume is not None:
            await _resume(settings, log_url(log), resume.read_bytes())
            return
        _check_no_key_is_set(settings)
        await _init(settings, log_url(log), name, rotate=rotate, retire=retire)

    run(work)


async def _init(settings: Settings, url: str, name: str | None, *, rotate: bool, retire: bool) -> None:
    from events.keys import retire_keys, rotate_keys
    from events.seals import Seals
    from verifier.sealing import Signing

    _check_kept(url)
    signing = Signing.of(settings)
    if not await _is_there(url):
        if rotate or retire:
            raise Invalid(
                f"there is no log at {shown(url)}, and so no key: check the name, or make one with `verifier init`"
            )
        if name is not None:
            Seals(signing.seals).check_unused(name)  # before a log is made that couldn't be sealed under it
    log_id = await _id_of(url)
    path = signing.path(log_id)
    if rotate:
        keys = rotate_keys(path)
    elif retire:
        await _check_signed(signing, url, log_id)
        keys = retire_keys(path)
    else:
        if not path.exists():
            await _check_never_sealed(signing, url, log_id)
        keys = _new_keys(signing, log_id, name)
    _tell(url, path, keys)


def _new_keys(signing: Signing, log_id: str, name: str | None) -> Keys:
    """Make the key of a log, and the seal of nothing in the second place, without which no sealer begins.

    If we crash in between, nothing was signed, and the sealer says what to do.
    """
    from events.keys import make_keys
    from events.seals import Seals

    seals, name = Seals(signing.seals), name or log_id
    with seals.hold(name):  # else two that begin at once would both find the name unused
        if not (path := signing.path(log_id)).exists():  # of a key that is there, making it tells
            seals.check_unused(name)
        keys = make_keys(path, name)
        seals.begin(keys)
        return keys


async def _resume(settings: Settings, url: str, note: bytes) -> None:
    """Put a checkpoint into the second place, where the last one was lost."""
    from events.open import open_log
    from events.sealed import Seal
    from events.seals import Seals
    from events.tlog import TlogError
    from verifier.sealing import Signing

    signing = Signing.of(settings)
    async with await open_log(url, writable=False, create=None) as log:
        keys = signing.keys_of(log.id)
    if keys is None:
        raise Invalid(f"there is no key of {shown(url)} in {signing.keys}: put it back first")
    try:
        seal = Seal.read(note, keys.vkeys)
    except TlogError as error:
        raise Invalid(f"the key of {keys.name} has signed no such checkpoint ({error}): give another") from error
    seals = Seals(signing.seals)
    with seals.hold(keys.name):
        if (kept := _head(seals.read(keys.name))) is not None:
            has = output.counted(kept.size, "event")
            raise Invalid(f"the second place has a seal of {keys.name} over {has}: the server goes on there")
        seals.keep(keys.name, note)
    output.tell(f"{keys.name} goes on from {output.counted(seal.size, 'event')}: start the server again")


def _tell(url: str, path: Path, keys: Keys) -> None:
    older = ", ".join(keys.vkeys[:-1])
    output.fields({"log": shown(url), "name": keys.name, "key": str(path), "vkey": keys.vkeys[-1], "also signs": older})
    output.say(
        "Keep a copy of the key apart from the log, and give the vkey to whoever is to audit it. A server takes the key"
        " when it starts: run `verifier serve`, or start it again."
    )


async def _id_of(url: str) -> str:
    """Return the id of a log, which is made where there is none."""
    from events.open import open_log

    if await _is_there(url):
        async with await open_log(url, writable=False, create=None) as log:
            return log.id
    async with await open_log(url) as log:
        return log.id


async def _is_there(url: str) -> bool:
    from events.open import open_log

    try:
        async with await open_log(url, writable=False, create=None):
            return True
    except log_errors.Invalid:  # there is none yet, or whoever makes it says what is wrong with the URL
        return False


def _check_no_key_is_set(settings: Settings) -> None:
    if settings.seal_key is not None:
        raise Invalid("VERIFIER_SEAL_KEY is set and would be used in place of the file: unset it first")


def _check_kept(url: str) -> None:
    if url.startswith("memory:"):
        raise Invalid("a log in memory is gone with its process: give the log's URL, such as sqlite:///newsroom.db")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sealed:
    """What there is of a log's seals: beside its tiles with the public keys, and in the second place."""

    beside: bytes | None
    vkeys: Sequence[str]
    apart: Sequence[bytes]


async def _sealed(signing: Signing, url: str, *names: str) -> _Sealed:
    """Look for a log's seals. In the second place they stand under its name: it is one of these, or the one in the
    seal beside the tiles, which still says it where the key is lost."""
    from events.open import tiles_of
    from events.seals import Seals
    from events.tiles import CHECKPOINT, VKEY

    tiles = tiles_of(url)
    try:
        beside, vkeys = await tiles.read(CHECKPOINT), await tiles.read(VKEY)
    finally:
        await tiles.close()
    head = _head(beside)
    under = dict.fromkeys([*names, head.origin] if head else names)
    kept = [Seals(signing.seals).read(name) for name in under]
    return _Sealed(
        beside=beside,
        vkeys=(vkeys or b"").decode(errors="replace").split(),
        apart=[note for note in kept if note is not None],
    )


def _head(note: bytes | None) -> Head | None:
    """Read what a seal says, `None` where there is none or a crash tore it."""
    from events.tlog import TlogError, parse_head, split_note

    try:
        return None if note is None else parse_head(split_note(note)[0])
    except TlogError:
        return None


async def _check_never_sealed(signing: Signing, url: str, log_id: str) -> None:
    found = await _sealed(signing, url, log_id)
    if found.beside is not None or found.apart:
        raise Invalid(
            f"{shown(url)} was sealed before, and a new key can't go on from that: put its key back into"
            f" {signing.keys}. Where it is lost, go on under a new name with `verifier fork`"
        )


async def _check_signed(signing: Signing, url: str, log_id: str) -> None:
    """Check that the successor of a key has signed: whoever knows the old one must have been able to learn of it."""
    from events.sealed import Seal
    from events.tlog import TlogError

    keys = signing.keys_of(log_id)
    if keys is None or len(keys.private) == 1:
        return  # whoever retires says so
    found = await _sealed(signing, url, keys.name)
    for note in filter(None, [found.beside, *found.apart]):
        try:
            Seal.read(note, keys.vkeys[-1:])
        except TlogError as error:
            raise Invalid(
                "the new key has not signed yet: start the server, which then signs with both, and retire later"
            ) from error


# --- fork ------------------------------------------------------------------------------------------


def fork(
    old: Annotated[str, typer.Argument(help="The copy that has lost something, by its URL.", metavar="OLD")],
    new: Annotated[str, typer.Argument(help="The log to make, by its URL.", metavar="NEW")],
    checkpoint: Annotated[
        Path | None,
        typer.Option(help="The last checkpoint of the old log. Left out: the one in the second place.", metavar="FILE"),
    ] = None,
    vkey: Annotated[
        list[str] | None,
        typer.Option(help="The old log's public key, as its auditors have it; repeatable. Left out: as kept with it."),
    ] = None,
    name: Name = None,
) -> None:
    """Go on under a new name with a log that was sealed and has lost events, or its key.

    The new log's first fact holds the old one's last checkpoint; every other fact stands in it as it stood. It gets a
    key of its own. Readers of the old log are told by its new name that it is another one.
    """

    async def work() -> None:
        from events.open import evidence_of, open_log
        from verifier.sealing import Signing

        settings, source, target = settings_of(), log_url(old), log_url(new)
        signing = Signing.of(settings)
        _check_new(settings, signing, target, name)
        async with await open_log(source, writable=False, create=None) as opened:
            given = checkpoint.read_bytes() if checkpoint else None
            note, vkeys = await _last(signing, source, opened.id, given)
            evidence = evidence_of(source), evidence_of(target)
            done = await _copy(opened, target, note, vkey or vkeys, name, actor=settings.actor, evidence=evidence)
        keys = _key_of(signing, target, done.log, name)
        output.tell(
            f"{shown(target)} goes on from {done.sealed.name}, of which {output.counted(done.sealed.size, 'event')}"
            f" were sealed; here: {done.held:,}, lost: {done.lost:,}"
        )
        _tell(target, signing.path(done.log), keys)

    run(work)


def _check_new(settings: Settings, signing: Signing, url: str, name: str | None) -> None:
    """Check all that can be known of the new log before it is made."""
    from events.keys import check_name
    from events.seals import Seals

    _check_no_key_is_set(settings)
    _check_kept(url)
    if name is not None:
        check_name(name)
        Seals(signing.seals).check_unused(name)


async def _last(signing: Signing, url: str, log_id: str, given: bytes | None) -> tuple[bytes, Sequence[str]]:
    """Return the last seal of a log, and the public keys that are kept with it.

    Raises `Invalid` where none is in the second place: the one beside the tiles may be as old as the copy is.
    """
    keys = signing.keys_of(log_id)
    found = await _sealed(signing, url, log_id, *([keys.name] if keys else []))
    vkeys = list(dict.fromkeys([*(keys.vkeys if keys else ()), *found.vkeys]))
    if given is not None:
        return given, vkeys
    if not found.apart:
        raise Invalid(
            f"no checkpoint of {shown(url)} is known in the second place, {signing.seals}, and one beside its tiles may"
            " be older: give the last one that was signed with --checkpoint FILE"
        )
    sizes = {head.size: note for note in (*found.apart, found.beside) if note and (head := _head(note))}
    return (sizes[max(sizes)] if sizes else found.apart[0]), vkeys


async def _copy(
    old: Log,
    target: str,
    note: bytes,
    vkeys: Sequence[str],
    name: str | None,
    *,
    actor: str,
    evidence: tuple[Snapshots, Snapshots],
) -> Forked:
    """Make the new log, after a look at the checkpoint and the name."""
    from events.fork import fork, signed
    from events.open import open_log

    seal, _ = signed(note, vkeys)
    if name == seal.name:
        raise Invalid(f"{name} is the old log's name, under which nothing can be signed any more: choose another one")
    async with await open_log(target, create="empty") as made:
        with output.progress("copying") as tell:
            return await fork(old, made, note, vkeys=vkeys, actor=actor, evidence=evidence, progress=tell)


def _key_of(signing: Signing, url: str, log_id: str, name: str | None) -> Keys:
    """Make the key of a log that was just forked."""
    try:
        return _new_keys(signing, log_id, name)
    except (OSError, log_errors.Invalid, log_errors.Busy) as error:
        named = f" --name {name}" if name else ""
        raise Invalid(
            f"{shown(url)} holds every fact, and only its key could not be made: {error}. Mend that, and run"
            f" `verifier init --log {shown(url)}{named}`"
        ) from error


# --- receipt ---------------------------------------------------------------------------------------


def receipt(
    of: Annotated[str, typer.Argument(help="A claim by its id or the end of it, or an event's position.")],
    file: Annotated[Path | None, typer.Argument(help="The file to write; left out, it is printed.")] = None,
    log: LogOption = None,
) -> None:
    """Give a claim's facts, or one event, with the proofs that they are in the log: to keep, and to verify offline."""

    async def work(verifier: Verifier) -> None:
        given = await verifier.receipt(int(of) if of.isdecimal() else await claim_id(verifier, of))
        if file is None:
            output.answer(given, "json", table=lambda: None)
        else:
            with whole_file(file) as write:
                write.write(given.model_dump_json(indent=2).encode() + b"\n")
            output.tell(f"{file}: {output.counted(len(given.facts), 'fact')} of {given.name}")

    reading(log, work)
