"""Why a message that one plan sends is not sent, or sent otherwise, under another: from what was decided there.

Asked in this order; the first answer is the cause.
1. The plan has no such scenario, or the scenario no such step.
2. The step was reached there and passed over, or still waits.
3. The customer took another way at a branch or a split.
4. The enrolment ended there before the step, or stands before it at the end of the stretch.
5. The entry was refused there.
6. Nothing was decided there: the entry's condition did not hold, or no entry looks at such an event.
"""

from models.command import Command
from models.decision import Decision
from pipeline.engine.plan import Plan, Scenario, Send
from pipeline.replay.changes import MOVES, Cause, Change, Decisions
from pipeline.runtime.reading import iso

ENDS = frozenset({"exited", "completed", "dropped"})
NOT_MATCHED = "entry condition does not hold"


def cause_of(change: Change, was: Decisions, now: Decisions, live: Plan, draft: Plan) -> Cause:
    """Return why a message differs; `was` and `now` are all decisions of that customer under either plan."""
    if change.now is None:
        return _why_not(change.command, now, was, draft)
    if change.was is None:
        return _why_not(change.command, was, now, live)
    return _why_otherwise(change, was, now)


def _of(command: Command, decisions: Decisions) -> Decisions:
    return [one for one in decisions if one.enrolment == command.enrolment and one.outcome != "not_entered"]


def _why_not(command: Command, there: Decisions, here: Decisions, plan: Plan) -> Cause:
    """Return why a command that went out `here` did not `there`, under `plan`."""
    scenario = plan.live.get(command.scenario)
    mine = _of(command, there)
    if scenario is None and not mine:
        return Cause(reason="no such scenario", text=f"there is no scenario {command.scenario} in the plan")
    if scenario is not None and not _has_step(scenario, command.step) and not _reached(mine, command.step):
        return Cause(reason="no such step", text=f"{command.scenario} has no step {command.step}")
    return (
        _passed_over(command, mine)
        or _other_way(_of(command, here), mine)
        or _ended(mine)
        or _refused(command, there)
        or _not_matched(command, scenario, here)
    )


def _has_step(scenario: Scenario, step: str) -> bool:
    return any(isinstance(op, Send) and op.name == step for op in scenario.program)


def _reached(mine: Decisions, step: str) -> bool:
    return any(one.step == step for one in mine)


def _passed_over(command: Command, mine: Decisions) -> Cause | None:
    found = [one for one in mine if one.step == command.step and one.outcome in {"suppressed", "waiting", "failed"}]
    if not found:
        return None
    last = found[-1]
    said = {"suppressed": "not sent", "waiting": "waits", "failed": "failed"}[last.outcome]
    return Cause(reason=f"{said}: {last.reason}", text=f"the step was reached at {iso(last.at)}: {said}: {last.reason}")


def _ways(mine: Decisions) -> list[Decision]:
    return [one for one in mine if one.outcome == "branched"]


def _other_way(here: Decisions, there: Decisions) -> Cause | None:
    """Return the first branch or split at which they part."""
    for one, other in zip(_ways(here), _ways(there), strict=False):
        if (one.step, one.reason) != (other.step, other.reason):
            at = f"split {other.step}" if other.step else "a branch"
            text = f"at {at} at {iso(other.at)} it took {_way(other)}, where the message goes out after {_way(one)}"
            return Cause(reason=f"{at}: {_way(other)}", text=text)
    return None


def _way(one: Decision) -> str:
    return one.reason if one.step or one.reason in {"otherwise", "none"} else f"`{one.reason}`"


def _ended(mine: Decisions) -> Cause | None:
    ends = [one for one in mine if one.outcome in ENDS]
    if ends:
        last = ends[-1]
        reason = f"{last.outcome}: {last.reason}"
        return Cause(reason=reason, text=f"the enrolment ended at {iso(last.at)}: {reason}")
    if mine:
        return Cause(reason="inside at the end", text=f"inside since {iso(mine[0].at)}, before the step at the end")
    return None


def _refused(command: Command, there: Decisions) -> Cause | None:
    for one in there:
        about = one.scenario == command.scenario and one.event == command.reason.event_id
        if about and one.outcome in {"not_entered", "failed"}:
            return Cause(reason=f"not entered: {one.reason}", text=f"at {iso(one.at)} not entered: {one.reason}")
    return None


def _not_matched(command: Command, scenario: Scenario | None, here: Decisions) -> Cause:
    """Return that the event began nothing there; what its entries look for says why."""
    entered = next((one for one in _of(command, here) if one.outcome == "entered"), None)
    if entered is None:
        return Cause(reason="inside before the stretch", text="the enrolment began before the stretch")
    kind = entered.reason
    entries = scenario.entries if scenario is not None else ()
    if kind != "held_out" and kind not in {one.on for one in entries}:
        looked = ", ".join(dict.fromkeys(one.on for one in entries))
        return Cause(reason=f"no entry on {kind}", text=f"{command.scenario} is entered on {looked}, not on {kind}")
    when = f"the {kind} of {iso(entered.at)} began nothing: the entry's condition did not hold"
    return Cause(reason=NOT_MATCHED, text=when)


def _why_otherwise(change: Change, was: Decisions, now: Decisions) -> Cause:
    """Return what differs of a message that both send, and of a move what held it up on one side alone."""
    assert change.was is not None
    assert change.now is not None
    parts = [_difference(name, change.was, change.now) for name in change.fields]
    text = "; ".join(part for part in parts if part)
    if change.kind == MOVES:
        held = _held_up(change.command, now) or _held_up(change.command, was)
        hours = (change.now.due_at - change.was.due_at) / 3_600_000
        earlier = f"{abs(hours):,.1f} h {'later' if hours > 0 else 'earlier'}" if hours else "at another moment"
        return Cause(reason=f"waited: {held}" if held else "another time", text=f"{earlier}; {text}")
    return Cause(reason="other " + ", ".join(change.fields), text=text)


def _held_up(command: Command, decisions: Decisions) -> str:
    found = [one for one in _of(command, decisions) if one.outcome == "waiting" and one.step == command.step]
    return found[-1].reason if found else ""


def _difference(name: str, old: Command, new: Command) -> str:
    if name.startswith("data."):
        key = name.partition(".")[2]
        return f"{key}: {_short(old.data.get(key))} -> {_short(new.data.get(key))}"
    if name == "valid_for":
        return "valid for another time"
    one, other = getattr(old, name), getattr(new, name)
    if name.endswith("_at"):
        return f"{name[:-3]} {iso(one)} -> {iso(other)}" if name == "due_at" else ""
    if name == "address":
        return "another address"
    return f"{name}: {_short(one)} -> {_short(other)}"


def _short(value: object) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 60 else text[:57] + "..."
