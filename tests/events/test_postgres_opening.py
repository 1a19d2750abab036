"""Opening a log on PostgreSQL: its URL, the packages it needs, and whom the server lets in."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Awaitable, Callable

import asyncpg
import psycopg
import pytest
from console import a_role
from wire import wired

from events.errors import (
    Busy,
    Invalid,
)
from events.open import database_of, evidence_of, examine, migrate_log, open_log
from events.postgres.place import PARAMETERS
from tests.postgres import Server


@pytest.fixture
def log_url(postgres_url: str) -> str:
    """The URL of `log`, which is on PostgreSQL here."""
    return postgres_url


@pytest.mark.parametrize("package", ["asyncpg", "psycopg"])
@pytest.mark.parametrize("verb", [open_log, migrate_log, examine, evidence_of])
async def test_without_the_extra_it_is_said_what_to_install(
    monkeypatch: pytest.MonkeyPatch, verb: Callable[[str], Awaitable[object]], package: str
) -> None:
    for name in [name for name in sys.modules if name.startswith("events.postgres")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)

    with pytest.raises(Invalid, match=r"pip install 'claim-verifier\[postgres\]'"):
        await verb("postgresql://127.0.0.1/desk")


async def test_a_role_that_may_not_connect_is_refused_at_once(postgres: Server, postgres_url: str) -> None:
    async with a_role(postgres, postgres_url) as (_, url, superuser):
        await superuser.execute("REVOKE CONNECT ON DATABASE desk FROM PUBLIC")
        try:
            with pytest.raises(Invalid, match="refuses us"):
                await open_log(url)
        finally:
            await superuser.execute("GRANT CONNECT ON DATABASE desk TO PUBLIC")


@pytest.mark.parametrize("parameter", ["connect_timeout", "statement_timeout", "keepalives", "sslmod"])
def test_a_parameter_that_is_not_understood_is_refused_by_name(parameter: str) -> None:
    with pytest.raises(Invalid, match=parameter):
        database_of(f"postgresql://db/news?{parameter}=10&schema=desk")


def test_a_parameter_that_is_accepted_is_one_of_libpq() -> None:
    assert {option.keyword.decode() for option in psycopg.pq.Conninfo.get_defaults()} >= PARAMETERS


async def test_a_password_is_never_shown(postgres: Server, postgres_url: str) -> None:
    secret = postgres.password
    async with await open_log(postgres_url) as log:
        assert secret not in log.url
        assert database_of(postgres_url).schema in log.url
        assert secret not in repr(database_of(postgres_url))
    for wrong in (
        postgres_url.replace(secret, secret + "x"),
        postgres_url.replace("/desk?", "/nowhere?"),
        postgres_url.replace("schema=", "schema=Not-"),
        postgres_url.replace(f":{postgres.port}/", ":port/"),
        postgres_url.replace("postgresql:", "postgres:"),
        postgres_url.replace("@", "%40"),
    ):
        with pytest.raises(Invalid) as refusal:
            await open_log(wrong, create=None)
        assert secret not in str(refusal.value)


async def test_a_server_that_does_not_answer_is_busy_and_named_without_the_password(postgres_url: str) -> None:
    async with wired(postgres_url) as (_, url):
        pass  # now nothing listens there

    with pytest.raises(Busy) as refusal:
        await open_log(url)

    assert "127.0.0.1" in str(refusal.value)
    assert database_of(url).dsn.split("@", maxsplit=1)[0] not in str(refusal.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://127.0.0.1", "postgresql://127.0.0.1?schema=verifier"),
        ("postgresql://ada:secret@db:5433/news?schema=desk", "postgresql://ada@db:5433/news?schema=desk"),
        ("postgresql://ada:se%40cret@[::1]:5433/news", "postgresql://ada@[::1]:5433/news?schema=verifier"),
        ("postgresql://ada@one:1,two:2/news", "postgresql://ada@one:1,two:2/news?schema=verifier"),
        ("postgresql:///news?host=/run/pg&password=secret&schema=desk", "postgresql:///news?schema=desk"),
    ],
)
def test_a_url_is_shown_without_what_is_secret(url: str, shown: str) -> None:
    assert database_of(url).url == shown


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ada:sec/ret@db/news",
        "postgresql://ada:sec:ret/news",
        "postgresql://ada:secret/news",
        "postgresql://db/news?secret",
        "postgresql://ada:1?secret=2@db/news",
        "postgresql://ada:1#secret@db/news",
        "postgresql://db/news?schema=Secret",
        "postgresql://db/news?schema=pg_x",
        "postgresql://db/news?schema=desk_views",
        "postgresql://db/news?schema=a&schema=b",
    ],
)
def test_a_url_that_can_not_be_read_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(Invalid) as refusal:
        database_of(url)

    assert "secret" not in str(refusal.value)
    assert refusal.value.__cause__ is None


async def test_a_database_that_can_not_hold_every_text_is_refused(postgres: Server) -> None:
    name = f"latin_{secrets.token_hex(4)}"
    connection = await asyncpg.connect(postgres.superuser)
    try:
        await connection.execute(f"CREATE DATABASE {name} OWNER desk ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    finally:
        await connection.close()

    with pytest.raises(Invalid, match="ENCODING 'UTF8'"):
        await open_log(postgres.url("newsroom").replace("/desk?", f"/{name}?"))
