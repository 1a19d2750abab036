"""What laws are tried with: every policy, and how many examples (`LAW_EXAMPLES`)."""

from __future__ import annotations

import os
from collections.abc import Iterable

from hypothesis import settings
from strategies import claim_of

from events.leaf import Leaf
from verifier.assessment import Assessment
from verifier.policy import DEFAULT, POLICIES, Policy
from verifier.tally import Tally

EXAMPLES = int(os.environ.get("LAW_EXAMPLES", "200"))
laws = settings(max_examples=EXAMPLES, deadline=None, print_blob=True)

ALL = sorted(POLICIES)


def assess(facts: Iterable[Leaf], policy: Policy = DEFAULT) -> Assessment:
    """Say how a claim stands that facts make."""
    claim = claim_of(facts)
    return policy.assess(claim, Tally.of(claim))
