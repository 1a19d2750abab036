"""The audit as people and programs run it: what it prints, what it ends with, and what it can't know."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
from asyncio import to_thread
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from newsroom import Newsroom
from serving import served
from tampering import Made, attest, audited, copied, found, make
from typer.testing import CliRunner, Result

from events.audit import MEANINGS, Finding, Known, Trust, audit
from events.audit.exported import Exported
from events.audit.stored import OpenStored, Stored
from events.contracts import StatusesAttested
from events.errors import Invalid
from events.keys import Keys
from events.open import open_log
from events.seals import Seals
from events.tlog import COSIGNATURE, cosign, new_key, sign_note, vkey_of
from events.tlog.head import format_head
from tests.events.sealing import Place, grow, seal_all
from verifier.audit import Replay, audit_log
from verifier.cli import app


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A log with everything around it."""
    folder = tmp_path_factory.mktemp("sealed")
    return make(f"sqlite:///{folder}/newsroom.db", folder)


@pytest.fixture
def copy(made: Made, tmp_path: Path) -> Made:
    """A copy of it to tamper with."""
    return copied(made, tmp_path / "copy")


def typed(*words: object, code: int = 0) -> Result:
    """Run `verifier audit` and check how it ends."""
    result = CliRunner().invoke(app, ["audit", *map(str, words)], env={"COLUMNS": "200"})
    assert result.exit_code == code, f"{result.output}{result.exception!r}"
    return result


def vkeys(made: Made) -> Sequence[str]:
    """The flags that give the log's key."""
    return [word for vkey in made.vkeys for word in ("--vkey", vkey)]


def forge(url: str, statement: str) -> None:
    """Change a log's file past its triggers, and put them back."""
    connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for name, _ in triggers:
        connection.execute(f"DROP TRIGGER {name}")
    connection.execute(statement)
    for _, trigger in triggers:
        connection.execute(trigger)
    connection.close()


# --- what it prints and ends with ------------------------------------------------------------------


def test_a_log_that_is_as_it_was_recorded_ends_with_nothing_wrong(made: Made) -> None:
    printed = typed(made.url, *vkeys(made)).stdout

    assert printed.splitlines()[-1].split() == ["wrong", "nothing"]
    assert "example.org/newsroom" in printed and "give one with --vkey" not in printed
    assert "1 of 1 time as a replay gives it" in printed


def test_what_is_wrong_is_named_line_by_line_and_ends_with_three(copy: Made) -> None:
    forge(copy.url, "UPDATE events SET wording = NULL, wording_salt = NULL WHERE position = 40")

    result = typed(copy.url, *vkeys(copy), code=3)

    assert "position 40: lost or hidden: its wording is missing and no text.erased names it" in result.stdout
    assert "verifier: the audit failed, with 1 finding: keep a copy of all of it" in result.stderr


def test_a_program_reads_the_findings_with_their_kind_and_place(copy: Made) -> None:
    forge(copy.url, "UPDATE events SET stream = 'log' WHERE position = 40")

    report = json.loads(typed(copy.url, "-o", "json", code=3).stdout)

    assert report["counts"] == {"column": 1}
    [finding] = report["findings"]
    assert (finding["kind"], finding["position"], finding["upto"], finding["slot"]) == ("column", 40, None, None)
    assert finding["kind"] in MEANINGS


def test_a_published_folder_an_export_and_a_log_give_the_same_report(made: Made) -> None:
    kept = made.folder / "checkpoint"
    folder = json.loads(typed(made.folder, *vkeys(made), "--texts", made.texts, "-o", "json").stdout)
    export = json.loads(typed(made.export, *vkeys(made), "--known", kept, "-o", "json").stdout)
    stored = json.loads(typed(made.url, *vkeys(made), "--known", kept, "-o", "json").stdout)

    same = ("log", "head", "covered", "texts", "claims", "attestations", "agreeing", "findings", "unsealed")
    assert [folder[name] for name in same] == [export[name] for name in same] == [stored[name] for name in same]


_FIRST = "position = (SELECT min(position) FROM events WHERE instr(leaf, CAST('claim.asserted' AS BLOB)))"
_TWO = "position IN (40, 290)"


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 'nothing'",
        f"UPDATE events SET wording = identity WHERE {_TWO}",
        f"UPDATE events SET leaf = CAST(leaf || ' ' AS BLOB) WHERE {_FIRST}",
        f"UPDATE events SET leaf = CAST(replace(leaf, 'evt_', 'evt_A') AS BLOB) WHERE {_FIRST}",
        f"UPDATE events SET leaf = CAST(replace(leaf, 'claim.asserted', 'no.such') AS BLOB) WHERE {_FIRST}",
        f"UPDATE events SET leaf = (SELECT leaf FROM events WHERE position = 41) WHERE {_TWO}",
        f"UPDATE events SET position = -position WHERE {_FIRST}",
        "DELETE FROM events WHERE position BETWEEN 30 AND 60",
    ],
    ids=["nothing", "texts", "not canonical", "form", "unknown fact", "an id thrice", "astray", "missing"],
)
def test_helping_processes_find_what_one_finds(copy: Made, statement: str) -> None:
    forge(copy.url, statement)

    alone, helped = audit_log(copy.url, copy.trust), audit_log(copy.url, copy.trust, processes=2)

    assert (helped.audited, helped.claims, helped.agreeing) == (alone.audited, alone.claims, alone.agreeing)
    assert bool(alone.audited.findings) == ("nothing" not in statement)


def test_helping_processes_find_what_one_finds_in_the_files_that_they_read(copy: Made) -> None:
    bundle = copy.folder / "tile" / "entries" / "000"
    bundle.write_bytes(bundle.read_bytes() + b"\x00")
    lines = copy.texts.read_bytes().splitlines(keepends=True)
    copy.texts.write_bytes(b"".join([*lines[:40], b"no line\n", *lines[41:]]))

    alone, helped = (
        audit_log(str(copy.folder), copy.trust, texts=copy.texts, processes=processes) for processes in (1, 2)
    )

    assert helped == alone
    assert {finding.kind for finding in alone.audited.findings} >= {"file", "missing"}


def test_of_an_id_that_comes_three_times_both_later_events_are_named(copy: Made) -> None:
    forge(copy.url, f"UPDATE events SET leaf = (SELECT leaf FROM events WHERE position = 30) WHERE {_TWO}")

    findings = audited(copy.url, copy.trust).audited.findings

    assert [finding.position for finding in findings if finding.kind == "id"] == [40, 290]


def test_the_audit_goes_on_alone_where_the_processes_that_help_are_killed(made: Made) -> None:
    alone = audit_log(made.url, made.trust)

    done = audit(Deadly(made.url), made.trust, processes=3)

    assert done == alone.audited


@dataclass(frozen=True)
class Deadly:
    """A log whose reading ends the process, unless it is the one that made this."""

    url: str
    process: int = field(default_factory=os.getpid)

    def open(self) -> OpenStored:
        """Open it, or end."""
        if os.getpid() != self.process:
            os._exit(1)
        return Stored(self.url).open()

    def storage(self) -> Sequence[Finding]:
        """Look at its storage, which only the one that made this does."""
        return Stored(self.url).storage()


def test_a_server_that_seals_is_audited_at_its_address(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/newsroom.db"
    key = new_key("example.org/newsroom")
    Seals(tmp_path / "seals").begin(Keys.parse(key, "the test"))
    with served(url, seal_key=key, seals=tmp_path / "seals") as serving:
        CliRunner().invoke(app, ["register", "The letter is authentic", "--log", serving.address])
        # Answered when it is sealed.
        assert httpx.get(f"{serving.address}/api/v1/events/2/receipt").status_code == 200
        report = audit_log(serving.address, Trust(vkeys=[vkey_of(key)]))

    assert report.audited.findings == []
    assert report.audited.covered == report.audited.head > 1
    assert not report.audited.texts


@pytest.mark.parametrize(
    ("where", "why"),
    [
        ("nothere", "there is no folder and no file nothere"),
        ("example.org/newsroom", "with https:// in front"),
        ("newsroom.db", "sqlite:///newsroom.db"),
    ],
)
def test_what_is_no_log_is_told_with_what_to_give_instead(
    made: Made, where: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(made.url.removeprefix("sqlite:///")).parent)

    assert why in typed(where, code=1).stderr


@pytest.mark.parametrize(
    "where",
    [
        "http://desk:geheim@127.0.0.1:1",
        "https://desk:geheim@example.org:99999",
        "postgresql://desk:geheim@127.0.0.1:1/desk",
    ],
    ids=["a server", "an address that can't be", "a database"],
)
@pytest.mark.parametrize("texts", [(), ("--texts", "texts.jsonl")], ids=["alone", "with texts"])
def test_the_password_in_an_address_is_never_shown(where: str, texts: tuple[str, ...]) -> None:
    assert "geheim" not in typed(where, *texts, code=1).output


# --- what it can't know ----------------------------------------------------------------------------


async def test_without_a_checkpoint_it_says_that_nothing_covers_the_log(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/newsroom.db"
    async with await open_log(url) as log:
        await grow(log, 3)

    printed = (await to_thread(typed, url)).stdout

    assert "by no checkpoint" in printed
    assert "--known" in printed


async def test_the_tail_that_is_not_sealed_is_reported_and_no_finding(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/newsroom.db"
    place = Place(url, tmp_path)
    async with await open_log(url) as log:
        await grow(log, 9)
        await seal_all(log, place)
        await grow(log, 4)

    report = await to_thread(audited, url, Trust(vkeys=place.keys.vkeys))

    assert (report.audited.findings, report.audited.covered, report.audited.unsealed) == ([], 10, 4)


class Meanwhile:
    """A log in which something happens once the audit has seen how far it reaches: before it reads, or after."""

    def __init__(self, url: str, happens: Callable[[], None], *, before: bool) -> None:
        self._url, self._happens, self._before = url, happens, before
        self._opened: Any = None

    def open(self) -> Any:
        """Open it."""
        self._opened = Stored(self._url).open()
        return self

    def storage(self) -> Sequence[Finding]:
        """Look at its storage."""
        return Stored(self._url).storage()

    def pages(self, **span: Any) -> Iterator[Any]:
        """Yield what is there, and let it happen once."""
        happens, self._happens = self._happens, lambda: None
        if self._before:
            happens()
        yield from self._opened.pages(**span)
        if not self._before:
            happens()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._opened, name)


class Fickle:
    """A published log that answers otherwise when it is asked what was attested than when its leaves are hashed."""

    def __init__(self, book: Stored, told: Callable[[bytes], Sequence[bytes]]) -> None:
        self._book, self._told = book, told
        self._opened: Any = None

    def open(self) -> Any:
        """Open it."""
        self._opened = self._book.open()
        return self

    def attesting(self, *, upto: int) -> Iterator[tuple[int, bytes]]:
        """Yield what it tells."""
        for position, leaf in self._opened.attesting(upto=upto):
            yield from ((position, told) for told in self._told(leaf))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._book if name == "storage" else self._opened, name)


def test_whoever_tells_of_an_attestation_that_the_log_does_not_hold_is_found_out(made: Made) -> None:
    class Generous(Fickle):
        def attesting(self, *, upto: int) -> Iterator[tuple[int, bytes]]:
            told = list(super().attesting(upto=upto))
            yield (told[0][0] - 1, told[0][1])
            yield from told

    done = audit(Generous(Stored(made.url), lambda leaf: [leaf]), made.trust, follower=Replay())

    assert any("no such event stands here" in finding.what for finding in done.findings)


@pytest.mark.parametrize(
    "told", [lambda leaf: [], lambda leaf: [leaf.replace(b'"root":"', b'"root":"0', 1)]], ids=["none", "another"]
)
def test_whoever_tells_of_other_attestations_than_the_log_holds_is_found_out(
    made: Made, told: Callable[[bytes], Sequence[bytes]]
) -> None:
    done = audit(Fickle(Stored(made.url), told), made.trust, follower=Replay())

    assert any(
        finding.kind == "attestation" and finding.what.startswith("it attests statuses, and where")
        for finding in done.findings
    )


@pytest.mark.parametrize("before", [True, False])
def test_what_is_recorded_sealed_and_erased_during_an_audit_is_no_finding(
    place: str, tmp_path: Path, before: bool
) -> None:
    sealing = Place(place, tmp_path)

    async def begin() -> None:
        async with await open_log(place) as log:
            newsroom = Newsroom(log)
            claim = await newsroom.claim("The letter is authentic")
            await newsroom.say(claim, "AFP", quote="it is")
            await seal_all(log, sealing)
        await sealing.tiles.close()

    async def go_on() -> None:
        async with await open_log(place) as log:
            newsroom = Newsroom(log, made=100)
            last = [event async for page in log.read_all() for event in page][-1]
            await newsroom.erase(last.stream, last.id, "wording")
            await grow(log, 300)
            await seal_all(log, sealing)
        await sealing.tiles.close()

    asyncio.run(begin())
    book = Meanwhile(place, lambda: asyncio.run(go_on()), before=before)

    done = audit(book, Trust(vkeys=sealing.keys.vkeys))

    assert done.findings == []
    assert (done.covered, done.head) == (3, 3)


def test_a_key_that_only_the_place_itself_names_is_said_to_be_that(made: Made) -> None:
    assert "by the key that it gives itself: give one" in typed(made.folder).stdout


def test_another_key_than_the_one_trusted_is_a_finding(made: Made) -> None:
    findings = found(str(made.folder), Trust(vkeys=[vkey_of(new_key("example.org/newsroom"))]))

    assert [finding.partition(": example")[0][:42] for finding in findings] == [
        "log: signature: the place says that the lo",
        "log: signature: the checkpoint: no known k",
    ]


# --- what the auditor brings -----------------------------------------------------------------------


def test_a_policy_asks_for_witnesses(made: Made, tmp_path: Path) -> None:
    witness = new_key("partner.example/w1", COSIGNATURE)
    policy = tmp_path / "policy"
    policy.write_text(f"log {made.vkeys[0]}\nwitness w1 {vkey_of(witness)}\nquorum w1\n")
    cosigned = copied(made, tmp_path / "copy").folder
    with (cosigned / "checkpoint").open("ab") as file:
        file.write(cosign(made.note, witness, 1_700_000_000))

    without = typed(made.folder, "--witness-policy", policy, code=3).stdout
    with_it = typed(cosigned, "--witness-policy", policy).stdout

    assert "log: witnesses: the checkpoint: the witnesses that have cosigned" in without
    assert "nothing" in with_it


def test_a_kept_checkpoint_of_another_log_or_with_a_forged_signature_is_a_finding(made: Made) -> None:
    other = sign_note(format_head("example.org/other", 1, bytes(32)), [new_key("example.org/other")])
    forged = made.note.replace(b"\n303\n", b"\n302\n")

    for note in (other, forged):
        [finding] = found(str(made.folder), Trust(vkeys=made.vkeys, known=[Known("kept", note)]))
        assert finding.startswith("log: signature: kept: ")


def test_a_signed_size_that_is_far_away_ends_the_audit_of_a_folder_and_does_not_stop_it(copy: Made) -> None:
    key = new_key("example.org/newsroom")
    (copy.folder / "checkpoint").write_bytes(sign_note(format_head("example.org/newsroom", 2**60, bytes(32)), [key]))

    findings = audited(str(copy.folder), Trust(vkeys=[vkey_of(key)])).audited.findings

    assert any("what stands behind them was not audited" in finding.what for finding in findings)


def test_a_kept_checkpoint_that_is_none_is_refused_and_no_finding(made: Made, tmp_path: Path) -> None:
    receipt = tmp_path / "receipt.json"
    receipt.write_text('{"format": "claim-verifier receipt"}')

    assert f"{receipt} is no checkpoint" in typed(made.folder, "--known", receipt, code=1).stderr


@pytest.mark.parametrize(
    "trust",
    [
        Trust(vkeys=["no key"]),
        Trust(policy=b"no policy"),
        Trust(vkeys=[vkey_of(new_key("one.example")), vkey_of(new_key("other.example"))]),
    ],
)
def test_what_an_auditor_gives_that_cannot_be_used_is_refused(made: Made, trust: Trust) -> None:
    with pytest.raises(Invalid):
        audited(str(made.folder), trust)


@pytest.mark.parametrize("where", ["sqlite:///nowhere.db", "nowhere", "memory:", "http://127.0.0.1:9"])
def test_where_there_is_no_log_it_ends_with_one_and_says_so(where: str) -> None:
    assert typed(where, code=1).stderr.startswith("verifier: ")


def test_a_folder_without_a_published_log_is_refused(tmp_path: Path) -> None:
    assert "no log is published there" in typed(tmp_path, code=1).stderr


def test_a_part_of_a_log_is_no_export_to_audit(made: Made, tmp_path: Path) -> None:
    part = tmp_path / "part.jsonl"
    CliRunner().invoke(app, ["export", str(part), "--after", "5", "--log", made.url])

    assert "only a whole log can be audited" in typed(part, code=1).stderr


def test_an_export_is_read_as_a_whole_once(copy: Made) -> None:
    opened = Exported(copy.export).open()
    head = opened.head()
    copy.export.unlink()

    assert opened.head() == head > 1
    opened.close()


# --- attested statuses -----------------------------------------------------------------------------


async def test_an_attestation_that_the_facts_do_not_give_is_found_though_it_was_sealed(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/newsroom.db"
    place = Place(url, tmp_path)
    async with await open_log(url) as log:
        newsroom = Newsroom(log)
        claim = await newsroom.claim("The letter is authentic")
        await newsroom.say(claim, "AFP")
        await attest(newsroom)
        await newsroom.record("log", StatusesAttested(at=3, policy="standing/1", root="0" * 64))
        await newsroom.record("log", StatusesAttested(at=99, policy="standing/1", root="0" * 64))
        await newsroom.record("log", StatusesAttested(at=3, policy="no-such/1", root="0" * 64))
        await seal_all(log, place)

    findings = await to_thread(found, url, Trust(vkeys=place.keys.vkeys))

    assert [finding.partition(": it")[0] for finding in findings] == [
        "position 5: attestation",
        "position 6: attestation",
        "position 7: attestation",
    ]


def test_files_that_nobody_can_read_end_with_one(made: Made, tmp_path: Path) -> None:
    assert typed(made.folder, "--known", tmp_path / "nothing", code=1).stderr.startswith("verifier: ")


# --- the vocabulary --------------------------------------------------------------------------------


def test_every_kind_of_finding_is_explained() -> None:
    page = (Path(__file__).parents[2] / "docs/discussions/audit.md").read_text()

    assert [f"| {kind} | {meaning} |" for kind, meaning in MEANINGS.items()] == [
        line for line in page.partition("## Findings")[2].splitlines() if line.startswith("| ") and "means" not in line
    ]
