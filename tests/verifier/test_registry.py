"""Sources, stories and the policy: what may be recorded beside the claims, and what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from processes import Process, check, everything

from events.contracts import SourceRegistered, SourceUpdated, TextErased
from events.log import Log
from verifier.commands import (
    AdoptPolicy,
    AssertClaim,
    Command,
    Erase,
    MergeOrigins,
    OpenStory,
    RegisterSource,
    SplitOrigins,
    UpdateSource,
)
from verifier.errors import Invalid, NotFound, Problem, Refused
from verifier.naming import origin_id, source_id, story_id
from verifier.sources import CHAIN, Sources

EVENT = f"evt_{'a' * 26}"


@pytest.fixture
async def process(log: Log) -> AsyncIterator[Process]:
    """A process over a log that is checked at the end."""
    yield await Process.start(log)
    await check(log)


async def name_of(process: Process, name: str) -> str:
    """Whom a name means today."""
    return (await process.registry.sources.resolve([name]))[name].name


# --- sources ---------------------------------------------------------------------------------------


async def test_an_alias_points_to_its_source_once_however_it_is_written(process: Process) -> None:
    await process.source(RegisterSource(name="AFP", aliases=("A.F.P.", "a.f.p.", "afp")))

    pointing = [event for event in await everything(process.log) if isinstance(event.fact, SourceUpdated)]
    assert [event.stream for event in pointing] == [f"source:{source_id(process.log.id, 'A.F.P.')}"]
    assert await name_of(process, "A.f.p.") == "AFP"


async def test_an_update_keeps_what_it_leaves_out(process: Process) -> None:
    await process.source(RegisterSource(name="Esper", kind="person", aliases=("Mark",), role="Secretary"))
    await process.source(UpdateSource(source="Esper", aliases=("Mark Esper",)), "Esper")

    source = await process.registry.sources.read(source_id(process.log.id, "Esper"))

    assert source.party is not None
    assert (source.kind, source.party.aliases, source.party.role) == ("person", ("Mark", "Mark Esper"), "Secretary")


async def test_a_source_that_is_renamed_is_found_under_both_names(process: Process) -> None:
    await process.source(RegisterSource(name="Twitter"))
    await process.source(UpdateSource(source="Twitter", name="X"), "Twitter")

    assert [await name_of(process, name) for name in ("Twitter", "X")] == ["X", "X"]
    resolved = await process.registry.sources.resolve(["Twitter", "X"])
    assert resolved["Twitter"].id == resolved["X"].id == source_id(process.log.id, "Twitter")


async def test_a_source_can_be_named_by_its_id(process: Process) -> None:
    id = (await process.source(RegisterSource(name="AFP")))["id"]

    assert await name_of(process, id) == "AFP"
    with pytest.raises(NotFound, match="give its name instead"):
        await process.registry.sources.resolve([source_id(process.log.id, "nobody")])


async def test_two_sources_can_not_be_each_other(process: Process) -> None:
    await process.source(UpdateSource(source="A", same_as="B"), "A")

    with pytest.raises(Invalid, match="name the other one"):
        await process.source(UpdateSource(source="B", same_as="A"), "B")


async def test_a_long_chain_of_names_is_followed_to_its_end_and_no_longer_than_that(process: Process) -> None:
    for number in range(CHAIN + 2):
        await process.source(UpdateSource(source=f"name {number}", same_as=f"name {number + 1}"), f"name {number}")

    assert await name_of(process, "name 5") == f"name {CHAIN + 2}"
    assert len(await process.registry.sources.chain(source_id(process.log.id, "name 0"))) == CHAIN


async def test_an_alias_can_be_erased_where_it_stands(process: Process) -> None:
    await process.source(RegisterSource(name="AFP", aliases=("A.F.P.",)))
    pointing = (await everything(process.log))[-1]
    await process.source(Erase(event=pointing.id, slot="identity", basis="data_protection"), "A.F.P.")

    assert (await everything(process.log))[-2].identity is None
    assert (await process.registry.sources.resolve(["A.F.P."]))["A.F.P."].name == "AFP"


async def test_a_name_that_was_erased_leaves_the_source(process: Process) -> None:
    registered = await process.source(RegisterSource(name="AFP", aliases=("A.F.P.",)))
    erasing = Erase(event=registered["statement"], slot="identity", basis="data_protection")
    await process.source(erasing, "AFP")

    assert (await process.registry.sources.resolve(["A.F.P."]))["A.F.P."].id == registered["id"]
    with pytest.raises(Refused) as refused:
        await process.source(erasing, "AFP")
    assert refused.value.rule == "acted-on"


REFUSED: dict[str, tuple[list[Command], Command, type[Problem], str | None, str]] = {
    "a source registered twice": (
        [RegisterSource(name="AFP")], RegisterSource(name="afp"), Refused, "source-exists", "update it",
    ),
    "an alias registered as a source": (
        [RegisterSource(name="AFP", aliases=("A.F.P.",))], RegisterSource(name="A.F.P."), Refused, "source-exists",
        "update it",
    ),
    "a source taken as an alias": (
        [RegisterSource(name="Reuters")], RegisterSource(name="AFP", aliases=("Reuters",)), Refused, "source-exists",
        "say that it is the same as AFP first",
    ),
    "a name taken that another source has": (
        [RegisterSource(name="Reuters"), RegisterSource(name="AFP")], UpdateSource(source="AFP", name="Reuters"),
        Refused, "source-exists", "say that it is the same as Reuters first",
    ),
    "a change to a source that nobody registered": (
        [], UpdateSource(source="AFP", role="wire"), NotFound, None, "register it first",
    ),
    "a source that is itself": (
        [RegisterSource(name="AFP")], UpdateSource(source="AFP", same_as="afp"), Invalid, None, "name the other one",
    ),
    "a source that is the same as an id nobody knows": (
        [RegisterSource(name="AFP")], UpdateSource(source="AFP", same_as=f"src_{'a' * 26}"), NotFound, None,
        "give its name instead",
    ),
    "an erasure of what isn't there": (
        [RegisterSource(name="AFP")], Erase(event=EVENT, slot="identity", basis="other_legal"), NotFound, None,
        "look its id up",
    ),
}  # fmt: skip


@pytest.mark.parametrize("row", REFUSED.values(), ids=REFUSED.keys())
async def test_a_source_is_refused_with_what_to_do_next(
    process: Process, row: tuple[list[Command], Command, type[Problem], str | None, str]
) -> None:
    history, command, problem, rule, advice = row
    for done in history:
        await process.source(done)
    head = await process.log.head()

    with pytest.raises(Problem) as refused:
        await process.source(command, getattr(command, "source", "AFP"))

    assert (type(refused.value), getattr(refused.value, "rule", None)) == (problem, rule)
    assert advice in refused.value.detail
    assert await process.log.head() == head


async def test_what_was_read_while_a_source_changed_is_not_remembered(process: Process, log: Log) -> None:
    gate, reading = asyncio.Event(), asyncio.Event()

    class Slow:
        """A log whose pages take a while to arrive."""

        lineage = log.lineage

        async def read(self, stream: str, *, after: int = 0, upto: int | None = None):
            pages = [page async for page in log.read(stream, after=after, upto=upto)]
            reading.set()
            await gate.wait()
            for page in pages:
                yield page

    sources = Sources(Slow())
    slow = asyncio.create_task(sources.resolve(["A.F.P."]))
    await reading.wait()
    await process.source(RegisterSource(name="AFP", aliases=("A.F.P.",)))
    sources.forget(source_id(log.lineage, "A.F.P."))  # as the process does that has appended
    gate.set()
    await slow

    assert (await sources.resolve(["A.F.P."]))["A.F.P."].name == "AFP"


# --- stories ---------------------------------------------------------------------------------------


async def opened(process: Process) -> str:
    """Open a story with a merge of origins, and return its id."""
    await process.registrar.open_story(OpenStory(title="Iraq letter"), process.caller())
    return story_id(process.log.id, "Iraq letter")


async def test_a_story_is_found_by_its_title_and_its_id(process: Process) -> None:
    story = await opened(process)

    assert [await process.registry.story_by(name) for name in ("iraq  LETTER", story)] == [story, story]
    with pytest.raises(NotFound, match="open it"):
        await process.registry.story_by("Iran")
    with pytest.raises(NotFound, match="give its title"):
        await process.register(story=f"sto_{'a' * 26}")


async def test_a_story_opened_twice_is_refused(process: Process) -> None:
    await opened(process)

    with pytest.raises(Refused) as refused:
        await process.registrar.open_story(OpenStory(title="IRAQ letter"), process.caller())

    assert refused.value.rule == "story-exists"


async def test_labels_follow_every_merge_that_stands(process: Process) -> None:
    story = await opened(process)
    first = await process.story(story, MergeOrigins(kept="the letter", merged="a copy"))
    await process.story(story, MergeOrigins(kept="a copy", merged="a scan"))
    await process.story(story, MergeOrigins(kept="the memo", merged="a scan"))

    held = await process.registry.stories.read(story)
    assert {held.label(name) for name in ("a copy", "A Scan", "the letter", "the memo")} == {"the memo"}
    await process.story(story, SplitOrigins(merge=first["statement"]))

    held = await process.registry.stories.read(story)
    assert [held.label(name) for name in ("a copy", "a scan", "the letter")] == ["a copy", "the memo", "the memo"]


async def test_an_origin_means_the_same_on_a_story_and_on_its_claims(process: Process) -> None:
    story = await opened(process)
    await process.story(story, MergeOrigins(kept="the letter", merged="a copy"))

    held = await process.registry.stories.read(story)

    label = source_id(process.log.id, "the letter")
    assert held.origins[1].id == origin_id(process.log.id, story, label)


STORY_REFUSED: dict[str, tuple[object, type[Problem], str | None, str]] = {
    "merging an origin with itself": (
        MergeOrigins(kept="x", merged="X"), Refused, "nothing-changed", "nothing is left",
    ),
    "merging what is merged": (
        MergeOrigins(kept="a copy", merged="the letter"), Refused, "nothing-changed", "nothing is left",
    ),
    "merging an id that no claim has": (
        MergeOrigins(kept="the letter", merged=f"org_{'a' * 26}"), NotFound, None, "name it by its label",
    ),
    "undoing a merge that isn't there": (SplitOrigins(merge=EVENT), NotFound, None, "look its id up"),
    "erasing what isn't there": (
        Erase(event=EVENT, slot="wording", basis="copyright"), NotFound, None, "look its id up",
    ),
}  # fmt: skip


@pytest.mark.parametrize("row", STORY_REFUSED.values(), ids=STORY_REFUSED.keys())
async def test_a_command_on_a_story_is_refused_with_what_to_do_next(
    process: Process, row: tuple[MergeOrigins, type[Problem], str | None, str]
) -> None:
    command, problem, rule, advice = row
    story = await opened(process)
    await process.story(story, MergeOrigins(kept="the letter", merged="a copy"))

    with pytest.raises(Problem) as refused:
        await process.story(story, command)

    assert (type(refused.value), getattr(refused.value, "rule", None)) == (problem, rule)
    assert advice in refused.value.detail


async def test_a_merge_can_be_undone_once(process: Process) -> None:
    story = await opened(process)
    merge = (await process.story(story, MergeOrigins(kept="the letter", merged="a copy")))["statement"]
    await process.story(story, SplitOrigins(merge=merge))

    with pytest.raises(Refused) as refused:
        await process.story(story, SplitOrigins(merge=merge))

    assert refused.value.rule == "acted-on"


async def test_the_title_of_a_story_can_be_erased_once(process: Process) -> None:
    story = await opened(process)
    event = (await everything(process.log))[-1].id
    erasing = Erase(event=event, slot="wording", basis="court_order")
    await process.story(story, erasing)

    with pytest.raises(Refused) as refused:
        await process.story(story, erasing)

    assert refused.value.rule == "acted-on"
    assert isinstance((await everything(process.log))[-1].fact, TextErased)


async def test_origins_of_too_many_claims_are_merged_claim_by_claim(process: Process) -> None:
    story = await opened(process)
    saying = AssertClaim(source="AFP", origin="the letter")
    for number in range(101):
        await process.register(f"claim {number}", story="Iraq letter", statement=saying)

    with pytest.raises(Refused) as refused:
        await process.story(story, MergeOrigins(kept="the letter", merged="a copy"))

    assert refused.value.rule == "too-many-claims"
    assert "go claim by claim" in refused.value.detail


# --- the policy ------------------------------------------------------------------------------------


async def test_a_policy_that_nobody_ships_is_not_adopted(process: Process) -> None:
    with pytest.raises(NotFound):
        await process.registrar.adopt_policy(AdoptPolicy(policy="wishful"), process.caller())


async def test_registering_a_source_says_nothing_of_whom_it_names(process: Process) -> None:
    await process.source(RegisterSource(name="AFP", kind="wire"))

    last = (await everything(process.log))[-1]
    assert last.fact == SourceRegistered(kind="wire")
    assert b"AFP" not in last.leaf_raw
