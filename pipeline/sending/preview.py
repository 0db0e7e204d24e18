"""A message as it would look: made for the customer of a scenario's own tests, or for one in a data folder.

Nothing is checked and nothing is kept: no consent, cap or quiet hour, no tracked link; a voucher is made without the
secret, so that the shop honours none. The way out at the foot leads nowhere, so that whoever tries a preview's link
unsubscribes nobody.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
from msgspec.structs import replace

from models.command import Command
from models.customer import Customer, Enrolment, Entry
from pipeline.engine.plan import Plan, Scenario, Send
from pipeline.engine.sending import command_of
from pipeline.engine.work import Work
from pipeline.errors import UsageError
from pipeline.scenario.compile import compile_plan, read_settings
from pipeline.scenario.expressions.compile import nearest
from pipeline.scenario.sources import OVERRIDES, PlanSources, read_sources
from pipeline.scenario.template_lint import ALT, HTML_BYTES_MAX, IMAGE, NO_WAY_OUT
from pipeline.scenario.testing import TestResult, run_tests
from pipeline.sending.catalogue import Goods
from pipeline.sending.outcome import Message
from pipeline.sending.render import Renderer, RenderError

NOWHERE = "https://unsubscribe.example/preview"


@dataclass(frozen=True)
class Sample:
    """A command to be looked at; `about` says for whom it was made, and `missing` which values were not there."""

    command: Command
    about: str
    missing: tuple[str, ...] = ()


class Previewer:
    """The messages of a plan's folder; UsageError where there is no such scenario or step."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.sources = read_sources(folder)
        self.plan: Plan = compile_plan(self.sources)
        self._results: dict[str, list[TestResult]] = {}

    def find(self, scenario: str, step: str) -> tuple[Scenario, Send]:
        """Return a scenario and one of its sends."""
        found = self.plan.live.get(scenario)
        if found is None:
            raise UsageError(f"{self.folder}: no scenario {scenario!r}{nearest(scenario, self.plan.live)}")
        sends = {op.name: op for op in found.program if isinstance(op, Send)}
        if step not in sends:
            hint = nearest(step, sends) or f"; it sends {', '.join(sends) or 'nothing'}"
            raise UsageError(f"{scenario} has no send {step!r}{hint}")
        return found, sends[step]

    def from_tests(self, scenario: str, step: str) -> Sample:
        """Return a step's command in the first of the scenario's tests that comes to it."""
        self.find(scenario, step)
        found = self._tested(scenario, step)
        if found is None:
            raise UsageError(
                f"no test of {scenario} sends {step!r}: write one in its scenario.test.yaml, or name a customer with"
                " --as and --data"
            )
        result, command = found
        return Sample(command, f"the customer of the test {result.name!r}")

    def _tested(self, scenario: str, step: str) -> tuple[TestResult, Command] | None:
        if scenario not in self._results:
            self._results[scenario] = run_tests(self.folder, scenario, self.plan)
        for result in self._results[scenario]:
            for command in result.commands:
                if command.step == step:
                    return result, command
        return None

    def of_customer(self, scenario: str, step: str, customer: Customer) -> Sample:
        """Return a step's command for a customer as they are now, inside the scenario or as if they were."""
        live, op = self.find(scenario, step)
        inside = [one for one in customer.enrolments if one.scenario == scenario]
        if inside:
            about, enrolment = f"{customer.id}, inside {scenario}", inside[-1]
        else:
            said, entry = self._other_entry(live, step)
            about = f"{customer.id}, who is not inside {scenario}: {said}"
            enrolment = Enrolment(
                id="preview", scenario=scenario, version=live.version, entry=entry, clock=customer.now
            )
        work = Work(customer, self.plan, customer.now)
        command, _, missing = command_of(work, live, enrolment, op, op.channels[0])
        return Sample(command, about, tuple(missing))

    def _other_entry(self, live: Scenario, step: str) -> tuple[str, Entry]:
        """Return an entry event for somebody who never entered: that of the scenario's tests."""
        found = self._tested(live.name, step)
        entry = found[0].entries.get(found[1].enrolment) if found else None
        if found is None or entry is None:
            return "nothing is known of an entry", Entry(event="preview", type=live.entries[0].on, at=0)
        return f"the entry is that of the test {found[0].name!r}", entry

    def render(self, sample: Sample, goods: Goods, language: str | None = None) -> Message:
        """Return the message; UsageError where a template fails on these values."""
        # As a sender reads it: what the engine holds as records are objects by then.
        command = msgspec.json.decode(msgspec.json.encode(sample.command), type=Command)
        command = replace(command, language=language) if language else command
        try:
            return Renderer(self._with_a_way_out(), goods=goods).render(command, command.emitted_at)
        except RenderError as error:
            raise UsageError(f"{command.scenario}/{command.step} cannot be rendered: {error}") from None

    def _with_a_way_out(self) -> PlanSources:
        """Return the sources with a dead link where the store's settings would make a live one."""
        settings = read_settings(self.sources)
        if settings.collector is None and settings.senders.email.unsubscribe_url is None:
            return self.sources
        overrides = {**self.sources.overrides, "senders.email.unsubscribe_url": NOWHERE}
        return PlanSources({**self.sources.files, OVERRIDES: json.dumps(overrides, sort_keys=True)})


def doubts(message: Message) -> Iterator[str]:
    """Yield what is doubtful in one rendered mail; nothing of another channel's message."""
    if message.channel != "email":
        return
    size = len(message.html.encode())
    if size > HTML_BYTES_MAX:
        yield f"the HTML part has {size // 1000} kB: mail programs cut what is over {HTML_BYTES_MAX // 1000} kB"
    if message.marketing and message.unsubscribe_url is None:
        yield NO_WAY_OUT
    if not message.text.strip():
        yield "the text part is empty"
    for found in IMAGE.finditer(message.html):
        if not ALT.search(found[0]):
            yield f"a picture without alternative text: {found[0][:80]}"
