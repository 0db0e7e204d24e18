"""What a lane tells Prometheus of its partition: the ledger, each source's newest tick, and how late things are.

The series of a partition end when the partition leaves the worker: the last figures of a former owner would stand
still, and look like a watermark that does.
"""

import time
from contextlib import suppress

import structlog
from prometheus_client import Gauge

from agents import metrics
from models.progress import Counts, SourceProgress
from pipeline.journal.records_clock import MERGED
from pipeline.journal.watermark import COUNTING
from pipeline.runtime.batch import Batch
from pipeline.runtime.partition import PartitionRuntime

WORKER = "journeys"
log = structlog.get_logger()
# The states of the ledger, as the embedded run names them, and their fields in `Counts`.
STATES = {"in": "events", "applied": "applied", "duplicate": "duplicate", "dead_lettered": "dead", "silent": "silent"}


class Measures:
    """The metrics of one lane, from its start to its end."""

    def __init__(self, partition: int):
        self._name = str(partition)
        self._assigned = self._open = False
        self._read_at = 0.0
        self._ticks: set[tuple[str, str]] = set()
        self._alarmed: set[str] = set()

    def assigned(self) -> None:
        """The worker was given the partition."""
        self._assigned = True
        metrics.ASSIGNED.labels(WORKER).inc()

    def opened(self, seconds: float) -> None:
        """The partition is open after so long."""
        self._open = True
        metrics.OPEN.labels(WORKER).inc()
        metrics.RESTORE.labels(self._name).set(seconds)

    def closed(self) -> None:
        """The partition is not open any more."""
        if self._open:
            self._open = False
            metrics.OPEN.labels(WORKER).dec()

    def gone(self) -> None:
        """The partition has left this worker: its figures are another's to give."""
        self.closed()
        if self._assigned:
            self._assigned = False
            metrics.ASSIGNED.labels(WORKER).dec()
        self._tell_ticks(())
        self._tell_alarms({})
        for state in STATES:
            _forget(metrics.PARTITION_EVENTS, self._name, state)
        for metric in (metrics.WATERMARK, metrics.RESTORE):
            _forget(metric, self._name)

    def reads(self) -> None:
        """New messages are in hand: whatever they make due is late from now on."""
        self._read_at = time.monotonic()

    def committed(self, batch: Batch, runtime: PartitionRuntime) -> None:
        """Tell of a batch that was committed."""
        metrics.count_records(
            ((one.scenario, one.channel) for one in batch.commands),
            ((one.scenario, one.outcome) for one in batch.decisions),
        )
        if batch.woken:
            metrics.LATENESS.observe(time.monotonic() - self._read_at)
        if not runtime.records_clock:  # a history's arrivals are no times of this clock
            now_ms = time.time_ns() // 1_000_000
            for arrived_at in batch.caused:
                metrics.LATENCY.observe(max(0, now_ms - arrived_at) / 1000)
        self._tell_ledger(batch.progress.counts)
        metrics.WATERMARK.labels(self._name).set(runtime.watermark / 1000)
        self._tell_ticks(batch.progress.sources)
        self._tell_alarms(runtime.table.alarms)

    def _tell_ledger(self, counts: Counts) -> None:
        for state, field in STATES.items():
            metrics.PARTITION_EVENTS.labels(self._name, state).set(getattr(counts, field))

    def _tell_ticks(self, sources: tuple[SourceProgress, ...]) -> None:
        counting = [one for one in sources if one.state in COUNTING and not one.feedback and one.source != MERGED]
        shown = {(f"{one.source}/{one.partition}", self._name): one.before for one in counting}
        for labels in self._ticks - shown.keys():
            _forget(metrics.TICKED, *labels)
        for labels, before in shown.items():
            metrics.TICKED.labels(*labels).set(before / 1000)
        self._ticks = set(shown)

    def _tell_alarms(self, alarms: dict[str, str]) -> None:
        """Publish which sources hold the watermark for missing records; each is logged once, when it comes up."""
        for source in self._alarmed - set(alarms):
            metrics.BEHIND.labels(source, self._name).set(0)
        for source in sorted(set(alarms) - self._alarmed):
            metrics.BEHIND.labels(source, self._name).set(1)
            log.error("source held", source=source, partition=int(self._name), cause=alarms[source])
        self._alarmed = set(alarms)


def _forget(metric: Gauge, *labels: str) -> None:
    with suppress(KeyError):
        metric.remove(*labels)
