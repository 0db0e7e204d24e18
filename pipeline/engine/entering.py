"""Entries: who may begin a scenario, and what stops them."""

from msgspec.structs import replace

from models.customer import Enrolment, Entry
from models.ids import chance, enrolment_id
from pipeline.engine.ending import end
from pipeline.engine.env import Missing
from pipeline.engine.exits import exit_condition, holds, overtaken_by
from pipeline.engine.memory import bounded
from pipeline.engine.plan import Again, Enter, Scenario
from pipeline.engine.work import Happening, Work

OPEN_OF_A_SCENARIO = 16
ENROLMENTS_MAX = 64
# Our own messages between a customer's act and this event: more is a loop of scenarios that trigger each other.
DEPTH_MAX = 8
SHARES = 10_000


def consider(work: Work, happening: Happening) -> None:
    """Let an event begin the scenarios that it enters, highest priority first."""
    for scenario, enter in work.plan.entries_by_event.get(happening.type, ()):
        env = work.env(event=happening.view)
        if not holds(enter.when, env) or (enter.unless is not None and not _fails(enter, env)):
            continue
        key = ""
        if enter.per is not None:
            try:
                key = str(enter.per.call(env))
            except Missing:
                work.decide("failed", "per has no value", scenario=scenario.name, event=happening.id)
                continue
        _enter(work, scenario, enter, _entry_of(scenario, enter, happening), key)


def _fails(enter: Enter, env: object) -> bool:
    """Say whether `unless` is known not to hold: a missing value holds neither way."""
    try:
        return enter.unless is not None and enter.unless.call(env) is False  # type: ignore[arg-type]
    except Missing:
        return False


def _entry_of(scenario: Scenario, enter: Enter, happening: Happening) -> Entry:
    source = happening.source
    return Entry(
        event=happening.id,
        type=happening.type,
        at=happening.at,
        data={name: bounded(happening.view[name]) for name in scenario.entry_fields if name in happening.view},
        name=enter.name,
        source=source.position.source,
        partition=source.position.partition,
        offset=source.position.offset,
        depth=source.depth,
    )


def enter_by_name(work: Work, name: str, entry: Entry, key: str) -> None:
    """Let the kept entry event of an enrolment that ended enter, if the live plan still has that way in."""
    for scenario in work.plan.scenarios:
        if scenario.name == name:
            for enter in scenario.entries:
                if enter.on == entry.type and enter.name == entry.name:
                    _enter(work, scenario, enter, entry, key)
                    return


def _inside(work: Work, scenario: Scenario, key: str) -> Enrolment | None:
    for enrolment in work.enrolments:
        if enrolment.scenario == scenario.name and enrolment.key == key and not enrolment.closing:
            return enrolment
    return None


def _enter(work: Work, scenario: Scenario, enter: Enter, entry: Entry, key: str) -> None:
    inside = _inside(work, scenario, key)
    if inside is not None:
        if inside.next_entry is None or entry.at > inside.next_entry.at:
            work.put(replace(inside, next_entry=entry))
        work.decide("not_entered", "inside", inside, event=entry.event)
        return
    enrolment = Enrolment(
        id=enrolment_id(scenario.name, entry.event),
        scenario=scenario.name,
        version=scenario.version,
        entry=entry,
        clock=entry.at,
        key=key,
        held_out=_held_out(work, scenario),
    )
    refused = _refusal(work, scenario, enter.again, enrolment)
    if refused is not None:
        work.decide("not_entered", refused, enrolment, event=entry.event)
        return
    _make_room(work, scenario)
    work.enrolments = (*work.enrolments, enrolment)
    work.decide("entered", "held_out" if enrolment.held_out else entry.type, enrolment, event=entry.event)
    work.ready.append(enrolment.id)


def _refusal(work: Work, scenario: Scenario, again: Again, enrolment: Enrolment) -> str | None:
    if _switch(work, scenario) == "stopped":
        return "stopped"
    if enrolment.entry.depth > DEPTH_MAX:
        return "loop"
    if work.enrolment(enrolment.id) is not None:
        return "again"
    ends = [
        old.at for old in work.ended if old.scenario == scenario.name and (old.key == enrolment.key)
    ]  # fmt: skip
    if ends and again.mode != "always" and (again.mode == "once" or enrolment.entry.at - max(ends) < again.after_ms):
        return "again"
    if exit_condition(work, scenario, enrolment) is not None:
        return "exit_holds"
    if overtaken_by(work, scenario, enrolment) is not None:
        return "overtaken"
    return None


def _switch(work: Work, scenario: Scenario) -> str | None:
    return work.plan.switches.get(scenario.name) or work.plan.switches.get("*")


def _held_out(work: Work, scenario: Scenario) -> bool:
    settings = work.plan.settings
    if scenario.purpose != "marketing" or not settings.holdout_share:
        return False
    return chance(SHARES, "holdout", settings.holdout_salt, work.id) < settings.holdout_share


def _make_room(work: Work, scenario: Scenario) -> None:
    """Keep the bounds: the oldest ends, with a decision; closing ones go first, for only receipts want them."""
    mine = [old for old in work.enrolments if old.scenario == scenario.name and not old.closing]
    if len(mine) >= OPEN_OF_A_SCENARIO:
        _bound(work, mine[0])
    while len(work.enrolments) >= ENROLMENTS_MAX:
        closing = [old for old in work.enrolments if old.closing]
        if closing:
            work.decide("dropped", "bound", closing[0])
            work.drop(closing[0].id)
        else:
            _bound(work, work.enrolments[0])


def _bound(work: Work, oldest: Enrolment) -> None:
    end(work, replace(oldest, next_entry=None), work.now, "dropped", "bound")
    work.drop(oldest.id)
