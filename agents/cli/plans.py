"""Commands on scenario files: check them, run their tests."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click
import orjson

from agents.cli.folder import plan_folder

if TYPE_CHECKING:
    from pipeline.engine.plan import Plan
    from pipeline.errors import Problem
    from pipeline.scenario.testing import TestResult


AS_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")


@click.command()
@click.argument("directory", type=click.Path(path_type=Path), default=plan_folder)
@AS_JSON
@click.pass_context
def check(context: click.Context, directory: Path, as_json: bool) -> None:
    """Check settings, scenarios and templates; every fault with file:line:column."""
    from pipeline.errors import PlanError

    try:
        plan, doubts = _checked(directory)
    except PlanError as error:
        if not as_json:
            raise
        for fault in error.problems:
            _line({"severity": "error", **asdict(fault)})
        context.exit(error.exit_code)
    if as_json:
        for doubt in doubts:
            _line({"severity": "warning", **asdict(doubt), "message": doubt.message.removeprefix("warning: ")})
        _line({"plan": plan.hash, "scenarios": sorted(plan.live)})
        return
    for doubt in doubts:
        click.echo(str(doubt))
    click.echo(f"{', '.join(sorted(plan.live)) or 'no scenario'}: nothing wrong; plan {plan.hash}")


def _checked(directory: Path) -> "tuple[Plan, list[Problem]]":
    from pipeline.scenario.compile import compile_plan
    from pipeline.scenario.lint import warnings
    from pipeline.scenario.sources import read_sources
    from pipeline.sending.render import Renderer

    sources = read_sources(directory)
    plan = compile_plan(sources)
    Renderer(sources)
    return plan, warnings(sources)


def _line(row: dict[str, object]) -> None:
    click.echo(orjson.dumps(row).decode())


@click.command()
@click.argument("directory", type=click.Path(path_type=Path), default=plan_folder)
@click.option("--scenario", help="Only this scenario's tests.")
@click.option("--verbose", is_flag=True, help="Print every decision of every test.")
@AS_JSON
@click.pass_context
def test(context: click.Context, directory: Path, scenario: str | None, verbose: bool, as_json: bool) -> None:
    """Run the scenarios' own tests; exit 1 where one differs."""
    from pipeline.errors import UsageError
    from pipeline.scenario.testing import run_tests

    results = run_tests(directory, scenario)
    if not results:
        raise UsageError(f"{directory}: no test files" + (f" for {scenario}" if scenario else ""))
    failed = [one for one in results if one.differences]
    for one in results:
        if as_json:
            fields = ("file", "name", "differences", "messages", "decisions")
            _line({"passed": not one.differences, **{name: getattr(one, name) for name in fields}})
        elif one.differences or verbose:
            click.echo(f"{'differs' if one.differences else 'passed '}  {one.file}: {one.name}")
            for line in _report(one):
                click.echo(f"    {line}")
    if not as_json:
        click.echo(f"{len(results) - len(failed)} passed, {len(failed)} failed")
    if failed:
        context.exit(1)


def _report(one: "TestResult") -> list[str]:
    """Return what a test expected and what came, side by side, and what was decided."""
    reasons = [line for line in one.differences if line not in one.messages]
    lines = ["messages (- expected, + sent):", *(f"  {line}" for line in one.messages or ["  none"])]
    if reasons:
        lines += ["reasons:", *(f"  {line}" for line in reasons)]
    return [*lines, "decided:", *(f"    {line}" for line in one.decisions)]
