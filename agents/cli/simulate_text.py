"""The steps of a simulation as a person reads them."""

from collections.abc import Iterator
from typing import Any

import msgspec

from models.command import Command
from models.customer import NEVER, Customer, Enrolment
from models.decision import Decision
from pipeline.engine.plan import Plan
from pipeline.replay.guards import Guard
from pipeline.replay.one import Step
from pipeline.replay.passage_causes import split_text
from pipeline.replay.shown import guard_text, moment, value_text
from pipeline.replay.simulate import Simulation
from pipeline.replay.standing import standing
from pipeline.runtime.reading import customer_view


def step_text(step: Step, scenario: str, currency: str) -> str:
    """Return one step in lines; the empty text where nothing is to be said of it."""
    lines = list(_told(step, scenario, currency))
    event = step.event
    if event is None and not lines:
        return ""
    if event is not None and event.type == "message_sent" and _only_settles(step):
        return ""
    late = f" (of {moment(event.at)})" if event is not None and event.at != event.arrived_at else ""
    head = "a timer" if event is None else f"{event.type}{late} {value_text(event.data, 'map', currency)}"
    when = step.watermark - 1 if event is None else event.arrived_at
    if step.repeated:
        lines.append("    read before: it counts once")
    return "\n".join([f"{moment(when)}  {head}", *lines])


def _told(step: Step, scenario: str, currency: str) -> Iterator[str]:
    done = step.done
    if done is None:
        return
    for guard in step.guards:
        if guard.scenario == scenario and _matters(guard):
            yield f"      {guard.place}{f' {guard.arm}' if guard.arm else ''}: {guard_text(guard, currency)}"
    for one in done.decisions:
        if one.scenario == scenario:
            named = f" {one.step}" if one.step else ""
            yield f"    {one.outcome}{named}: {one.reason}{_drawn(one, step)}"
        elif one.outcome == "sent":
            yield f"    (another scenario: {one.scenario} sent {one.step})"
    for command in done.commands:
        if command.scenario == scenario:
            yield from _message(command, currency)
    if done.customer is not None and step.plan is not None and _moved(step):
        yield from _standing(done.customer, scenario, step.plan)


def _drawn(one: Decision, step: Step) -> str:
    """Return why a split went as it did; the empty text for all else."""
    scenario = step.plan.versions.get((one.scenario, one.version)) if step.plan is not None else None
    found = split_text(scenario, one) if scenario is not None and one.outcome == "branched" else None
    return f"  ({found})" if found else ""


def _only_settles(step: Step) -> bool:
    return step.done is not None and all(one.outcome == "settled" for one in step.done.decisions)


def _matters(guard: Guard) -> bool:
    """Exits are looked at with every event: only those that hold, or have no value, are worth a line."""
    return guard.place not in {"exit", "where"} or guard.held is not False


def _message(command: Command, currency: str) -> Iterator[str]:
    to = f" to {command.address}" if command.address else ""
    yield f"      by {command.channel}{to}, valid until {moment(command.valid_until)}; template {command.template}"
    for name, value in command.data.items():
        yield f"      with {name}: {value_text(value, '', currency)}"


def _moved(step: Step) -> bool:
    after = step.done.customer if step.done is not None else None
    before = step.before.enrolments if step.before is not None else ()
    return after is not None and after.enrolments != before


def _standing(customer: Customer, scenario: str, plan: Plan) -> Iterator[str]:
    for one in customer.enrolments:
        if one.scenario == scenario:
            yield f"    {_stands(one, plan)}"


def _stands(one: Enrolment, plan: Plan) -> str:
    return standing(one, plan.versions.get((one.scenario, one.version)))


def end_text(run: Simulation, scenario: str) -> str:
    """Return how it stands at the end of a simulation."""
    mine = [one for one in run.commands if one.scenario == scenario]
    inside = [one for one in (run.customer.enrolments if run.customer else ()) if one.scenario == scenario]
    open_ = [one for one in inside if not one.closing]
    lines = [f"{moment(run.clock)}  the end: {len(mine)} sent, {'inside' if open_ else 'not inside'}"]
    lines += [f"    {_stands(one, run.plan)}" for one in open_]
    if run.withheld:
        lines.append(f"    {run.withheld} recorded reactions to messages that were not sent here were left out")
    return "\n".join(lines)


def state_text(run: Simulation) -> str:
    """Return what is known of the customer."""
    if run.customer is None:
        return "nothing is known of them yet"
    return msgspec.json.format(msgspec.json.encode(customer_view(run.customer)), indent=2).decode()


def timers_text(run: Simulation) -> str:
    """Return what is due, and when."""
    found = [one for one in (run.customer.enrolments if run.customer else ()) if one.waiting is not None]
    found.sort(key=lambda one: one.waiting.due if one.waiting else NEVER)
    lines = [f"{one.scenario}: {_stands(one, run.plan)}" for one in found]
    event = run.next_event
    if event is not None:
        lines.append(f"the next event comes at {moment(event)}")
    return "\n".join([f"it is {moment(run.clock)}", *lines])


def step_view(step: Step) -> dict[str, Any]:
    """Return a step as JSON holds it; times in ISO 8601."""
    done, event = step.done, step.event
    after = done.customer if done is not None else None
    return {
        "at": moment(step.watermark - 1 if event is None else event.arrived_at),
        "event": None
        if event is None
        else {"type": event.type, "id": event.id, "at": moment(event.at), "data": event.data},
        "repeated": step.repeated,
        "guards": step.guards,
        "decisions": [_timed(one) for one in done.decisions] if done is not None else [],
        "commands": [_timed(one) for one in done.commands] if done is not None else [],
        "enrolments": [
            {"scenario": one.scenario, "id": one.id, "stands": _stands(one, step.plan) if step.plan else ""}
            for one in (after.enrolments if after is not None else ())
        ],
    }


def _timed(record: Any) -> dict[str, Any]:
    from pipeline.runtime.reading import outside

    return outside(msgspec.to_builtins(record))
