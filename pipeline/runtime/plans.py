"""Compiled plans by hash, with the versions of earlier plans that somebody may still be inside."""

from collections.abc import Callable, Mapping

from pipeline.engine.plan import Plan, Scenario, make_plan
from pipeline.errors import RunError
from pipeline.scenario.compile import compile_plan
from pipeline.scenario.sources import PlanSources

# A plan of before this many edits is no longer looked up: who is inside it that long has ended.
PLANS_KEPT = 16


class PlanBook:
    """Finds plans' sources by hash and compiles each once."""

    def __init__(self, find: Callable[[str], PlanSources | None]):
        self._find = find
        self._compiled: dict[str, Plan] = {}

    def _plan(self, name: str) -> Plan:
        if name not in self._compiled:
            sources = self._find(name)
            if sources is None:
                raise RunError(f"the plan {name} is activated in the journal but not stored: apply it again")
            self._compiled[name] = compile_plan(sources)
        return self._compiled[name]

    def build(
        self, live: str, earlier: tuple[str, ...], activated: Mapping[str, int], switches: Mapping[str, str]
    ) -> Plan:
        """Return the live plan with earlier plans' versions pinned; RunError where the live one is not stored."""
        pinned: dict[tuple[str, str], Scenario] = {}
        for name in earlier:
            pinned |= self._plan(name).versions
        found = self._plan(live)
        return make_plan(
            found.hash,
            found.scenarios,
            found.settings,
            pinned=pinned,
            activated=dict(activated),
            switches=dict(switches),
        )

    def scenarios(self, name: str) -> tuple[str, ...]:
        """Return the names of a plan's scenarios."""
        return tuple(scenario.name for scenario in self._plan(name).scenarios)
