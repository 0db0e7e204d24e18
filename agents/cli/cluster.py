"""Commands on a cluster: topics, the local broker, publishing files, plans, and the end of a history."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from models.topics import Topics
from pipeline.errors import UsageError

BOOTSTRAP = click.option("--bootstrap", envvar="KAFKA_BOOTSTRAP", default="127.0.0.1:9092", help="The brokers.")
PREFIX = click.option("--prefix", default="", help="Put before the names of our topics.")
FOLDER = click.option("--folder", type=click.Path(path_type=Path), default=Path(".parcours-kafka"), help="Its folder.")


def parse_time(text: str) -> int:
    """Return an ISO 8601 time in UTC milliseconds."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text!r} is not a time: write it as in 2026-01-31T09:00:00Z") from None
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


@click.group()
def topics() -> None:
    """Our topics: what they should be, made, compared."""


def _wanted(said: dict[str, Any]) -> list[Any]:
    from agents.kafka.topics import wanted

    return wanted(Topics(said["prefix"]), said["partitions"], said["journal_days"])


def _topic_options(command: Any) -> Any:
    for option in (
        BOOTSTRAP,
        PREFIX,
        click.option("--partitions", default=8, help="Journal partitions: the most workers that share the load."),
        click.option("--journal-days", default=30, help="How long the journal is kept."),
    ):
        command = option(command)
    return command


@topics.command("plan")
@_topic_options
def topics_plan(**said: Any) -> None:
    """Say what would be made."""
    from agents.kafka.topics import compare

    wrong = asyncio.run(compare(said["bootstrap"], _wanted(said)))
    for name, what in wrong.items():
        click.echo(f"{name}: {what}")
    click.echo(f"{len(wrong)} of {len(_wanted(said))} topics are not as they should be")


@topics.command("apply")
@_topic_options
@click.option(
    "--sources", type=click.Path(path_type=Path), help="Make these source topics too, where missing: they keep all."
)
def topics_apply(**said: Any) -> None:
    """Make the topics that are missing."""
    from agents.ingest.sources import read_sources_file
    from agents.kafka.topics import Wanted, apply, create

    made = asyncio.run(apply(said["bootstrap"], _wanted(said)))
    if said["sources"]:
        specs = read_sources_file(said["sources"])
        # A history is older than any time that a broker keeps records by itself.
        made_for = [Wanted(one.topic or one.name, said["partitions"], {"retention.ms": "-1"}) for one in specs]
        asyncio.run(create(said["bootstrap"], made_for))
    click.echo(f"{len(made)} topics made" if made else "all topics are there")


@topics.command("verify")
@_topic_options
@click.pass_context
def topics_verify(context: click.Context, /, **said: Any) -> None:
    """Compare the topics with what they should be; exit 1 where one differs."""
    from agents.kafka.topics import compare

    wrong = asyncio.run(compare(said["bootstrap"], _wanted(said)))
    for name, what in wrong.items():
        click.echo(f"{name}: {what}", err=True)
    if wrong:
        context.exit(1)
    click.echo("all topics are as they should be")


@topics.command("strimzi")
@PREFIX
@click.option("--partitions", default=8, help="Journal partitions: the most workers that share the load.")
@click.option("--journal-days", default=30, help="How long the journal is kept.")
@click.option("--cluster", default="kafka", help="The name of the Kafka resource.")
def topics_strimzi(cluster: str, **said: Any) -> None:
    """Print them as KafkaTopic resources of Strimzi, for kubectl apply."""
    from agents.kafka.strimzi import manifest

    click.echo(manifest(_wanted(said), cluster), nl=False)


@click.group()
def kafka() -> None:
    """A local broker, from Python packages alone."""


@kafka.command("start")
@FOLDER
@click.option("--port", default=9092)
def kafka_start(folder: Path, port: int) -> None:
    """Start it, and print its address."""
    from agents import localkafka

    click.echo(localkafka.start(folder, port))


@kafka.command("stop")
@FOLDER
def kafka_stop(folder: Path) -> None:
    """Stop it."""
    from agents import localkafka

    click.echo("stopped" if localkafka.stop(folder) else "none was running")


@kafka.command("status")
@FOLDER
def kafka_status(folder: Path) -> None:
    """Say whether it runs."""
    from agents import localkafka

    click.echo(localkafka.running(folder) or "none is running")


@click.command()
@click.option("--input", "file", type=click.Path(path_type=Path), required=True)
@click.option("--mapping", required=True)
@click.option("--topic", required=True)
@BOOTSTRAP
def produce(file: Path, mapping: str, topic: str, bootstrap: str) -> None:
    """Publish a file of history to a topic."""
    from agents.kafka import produce as publishing

    click.echo(f"{asyncio.run(publishing.produce(bootstrap, file, mapping, topic))} records published")


@click.command()
@click.option("--to", "to", required=True, help="The log time to move on to, ISO 8601.")
@BOOTSTRAP
@PREFIX
def advance(to: str, bootstrap: str, prefix: str) -> None:
    """Close a history: move every journal partition to a time."""
    from agents.ingest.worker import advance as move

    asyncio.run(move(bootstrap, Topics(prefix), parse_time(to)))


@click.group()
def source() -> None:
    """What an operator says of a source topic that is gone, or was made anew."""


def _source_options(command: Any) -> Any:
    partition = click.option("--partition", type=int, required=True, help="Which of its partitions.")
    return click.argument("name")(partition(BOOTSTRAP(PREFIX(command))))


@source.command("reset")
@_source_options
def source_reset(name: str, partition: int, bootstrap: str, prefix: str) -> None:
    """Read a source partition that was made anew, from its first record on: a new epoch."""
    from agents.kafka.control import reset_source

    epoch = asyncio.run(reset_source(bootstrap, Topics(prefix), name, partition))
    click.echo(f"{name}/{partition} begins its epoch {epoch}")


@source.command("retire")
@_source_options
def source_retire(name: str, partition: int, bootstrap: str, prefix: str) -> None:
    """Let a source partition that is gone hold back no timer any more."""
    from agents.kafka.control import retire_source

    now_ms = round(datetime.now(UTC).timestamp() * 1000)
    asyncio.run(retire_source(bootstrap, Topics(prefix), name, partition, now_ms))
    click.echo(f"{name}/{partition} is retired")
