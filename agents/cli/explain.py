"""`parcours explain`: why each message to one customer was or was not sent, from the log."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import msgspec

from agents.cli.cluster import parse_time
from agents.cli.read import reading
from agents.cli.replaying import checkpoints_option
from pipeline.errors import UsageError
from pipeline.replay.recorded import RecordedLog


@click.command()
@click.option("--customer", "name", required=True, help="Whose messages.")
@click.option("--command", "command", help="Only the message of this id.")
@click.option("--scenario", help="Only this scenario.")
@click.option(
    "--deep", is_flag=True, help="Replay the customer's log: the values of every condition, and what never began."
)
@click.option("--from", "since", help="With --deep: replay from the nearest checkpoint before this log time.")
@checkpoints_option
@reading
def explain(
    name: str,
    command: str | None,
    scenario: str | None,
    deep: bool,
    since: str | None,
    checkpoints: tuple[Path, ...],
    as_json: bool,
    **where: Any,
) -> None:
    """Say why each message was or was not sent: events, conditions with their values, caps, plan, source offsets."""
    from agents.cli.explain_text import explanation_text
    from pipeline.replay.deep import beginning_of, explain_deep
    from pipeline.replay.deep import explain as explain_recorded

    moment = parse_time(since) if since else None
    if checkpoints and not (deep and moment is not None and where["kafka"]):
        raise UsageError("--checkpoints belongs to --deep, --kafka and --from: the replay begins at the nearest before")
    with opened(name, **where) as log:
        if deep:
            found = explain_deep(log, name, beginning_of(log, name, moment, checkpoints))
        else:
            found = explain_recorded(log, name)
    if scenario is not None:
        _keep_scenario(found, scenario)
    if command is not None:
        _keep_command(found, command)
    if as_json:
        sys.stdout.buffer.write(msgspec.json.encode(found) + b"\n")
    else:
        click.echo(explanation_text(found))


@contextmanager
def opened(customer: str, data: Path, kafka: bool, bootstrap: str, prefix: str) -> Iterator[RecordedLog]:
    """Open a data folder's log, or copy the part of the cluster's log in which a customer stands."""
    from pipeline.replay.spread import scratch

    with scratch() as folder:
        if kafka:
            from agents.kafka.spool import spool_cluster
            from models.topics import Topics

            spool_cluster(bootstrap, Topics(prefix), folder / "log", customer=customer)
        log = RecordedLog(folder / "log" if kafka else data)
        try:
            yield log
        finally:
            log.close()


def _keep_scenario(found: Any, scenario: str) -> None:
    found.passages = [one for one in found.passages if one.scenario == scenario]
    found.never = [one for one in found.never if one.scenario == scenario]
    if not found.passages and not found.never:
        raise UsageError(f"customer {found.customer!r} had nothing to do with a scenario {scenario!r} in this log")


def _keep_command(found: Any, command: str) -> None:
    """Keep one passage with one send; an id that was never emitted names a send that was not reached."""
    for passage in found.passages:
        steps = tuple(one for one in passage.steps if one.command == command)
        if steps:
            found.passages = [msgspec.structs.replace(passage, steps=steps)]
            found.not_entered, found.never, found.other, found.repeated = [], [], [], []
            return
    raise UsageError(f"no passage of customer {found.customer!r} in this log has a message {command!r}")
