"""What a server tells Prometheus: the meters of its process, and how far its log and its views are when asked.

The only place that knows the package `prometheus-client`, which comes with the extra `metrics`. Units stand in the
names. A registry belongs to one desk, so two servers in one process tell nothing of each other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from events.errors import LogError
from verifier import __version__
from verifier.app import Desk
from verifier.errors import Problem
from verifier.health import HEAD_WAIT, Health, health
from verifier.meters import SECONDS, Histogram, Meters
from verifier.webhooks.endpoint import Endpoint
from verifier.webhooks.office import Office
from verifier.webhooks.outbox import Progress

MEDIA_TYPE: Final = CONTENT_TYPE_LATEST

Far = Mapping[str, tuple[Endpoint, Progress]]
"""How far each endpoint is, by its id."""

_BOUNDS: Final = (*map(str, SECONDS), "+Inf")


class Metrics:
    """The metrics of one desk."""

    def __init__(self, desk: Desk, *, within: float = HEAD_WAIT) -> None:
        self._within = within
        self._desk = desk
        self._process = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self._process)

    async def text(self) -> bytes:
        """Return all of them, in the text format."""
        return generate_latest(_Collected([*await self.families(), *self._process.collect()]))

    async def families(self) -> Sequence[Metric]:
        """Return our own. A log that can't be read in time is told as such, and has no position."""
        try:
            found = await health(self._desk, within=self._within)
        except LogError:
            found = None
        return [
            *_of_work(self._desk.meters),
            *_of_desk(self._desk),
            *_of_log(found),
            *_of_webhooks(self._desk.webhooks, await _far(self._desk.webhooks, self._within)),
        ]


class _Collected:
    """Families that were collected already."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _of_work(meters: Meters) -> Iterator[Metric]:
    yield _durations(
        "verifier_http_request_duration_seconds",
        "How long requests took, a stream until its end, by method, route and status.",
        ("method", "route", "status"),
        meters.requests,
    )
    commands = CounterMetricFamily(
        "verifier_commands",
        "Commands by the fact they ask for and their outcome: recorded, or the problem they were answered with.",
        labels=("fact", "outcome"),
    )
    for labels, count in sorted(meters.commands.items()):
        commands.add_metric(labels, count)
    yield commands
    yield _durations(
        "verifier_append_duration_seconds",
        "How long appends took, from asking until durable, the waiting included.",
        ("outcome",),
        meters.appends,
    )
    yield CounterMetricFamily("verifier_events_recorded", "Events that this process recorded.", value=meters.events)


def _of_desk(desk: Desk) -> Iterator[Metric]:
    info = GaugeMetricFamily("verifier_build_info", "The version that runs; always 1.", labels=("version",))
    info.add_metric((__version__,), 1)
    yield info
    yield GaugeMetricFamily("verifier_feed_readers", "Streams of the feed that are open.", value=desk.feed.subscribers)
    yield GaugeMetricFamily(
        "verifier_views_running", "1 while the views follow the log, 0 where they have stopped.",
        value=desk.views.error is None,
    )  # fmt: skip
    yield GaugeMetricFamily(
        "verifier_sealing_running", "1 while nothing keeps the log from being sealed, 0 where something does.",
        value=desk.sealing.error is None,
    )  # fmt: skip


def _of_log(found: Health | None) -> Iterator[Metric]:
    yield GaugeMetricFamily("verifier_log_reachable", "1 where the log could be read.", value=found is not None)
    if found is None:
        return
    yield GaugeMetricFamily("verifier_log_head_position", "The last position of the log.", value=found.head)
    yield GaugeMetricFamily("verifier_views_position", "The last event that the views contain.", value=found.views)
    yield GaugeMetricFamily("verifier_views_lag_events", "Events that the views lack.", value=found.lag.events)
    yield GaugeMetricFamily(
        "verifier_views_lag_seconds", "How long the oldest event that the views lack has been in the log.",
        value=found.lag.seconds,
    )  # fmt: skip
    yield GaugeMetricFamily(
        "verifier_sealed_position", "Up to where the log is sealed; 0 without a key.", value=found.sealed or 0
    )
    yield GaugeMetricFamily(
        "verifier_unsealed_seconds", "How long the oldest event not yet sealed has been in the log; 0 without a key.",
        value=found.unsealed.seconds,
    )  # fmt: skip
    rebuilt = found.rebuilding
    yield GaugeMetricFamily(
        "verifier_views_rebuild_ratio", "How much of the log a rebuild has read; 1 where none is under way.",
        value=1 if rebuilt is None else min(1.0, rebuilt / max(found.head, 1)),
    )  # fmt: skip


async def _far(webhooks: Office, within: float) -> Far:
    """Return how far each endpoint is; nothing where that can't be read in time."""
    try:
        async with asyncio.timeout(within):
            return await webhooks.far()
    except (Problem, TimeoutError):
        return {}


def _of_webhooks(webhooks: Office, far: Far) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "verifier_webhooks_running", "1 while nothing keeps webhooks from being sent, 0 where something does.",
        value=webhooks.error is None,
    )  # fmt: skip
    for name, about, value in _ENDPOINT:
        family = GaugeMetricFamily(name, about, labels=("endpoint",))
        for id, (endpoint, progress) in far.items():
            family.add_metric((id,), value(endpoint, progress))
        yield family


_ENDPOINT: Final[tuple[tuple[str, str, Callable[[Endpoint, Progress], float]], ...]] = (
    (
        "verifier_webhook_enabled",
        "1 while an endpoint is served, 0 where it is disabled.",
        lambda e, p: not e.disabled,
    ),
    ("verifier_webhook_position", "Up to where changes were queued for an endpoint.", lambda e, p: e.position),
    ("verifier_webhook_waiting", "Messages that were queued and not delivered yet.", lambda e, p: p.waiting),
    ("verifier_webhook_dead", "Messages that were given up.", lambda e, p: p.dead),
)


def _durations(
    name: str, about: str, labels: tuple[str, ...], histograms: Mapping[tuple[str, ...], Histogram]
) -> Metric:
    family = HistogramMetricFamily(name, about, labels=labels)
    for values, histogram in sorted(histograms.items()):
        buckets = list(zip(_BOUNDS, accumulate(histogram.counts), strict=True))
        family.add_metric(values, buckets, histogram.sum)
    return family
