"""A log in one SQLite file: one process writes it, any process reads it.

`log`    the five verbs.
`writer` the one thread with the one connection that writes: group commit.
`reader` connections that only read, in a few threads.
`tail`   the newest events in memory, for this process's subscriptions.
`owner`  the OS lock beside the file.
`schema` opening a connection, the version of the tables, what SQLite's errors mean.

SQLite before 3.51.3 can corrupt a WAL file that two connections write and checkpoint at once, and Python
ships such versions. So there is one writing connection for each file, in one process: readers are
`mode=ro`, and a second writer is refused by the lock.
"""

from events.sqlite.log import SqliteLog

__all__ = ["SqliteLog"]
