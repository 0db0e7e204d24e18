"""`parcours deadletters`: what could not be used, one of them whole, and reading them again."""

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click
import orjson

from agents.cli.read import open_reader, reading, show
from models.dead_letter import DeadLetter
from pipeline.errors import UsageError
from pipeline.runtime.letters import Replayed

COLUMNS = ("source", "partition", "offset", "reason", "path")
PLACE = "SOURCE/PARTITION/OFFSET"


@click.group(invoke_without_command=True)
@click.pass_context
@reading
def deadletters(ctx: click.Context, data: Path, kafka: bool, bootstrap: str, prefix: str, as_json: bool) -> None:
    """List the records that could not be used, with the reason; show one, replay them."""
    if ctx.invoked_subcommand is None:
        show(open_reader(data, kafka, bootstrap, prefix).dead_letters(), as_json, COLUMNS)


@deadletters.command("ls")
@click.option("--reasons", is_flag=True, help="A line for each source and reason, not for each record.")
@reading
def ls(reasons: bool, data: Path, kafka: bool, bootstrap: str, prefix: str, as_json: bool) -> None:
    """List them."""
    rows = open_reader(data, kafka, bootstrap, prefix).dead_letters()
    if not reasons:
        show(rows, as_json, COLUMNS)
        return
    show(_by_reason(rows), as_json, ("count", "source", "stage", "reason"))


def _by_reason(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    found: dict[tuple[str, str, str], int] = {}
    for row in rows:
        key = (row["source"], row["stage"], row["reason"])
        found[key] = found.get(key, 0) + 1
    ordered = sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))
    return [{"count": n, "source": source, "stage": stage, "reason": why} for (source, stage, why), n in ordered]


@deadletters.command("show")
@click.argument("place", metavar=PLACE)
@reading
def show_one(place: str, data: Path, kafka: bool, bootstrap: str, prefix: str, as_json: bool) -> None:
    """Show one whole, by the place of its source record."""
    source, partition, offset = parsed(place)
    rows = open_reader(data, kafka, bootstrap, prefix).dead_letters()
    found = [one for one in rows if (one["source"], one["partition"], one["offset"]) == (source, partition, offset)]
    if not found:
        raise UsageError(f"no dead letter has the place {place}; `parcours deadletters ls` lists them")
    option = 0 if as_json else orjson.OPT_INDENT_2
    for one in found:
        click.echo(orjson.dumps(one, option=option))


def parsed(place: str) -> tuple[str, int, int]:
    """Return source, partition and offset; UsageError where a place is none."""
    source, _, rest = place.partition("/")
    partition, _, offset = rest.partition("/")
    if not source or not partition.isdecimal() or not offset.isdecimal():
        raise UsageError(f"{place}: a place is {PLACE}, as `parcours deadletters ls` prints it")
    return source, int(partition), int(offset)


@deadletters.command("replay")
@click.argument("places", nargs=-1, metavar=f"[{PLACE}]...")
@click.option("--all", "everything", is_flag=True, help="Every dead letter.")
@click.option("--reason", help="Those whose reason has these words.")
@click.option("--mapping", default="", help="Read them by this mapping, instead of their source's own.")
@click.option("--sources", type=click.Path(path_type=Path), help="On a cluster: the list of topics with mappings.")
@reading
def replay(places: tuple[str, ...], everything: bool, reason: str | None, **said: Any) -> None:
    """Read records again, after the mapping or the settings were mended; what they give goes into the log.

    Events keep their ids and times: one that is there already acts once, one that is long past starts nothing.
    """
    if not places and not everything and not reason:
        raise UsageError("say which: their places, --reason WORDS, or --all")
    wanted = {parsed(place) for place in places}

    def chosen(one: DeadLetter) -> bool:
        place = (one.source, one.partition, one.offset)
        return everything or place in wanted or bool(reason and reason in one.reason)

    done, read = (_on_cluster if said["kafka"] else _in_folder)(chosen, **said)
    if not read:
        raise UsageError("no dead letter is meant by this; `parcours deadletters ls` lists them")
    click.echo(f"{read} read again: {done.events} events go into the log, {len(done.still)} still cannot be used")
    show(map(_row, done.still), said["as_json"], COLUMNS)
    if done.still:
        raise SystemExit(1)


def _row(one: DeadLetter) -> dict[str, Any]:
    return {name: getattr(one, name) for name in COLUMNS}


def _in_folder(chosen: Callable[[DeadLetter], bool], *, data: Path, mapping: str, **_: Any) -> tuple[Replayed, int]:
    from pipeline.runtime.folder import Folder
    from pipeline.runtime.letters import letters_of, replay_in_folder

    folder = Folder(data, read_only=True)
    try:
        letters = [one for _, one in letters_of(folder) if chosen(one)]
        return replay_in_folder(folder, letters, mapping), len(letters)
    finally:
        folder.close()


def _on_cluster(
    chosen: Callable[[DeadLetter], bool], *, bootstrap: str, prefix: str, mapping: str, sources: Path | None, **_: Any
) -> tuple[Replayed, int]:
    from agents.kafka.letters import replay_on_cluster, whole_letters
    from models.topics import Topics

    topics = Topics(prefix)

    async def work() -> tuple[Replayed, int]:
        letters = [one async for one in whole_letters(bootstrap, topics) if chosen(one)]
        return await replay_on_cluster(bootstrap, topics, letters, sources, mapping), len(letters)

    return asyncio.run(work())
