"""Let the garbage collector look less often: what we make in numbers stays, and has no cycles.

Looking through all of it again and again cost half of the time of a fold and a quarter of a write's.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_collections() -> Iterator[None]:
    """Keep the collector from running inside; what it was set to before holds again after.

    Never held across an `await`, so nothing else in the process goes without it.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def take_as_old() -> None:
    """Take all that was made so far as old, unseen: for work that makes much which stays, and ends.

    Cycles among it wait for a full collection, and none comes by itself while this is called again and again.
    """
    gc.freeze()
    gc.unfreeze()


def collect_seldom() -> None:
    """Set the collector for a process that is ours alone, as the command line's are: what was imported is
    never looked at again, and the old hardly ever.

    The event loop stands still while it looks: so few are looked at at once, which takes milliseconds.
    """
    gc.freeze()
    gc.set_threshold(2_500, 2, 10_000)
