"""`parcours worker ingest|journeys|sender|collector|projector|console`: one process of a cluster."""

import asyncio
import os
import signal
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import click

from agents.cli.cluster import BOOTSTRAP, PREFIX
from models.topics import Topics

CHANNELS = ["email", "sms", "push", "web", "webhook"]
SHIPPED_SOURCES = Path(__file__).parents[2] / "deploy" / "sources.yaml"


@click.group()
def worker() -> None:
    """One process of a cluster: run as many of each kind as there are cores."""


def _common(command: Any) -> Any:
    for option in (
        BOOTSTRAP,
        PREFIX,
        click.option("--metrics-port", default=0, help="Serve /metrics, /livez and /readyz here (0: nowhere)."),
        click.option("--metrics-host", default="127.0.0.1"),
    ):
        command = option(command)
    return command


class Readiness:
    """What /readyz asks: the worker announces its own test once it has one."""

    def __init__(self) -> None:
        self._test: Callable[[], bool] = lambda: False

    def announce(self, test: Callable[[], bool]) -> None:
        """Take the worker's test."""
        self._test = test

    def __call__(self) -> bool:
        """Say whether the worker does its work."""
        return self._test()


def _run(said: dict[str, Any], work: Callable[[asyncio.Event], Awaitable[None]], ready: Readiness) -> None:
    """Run until SIGTERM or SIGINT, with the metrics beside it."""
    from agents.logs import configure
    from agents.metrics import serve

    configure()

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        async with serve(said["metrics_host"], said["metrics_port"], ready):
            await work(stop)

    asyncio.run(main())


@worker.command()
@_common
@click.option("--plan", type=click.Path(path_type=Path), help="Make this plan live first, if it is not.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="A setting of the plan.")
@click.option("--sources", type=click.Path(path_type=Path), default=SHIPPED_SOURCES, help="Which topics are read.")
@click.option("--clock", type=click.Choice(["broker", "records"]), default="broker")
@click.option("--follow", is_flag=True, help="After a history, go on reading receipts.")
def ingest(**said: Any) -> None:
    """Read the store's topics and write the journal.

    Currency and the store's own events are those of --plan, else of the live plan, as it is at the start.
    """
    from agents.cli.run import parse_settings
    from agents.ingest.sources import open_sources, read_sources_file
    from agents.ingest.worker import run
    from agents.kafka.control import live_sources
    from pipeline.intake.mapper import validator_for
    from pipeline.scenario.compile import read_settings
    from pipeline.scenario.sources import PlanSources, read_sources

    plan = read_sources(said["plan"], parse_settings(said["overrides"])) if said["plan"] else None
    live = plan or asyncio.run(live_sources(said["bootstrap"], Topics(said["prefix"])))
    settings = read_settings(live or PlanSources({}))
    specs = read_sources_file(said["sources"])
    sources = open_sources(specs, validator_for(settings.store.currency, settings.events))
    ready = Readiness()
    _run(
        said,
        lambda stop: run(
            bootstrap=said["bootstrap"],
            topics=Topics(said["prefix"]),
            sources=sources,
            plan=plan,
            clock=said["clock"],
            follow=said["follow"],
            stop=stop,
            announce=ready.announce,
        ),
        ready,
    )


@worker.command()
@_common
@click.option("--data", type=click.Path(path_type=Path), default=Path(".parcours-journeys"))
@click.option("--instance", default=f"{socket.gethostname()}-0", help="This worker's slot: stays the same at restart.")
def journeys(**said: Any) -> None:
    """Keep customers' states and emit commands."""
    from agents.journeys.worker import run

    said["data"].mkdir(parents=True, exist_ok=True)
    ready = Readiness()
    _run(
        said,
        lambda stop: run(
            bootstrap=said["bootstrap"],
            topics=Topics(said["prefix"]),
            data=said["data"],
            instance=said["instance"],
            stop=stop,
            announce=ready.announce,
        ),
        ready,
    )


@worker.command()
@_common
@click.option("--channel", type=click.Choice(CHANNELS), default="email")
@click.option(
    "--smtp",
    default=lambda: os.environ.get("PARCOURS_SMTP", ""),
    help="smtp://host:port of the relay for email, instead of what the live plan's settings say.",
)
@click.option("--starttls", is_flag=True, help="With --smtp.")
@click.option(
    "--instance", help="This sender's slot: stays the same at restart, so that it takes its partitions back at once."
)
@click.option("--outbox", type=click.Path(path_type=Path), help="Write files here instead.")
@click.option(
    "--products",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    multiple=True,
    help="A file of the catalogue, instead of the topic `products`.",
)
def sender(**said: Any) -> None:
    """Carry out the commands of one channel by the provider that the live plan's settings name."""
    from agents.senders.build import configured
    from agents.senders.email_smtp import Smtp
    from agents.senders.outbox import Outbox
    from agents.senders.worker import run
    from pipeline.sending.catalogue_files import FileGoods
    from pipeline.sending.links import links_from_environment
    from pipeline.sending.outcome import Provider

    links = links_from_environment()
    ready = Readiness()
    topics = Topics(said["prefix"])

    async def provider() -> Provider:
        if said["outbox"]:
            return Outbox(said["outbox"])
        if said["smtp"] and said["channel"] == "email":
            return Smtp(said["smtp"], starttls=said["starttls"])
        return await configured(said["bootstrap"], topics, said["channel"])

    async def work(stop: asyncio.Event) -> None:
        await run(
            bootstrap=said["bootstrap"],
            topics=topics,
            channel=said["channel"],
            instance=said["instance"],
            provider=await provider(),
            stop=stop,
            announce=ready.announce,
            goods=FileGoods(said["products"], lambda text: click.echo(text, err=True)) if said["products"] else None,
            links=links,
        )

    _run(said, work, ready)


@worker.command()
@_common
@click.option("--host", default="127.0.0.1", help="Where to listen: customers reach it through a TLS proxy.")
@click.option("--port", default=8421)
@click.option(
    "--proxy",
    "proxies",
    multiple=True,
    metavar="ADDRESS",
    help="A proxy whose X-Forwarded-For is believed; 127.0.0.1 always is.",
)
def collector(**said: Any) -> None:
    """Take customers' clicks and wishes and providers' webhooks, by the live plan's settings as they are at the start.

    PARCOURS_SECRET (or PARCOURS_SECRET_FILE) is the senders'.
    """
    from agents.collector.worker import run

    ready = Readiness()
    _run(
        said,
        lambda stop: run(
            bootstrap=said["bootstrap"],
            topics=Topics(said["prefix"]),
            host=said["host"],
            port=said["port"],
            proxies=",".join(["127.0.0.1", *said["proxies"]]),
            stop=stop,
            announce=ready.announce,
        ),
        ready,
    )


DATABASE = click.option(
    "--database",
    envvar="PARCOURS_DATABASE",
    required=True,
    help="The read model: postgresql://USER@HOST/NAME; its password in PARCOURS_DATABASE_PASSWORD (or …_FILE).",
)


@worker.command()
@_common
@DATABASE
@click.option("--instance", help="This projector's slot: stays the same at restart.")
@click.option("--group", default="projector", help="Of the processes that share one database; each database its own.")
@click.option("--keep-days", default=90, help="How many days of log time events, decisions and messages are kept.")
@click.option("--keep-counts-days", default=400, help="How many days of log time the sums by day are kept.")
@click.option("--rebuild", is_flag=True, help="Empty the read model first: it is made again from the log.")
def projector(**said: Any) -> None:
    """Follow the log into the database that the console reads."""
    from agents.kafka.security import Given
    from agents.projector.cluster import ProjectorOptions, run
    from agents.projector.database import PASSWORD, open_database
    from agents.projector.retention import Retention

    engine = open_database(said["database"], password=Given(os.environ).get(PASSWORD) or "")
    options = ProjectorOptions(
        bootstrap=said["bootstrap"],
        engine=engine,
        topics=Topics(said["prefix"]),
        instance=said["instance"],
        group=said["group"],
        retention=Retention(said["keep_days"], said["keep_counts_days"]),
        rebuild=said["rebuild"],
    )
    ready = Readiness()
    _run(said, lambda stop: run(options, stop, ready.announce), ready)


@worker.command()
@_common
@DATABASE
@click.option("--host", default="127.0.0.1", help="Where to listen: people reach it through a TLS proxy.")
@click.option("--port", default=8420)
@click.option("--secure", is_flag=True, help="Behind TLS: browsers send the cookie over it alone.")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    default=Path(".parcours-console"),
    help="Holds the token and the key of the sessions: the same for every console of a cluster.",
)
@click.option(
    "--console-settings",
    type=click.Path(path_type=Path),
    envvar="PARCOURS_CONSOLE_SETTINGS",
    help="A file with the console's address and login provider.",
)
@click.option(
    "--sources", type=click.Path(path_type=Path), help="The ingest's list of topics: dead letters are read so."
)
def console(**said: Any) -> None:
    """Serve the console's pages from the database that the projector keeps."""
    from agents.console.worker import run
    from agents.kafka.security import Given
    from agents.projector.database import PASSWORD, open_database

    engine = open_database(said["database"], password=Given(os.environ).get(PASSWORD) or "")
    ready = Readiness()
    _run(
        said,
        lambda stop: run(
            bootstrap=said["bootstrap"],
            topics=Topics(said["prefix"]),
            engine=engine,
            folder=said["data"],
            host=said["host"],
            port=said["port"],
            secure=said["secure"],
            settings=said["console_settings"],
            sources=said["sources"],
            stop=stop,
            announce=ready.announce,
        ),
        ready,
    )
