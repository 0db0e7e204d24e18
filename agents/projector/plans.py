"""The plans that the log names: their settings, for zones, touchpoints, funnels and attribution."""

from collections.abc import Callable

from pipeline.errors import PlanError
from pipeline.insight.definitions import Definitions, compile_definitions
from pipeline.insight.journey import days_in
from pipeline.scenario.compile import engine_settings, read_settings
from pipeline.scenario.sources import PlanSources


class PlanShelf:
    """Compiles a plan's definitions once; `sources` finds a plan by its hash.

    `live` names the plan that was applied last: it stands in for one whose activation the log does not hold any more,
    or has not shown yet.
    """

    def __init__(self, sources: Callable[[str], PlanSources | None], live: Callable[[], str] = lambda: ""):
        self._sources = sources
        self.live = live
        self._definitions: dict[str, Definitions] = {}
        self._days: dict[str, Callable[[int], str]] = {}

    def definitions(self, plan: str) -> Definitions:
        """Return a plan's definitions; those of empty settings before any plan, and for one that cannot be read."""
        if plan not in self._definitions:
            self._definitions[plan] = self._compile(plan)
        return self._definitions[plan]

    def sources(self, plan: str) -> PlanSources | None:
        """Return a plan's sources, None where they are not stored."""
        return self._sources(plan) if plan else None

    def _compile(self, plan: str) -> Definitions:
        sources = self.sources(plan) or PlanSources({})
        try:
            spec = read_settings(sources)
            return compile_definitions(spec, engine_settings(spec))
        except PlanError:
            # A plan of another release, say: its events still count, under their own names.
            spec = read_settings(PlanSources({}))
            return compile_definitions(spec, engine_settings(spec))

    def day(self, plan: str) -> Callable[[int], str]:
        """Return the function from a time to the day in the plan's zone."""
        zone = self.definitions(plan).timezone
        if zone not in self._days:
            self._days[zone] = days_in(zone)
        return self._days[zone]
