"""`parcours erase`: forget a customer, and show that nothing readable is left but what is kept for a stated time."""

import asyncio
import time
from pathlib import Path

import click

from agents.cli.cluster import BOOTSTRAP, PREFIX
from models.inbox import CUSTOMER_BYTES_MAX
from pipeline.errors import UsageError
from pipeline.runtime.left_behind import Left, Report

VERIFY = "verify"


@click.command()
@click.argument("words", nargs=-1, required=True, metavar="[verify] CUSTOMER")
@click.option("--data", type=click.Path(path_type=Path), default=Path(".parcours"), help="The data folder.")
@click.option("--kafka", is_flag=True, help="On the cluster instead.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="`verify`: a line of JSON for each thing that was found.")
@BOOTSTRAP
@PREFIX
@click.pass_context
def erase(
    context: click.Context,
    words: tuple[str, ...],
    data: Path,
    kafka: bool,
    yes: bool,
    as_json: bool,
    bootstrap: str,
    prefix: str,
) -> None:
    """Forget a customer: state, timers, what is unsent, inbox and read model; `verify` shows what is left, and where.

    `verify` exits with 1 where anything readable is left that should be gone.
    """
    *verb, customer = words
    if verb not in ([], [VERIFY]) or (not verb and customer == VERIFY):
        raise UsageError("write `parcours erase CUSTOMER` or `parcours erase verify CUSTOMER`")
    check_customer(customer)
    if verb:
        report = _on_cluster(customer, bootstrap, prefix) if kafka else _in_folder(customer, data)
        _print(report, customer, as_json=as_json)
        context.exit(1 if report.readable else 0)
    if not yes:
        click.confirm(f"forget {customer} for good?", abort=True)
    if kafka:
        _erase_on_cluster(customer, bootstrap, prefix)
    else:
        _erase_in_folder(customer, data)
    click.echo(f"{customer} is to be forgotten; `parcours erase verify {customer}` shows when that is done")


def check_customer(customer: str) -> None:
    """Refuse what is no customer's id."""
    if not 0 < len(customer.encode()) <= CUSTOMER_BYTES_MAX:
        raise UsageError(f"a customer's id has 1 to {CUSTOMER_BYTES_MAX} bytes")


def _name(customer: str) -> str:
    from models.ids import digest

    return digest("erase", customer, str(time.time_ns()))[:32]


def _erase_in_folder(customer: str, data: Path) -> None:
    from pipeline.runtime.operator import EraseSaid, say

    if not (data / "folder.json").exists():
        raise UsageError(f"{data}: no data here; name the run's folder with --data")
    say(data, EraseSaid(id=_name(customer), customer=customer))


def _erase_on_cluster(customer: str, bootstrap: str, prefix: str) -> None:
    from agents.kafka.erasing import ask
    from models.topics import Topics

    asyncio.run(ask(bootstrap, Topics(prefix), customer, _name(customer), time.time_ns() // 1_000_000))


def _in_folder(customer: str, data: Path) -> Report:
    from agents.projector.database import open_database, sqlite_url
    from agents.projector.left import rows_of
    from pipeline.runtime.folder import Folder
    from pipeline.runtime.left_behind import left_in_folder

    folder = Folder(data, read_only=True)
    try:
        report = left_in_folder(folder, customer)
    finally:
        folder.close()
    if (data / "console.sqlite").exists():
        engine = open_database(sqlite_url(data))
        report.add("read model", rows_of(engine, customer))
        engine.dispose()
    return report


def _on_cluster(customer: str, bootstrap: str, prefix: str) -> Report:
    from agents.kafka.erasing import left_on_cluster
    from models.topics import Topics

    return left_on_cluster(bootstrap, Topics(prefix), customer)


def _print(report: Report, customer: str, *, as_json: bool) -> None:
    if as_json:
        import orjson

        for one in report.rows:
            click.echo(orjson.dumps({"what": one.what, "count": one.count, "until": one.until or None}))
        return
    for one in report.readable:
        click.echo(f"left: {_said(one)}")
    for one in report.kept:
        click.echo(f"kept: {_said(one)}, until {one.until}")
    readable = sum(one.count for one in report.readable)
    if readable:
        click.echo(f"{customer} is not forgotten: {readable} readable records are left")
    else:
        click.echo(
            f"nothing readable is left of {customer} but what is kept"
            if report.kept
            else f"nothing is left of {customer}"
        )


def _said(one: Left) -> str:
    return f"{one.count} {one.what}" if one.count > 1 else one.what
