"""A plan whose conditions note how they were evaluated: the engine is the same, and other plans pay nothing.

Expressions are data of the plan. A traced plan holds the same ones, each around the original: it notes the time, the
result and the values that were read, for the enrolments and events that are asked for.
"""

from collections.abc import Callable, Collection
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from models.ids import partition_of
from pipeline.engine.env import Env, Expr, Missing
from pipeline.engine.plan import Branch, Enter, ExitRule, Plan, Scenario, WaitFor, make_plan
from pipeline.replay.books import ReplayBook
from pipeline.replay.changes import Guard
from pipeline.replay.spread import units_of
from pipeline.replay.task import Task
from pipeline.replay.unit import UnitRun
from pipeline.replay.values import Values
from pipeline.scenario.compile import read_settings
from pipeline.scenario.sources import PlanSources

Noted = dict[str, list[Guard]]
PLACES: dict[type, str] = {Enter: "entry", ExitRule: "exit", Branch: "branch", WaitFor: "wait_for"}
NOTES_MAX = 200


class Notes:
    """What was noted, by the enrolment or event that it is about; the first NOTES_MAX of each."""

    def __init__(self, wanted: Collection[str]):
        self.wanted = frozenset(wanted)
        self.guards: Noted = {}

    def about(self, env: Env) -> str | None:
        """Return what of the wanted an evaluation is about."""
        names = (env.enrolment.id if env.enrolment else "", str((env.event or {}).get("id", "")))
        return next((name for name in names if name in self.wanted), None)

    def add(self, name: str, guard: Guard) -> None:
        """Keep one."""
        kept = self.guards.setdefault(name, [])
        if len(kept) < NOTES_MAX:
            kept.append(guard)


class TracingBook(ReplayBook):
    """Compiles plans whose conditions note how they went."""

    def __init__(self, find: Callable[[str], PlanSources | None], notes: Notes):
        super().__init__(find)
        self._sources = find
        self._notes = notes
        self._traced: dict[str, Plan] = {}

    def _plan(self, name: str) -> Plan:
        if name not in self._traced:
            plan, sources = super()._plan(name), self._sources(name)
            assert sources is not None
            self._traced[name] = _traced(plan, Values(read_settings(sources)), self._notes)
        return self._traced[name]


def _traced(plan: Plan, values: Values, notes: Notes) -> Plan:
    wrapped = [_scenario(one, values, notes) for one in plan.scenarios]
    return make_plan(plan.hash, wrapped, plan.settings)


def _scenario(one: Scenario, values: Values, notes: Notes) -> Scenario:
    def wrap(part: Any, place: str) -> Any:
        place = PLACES.get(type(part), place)
        if isinstance(part, Expr):
            return _noting(part, f"{one.name}: {place}", values, notes) if place else part
        if isinstance(part, tuple):
            return tuple(wrap(item, place) for item in part)
        if place and is_dataclass(part) and not isinstance(part, type):
            changed = {field.name: wrap(getattr(part, field.name), place) for field in fields(part)}
            return replace(part, **changed)
        return part

    return replace(one, program=wrap(one.program, ""), entries=wrap(one.entries, ""), exits=wrap(one.exits, ""))


def _noting(expression: Expr, place: str, values: Values, notes: Notes) -> Expr:
    def note(env: Env, held: bool | None) -> None:
        name = notes.about(env)
        if name is not None:
            read = values.of(expression, env)
            notes.add(name, Guard(place=place, source=expression.source, at=env.now, held=held, values=read))

    def call(env: Env) -> Any:
        try:
            found = expression.call(env)
        except Missing:
            note(env, None)
            raise
        note(env, found is True)
        return found

    return replace(expression, call=call)


def trace(task: Task, out: Path, wanted: Collection[str]) -> Noted:
    """Run a task again in this process and return the conditions of the wanted enrolments and entry events."""
    notes, units = Notes(wanted), units_of(task, out, 1)
    partitions = {partition_of(name, unit.partitions) for unit in units for name in task.customers or ()}
    for unit in units:
        if task.customers is not None and unit.partition not in partitions:
            continue
        run = UnitRun(unit, lambda messages, events: None, lambda find: TracingBook(find, notes))
        try:
            run.run()
        finally:
            run.close()
    return notes.guards
