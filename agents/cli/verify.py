"""`parcours replay --verify`: does this release decide as what is recorded was decided?"""

import sys
from typing import Any

import click
import msgspec

from agents.cli.replaying import checkpoints_option, log_options, stage
from pipeline.errors import UsageError


@click.command()
@click.option("--verify", "check", is_flag=True, help="Compare with what was recorded.")
@log_options
@checkpoints_option
@click.pass_context
def replay(context: click.Context, /, check: bool, as_json: bool, **said: Any) -> None:
    """Replay the journal and compare with the recorded messages, reasons and states; exit 1 where one differs."""
    from agents.cli.replay_text import verify_text
    from pipeline.replay.task import Task
    from pipeline.replay.verify import verify

    if not check:
        raise UsageError("say --verify; to run another plan over the log: parcours backtest")
    if said["files"] or said["said"]:
        raise UsageError("what is verified is a recorded log, under its own plans: name --data or --kafka")
    with stage(said, None) as at:
        task = Task(at.log, until=at.until, **at.starts)
        verdict = verify(task, at.folder, at.processes, at.watch("replaying"))
    if as_json:
        sys.stdout.buffer.write(msgspec.json.encode(verdict) + b"\n")
    else:
        click.echo(verify_text(verdict))
    if verdict.count:
        context.exit(1)
