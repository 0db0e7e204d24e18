"""`parcours console`: who may come into the console by a token, and what was done there."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from agents.console.tokens import TokenBook

DATA = click.option("--data", type=click.Path(path_type=Path), default=Path(".parcours"), help="The data folder.")


@click.group()
def console() -> None:
    """Tokens of the console, and its audit."""


@console.group()
def token() -> None:
    """Who may come in by a token, in which roles: see, edit, send, erase."""


@token.command("add")
@click.argument("name")
@click.option("--role", "roles", multiple=True, required=True, help="see, edit, send or erase; several times.")
@DATA
def add(name: str, roles: tuple[str, ...], data: Path) -> None:
    """Make a token and print it: it is shown this once, its hash is kept."""
    from agents.console.tokens import checked_roles

    click.echo(_book(data).add(name, checked_roles(roles)))


@token.command("ls")
@DATA
def ls(data: Path) -> None:
    """List who has a token, with their roles."""
    from agents.console.tokens import ROLES

    for person in _book(data).names():
        click.echo(f"{person.name}  {', '.join(role for role in ROLES if role in person.roles)}")


@token.command("remove")
@click.argument("name")
@DATA
def remove(name: str, data: Path) -> None:
    """Take a token away; its sessions end at once."""
    _book(data).remove(name)
    click.echo(f"{name} has no token any more")


@console.command("audit")
@DATA
def audit(data: Path) -> None:
    """List what was done in the console, the newest first."""
    from agents.console.audit import FileAudit
    from pipeline.runtime.reading import iso

    for one in FileAudit(data).last():
        click.echo("  ".join(part for part in (iso(one.at), one.who, one.action, one.target, one.detail) if part))


def _book(data: Path) -> "TokenBook":
    from agents.console.tokens import TokenBook
    from pipeline.errors import UsageError

    if not data.is_dir():
        raise UsageError(f"{data}: no data here; `parcours run --data {data}` makes some")
    return TokenBook(data)
