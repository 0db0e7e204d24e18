"""Exits and goals: looked at for every event, in the middle of any wait.

An event acts on an enrolment only if its `at` is not before the entry's. A condition speaks of the state and not of an
event, so it acts whatever event brought it about; it is looked at when something that it reads may have changed.
"""

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from models.customer import Enrolment, Profile
from pipeline.engine.ending import cancel_unsent, close_or_drop, end, unsettled
from pipeline.engine.env import Env, Expr, Missing
from pipeline.engine.memory import by_time, view_of
from pipeline.engine.plan import ExitRule, Goal, Scenario
from pipeline.engine.work import Happening, Work

PROFILE_FIELDS = frozenset(Profile.__struct_fields__)


def holds(condition: Expr | None, env: Env) -> bool:
    """Say whether a condition holds; none always does."""
    return condition is None or condition.holds(env)


def _rule_of(work: Work, scenario: Scenario, enrolment: Enrolment, event: Mapping[str, Any]) -> ExitRule | None:
    """Return the exit that this event takes."""
    if event["at"] < enrolment.entry.at:
        return None
    for rule in scenario.exits:
        if rule.on == event["type"] and holds(rule.where, work.env(enrolment, event)):
            return rule
    return None


def _goal(work: Work, goal: Goal, enrolment: Enrolment, event: Mapping[str, Any]) -> Enrolment:
    """Return the enrolment with its goal reached, or the same one."""
    inside = enrolment.entry.at <= event["at"] <= enrolment.entry.at + goal.within_ms
    if goal.on != event["type"] or enrolment.goal_at is not None or not inside:
        return enrolment
    if event["id"] == enrolment.entry.event or not holds(goal.where, work.env(enrolment, event)):
        return enrolment
    detail: dict[str, Any] = {"held_out": True} if enrolment.held_out else {}
    if goal.value is not None:
        try:
            detail["value"] = goal.value.call(work.env(enrolment, event))
        except Missing:
            detail["missing"] = ["value"]
    work.decide("goal", event["type"], enrolment, event=event["id"], detail=detail)
    return replace(enrolment, goal_at=event["at"])


def look(work: Work, happening: Happening) -> None:
    """Let an event reach goals and end enrolments; on a closing one it cancels what is unsettled."""
    for enrolment in work.enrolments:
        scenario = work.scenario_of(enrolment)
        if scenario is None or happening.type not in scenario.heard:
            continue
        kept = enrolment
        if scenario.goal is not None and scenario.goal.on == happening.type:
            kept = _goal(work, scenario.goal, enrolment, happening.view)
            if kept is not enrolment:
                work.put(kept)
        rule = _rule_of(work, scenario, kept, happening.view)
        if rule is not None and not kept.closing:
            end(work, kept, happening.at, "exited", rule.reason, happening.id, cancel=True)
        elif kept.closing and (rule is not None or kept is not enrolment):
            close_or_drop(work, cancel_unsent(work, kept, rule.reason) if rule else kept)


def look_at_conditions(work: Work, happening: Happening) -> None:
    """End the enrolments whose exit condition holds now; of closing ones take back what is unsettled."""
    for enrolment in work.enrolments:
        scenario = work.scenario_of(enrolment)
        if scenario is None or not scenario.conditions or (enrolment.closing and not unsettled(enrolment)):
            continue
        reason = exit_condition(work, scenario, enrolment, only_changed=True)
        if reason is None:
            continue
        leave(work, enrolment, max(happening.at, enrolment.entry.at), reason, happening.id)


def leave(work: Work, enrolment: Enrolment, at: int, reason: str, event: str = "") -> None:
    """End an enrolment by a condition (UTC ms); of a closing one take back what is unsettled."""
    if enrolment.closing:
        close_or_drop(work, cancel_unsent(work, enrolment, reason))
    else:
        end(work, enrolment, at, "exited", reason, event, cancel=True)


def exit_condition(work: Work, scenario: Scenario, enrolment: Enrolment, *, only_changed: bool = False) -> str | None:
    """Return the reason of an exit condition that holds; `only_changed` leaves out those whose values stayed."""
    env = None
    for rule in scenario.conditions:
        assert rule.when is not None
        if only_changed and not _may_have_changed(work, rule.when):
            continue
        env = env or work.env(enrolment)
        if rule.when.holds(env):
            return rule.reason
    return None


def _may_have_changed(work: Work, condition: Expr) -> bool:
    """Say whether an input may have changed what a condition reads; what is not known to have stayed, may have."""
    return not condition.reads or any(_differs(work, read) for read in condition.reads)


def _differs(work: Work, read: str) -> bool:
    root, _, name = read.partition(".")
    before = work.before
    if root == "cart":
        return work.cold.cart is not before.cold.cart
    if root == "customer":
        return work.cold.attributes is not before.cold.attributes
    if root == "profile" and name in PROFILE_FIELDS:
        return bool(getattr(work.profile, name) != getattr(before.profile, name))
    return root != "entry"


def overtaken_by(work: Work, scenario: Scenario, enrolment: Enrolment) -> str | None:
    """Return the id of a remembered event, not before the entry, that would have ended the enrolment."""
    for kept in work.remembered:
        if kept.id != enrolment.entry.event and _rule_of(work, scenario, enrolment, view_of(kept)) is not None:
            return kept.id
    return None


def goal_of_memory(work: Work, goal: Goal, enrolment: Enrolment) -> Enrolment:
    """Return the enrolment with its goal reached, if an event that was read before the entry is that goal."""
    for kept in sorted(work.remembered, key=by_time):
        if kept.type == goal.on:
            enrolment = _goal(work, goal, enrolment, view_of(kept))
    return enrolment
