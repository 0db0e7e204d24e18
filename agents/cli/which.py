"""`parcours help`: which command does what."""

import click

WHICH = """\
init       makes a folder to begin with: settings, one scenario, its test, sample events
new        copies a scenario under a name of your own
check      reads the scenario files and says what is wrong with them
test       runs the scenarios' own test files, in seconds, with no data
preview    shows a message as it would be; sends nothing
send-test  sends one message to the one address that you name, marked as a test
graph      draws a scenario; schema: the form of the files, for editors
run        runs the whole pipeline in one process, on files or a simulated shop
backtest   runs a plan over the recorded log and says what it would have sent; sends nothing
recommend  computes what is bought together, new and popular, as lists of the catalogue
diff       runs a draft and the live plan over the recorded log and says which messages differ, and why
replay     --verify: proves that this release decides as what is recorded was decided
simulate   takes one customer through a scenario, step by step, with time moved by hand
explain    says why each message to one customer was or was not sent, from the log
backfill   lets enter who would be inside a new scenario, had it been live since a time
worker     runs one process of a cluster: ingest, journeys, sender
advance    closes a history on a cluster, so that what is due fires
commands   what was to be sent
decisions  why, or why not
held       what waits for an operator, and why
receipts   what became of it
ledger     that nothing is missing
customer   what is known of a customer
deadletters  what could not be read
"""


@click.group("help")
def which() -> None:
    """Tell commands apart."""


@which.command("which")
def which_command() -> None:
    """Say which command does what."""
    click.echo(WHICH, nl=False)
