"""Serves the collector: beside an embedded run in a thread of its own, or as a worker of a cluster."""

import socket
import threading
from collections.abc import Callable
from typing import Any

import uvicorn

from agents.collector.app import build
from agents.collector.hub import Hub, Wishes
from agents.collector.inbox import InboxDesk, origins_of
from agents.collector.streams import STREAMS_MAX
from agents.collector.texts import CHANNELS
from agents.collector.tokens import tokens_of
from agents.collector.webhooks import routes_from_environment
from models.settings import SettingsSpec
from pipeline.engine.person import consents_to
from pipeline.engine.plan import Plan, Send
from pipeline.errors import RunError
from pipeline.runtime.collected import EmbeddedIntake
from pipeline.runtime.embedded import EmbeddedPipeline
from pipeline.scenario.compile import compile_plan, engine_settings, read_settings
from pipeline.scenario.sources import PlanSources
from pipeline.sending.links import links_of
from pipeline.store.rocks import RocksState

HOST = "127.0.0.1"
# Slow clients and open connections are bounded; heads are at most 64 KiB by h11's own limit.
AT_ONCE_MAX = 512
KEEP_ALIVE_S = 5


def config(app: Any, **more: Any) -> uvicorn.Config:
    """Return how uvicorn serves the collector: no access log (addresses hold tokens), no name of the server."""
    return uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=True,
        limit_concurrency=AT_ONCE_MAX + STREAMS_MAX,
        timeout_keep_alive=KEEP_ALIVE_S,
        lifespan="off",
        **more,
    )


def channels_of(plan: Plan) -> list[str]:
    """Return the channels by which a plan sends marketing, in a fixed order; email where it sends none."""
    ops = [op for scenario in plan.scenarios for op in scenario.program if isinstance(op, Send)]
    used = {channel for op in ops if op.purpose == "marketing" for channel in op.channels}
    return [channel for channel in CHANNELS if channel in used] or ["email"]


class EmbeddedLookup:
    """Reads customers' consents from the state of the run."""

    def __init__(self, state: RocksState, settings: SettingsSpec, now: Callable[[], int]):
        self._state = state
        self._settings = engine_settings(settings)
        self._now = now

    def __call__(self, customer: str) -> Wishes | None:
        """Return a customer's consents; None where nothing is known of them."""
        found = self._state.get(customer)
        if found is None:
            return None
        now = max(found.now, self._now())
        given = {channel: consents_to(found.cold, channel, "marketing", self._settings) for channel in CHANNELS}
        pauses = [one.until for one in found.cold.consents if one.until is not None and one.until > now]
        return Wishes(given, max(pauses, default=None))


def embedded_hub(pipeline: EmbeddedPipeline, plan: PlanSources) -> Hub:
    """Return the hub of an embedded run."""
    settings = read_settings(plan)
    inbox = None
    if settings.senders.web:
        inbox = InboxDesk(pipeline.inbox, tokens_of(pipeline.folder.path), origins_of(settings))
    return Hub(
        inbox=inbox,
        links=links_of(pipeline.folder.path),
        intake=EmbeddedIntake(pipeline.collected),
        settings=settings,
        base=settings.collector.url.rstrip("/") if settings.collector else "",
        channels=channels_of(compile_plan(plan)),
        lookup=EmbeddedLookup(RocksState(pipeline.folder.db), settings, lambda: pipeline.ingest_state.time),
    )


def serve_in_thread(hub: Hub, port: int) -> tuple[str, Callable[[], None]]:
    """Serve on 127.0.0.1; return the address and a function that stops it."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError:
        listener.close()
        raise RunError(f"port {port} on {HOST} is taken: name another with --collector-port") from None
    listener.listen()
    server = uvicorn.Server(config(build(hub, *routes_from_environment(hub))))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="collector", daemon=True)
    thread.start()

    def close() -> None:
        server.should_exit = True
        if hub.inbox is not None:
            hub.inbox.streams.close()
        thread.join(timeout=5)
        listener.close()

    return f"http://{HOST}:{listener.getsockname()[1]}", close
