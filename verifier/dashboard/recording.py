"""The endpoints of the forms: show one, take what was typed, record it as the API would, lead back to the page.

    GET  /claims/{id}/deny ──▶ the form, with the position of the claim and a key of its own
    POST /claims/{id}/deny ──▶ `routes.order` ──▶ 303 to the claim, which tells the effect and offers to undo it
                                     └─ a problem ──▶ the form again, with everything that was typed

The key is made when the form is drawn: sent twice, it records once. The position is that of the claim as the form
showed it: where somebody was faster, the form comes back with what they recorded, and asks.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from events import errors as log_errors
from events.evidence import SNAPSHOT_LIMIT
from verifier import parsing, routes
from verifier.api import edge
from verifier.api.endpoints import Endpoint
from verifier.api.reading import check_length
from verifier.app import Desk
from verifier.commands import Attach
from verifier.dashboard import claim as claim_page
from verifier.dashboard import forms, serving
from verifier.dashboard.done import Done, Undo, shortened, tell
from verifier.dashboard.drawing import draw
from verifier.dashboard.drawing import said as said_when
from verifier.dashboard.forms import FORMS, Choices, Form, Typed
from verifier.dashboard.page import Data
from verifier.errors import Conflict, Invalid, KeyReused, NotFound, Problem, TooLarge
from verifier.handler.appending import Caller, translate
from verifier.keys import check_key
from verifier.naming import is_id
from verifier.parameters import Asked
from verifier.policy import POLICIES

FIELDS: Final = 3_000
"""How many fields a form may send: a claim that is divided has one for each statement."""

NEWER: Final = 50
"""How many facts are shown that came between the drawing of a form and its sending."""

ROOM: Final = 2**20
"""How many bytes a form may have beside the file in it."""

_OURS: Final = ("key", "position")


def form_routes(desk: Desk, actor: str) -> Sequence[BaseRoute]:
    """Return the routes of all forms of a desk. `actor` is recorded as the writer."""
    return [serving.Named(form.path, _endpoint(desk, form, actor), methods=["GET", "POST"]) for form in FORMS]


def _endpoint(desk: Desk, form: Form, actor: str) -> Endpoint:
    """Make the endpoint of a form."""

    async def endpoint(request: Request) -> Response:
        try:
            if request.method == "GET":
                given = {name: request.query_params.getlist(name) for name in request.query_params}
                return await show(desk, form, request, given)
            check_origin(request)
            given, file = await typed(request)
        except Problem as problem:
            return serving.on_problem(problem, request)
        try:
            given = await _with_file(desk, given, file)
            return await _record(desk, form, request, given, actor)
        except Problem as problem:
            try:
                return await show(desk, form, request, given, problem=problem, sent=True)
            except Problem as worse:  # what the form is about is not there
                return serving.on_problem(worse, request)

    return endpoint


# --- reading what was typed ------------------------------------------------------------------------


def check_origin(request: Request) -> None:
    """Take a form from a page of ours only. A browser says where a form stood; the edge has refused other origins.

    Raises `Foreign`.
    """
    if "origin" not in request.headers and request.headers.get("sec-fetch-site") != "same-origin":
        raise edge.Foreign(
            "the request doesn't say from which page the form was sent: send it from a page of this server, or use"
            " the API",
            rule="foreign-origin",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A file that was chosen: its bytes, and what the browser takes it for."""

    data: bytes
    media_type: str


async def typed(request: Request) -> tuple[dict[str, list[str]], Chosen | None]:
    """Return what was typed, by name, with line ends as the log has them, and the file that was chosen.

    Raises `Invalid` and `TooLarge`.
    """
    if not request.headers.get("content-length", "").isdecimal():
        raise Invalid("the form doesn't say how long it is: send `Content-Length`", field="Content-Length")
    check_length(request, SNAPSHOT_LIMIT + ROOM)
    try:
        async with request.form(max_files=1, max_fields=FIELDS, max_part_size=ROOM) as sent:
            given: dict[str, list[str]] = {}
            file = None
            for name, value in sent.multi_items():
                if isinstance(value, str):
                    given.setdefault(name, []).append(value.replace("\r\n", "\n"))
                elif value.filename:
                    file = await _chosen(value)
        parsing.check(given)
    except (MultiPartException, UnicodeDecodeError, HTTPException) as error:
        raise Invalid(f"the form can't be read ({error}): send it from a page of this server") from error
    return given, file


async def _chosen(file: UploadFile) -> Chosen:
    data = await file.read(SNAPSHOT_LIMIT + 1)
    if len(data) > SNAPSHOT_LIMIT:
        raise TooLarge(f"the file has more than {SNAPSHOT_LIMIT:,} bytes: attach a part of it", field="file")
    media_type = (file.content_type or "").partition(";")[0].strip()
    return Chosen(data=data, media_type=media_type or "application/octet-stream")


async def _with_file(desk: Desk, given: dict[str, list[str]], file: Chosen | None) -> dict[str, list[str]]:
    """Keep the bytes of a file, and put down what they are: so nothing is lost where the form comes back.

    Raises a `Problem`.
    """
    if file is None:
        return given
    sha256 = hashlib.sha256(file.data).hexdigest()
    await routes.keep_bytes(desk, sha256, file.data)
    return {**given, "sha256": [sha256], "size": [str(len(file.data))], "media_type": [file.media_type]}


# --- recording -------------------------------------------------------------------------------------


async def _record(desk: Desk, form: Form, request: Request, given: Typed, actor: str) -> Response:
    """Record what was typed, and lead to the page that shows it. Raises a `Problem`."""
    about = form.on in ("claim", "story", "source")
    body = forms.body_of(form, given)
    position = position_of(given)
    if form.command is Attach and "sha256" not in body:
        raise Invalid("no document is given: choose a file", field="file")
    if form.on == "claim":
        body = await _with_whole_ids(desk, body)
        if "seen" in form.command.__dataclass_fields__ and position is not None:
            body["seen"] = position
    elif form.on == "source" and "source" in form.command.__dataclass_fields__:
        body["source"] = request.path_params["id"]
    caller = Caller(actor=actor, key=key_of(given), if_match=position if form.on == "claim" else None)
    ids = request.path_params if about else {}
    done = await routes.order(desk, form.order, ids, {**body, "type": form.type}, caller)
    return lead(desk, form.type, _page_of(form, request, done), done)


def lead(desk: Desk, type: str, page: str, done: Data) -> Response:
    """Lead to the page that shows what was recorded, which tells how it was understood."""
    undo = None
    if type in forms.UNDOING and is_id(str(done["id"]), "clm"):
        name, field = forms.UNDOING[type]
        action = f"{page}/{name}"
        undo = Undo(action=action, field=field, event=done["statement"], position=done["basis"]["position"],
                    key=f"undo-{done['statement']}")  # fmt: skip
    response = Response(status_code=303, headers={**serving.HEADERS, "location": page})
    tell(response, desk, Done(page=page, effect=shortened(done["effect"]), undo=undo))
    return response


def _page_of(form: Form, request: Request, done: Data) -> str:
    """Return the page that shows what a form has recorded."""
    id = quote(str(request.path_params.get("id") or done["id"]), safe="")
    match form.on:
        case "claim" | "new claim":
            return f"/claims/{id}"
        case "source" | "new source":
            return f"/sources/{id}"
        case "story" | "new story":
            return f"/stories/{id}"
        case "policy":
            return "/"


async def _with_whole_ids(desk: Desk, body: dict[str, Any]) -> dict[str, Any]:
    """Return a body in which other claims stand by their whole ids: an address or the end of an id names one, too.

    Raises `Invalid` at the field that names none.
    """
    for name in ("to", "into"):
        given = body.get(name)
        if isinstance(given, str):
            body[name] = await _whole_id(desk, given, name)
        elif isinstance(given, list):
            body[name] = [await _whole_id(desk, each, name) for each in given]
    if shares := body.get("statements"):
        body["statements"] = {
            event: [await _whole_id(desk, each, "statements") for each in into] for event, into in shares.items()
        }
    return body


async def _whole_id(desk: Desk, given: str, field: str) -> str:
    tail = given.partition("?")[0].rstrip("/").rpartition("/")[2]
    tail = tail if is_id(tail, "clm") else tail.removeprefix("clm_")
    try:
        return await desk.queries.resolve("clm", tail, at_least=await desk.log.head(), lenient=True)
    except (NotFound, Invalid) as problem:
        raise Invalid(problem.detail, field=field) from problem


def position_of(given: Typed) -> int | None:
    """Return the position of the claim as the form showed it. Raises `Invalid`."""
    word = given.get("position", [""])[0]
    if not word:
        return None
    if not (word.isascii() and word.isdecimal() and len(word) < 16):
        raise Invalid(f"{word!r} is not a position: open the form again", field="position")
    return int(word)


def key_of(given: Typed) -> str:
    """Return the key under which a form records. Raises `Invalid`."""
    word = given.get("key", [""])[0]
    return check_key(word) if word else uuid.uuid4().hex


# --- showing ---------------------------------------------------------------------------------------


async def show(
    desk: Desk, form: Form, request: Request, given: Typed, *, problem: Problem | None = None, sent: bool = False
) -> Response:
    """Draw a form, with what was typed and the problem that it came to, at its field. Raises a `Problem`."""
    try:
        about = await _about(desk, form, request)
    except log_errors.LogError as error:
        raise translate(error, "") from error
    newer: Sequence[Data] = ()
    position = about.get("position")
    if sent and not isinstance(problem, Conflict):  # what was looked at stays what was looked at
        position = given.get("position", [""])[0]
    if isinstance(problem, Conflict):
        newer = await _newer(desk, request.path_params["id"], given)
    drawn = forms.inputs(
        form, given=given if sent else {**_first(form, about), **given}, choices=_choices(form, about), sent=sent
    )
    field = problem.extra.get("field") if problem is not None else None
    data = {
        "title": form.title,
        "form": form,
        "action": request.url.path,
        "about": about,
        "inputs": drawn,
        "key": _key_again(given, problem),
        "position": position,
        "newer": newer,
        "problem": problem,
        "at": forms.input_of(str(field), [each.name for each in drawn]) if field else None,
    }
    status = 200 if problem is None else edge.STATUS[type(problem)]
    return serving.respond(request, draw("form", data), status=status)


def _key_again(given: Typed, problem: Problem | None) -> str:
    """Return the key of a form that is drawn: a problem leaves it as it was, but where other words were recorded
    under it already."""
    kept = given.get("key", [""])[0] if problem is not None and not isinstance(problem, KeyReused) else ""
    return kept or uuid.uuid4().hex


async def _newer(desk: Desk, id: str, given: Typed) -> Sequence[Data]:
    """Return the facts that were recorded on a claim since the form was drawn, with what they say."""
    after = position_of(given) or 0
    facts = (await desk.queries.events(f"claim:{id}", after=after, limit=NEWER))["items"]
    page = await desk.queries.statements(id, limit=claim_page.STATEMENTS, as_of=await desk.log.head())
    statements = {said["event"]: said for said in page["items"]}
    return [{**fact, "said": statements.get(fact["id"])} for fact in facts]


async def _about(desk: Desk, form: Form, request: Request) -> Data:
    """Return what a form is about: its address, what it is called, how it stands, and its facts."""
    seen = await desk.log.head()
    id = request.path_params.get("id")
    match form.on:
        case "claim":
            asked = Asked(ids=request.path_params, params=claim_page.ClaimParams(), seen=seen)
            page = await claim_page.claim(desk, asked)
            return {**page, "page": f"/claims/{quote(str(id), safe='')}", "position": page["claim"]["position"]}
        case "story":
            story = await desk.queries.story(str(id), at_least=seen, lenient=True)
            facts = (await desk.queries.events(f"story:{story['id']}"))["items"]
            return {"page": f"/stories/{story['id']}", "called": story["title"], "facts": facts, "story": story["id"]}
        case "source":
            source = await desk.queries.source(str(id), at_least=seen, lenient=True)
            facts = (await desk.queries.events(f"source:{source['id']}"))["items"]
            return {"page": f"/sources/{source['id']}", "called": source["name"], "facts": facts, "source": source}
        case _:
            return {"page": "/enter", "facts": []}


def _first(form: Form, about: Data) -> dict[str, list[str]]:
    """Return what stands in a form before anything is typed: what it changes, as it is, and today."""
    match form.name:
        case "reword":
            return {"text": [about["claim"]["texts"]["text"] or ""]}
        case "publish":
            return {"day": [f"{datetime.now(UTC):%Y-%m-%d}"]}
        case "update":
            source = about["source"]
            return {"name": [source["name"] or ""], "kind": [source["kind"]], "role": [source["role"] or ""]}
        case _:
            return {}


def _choices(form: Form, about: Data) -> Choices:
    """Return what can be chosen or is suggested in a form: what there is on the page of what it is about."""
    if form.on == "policy":
        return {"policy": [(policy.id, f"{policy.id}: {policy.about}") for policy in POLICIES.values()]}
    if form.on != "claim":
        facts = [(fact["id"], _fact_words(fact), fact["type"]) for fact in about["facts"]]
        return {
            "event": [(event, words) for event, words, _ in facts],
            "merge": [(event, words) for event, words, type in facts if type == "origins.merged"],
        }
    statements = [said for group in about["origins"] for said in group["statements"]] + about["notes"]
    said = {each["event"]: _said_words(each) for each in statements}
    steps = [(step["event"], said.get(step["event"]) or _fact_words(step), step["type"]) for step in about["steps"]]
    names = {each["source_name"] for each in statements} | {via for each in statements for via in each["via"]}
    known = [(name, name) for name in sorted(name for name in names if name)]
    origins = sorted({group["label"] for group in about["origins"] if group["label"]})
    documents = [(each["sha256"], each["shows"] or each["sha256"][:12]) for each in about["evidence"] if each["sha256"]]
    taken_back = ("statement.retracted", "statement.corrected", "statement.attributed")
    own = [(event, words) for event, words, type in steps if event in said or type in taken_back]
    return {
        "statement": own if form.name == "undo" else list(said.items()),
        "merge": [(event, words) for event, words, type in steps if type == "origins.merged"],
        "adjudication": [(event, words) for event, words, type in steps if type == "claim.adjudicated"],
        "link": [(link["event"], f"{link['kind']}: {link['text'] or link['id']}") for link in about["links"]],
        "publication": [(use["event"], f"{use['day']}: {use['address'] or '…'}") for use in about["publications"]],
        "event": [(event, words) for event, words, _ in steps],
        "documents": documents,
        "quote_document": documents,
        **{name: known for name in ("source", "via", "by", "fetched_by", "accuses") if not _is_choice(form, name)},
        **{name: [(label, label) for label in origins] for name in ("origin", "kept", "merged")},
        "statements": list(said.items()),
    }


def _is_choice(form: Form, name: str) -> bool:
    """Say whether a field has a fixed set of words in this form: who puts a statement right is the desk or its
    source."""
    return (form.name, name) == ("correct", "by")


def _said_words(said: Mapping[str, Any]) -> str:
    when, _ = said_when(said["occurred"])
    stance = "noted" if said["stance"] == "none" else said["stance"]
    return f"{said['source_name'] or 'somebody whose name was erased'} {stance}, {when}"


def _fact_words(fact: Mapping[str, Any]) -> str:
    return f"{str(fact['type']).replace('.', ' ').replace('_', ' ')}, recorded {str(fact['recorded_at'])[:16]}Z"
