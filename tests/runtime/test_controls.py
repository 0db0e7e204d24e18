"""What control records leave in a partition's progress."""

from models.journal import PlanActivated, ScenarioSwitched
from models.progress import Progress
from pipeline.runtime.controls import CONTROLS_KEPT, controlled
from pipeline.runtime.plans import PLANS_KEPT

T0 = 1_700_000_000_000
NEW = Progress(journal="journal", partitions=1, partition=0, lineage="test")
SCENARIOS = {"p1": ("welcome", "cart"), "p2": ("cart",), "p3": ("welcome", "cart")}


def activate(progress: Progress, plan: str, at: int) -> Progress:
    entry = PlanActivated(id=f"{plan} {at}", plan=plan, at=at)
    return controlled(progress, entry, lambda name: SCENARIOS.get(name, ()))


def test_a_scenario_is_live_since_it_was_first_activated_without_a_break() -> None:
    progress = activate(activate(NEW, "p1", T0), "p2", T0 + 1)
    assert progress.activated == {"cart": T0}
    assert activate(progress, "p3", T0 + 2).activated == {"welcome": T0 + 2, "cart": T0}


def test_the_first_plan_passes_over_nobody_and_every_later_one_over_all() -> None:
    first = activate(NEW, "p1", T0)
    assert first.pass_cursor is None
    assert activate(first, "p2", T0 + 1).pass_cursor == ""


def test_an_activation_time_never_goes_back() -> None:
    assert activate(activate(NEW, "p1", T0), "p2", T0 - 1).activated_at == T0


def test_earlier_plans_are_kept_each_once_and_the_latest_longest() -> None:
    progress = NEW
    for number, plan in enumerate(("p1", "p2", "p1", "p2", "p3")):
        progress = activate(progress, plan, T0 + number)
    assert (progress.plan, progress.plans) == ("p3", ("p1", "p2"))
    for number in range(PLANS_KEPT - 1):
        progress = activate(progress, f"edit {number}", T0 + 10 + number)
    assert len(progress.plans) == PLANS_KEPT
    assert progress.plans[:3] == ("p2", "p3", "edit 0")


def test_switches_hold_what_is_not_active() -> None:
    def switch(progress: Progress, name: str, state: str) -> Progress:
        return controlled(progress, ScenarioSwitched(id=f"{name} {state}", scenario=name, state=state, at=T0), tuple)

    paused = switch(switch(NEW, "cart", "paused"), "*", "stopped")
    assert paused.switches == {"cart": "paused", "*": "stopped"}
    assert switch(paused, "*", "active").switches == {"cart": "paused"}


def test_the_last_controls_are_remembered() -> None:
    progress = NEW
    for number in range(CONTROLS_KEPT + 5):
        progress = activate(progress, "p1", T0 + number)
    assert progress.controls[0] == f"p1 {T0 + 5}" and len(progress.controls) == CONTROLS_KEPT
