"""`parcours recommend`: the catalogue's lists from what was recorded."""

import asyncio
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from agents.cli.replaying import Stage, live_plan, log_options, read_plan, stage
from agents.cli.run import parse_span
from models.catalogue import Product, Ranking
from pipeline.errors import UsageError

FILE = "recommendations.ndjson"


@click.command()
@click.option("--plan", type=click.Path(path_type=Path), help="The folder of settings, for a file of history.")
@click.option("--out", type=click.Path(path_type=Path), help="Write this file (else DATA/recommendations.ndjson).")
@click.option("--window", default="90d", help="What was bought and looked at so long before the log's end is popular.")
@click.option("--new", "new_for", default="30d", help="For how long a product counts as new.")
@click.option("--with-products", is_flag=True, help="On a cluster: also what events said of products.")
@log_options
def recommend(plan: Path | None, out: Path | None, window: str, new_for: str, as_json: bool, **said: Any) -> None:
    """Compute what is bought together, new and popular, and write it as lists of the catalogue."""
    if said["files"] and out is None:
        raise UsageError("of a file of history the lists go into a file: name it with --out")
    if as_json or said["since"]:
        raise UsageError("--json and --from are not of `recommend`: the lists are of the whole log, and a file")
    draft = read_plan(plan, said["said"])
    spans = parse_span(window, "--window"), parse_span(new_for, "--new")
    to_topic = said["kafka"] and out is None
    with stage(said, draft) as at:
        rows, told = _rows(at, spans, with_products=not to_topic or said["with_products"])
    if to_topic:
        asyncio.run(_publish(said["bootstrap"], said["prefix"], rows))
        click.echo(f"{told}; written to the topic products")
    else:
        path = out or said["data"] / FILE
        _write(path, rows)
        click.echo(f"{told}; written to {path}")


def _rows(at: Stage, spans: tuple[int, int], *, with_products: bool) -> tuple[list[Product | Ranking], str]:
    from pipeline.recommend.counting import GoodsCounts
    from pipeline.recommend.lists import Span, rows_of
    from pipeline.replay.recorded import RecordedLog
    from pipeline.scenario.compile import read_settings

    window_ms, new_ms = spans
    currency = read_settings(live_plan(at.log)).store.currency
    log = RecordedLog(at.log)
    try:
        first_last = log.span()
        if first_last is None:
            raise UsageError(f"{at.log}: nothing was ever recorded here")
        span = Span(first_last[0], min(first_last[1], at.until or first_last[1]), new_ms)
        counts = GoodsCounts(at.folder, span.last - window_ms, currency)
        watch, done, total = at.watch("counting"), 0, sum(log.end("journal", one) for one in range(log.partitions))
        for partition in range(log.partitions):
            counts.next_partition()
            for message in log.messages(partition, log.first(partition)):
                counts.read(message.bundle.entries, until=at.until)
                done += 1
                watch(done, total, counts.orders)
    finally:
        log.close()
    rows = list(rows_of(counts, span, with_products=with_products))
    lists = sum(isinstance(one, Ranking) for one in rows)
    told = f"{counts.orders} orders of {len(counts.products)} products: {lists} lists"
    return rows, told + (f"; {counts.left_out} lines of further products left out" if counts.left_out else "")


def _write(path: Path, rows: Iterable[Product | Ranking]) -> None:
    """Put the file in place whole: a sender reads it as it stands."""
    from pipeline.sending.catalogue_rows import encode_row

    half = path.with_name(f".{path.name}.part")
    try:
        with half.open("wb") as file:
            for row in rows:
                file.write(encode_row(row) + b"\n")
        os.replace(half, path)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from None


async def _publish(bootstrap: str, prefix: str, rows: list[Product | Ranking]) -> None:
    from agents.senders.goods import publish
    from models.topics import Topics

    await publish(bootstrap, Topics(prefix), rows)
