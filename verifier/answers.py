"""What is answered: the shapes that the server sends and the client reads, over HTTP and embedded alike.

What is computed from leaves stands in `computed` and is the same for ever under the same `basis`, also
after an erasure; names and wordings stand in `texts`, where an erased one names the event that erased
it. Unknown fields are ignored, so that an older client reads a newer server.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Answer(BaseModel):
    """Any answer: frozen, and tolerant of fields it doesn't know."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Basis(Answer):
    """What an answer rests on: enough to compute it again and get the same.

    `position` is the last event of the log that was looked at, `recorded_at` its time; with `said_by`, only
    what had been said by that moment was counted; `speculative` is an answer in which something counts that nobody
    recorded, and which therefore can't be had again by its basis.
    """

    log: str
    position: int
    recorded_at: str | None = None
    policy: str | None = None
    policy_digest: str | None = None
    state_digest: str | None = None
    said_by: str | None = None
    speculative: bool = False


class Counts(Answer):
    """Origins for and against, and outlets that carry the supports."""

    support_origins: int
    denial_origins: int
    outlets: int


class SetAside(Answer):
    """A statement without effect, and why."""

    event: str
    reason: str


class Computed(Answer):
    """The status and what it rests on. The lists are cut at 20; `total` says how many there are."""

    claim: str
    position: int
    policy: str
    status: str
    rule: str
    counts: Counts
    grounds: dict[str, Any]
    decisive: tuple[str, ...]
    set_aside: dict[str, Any]
    superseded: dict[str, Any]
    left_out: dict[str, Any]
    attention: tuple[str, ...]
    verdict: dict[str, Any] | None
    into: tuple[str, ...]
    checkable: bool


class Texts(Answer):
    """Names and wordings. `names` gives parties, origins and documents by their number in the claim."""

    text: str | None = None
    place: str | None = None
    note: str | None = None
    label: str
    explanation: str
    names: dict[str, dict[str, Any]] = {}
    erased: dict[str, str] = {}


class Claim(Answer):
    """A claim as it stands. `position` is that of its last event: what `If-Match` compares.

    `attention` says what somebody should look at: what `computed` says, and in an answer about the present
    also `contradicted` (a claim that it is linked with stands, and both can't) and `same_source` (two of its
    sources have names that look alike).
    """

    id: str
    position: int
    kind: str
    language: str
    story: str | None
    checkable: bool
    accuses: tuple[int, ...] = ()
    valid_from: str | None = None
    valid_to: str | None = None
    links: tuple[dict[str, Any], ...] = ()
    publications: tuple[dict[str, Any], ...] = ()
    attention: tuple[str, ...] = ()
    computed: Computed
    texts: Texts
    basis: Basis
    behind: bool = False

    @property
    def text(self) -> str | None:
        """The claim's present wording, or `None` where it was erased."""
        return self.texts.text

    @property
    def status(self) -> str:
        """How the evidence stands. Never show it without `label`."""
        return self.computed.status

    @property
    def label(self) -> str:
        """The status with the least that must stand beside it."""
        return self.texts.label

    @property
    def explanation(self) -> str:
        """Why the status is what it is."""
        return self.texts.explanation

    @property
    def rule(self) -> str:
        """The rule that decided."""
        return self.computed.rule

    @property
    def counts(self) -> Counts:
        """Origins for and against, and outlets."""
        return self.computed.counts

    @property
    def verdict(self) -> str | None:
        """An authorised person's verdict, if one stands. It is not part of the status."""
        return self.computed.verdict["verdict"] if self.computed.verdict else None


class Written(Claim):
    """The claim after a write. `statement` is the id of the fact that the write recorded, `written_at`
    its position, `effect` how it was understood, `recorded` every event of the append. The answer to a what-if
    has this shape, too: `written_at` is 0 then, and `recorded` is empty."""

    statement: str
    written_at: int
    effect: str
    recorded: tuple[str, ...]
    key: str


class Done(Answer):
    """What a write recorded, in brief: on a source, a story or the log, and for every line of a batch.
    `id` is what the write was about; `status` and `rule` are the claim's, where it was about one."""

    id: str
    statement: str
    written_at: int
    effect: str
    recorded: tuple[str, ...]
    key: str
    basis: Basis
    status: str | None = None
    rule: str | None = None


class Attested(Answer):
    """An attestation: the event at `position` says that the tree over all claim states at `at`, under `policy`, has
    this `root`."""

    position: int
    event: str
    at: int
    policy: str
    root: str
    basis: Basis


class Attestation(Answer):
    """The state of a claim as it was attested, and the proof of it.

    `state` is canonical JSON, to be hashed as it stands; `index`, `size` and `proof` (hashes in hex) lead from it to
    the `root` (RFC 6962), which the `event` at `position` recorded. `basis` is that of the state: the claim asked for
    as of `at` under this policy gives it again.
    """

    claim: str
    state: str
    index: int
    size: int
    proof: tuple[str, ...]
    root: str
    at: int
    policy: str
    position: int
    event: str
    basis: Basis


class Event(Answer):
    """One event as recorded: the leaf verbatim as a string and decoded, and the texts beside it."""

    position: int
    id: str
    stream: str
    type: str
    recorded_at: str
    fact: dict[str, Any]
    wording: dict[str, Any] | None
    identity: dict[str, Any] | None
    leaf: str


class Statement(Answer):
    """One statement of a claim, and what became of it: `standing` is counted, set_aside, superseded,
    retracted, corrected, attributed, withdrawn or note. `as_party` is what its source is to the claim; `counts_as` is
    the origin as which its own counts, since origins were merged."""

    event: str
    claim: str
    position: int
    recorded_at: str
    recorded_by: str | None = None
    type: str
    stance: str
    kind: str | None = None
    source: int | None
    source_id: str | None
    source_name: str | None
    via: tuple[str, ...] = ()
    carries: bool = False
    origin: int | None
    origin_label: str | None
    counts_as: int | None = None
    attribution: str | None
    extent: str | None
    as_party: str = "unknown"
    occurred: dict[str, Any] | None
    documents: tuple[str, ...] = ()
    derived_from: str | None = None
    quote: dict[str, Any] | None = None
    note: str | None = None
    reason: str | None = None
    standing: str


class Change(Answer):
    """One change of one claim's status: what it was, what it is, which event caused it, and whether
    what a careful publisher printed no longer stands (`recall`)."""

    position: int
    recorded_at: str
    claim: str
    story: str | None
    previous: str
    status: str
    label: str
    rule: str
    counts: Counts
    cause: str
    cause_type: str
    explanation: str
    recall: bool
    verdict: str | None = None
    policy: str
    text: str | None = None
    basis: Basis


class Source(Answer):
    """A source, and how the claims stand that it spoke about: a count by status and side, never a score.

    `same_source` are the names of other sources that look like this one's: they may be the same.
    """

    id: str
    name: str | None
    kind: str = "unknown"
    role: str | None = None
    aliases: tuple[str, ...] = ()
    same_as: str | None = None
    protected: bool = False
    statements: int = 0
    standing: dict[str, dict[str, int]] = {}
    claims: tuple[dict[str, Any], ...] = ()
    same_source: tuple[str, ...] = ()
    basis: Basis
    behind: bool = False


class Story(Answer):
    """A story, and its claims by status."""

    id: str
    title: str | None
    position: int
    claims: int = 0
    by_status: dict[str, int] = {}
    basis: Basis
    behind: bool = False


class Page(Answer):
    """One page of a list. `next` is the cursor of the next one; `position` is where a feed goes on from it."""

    items: tuple[dict[str, Any], ...]
    next: str | None = None
    position: int
    basis: Basis
    behind: bool = False


class Found(Answer):
    """The one id that ends as was asked."""

    id: str


class Webhook(Answer):
    """An endpoint: where changes go and which of them, and how far it is.

    Every change up to `position` was queued for it or not wanted; `waiting` of these it doesn't have yet, the first at
    `oldest`, and `dead` were given up. `failing` says why it got nothing the last time, where it didn't, and `disabled`
    why it gets nothing any more. `secret` is told once, to whoever made it; `secrets` says which count now.
    """

    id: str
    url: str
    claim: str | None = None
    story: str | None = None
    source: str | None = None
    status: str | None = None
    recalls: bool = False
    position: int
    waiting: int = 0
    oldest: int | None = None
    dead: int = 0
    failing: str | None = None
    disabled: str | None = None
    made_at: str
    secrets: tuple[dict[str, Any], ...] = ()
    secret: str | None = None
    basis: Basis


class DeadLetter(Answer):
    """A message that was given up: which change it was about, how often and from when until when it was tried, and why
    it failed the last time."""

    position: int
    claim: str
    attempts: int
    first_at: str
    given_up_at: str
    failure: str


class Checkpoint(Answer):
    """The last signed checkpoint of the log, and what it says: `size` events have the `root` (RFC 6962, in base64).

    `checkpoint` is the signed note as it stands; `vkeys` are the public keys that this server says sign it, to be
    compared with keys that reached you in another way.
    """

    log: str
    name: str
    size: int
    root: str
    checkpoint: str
    vkeys: tuple[str, ...]


class Receipt(Answer):
    """Facts with the proofs that they are in the log, verified without the log and without us.

    Each of `facts` has its `position`, its `leaf` and texts with their salts as an export has them, and a `proof`
    (hashes in base64) that leads from the leaf to the root in the `checkpoint`. `claim`, in a claim's receipt, says
    how these facts were read: `computed`, `explanation` and the `basis` with the policy and its digest.

    `attestation` is there once this was attested. Its `state`, to be hashed as it stands, its `index`, `size` and
    `proof` (hashes in base64) lead to the root that the leaf of its `fact` holds; that is an event like those above.
    """

    format: str
    version: int
    log: str
    name: str
    vkeys: tuple[str, ...]
    checkpoint: str
    facts: tuple[dict[str, Any], ...]
    claim: dict[str, Any] | None = None
    attestation: dict[str, Any] | None = None


class Health(Answer):
    """Whether the server can serve: the log, its head, how far the views are and how far behind, in events and in
    seconds since the oldest of these was recorded, and how far a rebuild of them is, where one is under way; `sealed`
    is up to where the log is sealed, nothing where it isn't, and what lies beyond that is told like a lag."""

    status: str
    log: str
    head: int
    views: int
    lag_events: int = 0
    lag_seconds: float = 0.0
    version: str
    rebuilding: int | None = None
    sealed: int | None = None
    unsealed_events: int = 0
    unsealed_seconds: float = 0.0
    detail: str | None = Field(default=None, description="What is wrong, where something is.")
