"""The specification of a log. Every engine meets it unchanged, and no test asks which one it has.

The numbers are those of the guarantees in `events/log.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import pytest
from making import a_claim, all_of, erased, everything, following, next_page, recorded_fact, said, taken
from msgspec import structs

from events.contracts import ClaimDenied, Identity, LogOpened, Slot, Wording
from events.errors import Closed, Conflict, ForeignCursor, IdempotencyMismatch, Invalid, LogError, TooLarge
from events.leaf import LEAF_LIMIT, TEXT_LIMIT, canonical, new_id, text_digest
from events.log import APPEND_LIMIT, PAGE, Log, Proposed, Recorded, opening
from events.open import open_log

Refusal = TypeVar("Refusal", bound=LogError)


async def refused(call: Awaitable[object], error: type[Refusal]) -> Refusal:
    """Await a call that must be refused, and return why it was."""
    with pytest.raises(error) as caught:
        await call
    return caught.value


# --- a new log -------------------------------------------------------------------------------------


async def test_a_new_log_begins_with_its_own_opening(log: Log) -> None:
    [first] = await everything(log)

    assert first.position == 1
    assert first.stream == "log"
    assert isinstance(first.fact, LogOpened)
    assert first.fact.log == log.id
    assert first.identity == Identity(actor="verifier")


async def test_an_url_that_names_no_log_is_refused_with_those_that_do() -> None:
    error = await refused(open_log("postgres://somewhere"), Invalid)

    assert "sqlite:///" in str(error)


async def test_a_log_that_must_be_there_is_not_made(log_url: str) -> None:
    await refused(open_log(log_url, create=None), Invalid)


# --- 1 and 2: all or nothing, gapless positions ----------------------------------------------------


async def test_events_are_recorded_in_order_at_the_next_positions(log: Log) -> None:
    proposed = [said(), said(), said()]

    recorded = await log.append(proposed)

    assert [event.position for event in recorded] == [2, 3, 4]
    assert [event.id for event in recorded] == [event.id for event in proposed]
    assert await everything(log, after=1) == recorded
    assert await log.head() == 4


async def test_what_is_read_is_what_was_proposed(log: Log) -> None:
    proposed = structs.replace(said(note="“Ça va”, ∀ 𝄞"), correlation="a:b", causation=new_id("evt"))

    await log.append([proposed])

    [event] = await everything(log, after=1)
    assert (event.id, event.stream, event.fact) == (proposed.id, proposed.stream, proposed.fact)
    assert (event.wording, event.identity) == (proposed.wording, proposed.identity)
    assert (event.leaf.correlation, event.leaf.causation) == (proposed.correlation, proposed.causation)


async def test_a_leaf_is_canonical_and_holds_the_digests_of_its_texts(log: Log) -> None:
    [event] = await log.append([said()])

    assert event.leaf_raw == canonical(event.leaf)
    assert event.wording_salt and event.wording_raw and event.identity_salt and event.identity_raw
    assert event.leaf.wording == text_digest(event.wording_salt, "wording", event.wording_raw)
    assert event.leaf.identity == text_digest(event.identity_salt, "identity", event.identity_raw)


async def test_an_append_over_several_streams_is_recorded_together(log: Log) -> None:
    one, other = a_claim(), a_claim()

    recorded = await log.append([said(one), said(other), said(one)], after={one: 0, other: 0})

    assert await all_of(log, one) == [recorded[0], recorded[2]]
    assert await all_of(log, other) == [recorded[1]]


async def test_an_append_of_which_one_stream_has_moved_on_records_nothing(log: Log) -> None:
    one, other = a_claim(), a_claim()
    await log.append([said(other)])

    error = await refused(log.append([said(one), said(other)], after={one: 0, other: 0}), Conflict)

    assert (error.stream, error.expected, error.actual) == (other, 0, 2)
    assert await log.head() == 2
    assert await all_of(log, one) == []


async def test_callers_at_once_get_gapless_positions_and_each_its_own_events(log: Log) -> None:
    appends = [[said(note=f"{number}") for _ in range(number % 3 + 1)] for number in range(100)]

    answers = await asyncio.gather(*(log.append(events) for events in appends))

    for events, recorded in zip(appends, answers, strict=True):
        first = recorded[0].position
        assert [event.position for event in recorded] == list(range(first, first + len(events)))
        assert [event.id for event in recorded] == [event.id for event in events]
    positions = sorted(event.position for recorded in answers for event in recorded)
    assert positions == list(range(2, 2 + len(positions)))
    assert [event.position for event in await everything(log)] == list(range(1, 2 + len(positions)))


async def test_an_acknowledged_event_can_be_read_at_once(log: Log) -> None:
    for _ in range(20):
        [event] = await log.append([said()])

        assert await log.head() == event.position
        assert await all_of(log, event.stream) == [event]


# --- 3: after --------------------------------------------------------------------------------------


async def test_after_is_the_position_of_the_last_event_of_the_stream_not_its_length(log: Log) -> None:
    stream = a_claim()
    [first] = await log.append([said(stream)], after={stream: 0})
    await log.append([said()])

    [second] = await log.append([said(stream)], after={stream: first.position})

    assert second.position == 4
    error = await refused(log.append([said(stream)], after={stream: first.position}), Conflict)
    assert error.actual == 4


@pytest.mark.parametrize("wrong", [-1, 1, 3, 2**53])
async def test_after_is_compared_by_equality(log: Log, wrong: int) -> None:
    stream = a_claim()
    await log.append([said(stream)])  # at position 2

    await refused(log.append([said(stream)], after={stream: wrong}), Conflict)

    assert await log.head() == 2


async def test_a_stream_for_which_after_is_not_given_never_conflicts(log: Log) -> None:
    stream = a_claim()

    await asyncio.gather(*(log.append([said(stream)]) for _ in range(20)))

    assert len(await all_of(log, stream)) == 20


async def test_after_is_checked_too_for_a_stream_that_is_only_read(log: Log) -> None:
    story, claim = "story:" + new_id("sto"), a_claim()
    await log.append([said(story)])

    await refused(log.append([said(claim)], after={story: 0}), Conflict)

    [event] = await log.append([said(claim)], after={story: 2})
    assert event.position == 3


async def test_of_callers_who_saw_the_same_only_one_wins_and_the_neighbours_are_not_harmed(log: Log) -> None:
    stream = a_claim()
    rivals = [log.append([said(stream)], after={stream: 0}) for _ in range(10)]
    neighbours = [log.append([said()]) for _ in range(10)]

    mixed = [call for pair in zip(rivals, neighbours, strict=True) for call in pair]
    answers = await asyncio.gather(*mixed, return_exceptions=True)

    assert sum(isinstance(answer, Conflict) for answer in answers[0::2]) == 9
    assert not any(isinstance(answer, BaseException) for answer in answers[1::2])
    assert await log.head() == 1 + 1 + 10


# --- 4: idempotency --------------------------------------------------------------------------------


async def test_an_append_repeated_returns_what_was_recorded_whatever_after_says(log: Log) -> None:
    stream = a_claim()
    events = [said(stream), said(stream)]
    recorded = await log.append(events, after={stream: 0})
    await log.append([said(stream)])

    again = await log.append(events, after={stream: 0})

    assert again == recorded
    assert all(event.again for event in again) and not any(event.again for event in recorded)
    assert await log.head() == 4


async def test_an_append_repeated_at_once_is_recorded_once(log: Log) -> None:
    event = said()

    answers = await asyncio.gather(*(log.append([event], after={event.stream: 0}) for _ in range(20)))

    assert len({answer[0].position for answer in answers}) == 1
    assert await log.head() == 2


async def test_correlation_and_causation_are_no_part_of_the_content(log: Log) -> None:
    event = said()
    recorded = await log.append([event])

    again = await log.append([structs.replace(event, correlation="another", causation=new_id("evt"))])

    assert again == recorded


def other_wording(event: Proposed) -> Proposed:
    return structs.replace(event, wording=Wording(note="something else"))


def other_identity(event: Proposed) -> Proposed:
    return structs.replace(event, identity=Identity(actor="somebody else"))


def other_fact(event: Proposed) -> Proposed:
    return structs.replace(event, fact=ClaimDenied(source=1, origin=1))


def other_stream(event: Proposed) -> Proposed:
    return structs.replace(event, stream=a_claim())


@pytest.mark.parametrize("change", [other_wording, other_identity, other_fact, other_stream])
async def test_an_id_recorded_with_other_content_is_refused(log: Log, change: Callable[[Proposed], Proposed]) -> None:
    event = said()
    await log.append([event])

    error = await refused(log.append([change(event)]), IdempotencyMismatch)

    assert error.event_id == event.id
    assert await log.head() == 2


async def test_an_append_of_which_only_some_ids_are_recorded_is_refused(log: Log) -> None:
    first, second = said(), said()
    await log.append([first])

    await refused(log.append([first, second]), IdempotencyMismatch)
    await refused(log.append([second, first]), IdempotencyMismatch)

    assert await log.head() == 2


async def test_an_append_with_its_ids_in_another_order_is_refused(log: Log) -> None:
    first, second = said(), said()
    await log.append([first, second])

    await refused(log.append([second, first]), IdempotencyMismatch)


async def test_ids_that_were_recorded_apart_are_not_one_append(log: Log) -> None:
    first, second = said(), said()
    await log.append([first])
    await log.append([said()])
    await log.append([second])

    await refused(log.append([first, second]), IdempotencyMismatch)


@pytest.mark.parametrize(("slot", "change"), [("wording", other_wording), ("identity", other_identity)])
async def test_where_a_text_was_erased_the_fact_decides_what_was_repeated(
    log: Log, slot: Slot, change: Callable[[Proposed], Proposed]
) -> None:
    event = said()
    await log.append([event])
    await log.append([erased(event.id, slot)])

    [again] = await log.append([change(event)])

    assert again.position == 2
    await refused(log.append([other_fact(event)]), IdempotencyMismatch)


# --- 5: time ---------------------------------------------------------------------------------------


async def test_recorded_times_never_decrease(log: Log) -> None:
    for _ in range(5):
        await asyncio.gather(*(log.append([said(), said()]) for _ in range(10)))

    times = [event.recorded_at for event in await everything(log)]
    assert times == sorted(times)


async def test_a_clock_that_was_set_back_does_not_set_the_log_back(log_url: str) -> None:
    future = "2999-01-01T00:00:00.000000Z"
    async with await open_log(log_url, create="empty") as log:
        await log.restore([opened_at(future)])

        [event] = await log.append([said()])

    assert event.recorded_at == future


# --- 6 and 7: erasure, and nothing else ------------------------------------------------------------


async def test_an_erasure_removes_the_text_and_its_salt_and_leaves_the_leaf(log: Log) -> None:
    [event] = await log.append([said()])

    await log.append([erased(event.id, "wording")])

    [now, _] = await everything(log, after=1)
    assert (now.wording, now.wording_raw, now.wording_salt) == (None, None, None)
    assert now.leaf_raw == event.leaf_raw
    assert now.identity == event.identity


async def test_both_texts_can_be_erased_in_one_append(log: Log) -> None:
    [event] = await log.append([said()])

    await log.append([erased(event.id, "wording"), erased(event.id, "identity")])

    [now] = await all_of(log, event.stream)
    assert (now.wording_raw, now.identity_raw) == (None, None)


async def test_an_erasure_of_what_was_never_recorded_is_refused(log: Log) -> None:
    await refused(log.append([erased(new_id("evt"))]), Invalid)

    assert await log.head() == 1


async def test_an_event_can_not_be_recorded_and_erased_at_once(log: Log) -> None:
    event = said()

    await refused(log.append([event, erased(event.id)]), Invalid)

    assert await log.head() == 1


async def test_a_refused_erasure_erases_nothing(log: Log) -> None:
    [event] = await log.append([said()])

    await refused(log.append([erased(event.id)], after={"log": 0}), Conflict)

    assert await all_of(log, event.stream) == [event]


async def test_a_subscriber_who_comes_after_an_erasure_does_not_see_the_text(log: Log) -> None:
    [event] = await log.append([said()])
    await log.append([erased(event.id)])

    async with following(log, after=1) as pages:
        [now, _] = await taken(pages, 2)

    assert now.wording_raw is None


# --- 8: cancellation -------------------------------------------------------------------------------


async def test_a_cancelled_append_is_recorded_wholly_or_not_at_all_and_once(log: Log) -> None:
    appends = [[said(), said()] for _ in range(30)]
    tasks = [asyncio.create_task(log.append(events)) for events in appends]
    await asyncio.sleep(0)  # each has begun, some may be taken

    for task in tasks[::2]:
        task.cancel()
    await asyncio.wait(tasks)

    repeated = [await log.append(events) for events in appends]
    assert [[event.id for event in recorded] for recorded in repeated] == [[e.id for e in each] for each in appends]
    assert await log.head() == 1 + 60
    for task, recorded in zip(tasks[1::2], repeated[1::2], strict=True):
        assert task.result() == recorded


async def test_an_append_cancelled_before_it_began_records_nothing(log: Log) -> None:
    task = asyncio.create_task(log.append([said()]))

    task.cancel()
    await asyncio.wait([task])

    await log.append([said()])
    assert await log.head() == 2


# --- reading ---------------------------------------------------------------------------------------


async def test_reading_takes_up_where_it_stopped(log: Log) -> None:
    stream = a_claim()
    recorded = await log.append([said(stream), said(), said(stream), said(stream)])

    assert await all_of(log, stream, after=2) == [recorded[2], recorded[3]]
    assert await everything(log, after=4) == [recorded[3]]
    assert await everything(log, after=5) == []


async def test_upto_is_the_last_position_that_is_read(log: Log) -> None:
    stream = a_claim()
    recorded = await log.append([said(stream) for _ in range(5)])  # 2 … 6

    of_stream = [event async for page in log.read(stream, after=2, upto=4) for event in page]
    of_log = [event async for page in log.read_all(after=2, upto=4) for event in page]

    assert of_stream == of_log == recorded[1:3]
    assert [page async for page in log.read_all(upto=0)] == []
    assert [page async for page in log.read(stream, upto=0)] == []


async def test_long_logs_and_streams_come_in_pages(log: Log) -> None:
    stream = a_claim()
    recorded = await log.append([said(stream) for _ in range(APPEND_LIMIT)])

    of_stream = [page async for page in log.read(stream)]
    of_log = [page async for page in log.read_all(after=1)]

    for pages in (of_stream, of_log):
        assert max(map(len, pages)) <= PAGE
        assert [event for page in pages for event in page] == recorded


async def test_a_stream_that_does_not_exist_has_no_pages(log: Log) -> None:
    assert [page async for page in log.read(a_claim())] == []


async def test_leaves_can_be_read_without_texts(log: Log) -> None:
    [event] = await log.append([said()])

    [[leaf]] = [page async for page in log.read_all(after=1, texts=False)]

    assert (leaf.position, leaf.leaf_raw) == (event.position, event.leaf_raw)
    assert (leaf.wording, leaf.identity) == (None, None)


async def test_reading_a_log_ends_at_the_head_it_had_when_it_began(log: Log) -> None:
    await log.append([said() for _ in range(PAGE)])

    seen: list[Recorded] = []
    async for page in log.read_all():
        seen += page
        await log.append([said()])

    assert len(seen) == PAGE + 1


async def test_a_position_beyond_the_head_is_refused(log: Log) -> None:
    error = await refused(anext(aiter(log.read_all(after=2))), ForeignCursor)

    assert (error.after, error.head) == (2, 1)
    await refused(anext(aiter(log.subscribe(after=2))), ForeignCursor)


# --- 9: subscriptions ------------------------------------------------------------------------------


async def test_a_subscription_goes_from_the_past_into_the_present_without_a_gap(log: Log) -> None:
    await log.append([said() for _ in range(PAGE + 10)])

    async with following(log) as pages:
        writers = [asyncio.create_task(log.append([said(), said()])) for _ in range(50)]
        seen = await taken(pages, 1 + PAGE + 10 + 100)
        await asyncio.gather(*writers)

    assert [event.position for event in seen] == list(range(1, len(seen) + 1))
    assert seen == await everything(log)


async def test_a_subscription_starts_after_its_cursor_and_waits_at_the_head(log: Log) -> None:
    async with following(log, after=1) as pages:
        waiting = asyncio.create_task(next_page(pages))
        await asyncio.sleep(0)
        assert not waiting.done()

        recorded = await log.append([said()])

        assert await waiting == recorded


async def test_many_subscriptions_see_the_same(log: Log) -> None:
    async def follow() -> Sequence[Recorded]:
        async with following(log) as pages:
            return await taken(pages, 101)

    followers = [asyncio.create_task(follow()) for _ in range(20)]
    for _ in range(50):
        await log.append([said(), said()])

    seen = await asyncio.gather(*followers)
    assert all(each == seen[0] for each in seen)
    assert seen[0] == await everything(log)


async def test_a_slow_subscription_holds_up_nobody_and_misses_nothing(log: Log) -> None:
    async with following(log) as slow, following(log) as quick:
        [first, *_] = await anext(slow)  # and then it doesn't ask again for a long time
        for _ in range(30):
            await log.append([said() for _ in range(100)])
        of_quick = await taken(quick, 3_001)
        of_slow = [first, *await taken(slow, 3_000)]

    assert of_slow == of_quick == await everything(log)


async def test_a_subscription_that_its_reader_left_harms_nobody(log: Log) -> None:
    async with following(log, after=1) as pages:
        waiting = asyncio.create_task(next_page(pages))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])

    await log.append([said()])
    assert await log.head() == 2


async def test_a_subscription_ends_when_the_log_is_closed(log: Log) -> None:
    async with following(log, after=1) as pages:
        waiting = asyncio.create_task(next_page(pages))
        await asyncio.sleep(0)

        await log.close()

        assert await waiting is None


async def test_a_subscription_to_a_closed_log_ends_at_once(log: Log) -> None:
    await log.close()

    async with following(log) as pages:
        assert await next_page(pages) is None


async def test_a_subscription_that_is_behind_ends_when_the_log_is_closed(log: Log) -> None:
    [event, *_] = await log.append([said() for _ in range(2 * PAGE)])
    await log.append([erased(event.id)])  # after which nothing is kept in memory

    async with following(log) as pages:
        await next_page(pages)
        await log.close()

        assert len([page async for page in pages]) <= 2  # whatever it still had, and no error


# --- 10: restoring ---------------------------------------------------------------------------------


async def test_a_log_is_restored_as_it_was(log: Log, empty_log: Log) -> None:
    [event] = await log.append([said()])
    await log.append([said(event.stream), said()])
    await log.append([erased(event.id)])
    original = await everything(log)

    await empty_log.restore(original[:2])
    await empty_log.restore(original[2:])

    assert await everything(empty_log) == original
    assert empty_log.id == log.id
    assert await all_of(empty_log, event.stream) == await all_of(log, event.stream)


async def test_a_restored_log_goes_on(log: Log, empty_log: Log) -> None:
    event = said()
    [recorded] = await log.append([event])
    await empty_log.restore(await everything(log))

    assert await empty_log.append([event]) == [recorded]
    await refused(empty_log.append([said(event.stream)], after={event.stream: 0}), Conflict)
    [following_on] = await empty_log.append([said(event.stream)], after={event.stream: 2})
    assert following_on.position == 3


async def test_a_restored_erasure_removes_a_text_that_an_old_copy_still_has(log: Log, empty_log: Log) -> None:
    [event] = await log.append([said()])
    copy = await everything(log)
    await log.append([erased(event.id)])

    await empty_log.restore(copy)
    await empty_log.restore(await everything(log, after=2))

    assert await everything(empty_log) == await everything(log)


async def test_a_subscription_follows_a_restore(log: Log, empty_log: Log) -> None:
    await log.append([said(), said()])
    original = await everything(log)

    async with following(empty_log) as pages:
        await empty_log.restore(original)
        seen = await taken(pages, 3)

    assert seen == original


async def test_an_empty_log_has_no_id_and_takes_nothing_but_its_opening(empty_log: Log) -> None:
    assert await empty_log.head() == 0
    with pytest.raises(Invalid):
        _ = empty_log.id
    await refused(empty_log.append([said()]), Invalid)

    await empty_log.append([recorded_fact("log", LogOpened(log=new_id("log")))])

    assert empty_log.id.startswith("log_")


async def test_a_restore_that_does_not_follow_is_refused_as_a_whole(log: Log, empty_log: Log) -> None:
    await log.append([said(), said(), said()])
    first, second, third, fourth = await everything(log)
    earlier = opened_at("2000-01-01T00:00:00.000000Z", position=3)

    for wrong in (
        [second],  # a gap at the beginning
        [first, third],  # a gap in the middle
        [second, first],  # out of order
        [moved(second, 1)],  # doesn't begin with log.opened
        [first, second, moved(second, 3)],  # an id twice
        [first, second, earlier],  # goes back in time
        [first, Recorded(2, b"{}")],  # not a leaf
        [first, Recorded(2, b" " + second.leaf_raw)],  # not canonical
    ):
        await refused(empty_log.restore(wrong), Invalid)
        assert await empty_log.head() == 0

    await empty_log.restore([first, second])
    await refused(empty_log.restore([fourth]), Invalid)
    await refused(empty_log.restore([moved(second, 3)]), Invalid)
    assert await empty_log.head() == 2


# --- limits and ends -------------------------------------------------------------------------------


async def test_an_append_without_events_is_refused(log: Log) -> None:
    await refused(log.append([]), Invalid)


async def test_an_append_that_names_an_id_twice_is_refused(log: Log) -> None:
    event = said()

    await refused(log.append([event, event]), Invalid)


async def test_an_append_beyond_the_limit_is_refused(log: Log) -> None:
    await refused(log.append([said() for _ in range(APPEND_LIMIT + 1)]), TooLarge)

    assert await log.head() == 1


async def test_texts_as_large_as_the_limit_are_kept_and_larger_ones_refused(log: Log) -> None:
    def of_size(size: int) -> Proposed:
        documents = {str(number): "0" * 64 for number in range(10_000, 10_000 + (size - 300) // 75)}
        rest = size - len(canonical(Identity(actor="", documents=documents)))
        return structs.replace(said(), identity=Identity(actor="a" * rest, documents=documents))

    fits = of_size(TEXT_LIMIT)
    assert len(canonical(fits.identity)) == TEXT_LIMIT

    [event] = await log.append([fits])

    assert event.identity == fits.identity
    await refused(log.append([of_size(TEXT_LIMIT + 1)]), TooLarge)


async def test_a_fact_larger_than_a_leaf_is_refused(log: Log) -> None:
    carriers = tuple(range(2, LEAF_LIMIT // 4))

    await refused(log.append([recorded_fact(a_claim(), ClaimDenied(source=1, origin=1, via=carriers))]), TooLarge)


async def test_a_closed_log_takes_nothing_answers_nothing_and_can_be_closed_again(log: Log) -> None:
    await log.close()

    await refused(log.append([said()]), Closed)
    await refused(log.restore([]), Closed)
    await refused(log.head(), Closed)
    await refused(everything(log), Closed)
    await refused(anext(aiter(log.read("log"))), Closed)
    await log.close()


async def test_what_was_queued_before_closing_is_finished(log: Log) -> None:
    events = [said() for _ in range(20)]
    tasks = [asyncio.create_task(log.append([event])) for event in events]
    await asyncio.sleep(0)

    await log.close()

    assert [(await task)[0].id for task in tasks] == [event.id for event in events]


# --- helpers ---------------------------------------------------------------------------------------


def opened_at(time: str, *, position: int = 1) -> Recorded:
    """Return an opening as it stands in a log, recorded at a time of our choice."""
    return opening().encode().recorded(position, time)


def moved(event: Recorded, position: int) -> Recorded:
    """Return the same event at another position."""
    return Recorded(
        position, event.leaf_raw, event.wording_salt, event.wording_raw, event.identity_salt, event.identity_raw
    )
