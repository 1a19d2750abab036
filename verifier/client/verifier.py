"""The client itself: verbs, questions, and many commands at once."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable

from verifier.answers import Done
from verifier.client.batch import Batch, Item
from verifier.client.reads import Reads
from verifier.client.verbs import Verbs
from verifier.client.webhooks import Webhooks
from verifier.client.whatif import WhatIf
from verifier.errors import Problem
from verifier.keys import key_or_new


class Verifier(Verbs, Reads, Webhooks):
    """A claim verification log, on a server or in this process, with the same verbs and questions.

        async with Verifier("http://127.0.0.1:8750") as verifier:
            plan = await verifier.assert_claim("The United States plans to withdraw", source="AFP")

    `Verifier.open` takes a log's URL as well: `memory:`, `sqlite:///newsroom.db`. May be used by many
    tasks at once; speaks to a server from asyncio and from trio, and opens a log under asyncio.
    """

    @property
    def what_if(self) -> WhatIf:
        """The verbs on a claim as a question: `await verifier.what_if.deny(plan, source="Mark Esper")` answers how the
        claim would stand, and records nothing."""
        return WhatIf(self)

    async def batch(
        self, commands: Iterable[Item] | AsyncIterable[Item], *, key: str | None = None
    ) -> list[Done | Problem]:
        """Record many commands and return what became of each, in order: an answer in brief, or the problem.

        Commands on one claim are carried out in their order. One that is refused stops no other. Raises
        `OutcomeUnknown`, `Busy` or `Unreachable` if the server is lost on the way: then send the same
        batch again with the same `key`, and nothing is recorded twice.
        """
        batch = Batch(self._port, key_or_new(key, longest=100))  # each line adds its number to the key
        if isinstance(commands, AsyncIterable):
            async for item in commands:
                await batch.add(item)
        else:
            for item in commands:
                await batch.add(item)
        await batch.flush()
        return batch.results
