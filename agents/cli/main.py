"""The command `parcours`."""

import sys

import click

from pipeline.errors import ParcoursError

COMMANDS = {
    "init": "agents.cli.starting:init",
    "new": "agents.cli.starting:new",
    "run": "agents.cli.run:run",
    "check": "agents.cli.plans:check",
    "test": "agents.cli.plans:test",
    "preview": "agents.cli.looking:preview",
    "send-test": "agents.cli.looking:send_test",
    "graph": "agents.cli.drawing:graph",
    "schema": "agents.cli.drawing:schema",
    "commands": "agents.cli.read:commands",
    "decisions": "agents.cli.read:decisions",
    "receipts": "agents.cli.read:receipts",
    "vouchers": "agents.cli.read:vouchers",
    "deadletters": "agents.cli.deadletters:deadletters",
    "console": "agents.cli.console:console",
    "customer": "agents.cli.read:customer",
    "ledger": "agents.cli.read:ledger",
    "advance": "agents.cli.cluster:advance",
    "pause": "agents.cli.switch:pause",
    "resume": "agents.cli.switch:resume",
    "stop": "agents.cli.switch:stop",
    "held": "agents.cli.held:held",
    "suppressions": "agents.cli.suppressions:suppressions",
    "release": "agents.cli.switch:release",
    "apply": "agents.cli.apply:apply",
    "topics": "agents.cli.cluster:topics",
    "kafka": "agents.cli.cluster:kafka",
    "produce": "agents.cli.cluster:produce",
    "source": "agents.cli.cluster:source",
    "worker": "agents.cli.worker:worker",
    "erase": "agents.cli.erase:erase",
    "inbox": "agents.cli.inbox:inbox",
    "backtest": "agents.cli.backtest:backtest",
    "diff": "agents.cli.diff:diff",
    "replay": "agents.cli.verify:replay",
    "recommend": "agents.cli.recommend:recommend",
    "explain": "agents.cli.explain:explain",
    "simulate": "agents.cli.simulate:simulate",
    "backfill": "agents.cli.backfill:backfill",
    "help": "agents.cli.which:which",
}


class Lazy(click.Group):
    """Imports a command's module only when it is called: `parcours --help` is quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of a first day's work."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        import importlib

        place = COMMANDS.get(cmd_name)
        if place is None:
            return None
        module, _, name = place.partition(":")
        found: click.Command = getattr(importlib.import_module(module), name)
        return found


@click.group(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="parcours")
def parcours() -> None:
    """Customer journeys on a store's event log: the right message, once, with its reason."""


def _of_kafka(error: Exception) -> bool:
    """Commands without a broker never load its library."""
    known = sys.modules.get("aiokafka.errors")
    return known is not None and isinstance(error, known.KafkaError)


def main() -> None:
    """Run the command; exit 0 done, 1 a failure of the run, 2 wrong use."""
    try:
        code = parcours.main(standalone_mode=False)
    except click.ClickException as error:
        click.echo(f"parcours: {error.format_message()}", err=True)
        sys.exit(2 if isinstance(error, click.UsageError) else 1)
    except click.Abort:
        sys.exit(1)
    except ParcoursError as error:
        click.echo(f"parcours: {error}", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.exit(1)
    except Exception as error:
        if not _of_kafka(error):
            raise
        hint = "are the brokers up, and do --bootstrap and docs/deploy/security.md fit them?"
        click.echo(f"parcours: Kafka: {error}: {hint}", err=True)
        sys.exit(1)
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
