"""The views: rows that follow the log, for every question that one claim's facts can't answer.

`views`      the follower: runs, waits, rebuilds, switches generations.
`generation` takes pages of events: works out their rows, writes them with the checkpoint.
`pace`       how much is taken at once, and how long the event loop is held.
`rows`       what events come to, as rows. Pure.
`database`   the connections: one that writes, a few that read.
"""

from verifier.projections.views import Checkpoint, Reading, Views

__all__ = ["Checkpoint", "Reading", "Views"]
