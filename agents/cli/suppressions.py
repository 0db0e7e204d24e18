"""`parcours suppressions ls|lift`: addresses that get nothing, or no marketing, and why."""

import asyncio
from pathlib import Path
from typing import Any

import click

from agents.cli.read import open_reader, reading, show
from pipeline.errors import UsageError
from pipeline.sending.links import KEY_FILE, Links, links_from_environment, links_of

COLUMNS = ("at", "channel", "kind", "address")


@click.group()
def suppressions() -> None:
    """Addresses that must not be written to, by their keyed hash: nothing readable is kept."""


def _options(command: Any) -> Any:
    channel = click.option("--channel", type=click.Choice(["email", "sms", "push", "web"]), default="email")
    return channel(reading(command))


@suppressions.command("ls")
@click.option("--address", help="Of this address alone.")
@_options
def ls(address: str | None, channel: str, data: Path, kafka: bool, bootstrap: str, prefix: str, as_json: bool) -> None:
    """List the facts: of all addresses, or of one."""
    rows = _rows(data, kafka, bootstrap, prefix)
    if address is not None:
        name = _links(data, kafka).address_hash(channel, address)
        rows = [row for row in rows if row["address"] == name]
    show(rows, as_json, COLUMNS)
    if not rows and not as_json:
        click.echo("nothing is suppressed")


@suppressions.command("lift")
@click.argument("address")
@_options
def lift(address: str, channel: str, data: Path, kafka: bool, bootstrap: str, prefix: str, as_json: bool) -> None:
    """Take back all that is held against an address: it may be written to again, as far as its owner consents."""
    name = _links(data, kafka).address_hash(channel, address)
    found = [row for row in _rows(data, kafka, bootstrap, prefix) if row["address"] == name]
    keys = [_key(row) for row in found]
    if kafka:
        asyncio.run(_on_cluster(bootstrap, prefix, keys))
    elif keys:
        from pipeline.runtime.operator import Lifted, say

        say(data, Lifted(keys=keys))
    if as_json:
        show(found, as_json, COLUMNS)
    else:
        said = ", ".join(sorted({row["kind"] for row in found}))
        click.echo(f"lifted: {said}" if said else "nothing is held against this address")


def _rows(data: Path, kafka: bool, bootstrap: str, prefix: str) -> list[dict[str, Any]]:
    return list(open_reader(data, kafka, bootstrap, prefix).suppressions())


def _key(row: dict[str, Any]) -> str:
    from pipeline.sending.suppressions import Suppression

    return Suppression(address=row["address"], kind=row["kind"], at=0, event=row.get("event", "")).key


def _links(data: Path, kafka: bool) -> Links:
    """Return the links whose secret hashes addresses; UsageError where it is not there."""
    found = links_from_environment()
    if found is not None:
        return found
    if kafka or not (data / KEY_FILE).exists():
        raise UsageError("PARCOURS_SECRET (or PARCOURS_SECRET_FILE) is not set: addresses are known by its hash alone")
    return links_of(data)


async def _on_cluster(bootstrap: str, prefix: str, keys: list[str]) -> None:
    from agents.collector.kafka import KafkaIntake
    from models.topics import Topics
    from pipeline.sending.hearing import Heard

    intake = KafkaIntake(bootstrap, Topics(prefix))
    await intake.start()
    try:
        await intake.accept([Heard(None, (), tuple(keys))])
    finally:
        await intake.stop()
