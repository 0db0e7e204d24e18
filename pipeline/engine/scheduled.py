"""What time alone brings: changes of segments, levels and scores, dates and calendar days, starts put off.

At one due time the changes come first, then the dates by priority of their scenarios, then the starts put off; the
timers of enrolments come after them.
"""

from datetime import date

from msgspec.structs import replace

from models.customer import NEVER, Pending, Tracked
from models.event import Event
from models.ids import chance, derived_event_id
from pipeline.engine import entering, moments, tracking
from pipeline.engine.acting import act, run_ready
from pipeline.engine.happenings import cause_of_clock, derived
from pipeline.engine.local_time import local, zone_of
from pipeline.engine.plan import DAY_MS, Enter, Scenario
from pipeline.engine.work import Happening, Work

# `existing: spread` lets those who are in a segment at activation enter over so long.
SPREAD_MS = 7 * DAY_MS


def due_of(tracked: Tracked) -> int:
    """Return when something of a customer may be due (UTC ms), NEVER for nothing."""
    return NEVER if tracked.due is None else tracked.due


def fire(work: Work) -> None:
    """Do what is due at `Tracked.due`; a look that finds nothing leaves the customer's `now` where it was."""
    at, now = due_of(work.tracked), work.now
    before = _seen(work)
    work.move_now(at)
    for happening in tracking.wake(work):
        act(work, happening)
    _dates(work, at)
    _put_off(work, at)
    tracking.set_due(work, at)
    if all(old is new for old, new in zip(before, _seen(work), strict=True)):
        work.now = now


def _seen(work: Work) -> tuple[object, ...]:
    tracked = work.tracked
    return tracked.segments, tracked.levels, tracked.pending, tracked.session, work.enrolments


def _dates(work: Work, at: int) -> None:
    for scenario, enter in work.plan.moments:
        moment = enter.moment
        assert moment is not None
        if moments.next_after(moment, work, work.plan.settings, at - 1) == at:
            entering.consider_one(work, scenario, enter, _date_of(work, scenario, enter, at))
            run_ready(work)


def zone_moved(work: Work, event: Event) -> None:
    """Let the dates come that were still to come, and are past by the clock of the zone that the customer is in now."""
    old, new = (zone_of(one.cold, work.plan.settings) for one in (work.before, work))
    if old.key == new.key or not work.before.recent:
        # Nothing was to come for somebody of whom this is the first that is read.
        return
    for scenario, enter in work.plan.moments:
        assert enter.moment is not None
        # Before the watermark it has come already.
        coming = moments.next_after(enter.moment, work.before, work.plan.settings, work.watermark - 1)
        if coming >= NEVER:
            continue
        day = local(coming, old).date()
        at = moments.on_the_day(enter.moment, work, work.plan.settings, day)
        if at is not None and at <= work.now:
            entering.consider_one(work, scenario, enter, _date_of(work, scenario, enter, event.at, day))
            run_ready(work)


def _date_of(work: Work, scenario: Scenario, enter: Enter, at: int, day: date | None = None) -> Happening:
    """Return a date's coming, named by its day: one that comes again as the customer changes zones is the same."""
    day = day or local(at, zone_of(work.cold, work.plan.settings)).date()
    name = derived_event_id(work.id, enter.on, f"{scenario.name}/{enter.name}/{day.isoformat()}")
    return Happening(enter.on, name, at, {"id": name, "type": enter.on, "at": at}, cause_of_clock(work, at))


def _put_off(work: Work, at: int) -> None:
    mine = [one for one in work.tracked.pending if one.due <= at]
    if not mine:
        return
    work.tracked = replace(work.tracked, pending=tuple(one for one in work.tracked.pending if one.due > at))
    for scenario, enter in work.plan.existing:
        if any((one.scenario, one.entry) == (scenario.name, enter.name) for one in mine):
            _enter_existing(work, scenario, enter, at)


def start(work: Work, at: int) -> None:
    """Take in those who are in a segment already, at the first pass that finds its scenario new (UTC ms)."""
    earlier = work.plan.known.get(work.before.activated.split("/")[0])
    if earlier is None:
        # Nobody knows what this customer was under: a start that is missed harms less than one too many.
        return
    for scenario, enter in work.plan.existing:
        if scenario.name in earlier:
            continue
        if enter.existing == "yes":
            _enter_existing(work, scenario, enter, at)
        else:
            due = at + chance(SPREAD_MS, "spread", scenario.name, work.id)
            late = (*work.tracked.pending, Pending(due, scenario.name, enter.name))
            work.tracked = replace(work.tracked, pending=late)


def _enter_existing(work: Work, scenario: Scenario, enter: Enter, at: int) -> None:
    happening = _state_of(work, enter, at)
    if happening is not None:
        entering.consider_one(work, scenario, enter, happening)
        run_ready(work)


def _state_of(work: Work, enter: Enter, at: int) -> Happening | None:
    """Return the entry into the state that a customer is in, None for one who is not in it."""
    root, _, name = enter.subject.partition(".")
    cause = cause_of_clock(work, at)
    if root == "level":
        level = work.tracked.levels.get(name)
        return derived(cause, enter.on, name, at, of=name, to=level, **{"from": level}) if level else None
    if (name in work.tracked.segments) == (enter.on == "segment_left"):
        return None
    if enter.on != "score_reached":
        return derived(cause, enter.on, name, at, segment=name)
    found = [one for one in work.plan.rules.rules if one.name == name]
    return derived(cause, enter.on, name, at, **tracking.reached(work, found[0])) if found else None
