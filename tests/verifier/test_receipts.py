"""Receipts in the hands of whoever would change them: the script of the how-to refuses, or says what it can't know."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from serving import served

from events.keys import Keys
from events.seals import Seals
from events.tlog import new_key, vkey_of
from verifier.client import Verifier

NAME = "example.org/newsroom"
KEY = new_key(NAME)
VKEY = vkey_of(KEY)
SCRIPT = Path(__file__).parents[2] / "docs" / "howto" / "verify-a-receipt.py"

Receipt = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Given:
    """A sealed log, and what its server gave: receipts of two attested claims, of one erased since, of two events."""

    url: str
    claim: Receipt
    other: Receipt
    erased: Receipt
    first: Receipt
    event: Receipt


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Given:
    """Record, attest, erase, and take receipts."""
    folder = tmp_path_factory.mktemp("receipts")
    url = f"sqlite:///{folder}/newsroom.db"
    Seals(folder / "seals").begin(Keys.parse(KEY, "the test"))
    with served(url, keys=folder / "keys", seals=folder / "seals", seal_key=KEY) as serving:
        return asyncio.run(_given(url, serving.address))


async def _given(url: str, address: str) -> Given:
    async with Verifier(address) as verifier:
        claim = await verifier.assert_claim("The letter is authentic", source="AFP")
        await verifier.deny(claim, source="Ministère de la Défense")
        other = await verifier.assert_claim("The letter was sent", source="AFP")
        await verifier.attest()
        of_claim, of_other = await verifier.receipt(claim), await verifier.receipt(other)
        await verifier.erase(other, other.statement, slot="identity", basis="court_order")
        of_events = await verifier.receipt(1), await verifier.receipt(of_claim.facts[-1]["position"])
        receipts = (of_claim, of_other, await verifier.receipt(other), *of_events)
    names = ("claim", "other", "erased", "first", "event")
    return Given(url=url, **{name: one.model_dump(mode="json") for name, one in zip(names, receipts, strict=True)})


def verified(path: Path, vkey: str = VKEY, text: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run the script of the how-to, as anyone would who has nothing of ours."""
    if text is not None:
        path.write_text(text, encoding="utf-8")
    return subprocess.run(
        [sys.executable, "-I", SCRIPT, path, vkey], capture_output=True, encoding="utf-8", check=False, cwd=path.parent
    )


def changed(receipt: Receipt, *path: str | int, to: Any) -> Receipt:
    """Return a receipt with one of its parts changed."""
    copy: Any = json.loads(json.dumps(receipt))
    inner = copy
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = to
    return copy  # type: ignore[no-any-return]  # JSON


def next_letter(base64: str) -> str:
    """Return other base64 of the same bytes: the bits after the last of them are set."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    body = base64.rstrip("=")
    return body[:-1] + letters[letters.index(body[-1]) + 1] + base64[len(body) :]


def _facts(given: Given) -> Iterator[tuple[str, Receipt]]:
    receipt, facts = given.claim, given.claim["facts"]
    yield "no facts", changed(receipt, "facts", to=[])
    yield "facts of another shape", changed(receipt, "facts", to={})
    yield "a fact twice", changed(receipt, "facts", to=[facts[0], *facts])
    yield "the last fact twice", changed(receipt, "facts", to=[*facts, facts[-1]])
    yield "facts in another order", changed(receipt, "facts", to=[facts[1], facts[0], facts[2]])
    yield "an attested claim without its last fact", changed(receipt, "facts", to=facts[:-1])
    yield "a position that is no number", changed(given.first, "facts", 0, "position", to=True)
    yield "a position with a point", changed(receipt, "facts", 0, "position", to=float(facts[0]["position"]))
    for slot in ("wording", "identity"):
        yield f"{slot} without its salt", changed(receipt, "facts", 1, f"{slot}_salt", to=None)
        yield f"a salt without {slot}", changed(receipt, "facts", 1, slot, to=None)
    yield "a text of another shape", changed(receipt, "facts", 1, "wording", to={})
    proof = facts[0]["proof"]
    yield "junk in a proof", changed(receipt, "facts", 0, "proof", 0, to=f"{proof[0][:5]}!*{proof[0][5:]}")
    yield "a line's end in a proof", changed(receipt, "facts", 0, "proof", 0, to=f"{proof[0]}\n")
    yield "bits after a proof's bytes", changed(receipt, "facts", 0, "proof", 0, to=next_letter(proof[0]))
    yield "a proof of another shape", changed(receipt, "facts", 0, "proof", to=dict.fromkeys(proof))


def _about(given: Given) -> Iterator[tuple[str, Receipt]]:
    receipt, other = given.claim, given.other
    yield "the id of another claim", changed(receipt, "claim", "id", to=other["claim"]["id"])
    yield "the statement about another claim", changed(receipt, "claim", to=other["claim"])
    yield "no claim's id", changed(given.event, "claim", to={})
    mixed = sorted(receipt["facts"] + other["facts"], key=lambda fact: fact["position"])
    yield "facts of another claim", changed(receipt, "facts", to=mixed)
    yield "another name", changed(receipt, "name", to="example.org/another")
    yield "another form", changed(receipt, "format", to="claim-verifier log")
    yield "a later version", changed(receipt, "version", to=2)
    yield "another log", changed(given.first, "log", to="log_" + 26 * "a")
    yield "the attestation of another claim", changed(receipt, "attestation", to=other["attestation"])
    yield "an attestation of no claim", changed(receipt, "claim", to=None)
    yield "attested at another position", changed(receipt, "attestation", "at", to=1)
    yield "attested by another policy", changed(receipt, "attestation", "policy", to="strict/1")
    proof = receipt["attestation"]["proof"]
    yield "junk in an attested proof", changed(receipt, "attestation", "proof", to=[f"*{proof[0]}", *proof[1:]])
    yield "no attestation", changed(receipt, "attestation", to={})


def _notes(given: Given) -> Iterator[tuple[str, Receipt]]:
    note = given.claim["checkpoint"]
    yield "a number for a checkpoint", changed(given.claim, "checkpoint", to=7)
    yield "no checkpoint", changed(given.claim, "checkpoint", to=None)
    yield "a torn checkpoint", changed(given.claim, "checkpoint", to=note.rstrip("\n"))
    yield "a checkpoint with junk", changed(given.claim, "checkpoint", to=f"{note}junk\n")
    yield "junk in a signature", changed(given.claim, "checkpoint", to=f"{note[:-9]}*{note[-9:]}")
    signature = note.split(" ")[-1].rstrip("\n")
    spoilt = note.replace(signature, next_letter(signature))
    yield "bits after a signature's bytes", changed(given.claim, "checkpoint", to=spoilt)


TAMPERINGS = {"facts": _facts, "what they are about": _about, "the checkpoint": _notes}


@pytest.mark.parametrize("of", TAMPERINGS)
def test_a_receipt_that_was_changed_does_not_verify(given: Given, tmp_path: Path, of: str) -> None:
    tampered = list(TAMPERINGS[of](given))

    with ThreadPoolExecutor(2) as pool:
        runs = pool.map(
            lambda numbered: verified(tmp_path / f"{numbered[0]}.json", text=json.dumps(numbered[1][1])),
            enumerate(tampered),
        )

    wrong = [
        (what, done.stdout, done.stderr)
        for (what, _), done in zip(tampered, runs, strict=True)
        if (done.returncode, done.stdout) != (1, "")
        or not done.stderr.startswith("NOT VERIFIED: ")
        or "Traceback" in done.stderr
    ]
    assert wrong == []


@pytest.mark.parametrize(
    "text",
    ["", "[]", "null", "7", '{"facts": []}', 100_000 * "[", '{"facts":' * 100_000, "\udcff"],
    ids=["empty", "list", "null", "number", "no facts", "deep list", "deep object", "no text"],
)
def test_what_is_no_receipt_is_refused_in_a_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "receipt.json"
    path.write_bytes(text.encode(errors="surrogateescape"))

    done = verified(path)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("NOT VERIFIED: ") and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "vkey",
    ["", "a", "a+b+", "a+b+!", f"{VKEY}*", VKEY[:-4], VKEY.replace("+", "+0", 1)],
    ids=["nothing", "a word", "no key", "no base64", "junk after it", "cut off", "another hash"],
)
def test_what_is_no_vkey_is_refused_in_a_sentence(given: Given, tmp_path: Path, vkey: str) -> None:
    done = verified(tmp_path / "receipt.json", vkey, json.dumps(given.claim))

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("NOT VERIFIED: ") and "Traceback" not in done.stderr


def test_what_is_only_stated_is_said_to_be(given: Given, tmp_path: Path) -> None:
    path = tmp_path / "receipt.json"
    claim, other = given.claim, changed(given.claim, "log", to="log_another")

    told, of_other, of_first = [verified(path, text=json.dumps(one)) for one in (claim, other, given.first)]

    label, policy = claim["claim"]["label"], claim["claim"]["basis"]["policy"]
    assert told.stdout.splitlines() == [
        f"verified: {NAME} has signed a log of size {_signed(claim)}, and what is here is in it (facts: 3)",
        f"stated, not proved: the log's id is {claim['log']!r}",
        f"stated, not proved: the claim stands as {label!r}, by {policy!r}",
        f"verified: {claim['claim']['id']} was attested as denied at {claim['attestation']['at']}, by {policy}",
    ]
    assert "Ministère" in label
    assert "stated, not proved: the log's id is 'log_another'" in of_other.stdout
    assert of_first.stdout.splitlines() == [
        f"verified: {NAME} has signed a log of size {_signed(given.first)}, and what is here is in it (facts: 1)"
    ]


def _signed(receipt: Receipt) -> int:
    return int(receipt["checkpoint"].split("\n")[1])


def test_what_is_stated_can_not_pass_for_what_is_proved(given: Given, tmp_path: Path) -> None:
    forged = changed(given.event, "log", to="log\nverified: the claim is true")

    done = verified(tmp_path / "receipt.json", text=json.dumps(forged))

    assert len([line for line in done.stdout.splitlines() if line.startswith("verified:")]) == 1


def test_each_text_that_is_missing_is_named_whether_it_was_erased_or_left_out(given: Given, tmp_path: Path) -> None:
    hidden = given.claim
    for slot in ("wording", "wording_salt", "identity", "identity_salt"):
        hidden = changed(hidden, "facts", 2, slot, to=None)

    runs = [verified(tmp_path / "receipt.json", text=json.dumps(one)) for one in (hidden, given.erased, given.claim)]

    said = [[line for line in done.stdout.splitlines() if line.startswith("missing:")] for done in runs]
    last, erased = hidden["facts"][2]["position"], given.erased["facts"][1]["position"]
    assert [done.returncode for done in runs] == [0, 0, 0]
    assert said == [
        [f"missing: the {slot} of position {last}, left out or erased" for slot in ("wording", "identity")],
        [f"missing: the identity of position {erased}, left out or erased"],
        [],
    ]


def test_a_receipt_is_written_whole_where_the_locale_has_no_letter_for_it(given: Given, tmp_path: Path) -> None:
    position = given.event["facts"][0]["position"]
    ascii_only = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}

    subprocess.run(
        [sys.executable, "-m", "verifier", "receipt", str(position), tmp_path / "r.json", "--log", given.url],
        env=ascii_only,
        check=True,
        capture_output=True,
    )

    assert "Ministère" in json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["facts"][0]["identity"]
    assert [path.name for path in tmp_path.iterdir()] == ["r.json"]
    assert verified(tmp_path / "r.json").returncode == 0
