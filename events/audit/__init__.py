"""Audits a log by what anyone can check, without trusting who keeps it, and without knowing what its facts mean.

`audit`      the whole: reads once, in one process or several
`findings`   what can be wrong, in fixed words
`book`       what is audited; `stored` a log by its URL, `published` a folder or a web server, `exported` a file
`trust`      what an auditor brings along, and the signatures
`checks`     the checks of each event by itself
`tree`       the tree over the leaves
"""

from events.audit.auditing import Audited, Follower, audit
from events.audit.book import Book, OpenBook
from events.audit.findings import MEANINGS, Finding, Kind
from events.audit.trust import Known, Trust

__all__ = ["MEANINGS", "Audited", "Book", "Finding", "Follower", "Kind", "Known", "OpenBook", "Trust", "audit"]
