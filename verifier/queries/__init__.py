"""Everything that can be asked: answers as plain dicts, in the shapes of `verifier.answers`.

`reader`     the questions, one method each: `about_claims`, `about_others`, and looking ids up.
`answering`  how each is answered: waiting for the views, what an answer rests on, where a list goes on.
`claims`     claims and their changes, from the rows of the views.
`attention`  what somebody should look at that lies between claims, or in names.
`sources`    sources and stories, from the rows of the views.
`wordings`   which claim has a wording.
`past`       a claim at a position, by a moment or under another policy, and its statements: from the log.
`then`       lists of claims as they stood, and their changes under another policy.
`counts`     sources and stories as they stood.
`states`     the states of all claims at a position.
`cursor`     where a list goes on.
"""

from verifier.queries.reader import Queries

__all__ = ["Queries"]
