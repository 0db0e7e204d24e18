"""Funnels put together: how many came to each step, what was lost before the next, for everybody or by group."""

from dataclasses import dataclass, field
from typing import Any

from models.insight import FunnelSpec

GROUPS_SHOWN = 12


@dataclass
class Step:
    """One step: how many reached it, and how many of those came no further."""

    name: str
    reached: int
    stopped: int = 0
    of_first: float = 0.0
    of_before: float = 0.0


@dataclass
class Shown:
    """A funnel as its page shows it: steps for each group, the largest group first."""

    name: str
    within: str
    groups: list[tuple[str, list[Step]]] = field(default_factory=list)


def shown(specs: list[FunnelSpec], stages: list[dict[str, Any]]) -> list[Shown]:
    """Return the funnels of the settings with the sums of a period."""
    found = []
    for spec in specs:
        mine = [row for row in stages if row["funnel"] == spec.name]
        funnel = Shown(spec.name, spec.within)
        for group in dict.fromkeys(row["group"] for row in mine):
            reached = {row["step"]: row["n"] for row in mine if row["group"] == group}
            names = [step.name for step in spec.steps]
            funnel.groups.append((group, _steps(names, [reached.get(n, 0) for n in range(1, len(names) + 1)])))
        funnel.groups.sort(key=lambda pair: (-pair[1][0].reached, pair[0]))
        del funnel.groups[GROUPS_SHOWN:]
        found.append(funnel)
    return found


def _steps(names: list[str], reached: list[int]) -> list[Step]:
    steps = []
    for index, name in enumerate(names):
        after = reached[index + 1] if index + 1 < len(names) else reached[index]
        before = reached[index - 1] if index else reached[index]
        steps.append(
            Step(
                name, reached[index], max(reached[index] - after, 0),
                reached[index] / reached[0] if reached[0] else 0.0, reached[index] / before if before else 0.0,
            )
        )  # fmt: skip
    return steps
