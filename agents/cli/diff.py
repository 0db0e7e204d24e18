"""`parcours diff`: what a draft would send otherwise than the live plan, over the same stretch of the recorded log."""

import sys
from pathlib import Path
from typing import Any

import click
import orjson

from agents.cli.replaying import checkpoints_option, live_plan, log_options, read_plan, stage
from pipeline.durations import parse_share
from pipeline.errors import UsageError

SHARE = r"\d{1,3}(\.\d{1,2})?%"


def parse_limit(text: str) -> int:
    """Return a share as in 5% in 1/10000."""
    import re

    if not re.fullmatch(SHARE, text):
        raise UsageError(f"--fail-over {text}: write a share, as in 5%")
    return parse_share(text)


@click.command()
@click.option("--plan", type=click.Path(path_type=Path), required=True, help="The folder of the draft.")
@click.option("--against", type=click.Path(path_type=Path), help="The folder of the plan to compare with (else live).")
@click.option("--fail-over", "limit", metavar="5%", help="Exit 1 where more of the messages differ than this share.")
@click.option("--html", type=click.Path(path_type=Path), help="Write a page with charts here.")
@click.option("--markdown", type=click.Path(path_type=Path), help="Write a text for a pull request here.")
@log_options
@checkpoints_option
@click.pass_context
def diff(context: click.Context, /, plan: Path, against: Path | None, as_json: bool, **said: Any) -> None:
    """Say which messages a draft adds, drops, moves or changes, and why; nothing is sent."""
    from pipeline.replay.diff import diff as compare
    from pipeline.replay.diff_figures import figures_of
    from pipeline.replay.report.kept import keep_diff
    from pipeline.replay.report.markdown import diff_markdown
    from pipeline.replay.report.page import diff_page
    from pipeline.replay.report.writing import write_whole
    from pipeline.replay.task import Task

    limit = None if said["limit"] is None else parse_limit(said["limit"])
    draft = read_plan(plan, said["said"])
    compared = None if against is None else read_plan(against, said["said"])
    assert draft is not None
    if said["files"] and compared is None:
        raise UsageError("a file has no live plan: name the plan to compare with: --against DIR")
    with stage(said, draft) as at:
        task = Task(at.log, since=at.since, until=at.until, **at.starts)
        watches = at.watch("the plan compared with"), at.watch("the draft")
        found = compare(task, compared or live_plan(at.log), draft, at.folder, at.processes, watches)
    figures = figures_of(found, limit)
    if at.log == said["data"]:
        keep_diff(said["data"], figures, plan.name)
    if said["html"] is not None:
        write_whole(said["html"], diff_page(figures))
    if said["markdown"] is not None:
        write_whole(said["markdown"], diff_markdown(figures))
    if as_json:
        sys.stdout.buffer.write(orjson.dumps(figures) + b"\n")
    else:
        from agents.cli.diff_text import diff_text

        click.echo(diff_text(figures))
    if figures["failed"]:
        context.exit(1)
