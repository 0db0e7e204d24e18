"""Commands on scenario files: check them, run their tests."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from agents.cli.folder import plan_folder

if TYPE_CHECKING:
    from pipeline.scenario.testing import TestResult


@click.command()
@click.argument("directory", type=click.Path(path_type=Path), default=plan_folder)
def check(directory: Path) -> None:
    """Check settings, scenarios and templates; every fault with file:line:column."""
    from pipeline.scenario.compile import compile_plan
    from pipeline.scenario.lint import warnings
    from pipeline.scenario.sources import read_sources
    from pipeline.sending.render import Renderer

    sources = read_sources(directory)
    plan = compile_plan(sources)
    Renderer(sources)
    for warning in warnings(sources):
        click.echo(str(warning))
    names = ", ".join(sorted(scenario.name for scenario in plan.scenarios)) or "no scenario"
    click.echo(f"{names}: nothing wrong; plan {plan.hash}")


@click.command()
@click.argument("directory", type=click.Path(path_type=Path), default=plan_folder)
@click.option("--scenario", help="Only this scenario's tests.")
@click.option("--verbose", is_flag=True, help="Print every decision of every test.")
@click.pass_context
def test(context: click.Context, directory: Path, scenario: str | None, verbose: bool) -> None:
    """Run the scenarios' own tests; exit 1 where one differs."""
    from pipeline.errors import UsageError
    from pipeline.scenario.testing import run_tests

    results = run_tests(directory, scenario)
    if not results:
        raise UsageError(f"{directory}: no test files" + (f" for {scenario}" if scenario else ""))
    failed = [one for one in results if one.differences]
    for one in results:
        if one.differences or verbose:
            click.echo(f"{'differs' if one.differences else 'passed '}  {one.file}: {one.name}")
            for line in _report(one):
                click.echo(f"    {line}")
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
