"""What a plan would do to those who are there: the engine's own activation, done on every customer and thrown away.

Who enters at once, who is moved, who leaves and why: that is exact, as of the states that were read. Who enters later
hangs on events that are still to come; of those a preview says how many customers meet the entry's condition now,
where the condition reads no event. A filter that is always true shows itself by that.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

from msgspec.structs import replace

from models.customer import Customer
from pipeline.engine import api
from pipeline.engine.env import Env, Missing
from pipeline.engine.plan import Enter, Plan, Scenario
from pipeline.engine.transition import Transition

Change = Literal["new", "changed", "removed", "same"]
# Told so often how far it is.
WATCHED = 1_000


@dataclass
class Way:
    """One way in: how many customers are in its state, or meet its condition, now; None where events decide."""

    enter: Enter
    meets: int | None = 0


@dataclass
class Effect:
    """What the plan does to one scenario.

    `inside` counts open enrolments by version, `enters` who would enter at the activation, `later` whose start would be
    spread over the days after it, `leaves` whose enrolment would end, by reason, and `commands` what would be sent.
    """

    name: str
    change: Change
    on_change: str = ""
    version: str = ""
    inside: Counter[str] = field(default_factory=Counter)
    enters: int = 0
    later: int = 0
    moved: int = 0
    leaves: Counter[str] = field(default_factory=Counter)
    commands: int = 0
    ways: list[Way] = field(default_factory=list)


@dataclass
class Preview:
    """What a plan would do; `failed` customers are those on whom its activation raises."""

    customers: int = 0
    failed: int = 0
    effects: dict[str, Effect] = field(default_factory=dict)
    # What somebody is inside of: open and closing enrolments by (scenario, version).
    used: Counter[tuple[str, str]] = field(default_factory=Counter)


def preview(
    old: Plan | None, new: Plan, customers: Iterable[Customer], at: int, watch: Callable[[int], None] = lambda _: None
) -> Preview:
    """Do the activation of `new` at log time `at` (UTC ms) on customers who are under `old`; keep nothing of it."""
    found = Preview(effects=_effects(old, new))
    for customer in customers:
        found.customers += 1
        if found.customers % WATCHED == 0:
            watch(found.customers)
        _inside(found, customer)
        try:
            done = api.activate(_owing(customer, old, new), new, 0, at)
        except Exception:  # noqa: BLE001 - one customer's fault, which the run would make a dead letter of
            found.failed += 1
            continue
        _count(found, customer, done)
        if done.customer is not None:
            _conditions(found, customer, done.customer, new, at)
    return found


def _owing(customer: Customer, old: Plan | None, new: Plan) -> Customer:
    """A customer whom the last pass has not reached yet is under an earlier plan: for the preview it has."""
    from msgspec.structs import replace

    return (
        customer if old is None or customer.activated == new.pass_name else replace(customer, activated=old.pass_name)
    )


def _effects(old: Plan | None, new: Plan) -> dict[str, Effect]:
    before = old.live if old is not None else {}
    found = {}
    for name in sorted({*before, *new.live}):
        scenario = new.live.get(name)
        if scenario is None:
            found[name] = Effect(name, "removed")
            continue
        change: Change = "new" if name not in before else "changed"
        if name in before and before[name].version == scenario.version:
            change = "same"
        found[name] = Effect(name, change, scenario.on_change, scenario.version, ways=_ways(scenario))
    return found


def _ways(scenario: Scenario) -> list[Way]:
    return [Way(one, meets=_unknown(one)) for one in scenario.entries]


def _unknown(enter: Enter) -> int | None:
    """Return None for an entry whose condition only an event can decide, 0 for one that is to be counted."""
    reads = [read for one in (enter.when, enter.unless) if one is not None for read in sorted(one.reads)]
    by_event = any(read.split(".")[0] in {"event", "entry"} for read in reads)
    return None if by_event and not enter.subject else 0


def _inside(found: Preview, customer: Customer) -> None:
    for one in customer.enrolments:
        found.used[one.scenario, one.version] += 1
        effect = found.effects.get(one.scenario)
        if effect is not None and not one.closing:
            effect.inside[one.version] += 1


def _count(found: Preview, customer: Customer, done: Transition) -> None:
    for decision in done.decisions:
        effect = found.effects.get(decision.scenario)
        if effect is None:
            continue
        if decision.outcome == "entered":
            effect.enters += 1
        elif decision.outcome == "migrated":
            effect.moved += 1
        elif decision.outcome == "exited":
            effect.leaves[decision.reason] += 1
    for command in done.commands:
        found.effects[command.scenario].commands += 1


def _conditions(found: Preview, before: Customer, customer: Customer, plan: Plan, at: int) -> None:
    env = Env(customer, max(at, customer.now), plan.settings)
    put_off = [(one.scenario, one.entry) for one in customer.tracked.pending if one not in before.tracked.pending]
    for effect in found.effects.values():
        for way in effect.ways:
            if way.meets is None or not _meets(way.enter, customer, env):
                continue
            way.meets += 1
            # All are put off, and those who are in the state then enter: as of now, these.
            effect.later += (effect.name, way.enter.name) in put_off


def _meets(enter: Enter, customer: Customer, env: Env) -> bool:
    if enter.subject:
        view = _state(enter, customer)
        if view is None:
            return False
        env = replace(env, event=view)
    if enter.when is not None and not enter.when.holds(env):
        return False
    try:
        return enter.unless is None or enter.unless.call(env) is False
    except Missing:
        return False


def _state(enter: Enter, customer: Customer) -> dict[str, str] | None:
    """Return the fields of the event that would say of a customer's state, None for one who is not in it."""
    root, _, name = enter.subject.partition(".")
    if root == "level":
        level = customer.tracked.levels.get(name)
        return None if level is None else {"of": name, "to": level, "from": level}
    return {root: name} if (name in customer.tracked.segments) != (enter.on == "segment_left") else None
