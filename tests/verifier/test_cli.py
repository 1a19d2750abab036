"""The command line: every command on a log and on a server alike, and what it ends with."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx
import pytest
import typer.main
from serving import served
from typer.testing import CliRunner, Result
from typing_commands import Desk, desk, log, on_log, plan

from verifier import commands
from verifier.cli import app, files, reach
from verifier.cli.verbs import HELP, VERBS, flags_of
from verifier.client import Verifier

__all__ = ["desk", "log", "on_log"]  # fixtures

PROGRAM = [sys.executable, "-c", "from verifier.cli import main; main()"]
GROUPS = typer.main.get_command(app).commands  # type: ignore[attr-defined]  # it is a group
COMMANDS = {name: command for name, command in GROUPS.items() if name != "webhooks"} | {
    f"webhooks {name}": command for name, command in GROUPS["webhooks"].commands.items()
}
ASK = ("show", "explain", "history", "claims", "sources", "stories", "events", "feed")
FILES = ("import", "export", "restore")
AUDIT = ("init", "fork", "receipt", "audit", "publish", "witness")
SERVE = ("serve", "demo", "config", "doctor", "migrate", "replay", "attest", "rebuild")
WEBHOOKS = tuple(f"webhooks {name}" for name in ("add", "list", "rotate", "remove", "dead", "replay"))


# --- what there is ---------------------------------------------------------------------------------


def test_there_is_a_command_for_every_verb_and_question_and_nothing_else() -> None:
    assert sorted(COMMANDS) == sorted([*(verb.name for verb in VERBS), *ASK, *FILES, *AUDIT, *SERVE, *WEBHOOKS])
    assert {verb.command for verb in VERBS} == set(commands.COMMANDS.values())


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_every_field_of_a_command_can_be_typed(verb: Any) -> None:
    typed = {flag.name for flag in flags_of(verb)}
    own = {field.name for field in fields(verb.command)} - {"type", "causation", "correlation"}

    assert own - typed <= ({"statement"} if verb.command is commands.RegisterClaim else set())


@pytest.mark.parametrize("typed", [[], ["webhooks"], *(name.split() for name in COMMANDS)], ids=" ".join)
def test_every_command_has_help(typed: list[str]) -> None:
    result = CliRunner().invoke(app, [*typed, "-h"])

    assert result.exit_code == 0
    assert result.stdout.lstrip().startswith("Usage: ")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_argument_and_flag_is_explained(name: str) -> None:
    assert [parameter.name for parameter in COMMANDS[name].params if not getattr(parameter, "help", None)] == []


def test_no_help_is_left_over() -> None:
    names = {flag.name for verb in VERBS for flag in flags_of(verb)}
    own = {f"{verb.command.__name__}.{flag.name}" for verb in VERBS for flag in flags_of(verb)}

    assert set(HELP) <= names | own


def test_help_loads_no_client_no_server_and_no_database() -> None:
    heavy = ("fastapi", "httpx", "sqlalchemy", "sqlmodel", "uvicorn", "pydantic")
    code = f"import sys; from verifier.cli import app; print([name for name in {heavy} if name in sys.modules])"

    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert loaded.stdout == "[]\n"


WORDS = {
    "show": ["aaaaaa"],
    "explain": ["aaaaaa"],
    "history": ["aaaaaa"],
    "import": ["nowhere.jsonl"],
    "export": ["export.jsonl"],
    "restore": ["export.jsonl"],
}
"""What has to be typed beside the log; whatever a verb needs is in `spoken`."""

SECRET = "sEcReT"


def spoken(name: str) -> list[str]:
    """Every word that a command needs, as the letter a."""
    required = [parameter for parameter in COMMANDS[name].params if parameter.required]
    return [word for one in required for word in ([] if one.param_type_name == "argument" else one.opts[:1]) + ["a"]]


@pytest.mark.usefixtures("our_logs")
@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "demo"])
@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://desk:{SECRET}@127.0.0.1:9/desk?schema=newsroom",
        f"postgresql://desk@127.0.0.1:9/desk?password={SECRET}",
        f"postgresql://desk:{SECRET}",
        f"postgres://desk:{SECRET}@127.0.0.1:9/desk",
        f"http://desk:{SECRET}@127.0.0.1:99999",
    ],
)
def test_no_command_shows_a_password(name: str, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "export.jsonl").write_text("")

    result = CliRunner().invoke(app, [*name.split(), *WORDS.get(name, spoken(name)), "--log", url])

    assert SECRET not in result.output
    assert result.exit_code in ({0} if name == "config" else {1, 2}), result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)


@pytest.mark.parametrize("name", ["claims", "doctor"])
def test_the_address_of_a_server_that_is_away_is_shown_without_its_password(name: str) -> None:
    result = CliRunner().invoke(app, [name, "--log", f"http://desk:{SECRET}@127.0.0.1:9"])

    assert "http://127.0.0.1:9" in result.output
    assert SECRET not in result.output


def test_no_command_that_succeeds_shows_a_password(postgres_url: str, tmp_path: Path) -> None:
    password = urlsplit(postgres_url).password
    assert password is not None
    desk, file = Desk(postgres_url), tmp_path / "export.jsonl"
    (tmp_path / "new.jsonl").write_text('{"type": "claim.registered", "text": "A claim"}\n')

    said = [
        desk("register", "They plan to leave"),
        desk("import", tmp_path / "new.jsonl"),
        desk("claims"),
        desk("rebuild"),
        desk("replay"),
        desk("export", file),
        desk("restore", file),
        desk("config"),
        desk("config", "-o", "json"),
    ]

    assert all(password not in result.output for result in said)
    assert serve_and_stop(postgres_url, tmp_path).count(password) == 0


def serve_and_stop(url: str, folder: Path) -> str:
    """Everything that a server says from its start to its end."""
    command = [*PROGRAM, "serve", "--log", url, "--port", "0"]
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=from_here()
    ) as process:
        assert process.stdout is not None
        first = next(line for line in process.stdout if line.startswith("serving "))
        process.send_signal(signal.SIGINT)
        return first + process.stdout.read()


def from_here() -> dict[str, str]:
    """The environment of a process that finds the program where we do."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


# --- recording -------------------------------------------------------------------------------------


def test_every_verb_works(desk: Desk, tmp_path: Path) -> None:
    document = tmp_path / "letter.txt"
    document.write_text("We respect your sovereignty decision to order our departure")
    used: set[str] = set()

    def do(verb: str, *typed: object) -> Any:
        used.add(verb)
        return desk.json(verb, *typed)

    do("open-story", "iraq-letter", "--note", "January 2020")
    do("register-source", "Mark Esper", "--kind", "person", "--role", "Defence Secretary")
    do("update-source", "Mark Esper", "--aliases", "Esper")
    said = do("assert-claim", "The US plans to withdraw", "--source", "Seely", "--origin", "the letter",
              "--attribution", "documentary", "--via", "AFP", "--story", "iraq-letter", "--occurred", "2020-01-06",
              "--occurred-basis", "inferred", "--occurred-expression", "Monday")  # fmt: skip
    claim = said["id"]
    evidence = do("attach", claim, document, "--shows", "the letter")
    digest = evidence["texts"] and _digest_of(desk, claim)
    echo = do("corroborate", claim, "--source", "Reuters", "--quote", "your sovereignty decision",
              "--quote-document", digest, "--quote-start", 11)  # fmt: skip
    denied = do("deny", claim, "--source", "Esper")
    assert denied["texts"]["label"] == "denied by Mark Esper"
    unknown = do("note", claim, "--source", "somebody", "--kind", "query")
    do("correct", claim, echo["statement"], "--extent", "part", "--reason", "it speaks of one base")
    do("undo", claim, unknown["statement"])
    assert do("retract", claim, denied["statement"], "--by", "Mark Esper")["computed"]["status"] == "asserted"
    dangling = desk.json("deny", claim, "--source", "a speaker", "--attribution", "unattributed")
    do("attribute", claim, dangling["statement"], "--source", "Pompeo")
    merged = do("merge-origins", claim, "--kept", "the letter", "--merged", "Pompeo")
    do("split-origins", claim, merged["statement"])
    do("adjudicate", claim, "false", "--reason", "there are no plans", "--seen", merged["position"])
    do("withdraw-verdict", claim, "--reason", "too early")
    other = do("register", "The letter is authentic", "--story", "iraq-letter", "--valid-from", "2020-01-06")["id"]
    linked = do("link", claim, other, "--kind", "presupposes")
    do("unlink", claim, linked["statement"])
    assert do("reword", claim, "The United States plans to withdraw")["texts"]["text"].startswith("The United")
    used_at = do("publish-claim", claim, "--address", "https://example.org/1", "--day", "2020-01-07")
    do("unpublish-claim", claim, used_at["statement"])
    do("erase", claim, echo["statement"], "--slot", "wording", "--basis", "court_order")
    third, fourth = (plan(desk, text, source="nobody") for text in ("It leaves the bases", "It leaves the country"))
    assert do("split", third["id"], claim, other, "--statements", f"{third['statement']}={claim},{other}")[
        "computed"
    ]["into"] == [claim, other]  # fmt: skip
    assert do("merge", fourth["id"], other)["computed"]["status"] == "merged"
    assert do("withdraw", other, "--reason", "asked for")["computed"]["status"] == "withdrawn"
    do("adopt-policy", "strict")

    assert used == {verb.name for verb in VERBS}


def _digest_of(desk: Desk, claim: str) -> str:
    events = desk.json("events", claim)
    (attached,) = [event for event in events if event["type"] == "evidence.attached"]
    digest: str = attached["identity"]["documents"]["1"]
    return digest


def test_a_write_says_how_it_was_understood(desk: Desk) -> None:
    claim = plan(desk)["id"]

    result = desk("deny", claim, "--source", "Mark Esper", "--occurred", "2020-01-06")

    assert result.stdout.startswith("denied by Mark Esper\n")
    assert "counted: denial, named, on the record" in result.stdout


def test_a_key_records_once(desk: Desk) -> None:
    claim = plan(desk)["id"]
    first = desk.json("deny", claim, "--source", "Mark Esper", "--key", "k1")

    again = desk.json("deny", claim, "--source", "Mark Esper", "--key", "k1")

    assert (again["statement"], again["effect"]) == (first["statement"], "already recorded")


def test_flags_of_a_new_claim_are_refused_for_one_that_exists(on_log: Desk) -> None:
    claim = plan(on_log)["id"]

    result = on_log("assert-claim", claim, "--source", "AFP", "--language", "de", code=1)

    assert "--language is for a new claim" in result.stderr


# --- ids -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tail", [30, 26, 10, 6])
def test_the_end_of_an_id_is_enough(desk: Desk, tail: int) -> None:
    written = plan(desk)

    shown = desk.json("show", written["id"][-tail:])
    undone = desk.json("undo", written["id"][-tail:], written["statement"][-tail:])

    assert shown["id"] == written["id"]
    assert undone["effect"].startswith("undone")


def test_too_little_of_an_id_is_refused(desk: Desk) -> None:
    written = plan(desk)

    result = desk("show", written["id"][-5:], code=1)

    assert "give its last 6 characters or more" in result.stderr


# --- asking ----------------------------------------------------------------------------------------


def test_show_says_how_a_claim_stands_and_who_said_what(desk: Desk) -> None:
    claim = plan(desk)["id"]

    result = desk("show", claim)

    assert "asserted by one origin" in result.stdout
    assert "The United States plans to withdraw" in result.stdout
    assert "AFP" in result.stdout


def test_explain_names_rule_counts_and_what_it_rests_on(desk: Desk) -> None:
    claim = plan(desk)["id"]

    result = desk("explain", claim)

    assert "R6 of standing/1" in result.stdout
    assert "position 4 of log_" in result.stdout


def test_how_it_stood_then_and_under_another_policy(desk: Desk) -> None:
    first = plan(desk)
    desk("corroborate", first["id"], "--source", "Reuters")

    then = desk.json("show", first["id"], "--as-of", first["written_at"])
    before = desk.json("show", first["id"], "--said-by", "2020-01-01")
    stricter = desk.json("show", first["id"], "--policy", "strict")

    assert desk.json("show", first["id"])["computed"]["status"] == "corroborated"
    assert [answer["computed"]["status"] for answer in (then, before, stricter)] == [
        "asserted", "unassessed", "asserted",
    ]  # fmt: skip


def test_how_it_stood_then_is_shown_with_who_had_said_what_by_then(desk: Desk) -> None:
    claim = plan(desk)
    desk("deny", claim["id"], "--source", "Mark Esper")

    then = desk("show", claim["id"], "--as-of", claim["position"]).stdout
    now = desk("show", claim["id"], "--policy", "strict/1").stdout

    assert "AFP" in then
    assert "Mark Esper" not in then
    assert "Mark Esper" in now


def test_lists_are_an_array_as_json_and_one_object_a_line_as_lines(desk: Desk) -> None:
    ids = [plan(desk, text)["id"] for text in ("One", "Two", "Three")]

    array = desk.json("claims", "--story", "iraq-letter")
    lines = desk("claims", "-o", "jsonl").stdout.splitlines()
    table = desk("claims").stdout

    assert [claim["id"] for claim in array] == ids[::-1]
    assert [json.loads(line)["id"] for line in lines] == ids[::-1]
    assert all(id[-6:] in table for id in ids)


def test_history_feed_and_events_tell_what_happened(desk: Desk) -> None:
    claim = plan(desk)["id"]
    desk("deny", claim, "--source", "Mark Esper")

    changes = desk.json("history", claim)
    feed = desk.json("feed", "--claim", claim[-6:])
    later = desk.json("feed", "--after", changes[0]["position"])
    events = desk.json("events", claim)

    assert [(change["previous"], change["status"]) for change in changes] == [
        ("unassessed", "asserted"), ("asserted", "denied"),
    ]  # fmt: skip
    assert feed == changes
    assert later == changes[1:]
    assert [event["type"] for event in events] == ["claim.registered", "claim.asserted", "claim.denied"]


def test_sources_and_stories_are_listed_and_shown_by_name(desk: Desk) -> None:
    claim = plan(desk)["id"]

    (story,) = desk.json("stories")

    assert [source["name"] for source in desk.json("sources")] == ["AFP"]
    assert desk.json("sources", "AFP")["statements"] == 1
    assert [listed["id"] for listed in desk.json("stories", story["id"][-6:])] == [claim]
    assert [listed["id"] for listed in desk.json("stories", "iraq-letter")] == [claim]


def test_an_empty_list_says_so_to_the_person_and_nothing_to_the_program(desk: Desk) -> None:
    plan(desk)

    result = desk("claims", "--status", "denied")

    assert result.stdout == ""
    assert result.stderr == "There is no such claim.\n"


def test_reading_needs_no_lock(log: str, on_log: Desk) -> None:
    claim = plan(on_log)["id"]

    async def while_another_has_it() -> str:
        async with Verifier.open(log) as holder:
            await holder.deny(claim, source="Mark Esper")
            answer: dict[str, Any] = await anyio.to_thread.run_sync(lambda: on_log.json("show", claim))
            return str(answer["texts"]["label"])

    assert anyio.run(while_another_has_it) == "denied by Mark Esper"


# --- going to the server ---------------------------------------------------------------------------


def test_a_command_on_a_log_that_is_served_goes_to_its_server(log: str, on_log: Desk) -> None:
    with served(log, actor="the server") as serving:
        claim = plan(on_log)["id"]
        there = Desk(serving.address).json("events", claim)

    assert {event["identity"]["actor"] for event in there} == {"the server"}


def test_a_log_that_another_process_keeps_to_itself_is_waited_for_and_named(
    log: str, on_log: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reach, "LOG_WAIT", 0.0)
    claim = plan(on_log)["id"]

    async def while_another_has_it() -> Result:
        async with Verifier.open(log):
            return await anyio.to_thread.run_sync(lambda: on_log("deny", claim, "--source", "Mark Esper", code=1))

    result = anyio.run(while_another_has_it)

    assert f"is open for writing in process {os.getpid()}" in result.stderr


def test_a_second_server_on_a_log_is_told_where_the_first_one_is(log: str) -> None:
    with served(log) as serving:
        second = subprocess.run([*PROGRAM, "serve", "--port", "0", "--log", log], capture_output=True, text=True)

    assert second.returncode == 1
    assert f"it is served at {serving.address}" in second.stderr


# --- how it ends -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "code", "says"),
    [
        (("show", "aaaaaa"), 1, "look it up again with `verifier claims`"),
        (("claims", "--story", "no such story"), 0, "There is no such claim."),
        (("show",), 2, "Missing argument"),
        (("deny", "aaaaaa"), 2, "Missing option '--source'"),
        (("deny", "aaaaaa", "--source", "X", "--extent", "half"), 2, "whole"),
        (("deny", "aaaaaa", "--source", "X", "--quote", "x", "--quote-document", "ab"), 1, "give its 64 characters"),
        (("deny", "words of a claim", "--source", "X"), 1, "`verifier claims` lists it"),
        (("assert-claim", "aaaaa", "--source", "X"), 1, "neither the end of an id nor a sentence"),
        (("claims", "--status", "deneid"), 2, "corroborated"),
        (("export", "-"), 1, "give it a name"),
        (("no-such-command",), 2, "No such command"),
    ],
)
def test_what_goes_wrong_is_told_in_a_sentence(
    desk: Desk, typed: tuple[str, ...], code: int, says: str
) -> None:  # fmt: skip
    plan(desk)

    result = desk(*typed, code=code)

    assert says in result.stderr
    assert "Traceback" not in result.output


def test_a_claim_that_has_moved_on_is_a_conflict(desk: Desk) -> None:
    written = plan(desk)
    desk("corroborate", written["id"], "--source", "Reuters")

    result = desk("deny", written["id"], "--source", "X", "--if-match", written["position"], code=4)

    assert "read it again and decide anew" in result.stderr


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("sqlite:///{}/nothing.db", "there is no log at"),
        ("mongodb://x", "does not name a log"),
    ],
)
def test_a_place_without_a_log_says_what_to_do(tmp_path: Path, place: str, says: str) -> None:
    result = Desk(place.format(tmp_path))("claims", code=1)

    assert says in result.stderr


@pytest.mark.parametrize(
    "typed",
    [("deny", "abcdef", "--source", "AFP"), ("undo", "abcdef", "ghijkl"), ("update-source", "AFP", "--role", "agency"),
     ("attest",), ("init", "--rotate"), ("init", "--retire")],
    ids=["deny", "undo", "update-source", "attest", "rotate", "retire"],
)  # fmt: skip
def test_a_command_about_what_must_be_there_makes_no_log(log: str, on_log: Desk, typed: tuple[str, ...]) -> None:
    assert "there is no log" in on_log(*typed, code=1).stderr
    assert not Path(log.removeprefix("sqlite:///")).exists()


def test_whoever_takes_a_statement_back_is_not_who_puts_it_right() -> None:
    retract, correct = (CliRunner().invoke(app, [name, "--help"]).stdout for name in ("retract", "correct"))

    assert "Who takes it back" in retract
    assert "Who takes it back" not in correct


def test_a_command_that_opens_the_log_itself_takes_no_address() -> None:
    result = Desk("http://127.0.0.1:8750")("serve", code=1)

    assert "the address of a server" in " ".join(result.stderr.split())


def test_no_color_means_no_escape_sequence(log: str, on_log: Desk) -> None:
    plan(on_log)
    typed = [*PROGRAM, "claims", "--log", log]

    colourful = subprocess.run(typed, capture_output=True, check=True, env={**os.environ, "FORCE_COLOR": "1"})
    plain = subprocess.run(
        typed, capture_output=True, check=True, env={**os.environ, "FORCE_COLOR": "1", "NO_COLOR": "1"}
    )

    assert b"\x1b[" in colourful.stdout
    assert b"\x1b" not in plain.stdout


def test_no_text_of_a_claim_drives_the_terminal(on_log: Desk) -> None:
    claim = plan(on_log, "All is well \x1b]0;gone\x07 [bold]here[/bold]")["id"]

    shown = on_log("show", claim).stdout

    assert "\x1b" not in shown
    assert "[bold]here[/bold]" in shown


# --- following -------------------------------------------------------------------------------------


def test_a_feed_that_is_followed_goes_on_as_the_log_grows(log: str, on_log: Desk) -> None:
    claim = plan(on_log)["id"]
    with subprocess.Popen(
        [*PROGRAM, "feed", "--follow", "-o", "jsonl", "--log", log],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as following:
        assert following.stdout is not None
        first = json.loads(following.stdout.readline())
        on_log("deny", claim, "--source", "Mark Esper")
        second = json.loads(following.stdout.readline())
        following.send_signal(signal.SIGINT)
        _, errors = following.communicate()

    assert (first["status"], second["status"]) == ("asserted", "denied")
    assert "Traceback" not in errors


def test_a_reader_that_has_seen_enough_ends_a_list_quietly(log: str, on_log: Desk) -> None:
    lines = [{"type": "claim.registered", "text": f"Claim {n}", "note": 500 * "long "} for n in range(200)]
    on_log("import", "-", stdin=as_lines(lines))
    with subprocess.Popen(
        [*PROGRAM, "events", "-o", "jsonl", "--log", log], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as listing:
        assert listing.stdout is not None
        assert listing.stderr is not None
        listing.stdout.readline()
        listing.stdout.close()
        errors = listing.stderr.read()

    assert errors == b""


def test_serve_says_where_and_stops_when_asked(log: str) -> None:
    with subprocess.Popen(
        [*PROGRAM, "serve", "--port", "0", "--log", log], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        assert server.stdout is not None
        line = server.stdout.readline()
        health = httpx.get(f"{line.split()[-1]}/api/v1/health").json()
        server.send_signal(signal.SIGTERM)

    assert health["status"] == "ok"
    assert server.returncode == 0


# --- files -----------------------------------------------------------------------------------------

LINES = [
    {"type": "claim.registered", "text": "The letter is authentic", "story": "iraq-letter"},
    {"type": "claim.asserted", "claim": "line:1", "source": "AFP"},
    {"type": "claim.denied", "claim": "line:1", "source": "Mark Esper"},
    {"type": "source.registered", "name": "Reuters"},
    {"type": "statement.withdrawn", "claim": "line:1", "statement": "line:3"},
]


def as_lines(commands: list[Any]) -> str:
    return "".join(json.dumps(command) + "\n" for command in commands)


def test_import_records_a_file_of_commands(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "facts.jsonl"
    file.write_text(as_lines(LINES))

    result = desk("import", file)

    (claim,) = desk.json("claims")
    assert claim["computed"]["status"] == "asserted"
    assert result.stdout == "5 recorded, 0 recorded before, 0 refused\n"
    assert result.stderr == ""


def test_import_reads_standard_input_and_records_nothing_twice(desk: Desk) -> None:
    desk("import", "-", stdin=as_lines(LINES))
    head = desk.json("doctor")["log"]["head"]

    again = desk("import", "-", stdin=as_lines(LINES))

    assert again.stdout == "0 recorded, 5 recorded before, 0 refused\n"
    assert desk.json("doctor")["log"]["head"] == head


def test_import_goes_on_where_it_was_cut_short(on_log: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "CHUNK", 100)
    lines = [{"type": "claim.registered", "text": f"Claim {n}", "story": "s"} for n in range(150)]
    batch, calls = Verifier.batch, []

    async def cut_short(self: Verifier, items: Any, *, key: str | None = None) -> Any:
        calls.append(key)
        if len(calls) == 2:
            raise ConnectionResetError("the connection was cut")
        return await batch(self, items, key=key)

    with monkeypatch.context() as patched:
        patched.setattr(Verifier, "batch", cut_short)
        on_log("import", "-", stdin=as_lines(lines), code=1)
    again = on_log("import", "-", stdin=as_lines(lines))

    assert again.stdout == "50 recorded, 100 recorded before, 0 refused\n"


@pytest.mark.parametrize(
    ("last", "says"),
    [
        ('{"type": "claim.denied", "cla', "line 6: the body is not JSON"),
        ('{"type": "claim.denied", "claim": "line:1"}\n', "line 6: source is missing"),
        ('{"type": "claim.denied", "claim": "line:9", "source": "X"}\n', "line 6: claim speaks of line 9"),
        ('{"type": "claim.denied", "claim": "line:%s", "source": "X"}\n' % ("9" * 5_000), "line 6: claim speaks of"),
        ('{"type": "claim.denied", "source": "X"}\n', "line 6: it names nothing that it is about"),
        ('{"type": "claim.denied", "claim": "line:1", "source": "X", "recorded_at": "2020-01-06"}\n',
         "line 6: recorded_at is not a known field"),
    ],
)  # fmt: skip
def test_import_names_a_bad_line_and_leaves_the_log_as_it_was(desk: Desk, last: str, says: str) -> None:
    plan(desk)
    head = desk.json("doctor")["log"]["head"]

    result = desk("import", "-", stdin=as_lines(LINES) + last, code=1)

    assert says in result.stderr
    assert "nothing was sent" in result.stderr
    assert desk.json("doctor")["log"]["head"] == head


def test_import_names_a_refused_line_and_records_the_others(desk: Desk) -> None:
    lines = [*LINES, LINES[0], {"type": "claim.asserted", "claim": "line:1", "source": "Reuters"}]

    result = desk("import", "-", stdin=as_lines(lines), code=1)

    assert "line 6: the story has this wording already" in result.stderr
    assert desk.json("claims")[0]["computed"]["counts"]["support_origins"] == 2


def test_an_export_is_restored_to_the_same_log(on_log: Desk, tmp_path: Path) -> None:
    claim = plan(on_log)["id"]
    file, copy, again = tmp_path / "log.jsonl", Desk(f"sqlite:///{tmp_path}/copy.db"), tmp_path / "again.jsonl"

    on_log("export", file)
    copy("restore", file)
    copy("export", again)

    assert again.read_bytes() == file.read_bytes()
    assert copy.json("show", claim) == on_log.json("show", claim)


def test_a_torn_export_is_not_restored_and_leaves_no_log_behind(on_log: Desk, tmp_path: Path) -> None:
    plan(on_log)
    file = tmp_path / "log.jsonl"
    on_log("export", file)
    file.write_bytes(file.read_bytes()[:-20])

    result = Desk(f"sqlite:///{tmp_path}/copy.db")("restore", file, code=1)

    assert "torn" in result.stderr
    assert list(tmp_path.glob("copy*")) == []


@pytest.mark.parametrize("log", ["http://", "http://[::1", "http://127.0.0.1:99999", "sqlite:////", "sqlite:///."])
@pytest.mark.parametrize("command", [("claims",), ("register", "The letter is authentic")])
def test_what_names_no_log_is_one_sentence(command: tuple[str, ...], log: str) -> None:
    told = Desk(log)(*command, code=1).stderr

    assert told.startswith("verifier: ")
    assert "Traceback" not in told


def test_an_export_takes_the_place_of_no_pipe_and_no_device(on_log: Desk, tmp_path: Path) -> None:
    plan(on_log)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    assert "is no ordinary file" in on_log("export", pipe, code=1).stderr
    assert pipe.is_fifo()


def test_an_export_that_fails_leaves_the_file_as_it_was(on_log: Desk, tmp_path: Path) -> None:
    plan(on_log)
    file = tmp_path / "log.jsonl"
    file.write_text("the last export")

    on_log("export", file, "--after", 1_000, code=1)

    assert file.read_text() == "the last export"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_restore_needs_the_log_to_itself_and_says_which_server_to_stop(
    log: str, on_log: Desk, tmp_path: Path
) -> None:  # fmt: skip
    file = tmp_path / "log.jsonl"
    file.touch()

    with served(log) as serving:
        result = on_log("restore", file, code=1)

    assert f"is served at {serving.address}: stop that server first" in result.stderr


# --- looking after a log ---------------------------------------------------------------------------


def test_a_replay_agrees_with_the_server_and_with_itself(log: str, on_log: Desk) -> None:
    claim = plan(on_log)["id"]
    alone = on_log.json("replay")

    with served(log):
        beside = on_log.json("replay")
        on_log("deny", claim, "--source", "Mark Esper")
        later = on_log.json("replay")

    assert alone["digest"] == beside["digest"] != later["digest"]
    assert (beside["compared"], beside["differing"]) == (1, [])
    assert on_log.json("replay", "--as-of", alone["position"])["digest"] == alone["digest"]


def wait_for_the_views(address: str, claim: str, position: int) -> None:
    """Wait until the views of a server hold this position, so that they will not write over what is spoilt."""
    httpx.get(f"{address}/api/v1/claims/{claim}", params={"at_least": position}).raise_for_status()


def spoil_the_views(folder: Path) -> None:
    """Let the views show a claim as asserted that is corroborated."""
    with closing(sqlite3.connect(folder / "newsroom.views.db", timeout=5)) as views, views:
        (table,) = views.execute("SELECT name FROM sqlite_master WHERE name LIKE 'claims\\_%' ESCAPE '\\'").fetchone()
        spoilt = views.execute(f"UPDATE {table} SET computed = replace(computed, 'corroborated', 'asserted')")
        assert spoilt.rowcount == 1


def test_a_replay_that_differs_from_the_views_ends_with_3_until_they_are_rebuilt(
    log: str, on_log: Desk, tmp_path: Path
) -> None:
    claim = plan(on_log)["id"]
    last = on_log.json("corroborate", claim, "--source", "Reuters")["position"]
    with served(log) as serving:
        wait_for_the_views(serving.address, claim, last)
    spoil_the_views(tmp_path)

    with served(log):
        result = on_log("replay", code=3)
    on_log("rebuild")
    with served(log):
        on_log("replay")

    assert f"first {claim}" in result.stderr


def test_a_server_rebuilds_its_views_when_asked_and_goes_on_serving(log: str, on_log: Desk, tmp_path: Path) -> None:
    claim = plan(on_log)["id"]
    with served(log) as serving:
        last = on_log.json("corroborate", claim, "--source", "Reuters")["position"]
        wait_for_the_views(serving.address, claim, last)
        spoil_the_views(tmp_path)
        differing = on_log("replay", code=3)

        result = on_log("rebuild")

        assert f"first {claim}" in differing.stderr
        assert f"the views of {serving.address} are at" in result.stdout
        on_log("replay")


def test_doctor_says_how_far_everything_is_and_who_has_it(log: str, on_log: Desk) -> None:
    plan(on_log)

    alone = on_log.json("doctor")
    with served(log) as serving:
        beside = on_log.json("doctor")

    assert (alone["log"]["head"], alone["views"]["kept_by"]) == (4, None)
    assert (beside["log"]["head"], beside["views"]["position"]) == (4, 4)
    assert (beside["server"]["address"], beside["server"]["ready"]) == (serving.address, True)
    assert beside["views"]["kept_by"] == f"process {os.getpid()}"


def test_config_says_where_each_value_comes_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: str
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "verifier.toml").write_text('port = 9000\nhost = "localhost"\n')
    monkeypatch.setenv("VERIFIER_PORT", "9001")

    shown = Desk(log).json("config")

    assert [(name, shown[name]["value"], shown[name]["from"]) for name in ("log", "port", "host", "log_level")] == [
        ("log", log, "flag"),
        ("port", 9001, "VERIFIER_PORT"),
        ("host", "localhost", "verifier.toml"),
        ("log_level", "info", "default"),
    ]


def test_the_log_may_be_named_by_the_environment(monkeypatch: pytest.MonkeyPatch, log: str, on_log: Desk) -> None:
    claim = plan(on_log)["id"]
    monkeypatch.setenv("VERIFIER_LOG", log)

    result = CliRunner().invoke(app, ["show", claim, "-o", "json"])

    assert json.loads(result.stdout)["id"] == claim
