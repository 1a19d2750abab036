"""Bringing the tables of a log to the newest version, on a connection that its engine hands over.

Alembic takes longer to import than a log to open, so import this only where tables must be changed.
"""

from __future__ import annotations

import threading

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

_one_at_a_time = threading.Lock()  # Alembic keeps its context in a module


def known_versions() -> frozenset[str]:
    """Return every version that this code knows; any other is newer."""
    return frozenset(script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions())


def upgrade(connection: Connection) -> None:
    """Run what is missing on a connection that has a transaction open, and leave it open."""
    config = _config()
    config.attributes["connection"] = connection
    with _one_at_a_time:
        command.upgrade(config, "head")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "events:migrations")
    config.set_main_option("path_separator", "os")
    return config
