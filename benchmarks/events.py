"""The engine alone: CPU per event of each type, under the three scenarios of the main job and under all of them.

One history of the load's mix over two simulated hours, with no store, codec or broker: what a plan costs the engine.
"""

import gc
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from benchmarks.load import records
from benchmarks.stages import MAIN_JOB, PLAN, START_MS, sources_of
from models.customer import Customer
from models.event import Event
from models.journal import Entry
from pipeline.engine import api
from pipeline.engine.plan import Plan
from pipeline.intake.mapper import Mapper, validator_for
from pipeline.intake.mapping import load_mapping
from pipeline.intake.record import SourceRecord
from pipeline.scenario.compile import compile_plan

HISTORY_MS = 2 * 3_600_000
# A timer is looked for as often as the runtime commits, not with every event.
TICK = 1_000


def plan_of(folder: Path, names: tuple[str, ...] = ()) -> Plan:
    """Return the plan of a folder; with names, of these scenarios alone."""
    plan = compile_plan(sources_of(folder, names))
    return replace(plan, activated=dict.fromkeys(plan.live, 0))


def history(count: int, customers: int) -> list[Event]:
    """Return the load as native events, evenly over the history's time."""
    mapper = Mapper(load_mapping("native"), "shop", validator_for("EUR"))
    return list(_events(mapper, count, customers))


def _events(mapper: Mapper, count: int, customers: int) -> Iterator[Event]:
    for offset, record in enumerate(records(count, customers, 1, START_MS, max(1, count * 1000 // HISTORY_MS))):
        at = START_MS + offset * HISTORY_MS // count
        entries: list[Entry] = mapper.feed(
            SourceRecord(source="shop", offset=offset, timestamp_ms=at, value=record.value)
        )
        yield from (one for one in entries if isinstance(one, Event))


class Engine:
    """The customers of one run, and what each type of event cost."""

    def __init__(self, plan: Plan):
        self.plan = plan
        self.customers: dict[str, Customer] = {}
        self.spent: dict[str, list[int]] = defaultdict(lambda: [0, 0])

    def run(self, events: list[Event]) -> None:
        """Apply a history, with timers every so often."""
        for number, event in enumerate(events):
            before = self.customers.get(event.customer)
            began = time.thread_time_ns()
            done = api.apply_event(before, event, event.at, self.plan)
            cost = self.spent[event.type]
            cost[0] += 1
            cost[1] += time.thread_time_ns() - began
            if done.customer is not None:
                self.customers[event.customer] = done.customer
            if number % TICK == 0:
                self._fire(event.at)

    def _fire(self, watermark: int) -> None:
        cost = self.spent["(timers)"]
        for name, customer in list(self.customers.items()):
            due = api.next_due(customer)
            if due is None or due >= watermark:
                continue
            began = time.thread_time_ns()
            done = api.fire_timers(customer, watermark, self.plan)
            cost[0] += 1
            cost[1] += time.thread_time_ns() - began
            if done.customer is not None:
                self.customers[name] = done.customer


def cost(plan: Plan, events: list[Event]) -> dict[str, float]:
    """Return microseconds of CPU an event of each type, and over all with the timers among them."""
    engine = Engine(plan)
    gc.collect()
    gc.disable()
    try:
        engine.run(events)
    finally:
        gc.enable()
    found = {kind: spent / number / 1000 for kind, (number, spent) in sorted(engine.spent.items()) if number}
    found["all"] = sum(spent for _, spent in engine.spent.values()) / len(events) / 1000
    return found


def by_type(count: int = 60_000, customers: int = 5_000, folder: Path = PLAN) -> dict[str, float]:
    """Return the rows of the report: microseconds an event by type, with three scenarios and with all.

    The best of three runs, in turn: whatever else the machine does makes one slower, never faster.
    """
    events = history(count, customers)
    everything = plan_of(folder)
    plans = {"3": plan_of(folder, MAIN_JOB), str(len(everything.live)): everything}
    found: dict[str, dict[str, float]] = {label: {} for label in plans}
    for _ in range(3):
        for label, plan in plans.items():
            for kind, spent in cost(plan, events).items():
                found[label][kind] = min(spent, found[label].get(kind, spent))
    rows = {f"engine, {label} scenarios, {kind}, us": one for label in found for kind, one in found[label].items()}
    three, every = (one["all"] for one in found.values())
    return rows | {"engine, all scenarios against three, times": every / three}
