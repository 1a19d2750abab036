"""The dashboard: pages for people, served by the same process as the API and made of the same answers.

    request ──▶ serving ──▶ a page's question ──▶ data ──▶ drawing ──▶ HTML
                                                     └──▶ the `.json` twin

`page`       what a page is: its address, its template, the question that gives its data.
`live`, …    the questions, one module for each page.
`pages`      the table of all pages.
`drawing`    data to HTML: the templates and the filters that they use.
`statics`    style sheet, module and marks, under names that change with their content.
`serving`    the endpoints, the headers that every page has, and how a problem looks.

Every page can be read without JavaScript, and nothing on it comes from elsewhere.
"""

from verifier.dashboard.serving import routes

__all__ = ["routes"]
