"""`parcours apply`: a plan becomes live, after it was shown what that would do and somebody said yes."""

import asyncio
import sys
import time
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress as Bars
from rich.progress import SpinnerColumn, TextColumn

from agents.cli.cluster import BOOTSTRAP, PREFIX
from pipeline.applying.ground import Ground
from pipeline.errors import UsageError
from pipeline.scenario.sources import PlanSources


@click.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--set", "said", multiple=True, metavar="KEY=VALUE", help="A setting, over settings.yaml.")
@click.option("--data", type=click.Path(path_type=Path), help="To the run of this data folder (else to the cluster).")
@click.option("--kafka", is_flag=True, help="To the cluster, as without --data.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@BOOTSTRAP
@PREFIX
def apply(
    directory: Path, said: tuple[str, ...], data: Path | None, kafka: bool, yes: bool, bootstrap: str, prefix: str
) -> None:
    """Make a plan live, from now in log time on: print what it changes and whom it would enter, then ask."""
    from agents.cli.run import parse_settings
    from pipeline.scenario.sources import read_sources

    if data is not None and kafka:
        raise UsageError("name either --data or --kafka: the plan goes to one of them")
    sources = read_sources(directory, parse_settings(said))
    if data is not None:
        _to_folder(sources, data, yes)
    else:
        _to_cluster(sources, bootstrap, prefix, yes)


def _to_folder(sources: PlanSources, data: Path, yes: bool) -> None:
    from models.ids import digest
    from pipeline.runtime.operator import PlanSaid, say
    from pipeline.runtime.reading import DataFolder

    reader = DataFolder(data)
    try:
        if not _agreed(reader, sources, yes):
            return
        name = digest("apply", sources.hash, reader.live_name(), str(time.time_ns()))
    finally:
        reader.close()
    say(data, PlanSaid(id=name, files=sources.files))
    click.echo(f"plan {sources.hash} goes to the run of {data}, or to the next one where none is up")


def _to_cluster(sources: PlanSources, bootstrap: str, prefix: str, yes: bool) -> None:
    from agents.kafka.control import activate
    from agents.kafka.reading import KafkaReader
    from models.topics import Topics

    reader = KafkaReader(bootstrap, Topics(prefix))
    if not _agreed(reader, sources, yes):
        return
    at = max((one.watermark for one in reader.progress().values()), default=0)
    changed = asyncio.run(activate(bootstrap, Topics(prefix), sources, at))
    click.echo(f"plan {sources.hash} is live" if changed else "this plan is live already")


def _agreed(ground: Ground, sources: PlanSources, yes: bool) -> bool:
    """Show what a plan would do and ask; False where it is live already. UsageError for no, and for nobody to ask."""
    from pipeline.scenario.compile import compile_plan
    from pipeline.scenario.lint import warnings
    from pipeline.sending.render import Renderer

    compile_plan(sources)
    Renderer(sources)
    before = ground.live_name()
    if before == sources.hash:
        click.echo("this plan is live already")
        return False
    for warning in warnings(sources):
        click.echo(str(warning))
    _show(ground, sources, before)
    if yes:
        return True
    if not sys.stdin.isatty():
        raise UsageError("nothing was changed: say --yes to make this plan live, where nobody can be asked")
    if not click.confirm("make it live?"):
        raise UsageError("nothing was changed")
    return True


def _show(ground: Ground, sources: PlanSources, before: str) -> None:
    """Print what a plan would do; UsageError where it takes away a name that somebody inside still uses."""
    from pipeline.applying.ground import live_plan, next_plan
    from pipeline.applying.names import removed_names, still_used
    from pipeline.applying.preview import preview
    from pipeline.applying.text import preview_lines
    from pipeline.scenario.compile import read_settings

    standing = ground.standing()
    at = standing.watermark if standing is not None else 0
    new = next_plan(ground, sources, at)
    bars = Bars(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
        transient=True,
    )
    with bars:
        task = bars.add_task("trying the plan on every customer")
        found = preview(
            live_plan(ground),
            new,
            ground.states(),
            at,
            lambda count: bars.update(task, description=f"{count:,} customers tried"),
        )
    for line in preview_lines(found, sources.hash, before):
        click.echo(line)
    old = ground.plan_sources(before) if before else None
    removed = removed_names(read_settings(old), read_settings(sources)) if old is not None else []
    wrong = still_used(new, found.used, removed)
    if wrong:
        raise UsageError("nothing was changed: " + "; ".join(wrong))
