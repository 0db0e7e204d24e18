"""Runs a scenario's test files against the pure engine: events at given times, expected messages and reasons.

A test's customer can be reached and consents, unless `customer:` says otherwise; its times are those of the store's
zone, on Monday 5 January 2026 and the days after it ("2d 10:00"). A scenario runs alone, with those that it starts and
those that the test names under `with`: another one's messages take no place under the caps that the two share.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import Field, ValidationError

from models.command import Command
from models.customer import Customer, Entry
from models.decision import Decision
from models.event import Event, Position
from models.ids import event_id
from models.scenario import EventName, Name, Span, Text, Written
from models.settings import SettingsSpec
from pipeline.durations import parse_duration
from pipeline.engine import api
from pipeline.engine.plan import Plan, Scenario, Start, make_plan
from pipeline.errors import PlanError, Problem
from pipeline.intake.native import Fault, Validator
from pipeline.scenario.compile import compile_plan, read_settings
from pipeline.scenario.expressions.compile import nearest
from pipeline.scenario.sources import read_sources
from pipeline.yaml_places import Places, load_yaml, problems_of

FIRST_DAY = datetime(2026, 1, 5)  # noqa: DTZ001 - the store's zone is put on below
WHEN = re.compile(r"^(?:(\d+)d )?(\d\d):(\d\d)$")
ID = "customer-1"
REACHABLE = {
    "email": "customer@customers.example",
    "consents": [{"for_channel": "*", "purpose": "marketing", "given": True}],
}
When = str


class CustomerSpec(Written):
    """What differs from a customer who can be reached and consents."""

    reachable: bool = True
    consents: bool = True
    language: str | None = None
    first_name: str | None = None


class ExpectSpec(Written):
    """One message: its step and when it is due."""

    send: str
    at: When


class TestSpec(Written):
    """One test: events at times, then what comes of them. A reason is {outcome: reason, at}."""

    __test__ = False
    test: Text
    customer: CustomerSpec = CustomerSpec()
    choose: dict[str, str] = {}
    given: list[dict[str, Any]] = Field(min_length=1)
    until: Span = "30d"
    expect: list[ExpectSpec] = []
    reasons: list[dict[str, str]] = []
    only: EventName | None = None
    neighbours: list[Name] = Field(default=[], alias="with")


@dataclass
class TestResult:
    """What came of one test: its differences from what was expected, none if it passed."""

    __test__ = False
    file: str
    name: str
    differences: list[str] = field(default_factory=list)
    decisions: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)  # all, by time: - expected alone, + sent alone, blank both
    commands: list[Command] = field(default_factory=list)
    entries: dict[str, Entry] = field(default_factory=dict)  # enrolment -> what began it


def run_tests(directory: Path, only: str | None = None, plan: Plan | None = None) -> list[TestResult]:
    """Run the test files of a plan's folder (of one scenario, where named); PlanError where a file is wrong.

    `plan` is the folder's, where the caller has compiled it.
    """
    sources = read_sources(directory)
    paths = [one for one in sorted(directory.rglob("*.test.yaml")) if only in {None, one.parent.name}]
    if not paths:
        return []
    plan, settings = plan or compile_plan(sources), read_settings(sources)
    return [result for path in paths for result in _run_file(plan, settings, path)]


def _run_file(plan: Plan, settings: SettingsSpec, path: Path) -> list[TestResult]:
    scenario = path.parent.name
    data, places = load_yaml(path.read_text(), f"{scenario}/{path.name}")
    found = []
    for index, raw in enumerate(data or []):
        try:
            spec = TestSpec.model_validate(raw)
        except ValidationError as error:
            wrong = _moved(error, places, index)
            raise PlanError(wrong) from None
        found.append(_Run(plan, settings, scenario, spec, places, index).result())
    return found


def alone(plan: Plan, names: Iterable[str], choose: Mapping[str, str] | None = None) -> Plan:
    """Return a plan of the named scenarios and of those that they start, with the settings as they are."""
    kept: dict[str, Scenario] = {}
    wanted = list(names)
    while wanted:
        one = plan.live[wanted.pop()]
        if one.name not in kept:
            kept[one.name] = one
            wanted += [op.scenario for op in one.program if isinstance(op, Start)]
    return make_plan(plan.hash, kept.values(), plan.settings, choose=dict(choose or {}))


def _moved(error: ValidationError, places: Places, index: int) -> list[Problem]:
    line, column = places.of((index,))
    known = tuple(one.alias or name for name, one in TestSpec.model_fields.items())
    return [
        Problem(one.file, max(one.line, line), max(one.column, column), one.message)
        for one in problems_of(error, places, known)
    ]


class _Run:
    """One test: the engine alone, with the scenario in question and the store's settings."""

    def __init__(self, plan: Plan, settings: SettingsSpec, scenario: str, spec: TestSpec, places: Places, index: int):
        self.spec = spec
        self.places = places
        self.index = index
        self.scenario = scenario
        self.zone = ZoneInfo(settings.timezone)
        self.validator = Validator(settings.store.currency, settings.events)
        self._check_names(plan)
        self.plan = alone(plan, [scenario, *spec.neighbours], spec.choose)

    def _check_names(self, plan: Plan) -> None:
        """Refuse a test of no scenario, and neighbours that the plan has not."""
        if self.scenario not in plan.live:
            text = f"a test of {self.scenario!r}, a folder without a scenario of that name"
            raise PlanError([self.places.problem((self.index,), text)])
        for number, name in enumerate(self.spec.neighbours):
            if name not in plan.live:
                text = f"unknown scenario {name!r}{nearest(name, plan.live)}"
                raise PlanError([self.places.problem((self.index, "with", number), text)])

    def at(self, text: str, path: tuple[str | int, ...]) -> int:
        """Return a time of the test in UTC milliseconds."""
        found = WHEN.match(str(text))
        if not found:
            problem = self.places.problem((self.index, *path), f'{text!r} is not a time: write "10:30" or "2d 10:30"')
            raise PlanError([problem])
        days, hour, minute = (int(part or 0) for part in found.groups())
        moment = FIRST_DAY + timedelta(days=days, hours=hour, minutes=minute)
        return round(moment.replace(tzinfo=self.zone).timestamp() * 1000)

    def text(self, moment: int) -> str:
        """Return a time as the test writes it."""
        local = datetime.fromtimestamp(moment / 1000, self.zone).replace(tzinfo=None)
        days = (local - FIRST_DAY).days
        return f"{days}d {local:%H:%M}" if days else f"{local:%H:%M}"

    def _event(self, number: int, raw: dict[str, Any]) -> Event:
        fields = {name: value for name, value in raw.items() if name not in {"at", "event", "read_at"}}
        at = self.at(raw.get("at", ""), ("given", number))
        read = self.at(raw["read_at"], ("given", number)) if "read_at" in raw else at
        try:
            kind, _, _, _, data = self.validator.convert(
                {"type": raw.get("event"), "customer": ID, "occurred_at": at, **fields}
            )
        except Fault as fault:
            place = self.places.problem((self.index, "given", number), f"{fault.reason} {fault.path}")
            raise PlanError([place]) from None
        name = event_id("test", kind, str(number))
        return Event(
            id=name,
            type=kind,
            customer=ID,
            occurred_at=at,
            arrived_at=read,
            position=Position("test", 0, 0, number),
            data=data,
        )

    def _person(self, before: int) -> Event:
        said = self.spec.customer
        data: dict[str, Any] = {"email": REACHABLE["email"]} if said.reachable else {}
        if said.consents:
            data["consents"] = REACHABLE["consents"]
        data |= {name: getattr(said, name) for name in ("language", "first_name") if getattr(said, name)}
        return Event(
            id=event_id("test", "customer_updated", "first"),
            type="customer_updated",
            customer=ID,
            occurred_at=before - 1,
            arrived_at=before - 1,
            position=Position("test"),
            data=data,
        )

    def result(self) -> TestResult:
        """Run and compare."""
        events = [self._event(number, raw) for number, raw in enumerate(self.spec.given)]
        events.sort(key=lambda event: event.arrived_at)
        end = max(event.arrived_at for event in events) + parse_duration(self.spec.until)
        customer: Customer | None = None
        done = []
        for event in [self._person(min(event.at for event in events)), *events]:
            step = api.apply_event(customer, event, event.arrived_at, self.plan)
            customer = step.customer
            done.append(step)
        if customer is not None:
            done.append(api.fire_timers(customer, end, self.plan))
        commands = [one for step in done for one in step.commands if one.scenario == self.scenario]
        decisions = [one for step in done for one in step.decisions if one.scenario == self.scenario]
        found = TestResult(self.places.file, self.spec.test, commands=commands)
        seen = [one for step in done if step.customer is not None for one in step.customer.enrolments]
        found.entries = {one.id: one.entry for one in seen}
        found.decisions = [
            f"{self.text(one.at)}  {one.outcome} {one.step} ({one.reason})".replace("  (", " (") for one in decisions
        ]
        self._compare(found, [(self.text(one.due_at), one.step) for one in commands], decisions)
        return found

    def _compare(self, found: TestResult, sent: list[tuple[str, str]], decisions: list[Decision]) -> None:
        wanted = [(self.text(self.at(one.at, ("expect",))), one.send) for one in self.spec.expect]
        lines = [
            (when, sign, f"{sign} {when}  {step}{self._why(sign, step, decisions)}")
            for sign, when, step in compared(wanted, sent)
        ]
        found.messages = [text for _, _, text in sorted(lines, key=lambda line: _moment(line[0]))]
        found.differences += [text for _, sign, text in lines if sign != " "]
        outcomes = {"exit": "exited"}
        had = {(one.outcome, one.reason, self.text(one.at)) for one in decisions}
        for number, reason in enumerate(self.spec.reasons):
            said = {name: value for name, value in reason.items() if name != "at"}
            at = self.text(self.at(reason["at"], ("reasons", number))) if "at" in reason else None
            for name, value in said.items():
                outcome = outcomes.get(name, name)
                if not any(out == outcome and why == value and at in {None, when} for out, why, when in had):
                    found.differences.append(f"- {at or 'any time'}  {name}: {value}: expected, not decided")

    def _why(self, sign: str, step: str, decisions: list[Decision]) -> str:
        """Return what a line of the difference says of its message, with what was decided instead."""
        if sign == "+":
            return ": sent, not expected"
        if sign == " ":
            return ""
        own = [one for one in decisions if one.step == step and one.outcome != "settled"]
        ends = [one for one in decisions if one.outcome in {"exited", "not_entered"}]
        said = [f"{one.outcome} at {self.text(one.at)} ({one.reason})" for one in (own or ends)[-1:]]
        return f": expected, not sent{f'; it was {said[0]}' if said and own else f'; {said[0]}' if said else ''}"


def compared(wanted: list[tuple[str, str]], sent: list[tuple[str, str]]) -> list[tuple[str, str, str]]:
    """Return (sign, time, step) of every message: - expected alone, + sent alone, blank both. Each counts once."""
    left = list(sent)
    found = []
    for one in wanted:
        if one in left:
            left.remove(one)
            found.append((" ", *one))
        else:
            found.append(("-", *one))
    return [
        *(one for one in found if one[0] == "-"),
        *(("+", *one) for one in left),
        *(o for o in found if o[0] == " "),
    ]


def _moment(text: str) -> tuple[int, str]:
    """Return what sorts the times of a test: "09:45" before "1d 08:00"."""
    day, _, clock = text.rpartition("d ")
    return int(day or 0), clock
