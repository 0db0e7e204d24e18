"""Why somebody did not enter, went another way, or left: one function for each reason."""

from models.decision import Decision
from models.ids import chance
from pipeline.engine.chances import SHARES
from pipeline.engine.plan import Scenario, Split
from pipeline.replay.case import Case, Cause, named, percent
from pipeline.replay.shown import moment, span


def late(case: Case) -> Cause:
    """Say by how much the event was late."""
    seen = case.records.event(case.decision.event)
    limit = case.plan.settings.lateness_ms if case.plan is not None else None
    if seen is None:
        return Cause(text="its event came later than the lateness limit: such events start nothing")
    late = seen.event.arrived_at - seen.event.at
    beyond = f"the limit is {span(limit)}" if limit is not None else "beyond the limit"
    if limit is not None and late <= limit:
        text = f"{named(seen, '')} came from a source that had not caught up yet, or had been handed on as late"
    else:
        text = f"{named(seen, '')} arrived at {moment(seen.event.arrived_at)}, {span(late)} after it happened; {beyond}"
    return Cause(text=f"{text}: it updated the profile and started nothing", facts={"late_by": span(late)})


def again(case: Case) -> Cause:
    """Name the last passage, and the rule that lets nobody in again."""
    one = case.decision
    before = [other for other in case.records.decisions if other.scenario == one.scenario and other.at <= one.at]
    ends = [other for other in before if other.outcome in {"exited", "completed"}]
    last = "there was a passage before"
    if ends:
        last = f"the last passage ended at {moment(ends[-1].at)} ({ends[-1].outcome}: {ends[-1].reason})"
    return Cause(text=f"{last}; {_rule(case)}")


def _rule(case: Case) -> str:
    rules = [enter.again for enter in case.scenario.entries] if case.scenario is not None else []
    spans = [span(rule.after_ms) for rule in rules if rule.mode == "after"]
    if spans:
        return f"{spans[0]} must lie between"
    return "the scenario lets nobody in twice" if "once" in {rule.mode for rule in rules} else "`again` does not let it"


def inside(case: Case) -> Cause:
    """Say since when they were inside."""
    entered = [
        one for one in case.records.decisions if one.enrolment == case.decision.enrolment and one.outcome == "entered"
    ]
    since = f" since {moment(entered[-1].at)}" if entered else ""
    return Cause(
        text=f"inside already{since}; the latest such event is kept, and enters when that passage has ended before it"
    )


def exit_holds(case: Case) -> Cause:
    """Name the conditions that end the scenario."""
    sources = (
        [rule.when.source for rule in case.scenario.exits if rule.when is not None] if case.scenario is not None else []
    )
    return Cause(text="a condition that ends the scenario held already: " + (" or ".join(sources) or "its exit"))


def overtaken(case: Case) -> Cause:
    """Name the event that had ended it before it began."""
    kinds = {rule.on for rule in case.scenario.exits if rule.on} if case.scenario is not None else set()
    entry = case.records.event(case.decision.event)
    since = entry.event.at if entry is not None else case.decision.at
    by = [one for one in case.records.events if one.event.type in kinds and one.event.at >= since]
    text = "overtaken: when its event was read, one that ends the scenario had been read already"
    return Cause(text=text + (f", {named(by[0], '')}" if by else ""))


def exited(case: Case) -> Cause | None:
    """An exit is either an event's, which is named, or a condition's, which is the reason."""
    one = case.decision
    seen = case.records.event(one.event) if one.event else None
    if seen is None:
        return Cause(text=f"the scenario ended here: {one.reason}") if one.reason else None
    if one.reason == seen.event.type:
        return Cause(text=f"ended by {named(seen, one.event)}", facts={"event": one.event})
    return Cause(text=f"ended as {one.reason}, at {named(seen, one.event)}", facts={"event": one.event})


def cancelled(case: Case) -> Cause:
    """Say when the engine took a message back, and because of which event."""
    one = case.decision
    seen = case.records.event(one.event) if one.event else None
    by = f", with {named(seen, one.event)}" if seen is not None else ""
    return Cause(text=f"the engine took it back at {moment(one.at)}: {one.reason}{by}")


def overdue(case: Case) -> Cause:
    """Say that no sender spoke in time."""
    return Cause(text="no sender had said what became of it by its valid_until")


def failed(case: Case) -> Cause:
    """Name what had no value."""
    missing = ", ".join(str(one) for one in case.decision.detail.get("missing", ()))
    return Cause(text=f"{case.decision.reason}" + (f": {missing}" if missing else ""))


def split_text(scenario: Scenario, one: Decision) -> str | None:
    """Return the draw of a customer in a split and the shares of its paths; None for what is no split."""
    for op in scenario.program:
        if isinstance(op, Split) and op.name == one.step:
            drawn, upto, said = chance(SHARES, "split", scenario.name, op.name, one.customer), 0, list[str]()
            for path, share, _ in op.arms:
                said.append(f"{path} from {percent(upto)}")
                upto += share
            return f"the draw of {one.customer} is {percent(drawn)}: {', '.join(said)}"
    return None


def branched(case: Case) -> Cause | None:
    """Return the draw of a split; None for a branch, whose reason is its condition."""
    found = split_text(case.scenario, case.decision) if case.scenario is not None else None
    return Cause(text=found) if found is not None else None
