"""`parcours backtest`: what a plan would have sent, over the recorded log."""

import sys
from pathlib import Path
from typing import Any

import click
import orjson

from agents.cli.replaying import checkpoints_option, live_plan, log_options, read_plan, stage


@click.command()
@click.option("--plan", type=click.Path(path_type=Path), help="The folder of the draft (else the live plan).")
@click.option("--out", type=click.Path(path_type=Path), help="Write commands, decisions and summary here.")
@click.option("--remember", is_flag=True, help="Note the busiest hours in the folder of --plan, for the brakes.")
@log_options
@checkpoints_option
def backtest(plan: Path | None, out: Path | None, remember: bool, as_json: bool, **said: Any) -> None:
    """Run a plan over what really happened, waits included; nothing is sent."""
    from agents.cli.replay_text import backtest_text
    from pipeline.errors import UsageError
    from pipeline.replay.backtest import write_busiest, write_results
    from pipeline.replay.limits import against_limits
    from pipeline.replay.spread import replay
    from pipeline.replay.summary import summary
    from pipeline.replay.task import Task
    from pipeline.scenario.compile import read_settings

    if remember and plan is None:
        raise UsageError("--remember writes into the folder of the draft: name it with --plan")
    if out is not None and out.exists():
        raise UsageError(f"{out}: is there already: name a new folder")
    draft = read_plan(plan, said["said"])
    with stage(said, draft) as at:
        draft = draft or live_plan(at.log)
        task = Task(at.log, draft, at.since, at.until, decisions=out is not None, **at.starts)
        found = replay(task, at.folder, at.processes, at.watch("replaying"))
        settings = read_settings(draft)
        figures = {"plan": draft.hash, **summary(found)}
        figures["busiest_hour"] = against_limits(figures["busiest_hour"], settings.senders)
        if at.spooled is not None:
            figures["refused"] = dict(at.spooled.refused.most_common())
        if out is not None:
            write_results(found, figures, out)
    if remember and plan is not None:
        write_busiest(figures, plan)
    if as_json:
        sys.stdout.buffer.write(orjson.dumps(figures) + b"\n")
    else:
        click.echo(backtest_text(figures, settings.store.currency))
