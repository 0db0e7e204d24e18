"""The plan books of replays: a plan is compiled once in a process, however many units and replays run under it."""

from collections.abc import Callable, Mapping

from pipeline.engine.plan import Plan
from pipeline.runtime.plans import PlanBook
from pipeline.scenario.compile import compile_plan
from pipeline.scenario.sources import PlanSources
from pipeline.sending.links import voucher_key

KEPT = 8
_compiled: dict[str, Plan] = {}


def compiled(sources: PlanSources) -> Plan:
    """Return a plan compiled; the last KEPT are kept, by hash."""
    name = sources.hash
    if name not in _compiled:
        while len(_compiled) >= KEPT:
            del _compiled[next(iter(_compiled))]
        _compiled[name] = compile_plan(sources)
    return _compiled[name]


class ReplayBook(PlanBook):
    """A plan book that shares what is compiled; `live_from` says of scenarios from when on they send (UTC ms)."""

    def __init__(self, find: Callable[[str], PlanSources | None], live_from: Mapping[str, int] | None = None):
        super().__init__(find, voucher_key())
        self._live_from = dict(live_from or {})

    def build(
        self, live: str, earlier: tuple[str, ...], activated: Mapping[str, int], switches: Mapping[str, str]
    ) -> Plan:
        """Return the live plan, those scenarios as if they had been activated then."""
        return super().build(live, earlier, {**activated, **self._live_from}, switches)

    def _plan(self, name: str) -> Plan:
        if name not in self._compiled:
            sources = self._find(name)
            if sources is not None:
                self._compiled[name] = compiled(sources)
        return super()._plan(name)
