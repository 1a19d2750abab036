"""What the editor's file says, in the product's words.

The mapping, where the two differ:

- A statement made in an outlet's own voice (`narration`, `outlet`) is on the record by the source named.
- `via` is a set of carriers there, and may name the source itself, which carries nothing to itself.
- `e06` is two statements, one of Reuters and one of *other media*, which is one outlet without a name.
- In `e05`, `e07` and `e17` the source speaks for itself: it is the origin.
- An empty time is unknown. Every time but the one that the text spells out is inferred.
- A relation that the product has no word for is *related*, and its name stands in the note.
- What is not checkable takes notes, no stances: its words are noted with whoever is known to have said them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final, get_args

from events.contracts import Attribution, ClaimKind, LinkKind
from verifier.commands import (
    AssertClaim,
    Corroborate,
    Deny,
    First,
    Note,
    Quotation,
    RegisterClaim,
    RegisterSource,
    When,
)

NAME: Final = "withdrawal-letter"

_STANCES: Final = {"asserted": AssertClaim, "corroborated": Corroborate, "denied": Deny}
_KINDS: Final[dict[str, ClaimKind]] = {
    "intent/decision": "decision",
    "document authenticity": "authenticity",
    "document content": "content",
}
_OWN_VOICE: Final = ("narration", "outlet")
_OWN_ORIGIN: Final = ("e05", "e07", "e17")
_ONE_EACH: Final = ("e06",)
_LABELS: Final = {"org:letter": "the letter", "org:afp-copy": "a copy seen by AFP"}
_NOTED_FROM: Final = {"n1": "e20", "n2": "e19", "n3": "e17"}
"""Where the text has the words and the day of a statement without a stance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A statement: its id in the file, when it is recorded, on which claim, and what is recorded."""

    id: str
    order: int
    claim: str
    command: First


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """How one claim bears on another."""

    claim: str
    to: str
    kind: LinkKind
    note: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """How a careful editor has a claim stand. `set_aside` names statements by their id in the file."""

    status: str
    rule: str
    support_origins: int
    denial_origins: int
    outlets: int
    set_aside: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A moment of the story: everything up to `order` is recorded, and these claims stand like this."""

    name: str
    order: int
    expected: Mapping[str, Expected]
    careful_editor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """The whole case, as commands. Claims are named by their ids in the file."""

    text: bytes
    sha256: str
    sources: Mapping[str, RegisterSource]
    claims: Mapping[str, RegisterClaim]
    said: tuple[Said, ...]
    relations: tuple[Relation, ...]
    checkpoints: tuple[Checkpoint, ...]
    raw: Mapping[str, Any]


def letter() -> Case:
    """Read the case that comes with the product."""
    folder = resources.files("verifier.case")
    text = folder.joinpath(f"{NAME}.txt").read_bytes()
    raw = json.loads(folder.joinpath(f"{NAME}.json").read_bytes())
    return _Reading(raw, text).case()


class _Reading:
    """One reading of the file, with its sources and origins at hand."""

    def __init__(self, raw: Mapping[str, Any], text: bytes) -> None:
        self._raw = raw
        self._text = text
        self._sha256 = hashlib.sha256(text).hexdigest()
        self._names = {source["id"]: _name(source) for source in raw["sources"]}
        self._events = {event["id"]: event for event in raw["events"]}
        self._labels = {origin["id"]: _label(origin) for origin in raw["origins"]}
        for own in _OWN_ORIGIN:
            self._labels[self._events[own]["origin"]] = self._names[self._events[own]["source"]]

    def case(self) -> Case:
        raw = self._raw
        last = max(event["recorded_seq"] for event in raw["events"])
        return Case(
            text=self._text,
            sha256=self._sha256,
            sources={source["id"]: _source(source) for source in raw["sources"] if _is_registered(source)},
            claims={claim["id"]: _claim(claim) for claim in raw["claims"]},
            said=(*self._stances(), *self._notes(last + 1), *self._open_questions(last + 1)),
            relations=tuple(_relation(relation) for relation in raw["relations"]),
            checkpoints=tuple(_checkpoint(checkpoint) for checkpoint in raw["checkpoints"]),
            raw=raw,
        )

    def _stances(self) -> Iterator[Said]:
        for event in self._raw["events"]:
            speakers = event["via"] if event["id"] in _ONE_EACH else [event["source"]]
            for speaker in speakers:
                via = [] if event["id"] in _ONE_EACH else [name for name in event["via"] if name != speaker]
                command = _STANCES[event["type"]](
                    source=self._names[speaker],
                    via=tuple(self._names[name] for name in via),
                    origin=None if event["id"] in _OWN_ORIGIN else self._labels[event["origin"]],
                    attribution=_attribution(event["attribution"]),
                    standing=event["standing"],
                    occurred=self._when(event),
                    quote=self._quote(event["quote"]),
                    note=self._note(event),
                )
                yield Said(id=event["id"], order=event["recorded_seq"], claim=event["claim"], command=command)

    def _notes(self, order: int) -> Iterator[Said]:
        """The statements without a stance; their words and day stand where the text reports them."""
        for noted in self._raw["notes_without_stance"]:
            words = self._events[_NOTED_FROM[noted["id"]]]
            command = Note(
                source=self._names[noted["source"]],
                occurred=self._when(words),
                quote=self._quote(words["quote"]),
                note=noted["why"],
            )
            yield Said(id=noted["id"], order=order, claim=noted["claim"], command=command)

    def _open_questions(self, order: int) -> Iterator[Said]:
        """The words of what is not checkable, with whoever is known to have said them."""
        article = self._raw["sources"][0]
        for claim in self._raw["claims"]:
            if claim["checkable"]:
                continue
            unknown = claim["attribution_chain"][-1].startswith("speaker not given")
            command = Note(
                source="an unidentified speaker" if unknown else _name(article),
                attribution="unattributed" if unknown else "on_record",
                occurred="unknown",
                quote=self._quote(claim["quotes"][0]),
            )
            yield Said(id=f"words of {claim['id']}", order=order, claim=claim["id"], command=command)

    def _quote(self, quote: Mapping[str, Any]) -> Quotation:
        at = quote["refinedBy"]
        return Quotation(
            exact=quote["exact"],
            document=self._sha256,
            start=at["start"],
            end=at["end"],
            prefix=quote["prefix"] or None,
            suffix=quote["suffix"] or None,
            language=self._raw["document"]["language"],
        )

    def _when(self, event: Mapping[str, Any]) -> str | When:
        day = event["occurred_at"]
        if not day:
            return "unknown"
        read = self._read_from(event)
        explicit = read is not None and read["basis"].startswith("explicit")
        return When(
            at=day, basis="explicit" if explicit else "inferred", expression=read["expression"] if read else None
        )

    def _read_from(self, event: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Return the words of the quote from which the day was read, and how."""
        for resolution in self._raw["date_resolution"]:
            if resolution["resolved"] == event["occurred_at"] and resolution["expression"] in event["quote"]["exact"]:
                found: Mapping[str, Any] = resolution
                return found
        return None

    def _note(self, event: Mapping[str, Any]) -> str | None:
        read = self._read_from(event)
        resolved = f"{read['expression']}: {read['basis']} ({read['confidence']})" if read else None
        return "; ".join(part for part in (event.get("note"), resolved) if part) or None


def _name(source: Mapping[str, Any]) -> str:
    """Return what a source is called in public. Nobody asks here for the name behind a label."""
    name: str = source["name"] or source.get("public_label") or "an unidentified speaker"
    return name.replace('"', "")


def _is_registered(source: Mapping[str, Any]) -> bool:
    return source["name"] is not None and source["kind"] != "outlet-group"


def _source(source: Mapping[str, Any]) -> RegisterSource:
    return RegisterSource(
        name=_name(source), kind=source["kind"], role=source.get("role"), note=source.get("note")
    )  # fmt: skip


def _label(origin: Mapping[str, Any]) -> str:
    """Return what an origin is called: the file's words up to the remark in parentheses."""
    what: str = origin["what"].partition(" (")[0]
    return _LABELS.get(origin["id"], what)


def _attribution(written: str) -> Attribution:
    return "on_record" if written in _OWN_VOICE else next(a for a in get_args(Attribution) if a == written)


def _claim(claim: Mapping[str, Any]) -> RegisterClaim:
    scope = claim["scope"]
    return RegisterClaim(
        text=claim["text"],
        kind=_KINDS.get(claim["kind"], claim["kind"]),
        story=claim["story"].partition(" (")[0],
        place=scope.get("place"),
        valid_from=scope.get("valid_from") or scope.get("date"),
        valid_to=scope.get("date"),
        checkable=claim["checkable"],
        note=claim["editor_note"],
    )


def _relation(relation: Mapping[str, Any]) -> Relation:
    word = relation["relation"]
    known = word in get_args(LinkKind)
    note = relation.get("condition") if known else word.replace("_", " ")
    return Relation(claim=relation["from"], to=relation["to"], kind=word if known else "related", note=note)


def _checkpoint(checkpoint: Mapping[str, Any]) -> Checkpoint:
    expected = {
        claim: Expected(
            status=stands["status"],
            rule=stands["rule"],
            support_origins=stands["support_origins"],
            denial_origins=stands["denial_origins"],
            outlets=stands["outlets"],
            set_aside=tuple((event, reason) for event, reason in stands["set_aside"]),
        )
        for claim, stands in checkpoint["expected"].items()
    }
    return Checkpoint(
        name=checkpoint["name"],
        order=checkpoint["recorded_seq_upto"],
        expected=expected,
        careful_editor=checkpoint["careful_editor"],
    )
