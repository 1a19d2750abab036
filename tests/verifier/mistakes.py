"""Mistakes: commands that are refused, as a table, and the desk that they are made at."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from verifier.errors import Busy, DuplicateClaim, Invalid, NotFound, Problem, Refused

Body = dict[str, Any]

LETTER = b"Sir, in due deference to the sovereignty of the Republic of Iraq, we respect your decision."
HELD = hashlib.sha256(LETTER).hexdigest()
PICTURE = b"\x89PNG\xff\xfe"
NOT_TEXT = hashlib.sha256(PICTURE).hexdigest()
NO_CLAIM = f"clm_{'a' * 26}"
NO_EVENT = f"evt_{'a' * 26}"


# --- the desk --------------------------------------------------------------------------------------


class Way(Protocol):
    """A way into a log: over HTTP, or embedded."""

    def order(self, path: str, body: Body, *, key: str, if_match: int | None = None) -> Body: ...

    def ask(self, path: str, params: Body) -> Body: ...

    def put(self, sha256: str, data: bytes) -> None: ...


@dataclass
class Desk:
    """A desk with some history; each name is an id of something that a mistake can be made about."""

    way: Way
    made: int = 0
    ids: dict[str, str] = field(default_factory=dict)

    def __getattr__(self, name: str) -> str:
        try:
            return self.ids[name]
        except KeyError as error:
            raise AttributeError(name) from error

    def order(self, path: str, body: Body, *, key: str | None = None, if_match: int | None = None) -> Body:
        self.made += 1
        return self.way.order(path, body, key=key or f"desk-{self.made}", if_match=if_match)

    def head(self) -> int:
        """Return how far the log is. On a machine that is busy with other tests, it is asked again, as it says."""
        for _ in range(5):
            with suppress(Busy):
                head: int = self.way.ask("/health", {})["head"]
                return head
        raise AssertionError("the log has not answered five times")


def with_history(way: Way) -> Desk:
    """Record what the mistakes below are made about."""
    desk = Desk(way)
    way.put(HELD, LETTER)
    way.put(NOT_TEXT, PICTURE)

    def register(name: str, **body: Any) -> None:
        desk.ids[name] = desk.order("/claims", {"text": name, **body})["id"]

    def record(name: str, type: str, on: str = "claim", **body: Any) -> None:
        desk.ids[name] = desk.order(f"/claims/{desk.ids[on]}/events", {"type": type, **body})["statement"]

    register("claim", story="iraq-letter")
    register("other")
    register("question", checkable=False)
    register("gone")
    desk.order(f"/claims/{desk.gone}/events", {"type": "claim.withdrawn", "reason": "registered twice"})
    record("said", "claim.asserted", source="William Seely", via=["AFP"])
    record("unknown_speaker", "claim.asserted", source="somebody", attribution="unattributed")
    record("undone", "claim.denied", source="Reuters")
    record("undoing", "statement.withdrawn", statement=desk.undone)
    record("merge", "origins.merged", kept="William Seely", merged="Reuters")
    record("unmerge", "origins.split", merge=desk.merge)
    record("link", "claim.linked", to=desk.other)
    record("unlinked", "claim.unlinked", link=desk.link)
    record("publication", "claim.published", address="https://example.org/1", day="2020-01-06")
    record("unpublished", "claim.unpublished", publication=desk.publication)
    record("verdict", "claim.adjudicated", verdict="false", reason="denied by the one who decides")
    record("no_verdict", "adjudication.withdrawn")
    record("noted", "claim.noted", source="the embassy", kind="declined", note="no comment")
    record("erased", "text.erased", event=desk.noted, slot="wording", basis="court_order")
    record("picture", "evidence.attached", sha256=NOT_TEXT, size=len(PICTURE), media_type="image/png")
    desk.ids["source"] = desk.order("/sources", {"name": "Agence France-Presse", "aliases": ["France-Presse"]})["id"]
    desk.ids["story"] = way.ask(f"/claims/{desk.claim}", {})["story"]
    return desk


# --- the table -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mistake:
    """A command that is refused: where it is sent, what it says, which problem answers it, and with what."""

    what: str
    body: Callable[[Desk], Any]
    refused: type[Problem]
    where: str = "/claims/{claim}/events"
    extra: dict[str, Any] = field(default_factory=dict)


def on(desk: Desk, template: str) -> str:
    return template.format_map(desk.ids)


def denial(**more: Any) -> Callable[[Desk], Body]:
    return lambda desk: {"type": "claim.denied", "source": "Mark Esper", **more}


def acting(type: str, **more: Any) -> Callable[[Desk], Body]:
    """A command that names something of the desk: `statement="said"` means the id that it knows as `said`."""
    return lambda desk: {"type": type, **{k: desk.ids.get(v, v) if isinstance(v, str) else v for k, v in more.items()}}


def rule(name: str) -> dict[str, Any]:
    return {"rule": name}


def about(name: str) -> dict[str, Any]:
    return {"field": name}


UNKNOWN = [
    Mistake("an unknown claim", denial(), NotFound, f"/claims/{NO_CLAIM}/events"),
    Mistake("an id that is none", denial(), NotFound, "/claims/12/events"),
    Mistake("a source's id for a claim's", denial(), NotFound, "/claims/{source}/events"),
    Mistake("an unknown statement", acting("statement.retracted", statement=NO_EVENT, by="AFP"), NotFound),
    Mistake("a statement's id that is none", acting("statement.withdrawn", statement="the denial"), NotFound),
    Mistake(
        "a statement of another claim",
        acting("statement.withdrawn", statement="said"),
        NotFound,
        "/claims/{other}/events",
    ),
    Mistake("correcting what isn't there", acting("statement.corrected", statement=NO_EVENT), NotFound),
    Mistake("attributing what isn't there", acting("statement.attributed", statement=NO_EVENT, source="x"), NotFound),
    Mistake("splitting a merge that isn't there", acting("origins.split", merge=NO_EVENT), NotFound),
    Mistake("an origin that isn't there", acting("origins.merged", kept="William Seely", merged="nobody"), NotFound),
    Mistake("an origin's id that isn't there", denial(origin=f"org_{'a' * 26}"), NotFound),
    Mistake(
        "a source's id that isn't there", lambda desk: {"type": "claim.denied", "source": f"src_{'a' * 26}"}, NotFound
    ),
    Mistake("a verdict that isn't there", acting("adjudication.withdrawn", adjudication=NO_EVENT), NotFound),
    Mistake("a link that isn't there", acting("claim.unlinked", link=NO_EVENT), NotFound),
    Mistake("a link to an unknown claim", acting("claim.linked", to=NO_CLAIM), NotFound),
    Mistake("a link to what is no claim", acting("claim.linked", to="the other one"), NotFound),
    Mistake("a merge into an unknown claim", acting("claim.merged", into=NO_CLAIM), NotFound),
    Mistake("a split into unknown claims", acting("claim.split", into=[NO_CLAIM, f"clm_{'b' * 26}"]), NotFound),
    Mistake("a publication that isn't there", acting("claim.unpublished", publication=NO_EVENT), NotFound),
    Mistake(
        "erasing an unknown event", acting("text.erased", event=NO_EVENT, slot="wording", basis="copyright"), NotFound
    ),
    Mistake(
        "evidence for an unknown statement",
        acting("evidence.attached", sha256=HELD, size=1, statement=NO_EVENT),
        NotFound,
    ),
    Mistake("a claim in an unknown story", lambda desk: {"text": "x", "story": f"sto_{'a' * 26}"}, NotFound, "/claims"),
    Mistake("an unknown story", acting("origins.merged", kept="a", merged="b"), NotFound, "/stories/nothing/events"),
    Mistake(
        "an unknown source", acting("source.updated", source="Nobody Inc."), NotFound, "/sources/Nobody Inc./events"
    ),
    Mistake("an unknown policy", lambda desk: {"policy": "wishful/1"}, NotFound, "/policies"),
]

RULES = [
    Mistake("a stance on a withdrawn claim", denial(), Refused, "/claims/{gone}/events", rule("claim-ended")),
    Mistake(
        "a note on a withdrawn claim",
        acting("claim.noted", source="x"),
        Refused,
        "/claims/{gone}/events",
        rule("claim-ended"),
    ),
    Mistake("a stance on an open question", denial(), Refused, "/claims/{question}/events", rule("not-checkable")),
    Mistake(
        "an open question with a stance",
        lambda desk: {
            "text": "Is it good?",
            "checkable": False,
            "statement": {"type": "claim.asserted", "source": "AFP"},
        },
        Refused,
        "/claims",
        rule("not-checkable"),
    ),
    Mistake(
        "a retraction by a stranger",
        acting("statement.retracted", statement="said", by="Reuters"),
        Refused,
        extra=rule("not-theirs-to-retract"),
    ),
    Mistake("a document without a name", denial(attribution="documentary"), Refused, extra=rule("document-not-named")),
    Mistake("undoing twice", acting("statement.withdrawn", statement="undone"), Refused, extra=rule("acted-on")),
    Mistake(
        "undoing an undoing", acting("statement.withdrawn", statement="undoing"), Refused, extra=rule("not-a-statement")
    ),
    Mistake(
        "retracting what was undone",
        acting("statement.retracted", statement="undone", by="Reuters"),
        Refused,
        extra=rule("acted-on"),
    ),
    Mistake(
        "correcting what was undone",
        acting("statement.corrected", statement="undone", stance="none"),
        Refused,
        extra=rule("acted-on"),
    ),
    Mistake("splitting a merge twice", acting("origins.split", merge="merge"), Refused, extra=rule("acted-on")),
    Mistake("unlinking twice", acting("claim.unlinked", link="link"), Refused, extra=rule("acted-on")),
    Mistake(
        "unpublishing twice", acting("claim.unpublished", publication="publication"), Refused, extra=rule("acted-on")
    ),
    Mistake("withdrawing a verdict twice", acting("adjudication.withdrawn"), Refused, extra=rule("acted-on")),
    Mistake(
        "withdrawing an old verdict",
        acting("adjudication.withdrawn", adjudication="verdict"),
        Refused,
        extra=rule("acted-on"),
    ),
    Mistake(
        "erasing twice",
        acting("text.erased", event="noted", slot="wording", basis="copyright"),
        Refused,
        extra=rule("acted-on"),
    ),
    Mistake(
        "attributing a named statement",
        acting("statement.attributed", statement="said", source="Bob"),
        Refused,
        extra=rule("not-unattributed"),
    ),
    Mistake(
        "a correction that changes nothing",
        acting("statement.corrected", statement="said"),
        Refused,
        extra=rule("nothing-changed"),
    ),
    Mistake(
        "rewording to the same",
        lambda desk: {"type": "claim.reworded", "text": "claim"},
        Refused,
        extra=rule("nothing-changed"),
    ),
    Mistake(
        "merging an origin with itself",
        acting("origins.merged", kept="Reuters", merged="reuters"),
        Refused,
        extra=rule("nothing-changed"),
    ),
    Mistake(
        "taking a note back",
        acting("statement.retracted", statement="noted", by="the embassy"),
        Refused,
        extra=rule("nothing-changed"),
    ),
    Mistake(
        "words that aren't there",
        denial(quote={"exact": "we refuse", "document": HELD}),
        Refused,
        extra=rule("quote-not-found"),
    ),
    Mistake(
        "words that are elsewhere",
        denial(quote={"exact": "your decision", "document": HELD, "start": 0}),
        Refused,
        extra=rule("quote-not-found"),
    ),
    Mistake(
        "words in another context",
        denial(quote={"exact": "your decision", "document": HELD, "prefix": "we refuse "}),
        Refused,
        extra=rule("quote-not-found"),
    ),
    Mistake(
        "words in a picture",
        denial(quote={"exact": "PNG", "document": NOT_TEXT}),
        Refused,
        extra=rule("quote-not-found"),
    ),
    Mistake("a split that forgets statements", acting("claim.split", into=["{other}", "{question}"]), Refused),
    Mistake(
        "a source registered twice",
        lambda desk: {"name": "agence FRANCE-presse"},
        Refused,
        "/sources",
        rule("source-exists"),
    ),
    Mistake("a story opened twice", lambda desk: {"title": "Iraq-Letter"}, Refused, "/stories", rule("story-exists")),
    Mistake(
        "the policy in force", lambda desk: {"policy": "standing/1"}, Refused, "/policies", rule("nothing-changed")
    ),
    Mistake("a wording that is there", lambda desk: {"text": " OTHER "}, DuplicateClaim, "/claims"),
]

INVALID = [
    Mistake(
        "a time that ends before it begins", denial(occurred="2020-01-07/2020-01-05"), Invalid, extra=about("occurred")
    ),
    Mistake(
        "bounds that end before they begin",
        denial(occurred={"earliest": "2020-01-07", "latest": "2020-01-05"}),
        Invalid,
        extra=about("occurred"),
    ),
    Mistake("a time that has not come", denial(occurred="2999-01-01"), Invalid, extra=about("occurred")),
    Mistake(
        "a retraction that has not come",
        acting("statement.retracted", statement="said", by="AFP", occurred="2999"),
        Invalid,
        extra=about("occurred"),
    ),
    Mistake(
        "a first statement that has not come",
        lambda desk: {
            "text": "x",
            "statement": {"type": "claim.asserted", "source": "AFP", "occurred": "2999"},
        },
        Invalid,
        "/claims",
        about("occurred"),
    ),
    Mistake("a time that is none", denial(occurred="last Tuesday"), Invalid, extra=about("occurred")),
    Mistake("a day that is none", denial(occurred="2020-02-30"), Invalid, extra=about("occurred")),
    Mistake(
        "a time in two ways",
        denial(occurred={"at": "2020", "earliest": "2020", "latest": "2021"}),
        Invalid,
        extra=about("occurred"),
    ),
    Mistake("half a time", denial(occurred={"earliest": "2020"}), Invalid, extra=about("occurred")),
    Mistake(
        "a validity that ends first",
        lambda desk: {"text": "x", "valid_from": "2021", "valid_to": "2020"},
        Invalid,
        "/claims",
        about("valid_to"),
    ),
    Mistake("a fetch at no time", acting("evidence.attached", sha256=HELD, size=1, fetched_at="soon"), Invalid),
    Mistake("a publication on no day", acting("claim.published", address="x", day="2020-13-01"), Invalid),
    Mistake(
        "a day in another form", acting("claim.published", address="x", day="2020-W01-1"), Invalid, extra=about("day")
    ),
    Mistake("a day and blanks", acting("claim.published", address="x", day="2020-01   "), Invalid, extra=about("day")),
    Mistake("a note over its limit", denial(note="x" * 10_001), Invalid, extra=about("note")),
    Mistake("a name over its limit", denial(origin="x" * 501), Invalid, extra=about("origin")),
    Mistake("too many carriers", denial(via=[f"carrier {n}" for n in range(101)]), Invalid, extra=about("via")),
    Mistake("a wording over its limit", lambda desk: {"text": "x" * 10_001}, Invalid, "/claims", about("text")),
    Mistake("an empty wording", lambda desk: {"text": ""}, Invalid, "/claims", about("text")),
    Mistake("a blank wording", lambda desk: {"text": " \t\n"}, Invalid, "/claims", about("text")),
    Mistake("a blank carrier", denial(via=["AFP", "  "]), Invalid, extra=about("via")),
    Mistake("a source whose name nobody can see", denial(source="\u200b\u2060"), Invalid, extra=about("source")),
    Mistake("a wording that is a number", lambda desk: {"text": 5}, Invalid, "/claims", about("text")),
    Mistake("a wording that is missing", lambda desk: {"story": "iraq-letter"}, Invalid, "/claims", about("text")),
    Mistake("an unknown field", denial(stance="firm"), Invalid, extra=about("stance")),
    Mistake(
        "an unknown field within",
        lambda desk: {
            "text": "x",
            "statement": {"type": "claim.asserted", "source": "AFP", "wen": "2020"},
        },
        Invalid,
        "/claims",
        about("statement.wen"),
    ),
    Mistake("an unknown field of a quote", denial(quote={"exact": "x", "page": 3}), Invalid),
    Mistake("an unknown field of a time", denial(occurred={"at": "2020", "zone": "UTC"}), Invalid),
    Mistake("an actor in the body", denial(actor="Mark Esper"), Invalid, extra=about("actor")),
    Mistake("a time of recording", denial(recorded_at="2020-01-06"), Invalid, extra=about("recorded_at")),
    Mistake("no type", lambda desk: {"source": "AFP"}, Invalid),
    Mistake("an unknown type", lambda desk: {"type": "claim.confirmed", "source": "AFP"}, Invalid),
    Mistake("a type that is a list", lambda desk: {"type": ["claim.denied"], "source": "AFP"}, Invalid),
    Mistake("a type of somewhere else", lambda desk: {"type": "story.opened", "title": "x"}, Invalid),
    Mistake(
        "another type than the address",
        lambda desk: {"type": "claim.denied", "text": "x"},
        Invalid,
        "/claims",
        about("type"),
    ),
    Mistake("an unknown attribution", denial(attribution="rumour"), Invalid, extra=about("attribution")),
    Mistake(
        "an unknown verdict",
        acting("claim.adjudicated", verdict="confirmed", reason="x"),
        Invalid,
        extra=about("verdict"),
    ),
    Mistake("a verdict without a reason", acting("claim.adjudicated", verdict="true"), Invalid, extra=about("reason")),
    Mistake(
        "a verdict on what comes",
        acting("claim.adjudicated", verdict="true", reason="x", seen=10_000),
        Invalid,
        extra=about("seen"),
    ),
    Mistake("a link to itself", acting("claim.linked", to="claim"), Invalid),
    Mistake("a split into one twice", acting("claim.split", into=["{other}", "{other}"]), Invalid, extra=about("into")),
    Mistake("a correlation with a space", denial(correlation="a mark"), Invalid, extra=about("correlation")),
    Mistake("a correlation of other letters", denial(correlation="größe"), Invalid, extra=about("correlation")),
    Mistake("a causation that is no event", denial(causation="the letter"), Invalid, extra=about("causation")),
    Mistake(
        "a media type with parameters",
        acting("evidence.attached", sha256=HELD, size=1, media_type="text/html; charset=utf-8"),
        Invalid,
        extra=about("media_type"),
    ),
    Mistake(
        "half a media type",
        acting("evidence.attached", sha256=HELD, size=1, media_type="html"),
        Invalid,
        extra=about("media_type"),
    ),
    Mistake(
        "a language that is none",
        lambda desk: {"text": "x", "language": "in English"},
        Invalid,
        "/claims",
        about("language"),
    ),
    Mistake(
        "a quote's language that is none",
        denial(quote={"exact": "x", "language": "?"}),
        Invalid,
        extra=about("language"),
    ),
    Mistake(
        "a quote that ends before it starts",
        denial(quote={"exact": "x", "start": 9, "end": 2}),
        Invalid,
        extra=about("quote"),
    ),
    Mistake("a hash in capitals", acting("evidence.attached", sha256="A" * 64, size=1), Invalid, extra=about("sha256")),
    Mistake(
        "a hash that is too short", acting("evidence.attached", sha256="a" * 63, size=1), Invalid, extra=about("sha256")
    ),
    Mistake("a document that is no hash", denial(documents=["z" * 64]), Invalid),
    Mistake("a snapshot that is too large", acting("evidence.attached", sha256=HELD, size=50 * 2**20 + 1), Invalid),
    Mistake("a size below nothing", acting("evidence.attached", sha256=HELD, size=-1), Invalid, extra=about("size")),
    Mistake("a number beyond all numbers", acting("evidence.attached", sha256=HELD, size=2**70), Invalid),
    Mistake(
        "a source the same as itself",
        lambda desk: {"type": "source.updated", "source": desk.source, "same_as": "France-Presse"},
        Invalid,
        "/sources/{source}/events",
        about("same_as"),
    ),
    Mistake(
        "another source than the address",
        lambda desk: {"type": "source.updated", "source": "Reuters", "role": "x"},
        Invalid,
        "/sources/{source}/events",
        about("source"),
    ),
    Mistake("a lone surrogate", denial(note="\ud800"), Invalid),
    Mistake("a lone surrogate in a name", denial(via=["\udfff"]), Invalid),
]
