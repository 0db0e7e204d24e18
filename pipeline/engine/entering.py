"""Entries: who may begin a scenario, and what stops them."""

from msgspec.structs import replace

from models.customer import Ended, Enrolment, Entry, Sent
from models.ids import enrolment_id
from pipeline.engine.bounds import bounded
from pipeline.engine.chances import sits_out
from pipeline.engine.ending import begun_by, end
from pipeline.engine.env import Env, Missing
from pipeline.engine.exits import exit_condition, goal_of_memory, holds, overtaken_by
from pipeline.engine.plan import START, Again, Enter, Plan, Scenario
from pipeline.engine.work import Happening, Work, entry_view

OPEN_OF_A_SCENARIO = 16
ENROLMENTS_MAX = 64
# Our own messages between a customer's act and this event: more is a loop of scenarios that trigger each other.
DEPTH_MAX = 8


def consider(work: Work, happening: Happening) -> None:
    """Let an event begin the scenarios that it enters, highest priority first."""
    entries = work.plan.entries_by_event.get(happening.type)
    if entries is not None:
        env = work.env(event=happening.view)
        for scenario, enter in entries:
            consider_one(work, scenario, enter, happening, env)


def consider_one(work: Work, scenario: Scenario, enter: Enter, happening: Happening, env: Env | None = None) -> None:
    """Let an event begin one scenario by one way in."""
    env = env or work.env(event=happening.view)
    if not holds(enter.when, env) or (enter.unless is not None and not _fails(enter, env)):
        return
    if work.silent:
        # Silent backfill starts nothing; a kept entry event that came in time still may, see `admit`.
        work.decide("not_entered", "late", scenario=scenario.name, version=scenario.version, event=happening.id)
        return
    key = ""
    if enter.per is not None:
        try:
            key = bounded(str(enter.per.call(env)))
        except Missing:
            work.decide("failed", "per has no value", scenario=scenario.name, event=happening.id)
            return
    _enter(work, scenario, enter, _entry_of(scenario, enter, happening), key)


def _fails(enter: Enter, env: Env) -> bool:
    """Say whether `unless` is known not to hold: a missing value holds neither way."""
    try:
        return enter.unless is not None and enter.unless.call(env) is False
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


def admit(work: Work) -> None:
    """Let the kept entry events of enrolments that ended enter, under the live plan."""
    upcoming, work.upcoming = work.upcoming, []
    for name, entry, key in upcoming:
        enter_by_name(work, name, entry, key)


def enter_by_name(work: Work, name: str, entry: Entry, key: str, sent: tuple[Sent, ...] = ()) -> None:
    """Enter, if the live plan still has that way in; `sent` went out already from the same entry event."""
    scenario = work.plan.live.get(name)
    enter = way_in(scenario, entry) if scenario is not None else None
    if scenario is not None and enter is not None:
        _enter(work, scenario, enter, entry, key, sent)


def way_in(scenario: Scenario, entry: Entry) -> Enter | None:
    """Return the way in by which an entry came, None where the scenario has it no more."""
    found = [one for one in scenario.entries if one.on in {entry.type, START} and one.name == entry.name]
    return found[0] if found else None


def start(work: Work, by: Enrolment, name: str) -> None:
    """Enrol in another scenario of the live plan too, by the entry of an enrolment, as of where its clock stands."""
    found = [(one, enter) for one in work.plan.scenarios if one.name == name for enter in one.entries]
    ways = [(one, enter) for one, enter in found if enter.on == START]
    if not ways:
        work.decide("not_entered", "no_such_scenario", by, step=name)
    for scenario, enter in ways:
        # Its exits, goal and waits count from the start: what came before it was the starting scenario's to judge.
        entry = replace(by.entry, at=by.clock, name=enter.name, started=True)
        env = work.env(by, entry_view(by))
        if not holds(enter.when, env) or (enter.unless is not None and not _fails(enter, env)):
            continue
        try:
            key = "" if enter.per is None else bounded(str(enter.per.call(env)))
        except Missing:
            work.decide("failed", "per has no value", scenario=name, event=entry.event)
            continue
        _enter(work, scenario, enter, entry, key)
        return


def _inside(work: Work, scenario: Scenario, key: str) -> Enrolment | None:
    for enrolment in work.enrolments:
        if enrolment.scenario == scenario.name and enrolment.key == key and not enrolment.closing:
            return enrolment
    return None


def _enter(work: Work, scenario: Scenario, enter: Enter, entry: Entry, key: str, sent: tuple[Sent, ...] = ()) -> None:
    inside = _inside(work, scenario, key)
    if inside is not None:
        if not sent:
            # One of which something is out already would give the same commands again.
            _keep_for_later(work, inside, entry)
        work.decide("not_entered", "inside", inside, event=entry.event)
        return
    enrolment = Enrolment(
        id=enrolment_id(scenario.name, entry.event),
        scenario=scenario.name,
        version=scenario.version,
        entry=entry,
        clock=entry.at,
        sent=sent,
        key=key,
        held_out=sits_out(work.plan, work.id, scenario),
    )
    refused = refusal(work, scenario, enter.again, enrolment)
    if refused is not None:
        work.decide("not_entered", refused, enrolment, event=entry.event)
        return
    make_room(work, scenario)
    work.stirred = True
    work.enrolments = (*work.enrolments, enrolment)
    work.decide("entered", "held_out" if enrolment.held_out else entry.type, enrolment, event=entry.event)
    if scenario.goal is not None:
        work.put(goal_of_memory(work, scenario.goal, enrolment))
    work.ready.append(enrolment.id)


def _keep_for_later(work: Work, inside: Enrolment, entry: Entry) -> None:
    """Keep the latest entry event that came while inside: by `at`, ties by event id."""
    kept = inside.next_entry
    last = (inside.entry.at, inside.entry.event) if kept is None else (kept.at, kept.event)
    if (entry.at, entry.event) > last:
        work.put(replace(inside, next_entry=entry))


def refusal(work: Work, scenario: Scenario, again: Again, enrolment: Enrolment) -> str | None:
    """Return why an enrolment may not begin, None where it may."""
    if is_stopped(work.plan, scenario.name):
        return "stopped"
    if enrolment.entry.depth > DEPTH_MAX:
        return "loop"
    if work.enrolment(enrolment.id) is not None:
        return "again"
    if scenario.name in work.plan.draining:
        return "draining"
    if begun_by(enrolment) and any(old.started_by == enrolment.entry.event for old in _ends_of(work, enrolment)):
        # Its messages would have the same ids as those of the first time.
        return "again"
    ends = [old.at for old in _ends_of(work, enrolment)]
    if ends and enrolment.entry.at < max(ends):
        # Read late: it came while they were inside. Read in time it would have begun nothing either.
        return "inside"
    if ends and again.mode != "always" and (again.mode == "once" or enrolment.entry.at - max(ends) < again.after_ms):
        return "again"
    if exit_condition(work, scenario, enrolment) is not None:
        return "exit_holds"
    if overtaken_by(work, scenario, enrolment) is not None:
        return "overtaken"
    return None


def _ends_of(work: Work, enrolment: Enrolment) -> list[Ended]:
    return [old for old in work.ended if old.scenario == enrolment.scenario and old.key == enrolment.key]


def is_stopped(plan: Plan, scenario: str) -> bool:
    """Say whether an operator stopped a scenario, or all: nobody enters, and who is inside leaves."""
    return "stopped" in {plan.switches.get(scenario), plan.switches.get("*")}


def make_room(work: Work, scenario: Scenario) -> None:
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
    end(work, replace(oldest, next_entry=None), work.now, "dropped", "bound", cancel=True)
    work.drop(oldest.id)
