"""Compiled plans by hash, with the versions of earlier plans that somebody may still be inside."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from pipeline.engine.plan import Plan, Scenario, make_plan
from pipeline.errors import RunError
from pipeline.scenario.compile import compile_plan
from pipeline.scenario.sources import PlanSources

# A plan of before this many edits is no longer looked up: who is inside it that long has ended.
PLANS_KEPT = 16


class PlanBook:
    """Finds plans' sources by hash and compiles each once.

    `voucher_key` is every worker's own secret, put into each plan as data; `key_needed` refuses a plan that issues
    vouchers without one.
    """

    def __init__(
        self, find: Callable[[str], PlanSources | None], voucher_key: bytes = b"", *, key_needed: bool = False
    ):
        self._find = find
        self._voucher_key = voucher_key
        self._key_needed = key_needed
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
        if found.issues_vouchers and self._key_needed and not self._voucher_key:
            raise RunError("the plan issues vouchers: give every worker the same PARCOURS_SECRET for their codes")
        return make_plan(
            found.hash,
            found.scenarios,
            replace(found.settings, voucher_key=self._voucher_key),
            pinned=pinned,
            known={name: self.scenarios(name) for name in (*earlier, live)},
            activated=dict(activated),
            switches=dict(switches),
        )

    def scenarios(self, name: str) -> tuple[str, ...]:
        """Return the names of a plan's scenarios."""
        return tuple(scenario.name for scenario in self._plan(name).scenarios)
