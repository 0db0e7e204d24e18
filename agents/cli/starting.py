"""`parcours init` and `parcours new`: a store's own folder, and a scenario of its own from one that is there."""

from pathlib import Path

import click

from agents.cli.folder import SHIPPED, plan_folder
from pipeline.errors import UsageError

STARTER = Path(__file__).with_name("starter")
# The starter's templates and parts are the shipped ones: there is one of each to look after.
SHARED = ("settings.yaml", "shared")
TEMPLATES = ("abandoned-cart", "reminder.*")


@click.command()
@click.argument("directory", type=click.Path(path_type=Path), default=Path())
def init(directory: Path) -> None:
    """Make a folder to begin with: settings, one scenario with its test and texts, and sample events.

    A file that is there already is left as it is.
    """
    for target, source in sorted(_files(directory).items()):
        if target.exists():
            click.echo(f"left as it is  {target}")
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
        click.echo(f"written        {target}")
    click.echo(_next(directory))


def _files(directory: Path) -> dict[Path, Path]:
    """Return target -> source of every file that a new folder gets; UsageError where the shipped ones are not here."""
    if not (SHIPPED / "shared").is_dir():
        raise UsageError("the shipped scenarios are not on this machine: run it in the project's own folder")
    plan = directory / "scenarios"
    found = {directory / path.relative_to(STARTER): path for path in STARTER.rglob("*") if path.is_file()}
    for name in SHARED:
        path = SHIPPED / name
        inside = path.rglob("*") if path.is_dir() else [path]
        found |= {plan / one.relative_to(SHIPPED): one for one in inside if one.is_file()}
    folder, pattern = TEMPLATES
    return found | {plan / "cart-reminder" / one.name: one for one in (SHIPPED / folder).glob(pattern)}


def _next(directory: Path) -> str:
    there = "" if directory == Path() else f"cd {directory}\n"
    return (
        f"\nNext:\n{there}parcours check\nparcours test\nparcours preview cart-reminder --step reminder --out preview\n"
        "parcours run --input sample-events.ndjson --mapping native --until-end --advance 1d --no-console"
    )


@click.command()
@click.argument("name")
@click.option("--from", "source", required=True, help="The scenario to copy: of this plan, else a shipped one.")
@click.option("--title", help="The copy's title; else the name.")
@click.option("--plan", type=click.Path(path_type=Path), default=plan_folder, help="The folder of the plan.")
def new(name: str, source: str, title: str | None, plan: Path) -> None:
    """Copy a scenario under a new name, with its texts and tests; the copy passes check and test."""
    from pipeline.scenario.copying import copy_scenario

    copy = copy_scenario(plan, [plan, SHIPPED], source, name, title)
    for path in copy.files:
        click.echo(f"written  {path}")
    for test, strangers in copy.left_out.items():
        click.echo(f"left out the test {test!r}: it runs beside {', '.join(strangers)}, which is not in {plan}")
    click.echo(f"\nNext: change {plan / name / 'scenario.yaml'}, then `parcours check` and `parcours test`")
