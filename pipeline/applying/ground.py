"""Where a plan would be applied, as both hosts show it; and the plan as it would stand there."""

from collections.abc import Iterator
from typing import Protocol

from models.customer import Customer
from models.journal import PlanActivated
from models.progress import Progress
from pipeline.engine.plan import Plan
from pipeline.runtime.controls import controlled
from pipeline.runtime.plans import PlanBook
from pipeline.scenario.sources import PlanSources

NOWHERE = Progress(journal="", partitions=1, partition=0, lineage="")


class Ground(Protocol):
    """A data folder or a cluster."""

    def standing(self) -> Progress | None:
        """Return the newest progress record, None before any."""

    def plan_sources(self, name: str) -> PlanSources | None:
        """Return the sources of a plan that was applied here, by its hash."""

    def live_name(self) -> str:
        """Return the hash of the plan that was applied last, "" before any."""

    def states(self) -> Iterator[Customer]:
        """Yield every customer as of now."""


def live_plan(ground: Ground) -> Plan | None:
    """Return the live plan, with the earlier versions that somebody may be inside; None before any."""
    standing, name = ground.standing() or NOWHERE, ground.live_name()
    if not name:
        return None
    return PlanBook(ground.plan_sources).build(name, standing.plans, standing.activated, standing.switches)


def next_plan(ground: Ground, sources: PlanSources, at: int) -> Plan:
    """Return a plan as it would be live from log time `at` (UTC ms) on, with the earlier versions."""

    def find(name: str) -> PlanSources | None:
        return sources if name == sources.hash else ground.plan_sources(name)

    book = PlanBook(find)
    entry = PlanActivated(id="preview", plan=sources.hash, at=at)
    after = controlled(ground.standing() or NOWHERE, entry, book.scenarios)
    return book.build(after.plan, after.plans, after.activated, after.switches)
