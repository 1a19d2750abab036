"""The verbs: one command for each fact, its flags made from the fields of `verifier.commands`.

`VERBS` says how each is typed: what it is about, what is given by position. Everything else is a flag
with the field's own name, so that Python, HTTP and the command line say one thing in one way. A time and
a quote have parts; each part is a flag, too: `--occurred 2020-01-06 --occurred-basis inferred`.
"""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, get_args, get_origin, get_type_hints

import typer
from anyio import to_thread

from verifier import commands
from verifier.cli import output
from verifier.cli.output import Format
from verifier.cli.reach import (
    LogOption,
    OutputOption,
    claim_id,
    event_id,
    looks_short,
    named,
    reading,
    target_id,
    writing,
)
from verifier.commands import Command, Quotation, When
from verifier.errors import Invalid
from verifier.fields import EVENTS, HELP, OF_EVERY_COMMAND, PARTS, help_of, typed
from verifier.naming import is_id

if TYPE_CHECKING:
    from verifier.client import Verifier

On = Literal["claim", "new claim", "claim or story", "claim, story or source"]
"""What a verb is about: a claim; a claim, or the text of a new one; any of two or three."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """How a command is typed: its name, what stands first, what follows by position."""

    command: type[Command]
    on: On | None = "claim"
    by_position: tuple[str, ...] = ()
    called: str | None = None
    help: str | None = None

    @property
    def name(self) -> str:
        """The name of the command: the verb's own, as it is typed."""
        return self.called or self.command.verb.replace("_", "-")

    @property
    def begins(self) -> bool:
        """Whether it may be the first thing that is recorded in a log: it is about nothing that must be there."""
        return self.on == "new claim" or (self.on is None and self.command is not commands.UpdateSource)


VERBS: Final = (
    Verb(command=commands.RegisterClaim, on=None, by_position=("text",),
         help="Register a claim about which nobody has said anything yet; assert-claim registers one that was put"
              " forward."),
    Verb(command=commands.AssertClaim, on="new claim",
         help="Record that a source put a claim forward; the wording of a new claim registers it with that."),
    Verb(command=commands.Corroborate),
    Verb(command=commands.Deny),
    Verb(command=commands.Note),
    Verb(command=commands.Retract, by_position=("statement",)),
    Verb(command=commands.Correct, by_position=("statement",)),
    Verb(command=commands.WithdrawStatement, by_position=("statement",), called="undo"),
    Verb(command=commands.Attribute, by_position=("statement",)),
    Verb(command=commands.MergeOrigins, on="claim or story"),
    Verb(command=commands.SplitOrigins, on="claim or story", by_position=("merge",)),
    Verb(command=commands.Attach, by_position=("file",)),
    Verb(command=commands.Adjudicate, by_position=("verdict",)),
    Verb(command=commands.WithdrawVerdict),
    Verb(command=commands.Link, by_position=("to",)),
    Verb(command=commands.Unlink, by_position=("link",)),
    Verb(command=commands.Reword, by_position=("text",)),
    Verb(command=commands.Split, by_position=("into",)),
    Verb(command=commands.Merge, by_position=("into",)),
    Verb(command=commands.Withdraw),
    Verb(command=commands.Publish),
    Verb(command=commands.Unpublish, by_position=("publication",)),
    Verb(command=commands.Erase, on="claim, story or source", by_position=("event",)),
    Verb(command=commands.RegisterSource, on=None, by_position=("name",)),
    Verb(command=commands.UpdateSource, on=None, by_position=("source",)),
    Verb(command=commands.OpenStory, on=None, by_position=("title",)),
    Verb(command=commands.AdoptPolicy, on=None, by_position=("policy",)),
)  # fmt: skip
"""Every verb, in the order in which help lists them."""

_OF_A_NEW_CLAIM: Final[tuple[str, ...]] = ("story", "language", "kind", "accuses", "again")
_HASH: Final = re.compile("[0-9a-f]{64}")
_LIKE_AN_ID: Final = re.compile("[a-z0-9_]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """One argument or flag: its name in Python, its type as it is typed, and what it stands for."""

    name: str
    kind: Any
    help: str
    required: bool = False
    default: object = None
    by_position: bool = False

    def parameter(self) -> inspect.Parameter:
        """Return it as a parameter of a function, as typer reads them."""
        typed = self.kind if self.required or self.kind is bool else self.kind | None
        help, metavar = self.help, None
        if get_origin(self.kind) is Literal:
            help, metavar = f"{help} One of {', '.join(get_args(self.kind))}.", "WORD"
        if isinstance(self.default, str):
            help += f" Left out: {self.default}."
        about: Any
        if self.by_position:
            about = typer.Argument(help=help, metavar=self.name.upper(), show_default=False)
        else:
            about = typer.Option(*self._names(), help=help, metavar=metavar, show_default=False)
        default: object = None
        if self.kind is bool:
            default = self.default
        elif self.required:
            default = inspect.Parameter.empty
        return inspect.Parameter(
            self.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[typed, about]
        )

    def _names(self) -> tuple[str, ...]:
        typed = f"--{self.name.replace('_', '-')}"
        if self.kind is bool and self.default is True:
            return (f"{typed}/--not-{self.name.replace('_', '-')}",)
        return (typed,)


_COMMON: Final = (
    Flag(name="key", kind=str, help="A key under which it is recorded at most once. Left out: a new one."),
    Flag(name="if_match", kind=int, help="Refuse it if the claim has moved on from this position."),
)

_WHAT_IF: Final = Flag(name="what_if", kind=bool, help="Record nothing; show how the claim would stand.", default=False)


def add_to(app: typer.Typer) -> None:
    """Add every verb as a command."""
    for verb in VERBS:
        app.command(verb.name, rich_help_panel="Record", no_args_is_help=True)(_function(verb))


def flags_of(verb: Verb) -> Iterator[Flag]:
    """Return what a verb takes: what it is about, what follows by position, then its flags."""
    own = {field.name: field for field in fields(verb.command) if field.name not in OF_EVERY_COMMAND}
    hints = get_type_hints(verb.command)
    if verb.on is not None:
        new = "The claim, by its id or the end of it; or the wording of a new one."
        help = new if verb.on == "new claim" else f"The {verb.on}, by its id or the end of it."
        yield Flag(name="claim", kind=str, help=help, required=True, by_position=True)
    if verb.command is commands.Attach:
        yield Flag(name="file", kind=Path, help=HELP["file"], by_position=True)
    for name in verb.by_position:
        if name in own:
            yield from _flags(verb, own.pop(name), hints, by_position=True)
    for field in own.values():
        yield from _flags(verb, field, hints)
    if verb.on == "new claim":
        opening = {field.name: field for field in fields(commands.RegisterClaim)}
        opening_hints = get_type_hints(commands.RegisterClaim)
        for name in _OF_A_NEW_CLAIM:
            yield from _flags(verb, opening[name], opening_hints)
    yield from _COMMON
    if verb.on is not None:
        yield _WHAT_IF


def _flags(verb: Verb, field: Field[Any], hints: Mapping[str, Any], *, by_position: bool = False) -> Iterator[Flag]:
    name, hint = field.name, hints[field.name]
    if verb.command is commands.RegisterClaim and name == "statement":
        return  # `assert-claim` registers a claim with its first statement
    help = _help(verb, name, typed(hint))
    default = None if field.default is MISSING else field.default
    missing = field.default is MISSING and field.default_factory is MISSING
    required = missing and verb.command is not commands.Attach  # a file tells its own hash and size
    kind = str if name in PARTS else typed(hint)
    yield Flag(name=name, kind=kind, help=help, required=required, default=default, by_position=by_position)
    if name in PARTS:
        cls, parts = PARTS[name]
        part_hints = get_type_hints(cls)
        for part in parts:
            yield Flag(name=f"{name}_{part}", kind=typed(part_hints[part]), help=HELP[f"{name}_{part}"])


def _help(verb: Verb, name: str, kind: Any) -> str:
    """Return what help says of a field: what it asks for, and how that is typed here."""
    help = help_of(verb.command, name)
    if name in EVENTS:
        help += " By its event's id or the end of it."
    return f"{help} May be given several times." if kind == list[str] and name != "into" else help


def _function(verb: Verb) -> Callable[..., None]:
    flags = tuple(flags_of(verb))

    def record(*, log: str | None, output: Format, what_if: bool = False, **given: Any) -> None:
        opening = reading if what_if else partial(writing, create=verb.begins)
        opening(log, lambda verifier: _record(verifier, verb, given, output, what_if=what_if))

    record.__name__ = verb.name
    record.__doc__ = verb.help or inspect.getdoc(verb.command)
    record.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # what typer reads: one table, every verb
        [
            *(flag.parameter() for flag in flags),
            inspect.Parameter("log", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=LogOption),
            inspect.Parameter("output", inspect.Parameter.KEYWORD_ONLY, default="table", annotation=OutputOption),
        ]
    )
    return record


# --- recording -------------------------------------------------------------------------------------


async def _record(
    verifier: Verifier, verb: Verb, given: dict[str, Any], format: Format, *, what_if: bool = False
) -> None:
    given = {name: value for name, value in given.items() if value is not None and value != []}
    key, if_match = given.pop("key", None), given.pop("if_match", None)
    about = given.pop("claim", None)
    file: Path | None = given.pop("file", None)
    opening = {name: given.pop(name) for name in _OF_A_NEW_CLAIM if verb.on == "new claim" and name in given}
    values = await _values(verifier, given)
    document: str | None = None
    verbs = verifier.what_if if what_if else verifier
    if verb.command is commands.Attach:
        data = await to_thread.run_sync(file.read_bytes) if file else None
        target = await claim_id(verifier, str(about))
        answer: Any = await verbs.attach(target, data, key=key, if_match=if_match, **values)
        document = hashlib.sha256(data).hexdigest() if data is not None else values.get("sha256")
    elif verb.on == "new claim" and not _is_known(str(about)):
        opening = await _values(verifier, opening)
        statement = commands.AssertClaim(**values)
        answer = await verbs.register(str(about), statement=statement, key=key, if_match=if_match, **opening)
    else:
        if any(opening.values()):
            raise Invalid(f"--{next(iter(opening))} is for a new claim: give its wording, or leave the flag out")
        on = None if about is None else await target_id(verifier, str(about))
        answer = await verbs.send(verb.command(**values), on=on, key=key, if_match=if_match)
    _show_written(answer, format, document)


def _is_known(about: str) -> bool:
    """Say whether this names a claim, or else is the wording of a new one. Raises `Invalid` if it is neither."""
    if is_id(about, "clm") or looks_short(about):
        return True
    if _LIKE_AN_ID.fullmatch(about):
        raise Invalid(f"{about!r} is neither the end of an id nor a sentence: give 6 characters of the id or more")
    return False


async def _values(verifier: Verifier, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a command takes for what was typed: whole ids, times and quotes from their parts."""
    values: dict[str, Any] = {}
    for name, value in given.items():
        if (whole := name.partition("_")[0]) in PARTS and whole != name:
            if whole not in given:
                raise Invalid(f"--{name.replace('_', '-')} tells more about --{whole}: give that, too")
            continue
        if name in PARTS:
            values[name] = _from_parts(name, value, given)
        elif name in EVENTS:
            values[name] = await event_id(verifier, value)
        elif name == "statements":
            values[name] = dict([await _assigned(verifier, item) for item in value])
        elif name in ("to", "into"):
            several = isinstance(value, list)
            ids = [await claim_id(verifier, one) for one in (value if several else [value])]
            values[name] = tuple(ids) if several else ids[0]
        elif name == "story":
            values[name] = await named(verifier, "sto", value)
        else:
            values[name] = tuple(value) if isinstance(value, list) else value
    return values


def _from_parts(name: str, value: str, given: Mapping[str, Any]) -> str | When | Quotation:
    _, parts = PARTS[name]
    told = {part: given[f"{name}_{part}"] for part in parts if given.get(f"{name}_{part}") is not None}
    document = told.get("document")
    if document is not None and not _HASH.fullmatch(document):
        raise Invalid(f"--quote-document {document!r} is no SHA-256: give its 64 characters, as attach prints them")
    if not told:
        return value
    return When(at=value, **told) if name == "occurred" else Quotation(exact=value, **told)


async def _assigned(verifier: Verifier, item: str) -> tuple[str, tuple[str, ...]]:
    statement, equals, claims = item.partition("=")
    if not equals:
        raise Invalid(f"{item!r} says nothing of a statement: write STATEMENT=CLAIM,CLAIM")
    ids = [await claim_id(verifier, claim) for claim in claims.split(",") if claim]
    return await event_id(verifier, statement), tuple(ids)


def _show_written(answer: Any, format: Format, document: str | None) -> None:
    """Print how a write was understood, and the claim as it now stands; after attach, the document's SHA-256."""
    from verifier.answers import Written

    def table() -> None:
        if isinstance(answer, Written):
            output.fields(
                {
                    "claim": answer.text,
                    "why": answer.explanation,
                    "effect": answer.effect,
                    "document": document,
                    "id": answer.id,
                    "statement": None if answer.basis.speculative else answer.statement,
                    "position": answer.written_at or None,
                    "recorded": "nothing: this is what would be" if answer.basis.speculative else None,
                },
                title=answer.label,
            )
        else:
            output.fields(
                {"effect": answer.effect, "id": answer.id, "event": answer.statement, "position": answer.written_at}
            )

    output.answer(answer, format, table=table)
