"""What the fields of a command are to a person: a sentence for each, and the parts that a time and a quote have.

The command line makes flags of them, the dashboard the fields of its forms: both ask for one thing in one way.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Any, Final, Union, get_args, get_origin

from verifier.commands import Command, Quotation, When

HELP: Final[Mapping[str, str]] = {
    "accuses": "Whom the claim accuses. Their word on it is that of an interested party.",
    "address": "Where it was found, as an address.",
    "adjudication": "The verdict to take back. Left out: the one that stands.",
    "again": "Register it though the story has a claim with this wording.",
    "aliases": "Another name.",
    "attribution": "How the speaker is known.",
    "basis": "The legal reason.",
    "by": "Who puts it right.",
    "checkable": "Whether it can be checked; an opinion or a sentence without its antecedent takes notes only.",
    "day": "The day, such as 2020-01-06.",
    "documents": "The SHA-256 of a document that bears it out.",
    "event": "The event whose text is erased.",
    "extent": "Whether it speaks of the whole claim or of a part.",
    "fetched_at": "When the document was fetched.",
    "fetched_by": "By whom the document was fetched.",
    "file": "The document: its bytes are kept beside the log.",
    "into": "The claim that goes on, by its id or the end of it.",
    "kept": "The origin that stays, by its label.",
    "kind": "What kind it is.",
    "language": "The language of the wording.",
    "link": "The link to take back.",
    "media_type": "What kind of document it is.",
    "merge": "The merge to undo.",
    "merged": "The origin that turns out to be the same, by its label.",
    "name": "The name.",
    "note": "A remark of the desk.",
    "occurred": "When it was said: 2020-01-06, 2020-01, 2020-01-06T12:30Z, 2020-01-05/2020-01-07, or unknown."
                " Left out: when we recorded it.",
    "occurred_basis": "How that is known: it was said, or it was worked out.",
    "occurred_expression": "The words from which it was read, such as Monday.",
    "origin": "Where the information entered the world, such as: the letter. Left out: the source itself.",
    "place": "Where the claim is about.",
    "policy": "The policy, such as strict/1.",
    "protected": "Know the source by a random id, not by its name.",
    "publication": "The publication.",
    "quote": "The exact words.",
    "quote_document": "The SHA-256 of the document in which the words are looked up.",
    "quote_end": "Where in the document the words end, in characters.",
    "quote_language": "The language of the words.",
    "quote_prefix": "What stands before the words.",
    "quote_start": "Where in the document the words begin, in characters.",
    "quote_suffix": "What stands behind the words.",
    "quote_translated_by": "Who translated the words.",
    "quote_translation": "The words in another language.",
    "reason": "Why.",
    "role": "What the source is, such as Defence Secretary.",
    "same_as": "The source that it turns out to be.",
    "seen": "The position of the claim that was looked at.",
    "sha256": "The SHA-256 of a document whose bytes are kept elsewhere.",
    "shows": "What the document shows.",
    "size": "The size of that document in bytes.",
    "slot": "Which text: the words, or who is named.",
    "source": "Whose word it is: a person, an organisation, an outlet in its own voice.",
    "stance": "What the statement says of the claim.",
    "standing": "What the source is to the claim.",
    "statement": "The statement.",
    "statements": "To which claims a statement speaks: STATEMENT=CLAIM,CLAIM.",
    "story": "The story, by its title or id; opened if nobody has.",
    "text": "The wording: a checkable, affirmative sentence.",
    "title": "The title.",
    "to": "The other claim, by its id or the end of it.",
    "valid_from": "From when on the claim is meant to hold.",
    "valid_to": "Until when the claim is meant to hold.",
    "verdict": "The verdict.",
    "via": "Who carried it to us, other than the source; the one next to the source last.",
    "Attach.statement": "The statement that the document bears out.",
    "Publish.address": "Where we used the claim, as an address.",
    "Retract.by": "Who takes it back: its source, or one who carried it.",
    "Split.into": "The claims that go on, by their ids or the ends of them.",
    "UpdateSource.source": "The source, by its name or id.",
}  # fmt: skip
"""What each field asks for; `Command.field` where a field means something of its own there."""

OF_EVERY_COMMAND: Final = ("type", "causation", "correlation")
"""The fields that no person is asked for."""

EVENTS: Final = ("statement", "merge", "adjudication", "link", "publication", "event")
"""The fields that name an event of the log."""

PARTS: Final[Mapping[str, tuple[type, tuple[str, ...]]]] = {
    "occurred": (When, ("basis", "expression")),
    "quote": (Quotation, ("document", "start", "end", "prefix", "suffix", "language", "translation", "translated_by")),
}
"""The fields that have parts, which are asked for under the names `field_part`."""


def help_of(command: type[Command], name: str) -> str:
    """Return what a field of a command asks for, in a sentence."""
    return HELP.get(f"{command.__name__}.{name}", HELP[name])


def typed(hint: Any) -> Any:
    """Return the type in which a person gives a field: a word, a number, a choice, yes or no, or a list of words."""
    if get_origin(hint) in (Union, types.UnionType):
        hint = next(choice for choice in get_args(hint) if choice is not type(None))
    if get_origin(hint) in (tuple, dict):
        return list[str]
    return hint
