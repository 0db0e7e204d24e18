"""Prometheus metrics: the ledger, the watermark, and how each process is doing. No customer stands in a label."""

import collections
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

REGISTRY = CollectorRegistry()
EVENTS = Gauge(
    "parcours_ledger_events", "Events by what became of them, since the beginning", ["state"], registry=REGISTRY
)
COMMANDS = Gauge("parcours_ledger_commands", "Commands by what became of them", ["state"], registry=REGISTRY)
WATERMARK = Gauge("parcours_watermark_seconds", "Watermark as Unix time", ["partition"], registry=REGISTRY)
BEHIND = Gauge(
    "parcours_source_held",
    "1 for a source partition that misses events, by journal partition",
    ["source", "partition"],
    registry=REGISTRY,
)
STOPPED = Gauge(
    "parcours_source_stopped",
    "1 for a source partition that is not the one that was read before",
    ["source"],
    registry=REGISTRY,
)
COMMITS = Histogram("parcours_commit_seconds", "Time of one commit", registry=REGISTRY)
REOPENED = Counter("parcours_partition_reopened", "Partitions opened again, by cause", ["cause"], registry=REGISTRY)
RESTORE = Gauge("parcours_restore_seconds", "Time of a partition's last opening", ["partition"], registry=REGISTRY)
TICKED = Gauge(
    "parcours_source_ticked_seconds",
    "Newest tick of a source partition that counts, as Unix time, by journal partition",
    ["source", "partition"],
    registry=REGISTRY,
)
PARTITION_EVENTS = Gauge(
    "parcours_partition_events",
    "Events of a journal partition by what became of them, since the beginning",
    ["partition", "state"],
    registry=REGISTRY,
)
ASSIGNED = Gauge("parcours_partitions_assigned", "Partitions that this worker was given", ["worker"], registry=REGISTRY)
OPEN = Gauge("parcours_partitions_open", "Partitions that are open in this worker", ["worker"], registry=REGISTRY)
# The targets lie at 0.1, 0.25 and 0.5 s, and a source's delay at 10 s.
SECONDS = (0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
LATENCY = Histogram(
    "parcours_command_latency_seconds",
    "From an event's arrival to the commit of the command that it led to at once",
    buckets=SECONDS,
    registry=REGISTRY,
)
LATENESS = Histogram(
    "parcours_timer_lateness_seconds",
    "For each commit with due timers: from reading what moved the watermark over them to the commit",
    buckets=SECONDS,
    registry=REGISTRY,
)
EMITTED = Counter("parcours_commands", "Commands emitted", ["scenario", "channel"], registry=REGISTRY)
DECISIONS = Counter("parcours_decisions", "Decisions by outcome", ["scenario", "outcome"], registry=REGISTRY)
RECORDS = Counter("parcours_ingest_records", "Source records read", ["source"], registry=REGISTRY)
DEAD = Counter("parcours_dead_letters", "Records that could not be used", ["stage"], registry=REGISTRY)
RECEIPTS = Counter("parcours_receipts", "Receipts by state", ["channel", "state"], registry=REGISTRY)
HELD = Gauge(
    "parcours_commands_held", "Commands that wait: catching up, braked or paused", ["channel"], registry=REGISTRY
)
BREAKER = Gauge(
    "parcours_breaker_open", "1 while a provider in trouble is left alone", ["channel", "provider"], registry=REGISTRY
)
SENDER_UNREADABLE = Counter(
    "parcours_sender_unreadable", "Records that a sender passed over: not ours", ["topic"], registry=REGISTRY
)
CATALOGUE_LEFT_OUT = Counter("parcours_catalogue_left_out", "Records of the catalogue left out", registry=REGISTRY)
PROJECTED = Counter("parcours_projector_records", "Records folded into the read model", ["stream"], registry=REGISTRY)
PROJECTOR_LAG = Gauge(
    "parcours_projector_lag", "Offsets that the read model is behind the end of a stream", ["stream"], registry=REGISTRY
)
UNREADABLE = Counter(
    "parcours_projector_unreadable", "Records that the read model leaves out: not ours", ["stream"], registry=REGISTRY
)

UNSUPPRESSED = Counter(
    "parcours_erased_without_hash",
    "Customers forgotten by a worker without the secret that hashes their addresses",
    registry=REGISTRY,
)
HEARD = Counter("parcours_collector_heard", "What customers and providers said", ["type", "machine"], registry=REGISTRY)
REFUSED = Counter("parcours_collector_refused", "Requests that changed nothing", ["route", "why"], registry=REGISTRY)
LOST = Counter("parcours_collector_lost", "Opens and clicks that could not be kept", ["type"], registry=REGISTRY)

# What nothing has happened to yet stands at 0: a rate needs a first sample before the first occurrence.
for _stage in ("intake", "engine"):
    DEAD.labels(_stage)
for _type in ("message_bounced", "message_complained"):
    HEARD.labels(_type, "no")


def set_ledger(ledger: dict[str, Any]) -> None:
    """Publish a ledger."""
    for state, count in ledger["events"].items():
        EVENTS.labels(state).set(count)
    for state, count in ledger["commands"].items():
        COMMANDS.labels(state).set(count)


def count_records(commands: Iterable[tuple[str, str]], decisions: Iterable[tuple[str, str]]) -> None:
    """Count commands by (scenario, channel) and decisions by (scenario, outcome)."""
    for metric, keys in ((EMITTED, commands), (DECISIONS, decisions)):
        for key, count in collections.Counter(keys).items():
            metric.labels(*key).inc(count)


def exposition() -> Response:
    """Return all metrics as Prometheus reads them."""
    return Response(generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)


async def metrics(request: Request) -> Response:
    """Answer Prometheus."""
    return exposition()


async def alive(request: Request) -> Response:
    """Say that the process runs."""
    return PlainTextResponse("alive\n")


def routes(ready: Any) -> list[Route]:
    """Return /metrics, /livez and /readyz; `ready()` says whether the process does its work."""

    async def readiness(request: Request) -> Response:
        return PlainTextResponse("ready\n") if ready() else PlainTextResponse("not ready\n", status_code=503)

    return [Route("/metrics", metrics), Route("/livez", alive), Route("/readyz", readiness)]


@asynccontextmanager
async def serve(host: str, port: int, ready: Callable[[], bool] = lambda: True) -> AsyncIterator[None]:
    """Serve the metrics of this process while the block runs; port 0 serves nothing."""
    if not port:
        yield
        return
    import asyncio

    import uvicorn

    app = Starlette(routes=routes(ready))
    server = uvicorn.Server(
        uvicorn.Config(app, host=host, port=port, log_config=None, log_level="warning", lifespan="off")
    )
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    task = asyncio.create_task(server._serve(None))
    try:
        yield
    finally:
        server.should_exit = True
        await task
