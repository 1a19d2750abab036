"""The dashboard: pages for people, served by the same process as the API and made of the same answers.

    request ──▶ serving ──▶ a page's question ──▶ data ──▶ drawing ──▶ HTML
                                                     └──▶ the `.json` twin

`page`       what a page is: its address, its template, the question that gives its data.
`live`, …    the questions, one module for each page.
`pages`      the table of all pages.
`drawing`    data to HTML: the templates and the filters that they use.
`forms`      the table of all forms, their fields, and what was typed as the body of a command.
`recording`  the endpoints of the forms: each records by the route of the API that takes such a command.
`done`       what was recorded last, told once, with a button that undoes it.
`statics`    style sheet, module and marks, under names that change with their content.
`serving`    the endpoints, the headers that every page has, and how a problem looks.

Every page can be read without JavaScript, and nothing on it comes from elsewhere.
"""

from collections.abc import Sequence

from starlette.routing import BaseRoute

from verifier.app import Desk
from verifier.dashboard import recording, serving

__all__ = ["routes"]


def routes(desk: Desk, *, actor: str) -> Sequence[BaseRoute]:
    """Return the routes of the dashboard of a desk. `actor` is recorded as the writer of what its forms record."""
    return [*recording.form_routes(desk, actor), *serving.routes(desk)]  # a form stands below the address of its page
