"""Turn what was folded and assessed into an answer. Sentences are rendered here, when read, and stored nowhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from events.contracts import Wording
from events.log import Recorded
from verifier.assessment import Assessment
from verifier.claim import Claim as State
from verifier.fold import Folded
from verifier.names import Names
from verifier.policy import Policy
from verifier.sentences import explanation, label


def basis(
    log_id: str, position: int, recorded_at: str | None, policy: Policy | None = None, state_digest: str | None = None
) -> dict[str, Any]:
    """Return what an answer rests on."""
    return {
        "log": log_id,
        "position": position,
        "recorded_at": recorded_at,
        "policy": policy.id if policy else None,
        "policy_digest": policy.digest if policy else None,
        "state_digest": state_digest,
    }


def claim(folded: Folded, assessment: Assessment, policy: Policy, log_id: str, position: int) -> dict[str, Any]:
    """Return a claim as it stands, in the shape of `answers.Claim`, ready to be encoded."""
    state, names = folded.claim, folded.names
    return {
        **public(state),
        "attention": assessment.attention,
        "computed": assessment,
        "texts": texts(assessment, names, names.wordings.get(state.wording), erased(names)),
        "basis": basis(log_id, max(position, state.position), state.recorded_at, policy, assessment.digest),
    }


def public(state: State) -> dict[str, Any]:
    """Return what the leaves say of a claim beside its status: it names nobody."""
    form = state.form
    return {
        "id": state.id,
        "position": state.position,
        "kind": form.kind if form else "other",
        "language": form.language if form else "en",
        "story": state.registered.story if state.registered else None,
        "checkable": state.checkable,
        "accuses": state.registered.accuses if state.registered else (),
        "valid_from": form.valid_from if form else None,
        "valid_to": form.valid_to if form else None,
        "links": [
            {"event": event, "kind": link.kind, "to": link.to}
            for event, link in state.links.items()
            if event not in state.links_gone
        ],
        "publications": [
            {"event": event, "day": used.day, "seen": used.seen, "status": used.status}
            for event, used in state.publications.items()
            if event not in state.publications_gone
        ],
    }


def texts(
    assessment: Assessment, names: Names, wording: Wording | None, erased: Mapping[str, str]
) -> dict[str, Any]:  # fmt: skip
    """Return the words of a claim: its wording, the sentences of its status and the names behind its numbers."""
    return {
        "text": wording.text if wording else None,
        "place": wording.place if wording else None,
        "note": wording.note if wording else None,
        "label": label(assessment, names),
        "explanation": explanation(assessment, names),
        "names": mentioned(assessment, names),
        "erased": dict(erased),
    }


def erased(names: Names) -> dict[str, str]:
    """Return the events whose texts were erased, each with the event that erased it."""
    return {event: by for (event, _slot), by in names.erased.items()}


def mentioned(assessment: Assessment, names: Names) -> dict[str, dict[str, Any]]:
    """Return the names behind the numbers that an assessment mentions."""
    grounds = (*assessment.grounds.shown, *assessment.denials)
    parties = {n for g in grounds for n in (g.source, *g.via) if n is not None}
    origins = {g.origin for g in grounds if g.origin is not None} | set(assessment.origins)
    return {
        "parties": {str(n): names.party(n) for n in sorted(parties)},
        "origins": {str(n): names.origin(n) for n in sorted(origins)},
    }


def event(recorded: Recorded) -> dict[str, Any]:
    """Return an event in the shape of `answers.Event`."""
    leaf = recorded.leaf
    fact = msgspec.to_builtins(leaf.fact)
    return {
        "position": recorded.position,
        "id": leaf.id,
        "stream": leaf.stream,
        "type": fact["type"],
        "recorded_at": leaf.recorded_at,
        "fact": fact,
        "wording": msgspec.to_builtins(recorded.wording),
        "identity": msgspec.to_builtins(recorded.identity),
        "leaf": recorded.leaf_raw.decode(),
    }
