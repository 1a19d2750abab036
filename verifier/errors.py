"""What can go wrong when a claim is recorded or read, and what the caller should do about it.

    Problem
    ├── Invalid          mend the input
    ├── NotFound         look the id up again
    ├── Refused          a rule of the domain forbids it: `rule` says which
    ├── DuplicateClaim   use the claim that says this already: `claim`
    ├── Conflict         read the claim again: it has moved on to `position`
    ├── KeyReused        use a new key for a new command
    ├── TooLarge         send less
    ├── ViewsBehind      wait: the views have reached `position`
    ├── Busy             wait and try again with the same key
    ├── ReadOnly         write somewhere else
    ├── DiskFull         make room and try again
    ├── NotSealed        wait a second and ask again; where nothing is signed any more, it says what to do
    ├── NotReady         send requests elsewhere until what it says has passed or is mended
    ├── Internal         report it: it is our bug
    ├── Unreachable      start the server, or name the right address (client only)
    └── OutcomeUnknown   ask again with the same `key`

Over HTTP a problem is a document (RFC 9457), whose `type` ends in the `slug` of its class. Which status that
has is the business of `verifier.api.edge`.
"""

from __future__ import annotations

from typing import ClassVar, Final


class Problem(Exception):
    """Any problem of this product; `extra` holds the values needed to act on it."""

    slug: ClassVar[str] = "problem"
    title: ClassVar[str] = "Something went wrong"

    def __init__(self, detail: str, **extra: object) -> None:
        super().__init__(detail)
        self.detail = detail
        self.extra = extra


class Invalid(Problem):
    """The input is not what it should be; nothing was recorded."""

    slug = "invalid"
    title = "The input is not valid"


class NotFound(Problem):
    """There is no such thing in this log."""

    slug = "not-found"
    title = "Not found"


class Refused(Problem):
    """A rule of the domain forbids it; nothing was recorded."""

    slug = "refused"
    title = "Refused by a rule"

    def __init__(self, detail: str, *, rule: str, **extra: object) -> None:
        super().__init__(detail, rule=rule, **extra)
        self.rule = rule


class DuplicateClaim(Problem):
    """The story has a claim with this wording already."""

    slug = "duplicate-claim"
    title = "The claim exists already"

    def __init__(self, detail: str, *, claim: str, **extra: object) -> None:
        super().__init__(detail, claim=claim, **extra)
        self.claim = claim


class Conflict(Problem):
    """The claim has moved on since the caller read it."""

    slug = "conflict"
    title = "The claim has moved on"

    def __init__(self, detail: str, *, position: int, **extra: object) -> None:
        super().__init__(detail, position=position, **extra)
        self.position = position


class KeyReused(Problem):
    """The idempotency key was used for another command."""

    slug = "key-reused"
    title = "The key was used for another command"


class TooLarge(Problem):
    """The request has more than it may have; nothing was recorded."""

    slug = "too-large"
    title = "Too large"


class ViewsBehind(Problem):
    """The views have not reached the position that the caller asked for."""

    slug = "views-behind"
    title = "The views are behind"

    def __init__(self, detail: str, *, position: int, **extra: object) -> None:
        super().__init__(detail, position=position, **extra)
        self.position = position


class Busy(Problem):
    """Too much at once; nothing was recorded."""

    slug = "busy"
    title = "Busy"


class ReadOnly(Problem):
    """This log can't be written; nothing was recorded."""

    slug = "read-only"
    title = "Read only"


class DiskFull(Problem):
    """There is no room left; nothing was recorded."""

    slug = "disk-full"
    title = "The disk is full"


class NotSealed(Problem):
    """No signed checkpoint covers it yet, or nothing is signed any more."""

    slug = "not-sealed"
    title = "Not sealed"


class NotReady(Problem):
    """The server runs and should be sent no requests: its log can't be read, or its views are not up to it."""

    slug = "not-ready"
    title = "Not ready"


class Internal(Problem):
    """A bug of ours; the server's log has the details under the request id."""

    slug = "internal"
    title = "Internal error"


class Unreachable(Problem):
    """Nothing answers at the address."""

    slug = "unreachable"
    title = "Unreachable"


class OutcomeUnknown(Problem):
    """Nobody can say whether the command was recorded. Ask again with the same `key`."""

    slug = "outcome-unknown"
    title = "The outcome is unknown"

    def __init__(self, detail: str, *, key: str, **extra: object) -> None:
        super().__init__(detail, key=key, **extra)
        self.key = key


PROBLEMS: Final[dict[str, type[Problem]]] = {
    cls.slug: cls
    for cls in (
        Invalid, NotFound, Refused, DuplicateClaim, Conflict, KeyReused, TooLarge, ViewsBehind, Busy,
        ReadOnly, DiskFull, NotSealed, NotReady, Internal, Unreachable, OutcomeUnknown,
    )
}  # fmt: skip
"""Every problem by its slug."""


def document_of(problem: Problem) -> dict[str, object]:
    """Return a problem as RFC 9457 has it, without the HTTP status. What is inside a bug of ours stays here."""
    extra = {} if isinstance(problem, Internal) else problem.extra
    return {
        **{name: value for name, value in extra.items() if value is not None},
        "type": type_uri(problem.slug),
        "title": problem.title,
        "detail": problem.detail,
    }


def type_uri(slug: str) -> str:
    """Return the `type` of a problem: a relative reference to its page in the reference."""
    return f"/problems/{slug}"
