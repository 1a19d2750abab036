"""What the URL of a log on PostgreSQL says: which database, and which schema in it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from events.errors import Invalid

SCHEMA: Final = "verifier"
"""The schema of a log whose URL names none."""

VIEWS: Final = "_views"
"""How the name of the schema ends that stands beside a log's for its views."""

TILES: Final = "_tiles"
"""How the name of the schema ends that stands beside a log's for its tiles."""

WEBHOOKS: Final = "_webhooks"
"""How the name of the schema ends that stands beside a log's for its webhooks."""

PARAMETERS: Final = frozenset(
    ("application_name", "dbname", "gsslib", "host", "krbsrvname", "options", "passfile", "password", "port", "service",
     "sslcert", "sslcrl", "sslkey", "sslmode", "sslnegotiation", "sslpassword", "sslrootcert",
     "ssl_max_protocol_version", "ssl_min_protocol_version", "target_session_attrs", "user")
)  # fmt: skip
"""What a URL may say beside the schema: what both asyncpg and libpq understand, and alike. asyncpg would send anything
else to the server, as a setting that it doesn't know."""

_HOST_FORM: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:@\[\]]*)(:[0-9]+)?")
_SCHEMA_FORM: Final = re.compile(r"(?!pg_)[a-z_][a-z0-9_]{0,47}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A schema in a database. Its `repr` and `url` can be shown to anyone; `dsn` holds the password."""

    dsn: str = field(repr=False)
    schema: str
    url: str

    @property
    def channel(self) -> str:
        """The name under which processes wake each other."""
        return f"log.{self.schema}"


def place_of(url: str) -> Place:
    """Read `postgresql://user:password@host:port/database?schema=name`; any other parameter is one of `PARAMETERS`.

    Raises `Invalid` for what is no such URL, without repeating it: it may hold a password.
    """
    try:
        parts = urlsplit(url)
        given = parse_qsl(parts.query, strict_parsing=bool(parts.query))
        who, _, where = parts.netloc.rpartition("@")
        unknown = [name for name, _ in given if name not in PARAMETERS and name != "schema"]
        # A sign that belongs to a password divides the URL at the wrong place.
        divided = "@" in parts.path or ("@" in parts.query and unknown) or parts.fragment
        understood = not divided and all(_HOST_FORM.fullmatch(host) for host in where.split(","))
    except ValueError:
        understood = False
    if not understood:
        # What could not be read may be part of a password, so it is not named, not even as a cause.
        raise Invalid("this is not the URL of a database: use postgresql://user@host:port/database?schema=name")
    if unknown:
        raise Invalid(
            f"the URL of a log has no parameter {unknown[0]!r}: it has schema, {', '.join(sorted(PARAMETERS))}"
        )
    schemas = [value for name, value in given if name == "schema"] or [SCHEMA]
    if len(schemas) > 1 or not _SCHEMA_FORM.fullmatch(schemas[0]):
        raise Invalid(
            f"{schemas[-1]!r} can't be the schema of a log: use one name of small letters, digits and underscores,"
            " 48 at the most, that doesn't begin with pg_"
        )
    if schemas[0].endswith((VIEWS, TILES, WEBHOOKS)):
        raise Invalid(
            f"a log's schema doesn't end in {VIEWS}, {TILES} or {WEBHOOKS}: there stands what is kept beside another"
            " log; choose another name"
        )
    user = who.partition(":")[0]
    others = urlencode([pair for pair in given if pair[0] != "schema"], quote_via=quote)  # libpq knows no "+"
    return Place(
        dsn=f"postgresql://{parts.netloc}{parts.path}{others and '?'}{others}",
        schema=schemas[0],
        url=f"postgresql://{user}{user and '@'}{where}{parts.path}?schema={schemas[0]}",
    )
