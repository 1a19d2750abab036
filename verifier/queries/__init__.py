"""Everything that can be asked: answers as plain dicts, in the shapes of `verifier.answers`.

`reader`     the questions, one method each.
`claims`     claims and their changes, from the rows of the views.
`attention`  what somebody should look at that lies between claims, or in names.
`sources`    sources and stories, from the rows of the views.
`wordings`   which claim has a wording.
`past`       a claim at a position, by a moment or under another policy, and its statements: from the log.
`cursor`     where a list goes on.
"""

from verifier.queries.reader import Queries

__all__ = ["Queries"]
