"""`parcours simulate`: one customer through the plan, step by step, with time moved by hand."""

import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
import msgspec

from agents.cli.cluster import parse_time
from agents.cli.folder import plan_folder
from agents.cli.run import parse_settings
from models.event import Event
from pipeline.durations import parse_duration
from pipeline.engine.plan import Plan
from pipeline.errors import ParcoursError, UsageError
from pipeline.replay.given import Given
from pipeline.replay.one import Step
from pipeline.replay.records import records_of
from pipeline.replay.simulate import Simulation
from pipeline.scenario.compile import compile_plan, read_settings
from pipeline.scenario.sources import PlanSources, read_sources

AFTER_LAST = "30d"
SOMEBODY = "customer-1"
HELP = """\
(empty)                  what comes next: an event or a timer
+1h                      an hour on, with all that happens in it; +30m, +2d
to 2026-01-06T09:00:00Z  on to a time
order_placed order_id=o1 an event now; values are JSON, or text
open, click              what a person does with the last message
state, timers            what is known of the customer; what is due, and when
quit"""


@click.command()
@click.argument("scenario")
@click.option("--as", "customer", help="A customer of the log: their recorded events.")
@click.option("--data", type=click.Path(path_type=Path), default=Path(".parcours"), help="The data folder, for --as.")
@click.option("--kafka", is_flag=True, help="For --as: from the cluster's topics.")
@click.option("--bootstrap", envvar="KAFKA_BOOTSTRAP", default="127.0.0.1:9092", help="The brokers.")
@click.option("--prefix", default="", help="The topics' prefix.")
@click.option(
    "--events", "file", type=click.Path(path_type=Path), help="A file of events: YAML as in tests, or NDJSON."
)
@click.option("--test", help="Of a file of tests: the events of this one.")
@click.option("--stranger", is_flag=True, help="With --events: no address and no consent but what the events say.")
@click.option("--plan", type=click.Path(path_type=Path), help="The folder of the plan (with --as: else the live plan).")
@click.option("--set", "said", multiple=True, metavar="KEY=VALUE", help="A setting of the plan.")
@click.option("--choose", multiple=True, metavar="SPLIT=PATH", help="Take this path of a split.")
@click.option("--from", "since", help="Show from this time on, ISO 8601.")
@click.option("--until", help="Up to a time, ISO 8601, or so long after the last event, as in +7d.")
@click.option("--step", "by_hand", is_flag=True, help="Ask after each step what comes next.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a step.")
def simulate(scenario: str, by_hand: bool, as_json: bool, since: str | None, until: str | None, **said: Any) -> None:
    """Take one customer through a scenario: states, timers, and why each branch went as it did; nothing is sent."""
    sources, given, run = _simulation(scenario, **said)
    currency = read_settings(sources).store.currency
    start = parse_time(since) if since else None
    teller = Teller(scenario, currency, start, as_json=as_json)
    end = _end(run, until)
    if by_hand:
        _by_hand(run, given, teller, start)
        return
    for step in run.advance(end):
        teller.tell(step)
    teller.close(run)


def _simulation(
    scenario: str,
    customer: str | None,
    file: Path | None,
    test: str | None,
    stranger: bool,
    plan: Path | None,
    said: tuple[str, ...],
    choose: tuple[str, ...],
    **where: Any,
) -> tuple[PlanSources, Given, Simulation]:
    if (customer is None) == (file is None):
        raise UsageError("name somebody of the log with --as, or a file of events with --events")
    named = read_sources(plan, parse_settings(said)) if plan is not None else None
    if customer is not None:
        sources, events = _recorded(customer, named, **where)
        given = Given(read_settings(sources), customer)
    else:
        assert file is not None
        sources = named or read_sources(plan_folder(), parse_settings(said))
        given = Given(read_settings(sources), SOMEBODY)
        events = given.file(file, test)
        if not stranger:
            events = [given.reachable(min(one.at for one in events)), *events]
    compiled = compile_plan(sources, choose=parse_settings(choose))
    _known(compiled, scenario)
    return sources, given, Simulation(compiled, given.customer, events)


def _recorded(customer: str, named: PlanSources | None, **where: Any) -> tuple[PlanSources, list[Event]]:
    """Return a customer's recorded events, and the plan: the one that was named, else the live one."""
    from agents.cli.explain import opened

    with opened(customer, **where) as log:
        sources = named or log.live_plan()
        events = [one.event for one in records_of(log, customer).events]
    if sources is None:
        raise UsageError("no plan is live in this log: name one with --plan")
    if not events:
        raise UsageError(f"the log that is kept holds nothing of customer {customer!r}")
    return sources, events


def _known(plan: Plan, scenario: str) -> None:
    from pipeline.scenario.expressions.compile import nearest

    if scenario not in plan.live:
        raise UsageError(f"no scenario of the plan is named {scenario!r}{nearest(scenario, plan.live)}")


def _end(run: Simulation, until: str | None) -> int:
    last = run.last_event
    text = until or f"+{AFTER_LAST}"
    if text.startswith("+"):
        try:
            return last + parse_duration(text[1:])
        except ValueError as error:
            raise UsageError(f"--until {text}: {error}") from None
    return parse_time(text)


class Teller:
    """Prints steps; those before `since` (UTC ms) are done in silence."""

    def __init__(self, scenario: str, currency: str, since: int | None, *, as_json: bool):
        self.scenario = scenario
        self.currency = currency
        self.since = since
        self.as_json = as_json

    def tell(self, step: Step) -> bool:
        """Print a step; False where there is nothing to say of it."""
        from agents.cli.simulate_text import step_text, step_view

        if self.since is not None and step.watermark <= self.since:
            return False
        if self.as_json:
            sys.stdout.buffer.write(msgspec.json.encode(step_view(step)) + b"\n")
            return True
        text = step_text(step, self.scenario, self.currency)
        if text:
            click.echo(text)
        return bool(text)

    def close(self, run: Simulation) -> None:
        """Print where everything stands at the end."""
        from agents.cli.simulate_text import end_text

        if not self.as_json:
            click.echo(end_text(run, self.scenario))


def _by_hand(run: Simulation, given: Given, teller: Teller, start: int | None) -> None:
    for step in run.advance(start) if start is not None else ():
        teller.tell(step)
    click.echo("what comes next? (help says what can be typed)")
    while True:
        click.echo("> ", nl=False)
        line = sys.stdin.readline()
        if not line or line.strip() in {"quit", "q", "exit"}:
            click.echo("")
            return
        try:
            steps = _obeyed(run, given, line.strip())
        except ParcoursError as error:
            click.echo(str(error))
            continue
        for step in steps:
            teller.tell(step)


def _obeyed(run: Simulation, given: Given, line: str) -> Iterable[Step]:
    """Return the steps of one line; UsageError where it says nothing that can be done."""
    from agents.cli.simulate_text import state_text, timers_text

    word, _, rest = line.partition(" ")
    match word:
        case "":
            return _next(run)
        case "help" | "?":
            click.echo(HELP)
        case "state":
            click.echo(state_text(run))
        case "timers":
            click.echo(timers_text(run))
        case "to":
            return list(run.advance(parse_time(rest.strip())))
        case "open" | "click":
            run.put(_reaction(run, given, word))
            return _next(run)
        case _ if word.startswith("+"):
            return list(run.advance(run.clock + _span(word[1:])))
        case _:
            run.put(given.made(word, run.clock, _fields(rest)))
            return _next(run)
    return []


def _next(run: Simulation) -> list[Step]:
    step = run.step()
    if step is None:
        click.echo("nothing more comes by itself")
    return [step] if step is not None else []


def _span(text: str) -> int:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageError(str(error)) from None


def _reaction(run: Simulation, given: Given, word: str) -> Any:
    if not run.commands:
        raise UsageError("no message went out yet")
    last = run.commands[-1]
    fields = {"command_id": last.id, "scenario": last.scenario, "step": last.step, "channel": last.channel}
    return given.made("message_opened" if word == "open" else "message_clicked", run.clock, fields)


def _fields(text: str) -> dict[str, Any]:
    """Return FIELD=VALUE pairs: a value is JSON, or else a text up to the next field."""
    found: dict[str, Any] = {}
    pairs = re.split(r"(?:^|\s)([a-z_]+)=", text)
    if pairs[0].strip():
        raise UsageError(f"{pairs[0].strip()!r}: write FIELD=VALUE")
    for name, value in zip(pairs[1::2], pairs[2::2], strict=True):
        try:
            found[name] = msgspec.json.decode(value.strip())
        except msgspec.DecodeError:
            found[name] = value.strip()
    return found
