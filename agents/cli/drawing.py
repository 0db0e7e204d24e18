"""`parcours graph` and `parcours schema`: a scenario as a picture, and the form of its file for editors."""

import json
from pathlib import Path

import click

from agents.cli.cluster import PREFIX
from agents.cli.folder import known_scenario, plan_folder
from agents.cli.worker import SHIPPED_SOURCES


@click.command()
@click.argument("scenario")
@click.option("--plan", type=click.Path(path_type=Path), default=plan_folder, help="The folder of the plan.")
def graph(scenario: str, plan: Path) -> None:
    """Print a scenario as a Mermaid flowchart: entries, steps, exits and goal."""
    from pipeline.scenario.compile import compile_plan, read_scenarios
    from pipeline.scenario.graph import to_mermaid
    from pipeline.scenario.sources import read_sources

    sources = read_sources(plan)
    compile_plan(sources)
    specs, _ = read_scenarios(sources)
    _, spec, _ = specs[known_scenario(scenario, specs, plan)]
    click.echo(to_mermaid(spec), nl=False)


@click.command()
@click.argument("kind", required=False)
@click.option("--out", type=click.Path(path_type=Path), help="Write all of them into this folder.")
@click.option("--sources", type=click.Path(path_type=Path), default=SHIPPED_SOURCES, help="With asyncapi.")
@PREFIX
def schema(kind: str | None, out: Path | None, sources: Path, prefix: str) -> None:
    """Print the JSON Schema of one kind of file (scenario, settings, test, mapping), or write all with --out.

    `asyncapi` instead of a kind describes the topics and their records, for the sources and the prefix named.
    """
    from pipeline.errors import UsageError
    from pipeline.scenario.expressions.compile import nearest
    from pipeline.scenario.schema import FILES, schema_of

    if kind == "asyncapi":
        from agents.ingest.sources import read_sources_file
        from agents.kafka.asyncapi import text

        click.echo(text(read_sources_file(sources), prefix), nl=False)
        return
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        for name, (pattern, _) in FILES.items():
            path = out / f"{name}.schema.json"
            path.write_text(json.dumps(schema_of(name), indent=1) + "\n")
            click.echo(f"written  {path}  (for {pattern})")
        return
    if kind is None or kind not in FILES:
        said = "name one" if kind is None else f"no such kind of file: {kind!r}{nearest(kind, FILES)}"
        raise UsageError(f"{said}: {', '.join(FILES)}; or --out DIR for all")
    click.echo(json.dumps(schema_of(kind), indent=1))
