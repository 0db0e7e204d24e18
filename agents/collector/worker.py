"""`parcours worker collector`: the collector as a process of a cluster."""

import asyncio
import socket
from collections.abc import Callable

import structlog
import uvicorn

from agents.collector.app import build
from agents.collector.hub import Hub
from agents.collector.inbox import InboxDesk, origins_of
from agents.collector.kafka import KafkaIntake
from agents.collector.kafka_inbox import TopicInbox
from agents.collector.serve import channels_of, config
from agents.collector.tokens import tokens_from_environment
from agents.collector.webhooks import routes_from_environment
from agents.kafka.control import live_sources
from models.topics import Topics
from pipeline.errors import UsageError
from pipeline.scenario.compile import compile_plan, read_settings
from pipeline.sending.links import Links, links_from_environment

log = structlog.get_logger()


def needed_links() -> Links:
    """Return the links of the environment's secret; UsageError without one: no folder keeps it for a cluster."""
    found = links_from_environment()
    if found is None:
        raise UsageError(
            "PARCOURS_SECRET (or PARCOURS_SECRET_FILE) is not set: collectors and senders need the same secret; "
            "`openssl rand -hex 32` makes one"
        )
    return found


async def hub_of(bootstrap: str, topics: Topics, intake: KafkaIntake) -> Hub:
    """Return a hub for the live plan; UsageError where no plan is live. A change of its settings needs a restart."""
    links, plan = needed_links(), await live_sources(bootstrap, topics)
    if plan is None:
        raise UsageError("no plan is live: `parcours apply` one first")
    settings = read_settings(plan)
    if settings.collector is None:
        log.warning("no message leads here: the live plan's settings have no collector.url")
    inbox = None
    if settings.senders.web and (tokens := tokens_from_environment()) is not None:
        inbox = InboxDesk(TopicInbox(bootstrap, topics, settings.senders.web.at_most), tokens, origins_of(settings))
    elif settings.senders.web:
        log.warning("no inbox is served: PARCOURS_INBOX_SECRET (or PARCOURS_INBOX_SECRET_FILE) is not set")
    return Hub(
        inbox=inbox,
        links=links,
        intake=intake,
        settings=settings,
        base=settings.collector.url.rstrip("/") if settings.collector else "",
        channels=channels_of(compile_plan(plan)),
    )


async def run(
    *,
    bootstrap: str,
    topics: Topics,
    host: str,
    port: int,
    proxies: str,
    stop: asyncio.Event,
    announce: Callable[[Callable[[], bool]], None] = lambda _: None,
) -> None:
    """Serve until stopped; `proxies` are the addresses whose X-Forwarded-For is believed."""
    intake = KafkaIntake(bootstrap, topics)
    hub = await hub_of(bootstrap, topics, intake)
    await intake.start()
    inbox = hub.inbox.store if hub.inbox is not None else None
    following = await inbox.start() if isinstance(inbox, TopicInbox) else None
    listener = _listening(host, port)
    app = build(hub, *routes_from_environment(hub))
    server = uvicorn.Server(config(app, log_config=None, proxy_headers=True, forwarded_allow_ips=proxies))
    announce(lambda: server.started and intake.ready)
    task = asyncio.create_task(server._serve([listener]), name="collector")
    try:
        waited = asyncio.create_task(stop.wait())
        # Without the topic's news the inbox would show what was: then it is better to end and be started again.
        running = {waited, task} if following is None else {waited, task, following}
        await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        waited.cancel()
        if following is not None and following.done():
            following.result()
    finally:
        server.should_exit = True
        if hub.inbox is not None:
            hub.inbox.streams.close()
        await asyncio.gather(task)
        if following is not None:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
        if isinstance(inbox, TopicInbox):
            await inbox.stop()
        await intake.stop()
        listener.close()


def _listening(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), reuse_port=False)
    except OSError as error:
        raise UsageError(f"{host}:{port} cannot be listened on ({error.strerror}): name another with --port") from None
