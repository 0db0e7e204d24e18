"""`parcours inbox token`: a token of the inbox, for trying it out. The store's server makes its own."""

import time
from pathlib import Path

import click

from pipeline.errors import UsageError


@click.group()
def inbox() -> None:
    """The inbox that the store's page reads."""


@inbox.command()
@click.argument("customer")
@click.option("--data", type=click.Path(path_type=Path), default=Path(".parcours"), help="The data folder.")
@click.option("--lasts", default="1h", help="How long it lasts, a day at most.")
def token(customer: str, data: Path, lasts: str) -> None:
    """Print a token that reads a customer's inbox; its secret is PARCOURS_INBOX_SECRET, else the data folder's."""
    from agents.cli.erase import check_customer
    from agents.cli.run import parse_span
    from agents.collector.tokens import tokens_from_environment, tokens_of

    check_customer(customer)
    tokens = tokens_from_environment()
    if tokens is None:
        if not (data / "folder.json").exists():
            raise UsageError(f"{data}: no data here, and PARCOURS_INBOX_SECRET is not set")
        tokens = tokens_of(data)
    click.echo(tokens.make(customer, round(time.time()), parse_span(lasts, "--lasts") // 1000))
