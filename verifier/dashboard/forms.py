"""The forms: one for each command at each place where it can be given, made from the fields of `verifier.commands`.

`FORMS` says where a form stands, what it is called, and which fields it shows before the others. What the fields are,
what they ask for and what may be chosen comes from the commands themselves, so that a form can't ask for less than the
API takes. Nothing here knows of HTTP: what was typed comes in as words by name, and goes out as the body of a command.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Final, Literal, get_args, get_origin, get_type_hints

from verifier import commands
from verifier.commands import Command, RegisterClaim
from verifier.fields import HELP, OF_EVERY_COMMAND, PARTS, help_of, typed
from verifier.routes import ORDERS, Order

Place = Literal["claim", "story", "source", "new claim", "new source", "new story", "policy"]
"""Where a form stands: with what there is, or with what there is to be."""

Typed = Mapping[str, Sequence[str]]
"""What was typed, by the names of the inputs: several where several were chosen."""

Choices = Mapping[str, Sequence[tuple[str, str]]]
"""What can be chosen for a field, or is suggested for it, each with the words that are shown."""

_ROUTES: Final[Mapping[str, Order]] = {order.path: order for order in ORDERS}
_PATHS: Final[Mapping[Place, tuple[str, str]]] = {
    "claim": ("/claims/{id}", "/claims/{id}/events"),
    "story": ("/stories/{id}", "/stories/{id}/events"),
    "source": ("/sources/{id:path}", "/sources/{id}/events"),
    "new claim": ("/enter", "/claims"),
    "new source": ("/enter", "/sources"),
    "new story": ("/enter", "/stories"),
    "policy": ("/enter", "/policies"),
}
"""Under which page the forms of a place stand, and by which route of the API they record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A form: what it records, where it stands, what is asked first, and what it is given `beside` (a statement, a
    link, …), if it belongs to one thing on a page."""

    command: type[Command]
    on: Place = "claim"
    name: str
    title: str
    shown: tuple[str, ...]
    beside: str | None = None

    @property
    def path(self) -> str:
        """Its address, with `{id}` in it where it is about something that there is."""
        return f"{_PATHS[self.on][0]}/{self.name}"

    @property
    def order(self) -> Order:
        """The route by which it records."""
        return _ROUTES[_PATHS[self.on][1]]

    @property
    def type(self) -> str:
        """The type of the fact that it records."""
        return str(self.command.__dataclass_fields__["type"].default)

    @property
    def about(self) -> str:
        """What it does, in a sentence."""
        return " ".join((self.command.__doc__ or "").split()).partition(". ")[0].rstrip(".") + "."


_SAID: Final = ("source", "attribution", "via", "origin", "occurred", "quote", "note")

FORMS: Final = (
    Form(command=commands.Corroborate, name="corroborate", title="Somebody supports it", shown=_SAID),
    Form(command=commands.Deny, name="deny", title="Somebody denies it", shown=_SAID),
    Form(command=commands.AssertClaim, name="assert", title="Somebody else puts it forward", shown=_SAID),
    Form(command=commands.Note, name="note", title="Note", shown=("source", "kind", "occurred", "quote", "note")),
    Form(command=commands.Attach, name="attach", title="Attach evidence", shown=("file", "shows", "address")),
    Form(command=commands.Adjudicate, name="adjudicate", title="Give a verdict", shown=("verdict", "reason")),
    Form(command=commands.WithdrawVerdict, name="withdraw-verdict", title="Take the verdict back",
         shown=("adjudication", "reason"), beside="adjudication"),
    Form(command=commands.Publish, name="publish", title="We used it", shown=("address", "day", "note")),
    Form(command=commands.Link, name="link", title="Link a claim", shown=("to", "kind", "note")),
    Form(command=commands.MergeOrigins, name="merge-origins", title="Two origins are one",
         shown=("kept", "merged", "reason")),
    Form(command=commands.SplitOrigins, name="split-origins", title="Undo a merge of origins",
         shown=("merge", "reason")),
    Form(command=commands.Reword, name="reword", title="Reword", shown=("text", "reason")),
    Form(command=commands.Split, name="split", title="Divide into others", shown=("into", "statements", "reason")),
    Form(command=commands.Merge, name="merge", title="Merge into another", shown=("into", "reason")),
    Form(command=commands.Withdraw, name="withdraw", title="Withdraw the claim", shown=("reason",)),
    Form(command=commands.Erase, name="erase", title="Erase a text", shown=("event", "slot", "basis", "reason")),
    Form(command=commands.Retract, name="retract", title="It was taken back",
         shown=("statement", "by", "occurred", "quote", "reason"), beside="statement"),
    Form(command=commands.Correct, name="correct", title="Put right",
         shown=("statement", "by", "reason", "stance", "source", "occurred", "quote"), beside="statement"),
    Form(command=commands.Attribute, name="attribute", title="Name the speaker",
         shown=("statement", "source", "attribution", "reason"), beside="statement"),
    Form(command=commands.WithdrawStatement, name="undo", title="Undo, recorded by mistake",
         shown=("statement", "reason"), beside="statement"),
    Form(command=commands.Unlink, name="unlink", title="Take the link back", shown=("link", "reason"), beside="link"),
    Form(command=commands.Unpublish, name="unpublish", title="Taken down or put right",
         shown=("publication", "reason"), beside="publication"),
    Form(command=commands.MergeOrigins, on="story", name="merge-origins", title="Two origins are one",
         shown=("kept", "merged", "reason")),
    Form(command=commands.SplitOrigins, on="story", name="split-origins", title="Undo a merge of origins",
         shown=("merge", "reason")),
    Form(command=commands.Erase, on="story", name="erase", title="Erase a text",
         shown=("event", "slot", "basis", "reason")),
    Form(command=commands.UpdateSource, on="source", name="update", title="Change",
         shown=("name", "kind", "aliases", "role", "same_as", "note")),
    Form(command=commands.Erase, on="source", name="erase", title="Erase a text",
         shown=("event", "slot", "basis", "reason")),
    Form(command=commands.RegisterClaim, on="new claim", name="claim", title="A claim that nobody spoke about yet",
         shown=("text", "story", "kind", "note")),
    Form(command=commands.RegisterSource, on="new source", name="source", title="A source",
         shown=("name", "kind", "role", "aliases", "note")),
    Form(command=commands.OpenStory, on="new story", name="story", title="A story", shown=("title", "note")),
    Form(command=commands.AdoptPolicy, on="policy", name="policy", title="Adopt a policy",
         shown=("policy", "reason")),
)  # fmt: skip
"""Every form, in the order in which pages list them."""

UNDOING: Final[Mapping[str, tuple[str, str]]] = {
    "claim.asserted": ("undo", "statement"),
    "claim.corroborated": ("undo", "statement"),
    "claim.denied": ("undo", "statement"),
    "claim.noted": ("undo", "statement"),
    "statement.retracted": ("undo", "statement"),
    "statement.corrected": ("undo", "statement"),
    "statement.attributed": ("undo", "statement"),
    "origins.merged": ("split-origins", "merge"),
    "claim.adjudicated": ("withdraw-verdict", "adjudication"),
    "claim.linked": ("unlink", "link"),
    "claim.published": ("unpublish", "publication"),
}
"""By which form of its claim a fact is undone, and in which field that names it. The other facts are put right by a
new one, if at all."""

LONG: Final = ("text", "note", "reason", "quote", "quote_translation", "shows")
"""What is typed over several lines."""

BY_THE_FORM: Final = ("seen",)
"""What the form says by itself: the position of the claim that it was filled in on."""

SHARE: Final = "statements:"
"""How the inputs begin that say to which claims a statement goes when its claim is divided."""

Kind = Literal["line", "text", "lines", "choice", "several", "tick", "day", "file", "shares", "hidden"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """One input of a form: how it is given, what it asks for, what may be chosen, and what was typed."""

    name: str
    kind: Kind
    help: str
    required: bool = False
    shown: bool = False
    choices: Sequence[tuple[str, str]] = ()
    values: Sequence[str] = ()
    ticked: bool = False
    shares: Mapping[str, str] = field(default_factory=dict)
    """Of a claim that is divided: to which of its parts each statement goes, as it was typed."""

    @property
    def label(self) -> str:
        """What it is called."""
        return self.name.replace("_", " ").capitalize()

    @property
    def value(self) -> str:
        """What was typed, where that is one thing."""
        return self.values[0] if self.values else ""


# --- a form's inputs -------------------------------------------------------------------------------


def inputs(form: Form, *, given: Typed = {}, choices: Choices = {}, sent: bool = False) -> list[Input]:  # noqa: B006
    """Return the inputs of a form with what was typed: those that it shows first, in their order, then the others.

    `sent` says that the form was sent: a box that is not ticked was then left so on purpose.
    """
    own = {each.name: each for each in _inputs(form, given, choices, sent)}
    return [*(own[name] for name in form.shown), *(each for name, each in own.items() if name not in form.shown)]


def _inputs(form: Form, given: Typed, choices: Choices, sent: bool) -> Iterator[Input]:
    hints = get_type_hints(form.command)
    if form.command is commands.Attach:
        yield Input(name="file", kind="file", help=HELP["file"], shown=True)
    for each in fields(form.command):
        name = each.name
        if name in OF_EVERY_COMMAND or (form.command is RegisterClaim and name == "statement"):
            continue
        needed = each.default is MISSING and each.default_factory is MISSING and form.command is not commands.Attach
        default = each.default if isinstance(each.default, str | bool) else None
        yield _input(form, name, hints[name], default, given, choices, needed=needed, sent=sent)
        if name in PARTS:
            cls, parts = PARTS[name]
            part_hints = get_type_hints(cls)
            for part in parts:
                yield _input(form, f"{name}_{part}", part_hints[part], None, given, choices)


def _input(
    form: Form,
    name: str,
    hint: Any,
    default: str | bool | None,
    given: Typed,
    choices: Choices,
    *,
    needed: bool = False,
    sent: bool = False,
) -> Input:
    kind = _kind(form, name, "" if name in PARTS else typed(hint), offered=name in choices)
    values = [value for value in given.get(name, ()) if value]
    offered = list(choices.get(name, ()))
    if kind == "choice" and name not in choices:
        offered = [(word, word.replace("_", " ")) for word in get_args(typed(hint))]
    if kind in ("choice", "several"):  # what was given before it could be offered is offered all the same
        offered += [(value, value) for value in values if value not in dict(offered)]
    if not values and isinstance(default, str) and not sent:
        values = [default]
    return Input(
        name=name,
        kind=kind,
        help=help_of(form.command, name),
        required=needed,
        shown=name in form.shown,
        choices=offered,
        values=values,
        ticked=bool(values) if sent else default is True,
        shares={share.removeprefix(SHARE): " ".join(words) for share, words in given.items() if share.startswith(SHARE)}
        if kind == "shares"
        else {},
    )


SUGGESTED: Final = ("source", "via", "by", "origin", "kept", "merged", "story", "same_as", "fetched_by", "accuses")
"""Where what is known is suggested, and anything else can be typed."""


def _kind(form: Form, name: str, hint: Any, *, offered: bool) -> Kind:
    """Return how a field is given."""
    if name in BY_THE_FORM or (form.command is commands.UpdateSource and name == "source"):
        return "hidden"
    if name == "statements":
        return "shares"
    if hint == list[str]:
        return "several" if name == "documents" else "lines"
    if hint is bool:
        return "tick"
    if get_origin(hint) is Literal or (offered and name not in SUGGESTED):
        return "choice"
    if name == "day":
        return "day"
    return "text" if name in LONG else "line"


# --- from what was typed to a command --------------------------------------------------------------


@dataclass(slots=True)
class _Body:
    """The body of a command, as it comes together."""

    given: Typed
    values: dict[str, Any] = field(default_factory=dict)

    def word(self, name: str) -> str:
        return next((value.strip() for value in self.given.get(name, ()) if value.strip()), "")


def body_of(form: Form, given: Typed) -> dict[str, Any]:
    """Return the body of the command that was typed: what was left empty is left out."""
    body = _Body(given)
    for each in _inputs(form, given, {}, sent=True):
        name, word = each.name, body.word(each.name)
        whole = name.partition("_")[0]
        if each.kind == "file" or (whole in PARTS and whole != name):
            continue
        if name in PARTS:
            _add_parts(body, name)
        elif each.kind == "tick":
            body.values[name] = name in given
        elif each.kind == "shares":
            body.values[name] = _shares(given)
        elif each.kind in ("lines", "several"):
            if lines := [line.strip() for value in given.get(name, ()) for line in value.split("\n") if line.strip()]:
                body.values[name] = lines
        elif word:
            body.values[name] = word
    return body.values


def _add_parts(body: _Body, name: str) -> None:
    """Put a time or a quote together from its parts. A part without its whole stands alone, and is refused so."""
    _, parts = PARTS[name]
    told = {part: word for part in parts if (word := body.word(f"{name}_{part}"))}
    if word := body.word(name):
        body.values[name] = {("at" if name == "occurred" else "exact"): word, **told} if told else word
    elif told:
        body.values[name] = told if name == "quote" else {"at": "", **told}


def _shares(given: Typed) -> dict[str, list[str]]:
    """Return to which claims each statement goes: they are given by their lines, 1, 2, …"""
    into = [line.strip() for value in given.get("into", ()) for line in value.split("\n") if line.strip()]
    shares = {}
    for name, values in given.items():
        if name.startswith(SHARE):
            numbers = [part.strip() for part in " ".join(values).replace(",", " ").split()]
            shares[name.removeprefix(SHARE)] = [
                into[int(number) - 1] if number.isdecimal() and 0 < int(number) <= len(into) else number
                for number in numbers
            ]
    return shares


def input_of(problem_field: str, names: Sequence[str]) -> str | None:
    """Return the input at which a problem with a field is told: that of the part, or else of the whole."""
    parted = problem_field.replace(".", "_")
    whole = problem_field.partition(".")[0]
    return next((name for name in (parted, whole) if name in names), None)


def find(on: Place, name: str) -> Form:
    """Return the form of a place by its name."""
    return next(form for form in FORMS if (form.on, form.name) == (on, name))


def on(place: Place) -> list[Form]:
    """Return the forms of a place that stand beside nothing in particular."""
    return [form for form in FORMS if form.on == place and form.beside is None]


def beside(field: str) -> list[Form]:
    """Return the forms that stand beside such a thing on the page of its claim."""
    return [form for form in FORMS if form.on == "claim" and form.beside == field]
