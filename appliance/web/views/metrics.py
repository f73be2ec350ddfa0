"""`GET /metrics`: numbers for Prometheus, read from the running parts whenever they are asked for.

Nothing here counts by itself, so there is no state to keep in step. Labels are few and bounded: receivers are named
by the configuration, parts by the program, reasons by `REASONS`. No meter and no reading is told.
`docs/operate.md` lists the names. Source: Prometheus, "Metric and label naming" and "Writing exporters".
"""

from collections.abc import Iterable, Iterator
from typing import get_args

from aiohttp import web
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from appliance import __version__
from appliance.clock import Source
from appliance.model import STATES, ReceiverState
from appliance.web.frame.guard import everybody
from appliance.web.parts import Parts

PREFIX = "meter_appliance_"
# Of candidates, as the receiver names them; what a stand-in invents counts as "other".
REASONS = ("no preamble", "checksum", "unconfirmed", "contradicted", "empty", "duplicate")
GARBAGE = ("not JSON", "too long", "not a message", "another message", "time in the future")
PART_STATES = ("healthy", "degraded", "failed")
CLOCK_SOURCES = (*get_args(Source), "estimate")

REGISTRY = web.AppKey("REGISTRY", CollectorRegistry)


@everybody
async def view(request: web.Request) -> web.Response:
    """All metrics, in the text format that the scraper asks for."""
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    body = encode(request.app[REGISTRY])
    return web.Response(body=body, headers={"Content-Type": content_type, "Cache-Control": "no-store"})


def registry(parts: Parts) -> CollectorRegistry:
    """The metrics of one running appliance, and those of its process."""
    one = CollectorRegistry(auto_describe=False)
    ProcessCollector(registry=one)
    one.register(PartsCollector(parts))
    return one


class PartsCollector(Collector):
    """Reads the parts at each scrape."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def describe(self) -> Iterable[Metric]:
        """Nothing is promised before a scrape."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Everything, in the order of docs/operate.md."""
        parts = self._parts
        info = InfoMetricFamily(PREFIX + "build", "Version of the program.")
        info.add_metric([], {"version": __version__})
        yield info
        yield _gauge("uptime_seconds", "Time since the program started.", parts.uptime_s)
        yield _gauge("meters", "Meters known.", len(parts.store.ledger))
        yield from _health(parts)
        yield from _receivers(parts.receivers())
        yield from _storage(parts)
        yield from _clock(parts)


def _health(parts: Parts) -> Iterator[Metric]:
    health = parts.health()
    state = GaugeMetricFamily(PREFIX + "part_state", "1 for the state a part is in.", labels=("part", "state"))
    failures = CounterMetricFamily(PREFIX + "part_failures", "How often a part failed.", labels=("part",))
    for name, part in health.items():
        failures.add_metric((name,), part.failures)
        for possible in PART_STATES:
            state.add_metric((name, possible), possible == part.state)
    yield state
    yield failures


def _receivers(receivers: Iterable[ReceiverState]) -> Iterator[Metric]:
    one = ("receiver",)
    state = GaugeMetricFamily(PREFIX + "receiver_state", "1 for its state.", labels=("receiver", "state"))
    simulated = GaugeMetricFamily(PREFIX + "receiver_simulated", "1 if what it hears is made up.", labels=one)
    restarts = CounterMetricFamily(PREFIX + "receiver_restarts", "Times it was started again.", labels=one)
    messages = CounterMetricFamily(PREFIX + "messages", "Messages believed.", labels=one)
    dropped = CounterMetricFamily(PREFIX + "dropped_samples", "Samples that never came.", labels=one)
    refused = CounterMetricFamily(PREFIX + "refused", "Candidates that were no message.", labels=("receiver", "reason"))
    garbage = CounterMetricFamily(PREFIX + "garbage_lines", "Lines not understood.", labels=("receiver", "reason"))
    floor = GaugeMetricFamily(PREFIX + "noise_floor_dbfs", "Power of the band without messages.", labels=one)
    level = GaugeMetricFamily(PREFIX + "level_dbfs", "Power of the band.", labels=one)
    clipped = GaugeMetricFamily(PREFIX + "clipped_ratio", "Share of samples at the converter's limits.", labels=one)
    for receiver in receivers:
        name = (receiver.name,)
        for possible in STATES:
            state.add_metric((receiver.name, possible), possible == receiver.state)
        simulated.add_metric(name, receiver.simulated)
        restarts.add_metric(name, receiver.restarts)
        messages.add_metric(name, receiver.messages)
        for reason in GARBAGE:
            garbage.add_metric((receiver.name, reason), receiver.garbage.get(reason, 0))
        if (status := receiver.status) is None:
            continue
        dropped.add_metric(name, status.dropped_samples)
        for reason in REASONS:
            refused.add_metric((receiver.name, reason), status.refused.get(reason, 0))
        others = sum(n for reason, n in status.refused.items() if reason not in REASONS)
        refused.add_metric((receiver.name, "other"), others)
        clipped.add_metric(name, status.clipped)
        if status.noise_floor_dbfs is not None:
            floor.add_metric(name, status.noise_floor_dbfs)
        if status.level_dbfs is not None:
            level.add_metric(name, status.level_dbfs)
    yield from (state, simulated, restarts, messages, dropped, refused, garbage, floor, level, clipped)


def _storage(parts: Parts) -> Iterator[Metric]:
    ledger = parts.store.ledger
    yield _gauge("readings_waiting", "Readings in memory, not yet on the card.", ledger.pending_readings)
    lost = CounterMetricFamily(PREFIX + "readings_lost", "Readings given up while the card could not be written to.")
    lost.add_metric((), ledger.lost_readings)
    yield lost
    if (storage := parts.storage) is None:
        return
    yield _gauge("storage_used_bytes", "What the data takes.", storage.bytes_used)
    yield _gauge("storage_budget_bytes", "What the data may take.", storage.bytes_budget)
    yield _gauge("storage_free_bytes", "Free on the card.", storage.bytes_free)
    yield _gauge("storage_segments", "Sealed segments of history.", storage.segments)
    yield _gauge("storage_damaged_segments", "Segments set aside as damaged.", storage.damaged_segments)
    if storage.last_commit_age_s is not None:
        yield _gauge("storage_commit_age_seconds", "Time since the last commit.", storage.last_commit_age_s)
    if storage.oldest_utc_ms is not None:
        yield _gauge("storage_oldest_timestamp_seconds", "Oldest reading kept.", storage.oldest_utc_ms / 1000)


def _clock(parts: Parts) -> Iterator[Metric]:
    if parts.halted:
        return
    moment = parts.times.moment
    source = GaugeMetricFamily(PREFIX + "clock_source", "1 for what the time is taken from.", labels=("source",))
    for possible in CLOCK_SOURCES:
        source.add_metric((possible,), possible == moment.source)
    yield source
    if moment.uncertainty_ms is not None:
        yield _gauge("clock_uncertainty_seconds", "How far off the time may be.", moment.uncertainty_ms / 1000)


def _gauge(name: str, help_text: str, value: float) -> Metric:
    return GaugeMetricFamily(PREFIX + name, help_text, value=value)
