"""What the commands over a recorded log share: which log, which stretch, bars, and an end that leaves nothing."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from agents.cli.cluster import parse_time
from agents.cli.run import parse_settings, parse_span
from pipeline.errors import UsageError
from pipeline.replay.books import compiled
from pipeline.replay.checkpoints import nearest, of_partitions
from pipeline.replay.recorded import RecordedLog
from pipeline.replay.spool import Spooled, spool_files, without_scenarios
from pipeline.replay.spread import cores, scratch
from pipeline.scenario.sources import PlanSources, read_sources

Command = Any


checkpoints_option = click.option(
    "--checkpoints",
    type=click.Path(path_type=Path),
    multiple=True,
    help="With --kafka and --from: data folders of journeys workers.",
)


def log_options(command: Command) -> Command:
    """Add the options that name the log and the stretch of it."""
    options = [
        click.option("--data", type=click.Path(path_type=Path), default=Path(".parcours"), help="The data folder."),
        click.option("--kafka", is_flag=True, help="Read the cluster's journal instead."),
        click.option("--bootstrap", envvar="KAFKA_BOOTSTRAP", default="127.0.0.1:9092", help="The brokers."),
        click.option("--prefix", default="", help="The topics' prefix."),
        click.option("--input", "files", type=click.Path(path_type=Path), multiple=True, help="A file of history."),
        click.option("--mapping", "mappings", multiple=True, help="How the input before it is read."),
        click.option("--advance", default="0s", help="With --input: how far past its last event the clock moves."),
        click.option("--from", "since", help="From this log time on, ISO 8601: as if published then."),
        click.option("--to", "until", help="Up to this log time, ISO 8601."),
        click.option("--set", "said", multiple=True, metavar="KEY=VALUE", help="A setting of the plan."),
        click.option("--processes", type=click.IntRange(1, 64), help="How many work at once (all cores)."),
        click.option("--json", "as_json", is_flag=True, help="One JSON object."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@dataclass
class Stage:
    """An open log with a folder to work in, and the bars."""

    log: Path
    folder: Path
    bars: Progress
    processes: int
    since: int | None
    until: int | None
    checkpoint: Path | None = None
    checkpoints: dict[int, Path] = field(default_factory=dict)
    spooled: Spooled | None = None

    @property
    def starts(self) -> dict[str, Any]:
        """Return where the replay begins, as a task takes it."""
        return {"checkpoint": self.checkpoint, "checkpoints": self.checkpoints}

    def watch(self, title: str) -> Callable[[int, int, int], None]:
        """Return what is to be told how far a replay is: messages done, of, and events."""
        task = self.bars.add_task(title, total=None, events="")

        def told(done: int, total: int, events: int) -> None:
            elapsed = self.bars.tasks[task].elapsed or 0.0
            rate = f"{events / elapsed:,.0f} events/s" if elapsed else ""
            self.bars.update(task, completed=min(done, total), total=total, events=rate)

        return told


@contextmanager
def stage(said: dict[str, Any], plan: PlanSources | None) -> Iterator[Stage]:
    """Open what the options name; `plan` is needed to read a file of history."""
    files, mappings = said["files"], said["mappings"]
    if len(files) != len(mappings):
        raise UsageError("every --input needs its --mapping, in the same order")
    if files and said["kafka"]:
        raise UsageError("name either --input or --kafka: the log is one of them")
    checkpoints: tuple[Path, ...] = said.get("checkpoints", ())
    if checkpoints and not (said["kafka"] and said["since"]):
        raise UsageError("--checkpoints belongs to --kafka and --from: a replay begins at the nearest before that time")
    bars = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[events]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
        transient=True,
    )
    since = parse_time(said["since"]) if said["since"] else None
    until = parse_time(said["until"]) if said["until"] else None
    with ExitStack() as stack:
        # A stop by a supervisor is as a stop by hand: what is half-written goes.
        stack.callback(signal.signal, signal.SIGTERM, signal.signal(signal.SIGTERM, signal.default_int_handler))
        folder = stack.enter_context(scratch())
        stack.enter_context(bars)
        found = Stage(said["data"], folder, bars, said["processes"] or cores(), since, until)
        if files:
            _from_files(found, list(zip(files, mappings, strict=True)), plan, parse_span(said["advance"], "--advance"))
        elif said["kafka"]:
            _from_cluster(found, said["bootstrap"], said["prefix"])
            found.checkpoints = _checkpoints(found, checkpoints)
        elif since is not None:
            found.checkpoint = nearest(said["data"], since)
        yield found


def _from_files(found: Stage, files: list[tuple[Path, str]], plan: PlanSources | None, advance_ms: int) -> None:
    if plan is None:
        raise UsageError("a file has no plan of its own: name one with --plan")
    task = found.bars.add_task("reading", total=None, events="")

    def told(done: int, total: int) -> None:
        found.bars.update(task, completed=done, total=total)

    first = without_scenarios(plan) if found.since is not None else None
    found.log = found.folder / "log"
    found.spooled = spool_files(files, plan, found.log, advance_ms=advance_ms, first=first, watch=told)


def _from_cluster(found: Stage, bootstrap: str, prefix: str) -> None:
    from agents.kafka.spool import spool_cluster
    from models.topics import Topics

    task = found.bars.add_task("reading the topics", total=None, events="")

    def told(done: int, total: int) -> None:
        found.bars.update(task, completed=done, total=total)

    found.log = found.folder / "log"
    spool_cluster(bootstrap, Topics(prefix), found.log, told)


def _checkpoints(found: Stage, folders: tuple[Path, ...]) -> dict[int, Path]:
    if not folders or found.since is None:
        return {}
    log = RecordedLog(found.log)
    try:
        kept = of_partitions(folders, log.partitions, found.since)
    finally:
        log.close()
    if not kept:
        raise UsageError(f"no checkpoint from before --from in {', '.join(map(str, folders))}")
    return kept


def read_plan(directory: Path | None, said: tuple[str, ...]) -> PlanSources | None:
    """Return a plan's sources, compiled once so that its faults are said before anything is read; None for none."""
    if directory is None:
        if said:
            raise UsageError("--set changes a plan that --plan names")
        return None
    sources = read_sources(directory, parse_settings(said))
    compiled(sources)
    return sources


def live_plan(log: Path) -> PlanSources:
    """Return the plan that is live in a log; UsageError where there is none."""
    opened = RecordedLog(log)
    try:
        found = opened.live_plan()
    finally:
        opened.close()
    if found is None:
        raise UsageError(f"{log}: no plan is live here: name one with --plan")
    return found
