"""The views: rows that follow the log, for every question that one claim's facts can't answer.

`views`      the follower: runs, waits, rebuilds, switches generations.
`turns`      one of several processes keeps the views, and the others look how far it is.
`lease`      whose turn it is: one row, by the database's clock.
`generation` takes pages of events: works out their rows, writes them with the checkpoint.
`generations` which generations there are: made, served, dropped.
`pace`       how much is taken at once, and how long the event loop is held.
`rows`       what events come to, as rows. Pure.
`database`   the connections: one that writes, a few that read.
`sqlite`     views in a file, or in memory.
`postgres`   views in a schema.
"""

from verifier.projections.views import Checkpoint, Reading, Views

__all__ = ["Checkpoint", "Reading", "Views"]
