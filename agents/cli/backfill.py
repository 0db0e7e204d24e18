"""`parcours backfill`: the state of a new scenario from history, with nothing sent that was due before now."""

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import orjson

from agents.cli.replaying import checkpoints_option, log_options, read_plan, stage
from pipeline.errors import UsageError
from pipeline.replay.shown import moment

FILE_EVENTS = 500


@click.command()
@click.option("--scenario", required=True, help="The new scenario.")
@click.option("--plan", type=click.Path(path_type=Path), help="A plan that is not live yet: only says how many.")
@click.option("--dry-run", is_flag=True, help="Only say how many.")
@log_options
@checkpoints_option
def backfill(scenario: str, plan: Path | None, dry_run: bool, as_json: bool, **said: Any) -> None:
    """Let enter who would be inside a new scenario, had it been live since --from; nothing past is sent."""
    from pipeline.replay.backfill import work_out

    if said["files"]:
        raise UsageError("a file has no workers to hand anything to: name --data or --kafka")
    if not said["since"]:
        raise UsageError("say with --from since when the scenario should have been live")
    if said["until"]:
        raise UsageError("it is built up to the scenario's activation: leave --to out")
    draft = read_plan(plan, said["said"])
    with stage(said, draft) as at:
        assert at.since is not None
        found = work_out(
            at.log,
            draft,
            scenario,
            at.since,
            at.folder,
            **at.starts,
            processes=at.processes,
            watch=at.watch("replaying"),
        )
        handed = 0
        if found.live and draft is None and not dry_run:
            handed = _hand_on(found, said)
    view = {
        "scenario": scenario,
        "from": moment(found.since),
        "until": moment(found.until),
        "live": found.live,
        "entered": found.entered,
        "ended": found.ended,
        "inside": found.inside,
        "visitors_left_out": found.visitors,
        "messages_passed_over": found.passed_over,
        "handed_on": handed,
    }
    if as_json:
        sys.stdout.buffer.write(orjson.dumps(view) + b"\n")
    else:
        click.echo("\n".join(_text(view)))


def _hand_on(found: Any, said: dict[str, Any]) -> int:
    if said["kafka"]:
        import asyncio

        from agents.kafka.control import hand_on
        from agents.kafka.reading import KafkaReader
        from models.topics import Topics

        topics = Topics(said["prefix"])
        progress = KafkaReader(said["bootstrap"], topics).progress()
        at = max((one.watermark for one in progress.values()), default=0)
        return asyncio.run(hand_on(said["bootstrap"], topics, found.events(), at))
    from pipeline.runtime.operator import HandedOn, say

    count = 0
    for events in _slices(found.events()):
        # Their time is that of the log where they are read: the run puts it in.
        say(said["data"], HandedOn(events=events))
        count += len(events)
    return count


def _slices(events: Iterator[Any]) -> Iterator[list[Any]]:
    while taken := list(itertools.islice(events, FILE_EVENTS)):
        yield taken


def _text(view: dict[str, Any]) -> Iterator[str]:
    yield f"{view['scenario']} from {view['from']} to {view['until']}: {view['entered']:,} entered"
    for reason, count in view["ended"].items():
        yield f"  {count:,} have ended since: {reason}"
    yield f"  {view['inside']:,} are inside"
    if view["visitors_left_out"]:
        yield f"  {view['visitors_left_out']:,} visitors without a name are inside too, and are left out"
    yield f"  {view['messages_passed_over']:,} messages were due by then, and are never sent"
    if view["handed_on"]:
        yield f"{view['handed_on']:,} were handed to the workers: `parcours decisions` shows who entered as `backfill`"
    elif not view["live"]:
        yield "nobody enters: the plan with this scenario is not live yet; make it live, then run this again"
    else:
        yield "nobody enters: this only says how many would"
