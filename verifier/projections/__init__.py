"""The views: rows that follow the log, for every question that one claim's facts can't answer.

`views`      the follower: runs, waits, rebuilds, switches generations.
`turns`      one of several processes keeps the views, and the others look how far it is.
`lease`      whose turn it is: one row, by the database's clock.
`generation` takes pages of events: works out their rows, writes them with the checkpoint.
`generations` which generations there are: made, served, dropped.
`pace`       how much is taken at once, and what is left to the others.
`rows`       what events come to, as rows. Pure.
`reading`    one state of the views, as it is read.
`database`   the connections: one that writes, a few that read.
`sqlite`     views in a file, or in memory.
`postgres`   views in a schema.
`looking`    how far views are and who keeps them, seen from outside.
"""

from verifier.projections.reading import Checkpoint, Reading
from verifier.projections.views import Views

__all__ = ["Checkpoint", "Reading", "Views"]
