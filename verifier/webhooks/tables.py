"""The tables of what is kept of webhooks. `outbox` says of which log they are, and their version.

    endpoint  where changes go, which of them, and up to where they were queued
    secret    what each endpoint's receiver checks signatures by
    waiting   what was queued and not delivered yet
    told      the last change of each claim that was queued for an endpoint: whom a recall concerns
    dead      what was given up

No row holds a sentence or a name: a message is a position and a claim.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, Float, Integer, MetaData, Table, Text

VERSION: Final = 1
"""Which tables and columns there are."""

METADATA: Final = MetaData()
OUTBOX: Final = Table(
    "outbox", METADATA, Column("log", Text, primary_key=True), Column("version", Integer, nullable=False)
)
ENDPOINT: Final = Table(
    "endpoint",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("url", Text, nullable=False),
    Column("claim", Text),
    Column("story", Text),
    Column("source", Text),
    Column("status", Text),
    Column("recalls", Boolean, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("made_at", Float(53), nullable=False),
    Column("disabled", Text),
    Column("changed", BigInteger, nullable=False),
)
SECRET: Final = Table(
    "secret",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("endpoint", Text, nullable=False, index=True),
    Column("key", Text, nullable=False),
    Column("made_at", Float(53), nullable=False),
    Column("until", Float(53)),
)
WAITING: Final = Table(
    "waiting",
    METADATA,
    Column("endpoint", Text, primary_key=True),
    Column("position", BigInteger, primary_key=True),
    Column("claim", Text, primary_key=True),
    Column("due", Float(53), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("first", Float(53)),
    Column("failure", Text),
)
TOLD: Final = Table(
    "told",
    METADATA,
    Column("endpoint", Text, primary_key=True),
    Column("claim", Text, primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("status", Text, nullable=False),
)
DEAD: Final = Table(
    "dead",
    METADATA,
    Column("endpoint", Text, primary_key=True),
    Column("position", BigInteger, primary_key=True),
    Column("claim", Text, primary_key=True),
    Column("attempts", Integer, nullable=False),
    Column("first", Float(53), nullable=False),
    Column("died", Float(53), nullable=False),
    Column("failure", Text, nullable=False),
)

OF_ENDPOINT: Final = (SECRET, WAITING, TOLD, DEAD)
"""The tables whose rows belong to an endpoint."""
