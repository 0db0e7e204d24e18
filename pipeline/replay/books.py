"""The plan books of replays: a plan is compiled once in a process, however many units and replays run under it."""

from collections.abc import Callable

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
    """A plan book that shares what is compiled."""

    def __init__(self, find: Callable[[str], PlanSources | None]):
        super().__init__(find, voucher_key())

    def _plan(self, name: str) -> Plan:
        if name not in self._compiled:
            sources = self._find(name)
            if sources is not None:
                self._compiled[name] = compiled(sources)
        return super()._plan(name)
