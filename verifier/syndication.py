"""The changes as documents for feed readers: JSON Feed 1.1 and Atom (RFC 4287, in pages by RFC 5005). Pure.

Whatever came from outside is text here, never markup: without the characters that XML forbids, and without those that
would turn the reading direction of what stands around it. An item keeps its id and its link for ever.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote
from uuid import NAMESPACE_URL, uuid5
from xml.etree.ElementTree import Element, SubElement, tostring

import msgspec

JSON_FEED: Final = "application/feed+json"
ATOM: Final = "application/atom+xml"

AUTHOR: Final = "Claim verifier"
"""Who says all this: nobody but the rule."""

NEVER: Final = "1970-01-01T00:00:00Z"
"""When a feed without an item was changed last: Atom wants a time, and this one never changes by itself."""

_UNFIT: Final = re.compile("[^\t\n\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|[\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a document stands: the server's own address, the document's, and those of the pages around it."""

    home: str
    own: str
    first: str
    next: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What a document says: its changes, newest first, what they are of (the text of a claim, the title of a story),
    and what makes it this feed and no other."""

    log: str
    key: str
    title: str
    changes: Sequence[Mapping[str, Any]]

    @property
    def id(self) -> str:
        """The feed's id, wherever it is served."""
        return f"urn:uuid:{uuid5(NAMESPACE_URL, f'{self.log}?{self.key}')}"

    @property
    def updated(self) -> str:
        """When the newest item came."""
        return str(self.changes[0]["recorded_at"]) if self.changes else NEVER


def id_of(change: Mapping[str, Any]) -> str:
    """Return the id of an item: of a log, a position and a claim."""
    name = "/".join((change["basis"]["log"], str(change["position"]), change["claim"]))
    return f"urn:uuid:{uuid5(NAMESPACE_URL, name)}"


def title_of(change: Mapping[str, Any]) -> str:
    """Return an item's title: the status with its label, and the claim."""
    recall = "Recall: " if change["recall"] else ""
    return fit(f"{recall}{change['label']}: {change['text'] or 'a wording that was erased'}")


def text_of(change: Mapping[str, Any]) -> str:
    """Return what an item says: why the status is what it is, and what it was."""
    return fit(f"{change['explanation']}\n\nBefore: {change['previous']}.")


def link_of(change: Mapping[str, Any], home: str) -> str:
    """Return where the claim is shown as it stood after the change."""
    return f"{home}/claims/{quote(change['claim'])}?as_of={change['position']}"


def fit(text: str) -> str:
    """Return a text without what XML forbids and what would turn the direction of the text around it."""
    return _UNFIT.sub("\N{REPLACEMENT CHARACTER}", text)


def json_feed(page: Page, place: Place) -> bytes:
    """Return a page as JSON Feed 1.1."""
    document: dict[str, Any] = {
        "version": "https://jsonfeed.org/version/1.1",
        "title": fit(page.title),
        "home_page_url": f"{place.home}/",
        "feed_url": place.own,
        "language": "en",
        "authors": [{"name": AUTHOR}],
        "items": [_item(change, place.home) for change in page.changes],
    }
    if place.next is not None:
        document["next_url"] = place.next
    return msgspec.json.encode(document)


def _item(change: Mapping[str, Any], home: str) -> dict[str, Any]:
    return {
        "id": id_of(change),
        "url": link_of(change, home),
        "title": title_of(change),
        "content_text": text_of(change),
        "date_published": change["recorded_at"],
        "tags": _tags(change),
        "_verifier": {name: change[name] for name in _OURS},
    }


_OURS: Final = (
    "position", "claim", "story", "previous", "status", "rule", "policy", "cause", "cause_type", "recall", "verdict",
)  # fmt: skip
"""What an item of a JSON Feed says in our own words, of what can't be erased."""


def _tags(change: Mapping[str, Any]) -> list[str]:
    return [change["status"], *(["recall"] if change["recall"] else [])]


def atom(page: Page, place: Place) -> bytes:
    """Return a page as Atom."""
    feed = Element("feed", {"xmlns": "http://www.w3.org/2005/Atom", "xml:lang": "en"})
    _add(feed, "id", page.id)
    _add(feed, "title", fit(page.title))
    _add(feed, "updated", page.updated)
    _add(SubElement(feed, "author"), "name", AUTHOR)
    _link(feed, "self", place.own, ATOM)
    _link(feed, "alternate", f"{place.home}/", "text/html")
    _link(feed, "first", place.first, ATOM)
    if place.next is not None:
        _link(feed, "next", place.next, ATOM)
    for change in page.changes:
        entry = SubElement(feed, "entry")
        _add(entry, "id", id_of(change))
        _add(entry, "title", title_of(change))
        _add(entry, "updated", change["recorded_at"])
        _add(entry, "published", change["recorded_at"])
        _link(entry, "alternate", link_of(change, place.home), "text/html")
        for tag in _tags(change):
            SubElement(entry, "category", {"term": tag})
        _add(entry, "content", text_of(change), type="text")
    document: bytes = tostring(feed, encoding="utf-8", xml_declaration=True)
    return document


def _add(parent: Element, name: str, text: str, **attributes: str) -> None:
    SubElement(parent, name, attributes).text = text


def _link(parent: Element, rel: str, href: str, media_type: str) -> None:
    SubElement(parent, "link", {"rel": rel, "href": href, "type": media_type})
