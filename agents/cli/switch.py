"""`parcours pause|resume|stop|release`: the operator's hand on one scenario, or on all."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from agents.cli.cluster import BOOTSTRAP, PREFIX
from pipeline.errors import UsageError

ALL = "*"
CHANNELS = ["email", "sms", "push", "web", "webhook"]


def _options(command: Callable[..., None], *, needs_scenario: bool = True) -> Callable[..., None]:
    for option in (
        click.argument("scenario", required=needs_scenario),
        click.option("--data", type=click.Path(path_type=Path), default=Path(".parcours"), help="The data folder."),
        click.option("--kafka", is_flag=True, help="On the cluster instead."),
        BOOTSTRAP,
        PREFIX,
    ):
        command = option(command)
    return command


def _of_a_channel(command: Callable[..., None]) -> Callable[..., None]:
    option = click.option("--channel", type=click.Choice(CHANNELS), help="All of a channel instead, on a cluster.")
    found: Callable[..., None] = option(_options(command, needs_scenario=False))
    return found


@click.command()
@_of_a_channel
def pause(**said: Any) -> None:
    """Let no message of a scenario ("*": of any) go out; people still enter and pass over its sends."""
    _either("paused", **said)


@click.command()
@_of_a_channel
def resume(**said: Any) -> None:
    """Take a pause or a stop back; commands that waited at the senders go on, if they are still valid."""
    _either("active", **said)


def _either(state: str, scenario: str | None, channel: str | None, **said: Any) -> None:
    """Switch a scenario, or a channel: a word to its senders, which hold its messages until it is resumed."""
    if (scenario is None) == (channel is None):
        raise UsageError('name a scenario ("*" means all), or a channel with --channel')
    if scenario is not None:
        _switch(state, scenario, **said)
        return
    from agents.kafka.control import switch_channel
    from models.topics import Topics

    assert channel is not None
    if not said["kafka"]:
        raise UsageError('a channel is paused on a cluster (--kafka); one process takes `parcours pause "*"`')
    asyncio.run(switch_channel(said["bootstrap"], Topics(said["prefix"]), channel, state))
    click.echo(f"{channel} is {state}")


@click.command()
@_options
def stop(**said: Any) -> None:
    """Let nobody enter a scenario ("*": any), end those inside, and take back what is not yet out."""
    _switch("stopped", **said)


def _known(scenario: str, names: list[str]) -> None:
    from pipeline.scenario.expressions.compile import nearest

    if scenario != ALL and scenario not in names:
        raise UsageError(f"no scenario of the live plan is named {scenario!r}{nearest(scenario, names)}")


def _switch(state: str, scenario: str, data: Path, kafka: bool, bootstrap: str, prefix: str) -> None:
    if kafka:
        _on_cluster(state, scenario, bootstrap, prefix)
    else:
        _in_folder(state, scenario, data)
    click.echo(f"{'every scenario' if scenario == ALL else scenario} is {state}")


def _live_in(data: Path) -> list[str]:
    from pipeline.runtime.reading import DataFolder

    reader = DataFolder(data)
    try:
        plan = reader.plan()
        return sorted(plan.live) if plan else []
    finally:
        reader.close()


def _in_folder(state: str, scenario: str, data: Path) -> None:
    from models.ids import digest
    from models.journal import ScenarioSwitched
    from pipeline.runtime.operator import say

    _known(scenario, _live_in(data))
    name = digest("switch", scenario, state, str(time.time_ns()))
    # Its time is that of the log where it is read: the run puts it in.
    say(data, ScenarioSwitched(id=name, scenario=scenario, state=state, at=0))


def _on_cluster(state: str, scenario: str, bootstrap: str, prefix: str) -> None:
    from agents.kafka.control import live_scenarios, tell_engine, tell_senders
    from agents.kafka.reading import KafkaReader
    from models.topics import Topics

    topics = Topics(prefix)
    _known(scenario, asyncio.run(live_scenarios(bootstrap, topics)))
    # The senders first: what follows reads every customer's state.
    number = asyncio.run(tell_senders(bootstrap, topics, scenario, state))
    progress = KafkaReader(bootstrap, topics).progress()
    at = max((one.watermark for one in progress.values()), default=0)
    asyncio.run(tell_engine(bootstrap, topics, scenario, state, at, number))


@click.command()
@_options
@click.option("--cancel", is_flag=True, help="Drop what is held, instead of letting it go.")
def release(scenario: str, data: Path, kafka: bool, bootstrap: str, prefix: str, cancel: bool) -> None:
    """Let go what the senders hold of a scenario, or drop it; `parcours held ls` says what and why."""
    if kafka:
        _release_on_cluster(scenario, bootstrap, prefix, cancel=cancel)
    else:
        _release_in_folder(scenario, data, cancel=cancel)
    click.echo(f"what was held of {scenario} is {'dropped' if cancel else 'released'}")


def _release_in_folder(scenario: str, data: Path, *, cancel: bool) -> None:
    from models.command import Release
    from models.ids import digest
    from pipeline.runtime.operator import say

    _known(scenario, _live_in(data))
    name = digest("release", scenario, str(cancel), str(time.time_ns()))
    say(data, Release(id=name, scenario=scenario, cancel=cancel, at=0))


def _release_on_cluster(scenario: str, bootstrap: str, prefix: str, *, cancel: bool) -> None:
    from agents.kafka.control import live_scenarios
    from agents.kafka.control import release as write
    from models.topics import Topics

    topics = Topics(prefix)
    _known(scenario, asyncio.run(live_scenarios(bootstrap, topics)))
    asyncio.run(write(bootstrap, topics, scenario, time.time_ns() // 1_000_000, cancel=cancel))
