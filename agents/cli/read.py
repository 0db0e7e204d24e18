"""Commands that read: what was sent, decided, refused, and what is known of a customer."""

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click
import orjson

from pipeline.errors import UsageError

Opened = Any


def reading(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say where to read and how to print."""
    options = [
        click.option("--data", type=click.Path(path_type=Path), default=Path(".parcours"), help="The data folder."),
        click.option("--kafka", is_flag=True, help="Read from the cluster instead."),
        click.option("--bootstrap", envvar="KAFKA_BOOTSTRAP", default="127.0.0.1:9092", help="The brokers."),
        click.option("--prefix", default="", help="The topics' prefix."),
        click.option("--json", "as_json", is_flag=True, help="One JSON object a line."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def open_reader(data: Path, kafka: bool, bootstrap: str, prefix: str) -> Opened:
    """Return a reader of the data folder or of the cluster."""
    if kafka:
        from agents.kafka.reading import KafkaReader
        from models.topics import Topics

        return KafkaReader(bootstrap, Topics(prefix))
    from pipeline.runtime.reading import DataFolder

    return DataFolder(data)


def show(rows: Iterable[dict[str, Any]], as_json: bool, columns: tuple[str, ...]) -> None:
    """Print rows: JSON lines for machines, columns for people."""
    write = sys.stdout.buffer.write
    for row in rows:
        if as_json:
            write(orjson.dumps(row) + b"\n")
        else:
            write("  ".join(str(row.get(name, "")) for name in columns).encode() + b"\n")
    sys.stdout.flush()


@click.command()
@reading
def commands(data: Path, kafka: bool, bootstrap: str, prefix: str, as_json: bool) -> None:
    """List the messages that were to be sent."""
    reader = open_reader(data, kafka, bootstrap, prefix)
    show(reader.commands(), as_json, ("due_at", "scenario", "step", "customer", "channel", "id"))


@click.command()
@reading
def decisions(data: Path, kafka: bool, bootstrap: str, prefix: str, as_json: bool) -> None:
    """List why something was or was not done."""
    reader = open_reader(data, kafka, bootstrap, prefix)
    show(reader.decisions(), as_json, ("at", "customer", "scenario", "step", "outcome", "reason"))


@click.command()
@reading
def receipts(data: Path, kafka: bool, bootstrap: str, prefix: str, as_json: bool) -> None:
    """List what the senders did."""
    reader = open_reader(data, kafka, bootstrap, prefix)
    show(reader.receipts(), as_json, ("at", "state", "scenario", "step", "customer", "reason"))


@click.command()
@reading
def vouchers(data: Path, kafka: bool, bootstrap: str, prefix: str, as_json: bool) -> None:
    """List the codes that messages name, for the shop to honour."""
    reader = open_reader(data, kafka, bootstrap, prefix)
    show(reader.vouchers(), as_json, ("issued_at", "code", "value", "customer", "valid_until"))


@click.command()
@click.argument("name", required=False)
@click.option("--all", "everybody", is_flag=True, help="Every customer.")
@reading
def customer(
    name: str | None, everybody: bool, data: Path, kafka: bool, bootstrap: str, prefix: str, as_json: bool
) -> None:
    """Show what is known of a customer."""
    if (name is None) == (not everybody):
        raise UsageError("name one customer, or --all")
    reader = open_reader(data, kafka, bootstrap, prefix)
    if everybody:
        show(reader.customers(), as_json, ("id", "now", "profile"))
        return
    found = reader.customer(name)
    if found is None:
        raise UsageError(f"customer {name!r} is not known here")
    option = 0 if as_json else orjson.OPT_INDENT_2
    sys.stdout.buffer.write(orjson.dumps(found, option=option) + b"\n")


@click.command()
@reading
def ledger(data: Path, kafka: bool, bootstrap: str, prefix: str, as_json: bool) -> None:
    """Show what went in and what became of it."""
    found = open_reader(data, kafka, bootstrap, prefix).ledger()
    option = 0 if as_json else orjson.OPT_INDENT_2
    sys.stdout.buffer.write(orjson.dumps(found, option=option) + b"\n")
