"""Erasure, looked for in bytes: where a text is found before, and where it must not be once its end was reported."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from pathlib import Path

import psycopg
import pytest
from serving import served
from tampering import audited, found

from events.archive import export
from events.audit import Trust
from events.open import database_of, evidence_of, open_log
from events.publish import publish, publish_texts
from tests.events.sealing import Place, seal_all
from tests.postgres import Server
from verifier.client import Verifier
from verifier.errors import ViewsBehind
from verifier.replay import replay

NAME = "Jane Whistleblower"
WORDS = "what only Jane can have known"
SNAPSHOT = b"a page with the private address of Jane"
SOUGHT = (NAME.encode(), WORDS.encode(), SNAPSHOT)


async def record(verifier: Verifier) -> tuple[str, str, str]:
    """Record a statement with a name and words, and a snapshot; return the claim and the two events."""
    letter = await verifier.assert_claim("The letter is authentic", source="AFP", occurred="2020-01-06")
    said = await verifier.corroborate(letter, source=NAME, note=WORDS, occurred="2020-01-07")
    attached = await verifier.attach(said, SNAPSHOT, shows="a page")
    return letter.id, str(said.statement), str(attached.statement)


async def erase(verifier: Verifier, claim: str, said: str, attached: str) -> None:
    """Erase the name wherever it stands, the words, and the snapshot."""
    for event, slot in ((said, "identity"), (said, "wording"), (attached, "identity")):
        await verifier.erase(claim, event, slot=slot, basis="court_order")
    async for event in verifier.events():
        if event.type == "source.registered" and event.identity is not None:
            [party] = event.identity["parties"].values()
            if party["name"] == NAME:
                await verifier.erase(party["id"], event.id, slot="identity", basis="court_order")


def holding(folder: Path) -> dict[str, list[bytes]]:
    """Return each file below a folder that holds any of what was to go."""
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {name: there for name, raw in files.items() if (there := [one for one in SOUGHT if one in raw])}


async def states(url: str) -> dict[str, tuple[str, str]]:
    """Replay a log: the status of each claim, and the rule."""
    async with await open_log(url, writable=False) as log:
        return dict((await replay(log)).statuses)


async def test_on_sqlite_what_was_erased_is_in_no_file_of_the_data_directory_once_that_is_reported(
    tmp_path: Path,
) -> None:
    with served(f"sqlite:///{tmp_path}/newsroom.db") as serving:
        async with Verifier(serving.address) as verifier:
            events = await record(verifier)
            assert [claim.status async for claim in verifier.claims()] == ["corroborated"]
            before = holding(tmp_path)

            await erase(verifier, *events)

            assert holding(tmp_path) == {}
            assert [claim.status async for claim in verifier.claims()] == ["corroborated"]
    assert any("views" in name for name in before) and any("evidence" in name for name in before)
    assert holding(tmp_path) == {}


async def test_an_erasure_is_not_reported_while_somebody_still_reads_the_views(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("verifier.routes.WIPED_WITHIN", 0.3)
    async with Verifier.open(f"sqlite:///{tmp_path}/newsroom.db", actor="ada") as verifier:
        claim, said, _ = await record(verifier)
        [_] = [claim async for claim in verifier.claims()]
        reader = sqlite3.connect(f"file:{tmp_path}/newsroom.views.db?mode=ro", uri=True, isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM sqlite_master").fetchone()
        reader.execute("SELECT * FROM views").fetchall()

        with pytest.raises(ViewsBehind, match="erased from the log"):
            await verifier.erase(claim, said, slot="identity", basis="court_order", key="gone")
        reader.close()
        again = await verifier.erase(claim, said, slot="identity", basis="court_order", key="gone")

        assert again.effect == "already recorded"
        assert not any(NAME.encode() in there for name, there in holding(tmp_path).items() if "views" in name)


async def test_after_an_erasure_the_audit_passes_the_statuses_stand_and_nobody_is_given_the_text(
    place: str, tmp_path: Path
) -> None:
    sealing = Place(place, tmp_path)
    folder, texts, file = tmp_path / "public", tmp_path / "texts.jsonl", tmp_path / "newsroom.jsonl"
    async with Verifier.open(place, actor="ada") as verifier:
        events = await record(verifier)
        before = await states(place)
        await erase(verifier, *events)
        told = [str(event) async for event in verifier.events()]
        shown = [str(claim) async for claim in verifier.claims()]
    async with await open_log(place) as log:
        seal = await seal_all(log, sealing)
        await publish(log, sealing.tiles, folder)
        await publish_texts(log, texts, size=seal.size, published=folder)
        with file.open("wb") as out:
            await export(log, out, evidence=evidence_of(place))
    await sealing.tiles.close()

    trust = Trust(vkeys=sealing.keys.vkeys)
    report = (await asyncio.to_thread(audited, place, trust)).audited
    assert (report.findings, report.covered) == ([], seal.size)
    assert await asyncio.to_thread(found, str(folder), trust) == []
    assert await asyncio.to_thread(lambda: found(str(folder), trust, texts=texts)) == []
    assert await states(place) == before
    assert holding(folder) == {} and NAME.encode() not in texts.read_bytes() + file.read_bytes()
    assert not any(NAME in one or WORDS in one for one in (*told, *shown))
    assert WORDS.encode() not in texts.read_bytes() + file.read_bytes()


async def test_on_postgresql_what_was_erased_is_in_no_table_after_a_vacuum(postgres: Server) -> None:
    url = postgres.url(f"erased_{os.getpid()}")
    async with Verifier.open(url, actor="ada") as verifier:
        events = await record(verifier)
        before = await asyncio.to_thread(_in_files, postgres, url)
        await erase(verifier, *events)
        await asyncio.to_thread(_vacuum, url)

        assert before
        assert await asyncio.to_thread(_in_files, postgres, url) == []


def _tables(connection: psycopg.Connection, url: str) -> list[tuple[str, str]]:
    """Return every table of the log, of its views and of its tiles, with the file in which it lies."""
    asked = """
        SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname), pg_relation_filepath(c.oid)
        FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname LIKE %s AND c.relkind IN ('r', 'i')
        UNION
        SELECT 'toast', pg_relation_filepath(c.reltoastrelid)
        FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname LIKE %s AND c.relkind = 'r' AND c.reltoastrelid <> 0"""
    schema = database_of(url).schema
    return [(name, path) for name, path in connection.execute(asked, [f"{schema}%", f"{schema}%"]).fetchall() if path]


def _vacuum(url: str) -> None:
    """Do what the guide says, to every table of the log and of its views."""
    with psycopg.connect(database_of(url).dsn, autocommit=True) as connection:
        names = """
            SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) FROM pg_tables WHERE schemaname LIKE %s"""
        for (table,) in connection.execute(names, [f"{database_of(url).schema}%"]).fetchall():
            connection.execute(f"VACUUM FULL {table}")  # type: ignore[arg-type]  # a name that the database gave


def _in_files(server: Server, url: str) -> list[str]:
    """Return the tables and indexes in whose files any of what was to go is found, once they are written."""
    with psycopg.connect(server.superuser, autocommit=True) as connection:
        connection.execute("CHECKPOINT")
        tables = _tables(connection, url)
    return [name for name, path in tables if any(one in (server.data / path).read_bytes() for one in SOUGHT)]
