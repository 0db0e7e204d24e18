"""What the deployment says to `parcours`, held against the command line and the code that reads the environment."""

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import click

from agents.cli.main import parcours

ROOT = Path(__file__).parents[2]
OURS = re.compile(r"^(KAFKA|PARCOURS|AWS)_")


def parse(words: Sequence[str]) -> click.Context:
    """Return the context of the command that the words lead to; click's own error where they lead to none."""
    command: click.Command = parcours
    context = command.make_context("parcours", list(words), allow_interspersed_args=False)
    while isinstance(command, click.Group):
        name, found, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        assert found is not None and name is not None
        command = found
        context = command.make_context(name, rest, parent=context)
    return context


@cache
def code() -> str:
    """Return all that could read the environment."""
    return "".join(path.read_text() for part in ("agents", "pipeline") for path in (ROOT / part).rglob("*.py"))


def unread(names: Sequence[str]) -> list[str]:
    """Return the variables of ours that no code names, with or without `_FILE`."""
    ours = [name for name in names if OURS.match(name)]
    return [one for one in ours if one not in code() and one.removesuffix("_FILE") not in code()]
