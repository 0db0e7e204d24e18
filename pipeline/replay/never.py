"""Why a scenario never began for a customer: nothing of its kind came, or which condition failed, with its values.

A scenario that begins with a segment, a level or a score is begun by a state: its conditions are shown as they stand in
the customer's last state. So is the day of a date.
"""

from models.customer import Customer
from pipeline.engine.env import Env, Expr, Missing
from pipeline.engine.plan import START, Enter, Plan, Scenario
from pipeline.engine.rules import Level, Segment, key_of
from pipeline.engine.scores import POINT, value_at
from pipeline.replay.explanation import Never
from pipeline.replay.guards import Guard, Value, looked_at
from pipeline.replay.one import Step
from pipeline.replay.records import Records

ENTRY = frozenset({"enter", "unless"})


def never(scenario: Scenario, plan: Plan, steps: list[Step], records: Records) -> Never:
    """Say why nobody of this id ever began a scenario."""
    types = sorted({enter.on for enter in scenario.entries})
    looked = [guard for step in steps for guard in step.guards if _of_entry(guard, scenario.name)]
    failed = [guard for guard in looked if guard.held is not (guard.place == "enter")]
    refused = [one for one in records.decisions if one.scenario == scenario.name and one.outcome == "not_entered"]
    guards = tuple(failed[-1:])
    if types == [START]:
        text = "another scenario begins it, and none did"
    elif refused:
        text = f"it was kept out: {', '.join(sorted({one.reason for one in refused}))}"
    elif failed:
        text = f"its entry condition failed each of {len(looked)} times; the last time:"
    elif looked:
        text = "its conditions held, and nothing was decided"
    elif any(one.event.type in types for one in records.events):
        text = f"{' or '.join(types)} came before the scenario was live"
    else:
        text = f"no {' or '.join(types)} came"
        guards = tuple(guard for enter in scenario.entries for guard in _state(enter, scenario, plan, steps))
        text += ", as it stands:" if guards else ""
    return Never(scenario=scenario.name, text=text, looked_at=len(looked), guards=guards)


def also(scenario: Scenario, steps: list[Step]) -> Never | None:
    """Say how often the entry condition of a scenario that did begin failed, None where it never did."""
    looked = [guard for step in steps for guard in step.guards if _of_entry(guard, scenario.name)]
    failed = [guard for guard in looked if guard.held is not (guard.place == "enter")]
    if not failed:
        return None
    text = f"it began, and its entry condition failed {len(failed)} of {len(looked)} times; the last time:"
    return Never(scenario=scenario.name, text=text, looked_at=len(looked), guards=tuple(failed[-1:]))


def _of_entry(guard: Guard, scenario: str) -> bool:
    return guard.scenario == scenario and guard.place in ENTRY


def _last(steps: list[Step]) -> Customer | None:
    done = [step.done for step in steps if step.done is not None]
    return done[-1].customer if done else None


def _state(enter: Enter, scenario: Scenario, plan: Plan, steps: list[Step]) -> list[Guard]:
    """Return what a state entry or a date waits for, in the customer's last state."""
    customer = _last(steps)
    if customer is None:
        return []
    env = Env(customer, customer.now, plan.settings)
    if enter.on == "score_reached":
        return [_score(enter, env, plan, scenario.name)]
    if enter.moment is not None and enter.moment.date is not None:
        return [_day(enter.moment.date, env, scenario.name)]
    rule = next((one for one in plan.settings.definitions.rules if key_of(one) == enter.subject), None)
    if isinstance(rule, Segment):
        return [looked_at(rule.when, env, "segment", scenario.name, rule.name)]
    if isinstance(rule, Level):
        return [looked_at(when, env, f"level {rule.name}, {step}", scenario.name, step) for step, when in rule.arms]
    return []


def _day(date: Expr, env: Env, scenario: str) -> Guard:
    """Show the day that a date entry counts from; one that is not known never comes."""
    try:
        found, missing = str(date.call(env)), ""
    except Missing as error:
        found, missing = "", str(error)
    value = Value(date.source, "date", found or None, not found)
    return Guard(place="date", source=date.source, now=env.now, scenario=scenario, missing=missing, values=(value,))


def _score(enter: Enter, env: Env, plan: Plan, scenario: str) -> Guard:
    """Show a score beside the points at which it begins the scenario: its subject is "segment.lead>=50"."""
    said = enter.subject.partition(".")[2]
    name, _, wanted = said.partition(">=")
    rule = plan.settings.definitions.scores[name]
    points = value_at(env.customer.tracked, rule, env.now) // POINT
    value = Value(f'score("{name}")', "int", points)
    source = f'score("{name}") >= {wanted}'
    return Guard(
        place="score", source=source, now=env.now, scenario=scenario, held=points >= int(wanted), values=(value,)
    )
