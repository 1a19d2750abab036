"""Every way in, once: the table that the HTTP API serves and the embedded client calls.

A route has a method, a path, and a function of the desk; a question's parameters (`verifier.parameters`) and a
command's body (`verifier.parsing`) are checked by what is named beside it. The streams and the bytes of evidence
have no row in the table. Neither HTTP nor the client's port is known here.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterable, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, TypeVar
from urllib.parse import unquote

from pydantic import TypeAdapter

from events import errors as log_errors
from verifier import parsing, receipts
from verifier.app import Desk
from verifier.attesting import told
from verifier.commands import (
    COMMANDS,
    STRICT,
    AdoptPolicy,
    Erase,
    OpenStory,
    RegisterClaim,
    RegisterSource,
    SourceCommand,
    UpdateSource,
)
from verifier.errors import Internal, Invalid, NotFound, OutcomeUnknown, Problem, ViewsBehind
from verifier.frames import Wanted
from verifier.handler.answering import Answer, in_full
from verifier.handler.appending import Caller, translate
from verifier.health import health
from verifier.naming import is_id, source_named, story_named
from verifier.parameters import (
    Asked,
    ChangesParams,
    ClaimsParams,
    EventsParams,
    FeedParams,
    FollowParams,
    HistoryParams,
    PageParams,
    Params,
    StatementsParams,
    StoriesParams,
    SyndicationParams,
    ThenParams,
)
from verifier.picking import Picked
from verifier.policy import POLICIES, policy_named
from verifier.queries.past import position_of
from verifier.render import basis
from verifier.webhooks.office import AddWebhook, RotateWebhook

P = TypeVar("P")


@dataclass(frozen=True, slots=True, kw_only=True)
class Nothing:
    """What a route takes that says everything by its path: no parameter, or an empty object."""

    __pydantic_config__: ClassVar = STRICT


Ask = Callable[[Desk, Asked], Awaitable[dict[str, Any]]]
Do = Callable[[Desk, Mapping[str, str], Any, Caller, Answer], Awaitable[dict[str, Any]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A route that reads."""

    path: str
    about: str
    ask: Ask
    params: type[Any] = Params
    answer: str = "Page"
    method: ClassVar[str] = "GET"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A route that writes one command, or, where it `records` none, says what one would come to."""

    path: str
    about: str
    do: Do
    body: TypeAdapter[Any]
    answer: str = "Done"
    records: bool = True
    fixed: Mapping[str, str] = field(default_factory=dict)
    method: ClassVar[str] = "POST"


# --- questions -------------------------------------------------------------------------------------


async def _claims(desk: Desk, asked: Asked) -> dict[str, Any]:
    p: ClaimsParams = asked.params
    return await desk.queries.claims(
        status=p.status, story=p.story, source=p.source, attention=p.attention, language=p.language, text=p.text,
        cursor=p.cursor, limit=p.limit, as_of=p.as_of, said_by=p.said_by, policy=p.policy, **asked.at_least,
    )  # fmt: skip


async def _claim(desk: Desk, asked: Asked) -> dict[str, Any]:
    p: ThenParams = asked.params
    return await desk.queries.claim(
        asked.ids["id"], as_of=p.as_of, said_by=p.said_by, policy=p.policy, **asked.at_least
    )


async def _claim_events(desk: Desk, asked: Asked) -> dict[str, Any]:
    return await _events_of(desk, f"claim:{asked.ids['id']}", asked.params)


async def _events_of(desk: Desk, stream: str | None, params: EventsParams) -> dict[str, Any]:
    return await desk.queries.events(stream, after=params.after, limit=params.limit or 100, as_of=params.as_of)


async def _source_events(desk: Desk, asked: Asked) -> dict[str, Any]:
    return await _events_of(desk, f"source:{await desk.registrar.registry.source_by(asked.ids['id'])}", asked.params)


async def _story_events(desk: Desk, asked: Asked) -> dict[str, Any]:
    return await _events_of(desk, f"story:{await desk.registrar.registry.story_by(asked.ids['id'])}", asked.params)


async def _statements(desk: Desk, asked: Asked) -> dict[str, Any]:
    p: StatementsParams = asked.params
    return await desk.queries.statements(
        asked.ids["id"], cursor=p.cursor, limit=p.limit, as_of=p.as_of, said_by=p.said_by
    )


async def _history(desk: Desk, asked: Asked) -> dict[str, Any]:
    p: HistoryParams = asked.params
    return await desk.queries.history(
        asked.ids["id"], cursor=p.cursor, limit=p.limit, as_of=p.as_of, policy=p.policy, **asked.at_least
    )


async def _sources(desk: Desk, asked: Asked) -> dict[str, Any]:
    return await desk.queries.sources(cursor=asked.params.cursor, limit=asked.params.limit, **asked.at_least)


async def _source(desk: Desk, asked: Asked) -> dict[str, Any]:
    p: ThenParams = asked.params
    return await desk.queries.source(
        asked.ids["id"], as_of=p.as_of, said_by=p.said_by, policy=p.policy, **asked.at_least
    )


async def _stories(desk: Desk, asked: Asked) -> dict[str, Any]:
    p: StoriesParams = asked.params
    return await desk.queries.stories(cursor=p.cursor, limit=p.limit, as_of=p.as_of, **asked.at_least)


async def _story(desk: Desk, asked: Asked) -> dict[str, Any]:
    p: ThenParams = asked.params
    return await desk.queries.story(
        asked.ids["id"], as_of=p.as_of, said_by=p.said_by, policy=p.policy, **asked.at_least
    )


async def _events(desk: Desk, asked: Asked) -> dict[str, Any]:
    return await _events_of(desk, None, asked.params)


async def _changes(desk: Desk, asked: Asked) -> dict[str, Any]:
    p: ChangesParams = asked.params
    page = await desk.queries.changes(
        after=p.after, limit=p.limit, as_of=p.as_of, claim=p.claim, story=p.story, status=p.status, source=p.source,
        recalls=p.recalls, **asked.at_least,
    )  # fmt: skip
    return {**page, "next": str(page["position"]) if page["position"] < page["basis"]["position"] else None}


async def _found(desk: Desk, asked: Asked) -> dict[str, Any]:
    return {"id": await desk.queries.resolve(asked.ids["prefix"], asked.ids["tail"], **asked.at_least)}


async def _checkpoint(desk: Desk, asked: Asked) -> dict[str, Any]:
    return await receipts.checkpoint(desk)


async def _event_receipt(desk: Desk, asked: Asked) -> dict[str, Any]:
    return await receipts.receipt_of_event(desk, asked.ids["position"])


async def _claim_receipt(desk: Desk, asked: Asked) -> dict[str, Any]:
    return await receipts.receipt_of_claim(desk, asked.ids["id"])


async def _policies(desk: Desk, asked: Asked) -> dict[str, Any]:
    position = await desk.log.head()
    items = [
        {
            "id": policy.id,
            "about": policy.about,
            "digest": policy.digest,
            "in_force": policy is desk.adopted.at(),
            "rules": [{"id": rule.id, "status": rule.status, "says": rule.says} for rule in policy.rules],
        }
        for policy in POLICIES.values()
    ]
    return {"items": items, "next": None, "position": position, "basis": basis(desk.log.id, position, None)}


async def _attestation(desk: Desk, asked: Asked) -> dict[str, Any]:
    _check_claim_id(asked.ids["id"])
    return await desk.attester.attestation_of(asked.ids["id"])


async def _webhooks(desk: Desk, asked: Asked) -> dict[str, Any]:
    return await desk.webhooks.list()


async def _dead_letters(desk: Desk, asked: Asked) -> dict[str, Any]:
    return await desk.webhooks.dead(asked.ids["id"], asked.params.cursor, asked.params.limit)


async def _health(desk: Desk, asked: Asked) -> dict[str, Any]:
    return (await health(desk)).answer


# --- orders ----------------------------------------------------------------------------------------


async def _register(
    desk: Desk, ids: Mapping[str, str], command: RegisterClaim, caller: Caller, answer: Answer
) -> dict[str, Any]:
    return await desk.handler.register(command, caller, answer=answer)


async def _on_claim(desk: Desk, ids: Mapping[str, str], command: Any, caller: Caller, answer: Answer) -> dict[str, Any]:
    _check_claim_id(ids["id"])
    return await desk.handler.handle(ids["id"], command, caller, answer=answer)


def _check_claim_id(given: str) -> None:
    if not is_id(given, "clm"):
        raise NotFound(f"{given!r} is not a claim's id: look it up in the list of claims", claim=given)


async def _register_source(
    desk: Desk, ids: Mapping[str, str], command: RegisterSource, caller: Caller, answer: Answer
) -> dict[str, Any]:
    return await desk.registrar.handle_source(None, command, caller)


async def _on_source(
    desk: Desk, ids: Mapping[str, str], command: SourceCommand, caller: Caller, answer: Answer
) -> dict[str, Any]:
    if isinstance(command, UpdateSource):
        named, meant = [await desk.registrar.registry.source_by(name) for name in (command.source, ids["id"])]
        if named != meant:
            raise Invalid(f"the address is that of {ids['id']}: give the same `source`", field="source")
    return await desk.registrar.handle_source(ids["id"], command, caller)


async def _open_story(
    desk: Desk, ids: Mapping[str, str], command: OpenStory, caller: Caller, answer: Answer
) -> dict[str, Any]:
    return await desk.registrar.open_story(command, caller)


async def _on_story(desk: Desk, ids: Mapping[str, str], command: Any, caller: Caller, answer: Answer) -> dict[str, Any]:
    return await desk.registrar.handle_story(await desk.registrar.registry.story_by(ids["id"]), command, caller)


async def _adopt(
    desk: Desk, ids: Mapping[str, str], command: AdoptPolicy, caller: Caller, answer: Answer
) -> dict[str, Any]:
    return await desk.registrar.adopt_policy(command, caller)


async def _what_if(desk: Desk, ids: Mapping[str, str], command: Any, caller: Caller, answer: Answer) -> dict[str, Any]:
    _check_claim_id(ids["id"])
    return await desk.what_if.ask(ids["id"], command, caller)


async def _attest(desk: Desk, ids: Mapping[str, str], asked: Nothing, caller: Caller, answer: Answer) -> dict[str, Any]:
    attested = await desk.attester.attest()
    rests = basis(desk.log.id, attested.position, attested.recorded_at, policy_named(attested.policy))
    return {**told(attested), "basis": rests}


async def _rebuild(
    desk: Desk, ids: Mapping[str, str], asked: Nothing, caller: Caller, answer: Answer
) -> dict[str, Any]:
    desk.rebuilding.start()
    return (await health(desk)).answer


async def _add_webhook(
    desk: Desk, ids: Mapping[str, str], asked: AddWebhook, caller: Caller, answer: Answer
) -> dict[str, Any]:
    return await desk.webhooks.add(asked, caller.actor, caller.key)


async def _rotate_webhook(
    desk: Desk, ids: Mapping[str, str], asked: RotateWebhook, caller: Caller, answer: Answer
) -> dict[str, Any]:
    return await desk.webhooks.rotate(ids["id"], asked, caller.actor, caller.key)


async def _remove_webhook(
    desk: Desk, ids: Mapping[str, str], asked: Nothing, caller: Caller, answer: Answer
) -> dict[str, Any]:
    return await desk.webhooks.remove(ids["id"])


async def _replay_webhook(
    desk: Desk, ids: Mapping[str, str], asked: Nothing, caller: Caller, answer: Answer
) -> dict[str, Any]:
    return await desk.webhooks.replay(ids["id"])


# --- the table -------------------------------------------------------------------------------------

QUESTIONS: Final = (
    Question(path="/claims", about="List claims, newest first.", ask=_claims, params=ClaimsParams),
    Question(path="/claims/{id}", about="Show how a claim stands.", ask=_claim, params=ThenParams, answer="Claim"),
    Question(path="/claims/{id}/events", about="List the facts of a claim.", ask=_claim_events, params=EventsParams),
    Question(path="/claims/{id}/statements", about="List who said what about a claim.", ask=_statements,
             params=StatementsParams),
    Question(path="/claims/{id}/history", about="List the changes of a claim's status.", ask=_history,
             params=HistoryParams),
    Question(path="/claims/{id}/attestation", about="Prove the status of a claim, as it was attested last.",
             ask=_attestation, answer="Attestation"),
    Question(path="/sources", about="List sources by name.", ask=_sources, params=PageParams),
    Question(path="/sources/{id}", about="Show a source and how its claims stand.", ask=_source, params=ThenParams,
             answer="Source"),
    Question(path="/sources/{id}/events", about="List the facts of a source.", ask=_source_events,
             params=EventsParams),
    Question(path="/stories", about="List stories.", ask=_stories, params=StoriesParams),
    Question(path="/stories/{id}", about="Show a story and its claims by status.", ask=_story, params=ThenParams,
             answer="Story"),
    Question(path="/stories/{id}/events", about="List the facts of a story.", ask=_story_events,
             params=EventsParams),
    Question(path="/events", about="List all facts of the log.", ask=_events, params=EventsParams),
    Question(path="/changes", about="List the changes of all statuses.", ask=_changes, params=ChangesParams),
    Question(path="/ids/{prefix}/{tail}", about="Find the id that begins and ends so.", ask=_found, answer="Found"),
    Question(path="/checkpoint", about="Show how far the log is sealed, and the signed checkpoint.", ask=_checkpoint,
             params=Nothing, answer="Checkpoint"),
    Question(path="/events/{position}/receipt", about="Give an event with the proof that it is in the log.",
             ask=_event_receipt, params=Nothing, answer="Receipt"),
    Question(path="/claims/{id}/receipt", about="Give a claim's facts with their proofs, and how it stands by them.",
             ask=_claim_receipt, params=Nothing, answer="Receipt"),
    Question(path="/policies", about="List the policies that ship, and which is in force.", ask=_policies),
    Question(path="/webhooks", about="List the endpoints of webhooks, and how far each is.", ask=_webhooks,
             params=Nothing),
    Question(path="/webhooks/{id}/dead", about="List the messages that were given up for an endpoint.",
             ask=_dead_letters, params=PageParams),
    Question(path="/health", about="Say how far log and views are.", ask=_health, answer="Health"),
)  # fmt: skip
"""Every route that reads, but for the streams and the bytes of evidence."""

ORDERS: Final = (
    Order(path="/claims", about="Register a claim, with its first statement if one is given.", do=_register,
          body=parsing.REGISTER, answer="Written", fixed={"type": "claim.registered"}),
    Order(path="/claims/{id}/events", about="Record a fact about a claim.", do=_on_claim, body=parsing.CLAIM,
          answer="Written"),
    Order(path="/claims/{id}/what-if", about="Show how a claim would stand with a fact. Records nothing.",
          do=_what_if, body=parsing.CLAIM, answer="Written", records=False),
    Order(path="/sources", about="Register a source.", do=_register_source, body=parsing.REGISTER_SOURCE,
          fixed={"type": "source.registered"}),
    Order(path="/sources/{id}/events", about="Record a fact about a source.", do=_on_source, body=parsing.SOURCE),
    Order(path="/stories", about="Open a story.", do=_open_story, body=parsing.OPEN_STORY,
          fixed={"type": "story.opened"}),
    Order(path="/stories/{id}/events", about="Record a fact about a story.", do=_on_story, body=parsing.STORY),
    Order(path="/policies", about="Adopt a policy.", do=_adopt, body=parsing.ADOPT_POLICY,
          fixed={"type": "policy.adopted"}),
    Order(path="/attestations", about="Attest how all claims stand now, so that a status can be proved.", do=_attest,
          body=TypeAdapter(Nothing), answer="Attested"),
    Order(path="/webhooks", about="Send the changes that are wanted to an address. Tells its secret, once.",
          do=_add_webhook, body=TypeAdapter(AddWebhook), answer="Webhook"),
    Order(path="/webhooks/{id}/rotate", about="Give an endpoint a new secret, and tell it. The old one counts on for a"
          " while.", do=_rotate_webhook, body=TypeAdapter(RotateWebhook), answer="Webhook"),
    Order(path="/webhooks/{id}/remove", about="Forget an endpoint, its secrets and what waits for it.",
          do=_remove_webhook, body=TypeAdapter(Nothing), answer="Webhook"),
    Order(path="/webhooks/{id}/replay", about="Send again what was given up, and go on with an endpoint that was"
          " disabled.", do=_replay_webhook, body=TypeAdapter(Nothing), answer="Webhook"),
    Order(path="/rebuild", about="Begin to rebuild the views; /health says how far it is.", do=_rebuild,
          body=TypeAdapter(Nothing), answer="Health"),
)  # fmt: skip
"""Every route that writes one command."""


async def order(
    desk: Desk, route: Order, ids: Mapping[str, str], body: Any, caller: Caller, *, answer: Answer = in_full
) -> dict[str, Any]:
    """Check a command's body, carry it out and answer it. Raises a `Problem`."""
    if not route.records:
        return await carry_out(desk, route, ids, command_of(route, body), caller, answer=answer)
    with _counted(desk, route.fixed.get("type") or (body.get("type") if isinstance(body, Mapping) else None)):
        return await carry_out(desk, route, ids, command_of(route, body), caller, answer=answer)


@contextmanager
def _counted(desk: Desk, given: object) -> Iterator[None]:
    """Count a command by what it asks for and what comes of it."""
    outcome = Internal.slug
    try:
        yield
        outcome = RECORDED
    except Problem as problem:
        outcome = problem.slug
        raise
    except asyncio.CancelledError:
        outcome = OutcomeUnknown.slug
        raise
    finally:
        count(desk, given, outcome)


WIPED_WITHIN: Final = 5.0
"""How many seconds an erasure waits until the views have let go of the text."""

RECORDED: Final = "recorded"
"""What comes of a command that is no problem, where commands are counted."""


def count(desk: Desk, given: object, outcome: str) -> None:
    """Count a command by its type, whatever was given for it, and by the problem that it came to or `RECORDED`.

    Only types that there are become a label, never a word of the caller's own.
    """
    desk.meters.commands[given if isinstance(given, str) and given in COMMANDS else "none", outcome] += 1


def command_of(route: Order, body: Any) -> Any:
    """Check a command's body and return the command. Raises `Invalid`."""
    records = route.fixed.get("type")
    if records is not None and isinstance(body, Mapping) and (given := body.get("type", records)) != records:
        raise Invalid(f"{route.path} records {records}, not {given}: leave `type` out", field="type")
    return parsing.parse(route.body, body, **route.fixed)


async def carry_out(
    desk: Desk, route: Order, ids: Mapping[str, str], command: Any, caller: Caller, *, answer: Answer = in_full
) -> dict[str, Any]:
    """Carry out a command that was checked, and answer it. Raises a `Problem`."""
    try:
        if desk.tailer is not None:
            await desk.tailer.level()
        done = await route.do(desk, ids, command, caller, answer)
    except log_errors.LogError as error:
        raise translate(error, caller.key) from error
    if isinstance(command, Erase):
        await _wiped(desk, done)
    return done


async def _wiped(desk: Desk, done: Mapping[str, Any]) -> None:
    """Wait until the views hold nothing any more of what was erased: an erasure is only reported once it is done.

    Raises `ViewsBehind`: the erasure is recorded, and the same command sent again waits again.
    """
    if not await desk.views.wiped(done["written_at"], WIPED_WITHIN):
        raise ViewsBehind(
            "the text is erased from the log, and its words may still stand in the views: send the same command again,"
            f" with the same key, until it is answered ({desk.views.error or 'somebody is reading them'})",
            position=desk.views.position,
        )


async def ask(desk: Desk, route: Question, asked: Asked) -> dict[str, Any]:
    """Answer a question. Raises a `Problem`."""
    try:
        return await route.ask(desk, asked)
    except log_errors.LogError as error:
        raise translate(error, "") from error


async def position(desk: Desk, as_of: int | str) -> int:
    """Return the position that a position or a recorded time means. Raises a `Problem`."""
    try:
        return await position_of(desk.log, as_of)
    except log_errors.LogError as error:
        raise translate(error, "") from error


_PARAMS: Final[dict[type[Any], TypeAdapter[Any]]] = {
    cls: TypeAdapter(cls)
    for cls in (*{route.params for route in QUESTIONS}, FeedParams, FollowParams, SyndicationParams)
}


def params_of(kind: type[P], given: Mapping[str, Any]) -> P:
    """Check the parameters of a question. Raises `Invalid` for unknown ones too."""
    params: P = parsing.parse(_PARAMS[kind], {name: value for name, value in given.items() if value is not None})
    return params


def wanted(desk: Desk, params: FeedParams) -> Wanted:
    """Return what a feed is narrowed to; a story and a source may be given by their names."""
    lineage = desk.log.lineage
    return Wanted(
        claim=params.claim,
        story=None if params.story is None else story_named(lineage, params.story),
        status=params.status,
        source=None if params.source is None else source_named(lineage, params.source),
        recalls=params.recalls,
    )


async def picked(desk: Desk, params: FollowParams) -> Picked:
    """Return which events a stream is narrowed to; a story and a source may be given by their names."""
    return Picked(
        claim=params.claim,
        story=None if params.story is None else story_named(desk.log.lineage, params.story),
        sources=frozenset() if params.source is None else await desk.queries.same_sources(params.source),
    )


_PATTERNS: Final = [
    (route, re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", route.path))) for route in (*QUESTIONS, *ORDERS)
]


def find(method: str, path: str) -> tuple[Question | Order, dict[str, str]]:
    """Return the route of a path as it stands in an address, and the ids in it. Raises `NotFound`."""
    for route, pattern in _PATTERNS:
        if route.method == method and (match := pattern.fullmatch(path)):
            return route, {name: unquote(value) for name, value in match.groupdict().items()}
    raise NotFound(f"there is no {method} {path} here: see the list of routes in the reference")


# --- the bytes of evidence -------------------------------------------------------------------------


async def keep_bytes(desk: Desk, sha256: str, data: bytes | AsyncIterable[bytes]) -> None:
    """Keep the bytes of a snapshot, as they come; may be repeated. Raises a `Problem`."""
    try:
        await desk.evidence.put(data, sha256=sha256)
    except log_errors.LogError as error:
        raise translate(error, "") from error


async def held_bytes(desk: Desk, sha256: str) -> bytes:
    """Return the bytes of a snapshot. Raises `NotFound` where they are not held."""
    try:
        data = await desk.evidence.get(sha256)
    except log_errors.LogError as error:
        raise translate(error, "") from error
    if data is None:
        raise NotFound(f"the bytes of {sha256} are not held here: put them first", sha256=sha256)
    return data
