"""A sealed log, as it is served: checkpoint, tiles, keys, proofs and receipts; what stops it, and who says so."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from serving import served
from witnessing import KEY as KEY_OF_TEST_LOG
from witnessing import never_answering, policy, standing

from events.errors import Invalid as Refused
from events.keys import Keys, make_keys
from events.log import Log
from events.open import open_log, tiles_of
from events.sealed import Sealed
from events.seals import Seals
from events.tlog import (
    COSIGNATURE,
    check_policy,
    leaf_hash,
    new_key,
    open_checkpoint,
    parse_entry_bundle,
    parse_head,
    split_note,
    tree_root,
    verify_tlog_proof,
    vkey_of,
)
from tests.events.making import everything, said
from tests.events.sealing import as_restored, cut_off
from tests.postgres import Server
from verifier.app import open_desk
from verifier.client import Verifier
from verifier.doctor import look_over
from verifier.errors import NotFound, NotSealed
from verifier.sealing import Sealing, Signing

NAME = "example.org/newsroom"
KEY = new_key(NAME)
VKEY = vkey_of(KEY)
SCRIPT = Path(__file__).parents[2] / "docs" / "howto" / "verify-a-receipt.py"


@dataclass
class Office:
    """A server of a sealed log, and where it keeps things."""

    log: str
    signing: Signing
    address: str


@pytest.fixture
def signing(tmp_path: Path) -> Signing:
    """Where keys and seals are, and a key for any log."""
    Seals(tmp_path / "seals").begin(Keys.parse(KEY, "the test"))
    return Signing(keys=tmp_path / "keys", seals=tmp_path / "seals", key=KEY)


def flags(signing: Signing) -> dict[str, Any]:
    """The settings that say so."""
    return {"keys": signing.keys, "seals": signing.seals, "seal_key": signing.key, "witnesses": signing.witnesses}


@pytest.fixture
def office(place: str, signing: Signing) -> Iterator[Office]:
    """A server of a sealed log, on every engine that keeps anything."""
    with served(place, **flags(signing)) as serving:
        yield Office(place, signing, serving.address)


async def filled(address: str) -> str:
    """Record a claim with three facts; return its id."""
    async with Verifier(address) as verifier:
        claim = await verifier.assert_claim("The letter is authentic", source="AFP")
        return (await verifier.deny(claim, source="Mark Esper")).id


# --- served --------------------------------------------------------------------------------------------


async def test_a_server_serves_what_a_client_of_transparency_logs_asks_for(office: Office) -> None:
    claim = await filled(office.address)
    async with Verifier(office.address) as verifier, httpx.AsyncClient(base_url=office.address) as http:
        facts = (await verifier.receipt(claim)).facts  # by now everything is sealed
        checkpoint, vkeys = await http.get("/checkpoint"), await http.get("/log/vkey")
        size, root = open_checkpoint(checkpoint.content, NAME, [VKEY])
        hashes, leaves = [await http.get(f"/tile/{level}/000.p/{size}") for level in ("0", "entries")]
        proof = await http.get(f"/api/v1/events/{facts[-1]['position']}/proof")

    entries = parse_entry_bundle(leaves.content)
    assert tree_root(entries) == root
    assert hashes.content == b"".join(map(leaf_hash, entries))
    assert vkeys.text.split() == [VKEY]
    assert facts[-1]["leaf"].encode() == entries[facts[-1]["position"] - 1]
    verify_tlog_proof(proof.content, leaf_hash(facts[-1]["leaf"].encode()), NAME, [VKEY])
    for answer in (hashes, leaves):
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["content-type"] == "application/octet-stream"
    for answer in (checkpoint, vkeys, proof):
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["content-type"].startswith("text/plain")


NOWHERE = {
    "/tile/0/000": 404,
    "/tile/0/000.p/99": 404,
    "/tile/0/001.p/1": 404,
    "/tile/5/000.p/1": 404,
    "/tile/entries/000": 404,
    "/tile/0/0": 404,
    "/tile/0/000.p/0": 404,
    "/tile/../../etc/passwd": 404,
    "/api/v1/events/99/proof": 404,
    "/api/v1/events/0/proof": 422,
    "/api/v1/events/x/receipt": 422,
    "/api/v1/events/99/receipt": 404,
    "/api/v1/claims/x/receipt": 404,
    "/api/v1/claims/clm_aaaaaaaaaaaaaaaaaaaaaaaaaa/receipt": 404,
    "/api/v1/checkpoint?after=3": 422,
}


async def test_what_is_not_sealed_or_no_event_is_not_there(office: Office) -> None:
    async with httpx.AsyncClient(base_url=office.address) as http:
        answers = {path: await http.get(path) for path in NOWHERE}

    assert {path: answer.status_code for path, answer in answers.items()} == NOWHERE
    assert all(answer.json()["detail"] for answer in answers.values())


async def test_a_log_without_a_key_is_served_and_not_sealed(place: str, signing: Signing) -> None:
    without = Signing(keys=signing.keys, seals=signing.seals)
    with served(place, **flags(without)) as serving:
        claim = await filled(serving.address)
        async with Verifier(serving.address) as verifier, httpx.AsyncClient(base_url=serving.address) as http:
            with pytest.raises(NotFound, match="verifier init"):
                await verifier.checkpoint()
            with pytest.raises(NotFound, match="verifier init"):
                await verifier.receipt(claim)
            answers = [await http.get(path) for path in ("/checkpoint", "/log/vkey", "/readyz", "/tile/0/000.p/1")]

    assert [answer.status_code for answer in answers] == [404, 404, 200, 404]
    assert parse_head(split_note(Seals(signing.seals).read(NAME) or b"")[0]).size == 0


async def test_a_key_that_others_may_read_keeps_the_server_from_starting(place: str, signing: Signing) -> None:
    async with await open_log(place) as log:
        path = Signing(keys=signing.keys, seals=signing.seals).path(log.id)
    make_keys(path, NAME)
    path.chmod(0o644)

    with pytest.raises(Refused, match="chmod 600"), served(place, **{**flags(signing), "seal_key": None}):
        pass


async def test_what_was_just_written_has_a_receipt_at_once(office: Office) -> None:
    async with Verifier(office.address) as verifier:
        for number in range(2):
            claim = await verifier.assert_claim(f"Claim {number}", source="AFP")

            receipt = await verifier.receipt(claim.written_at)

            (fact,) = receipt.facts
            assert json.loads(fact["leaf"])["id"] == claim.statement
            assert receipt.claim is None


async def test_a_receipt_of_a_claim_says_how_it_stands_by_the_facts_in_it(office: Office) -> None:
    claim = await filled(office.address)
    async with Verifier(office.address) as verifier, httpx.AsyncClient(base_url=office.address) as http:
        receipt = await verifier.receipt(claim)
        at = receipt.facts[-1]["position"]
        stands = (await http.get(f"/api/v1/claims/{claim}", params={"as_of": at})).json()

    assert [json.loads(fact["leaf"])["fact"]["type"] for fact in receipt.facts] == [
        "claim.registered",
        "claim.asserted",
        "claim.denied",
    ]
    assert receipt.claim is not None
    assert [receipt.claim[name] for name in ("id", "position", "computed", "basis")] == [
        stands[name] for name in ("id", "position", "computed", "basis")
    ]
    assert receipt.claim["basis"]["policy_digest"]
    assert [receipt.claim[name] for name in ("label", "explanation")] == [
        stands["texts"][name] for name in ("label", "explanation")
    ]
    assert "denied by Mark Esper" in receipt.claim["label"]


async def test_the_embedded_client_reads_what_a_server_sealed(log_place: str, signing: Signing) -> None:
    with served(log_place, **flags(signing)) as serving:
        claim = await filled(serving.address)
        async with Verifier(serving.address) as verifier:
            sealed = await verifier.receipt(claim)

    async with Verifier.open(log_place, read_only=True) as verifier:
        assert await verifier.receipt(claim) == sealed
        assert (await verifier.checkpoint()).vkeys == (VKEY,)


async def test_health_and_metrics_say_how_far_the_log_is_sealed(office: Office) -> None:
    claim = await filled(office.address)
    async with Verifier(office.address) as verifier, httpx.AsyncClient(base_url=office.address) as http:
        await verifier.receipt(claim)
        health, metrics = await verifier.health(), (await http.get("/metrics")).text

    assert (health.sealed, health.unsealed_events, health.status) == (health.head, 0, "ok")
    assert f"verifier_sealed_position {health.head}" in metrics.replace(".0\n", "\n")
    assert "verifier_sealing_running 1" in metrics


# --- receipts, by the script ------------------------------------------------------------------------------


def verified(path: Path, vkey: str = VKEY) -> subprocess.CompletedProcess[str]:
    """Run the script of the how-to, as anyone would who has nothing of ours."""
    return subprocess.run(
        [sys.executable, "-I", SCRIPT, path, vkey], capture_output=True, text=True, check=False, cwd=path.parent
    )


async def test_a_receipt_verifies_by_a_script_that_has_nothing_of_ours(office: Office, tmp_path: Path) -> None:
    claim = await filled(office.address)
    async with Verifier(office.address) as verifier:
        receipt = await verifier.receipt(claim)
    path = tmp_path / "receipt.json"
    path.write_text(receipt.model_dump_json())

    done = await asyncio.to_thread(verified, path)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"verified: {NAME} has signed a log of size ")
    assert len(SCRIPT.read_text().splitlines()) <= 80
    assert "import events" not in SCRIPT.read_text() and "import verifier" not in SCRIPT.read_text()


async def test_a_receipt_proves_the_status_where_it_was_attested_since_the_last_fact(
    office: Office, tmp_path: Path
) -> None:
    claim = await filled(office.address)
    path = tmp_path / "receipt.json"
    async with Verifier(office.address) as verifier:
        await verifier.assert_claim("The letter was sent", source="AFP")
        none_yet = await verifier.receipt(claim)
        attested = await verifier.attest()
        receipt = await verifier.receipt(claim)
        path.write_text(receipt.model_dump_json())
        await verifier.corroborate(claim, source="Reuters")
        moved_on = await verifier.receipt(claim)

    done = await asyncio.to_thread(verified, path)

    assert (none_yet.attestation, moved_on.attestation) == (None, None)
    assert receipt.attestation is not None
    assert (receipt.attestation["at"], receipt.attestation["size"]) == (attested.at, 2)
    assert json.loads(receipt.attestation["state"])["position"] == receipt.facts[-1]["position"]
    assert (done.returncode, done.stderr) == (0, "")
    assert f"verified: {claim} was attested as denied at {attested.at}, by {attested.policy}" in done.stdout


def _tampered(receipt: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield a receipt with each of its parts changed."""

    def changed(path: tuple[Any, ...], value: Any) -> dict[str, Any]:
        copy: Any = json.loads(json.dumps(receipt))
        inner = copy
        for step in path[:-1]:
            inner = inner[step]
        inner[path[-1]] = value
        return copy

    fact, other = receipt["facts"][0], receipt["facts"][1]
    attested = receipt["attestation"]
    yield "attested state", changed(("attestation", "state"), attested["state"].replace("denied", "corroborated"))
    yield "attested proof", changed(("attestation", "proof"), attested["proof"][:-1])
    yield "attested place", changed(("attestation", "index"), 1 - attested["index"])
    leaf = attested["fact"]["leaf"].replace("standing", "strict")
    yield "attesting leaf", changed(("attestation", "fact", "leaf"), leaf)
    yield "another fact", changed(("attestation", "fact"), fact)
    yield "leaf", changed(("facts", 0, "leaf"), fact["leaf"].replace("claim.registered", "claim.unlinked"))
    yield "wording", changed(("facts", 0, "wording"), fact["wording"].replace("authentic", "a forgery"))
    yield "identity", changed(("facts", 1, "identity"), other["identity"].replace("AFP", "EFE"))
    yield "salt", changed(("facts", 0, "wording_salt"), "0" * 32)
    yield "position", changed(("facts", 0, "position"), other["position"])
    yield "position beyond", changed(("facts", 0, "position"), 1_000)
    yield "position none", changed(("facts", 0, "position"), 0)
    yield "proof", changed(("facts", 0, "proof"), other["proof"])
    yield "short proof", changed(("facts", 0, "proof"), fact["proof"][:-1])
    yield "long proof", changed(("facts", 0, "proof"), [*fact["proof"], fact["proof"][0]])
    yield "no proof", changed(("facts", 0, "proof"), [])
    yield "swapped", changed(("facts", 0), {**other, "position": fact["position"]})
    text, _, signature = receipt["checkpoint"].rpartition("\n\n")
    name, size, root = text.split("\n")
    yield "size", changed(("checkpoint",), f"{name}\n{int(size) + 1}\n{root}\n\n{signature}")
    yield "root", changed(("checkpoint",), f"{name}\n{size}\n{root[1:]}{root[0]}\n\n{signature}")
    yield "name", changed(("checkpoint",), receipt["checkpoint"].replace(NAME, "example.org/another"))
    yield "unsigned", changed(("checkpoint",), f"{text}\n\n")
    yield "signature", changed(("checkpoint",), f"{text}\n\n{signature[:-9]}AAAA{signature[-5:]}")


async def test_a_receipt_that_was_changed_anywhere_does_not_verify(office: Office, tmp_path: Path) -> None:
    claim = await filled(office.address)
    async with Verifier(office.address) as verifier:
        await verifier.assert_claim("The letter was sent", source="AFP")
        await verifier.attest()
        receipt = (await verifier.receipt(claim)).model_dump(mode="json")
    path = tmp_path / "receipt.json"

    passed = []
    for what, tampered in _tampered(receipt):
        path.write_text(json.dumps(tampered))
        done = await asyncio.to_thread(verified, path)
        if done.returncode != 1 or "NOT VERIFIED" not in done.stderr:
            passed.append((what, done.stdout, done.stderr))

    assert passed == []


async def test_a_receipt_does_not_verify_by_the_key_of_another_log(office: Office, tmp_path: Path) -> None:
    claim = await filled(office.address)
    async with Verifier(office.address) as verifier:
        path = tmp_path / "receipt.json"
        path.write_text((await verifier.receipt(claim)).model_dump_json())

    done = [await asyncio.to_thread(verified, path, vkey_of(new_key(name))) for name in (NAME, "example.org/other")]

    assert [run.returncode for run in done] == [1, 1]


async def test_a_receipt_after_an_erasure_still_verifies(office: Office, tmp_path: Path) -> None:
    async with Verifier(office.address) as verifier:
        claim = await verifier.assert_claim("The letter is authentic", source="AFP")
        await verifier.erase(claim, claim.statement, slot="identity", basis="court_order")
        path = tmp_path / "receipt.json"
        receipt = await verifier.receipt(claim)
        path.write_text(receipt.model_dump_json())

    done = await asyncio.to_thread(verified, path)

    assert [fact["identity"] is None for fact in receipt.facts] == [False, True, False]
    assert done.returncode == 0


# --- forks -----------------------------------------------------------------------------------------------


async def copied(url: str, log: Log, upto: int) -> None:
    """Restore the first events of a log elsewhere."""
    async with await open_log(url, create="empty") as copy:
        await copy.restore(as_restored((await everything(log))[:upto]))


async def test_an_older_copy_is_served_and_not_sealed_and_everybody_says_why(
    place: str, signing: Signing, tmp_path: Path
) -> None:
    copy = f"sqlite:///{tmp_path}/copy.db"
    with served(place, **flags(signing)) as serving:
        claim = await filled(serving.address)
        async with Verifier(serving.address) as verifier:
            await verifier.receipt(claim)
    async with await open_log(place, writable=False, create=None) as log:
        await copied(copy, log, 3)

    with served(copy, **flags(signing)) as serving:
        async with Verifier(serving.address) as verifier, httpx.AsyncClient(base_url=serving.address) as http:
            with pytest.raises(NotSealed, match="verifier fork"):
                await verifier.checkpoint()
            ready, checkpoint = await http.get("/readyz"), await http.get("/checkpoint")
            written = await verifier.assert_claim("A fact that must not be lost", source="AFP")
            health = await verifier.health()
            metrics = (await http.get("/metrics")).text
            report = await look_over(copy, serving.address, signing=signing)

    assert (ready.status_code, checkpoint.status_code) == (503, 503)
    for answer in (ready, checkpoint):
        assert "this log ends at 3, and 4 events" in answer.json()["detail"]
        assert answer.headers["retry-after"]
    assert written.status == "asserted"
    assert (health.status, health.sealed) == ("sealing stopped", 0)
    assert "verifier_sealing_running 0" in metrics
    assert any("verifier fork" in sentence for sentence in report.wrong)


async def test_the_doctor_finds_a_log_that_lost_what_was_sealed_while_nobody_serves_it(
    log_place: str, signing: Signing, tmp_path: Path
) -> None:
    with served(log_place, **flags(signing)) as serving:
        claim = await filled(serving.address)
        async with Verifier(serving.address) as verifier:
            await verifier.receipt(claim)
    whole = await look_over(log_place, None, signing=signing)
    copy = f"sqlite:///{tmp_path}/copy.db"
    async with await open_log(log_place, writable=False, create=None) as log:
        await copied(copy, log, 2)

    report = await look_over(copy, None, signing=signing)

    assert whole.sections["seal"] == {"name": NAME, "position": 4, "unsealed_events": 0}
    assert not [sentence for sentence in whole.wrong if "sealed" in sentence]
    assert any("ends at 2, and 4 events" in sentence for sentence in report.wrong)


# --- several servers ---------------------------------------------------------------------------------------


async def test_one_of_several_servers_seals_and_the_next_takes_over(postgres_url: str, signing: Signing) -> None:
    async with open_desk(postgres_url, signing=signing) as one:
        first = await one.sealing.covering(1)
        async with open_desk(postgres_url, signing=signing) as two:
            assert (await two.sealing.covering(1)).note == first.note
            assert (one.sealing.sealed.sealing, two.sealing.sealed.sealing) == (True, False)
            seen = await two.sealing.sealed.tile(0, 0, 1)
    async with open_desk(postgres_url, signing=signing) as three:
        while not three.sealing.sealed.sealing:  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(0)

        assert (await three.sealing.covering(1)).note == first.note
        assert await three.sealing.sealed.tile(0, 0, 1) == seen


async def until(so: Callable[[], bool]) -> None:
    """Return once something is so: nobody tells."""
    async with asyncio.timeout(30):
        while not so():  # noqa: ASYNC110
            await asyncio.sleep(0)


async def test_a_server_that_lost_its_turn_waits_for_it_and_nothing_is_wrong(
    postgres: Server, postgres_url: str, signing: Signing
) -> None:
    async with await open_log(postgres_url) as log, await open_log(postgres_url) as same:
        one, two = [Sealing(its, Sealed(its, tiles_of(postgres_url)), signing, again=0) for its in (log, same)]
        running = [asyncio.create_task(one.run())]
        await one.covering(1)
        running.append(asyncio.create_task(two.run()))
        await two.covering(1)
        noticed = asyncio.create_task(until(lambda: not one.sealed.sealing))
        await cut_off(postgres)  # the one that has the turn, the one that waits for it, and those that read
        await noticed  # though nothing is recorded
        await until(lambda: {(its.sealed.sealing, its.error) for its in (one, two)} == {(False, None), (True, None)})

        await log.append([said()])
        assert [await covered(its, 2) for its in (one, two)] == [2, 2]
        await log.append([said()])
        assert [(await its.covering(3)).size for its in (one, two)] == [3, 3]
        for task in running:
            task.cancel()
        await asyncio.wait(running)
        for its in (one, two):
            await its.sealed.tiles.close()


async def covered(sealing: Sealing, position: int) -> int:
    """Return how far a log is sealed, once a position is: whoever waits for the turn may notice only now that it was
    cut off, too, and says until it waits again that nothing is signed."""
    async with asyncio.timeout(30):
        while True:
            with suppress(NotSealed):
                return (await sealing.covering(position)).size
            await asyncio.sleep(0)


async def test_a_server_without_the_key_serves_what_another_seals(postgres_url: str, signing: Signing) -> None:
    without = Signing(keys=signing.keys, seals=signing.seals)
    with served(postgres_url, **flags(signing)) as sealing, served(postgres_url, **flags(without)) as other:
        claim = await filled(other.address)
        async with Verifier(sealing.address) as one, Verifier(other.address) as two:
            sealed = await one.receipt(claim)

            assert (await two.receipt(claim)).facts == sealed.facts
            assert (await two.checkpoint()).name == NAME


# --- witnesses -----------------------------------------------------------------------------------------------


async def test_every_checkpoint_is_cosigned_by_the_witnesses_that_are_there(
    log_place: str, signing: Signing, tmp_path: Path
) -> None:
    async with standing(tmp_path / "witness") as witness:
        asked = policy((witness.vkey, witness.address))
        path = tmp_path / "witnesses"
        path.write_bytes(asked)
        seals = tmp_path / "their seals"
        Seals(seals).begin(Keys.parse(KEY_OF_TEST_LOG, "the test"))
        theirs = replace(signing, key=KEY_OF_TEST_LOG, seals=seals, witnesses=path)  # the log that this witness knows
        with served(log_place, **flags(theirs)) as serving:
            claim = await filled(serving.address)
            async with Verifier(serving.address) as verifier:
                await verifier.receipt(claim)
                checkpoint = (await verifier.checkpoint()).checkpoint

    assert check_policy(asked, checkpoint.encode()).size == 4


async def test_a_witness_that_never_answers_takes_no_receipt_away(signing: Signing, tmp_path: Path) -> None:
    async with await open_log("memory:") as log, never_answering() as silent:
        path = tmp_path / "witnesses"
        path.write_bytes(policy((vkey_of(new_key("w", COSIGNATURE)), silent.address)))
        sealing = Sealing(log, Sealed(log, tiles_of("memory:")), replace(signing, witnesses=path))
        running = asyncio.create_task(sealing.run())
        await silent.asked.wait()  # and now the first seal waits for it
        await log.append([said()])

        seal = await sealing.covering(2)

        running.cancel()
        await asyncio.wait({running})
        await sealing.close()
    assert seal.size == 2


async def test_a_policy_that_is_none_keeps_the_server_from_starting(log_place: str, signing: Signing) -> None:
    for witnesses in (signing.seals / "missing", SCRIPT):
        with pytest.raises(Refused, match="policy"), served(log_place, **{**flags(signing), "witnesses": witnesses}):
            pass
