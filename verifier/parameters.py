"""What a question may say: the parameters of each, with their bounds, and one question as it came."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Le, MaxLen

from verifier.commands import STRICT

Position = Annotated[int, Ge(0)]
Limit = Annotated[int, Ge(1), Le(1_000)]
Word = Annotated[str, MaxLen(500)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """The parameters of a question. `at_least` waits for the views to reach a position."""

    __pydantic_config__: ClassVar = STRICT
    at_least: Position | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AsOfParams(Params):
    """A question that may be asked as of a position or a recorded time (`as_of`): by what was recorded by then."""

    as_of: Position | Word | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ThenParams(AsOfParams):
    """The three questions: how it stood at a position or time (`as_of`), by what had been said by a moment
    (`said_by`), under another `policy`."""

    said_by: Word | None = None
    policy: Word | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PageParams(Params):
    """A page of a list: at most `limit` items, after `cursor`."""

    cursor: Word | None = None
    limit: Limit = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class StoriesParams(PageParams):
    """A page of stories, maybe as of a position or time."""

    as_of: Position | Word | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementsParams(PageParams):
    """A page of a claim's statements: those recorded by a position or time, those said by a moment."""

    as_of: Position | Word | None = None
    said_by: Word | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryParams(PageParams):
    """A page of the changes of a claim's status, up to a position or time, or as another policy has them."""

    as_of: Position | Word | None = None
    policy: Word | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimsParams(PageParams):
    """Which claims are listed, and how they stood then."""

    as_of: Position | Word | None = None
    said_by: Word | None = None
    policy: Word | None = None

    status: Word | None = None
    story: Word | None = None
    source: Word | None = None
    attention: Word | None = None
    language: Word | None = None
    text: Word | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsParams:
    """Events after a position, at most `limit` of them, recorded by `as_of`; left out: 100, and as lines all there
    are."""

    __pydantic_config__: ClassVar = STRICT
    after: Position = 0
    limit: Limit | None = None
    as_of: Position | Word | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangesParams(AsOfParams):
    """Changes after a position, about `limit` of them, narrowed as a feed is."""

    after: Position = 0
    limit: Limit = 100
    claim: Word | None = None
    story: Word | None = None
    status: Word | None = None
    source: Word | None = None
    recalls: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedParams:
    """Where a feed begins (left out: from now; 0: from the beginning) and what it is narrowed to."""

    __pydantic_config__: ClassVar = STRICT
    after: Position | None = None
    claim: Word | None = None
    story: Word | None = None
    status: Word | None = None
    source: Word | None = None
    recalls: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowParams:
    """Where a stream of events begins (left out: from now; 0: from the beginning) and what it is narrowed to."""

    __pydantic_config__: ClassVar = STRICT
    after: Position | None = None
    claim: Word | None = None
    story: Word | None = None
    source: Word | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SyndicationParams:
    """What a document for feed readers is narrowed to, and which page of it: `limit` items after `cursor`."""

    __pydantic_config__: ClassVar = STRICT
    claim: Word | None = None
    story: Word | None = None
    status: Word | None = None
    source: Word | None = None
    recalls: bool = False
    cursor: Word | None = None
    limit: Limit = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One question as it came: ids from the path, parameters checked, and what the caller had seen last."""

    ids: Mapping[str, str]
    params: Any
    seen: int | None = None

    @property
    def at_least(self) -> dict[str, Any]:
        """What the views must have reached, and whether the caller said so itself."""
        if self.params.at_least is not None:
            return {"at_least": self.params.at_least}
        return {"at_least": self.seen, "lenient": True} if self.seen is not None else {}
