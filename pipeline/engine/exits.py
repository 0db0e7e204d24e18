"""Exits and goals: looked at for every event, in the middle of any wait."""

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from models.customer import Enrolment
from pipeline.engine.ending import cancel_unsent, close_or_drop, end
from pipeline.engine.env import Env, Expr, Missing
from pipeline.engine.memory import view_of
from pipeline.engine.plan import ExitRule, Goal, Scenario
from pipeline.engine.work import Happening, Work


def holds(condition: Expr | None, env: Env) -> bool:
    """Say whether a condition holds; none always does."""
    return condition is None or condition.holds(env)


def _rule_of(work: Work, scenario: Scenario, enrolment: Enrolment, event: Mapping[str, Any]) -> ExitRule | None:
    if event["at"] < enrolment.entry.at:
        return None
    for rule in scenario.exits:
        if rule.on == event["type"] and holds(rule.where, work.env(enrolment, event)):
            return rule
    return None


def _goal(work: Work, goal: Goal, enrolment: Enrolment, event: Mapping[str, Any]) -> Enrolment:
    inside = enrolment.entry.at <= event["at"] <= enrolment.entry.at + goal.within_ms
    if enrolment.goal_at is not None or not inside or event["id"] == enrolment.entry.event:
        return enrolment
    env = work.env(enrolment, event)
    if not holds(goal.where, env):
        return enrolment
    detail: dict[str, Any] = {"held_out": True} if enrolment.held_out else {}
    if goal.value is not None:
        try:
            detail["value"] = goal.value.call(env)
        except Missing:
            detail["value"] = None
    work.decide("goal", event["type"], enrolment, event=event["id"], detail=detail)
    return replace(enrolment, goal_at=event["at"])


def look(work: Work, happening: Happening) -> None:
    """Let an event reach goals and end enrolments; on a closing one it cancels what is unsettled."""
    for enrolment in work.enrolments:
        scenario = work.scenario_of(enrolment)
        if scenario is None:
            continue
        kept = enrolment
        if scenario.goal is not None and scenario.goal.on == happening.type:
            kept = _goal(work, scenario.goal, enrolment, happening.view)
            if kept is not enrolment:
                work.put(kept)
        rule = _rule_of(work, scenario, kept, happening.view)
        if rule is not None and not kept.closing:
            end(work, kept, happening.at, "exited", rule.reason, happening.id)
        elif kept.closing and (rule is not None or kept is not enrolment):
            close_or_drop(work, cancel_unsent(work, kept, rule.reason) if rule else kept)


def look_at_conditions(work: Work, happening: Happening) -> None:
    """End the open enrolments whose exit condition holds now."""
    for enrolment in work.enrolments:
        scenario = work.scenario_of(enrolment)
        if scenario is None or enrolment.closing or happening.at < enrolment.entry.at:
            continue
        reason = exit_condition(work, scenario, enrolment)
        if reason is not None:
            end(work, enrolment, happening.at, "exited", reason, happening.id)


def exit_condition(work: Work, scenario: Scenario, enrolment: Enrolment) -> str | None:
    """Return the reason of an exit condition that holds."""
    for rule in scenario.exits:
        if rule.when is not None and rule.when.holds(work.env(enrolment)):
            return rule.reason
    return None


def overtaken_by(work: Work, scenario: Scenario, enrolment: Enrolment) -> str | None:
    """Return the id of a remembered event, not before the entry, that would have ended the enrolment."""
    for kept in work.remembered:
        if kept.id != enrolment.entry.event and _rule_of(work, scenario, enrolment, view_of(kept)) is not None:
            return kept.id
    return None
