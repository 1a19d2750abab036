"""A log moves from any engine to any other, and is the same log there."""

from __future__ import annotations

import io

from making import a_claim, erased, everything, said

from events.archive import export, restore
from events.log import Log, Recorded
from events.open import open_log


def stored(event: Recorded) -> tuple[object, ...]:
    """Everything that is stored of an event."""
    texts = (event.wording_salt, event.wording_raw, event.identity_salt, event.identity_raw)
    return (event.position, event.id, event.stream, event.recorded_at, event.leaf_raw, *texts)


async def exported(log: Log) -> io.BytesIO:
    file = io.BytesIO()
    await export(log, file)
    file.seek(0)
    return file


async def test_a_moved_log_has_every_position_id_time_leaf_and_salt(log_url: str, other_log_url: str) -> None:
    stream = a_claim()
    async with await open_log(log_url) as log, await open_log(other_log_url, create="empty") as moved:
        [first] = await log.append([said(stream, note="“Ça va”, ∀ 𝄞 \\ \n\t")])
        await log.append([said(stream), said(), said()])
        await log.append([erased(first.id), erased(first.id, "identity")])
        file = await exported(log)

        await restore(moved, file)

        assert [stored(event) for event in await everything(moved)] == [
            stored(event) for event in await everything(log)
        ]
        assert moved.id == log.id
        assert (await exported(moved)).getvalue() == file.getvalue()


async def test_a_moved_log_goes_on_from_where_it_was(log_url: str, other_log_url: str) -> None:
    stream = a_claim()
    event = said(stream)
    async with await open_log(log_url) as log, await open_log(other_log_url, create="empty") as moved:
        [recorded] = await log.append([event])
        await restore(moved, await exported(log))

        [again] = await moved.append([event], after={stream: 0})
        [following_on] = await moved.append([said(stream)], after={stream: recorded.position})

        assert (again, again.again) == (recorded, True)
        assert following_on.position == recorded.position + 1
        assert following_on.recorded_at >= recorded.recorded_at


async def test_a_restore_that_was_cut_short_goes_on_with_the_same_file(log_url: str, other_log_url: str) -> None:
    async with await open_log(log_url) as log, await open_log(other_log_url, create="empty") as moved:
        await log.append([said() for _ in range(1_500)])
        original = await everything(log)
        await moved.restore(original[:700])

        await restore(moved, await exported(log))

        assert await everything(moved) == original
