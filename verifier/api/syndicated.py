"""The changes as JSON Feed and as Atom, for feed readers: they ask again and again, and mostly nothing is new.

An `ETag` is of the whole document. A `Last-Modified` is only given when nothing of its second can come any more, and
holds only as it stands: by a time of the reader's own, something would be missed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from verifier import parameters, routes, syndication
from verifier.api.endpoints import Endpoint
from verifier.api.reading import query_of
from verifier.app import Desk
from verifier.syndication import Page, Place

SETTLED: Final = timedelta(seconds=2)
"""How long after the last event its second is over, whichever clock told it."""

Write = Callable[[Page, Place], bytes]


def document(desk: Desk, media_type: str) -> Endpoint:
    """Make the endpoint that gives the changes as a document of this type."""
    write: Write = syndication.json_feed if media_type == syndication.JSON_FEED else syndication.atom

    async def endpoint(request: Request) -> Response:
        params = routes.params_of(parameters.SyndicationParams, query_of(request))
        answer = await desk.queries.newest_changes(
            claim=params.claim, story=params.story, status=params.status, source=params.source,
            recalls=params.recalls, cursor=params.cursor, limit=params.limit,
        )  # fmt: skip
        asked = {name: value for name, value in query_of(request).items() if name not in ("cursor", "limit")}
        page = Page(
            log=desk.log.id, key=urlencode(sorted(asked.items())), title=_title(params, answer["of"]),
            changes=answer["items"],
        )  # fmt: skip
        raw = write(page, _place(request, answer["next"]))
        headers = {"etag": f'"{hashlib.sha256(raw).hexdigest()[:32]}"', "cache-control": "no-cache"}
        if modified := await _last_modified(desk, answer):
            headers["last-modified"] = modified
        if _is_known(request, headers):
            return Response(status_code=304, headers=headers)
        return Response(raw, headers=headers, media_type=media_type)

    return endpoint


def _title(params: parameters.SyndicationParams, of: str | None) -> str:
    what = "Corrections: what was published and no longer stands" if params.recalls else "Changes of statuses"
    if params.status is not None:
        what += f" to {params.status}"
    if params.source is not None:
        what += f", about what {params.source} said"
    if params.claim is not None or params.story is not None:
        what += f": {of or 'a text that was erased'}"
    return what


def _place(request: Request, next: str | None) -> Place:
    url = request.url
    return Place(
        home=str(request.base_url).rstrip("/"),
        own=str(url),
        first=str(url.remove_query_params("cursor")),
        next=None if next is None else str(url.include_query_params(cursor=next)),
    )


async def _last_modified(desk: Desk, answer: dict[str, object]) -> str | None:
    """Return when the log last changed, to the second, once everything of that second is in the answer."""
    basis = answer["basis"]
    assert isinstance(basis, dict)
    if basis["recorded_at"] is None or basis["position"] != await desk.log.head():
        return None
    recorded = datetime.fromisoformat(basis["recorded_at"])
    if datetime.now(UTC) - recorded < SETTLED:
        return None
    return format_datetime(recorded.replace(microsecond=0), usegmt=True)


def _is_known(request: Request, headers: dict[str, str]) -> bool:
    """Say whether the reader has this very document. What it says by tag counts, else what it says by time."""
    tags = request.headers.get("if-none-match")
    if tags is not None:
        return tags.strip() == "*" or headers["etag"] in (tag.strip().removeprefix("W/") for tag in tags.split(","))
    return headers.get("last-modified", "") == request.headers.get("if-modified-since")
