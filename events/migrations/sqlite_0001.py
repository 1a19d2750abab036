"""The table of events on SQLite, and the triggers that keep it append-only."""

from __future__ import annotations

from typing import Final

# Facts stay for ever, so the database itself refuses to lose or change one; only a text, with its salt,
# can be set to nothing. The trigger on INSERT keeps positions gapless, and stops INSERT OR REPLACE,
# which deletes without firing a trigger on DELETE. The one on UPDATE names no columns, because one of
# them has a second name, rowid.
STATEMENTS: Final = (
    """
    CREATE TABLE events (
        position      INTEGER PRIMARY KEY,
        id            TEXT UNIQUE NOT NULL,
        stream        TEXT NOT NULL,
        leaf          BLOB NOT NULL,
        wording_salt  BLOB,
        wording       BLOB,
        identity_salt BLOB,
        identity      BLOB
    ) STRICT
    """,
    "CREATE INDEX events_by_stream ON events (stream, position)",
    """
    CREATE TRIGGER events_follow_the_head BEFORE INSERT ON events
    WHEN NEW.position IS NOT (SELECT coalesce(max(position), 0) + 1 FROM events)
        OR EXISTS (SELECT 1 FROM events WHERE id = NEW.id)
    BEGIN SELECT RAISE(ABORT, 'an event takes the next position and an id of its own'); END
    """,
    """
    CREATE TRIGGER events_are_kept BEFORE DELETE ON events
    BEGIN SELECT RAISE(ABORT, 'events are never deleted'); END
    """,
    """
    CREATE TRIGGER events_are_final BEFORE UPDATE ON events
    WHEN (NEW.position, NEW.id, NEW.stream, NEW.leaf) IS NOT (OLD.position, OLD.id, OLD.stream, OLD.leaf)
    BEGIN SELECT RAISE(ABORT, 'events are never changed'); END
    """,
    *(
        f"""
        CREATE TRIGGER {column}_is_only_erased BEFORE UPDATE OF {column} ON events WHEN NEW.{column} IS NOT NULL
        BEGIN SELECT RAISE(ABORT, 'a text is never changed, only erased'); END
        """
        for column in ("wording_salt", "wording", "identity_salt", "identity")
    ),
)
