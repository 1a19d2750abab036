"""Export and restore: the same log again, byte for byte, or nothing at all."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from making import everything

from events.archive import Exported, export, restore
from events.contracts import (
    ClaimAsserted,
    ClaimRegistered,
    Fact,
    Identity,
    LegalBasis,
    Quote,
    Slot,
    TextErased,
    Wording,
)
from events.errors import Busy, Damaged, ForeignCursor, Invalid, UnknownFact
from events.evidence import MemoryEvidence
from events.leaf import canonical, derive
from events.log import Proposed, Recorded
from events.memory import MemoryLog

CLAIM = derive("clm", "withdrawal")
BY = Identity(actor="editor")
WORDLESS = Wording()


def event(name: str, fact: Fact, wording: Wording = WORDLESS, stream: str = f"claim:{CLAIM}") -> Proposed:
    return Proposed(id=derive("evt", name), stream=stream, fact=fact, identity=BY, wording=wording)


def erasure(name: str, slot: Slot = "wording", basis: LegalBasis = "court_order") -> Proposed:
    fact = TextErased(event=derive("evt", name), slot=slot, basis=basis)
    return event(f"erased {name} {slot}", fact, stream="log")


async def a_log() -> MemoryLog:
    """A log of five events; the note of the second is erased by the last."""
    log = await MemoryLog.open()
    said = Quote(exact="“we will be repositioning forces”\n\t\\ 🪖")
    await log.append([event("registered", ClaimRegistered(kind="decision"), Wording(text="US forces will leave Iraq"))])
    await log.append([event("first", ClaimAsserted(source=1, origin=1), Wording(quote=said))])
    await log.append([event("second", ClaimAsserted(source=2, origin=1, via=(3,)))])
    await log.append([erasure("registered")])
    return log


async def an_empty_log() -> MemoryLog:
    return await MemoryLog.open(create="empty")


async def bytes_of(log: MemoryLog, *, after: int = 0, evidence: MemoryEvidence | None = None) -> bytes:
    file = io.BytesIO()
    await export(log, file, after=after, evidence=evidence)
    return file.getvalue()


async def a_prefix(log: MemoryLog, length: int) -> MemoryLog:
    prefix = await an_empty_log()
    await prefix.restore((await everything(log))[:length])
    return prefix


# --- there and back --------------------------------------------------------------------------------


async def test_a_restored_log_is_the_same_log_and_exports_the_same_bytes() -> None:
    log = await a_log()
    written = await bytes_of(log)
    again = await an_empty_log()

    restored = await restore(again, io.BytesIO(written))

    assert (restored.count, restored.held, restored.snapshots) == (5, 0, 0)
    assert again.id == log.id
    assert await everything(again) == await everything(log)
    assert await bytes_of(again) == written


async def test_the_last_line_says_how_much_came_before_it_and_its_hash() -> None:
    file = io.BytesIO()

    exported = await export(await a_log(), file)

    *before, last = file.getvalue().splitlines(keepends=True)
    sha256 = hashlib.sha256(b"".join(before)).hexdigest()
    assert exported == Exported(count=5, snapshots=0, sha256=sha256)
    assert json.loads(last) == {"line": "end", "events": 5, "snapshots": 0, "sha256": sha256}


async def test_an_event_stands_in_the_export_verbatim() -> None:
    log = await a_log()
    recorded = (await everything(log))[2]

    line = json.loads((await bytes_of(log)).splitlines()[3])

    assert line["position"] == 3
    assert line["leaf"].encode() == recorded.leaf_raw
    assert line["wording"].encode() == recorded.wording_raw
    assert bytes.fromhex(line["wording_salt"]) == recorded.wording_salt


async def test_an_erased_text_is_null_with_its_salt() -> None:
    lines = (await bytes_of(await a_log())).splitlines()

    assert json.loads(lines[2])["wording"] is None
    assert json.loads(lines[2])["wording_salt"] is None
    assert b"US forces will leave Iraq" not in b"".join(lines)


async def test_a_log_of_several_pages_is_restored() -> None:
    log = await MemoryLog.open()
    for start in range(0, 2_500, 500):
        await log.append([event(f"{n}", ClaimAsserted(source=1, origin=1)) for n in range(start, start + 500)])
    again = await an_empty_log()

    restored = await restore(again, io.BytesIO(await bytes_of(log)))

    assert restored.count == 2_501
    assert await everything(again) == await everything(log)


async def test_a_file_that_can_only_be_read_once_is_restored() -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    log, again = await a_log(), await an_empty_log()

    await restore(again, Pipe(await bytes_of(log)))

    assert await everything(again) == await everything(log)


# --- into a log that holds a part already ----------------------------------------------------------


@pytest.mark.parametrize("length", range(6))
async def test_a_prefix_is_compared_and_skipped(length: int) -> None:
    log = await a_log()
    prefix = await a_prefix(log, length)

    restored = await restore(prefix, io.BytesIO(await bytes_of(log)))

    assert (restored.count, restored.held) == (5 - length, length)
    assert await everything(prefix) == await everything(log)


async def test_a_text_that_was_erased_since_is_erased_in_the_prefix_too() -> None:
    log = await a_log()
    prefix = await a_prefix(log, 4)
    await log.append([erasure("first"), erasure("second", "identity")])

    await restore(prefix, io.BytesIO(await bytes_of(log)))

    assert await everything(prefix) == await everything(log)
    assert (await everything(prefix))[2].wording is None


async def test_a_log_with_another_event_is_refused_with_its_position() -> None:
    log = await a_log()
    other = await a_prefix(log, 3)
    await other.append([event("another", ClaimAsserted(source=9, origin=9))])
    before = await everything(other)

    with pytest.raises(Invalid, match="another event at position 4"):
        await restore(other, io.BytesIO(await bytes_of(log)))

    assert await everything(other) == before


async def test_another_log_is_refused() -> None:
    with pytest.raises(Invalid, match="and this is log"):
        await restore(await MemoryLog.open(), io.BytesIO(await bytes_of(await a_log())))


async def test_a_log_that_goes_further_than_the_file_is_refused() -> None:
    log = await a_log()
    written = await bytes_of(log)
    await log.append([event("later", ClaimAsserted(source=1, origin=1))])

    with pytest.raises(Invalid, match="there is nothing to restore"):
        await restore(log, io.BytesIO(written))


async def test_a_later_part_continues_a_log() -> None:
    log = await a_log()
    prefix = await a_prefix(log, 3)

    restored = await restore(prefix, io.BytesIO(await bytes_of(log, after=3)))

    assert (restored.count, restored.held) == (2, 0)
    assert await everything(prefix) == [*(await everything(await a_prefix(log, 3))), *(await everything(log))[3:]]


async def test_a_later_part_is_refused_where_what_is_between_is_missing() -> None:
    log = await a_log()
    part = await bytes_of(log, after=3)

    with pytest.raises(Invalid, match="the log ends at 2"):
        await restore(await a_prefix(log, 2), io.BytesIO(part))


async def test_a_later_part_is_refused_where_another_event_comes_before_it() -> None:
    log = await a_log()
    other = await a_prefix(log, 3)
    await other.append([event("another", ClaimAsserted(source=9, origin=9))])

    with pytest.raises(Invalid, match="another event at position 4"):
        await restore(other, io.BytesIO(await bytes_of(log, after=4)))


async def test_an_export_cannot_begin_beyond_the_head() -> None:
    with pytest.raises(ForeignCursor):
        await bytes_of(await a_log(), after=6)


# --- bad files -------------------------------------------------------------------------------------

Line = dict[str, Any]


def sealed(lines: Sequence[Line]) -> bytes:
    """Write these lines with a right last line, as a forger would."""
    body = b"".join(canonical(line) + b"\n" for line in lines)
    counts = {kind: sum(line["line"] == kind for line in lines) for kind in ("event", "snapshot")}
    end = {
        "line": "end",
        "events": counts["event"],
        "snapshots": counts["snapshot"],
        "sha256": hashlib.sha256(body).hexdigest(),
    }
    return body + canonical(end) + b"\n"


def leaf(line: Line, **changes: Any) -> None:
    """Change the leaf of a line, canonically."""
    line["leaf"] = canonical(json.loads(line["leaf"]) | changes).decode()


def erase(line: Line, slot: str) -> None:
    line[slot] = line[f"{slot}_salt"] = None


def swap(lines: list[Line]) -> None:
    lines[3], lines[4] = lines[4], lines[3]


def repeat(lines: list[Line]) -> None:
    lines.append(lines[3] | {"position": 6, "leaf": lines[3]["leaf"]})
    leaf(lines[6], recorded_at="2999-01-01T00:00:00.000000Z")


def erase_nothing(lines: list[Line]) -> None:
    lines.append(lines[5] | {"position": 6})
    fact = json.loads(lines[6]["leaf"])["fact"] | {"event": derive("evt", "nothing")}
    leaf(lines[6], id=derive("evt", "erases nothing"), fact=fact)


def shadow(lines: list[Line]) -> None:
    lines[2] |= {"wording": "{}", "wording_salt": "00" * 16}
    digest = hashlib.sha256(b'["%b","wording",{}]' % (b"00" * 16)).hexdigest()
    leaf(lines[2], wording=digest)


FORGED: dict[str, tuple[Callable[[list[Line]], object], str]] = {
    "another format": (lambda f: f[0].update(format="recipes"), "line 1: it does not begin an export"),
    "a newer version": (lambda f: f[0].update(version=2), "line 1: the export has version 2"),
    "a header that does not say what came before": (lambda f: f[0].update(after=1), "line 1: it is not written as"),
    "no header": (lambda f: f.pop(0), "line 1: it does not begin an export"),
    "two headers": (lambda f: f.insert(2, f[0]), "line 3: it is a second header"),
    "another log's id": (lambda f: f[0].update(log=derive("log", "x")), "line 2: the first event does not open log"),
    "an event left out": (lambda f: f.pop(3), "line 4: position 4 comes after position 2"),
    "events in another order": (swap, "line 4: position 4 comes after position 2"),
    "an event twice": (repeat, "line 7: its event has the id of an earlier one"),
    "an unknown field": (lambda f: f[3].update(colour="red"), "line 4: it is not written as"),
    "a field left out": (lambda f: f[3].pop("wording_salt"), "line 4: Object missing required field"),
    "an unknown kind of line": (lambda f: f[3].update(line="song"), "line 4: Invalid value 'song'"),
    "another fact": (
        lambda f: leaf(f[3], fact={"type": "claim.withdrawn"}),
        "line 4: a fact of type .* carries no quote",
    ),
    "a time that goes back": (
        lambda f: leaf(f[4], recorded_at="1999-01-01T00:00:00.000000Z"),
        "line 5: it was recorded at 1999",
    ),
    "a time that is none": (
        lambda f: leaf(f[4], recorded_at="9" * 27),
        "line 5: recorded_at .* does not have the form",
    ),
    "a leaf that is not canonical": (lambda f: f[3].update(leaf=" " + f[3]["leaf"]), "line 4: a leaf is not canonical"),
    "a leaf with a field twice": (
        lambda f: f[3].update(leaf=f[3]["leaf"].replace("{", '{"stream":"log",', 1)),
        "line 4: a leaf is not canonical",
    ),
    "a leaf of nothing but brackets": (lambda f: f[3].update(leaf='{"x":' + "[" * 60_000), "line 4: not a leaf"),
    "other words": (
        lambda f: f[3].update(wording=f[3]["wording"].replace("forces", "farces")),
        "line 4: the wording does not have the digest",
    ),
    "another actor": (
        lambda f: f[3].update(identity='{"actor":"nobody"}'),
        "line 4: the identity does not have the digest",
    ),
    "another salt": (lambda f: f[3].update(wording_salt="0" * 32), "line 4: the wording does not have the digest"),
    "a salt that is none": (lambda f: f[3].update(wording_salt="0" * 31 + "G"), "line 4: a salt is not 32"),
    "a text without its salt": (lambda f: f[3].update(wording_salt=None), "line 4: a text stands without its salt"),
    "a text lost or hidden": (lambda f: erase(f[4], "identity"), "line 5: .* lost or hidden"),
    "an erasure left out": (lambda f: f.pop(5), "line 3: .* lost or hidden"),
    "an erased text": (shadow, "line 3: it holds a text that was erased"),
    "an erasure of nothing": (erase_nothing, "line 7: it erases a text of an event that does not come before"),
    "an event after a snapshot": (
        lambda f: f.insert(2, {"line": "snapshot", "data": "", "sha256": hashlib.sha256(b"").hexdigest()}),
        "line 4: an event comes after a snapshot",
    ),
    "other bytes of a snapshot": (
        lambda f: f.append({"line": "snapshot", "data": "QQ==", "sha256": "0" * 64}),
        "line 7: the snapshot does not have its hash",
    ),
    "a snapshot twice": (
        lambda f: f.extend([{"line": "snapshot", "data": "", "sha256": hashlib.sha256(b"").hexdigest()}] * 2),
        "line 8: the snapshots are not in the order",
    ),
}


@pytest.mark.parametrize(("forge", "message"), FORGED.values(), ids=FORGED)
async def test_a_forged_file_is_refused_with_its_line_and_writes_nothing(
    forge: Callable[[list[Line]], object], message: str
) -> None:
    lines = [json.loads(line) for line in (await bytes_of(await a_log())).splitlines()[:-1]]
    forge(lines)
    log, evidence = await an_empty_log(), MemoryEvidence()

    with pytest.raises(Invalid, match=message):
        await restore(log, io.BytesIO(sealed(lines)), evidence=evidence)

    assert await log.head() == 0
    assert await evidence.all() == []


async def test_an_unchanged_file_is_not_taken_for_a_forged_one() -> None:
    written = await bytes_of(await a_log())
    lines = [json.loads(line) for line in written.splitlines()[:-1]]

    assert sealed(lines) == written


async def test_a_file_cut_anywhere_is_refused_and_writes_nothing() -> None:
    written = await bytes_of(await a_log())
    log = await an_empty_log()

    for length in (*range(0, len(written), 97), len(written) - 1):
        with pytest.raises(Invalid, match=r"line \d: "):
            await restore(log, io.BytesIO(written[:length]))

    assert await log.head() == 0


async def test_a_file_with_any_byte_changed_is_refused_and_writes_nothing() -> None:
    written = await bytes_of(await a_log())
    log = await an_empty_log()

    for index in range(0, len(written), 53):
        with pytest.raises(Invalid):
            await restore(log, io.BytesIO(written[:index] + bytes([written[index] ^ 1]) + written[index + 1 :]))

    assert await log.head() == 0


async def test_a_file_that_goes_on_after_its_last_line_is_refused() -> None:
    with pytest.raises(Invalid, match="line 7: something comes after it"):
        await restore(await an_empty_log(), io.BytesIO(await bytes_of(await a_log()) + b"\n"))


async def test_a_fact_of_a_newer_version_is_named() -> None:
    lines = [json.loads(line) for line in (await bytes_of(await a_log())).splitlines()[:-1]]
    leaf(lines[3], fact={"type": "claim.asserted.v2"})

    with pytest.raises(UnknownFact) as refused:
        await restore(await an_empty_log(), io.BytesIO(sealed(lines)))

    assert refused.value.type_name == "claim.asserted.v2"
    assert refused.value.__notes__ == ["line 4 of the export"]


# --- what an export refuses ------------------------------------------------------------------------


async def test_an_export_stops_at_a_text_that_no_fact_erased() -> None:
    log = await MemoryLog.open()
    (recorded,) = await log.append([event("registered", ClaimRegistered(), Wording(text="a claim"))])
    stripped = Recorded(2, recorded.leaf_raw, None, None, recorded.identity_salt, recorded.identity_raw)
    damaged = await a_prefix(log, 1)
    await damaged.restore([stripped])

    with pytest.raises(Damaged, match="position 2: its wording is missing"):
        await bytes_of(damaged)


async def test_an_erasure_during_an_export_is_noticed() -> None:
    class ErasesMeanwhile(MemoryLog):
        async def head(self) -> int:
            head = await super().head()
            await self.append([erasure("registered")])
            return head

    log = await ErasesMeanwhile.open()
    await log.append([event("registered", ClaimRegistered(), Wording(text="a claim"))])

    with pytest.raises(Busy, match="export again"):
        await bytes_of(log)


# --- evidence --------------------------------------------------------------------------------------


async def evidence_of(*snapshots: bytes) -> MemoryEvidence:
    evidence = MemoryEvidence()
    for data in snapshots:
        await evidence.put(data, sha256=hashlib.sha256(data).hexdigest())
    return evidence


async def test_snapshots_travel_with_the_log() -> None:
    log, evidence = await a_log(), await evidence_of(b"the letter", bytes(range(256)), b"")
    written = await bytes_of(log, evidence=evidence)
    again, copies = await an_empty_log(), MemoryEvidence()

    restored = await restore(again, io.BytesIO(written), evidence=copies)

    assert restored.snapshots == 3
    assert await copies.all() == await evidence.all()
    assert await copies.get(hashlib.sha256(b"the letter").hexdigest()) == b"the letter"
    assert await bytes_of(again, evidence=copies) == written


async def test_snapshots_are_refused_where_there_is_no_place_for_them() -> None:
    log = await an_empty_log()

    with pytest.raises(Invalid, match="say where to keep them"):
        await restore(log, io.BytesIO(await bytes_of(await a_log(), evidence=await evidence_of(b"the letter"))))

    assert await log.head() == 0
