"""What the feed sends: messages, their bytes as server-sent events, and which of them somebody wants. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

import msgspec

from events.log import Recorded
from verifier import render

Message = dict[str, Any]
"""What happened at one position. A message that has nothing but its position is a mark: so far, nothing was wanted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What one position changed: as a message, and as the bytes of a server-sent event. A mark has no message.

    `sources` are, for each change of the message, all sources that have something to do with its claim.
    """

    position: int
    data: bytes
    message: Message | None = None
    sources: tuple[frozenset[str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which changes a subscriber wants; what is left out doesn't matter.

    `status` is the one that a claim has come to. `source` is the id of one that has said or carried something about the
    claim, or is accused by it. With `recalls`, only recalls are wanted.
    """

    claim: str | None = None
    story: str | None = None
    status: str | None = None
    source: str | None = None
    recalls: bool = False

    def of(self, frame: Frame) -> Frame | None:
        """Return what is wanted of a frame: all of it, less, or nothing."""
        if frame.message is None or self == EVERYTHING:
            return frame
        changes = frame.message["changes"]
        wanted = [n for n, change in enumerate(changes) if self._wants(change, frame.sources[n])]
        if len(wanted) == len(changes):
            return frame
        if not wanted:
            return None
        some = [changes[n] for n in wanted]
        return frame_of({**frame.message, "changes": some}, tuple(frame.sources[n] for n in wanted))

    def _wants(self, change: Message, sources: frozenset[str]) -> bool:
        return (
            (self.claim is None or change["claim"] == self.claim)
            and (self.story is None or change["story"] == self.story)
            and (self.status is None or change["status"] == self.status)
            and (self.source is None or self.source in sources)
            and (not self.recalls or change["recall"])
        )


EVERYTHING: Final = Wanted()


def frame_of(message: Message, sources: tuple[frozenset[str], ...]) -> Frame:
    """Encode a message, once for everybody."""
    data = msgspec.json.encode(message)
    return Frame(
        position=message["position"],
        data=b"id: %d\nevent: change\ndata: %b\n\n" % (message["position"], data),
        message=message,
        sources=sources,
    )


def event_frame(event: Recorded) -> bytes:
    """Encode a recorded event as a server-sent event."""
    return b"id: %d\nevent: event\ndata: %b\n\n" % (event.position, msgspec.json.encode(render.event(event)))


def mark(position: int) -> Frame:
    """Return the heartbeat: a comment that says how far we are. Its id moves a reader on that filters; without data
    it is no event."""
    return Frame(position=position, data=b": position %d\nid: %d\n\n" % (position, position))


def frames_of(changes: Sequence[Message], sources: dict[str, frozenset[str]], log_id: str) -> Iterator[Frame]:
    """Yield a frame for each position, with all its changes; `sources` gives those of each claim."""
    for position, together in groupby(changes, key=lambda change: change["position"]):
        some = list(together)
        message = {"position": position, "recorded_at": some[0]["recorded_at"], "log": log_id, "changes": some}
        yield frame_of(message, tuple(sources[change["claim"]] for change in some))
