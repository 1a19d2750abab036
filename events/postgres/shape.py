"""The form that the schema of a log must have: its tables, columns, indexes and triggers, as the catalogue tells it.

Told in words of our own: how PostgreSQL words a definition differs between its versions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

LOOK: Final = """
    WITH here AS (SELECT oid, relname, relkind, relrowsecurity FROM pg_class
        WHERE relnamespace = current_schema()::regnamespace)
    SELECT 'the table ' || relname,
        CASE WHEN relkind = 'r' AND NOT relrowsecurity AND NOT EXISTS (SELECT FROM pg_rewrite WHERE ev_class = oid)
            THEN 'plain' ELSE 'not plain' END
    FROM here WHERE relkind IN ('r', 'p', 'f', 'v', 'm')
    UNION ALL
    SELECT 'the column ' || relname || '.' || attname,
        format_type(atttypid, atttypmod) || CASE WHEN attnotnull THEN ' not null' ELSE '' END
    FROM here JOIN pg_attribute ON attrelid = oid
    WHERE relkind IN ('r', 'p', 'f', 'v', 'm') AND attnum > 0 AND NOT attisdropped
    UNION ALL
    SELECT 'the index ' || relname, indrelid::regclass || ':'
        || CASE WHEN indisunique THEN ' unique' ELSE '' END
        || (SELECT string_agg(' ' || attname, '' ORDER BY attnum) FROM pg_attribute WHERE attrelid = here.oid)
        || CASE WHEN indpred IS NULL THEN '' ELSE ' where' END
        || CASE WHEN indisvalid AND indisready AND indislive THEN '' ELSE ' invalid' END
    FROM here JOIN pg_index ON indexrelid = oid
    UNION ALL
    SELECT 'the trigger ' || tgname || ' of ' || relname,
        tgfoid::regproc || ' ' || tgtype || CASE WHEN tgenabled = 'O' THEN '' ELSE ' disabled' END
    FROM here JOIN pg_trigger ON tgrelid = here.oid WHERE NOT tgisinternal"""
"""Asks for what the schema that comes first in the search path holds: of each thing its name, and its form."""

_TABLES: Final[Mapping[str, Mapping[str, str]]] = {
    "alembic_version": {"version_num": "character varying(32) not null"},
    "events": {
        "position": "bigint not null",
        "id": "text not null",
        "stream": "text not null",
        "leaf": "bytea not null",
        "wording_salt": "bytea",
        "wording": "bytea",
        "identity_salt": "bytea",
        "identity": "bytea",
    },
    "head": {
        "one": "boolean not null",
        "position": "bigint not null",
        "recorded_at": "text not null",
        "before": "text not null",
    },
    "evidence": {"sha256": "text not null", "bytes": "bytea not null"},
}

# A trigger's number says when it fires: pg_trigger.tgtype, where 1 is each row, 2 before, 4 insert, 8 delete,
# 16 update and 32 truncate.
_EXPECTED: Final[Mapping[str, str]] = {
    **{f"the table {table}": "plain" for table in _TABLES},
    **{f"the column {table}.{name}": form for table, columns in _TABLES.items() for name, form in columns.items()},
    "the index alembic_version_pkc": "alembic_version: unique version_num",
    "the index events_pkey": "events: unique position",
    "the index events_id_key": "events: unique id",
    "the index events_by_stream": "events: stream position",
    "the index erasures": "events: position where",
    "the index head_pkey": "head: unique one",
    "the index evidence_pkey": "evidence: unique sha256",
    "the trigger events_are_final of events": "allow_erasure 19",
    "the trigger events_are_kept of events": "refuse 42",
    "the trigger events_are_appended of events": "refuse 6",
    "the trigger head_is_kept of head": "refuse 42",
    "the trigger head_is_moved of head": "refuse 22",
}


def unlike(found: Mapping[str, str]) -> Iterator[str]:
    """Yield in what the answers to `LOOK` are not those of a schema that the migrations make."""
    for name in sorted(found.keys() | _EXPECTED.keys()):
        if name not in found:
            yield f"{name} is not there"
        elif name not in _EXPECTED:
            yield f"{name} is there, and no version of the product makes it"
        elif found[name] != _EXPECTED[name]:
            yield f"{name} is not as the product makes it: {found[name]!r} instead of {_EXPECTED[name]!r}"
