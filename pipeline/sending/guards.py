"""What a plan says of how fast a scenario's messages go out: its rate, its brake, and how many are approved first.

The brake of a scenario that names none: ten times the busiest hour that its last backtest found (`backtest.json` of the
plan, which `parcours backtest --remember` writes), else 1,000 an hour; for marketing alone, for a shop's best day must
not hold its confirmations.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from models.scenario import ScenarioSpec
from models.settings import SettingsSpec
from pipeline.durations import UNITS_MS
from pipeline.scenario.sources import PlanSources
from pipeline.yaml_places import load_yaml

FILE = "scenario.yaml"
BACKTEST_FILE = "backtest.json"
TIMES_BUSIEST = 10
WITHOUT_BACKTEST = 1_000
OFF = "off"


@dataclass(frozen=True, slots=True)
class Guard:
    """How one scenario's messages go out: `rate` a second, `brake` in an hour (None: no such), `approve_first` of all.

    `is_default`: nobody wrote that brake, it holds for marketing that leaves the machine.
    """

    rate: float | None = None
    brake: int | None = None
    is_default: bool = False
    approve_first: int = 0


NO_GUARD = Guard()


def guard_of(sources: PlanSources, settings: SettingsSpec, scenario: str) -> Guard:
    """Return the guard of a scenario of a plan; NO_GUARD where the plan has none of that name."""
    for path in sorted(sources.files):
        if path == FILE or path.endswith(f"{scenario}/{FILE}"):
            spec = ScenarioSpec.model_validate(load_yaml(sources.files[path], path)[0])
            if spec.scenario == scenario:
                return _guard(spec, settings, _busiest(sources).get(scenario, 0))
    return NO_GUARD


def _busiest(sources: PlanSources) -> Mapping[str, int]:
    try:
        said: Any = json.loads(sources.files.get(BACKTEST_FILE, "{}")).get("busiest_hour", {})
        return {str(name): count for name, count in said.items() if isinstance(count, int) and count > 0}
    except (ValueError, AttributeError):
        return {}


def _guard(spec: ScenarioSpec, settings: SettingsSpec, busiest: int) -> Guard:
    said = spec.brake or settings.brake
    brake = TIMES_BUSIEST * busiest if busiest else WITHOUT_BACKTEST
    if said is not None:
        brake = 0 if said == OFF else int(said.partition("/")[0])
    return Guard(
        rate=_a_second(spec.rate) if spec.rate else None,
        brake=brake or None,
        is_default=said is None,
        approve_first=spec.approve_first or 0,
    )


def _a_second(rate: str) -> float:
    count, _, unit = rate.partition("/")
    return int(count) * 1000 / UNITS_MS[unit]
