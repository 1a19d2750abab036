"""The state digest of a log from its leaves alone, written straight from the rules and with no regard for cost.

An independent second opinion on `verifier.states`, `verifier.replay` and `verifier.policy.assess`: it takes the leaves
as JSON, asks `oracle` how each claim stands, writes the state down field by field, and hashes it as RFC 6962 says. It
imports nothing of `verifier`, and of `events` only what decodes a leaf.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from oracle import Book, Voice, _bounds, decisive, judge

from events.contracts import (
    AdjudicationWithdrawn,
    ClaimAdjudicated,
    ClaimMerged,
    ClaimNoted,
    ClaimRegistered,
    ClaimSplit,
    Occurred,
    OriginsMerged,
    OriginsSplit,
    PolicyAdopted,
    StatementAttributed,
    StatementCorrected,
    StatementRetracted,
)
from events.leaf import Leaf, decode_leaf

SHOWN = 20
RESTS = {"R0": "ending", "R2": "retractions", "R3": "eligible", "R4": "weak", "P3": "denials", "R7": "nothing"}

State = dict[str, Any]


def digest_of(leaves: Sequence[bytes], policy: str | None = None) -> str:
    """Return the state digest at the last of these leaves, under the policy in force there or the one given."""
    states = states_of(leaves, policy)
    return root([states[id] for id in sorted(states)]).hex()


def states_of(leaves: Sequence[bytes], policy: str | None = None) -> dict[str, bytes]:
    """Return the state of every claim as canonical JSON."""
    streams: dict[str, list[tuple[int, Leaf]]] = defaultdict(list)
    in_force = "standing/1"
    for position, raw in enumerate(leaves, 1):
        leaf = decode_leaf(raw)
        streams[leaf.stream].append((position, leaf))
        if isinstance(leaf.fact, PolicyAdopted):
            in_force = leaf.fact.policy
    return {
        stream[len("claim:") :]: canonical(state(stream[len("claim:") :], facts, policy or in_force))
        for stream, facts in streams.items()
        if stream.startswith("claim:")
    }


def canonical(value: Any) -> bytes:
    """Write JSON as RFC 8785 has it, for what holds no floats."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def root(entries: Sequence[bytes]) -> bytes:
    """Hash a list of entries, as RFC 6962, section 2.1, defines it."""
    if not entries:
        return hashlib.sha256(b"").digest()
    if len(entries) == 1:
        return hashlib.sha256(b"\x00" + entries[0]).digest()
    half = 1
    while 2 * half < len(entries):
        half *= 2
    return hashlib.sha256(b"\x01" + root(entries[:half]) + root(entries[half:])).digest()


def state(claim: str, facts: Sequence[tuple[int, Leaf]], policy: str) -> State:
    """Write down how a claim stands."""
    leaves = {leaf.id: leaf for _, leaf in facts}
    book, answer = Book(leaves, None), judge(leaves.values(), policy)
    rests = RESTS.get(answer.rule, "supports" if answer.rule in ("R5", "R6") else "all")
    grounds = [ground(book, id) for id in answer.grounds[:SHOWN]]
    weighs = answer.grounds if rests == "ending" else decisive(leaves.values(), policy)
    verdict = standing_verdict(leaves)
    registered = [leaf.fact for leaf in leaves.values() if isinstance(leaf.fact, ClaimRegistered)]
    return {
        "attention": [
            *([] if rests == "ending" else attention(book, answer, grounds, weighs)),
            *(["verdict_stale"] if verdict and verdict[1].status != answer.status else []),
        ],
        "checkable": bool(registered) and registered[0].checkable,
        "claim": claim,
        "counts": dict(zip(("support_origins", "denial_origins", "outlets"), answer.counts, strict=True)),
        "decisive": weighs,
        "denials": []
        if rests in ("eligible", "weak", "denials")
        else [ground(book, v.id) for v in [*book.eligible(), *book.weak()][:3]],
        "grounds": {"shown": grounds, "total": len(answer.grounds)},
        "into": into(leaves.values()),
        "left_out": {"shown": [], "total": 0},
        "origins": first_origins(book),
        "policy": policy,
        "position": max(position for position, _ in facts),
        "rule": answer.rule,
        "set_aside": set_aside(book),
        "status": answer.status,
        "superseded": cut([v.id for v in in_order(book) if book.is_superseded(v)]),
        "verdict": verdict
        and {
            "event": verdict[0],
            "seen": verdict[1].seen,
            "stale": verdict[1].status != answer.status,
            "status": verdict[1].status,
            "verdict": verdict[1].verdict,
        },
    }


# --- what it rests on ------------------------------------------------------------------------------


def ground(book: Book, id: str) -> State:
    """Write down one fact on which a status rests."""
    fact = book.facts[id].fact
    if isinstance(fact, StatementRetracted):
        named = book.voice(fact.statement)
        return _ground(id, source=fact.party, origin=named and named.origin, occurred=when(book, id))
    voice = book.voice(id)
    if voice is None:  # the claim has ended
        return _ground(id)
    return _ground(
        id,
        source=voice.source,
        via=list(voice.via[:SHOWN]),
        origin=voice.origin,
        carries=voice.carries,
        attribution=voice.attribution,
        standing=voice.standing,
        extent=voice.extent,
        occurred=when(book, id),
    )


def _ground(id: str, **told: Any) -> State:
    names = ("source", "origin", "attribution", "standing", "extent", "occurred")
    return {"event": id, "via": [], "carries": False, **dict.fromkeys(names), **told}


def when(book: Book, id: str) -> State:
    """Write down when a fact says it was said; what nobody dated was said when it was recorded."""
    fact = book.facts[id].fact
    while isinstance(fact, StatementAttributed):  # who said it was found later; when, was said at first
        id, fact = fact.statement, book.facts[fact.statement].fact
    said: Occurred = fact.occurred
    earliest, latest = said.earliest, said.latest
    if said.precision != "unknown" and earliest is None:
        earliest, latest = _bounds(said, book.facts[id].recorded_at)
    written = {"basis": said.basis, "earliest": earliest, "latest": latest, "precision": said.precision}
    least = {"basis": "assumed", "earliest": None, "latest": None, "precision": "instant"}
    return {name: value for name, value in written.items() if value != least[name]}


def in_order(book: Book) -> list[Voice]:
    return sorted(book.live(), key=lambda voice: voice.order)


def cut(ids: Sequence[str]) -> State:
    return {"shown": list(ids[:SHOWN]), "total": len(ids)}


def set_aside(book: Book) -> State:
    unnamed = [v.id for v in in_order(book) if v.attribution == "unattributed"]
    partial = [v.id for v in in_order(book) if v.id not in unnamed and v.side == "support" and v.extent == "part"]
    shown = [
        *({"event": id, "reason": "the speaker is not identified"} for id in unnamed[:SHOWN]),
        *({"event": id, "reason": "speaks of a part only"} for id in partial[:SHOWN]),
    ]
    return {"shown": shown[:SHOWN], "total": len(unnamed) + len(partial)}


def first_origins(book: Book) -> list[int]:
    """Return one origin for each group among the first supporting origins, under the numbers that merges left."""
    left = survivors(book)
    origins = sorted({left.get(v.origin, v.origin) for v in book.supports()})[:SHOWN]
    firsts = {group: origin for group in book.groups() for origin in reversed(origins) if book.root(origin) in group}
    return sorted(firsts.values())[:3]


def survivors(book: Book) -> dict[int, int]:
    """Return for each origin that was merged away the one that was kept."""
    split = {fact.merge for _, fact in book.of(OriginsSplit)}
    left: dict[int, int] = {}

    def survivor(origin: int) -> int:
        return survivor(left[origin]) if origin in left else origin

    merges = [(fact.kept, fact.merged) for id, fact in book.of(OriginsMerged) if id not in split]
    for kept, merged in sorted(merges):
        if survivor(kept) != survivor(merged):
            left[survivor(merged)] = survivor(kept)
    return {origin: survivor(origin) for origin in left}


# --- what else is said -----------------------------------------------------------------------------


def attention(book: Book, answer: Any, grounds: Sequence[State], weighs: Sequence[str]) -> list[str]:
    undated = [g["event"] for g in grounds if g["occurred"] and g["occurred"].get("precision") == "unknown"]
    counted = bool(book.supports() or book.denials())
    reasons = {
        "who": answer.unattributed or has_open_note(book),
        "when": any(event in weighs for event in undated),
        "no_evidence": counted and not answer.documented,
        "overtaken": answer.status == "denied" and answer.overtaken,
    }
    return [reason for reason, holds in reasons.items() if holds]


def has_open_note(book: Book) -> bool:
    """Say whether there is a note of nobody knows whom, on which nothing that stands has acted."""
    acted_on = {fact.statement for _, fact in book.of(StatementRetracted, StatementCorrected, StatementAttributed)}
    return any(fact.attribution == "unattributed" and id not in acted_on for id, fact in book.of(ClaimNoted))


def standing_verdict(leaves: dict[str, Leaf]) -> tuple[str, ClaimAdjudicated] | None:
    given = {id: leaf.fact for id, leaf in leaves.items() if isinstance(leaf.fact, ClaimAdjudicated)}
    gone = {leaf.fact.adjudication for leaf in leaves.values() if isinstance(leaf.fact, AdjudicationWithdrawn)}
    gone |= {fact.replaces for fact in given.values() if fact.replaces}
    return max(((id, fact) for id, fact in given.items() if id not in gone), key=_by_seen, default=None)


def _by_seen(verdict: tuple[str, ClaimAdjudicated]) -> tuple[int, str]:
    return verdict[1].seen, verdict[0]


def into(leaves: Iterable[Leaf]) -> list[str]:
    for leaf in sorted(leaves, key=lambda leaf: leaf.id):
        if isinstance(leaf.fact, ClaimMerged):
            return [leaf.fact.into]
        if isinstance(leaf.fact, ClaimSplit):
            return list(leaf.fact.into)
    return []
