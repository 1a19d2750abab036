"""The tables of a log on PostgreSQL, what keeps them append-only, and the two functions that write.

One append of many events is one statement, and so one transaction and one round trip: a client that
freezes or dies can't hold the lock, because the server needs nothing more from it.
"""

from __future__ import annotations

from typing import Final

_TABLES: Final = (
    """
    CREATE TABLE events (
        position      bigint PRIMARY KEY,
        id            text COLLATE "C" UNIQUE NOT NULL,
        stream        text COLLATE "C" NOT NULL,
        leaf          bytea NOT NULL,
        wording_salt  bytea,
        wording       bytea,
        identity_salt bytea,
        identity      bytea
    )
    """,
    "CREATE INDEX events_by_stream ON events (stream, position)",
    # For the guard below: however long the log, it looks at its erasures alone.
    """
    CREATE INDEX erasures ON events (position) WHERE position('"type":"text.erased"'::bytea IN leaf) > 0
    """,
    # The one row is the log's lock: who holds it numbers events. Its page has room for versions of it, so
    # that updating it touches no index. `before` is the time that `recorded_at` replaced: an append whose events are
    # all refused puts it back, and could not read it otherwise, because UPDATE returns new values only.
    """
    CREATE TABLE head (
        one         boolean PRIMARY KEY DEFAULT true CHECK (one),
        position    bigint NOT NULL,
        recorded_at text COLLATE "C" NOT NULL,
        before      text COLLATE "C" NOT NULL
    ) WITH (fillfactor = 10)
    """,
    "INSERT INTO head (position, recorded_at, before) VALUES (0, '', '')",
    # The bytes of snapshots, which are erased like texts, and mostly compressed already.
    'CREATE TABLE evidence (sha256 text COLLATE "C" PRIMARY KEY, bytes bytea NOT NULL)',
    "ALTER TABLE evidence ALTER COLUMN bytes SET STORAGE EXTERNAL",
)

_BY_HAND: Final = "WHEN (current_setting('verifier.recording', true) IS DISTINCT FROM 'on')"

# Facts stay for ever, so the database itself refuses to lose, change or misplace one: only the two functions
# below record, and say so by a setting of their transaction. A text, with its salt, can be set to
# nothing, and only once the log says so: a `text.erased` that names it is looked for, newest first, because it
# was recorded a moment ago. Functions look into the schema they were made in.
_GUARDS: Final = (
    """
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'restrict_violation';
    END $$
    """,
    """
    CREATE FUNCTION allow_erasure() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
    DECLARE
        wording_goes  boolean := OLD.wording IS NOT NULL AND NEW.wording IS NULL AND NEW.wording_salt IS NULL;
        identity_goes boolean := OLD.identity IS NOT NULL AND NEW.identity IS NULL AND NEW.identity_salt IS NULL;
        fact          json;
    BEGIN
        IF (NEW.position, NEW.id, NEW.stream, NEW.leaf) IS DISTINCT FROM (OLD.position, OLD.id, OLD.stream, OLD.leaf)
            OR NOT wording_goes
                AND (NEW.wording, NEW.wording_salt) IS DISTINCT FROM (OLD.wording, OLD.wording_salt)
            OR NOT identity_goes
                AND (NEW.identity, NEW.identity_salt) IS DISTINCT FROM (OLD.identity, OLD.identity_salt)
        THEN
            RAISE EXCEPTION 'events are never changed' USING ERRCODE = 'restrict_violation';
        END IF;
        FOR fact IN
            SELECT convert_from(leaf, 'UTF8')::json -> 'fact' FROM events
            WHERE position('"type":"text.erased"'::bytea IN leaf) > 0 ORDER BY events.position DESC
        LOOP
            EXIT WHEN NOT (wording_goes OR identity_goes);
            IF fact ->> 'event' = OLD.id THEN
                wording_goes := wording_goes AND fact ->> 'slot' <> 'wording';
                identity_goes := identity_goes AND fact ->> 'slot' <> 'identity';
            END IF;
        END LOOP;
        IF wording_goes OR identity_goes THEN
            RAISE EXCEPTION 'a text is only erased once the log says so' USING ERRCODE = 'restrict_violation';
        END IF;
        RETURN NEW;
    END $$
    """,
    "CREATE TRIGGER events_are_final BEFORE UPDATE ON events FOR EACH ROW EXECUTE FUNCTION allow_erasure()",
    *(
        f"""
        CREATE TRIGGER {table}_{name} BEFORE {operation} ON {table} {condition}
        EXECUTE FUNCTION refuse('{message}')
        """
        for table, name, operation, condition, message in (
            ("events", "are_kept", "DELETE OR TRUNCATE", "", "events are never deleted"),
            ("events", "are_appended", "INSERT", _BY_HAND, "events are recorded by append() and restore() only"),
            ("head", "is_kept", "DELETE OR TRUNCATE", "", "the head of a log is never deleted"),
            (
                "head",
                "is_moved",
                "INSERT OR UPDATE",
                _BY_HAND,
                "the head of a log is moved by append() and restore() only",
            ),
        )
    ),
)

_ERASE: Final = """
        IF cardinality(erased) > 0 THEN
            UPDATE events SET wording = NULL, wording_salt = NULL
            WHERE id = ANY (ARRAY(
                SELECT erased[i] FROM generate_series(1, cardinality(erased)) AS i WHERE slots[i] = 'wording'));
            UPDATE events SET identity = NULL, identity_salt = NULL
            WHERE id = ANY (ARRAY(
                SELECT erased[i] FROM generate_series(1, cardinality(erased)) AS i WHERE slots[i] = 'identity'));
        END IF;
"""

# The lock is taken by a statement of its own: each statement that follows in a function sees what was
# committed before it began (READ COMMITTED), so all that the last holder of the lock wrote. In `append` it
# takes the positions too, as if nothing were refused, and gives back what is not needed. Look-ups are steps
# into an index, whatever the planner believes of the table; arrays are read by their subscripts, which costs
# less than to unnest them. Who calls these has the schema in his search path.
_WRITERS: Final = (
    f"""
    CREATE FUNCTION append(
        numbers int[], ids text[], streams text[], befores bytea[], afters bytea[],
        wording_salts bytea[], wordings bytea[], identity_salts bytea[], identities bytea[],
        seen_by int[], seen_streams text[], seen bigint[],
        opening int[] DEFAULT '{{}}', erased_by int[] DEFAULT '{{}}', erased text[] DEFAULT '{{}}',
        slots text[] DEFAULT '{{}}',
        OUT head bigint, OUT recorded_at text, OUT known int[], OUT missing int[], OUT missing_ids text[],
        OUT conflicts int[], OUT conflict_streams text[], OUT conflict_heads bigint[]
    ) LANGUAGE plpgsql AS $$
    #variable_conflict use_column
    DECLARE
        many    bigint := cardinality(ids);
        refused int[];
        last    text := set_config('verifier.recording', 'on', true);
    BEGIN
        UPDATE head AS h SET
            position = h.position + many, before = h.recorded_at,
            recorded_at = greatest(
                h.recorded_at, to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))
        RETURNING h.position - many, h.recorded_at, h.before INTO STRICT append.head, append.recorded_at, last;

        -- Mostly nothing is refused, and one look says so.
        IF append.head = 0 OR cardinality(erased) > 0
            OR EXISTS (SELECT FROM events WHERE id = ANY (ids))
            OR EXISTS (
                SELECT FROM generate_series(1, cardinality(seen)) AS i
                WHERE seen[i] <> coalesce((
                    SELECT e.position FROM events AS e WHERE e.stream = seen_streams[i]
                    ORDER BY e.position DESC LIMIT 1), 0))
        THEN
            known := ARRAY(
                SELECT numbers[i] FROM generate_series(1, cardinality(ids)) AS i
                WHERE (SELECT e.position FROM events AS e WHERE e.id = ids[i]) IS NOT NULL);
            SELECT array_agg(seen_by[i] ORDER BY i), array_agg(seen_streams[i] ORDER BY i), array_agg(actual ORDER BY i)
            INTO conflicts, conflict_streams, conflict_heads
            FROM generate_series(1, cardinality(seen)) AS i, LATERAL (
                SELECT coalesce((
                    SELECT e.position FROM events AS e WHERE e.stream = seen_streams[i]
                    ORDER BY e.position DESC LIMIT 1), 0) AS actual
            ) AS stream
            WHERE seen[i] <> actual;
            SELECT array_agg(erased_by[i]), array_agg(erased[i]) INTO missing, missing_ids
            FROM generate_series(1, cardinality(erased)) AS i
            WHERE (SELECT e.position FROM events AS e WHERE e.id = erased[i]) IS NULL;
            refused := known || conflicts || missing;
            IF append.head = 0 THEN
                refused := refused || ARRAY(SELECT n FROM unnest(numbers) AS n WHERE n <> ALL (opening));
            END IF;

            SELECT
                array_agg(ids[i] ORDER BY i), array_agg(streams[i] ORDER BY i),
                array_agg(befores[i] ORDER BY i), array_agg(afters[i] ORDER BY i),
                array_agg(wording_salts[i] ORDER BY i), array_agg(wordings[i] ORDER BY i),
                array_agg(identity_salts[i] ORDER BY i), array_agg(identities[i] ORDER BY i), count(*)
            INTO ids, streams, befores, afters, wording_salts, wordings, identity_salts, identities, many
            FROM generate_series(1, cardinality(ids)) AS i WHERE numbers[i] <> ALL (refused);
            SELECT array_agg(erased[i]), array_agg(slots[i]) INTO erased, slots
            FROM generate_series(1, cardinality(erased)) AS i WHERE erased_by[i] <> ALL (refused);
            UPDATE head AS h SET
                position = append.head + many, recorded_at = CASE many WHEN 0 THEN last ELSE h.recorded_at END;
        END IF;

        INSERT INTO events
        SELECT
            append.head + i, ids[i], streams[i], befores[i] || convert_to(append.recorded_at, 'UTF8') || afters[i],
            wording_salts[i], wordings[i], identity_salts[i], identities[i]
        FROM generate_series(1, many) AS i;
{_ERASE}
    END $$
    """,
    f"""
    CREATE FUNCTION restore(
        expected bigint, ids text[], streams text[], leaves bytea[],
        wording_salts bytea[], wordings bytea[], identity_salts bytea[], identities bytea[], last text,
        erased text[], slots text[],
        OUT head bigint, OUT recorded_at text, OUT known_id text, OUT known_position bigint
    ) LANGUAGE plpgsql AS $$
    #variable_conflict use_column
    BEGIN
        PERFORM set_config('verifier.recording', 'on', true);
        SELECT h.position, h.recorded_at INTO STRICT restore.head, restore.recorded_at FROM head AS h FOR UPDATE;
        SELECT e.id, e.position INTO known_id, known_position FROM events AS e WHERE e.id = ANY (ids) LIMIT 1;
        IF restore.head <> expected OR known_id IS NOT NULL THEN
            RETURN;
        END IF;
        UPDATE head SET position = expected + cardinality(ids), recorded_at = last, before = restore.recorded_at;
        INSERT INTO events
        SELECT
            expected + i, ids[i], streams[i], leaves[i],
            wording_salts[i], wordings[i], identity_salts[i], identities[i]
        FROM generate_series(1, cardinality(ids)) AS i;
{_ERASE}
    END $$
    """,
)

STATEMENTS: Final = (*_TABLES, *_GUARDS, *_WRITERS)
