"""A log in one schema of a PostgreSQL database: any number of processes write and read it.

`log`     the five verbs.
`writer`  the one task with the one connection that writes: group commit.
`commit`  one transaction on a batch.
`reader`  a few connections that only read.
`tail`    the newest events in memory, for this process's subscriptions.
`bell`    the wake-up between processes: LISTEN and NOTIFY.
`evidence` the bytes of snapshots, in a table beside the events.
`session` opening a connection, and what PostgreSQL's errors mean.
`schema`  the version of the tables, and migrating them.
`condition` what `verifier doctor` asks, also of a log that can't be opened.
`place`   what a log's URL says.

The one row of the table `head` is the log's lock: positions are handed out under it, so they have no gaps
and stand in the order of commits. No sequence, no transaction id: those leave gaps that readers would have
to guess about, and any open transaction of the cluster would hold them up.
"""

from events.postgres.log import PostgresLog

__all__ = ["PostgresLog"]
