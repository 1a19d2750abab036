"""What `verifier feed --follow` shows on a terminal: counts by status, the last changes, and how the connection is."""

from __future__ import annotations

import time
from collections import Counter, deque
from typing import TYPE_CHECKING, Final

from verifier.cli.output import counted, moment, printable, short, style_of

if TYPE_CHECKING:
    from rich.console import ConsoleDimensions, RenderableType
    from rich.text import Text

    from verifier.answers import Change

KEPT: Final = 200
"""How many changes are kept to be shown: more than any terminal has lines."""

AROUND: Final = 6
"""How many lines stand above and below the changes."""


class View:
    """The changes that came, as a terminal shows them."""

    def __init__(self, place: str, *, status: str | None = None, recalls: bool = False) -> None:
        """Show the changes of the log at this place: with `status`, those to it, and with `recalls`, only those."""
        self._place = place
        self._status = status
        self._only_recalls = recalls
        self._stands: dict[str, str] = {}  # each claim that has changed, by its status now
        self._last: deque[Change] = deque(maxlen=KEPT)
        self._count = 0
        self._recalls = 0
        self._lost: float | None = None  # when the connection was found lost
        self._met = False  # whether there was ever one

    def take(self, change: Change) -> None:
        """Count a change, and show it where it is wanted."""
        self._stands[change.claim] = change.status
        self._recalls += change.recall
        if self._status in (None, change.status) and (change.recall or not self._only_recalls):
            self._count += 1
            self._last.appendleft(change)

    def drawn(self, size: ConsoleDimensions, *, since: float | None, position: int | None) -> RenderableType:
        """Return what is shown on a terminal of this size, with the newest change first."""
        from rich.console import Group

        return Group(self._head(since, position), self._counts(), self._changes(max(size.height - AROUND, 1)))

    def last_line(self, position: int | None) -> Text:
        """Return what stays when the view is closed."""
        from rich.text import Text

        recalls = f", {counted(self._recalls, 'recall')}" if self._recalls else ""
        return Text(f"{counted(self._count, 'change')}{recalls}; go on with --after {position or 0}")

    def _head(self, since: float | None, position: int | None) -> Text:
        from rich.text import Text

        head = Text(printable(self._place), style="bold", no_wrap=True, overflow="ellipsis")
        head.append(f"   position {position or 0}   ", style="not bold")
        return head.append_text(self._connection(since))

    def _connection(self, since: float | None) -> Text:
        from rich.text import Text

        now = time.time()
        if since is not None:
            self._met, self._lost = True, None
            return Text(f"connected for {lasting(now - since)}", style="not bold green")
        self._lost = self._lost or now
        if not self._met:
            return Text("connecting", style="not bold")
        return Text(f"connection lost, trying again for {lasting(now - self._lost)}", style="bold red")

    def _counts(self) -> Text:
        from rich.text import Text

        counts = Text(no_wrap=True, overflow="ellipsis")
        for status, count in sorted(Counter(self._stands.values()).items()):
            counts.append(f"{count:,} {status}", style=style_of(status)).append("   ")
        if self._recalls:
            counts.append(counted(self._recalls, "recall"), style="bold red")
        return counts

    def _changes(self, lines: int) -> RenderableType:
        from rich import box
        from rich.table import Table
        from rich.text import Text

        if not self._last:
            return Text("\nNo status has changed yet.", style="dim")
        grid = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, expand=True)
        for heading in ("position", "at", "id"):
            grid.add_column(heading, no_wrap=True)
        grid.add_column("status", no_wrap=True, overflow="ellipsis", ratio=1)
        grid.add_column("text", no_wrap=True, overflow="ellipsis", ratio=1)
        for change in [*self._last][:lines]:
            status = Text("RECALL ", style="bold red") if change.recall else Text()
            status.append(f"{_one_line(change.label)}", style=style_of(change.status)).append(f" ({since_of(change)})")
            text = Text(_one_line(change.text or "a wording that was erased"))
            grid.add_row(str(change.position), moment(change.recorded_at), short(change.claim), status, text)
        return grid


def since_of(change: Change) -> str:
    """Return what it was before; where only the verdict beside it changed, that one."""
    if change.previous != change.status or not change.cause_type.startswith(("claim.adjudicated", "adjudication.")):
        return f"was {change.previous}"
    return f"verdict: {change.verdict}" if change.verdict else "verdict taken back"


def lasting(seconds: float) -> str:
    """Return a time span in its two largest units: 45 s, 3 min 20 s, 2 h 5 min, 4 d 3 h."""
    whole = max(0, int(seconds))
    for size, unit, smaller, below in ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // smaller} {below}"
    return f"{whole} s"


def _one_line(text: str) -> str:
    return printable(" ".join(text.split()))
