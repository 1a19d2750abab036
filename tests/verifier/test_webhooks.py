"""The pure parts of webhooks: which addresses there can be, who wants what, signatures, pauses and the order of what
waits."""

from __future__ import annotations

import random
from collections import defaultdict
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook

from verifier.errors import Invalid
from verifier.webhooks import backoff
from verifier.webhooks.backoff import LIFETIME, LONGEST, Outcome, asked_pause, pause
from verifier.webhooks.endpoint import Change, Endpoint, Filters, Secret, checked_url, is_told
from verifier.webhooks.queue import AT_ONCE, FEW, Queue, Waiting
from verifier.webhooks.signing import headers_of, message_id, new_secret

NOW = 1_700_000_000.0
REFUSED = Outcome(status=500)


# --- addresses -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "https://cms.example.org/hooks/claims?desk=1",
        "https://10.1.2.3:8443/hook",
        "http://127.0.0.1:9000/",
        "http://[::1]:9000/",
        "http://localhost/hook",
    ],
)
def test_an_address_that_can_receive_is_taken(url: str) -> None:
    assert checked_url(url) == url


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://cms.example.org/hook", "use https"),
        ("http://10.1.2.3/hook", "use https"),
        ("http://127.0.0.1.example.org/", "use https"),
        ("ftp://example.org/", "no address"),
        ("file:///etc/passwd", "no address"),
        ("javascript:alert(1)", "no address"),
        ("https://", "no address"),
        ("https://example.org:99999/", "no address"),
        ("cms.example.org", "no address"),
        ("https://example.org/" + "x" * 2_000, "no address"),
        ("https://user:hunter2@example.org/", "password"),
        ("https://169.254.169.254/latest/meta-data", "nobody receives"),
        ("https://[fe80::1]/", "nobody receives"),
        ("https://[::ffff:169.254.169.254]/", "nobody receives"),
        ("https://0.0.0.0/", "nobody receives"),
        ("https://224.0.0.1/", "nobody receives"),
    ],
)
def test_an_address_that_must_not_receive_is_refused_and_not_repeated(url: str, why: str) -> None:
    with pytest.raises(Invalid, match=why) as refused:
        checked_url(url)
    assert "hunter2" not in refused.value.detail


# --- who wants what --------------------------------------------------------------------------------


def change(**given: object) -> Change:
    """A change, otherwise of this claim to *asserted*."""
    usual = {"position": 5, "claim": "clm_a", "story": "sto_a", "previous": "unassessed", "status": "asserted"}
    return Change(**{**usual, "recall": False, **given})


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        ({}, True),
        ({"claim": "clm_a", "story": "sto_a", "status": "asserted"}, True),
        ({"claim": "clm_b"}, False),
        ({"story": "sto_b"}, False),
        ({"status": "denied"}, False),
        ({"source": "src_a"}, False),
        ({"recalls": True}, False),
    ],
    ids=str,
)
def test_an_endpoint_wants_what_all_of_its_filters_let_through(filters: dict[str, object], wanted: bool) -> None:
    assert Filters(**filters).want(change(), of_source=False) is wanted


def test_a_source_is_wanted_where_it_has_said_something() -> None:
    assert Filters(source="src_a").want(change(), of_source=True)


@pytest.mark.parametrize(
    ("recall", "told", "goes"),
    [(True, "denied", True), (True, "asserted", False), (True, None, False), (False, "denied", False)],
)
def test_what_nobody_asked_for_goes_to_whoever_was_told_what_it_recalls(
    recall: bool, told: str | None, goes: bool
) -> None:
    recalls_denied = change(previous="denied", status="disputed", recall=recall)
    assert is_told(recalls_denied, wanted=False, told=told) is goes


# --- signatures ------------------------------------------------------------------------------------


@given(body=st.text(max_size=200), timestamp=st.integers(1_500_000_000, 2_500_000_000))
def test_a_signature_is_the_one_that_the_standard_has(body: str, timestamp: int) -> None:
    secret = new_secret()
    id = message_id("log_a", 5, "clm_a", "whk_a")
    headers = headers_of(id, timestamp, body.encode(), [secret])
    theirs = Webhook(secret).sign(id, datetime.fromtimestamp(timestamp, UTC), body)
    assert headers == {"webhook-id": id, "webhook-timestamp": str(timestamp), "webhook-signature": theirs}


def test_the_example_of_the_standard_is_signed_as_it_says() -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    headers = headers_of("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}', [secret])
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_message_has_one_id_for_each_log_position_claim_and_endpoint_and_no_dot_in_it() -> None:
    ids = {message_id(log, n, claim, end) for log in "ab" for n in (1, 11) for claim in "cd" for end in "ef"}
    assert len(ids) == 16
    assert not any("." in id for id in ids)
    assert message_id("a", 1, "c", "e") in ids


def test_a_secret_is_random_long_enough_and_marked_as_one() -> None:
    secrets = {new_secret() for _ in range(100)}
    assert len(secrets) == 100
    assert all(secret.startswith("whsec_") and len(secret) == 50 for secret in secrets)


def test_secrets_count_until_their_end_the_newest_first_and_are_never_shown() -> None:
    old = Secret(id="a", key="whsec_old", made_at=1.0, until=100.0)
    new = Secret(id="b", key="whsec_new", made_at=50.0)
    endpoint = Endpoint(id="e", url="u", filters=Filters(), position=0, made_at=0.0, secrets=(old, new))
    assert endpoint.keys(99.0) == ["whsec_new", "whsec_old"]
    assert endpoint.keys(100.0) == ["whsec_new"]
    assert "whsec" not in repr(endpoint)


# --- pauses ----------------------------------------------------------------------------------------


@given(attempts=st.integers(1, 10_000), chance=st.floats(0, 1))
def test_a_pause_is_never_short_and_never_longer_than_the_longest(attempts: int, chance: float) -> None:
    assert 4.0 <= pause(attempts, chance) <= LONGEST * 1.2 + 1e-6


def test_pauses_grow_from_seconds_to_hours_over_days() -> None:
    pauses = [pause(attempts, 0.5) for attempts in range(1, 21)]
    assert pauses == sorted(pauses)
    assert pauses[:4] == [5.0, 20.0, 80.0, 320.0]
    assert sum(pauses) > LIFETIME > sum(pauses[:15])


@pytest.mark.parametrize(
    ("status", "value", "seconds"),
    [
        (503, "120", 120.0),
        (429, "120", 120.0),
        (500, "120", 0.0),
        (503, None, 0.0),
        (503, "soon", 0.0),
        (503, "-5", 0.0),
        (503, "99999999999999999999", backoff.ASKED),
        (503, "Tue, 14 Nov 2023 22:14:20 GMT", 60.0),
        (503, "Tue, 14 Nov 2023 22:00:00 GMT", 0.0),
        (503, "²", 0.0),
    ],
)
def test_an_answer_may_ask_for_a_pause(status: int, value: str | None, seconds: float) -> None:
    assert asked_pause(status, value, NOW) == seconds


# --- what waits ------------------------------------------------------------------------------------


def waiting(*places: tuple[int, str]) -> list[Waiting]:
    """Messages that are due."""
    return [Waiting(position=position, claim=claim, due=NOW) for position, claim in places]


def taken(queue: Queue, now: float) -> list[tuple[int, str]]:
    """Take everything that may be sent at once."""
    found = []
    while (message := queue.take(now)) is not None:
        found.append((message.position, message.claim))
    return found


def test_messages_about_one_claim_go_one_by_one_and_those_about_others_beside() -> None:
    queue = Queue()
    first, second, _ = messages = waiting((1, "a"), (2, "a"), (3, "b"))
    queue.add(messages)
    assert taken(queue, NOW) == [(1, "a"), (3, "b")]
    queue.delivered(first, NOW)
    assert taken(queue, NOW) == [(2, "a")]
    queue.delivered(second, NOW)
    assert len(queue) == 1


def test_a_message_that_fails_holds_up_its_claim_and_no_other() -> None:
    queue = Queue()
    queue.add(waiting((1, "a"), (2, "a"), (3, "b")))
    message = queue.take(NOW)
    assert message is not None
    again = queue.failed(message, REFUSED, NOW, 0.5)
    assert again is not None
    assert (again.attempts, again.first, again.due, again.failure) == (1, NOW, NOW + 5, "it answers 500")
    assert taken(queue, NOW) == [(3, "b")]
    assert taken(queue, NOW + 4.9) == []
    assert taken(queue, NOW + 5) == [(1, "a")]


def test_so_many_messages_are_on_their_way_at_once_and_no_more() -> None:
    queue = Queue()
    queue.add(waiting(*((n, f"claim {n}") for n in range(100))))
    assert len(taken(queue, NOW)) == AT_ONCE
    assert queue.due() is None


def test_an_endpoint_that_is_away_is_tried_now_and_then_and_gets_everything_at_once_when_it_is_back() -> None:
    queue = Queue()
    queue.add(waiting(*((n, f"claim {n}") for n in range(FEW + 2))))
    now = NOW
    for _ in range(FEW):
        message = queue.take(now)
        assert message is not None
        queue.failed(message, REFUSED, now, 0.5)
    assert queue.resting
    assert taken(queue, now) == []
    now = queue.due() or 0
    assert now > NOW
    tried = queue.take(now)
    assert tried is not None
    assert taken(queue, now + 3_600) == []  # one message, until it is known what became of it
    queue.delivered(tried, now)
    assert queue.failure is None
    assert len(taken(queue, now)) == FEW + 1


def test_an_answer_that_asks_for_a_pause_is_one_for_the_whole_endpoint() -> None:
    queue = Queue()
    queue.add(waiting((1, "a"), (2, "b")))
    message = queue.take(NOW)
    assert message is not None
    queue.failed(message, Outcome(status=429, after=600.0), NOW, 0.5)
    assert queue.due() == NOW + 600
    assert taken(queue, NOW + 599) == []
    assert len(taken(queue, NOW + 600)) == 2


def test_a_message_is_given_up_after_days_and_lets_the_next_one_through() -> None:
    queue = Queue()
    queue.add(waiting((1, "a"), (2, "a")))
    now, tries = NOW, 0
    while True:
        message = queue.take(now)
        assert message is not None
        assert message.position == 1
        tries += 1
        if queue.failed(message, REFUSED, now, 0.5) is None:
            break
        now = queue.due() or 0
    assert now - NOW >= LIFETIME
    assert 15 <= tries <= 25
    following = queue.take(queue.due() or 0)
    assert following is not None
    assert following.position == 2


@pytest.mark.parametrize("seed", range(20))
def test_whatever_fails_every_message_comes_to_an_end_in_order_per_claim(seed: int) -> None:
    dice = random.Random(seed)
    queue, now = Queue(), NOW
    places = [(n, f"claim {dice.randrange(8)}") for n in range(200)]
    unsent = waiting(*places)
    underway: list[Waiting] = []
    ended: dict[str, list[int]] = defaultdict(list)
    while unsent or len(queue):
        if unsent:
            queue.add([unsent.pop(0) for _ in range(min(len(unsent), dice.randrange(20)))])
        while (message := queue.take(now)) is not None:
            underway.append(message)
        assert len(underway) <= AT_ONCE
        assert len({message.claim for message in underway}) == len(underway)
        if not underway:
            now = max(now, queue.due() or now)
            continue
        message = underway.pop(dice.randrange(len(underway)))
        now += dice.random()
        if dice.random() < 0.4:
            ended[message.claim].append(message.position)
            queue.delivered(message, now)
        elif queue.failed(message, REFUSED, now, dice.random()) is None:
            ended[message.claim].append(message.position)
    assert queue.due() is None
    wanted: dict[str, list[int]] = defaultdict(list)
    for position, claim in places:
        wanted[claim].append(position)
    assert ended == wanted
