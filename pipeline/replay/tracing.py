"""What the conditions of some enrolments saw: their customers' part of a replay once more, under traced plans."""

from collections.abc import Callable, Collection
from pathlib import Path

from models.ids import partition_of
from pipeline.engine.plan import Plan
from pipeline.replay.books import ReplayBook
from pipeline.replay.guards import Guard, Tracer
from pipeline.replay.spread import units_of
from pipeline.replay.task import Task
from pipeline.replay.unit import UnitRun
from pipeline.scenario.sources import PlanSources


class TracingBook(ReplayBook):
    """A plan book whose plans are traced."""

    def __init__(self, find: Callable[[str], PlanSources | None], tracer: Tracer):
        super().__init__(find)
        self._tracer = tracer
        self._traced: dict[str, Plan] = {}

    def _plan(self, name: str) -> Plan:
        if name not in self._traced:
            self._traced[name] = self._tracer.plan(super()._plan(name))
        return self._traced[name]


def trace(task: Task, out: Path, wanted: Collection[str]) -> list[Guard]:
    """Run a task of a few customers in this process; return what conditions saw of the wanted events and enrolments."""
    tracer, units = Tracer(frozenset(wanted)), units_of(task, out, 1)
    partitions = {partition_of(name, unit.partitions) for unit in units for name in task.customers or ()}
    for unit in units:
        if task.customers is not None and unit.partition not in partitions:
            continue
        run = UnitRun(unit, lambda messages, events: None, lambda find: TracingBook(find, tracer))
        try:
            run.run()
        finally:
            run.close()
    return tracer.take()
