"""From bytes to commands: strict JSON, then pydantic, then a sentence that says what to mend.

Strict means: UTF-8, no key twice in one object, no NaN or Infinity, no number that the log can't hold, no
lone surrogates, bounded depth, no field that isn't known, and no text without words. What has a form in the
log (a language, a media type, a mark) must have it here already: what was recorded can be restored.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, TypeVar
from unicodedata import category

from pydantic import Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from events.leaf import FORMS
from verifier.commands import (
    AdoptPolicy,
    AnyCommand,
    ClaimCommand,
    OpenStory,
    RegisterClaim,
    RegisterSource,
    SourceCommand,
    StoryCommand,
)
from verifier.errors import Invalid

T = TypeVar("T")

DEPTH: Final = 20
"""How deep a body may be nested."""

LARGEST: Final = 2**53 - 1
"""The largest number that every reader of a log can hold."""

FORM_OF: Final[dict[str, tuple[re.Pattern[str], str]]] = {
    "correlation": (FORMS["correlation"], "use letters, digits and any of _ . : - and at most 128 of them"),
    "causation": (re.compile("evt_[a-z2-7]{26}"), "give the full id of an event, which begins with evt_"),
    "day": (FORMS["day"], "write 2020-01-06"),
    "language": (FORMS["language"], "give a tag such as en, ar or pt-BR"),
    "media_type": (FORMS["media_type"], "give it without parameters, such as text/html"),
}
"""The fields that have a form in the log, and how to write them."""


def _tagged(union: Any) -> TypeAdapter[Any]:
    return TypeAdapter(Annotated[union, Field(discriminator="type")])


REGISTER: Final[TypeAdapter[RegisterClaim]] = TypeAdapter(RegisterClaim)
CLAIM: Final[TypeAdapter[ClaimCommand]] = _tagged(ClaimCommand)
STORY: Final[TypeAdapter[StoryCommand]] = _tagged(StoryCommand)
SOURCE: Final[TypeAdapter[SourceCommand]] = _tagged(SourceCommand)
REGISTER_SOURCE: Final[TypeAdapter[RegisterSource]] = TypeAdapter(RegisterSource)
OPEN_STORY: Final[TypeAdapter[OpenStory]] = TypeAdapter(OpenStory)
ADOPT_POLICY: Final[TypeAdapter[AdoptPolicy]] = TypeAdapter(AdoptPolicy)
ANY: Final[TypeAdapter[AnyCommand]] = _tagged(AnyCommand)


def strict_json(raw: bytes) -> Any:
    """Decode JSON strictly. Raises `Invalid`, with what to mend."""
    try:
        text = raw.decode("utf-8")
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_constant)
    except UnicodeDecodeError as error:
        raise Invalid(f"the body is not UTF-8 (byte {error.start}): encode it as UTF-8") from error
    except json.JSONDecodeError as error:
        raise Invalid(f"the body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from error
    except RecursionError as error:
        raise Invalid(f"the body is nested deeper than {DEPTH}: flatten it") from error
    except ValueError as error:  # a number with too many digits
        raise Invalid(f"the body is not JSON that we take: {error}") from error
    check(value, surrogates="\\u" in text)
    return value


def check(value: Any, *, surrogates: bool = True) -> None:
    """Check what JSON may say and the log can't hold: for what did not come as text. Raises `Invalid`."""
    _check_value(value, DEPTH, surrogates=surrogates)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise Invalid(f"the key {twice!r} stands twice in one object: keep one of them", field=twice)
    return value


def _constant(name: str) -> Any:
    raise Invalid(f"{name} is not a number that JSON knows: leave the field out or give a number")


def _check_value(value: Any, depth: int, *, surrogates: bool) -> None:
    if depth == 0:
        raise Invalid(f"the body is nested deeper than {DEPTH}: flatten it")
    if isinstance(value, dict):
        for key, inner in value.items():
            _check_value(key, depth, surrogates=surrogates)
            _check_value(inner, depth - 1, surrogates=surrogates)
    elif isinstance(value, list | tuple):
        for inner in value:
            _check_value(inner, depth - 1, surrogates=surrogates)
    elif isinstance(value, str):
        if surrogates:
            _check_text(value)
    elif isinstance(value, int | float) and not -LARGEST <= value <= LARGEST:
        raise Invalid(f"{value:g} is beyond every number that is used here: none is larger than {LARGEST}")


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise Invalid("a text holds a lone surrogate, which is not a character: remove it and send again") from error


def parse(adapter: TypeAdapter[T], body: Any, **fixed: object) -> T:
    """Check a decoded body against what it should be; `fixed` fills fields that the place implies.

    Raises `Invalid`, naming the field and what it should have been.
    """
    if not isinstance(body, Mapping):
        raise Invalid('the body is not a JSON object: send one, such as {"source": …}')
    try:
        checked = adapter.validate_python({**body, **fixed})
        _check_forms("", body)
        return checked
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"] if not _is_tag(part))
        raise Invalid(_sentence(where, first), field=where or None) from error


def _check_forms(name: str, value: Any) -> None:
    """Check what a type can't say: texts have words, and those that have a form in the log have it."""
    if isinstance(value, str):
        if value and not value[0].isalnum() and not any(category(letter)[0] not in "ZC" for letter in value):
            raise Invalid(f"{name} is blank: give it words, or leave it out", field=name)
        form = FORM_OF.get(name)
        if form is not None and not form[0].fullmatch(value):
            raise Invalid(f"{name} {value!r} does not have the form of one: {form[1]}", field=name)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            _check_forms(key, inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            _check_forms(name, inner)


def _is_tag(part: object) -> bool:
    """Say whether a part of an error's place is a type's name, which the caller didn't write."""
    return isinstance(part, str) and ("." in part or "-" in part or part[:1].isupper() or "[" in part)


def _sentence(where: str, error: ErrorDetails) -> str:
    """Say what is wrong and what to do about it."""
    bounds = error.get("ctx", {})
    match error["type"]:
        case "unexpected_keyword_argument" | "extra_forbidden":
            return f"{where} is not a known field here: remove it or mend its name"
        case "missing" | "missing_argument":
            return f"{where} is missing: give it"
        case "union_tag_not_found":
            return "`type` is missing: give the type of the fact to record, such as claim.denied"
        case "union_tag_invalid":
            return f"that `type` can't be recorded here: give one of {bounds['expected_tags']}"
        case "string_too_short" if bounds["min_length"] == 1:
            return f"{where} is empty: give it words, or leave it out"
        case "string_too_short":
            return f"{where} is too short: give at least {bounds['min_length']} characters"
        case "string_too_long":
            return f"{where} is too long: it has at most {bounds['max_length']:,} characters, so shorten it"
        case "too_short":
            return f"{where} has too few: give at least {bounds['min_length']}"
        case "too_long":
            return f"{where} has too many: give at most {bounds['max_length']:,}, and divide the rest"
        case "greater_than_equal":
            return f"{where} is too small: give {bounds['ge']} or more"
        case "less_than_equal":
            return f"{where} is too large: give {bounds['le']} or less"
        case "literal_error":
            return f"{where} can't be that: choose {bounds['expected']}"
        case _:
            message = error["msg"].removeprefix("Input ").removeprefix("should ")
            return f"{where or 'the body'} can't be that: it should {message}"
