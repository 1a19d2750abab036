"""*Claim*: how a claim stands, why, who said what about it, and how that came about: now, or as we knew it then.

The facts of a claim are numbered by `step`, 1, 2, 3, …: the slider moves over them, and `?step=3` asks how the claim
stood once the third was recorded. Facts are never changed, so such an address means the same for ever.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

from annotated_types import Ge

from verifier.app import Desk
from verifier.dashboard.page import Data, Page
from verifier.errors import Invalid, NotFound
from verifier.parameters import Asked, ThenParams, Word
from verifier.policy import POLICIES

FACTS: Final = 1_000
"""How many facts of a claim its page reads. The rest is listed by the API."""

STATEMENTS: Final = 200
"""How many statements stand on one page."""

LINKED: Final = 20
"""How many linked claims are shown with how they stand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimParams(ThenParams):
    """How a claim stood once its fact number `step` was recorded; `cursor` goes on with its statements."""

    step: Annotated[int, Ge(1)] | None = None
    cursor: Word | None = None


async def claim(desk: Desk, asked: Asked) -> Data:
    """Return a claim with its statements by origin, its facts, the changes of its status, and how it stands by other
    policies. Raises `Invalid` for a step that there is not."""
    p: ClaimParams = asked.params
    id, queries = asked.ids["id"], desk.queries
    present = await queries.claim(id, **asked.at_least)  # first: it waits for the views
    facts = (await queries.events(f"claim:{id}", limit=FACTS))["items"]
    as_of = _as_of(p, facts)
    then = as_of is not None or p.said_by is not None or p.policy is not None
    answer = await queries.claim(id, as_of=as_of, said_by=p.said_by, policy=p.policy) if then else present
    statements = await queries.statements(id, as_of=as_of, said_by=p.said_by, limit=STATEMENTS, cursor=p.cursor)
    history = await queries.history(id, limit=FACTS)
    upto = answer["basis"]["position"] if as_of is not None else present["basis"]["position"]
    known = [fact for fact in facts if fact["position"] <= upto]
    return {
        "title": answer["texts"]["text"] or "A claim whose wording was erased",
        "claim": answer,
        "then": then,
        "origins": by_origin(statements["items"], answer),
        "notes": [said for said in statements["items"] if said["stance"] == "none"],
        "statements": {"next": statements["next"], "basis": statements["basis"]},
        "story": await _story(desk, answer["story"]),
        "links": await _links(desk, answer["links"][:LINKED]),
        "evidence": [await _snapshot(desk, fact) for fact in known if fact["type"] == "evidence.attached"],
        "publications": _publications(answer, facts, history["items"]),
        "verdict": _verdict(answer, facts),
        "history": [change for change in history["items"] if change["position"] <= upto],
        "policies": await _by_policy(desk, id, p, as_of, facts),
        "steps": (steps := _steps(facts, history["items"], await _first_label(desk, id, facts))),
        "bands": _bands(steps),
        "step": len(known) or 1,
        "all_facts": len(facts) < FACTS,
    }


def _as_of(p: ClaimParams, facts: Sequence[Data]) -> int | str | None:
    """Return as of what is asked; a step is the position of its fact."""
    if p.step is None:
        return p.as_of
    if p.as_of is not None:
        raise Invalid("a step says as of when it is asked: leave `as_of` out", field="step")
    if p.step > len(facts):
        raise Invalid(f"this claim has {len(facts)} facts: give a step up to that", field="step")
    position: int = facts[p.step - 1]["position"]
    return position


# --- who said what -----------------------------------------------------------------------------------


def by_origin(statements: Iterable[Data], claim: Data) -> list[Data]:
    """Gather statements by the origin as which they count: forty outlets of one letter are one group.

    A group has the statements of one side; `outlets` are those that carried it. Groups come in the order of their
    first statements, those against the claim after those for it.
    """
    decisive, groups = set(claim["computed"]["decisive"]), dict[Any, Data]()
    for said in statements:
        if said["stance"] == "none":
            continue
        side = "denial" if said["stance"] == "denied" else "support"
        group = groups.setdefault((side, said["counts_as"]), {
            "side": side, "origin": said["counts_as"], "label": None, "outlets": [], "statements": [],
        })  # fmt: skip
        group["label"] = group["label"] or said["origin_label"]
        group["statements"].append({**said, "decisive": said["event"] in decisive})
        for outlet in said["via"] or [said["source_name"]]:
            if outlet is not None and outlet not in group["outlets"]:
                group["outlets"].append(outlet)
    for group in groups.values():
        group["counted"] = any(said["standing"] == "counted" for said in group["statements"])
    return sorted(groups.values(), key=lambda group: group["side"] == "denial")


# --- what stands beside the claim --------------------------------------------------------------------


async def _story(desk: Desk, story: str | None) -> Data | None:
    if story is None:
        return None
    try:
        found = await desk.queries.story(story)
    except NotFound:  # a claim may name a story that nobody opened
        return {"id": story, "title": None}
    return {"id": story, "title": found["title"]}


async def _links(desk: Desk, links: Iterable[Data]) -> list[Data]:
    """Return the linked claims with how they stand now."""
    shown = []
    for link in links:
        try:
            other = await desk.queries.claim(link["to"])
        except NotFound:  # it was linked before anybody registered it here
            continue
        shown.append({
            "event": link["event"], "kind": link["kind"], "id": link["to"], "text": other["texts"]["text"],
            "status": other["computed"]["status"], "label": other["texts"]["label"],
        })  # fmt: skip
    return shown


async def _snapshot(desk: Desk, fact: Data) -> Data:
    """Return a document snapshot: what it is, and whether its bytes are held."""
    local, identity, wording = str(fact["fact"]["document"]), fact["identity"] or {}, fact["wording"] or {}
    sha256 = identity.get("documents", {}).get(local)
    return {
        "event": fact["id"],
        "recorded_at": fact["recorded_at"],
        "sha256": sha256,
        "media_type": fact["fact"]["media_type"],
        "size": fact["fact"]["size"],
        "shows": wording.get("shows"),
        "address": wording.get("address"),
        "held": sha256 is not None and await desk.evidence.has(sha256),
    }


def _publications(claim: Data, facts: Sequence[Data], changes: Sequence[Data]) -> list[Data]:
    """Return where the claim was used, and which recall each use has not followed yet."""
    words = {fact["id"]: fact["wording"] or {} for fact in facts if fact["type"] == "claim.published"}
    return [
        {
            **used,
            "address": words.get(used["event"], {}).get("address"),
            "recalled_at": max(
                (c["position"] for c in changes if c["recall"] and c["position"] > used["seen"]), default=None
            ),
        }
        for used in claim["publications"]
    ]


def _verdict(claim: Data, facts: Sequence[Data]) -> Data | None:
    """Return the verdict that stands, with its reason and who gave it."""
    verdict = claim["computed"]["verdict"]
    if verdict is None:
        return None
    fact: Data = next((fact for fact in facts if fact["id"] == verdict["event"]), {})
    return {
        **verdict,
        "reason": (fact.get("wording") or {}).get("reason"),
        "actor": (fact.get("identity") or {}).get("actor"),
        "recorded_at": fact.get("recorded_at"),
    }


async def _by_policy(
    desk: Desk, id: str, p: ClaimParams, as_of: int | str | None, facts: Sequence[Data]
) -> list[Data]:  # fmt: skip
    """Return how the claim stands by each policy, where it is small enough to be folded for each of them."""
    if len(facts) >= FACTS:
        return []
    answers = [
        await desk.queries.claim(id, as_of=as_of, said_by=p.said_by, policy=policy) for policy in POLICIES
    ]  # fmt: skip
    return [
        {
            "policy": answer["computed"]["policy"],
            "about": POLICIES[answer["computed"]["policy"]].about,
            "in_force": answer["computed"]["policy"] == desk.adopted.at().id,
            "status": answer["computed"]["status"],
            "label": answer["texts"]["label"],
        }
        for answer in answers
    ]


async def _first_label(desk: Desk, id: str, facts: Sequence[Data]) -> str:
    """Return the label that the claim had when nothing but its first fact was recorded."""
    label: str = (await desk.queries.claim(id, as_of=facts[0]["position"]))["texts"]["label"]
    return label


def _steps(facts: Sequence[Data], changes: Sequence[Data], first: str) -> list[Data]:
    """Return the facts as the timeline has them: each with the status in which it left the claim."""
    left = {change["position"]: change for change in changes}
    status, label, steps = "unassessed", first, []
    for fact in facts:
        change = left.get(fact["position"])
        if change is not None:
            status, label = change["status"], change["label"]
        steps.append({
            "event": fact["id"], "type": fact["type"], "position": fact["position"],
            "recorded_at": fact["recorded_at"], "status": status, "label": label,
            "changed": change is not None, "recall": bool(change and change["recall"]),
        })  # fmt: skip
    return steps


def _bands(steps: Sequence[Data]) -> list[Data]:
    """Gather steps that left the same label: from which to which one it stood."""
    bands: list[Data] = []
    for number, step in enumerate(steps, 1):
        if bands and bands[-1]["label"] == step["label"]:
            bands[-1]["to"] = number
        else:
            bands.append({"status": step["status"], "label": step["label"], "from": number, "to": number})
    return bands


PAGE: Final = Page(
    path="/claims/{id}", name="claim", about="How a claim stands, and why.", ask=claim, params=ClaimParams
)
