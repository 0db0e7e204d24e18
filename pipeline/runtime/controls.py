"""What a control record changes in a partition's progress; the runtime sees to it that each acts once, as a barrier."""

from collections.abc import Callable

from msgspec.structs import replace

from models.journal import Control, PlanActivated, ScenarioSwitched, SourceChanged, StateVersionSet
from models.progress import STATE_VERSION, Progress
from pipeline.errors import RunError
from pipeline.runtime.plans import PLANS_KEPT

CONTROLS_KEPT = 64


def controlled(progress: Progress, entry: Control, scenarios: Callable[[str], tuple[str, ...]]) -> Progress:
    """Return the progress after a control record, its id among those that acted; RunError for one that cannot act.

    `scenarios` names the scenarios of a plan by its hash. A source's change acts on the source table alone.
    """
    match entry:
        case PlanActivated():
            progress = _activated(progress, entry, scenarios(entry.plan))
        case ScenarioSwitched():
            switches = {name: state for name, state in progress.switches.items() if name != entry.scenario}
            if entry.state != "active":
                switches[entry.scenario] = entry.state
            progress = _switched(progress, switches, entry.at)
        case StateVersionSet():
            if entry.version > STATE_VERSION:
                raise RunError(f"the journal asks for state version {entry.version}: run a newer release")
            progress = replace(progress, state_version=entry.version)
        case SourceChanged():
            pass
    return replace(progress, controls=(*progress.controls, entry.id)[-CONTROLS_KEPT:])


def _activated(progress: Progress, entry: PlanActivated, names: tuple[str, ...]) -> Progress:
    kept = [name for name in progress.plans if name != progress.plan]
    earlier = tuple(name for name in (*kept, progress.plan) if name and name != entry.plan)
    return replace(
        progress,
        plan=entry.plan,
        plans=earlier[-PLANS_KEPT:],
        activated={name: progress.activated.get(name, entry.at) for name in names},
        activated_at=max(entry.at, progress.activated_at),
        # The first plan finds nobody to pass over.
        pass_cursor="" if progress.plan else None,
    )


def _switched(progress: Progress, switches: dict[str, str], at: int) -> Progress:
    """A stop, or its end, is brought to every customer by a pass, as a plan is; a pause needs none."""

    def stopped(found: dict[str, str]) -> list[str]:
        return sorted(name for name, state in found.items() if state == "stopped")

    changed = stopped(switches) != stopped(progress.switches)
    progress = replace(progress, switches=switches)
    if not changed or not progress.plan:
        return progress
    return replace(progress, activated_at=max(at, progress.activated_at), pass_cursor="")
