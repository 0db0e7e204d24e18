"""Segments, levels, scores and counts of one customer, kept up to date as events and time pass.

An event moves the scores and counts that name its type, then the segments and levels that read anything it may have
changed (`Rules.moved`), in the order in which they read each other; those that it surely did not turn are left alone
(`margins`). Time moves them too: every condition says when
it may next change, the least of these is `Tracked.due`, and at that time the conditions on time are looked at again.
`due` is never late; it may be early, for an event that moves a change on (a visit, of somebody active for 60 days from
then) leaves it standing: such a look finds nothing changed, does nothing, and sets it right. Nothing polls.

The first look at a customer, and the pass of a plan's activation, give start states: a level then neither fell nor
rose. A new customer was in no segment, so what holds with their first event is entered.
"""

from collections.abc import Iterable

from msgspec.structs import replace

from models.customer import NEVER, Tracked
from models.event import Event
from models.event_types import SESSION_ENDED
from pipeline.engine import counts, margins, moments, pages, scores, sessions
from pipeline.engine.env import Env
from pipeline.engine.happenings import cause_of_clock, cause_of_step, derived
from pipeline.engine.rules import Level, Rule, Segment, Threshold
from pipeline.engine.work import Happening, Work

PERSON = frozenset({"customer_signed_up", "customer_updated"})


def after_event(work: Work, event: Event, happened: list[Happening]) -> list[Happening]:
    """Take in an event and what was derived from it; return the changes of segments, levels and scores."""
    rules, was = work.plan.rules, work.tracked
    for one in happened:
        if one.type in rules.scores_by_event or one.type in rules.counters_by_event:
            _count(work, one)
    if rules.pages:
        work.cold = pages.update(work.cold, event)
    if was.due is None:
        return _first_look(work, event)
    looked_at = _to_look_at(work, event, happened, was)
    found = _look(work, looked_at, event, event.at) if looked_at else []
    if work.plan.sessions:
        _hasten(work, sessions.due_of(work.tracked))
    if work.plan.moments and event.type in PERSON:
        _hasten(work, _moments_due(work, work.now))
    return found


def _to_look_at(work: Work, event: Event, happened: list[Happening], was: Tracked) -> tuple[Rule, ...]:
    rules = work.plan.rules
    if happened[0].type == SESSION_ENDED:
        return rules.rules
    changed = len(happened) > 1
    moved = rules.with_cart[event.type] if changed else rules.moved.get(event.type, rules.by_any)
    return margins.to_look_at(work, was, moved)


def after_merge(work: Work, event: Event, theirs: Tracked) -> list[Happening]:
    """Add a visitor's points and counts, and look at everything again: what they held may have changed any of it."""
    rules, now = work.plan.rules, work.now
    work.tracked = replace(
        work.tracked,
        due=NEVER,
        scores=scores.together(work.tracked, theirs, rules.scores, now),
        counts=counts.together(work.tracked.counts, theirs.counts, rules.counters, now),
        session=sessions.together(work.tracked.session, theirs.session) if work.plan.sessions else None,
    )
    found = _look(work, work.plan.rules.rules, event, event.at)
    set_due(work, work.now)
    return found


def _count(work: Work, one: Happening) -> None:
    if one.view.get("machine"):
        # Privacy proxies open and click by themselves: not believed.
        return
    rules = work.plan.rules
    scored = rules.scores_by_event.get(one.type)
    if scored is not None:
        work.tracked = scores.counted(work.tracked, scored, one.type, one.at, work.now)
    counters = rules.counters_by_event.get(one.type)
    if counters is not None:
        if one.type in rules.counts_some:
            env = Env(work.before, work.now, work.plan.settings, one.view)
            counters = tuple(one for one in counters if one.where is None or one.where.holds(env))
        flat, by_value = counts.add(work.tracked.counts, work.cold.same, counters, one.view, work.now)
        if flat is not None:
            work.tracked = replace(work.tracked, counts=flat)
        if by_value is not None:
            work.cold = replace(work.cold, same=by_value)


def count_sent(work: Work, scenario: str, step: str) -> None:
    """Count a command that was emitted, where an expression asks for it."""
    kind = f"sent:{scenario}/{step}"
    for counter in work.plan.rules.counters_by_event.get(kind, ()):
        buckets = work.tracked.counts.get(counter.key, ())
        new = counts.counted(buckets, counter.window_ms, work.now, work.now)
        work.tracked = replace(work.tracked, counts={**work.tracked.counts, counter.key: new})
        work.touched.append((f"count.{counter.key}", scenario, 0))


def _first_look(work: Work, cause: Event) -> list[Happening]:
    work.tracked = replace(work.tracked, due=NEVER)
    found = _look(work, work.plan.rules.rules, cause, cause.at)
    _hasten(work, min(_moments_due(work, work.now), sessions.due_of(work.tracked)))
    return found


def start(work: Work, at: int) -> None:
    """Give a customer the start states of a plan, at its activation (UTC ms); forget what it does not use."""
    kept = work.tracked
    rules = work.plan.rules
    names = {rule.name for rule in rules.rules if isinstance(rule, Segment | Threshold)}
    scored = {score.name for score in rules.scores}
    keys = {counter.key for counter in rules.counters}
    work.tracked = Tracked(
        due=NEVER,
        segments=tuple(name for name in kept.segments if name in names),
        levels={rule.name: kept.levels[rule.name] for rule in rules.rules if rule.name in kept.levels},
        scores={name: value for name, value in kept.scores.items() if name in scored},
        counts={key: value for key, value in kept.counts.items() if key in keys},
        pending=kept.pending,
        session=kept.session if work.plan.sessions else None,
    )
    if any(key not in keys for key in work.cold.same):
        work.cold = replace(work.cold, same={key: value for key, value in work.cold.same.items() if key in keys})
    _look(work, rules.rules, cause_of_clock(work, at), at)


def after_steps(work: Work) -> list[Happening]:
    """Look at what reads something that steps wrote (`Work.touched`), and return the changes."""
    found: list[Happening] = []
    touched, work.touched = work.touched, []
    for read, enrolment, depth in touched:
        cause = cause_of_step(work, enrolment, work.now, depth + 1)
        found += _look(work, work.plan.rules.by_read.get(read, ()), cause, work.now)
        if read.startswith("customer."):
            _hasten(work, _moments_due(work, work.now))
    return found


def wake(work: Work) -> list[Happening]:
    """Look at what time alone may have changed by `Tracked.due`; the caller sets the next look by `set_due`."""
    at, rules = work.tracked.due, work.plan.rules
    assert at is not None
    ended = sessions.over(work, at)
    if ended is None:
        return _look(work, rules.timed, cause_of_clock(work, at), at)
    _count(work, ended)
    return [ended, *_look(work, rules.rules, cause_of_clock(work, at), at)]


def _look(work: Work, rules: Iterable[Rule], cause: Event, at: int) -> list[Happening]:
    """Evaluate rules in their order; return what changed, in that order."""
    found: list[Happening] = []
    due, env = NEVER, work.env()
    for rule in rules:
        if isinstance(rule, Level):
            new, first = _place_on(rule, env)
            found += _stand_at(work, rule, new, cause, at)
        else:
            found += _look_at_segment(work, rule, env, cause, at)
            first = _changes(work, rule, env)
        due = min(due, first)
    _hasten(work, due)
    return found


def _holds(work: Work, rule: Segment | Threshold, env: Env) -> bool:
    if isinstance(rule, Segment):
        return rule.when.holds(env)
    score = work.plan.settings.definitions.scores[rule.score]
    return scores.value_at(work.tracked, score, work.now) >= rule.at_least * scores.POINT


def _look_at_segment(work: Work, rule: Segment | Threshold, env: Env, cause: Event, at: int) -> Iterable[Happening]:
    tracked = work.tracked
    holds, held = _holds(work, rule, env), rule.name in tracked.segments
    if holds == held:
        return ()
    names = (*tracked.segments, rule.name) if holds else tuple(one for one in tracked.segments if one != rule.name)
    work.tracked = replace(tracked, segments=names)
    if isinstance(rule, Segment):
        return (derived(cause, "segment_entered" if holds else "segment_left", rule.name, at, segment=rule.name),)
    if not holds:
        return ()
    return (derived(cause, "score_reached", rule.name, at, **reached(work, rule)),)


def reached(work: Work, rule: Rule) -> dict[str, object]:
    """Return what expressions see of a score that reached a threshold."""
    assert isinstance(rule, Threshold)
    value = scores.value_at(work.tracked, work.plan.settings.definitions.scores[rule.score], work.now)
    return {"score": rule.score, "at_least": rule.at_least, "value": value // scores.POINT}


def _place_on(rule: Level, env: Env) -> tuple[str, int]:
    """Return the step of a level that holds ("": none), and when time alone may next change that (UTC ms)."""
    first = NEVER
    for name, when in rule.arms:
        if when.changes is not None:
            first = min(first, when.changes(env))
        if when.holds(env):
            # Those below it decide nothing as long as this one holds.
            return name, first
    return "", first


def _stand_at(work: Work, rule: Level, new: str, cause: Event, at: int) -> Iterable[Happening]:
    old = work.tracked.levels.get(rule.name)
    if new == old:
        return ()
    work.tracked = replace(work.tracked, levels={**work.tracked.levels, rule.name: new})
    if old is None:
        return ()
    # Out of the scale is below it; a step that an edit took away was nowhere.
    rank = {name: index for index, name in enumerate([*(name for name, _ in rule.arms), ""])}
    if old not in rank:
        return ()
    kind = "level_fell" if rank[new] > rank[old] else "level_rose"
    return (derived(cause, kind, rule.name, at, of=rule.name, to=new, **{"from": old}),)


def _changes(work: Work, rule: Rule, env: Env) -> int:
    """Return when time alone may next change a rule (UTC ms, NEVER for none)."""
    match rule:
        case Segment():
            return NEVER if rule.when.changes is None else rule.when.changes(env)
        case Threshold():
            score = work.plan.settings.definitions.scores[rule.score]
            return scores.falls_below(work.tracked, score, rule.at_least, work.now)
        case Level():
            return _place_on(rule, env)[1]


def _hasten(work: Work, due: int) -> None:
    """Bring the next look forward, never back: an early one finds nothing, a late one would miss something."""
    if work.tracked.due is None or due < work.tracked.due:
        work.tracked = replace(work.tracked, due=due)


def _moments_due(work: Work, after: int) -> int:
    dues = [
        moments.next_after(enter.moment, work, work.plan.settings, after)
        for _, enter in work.plan.moments
        if enter.moment is not None
    ]
    return min(dues, default=NEVER)


def set_due(work: Work, after: int) -> None:
    """Set the next look exactly: the first change of any condition on time, date or put-off start after a time."""
    env = work.env()
    dues = [_changes(work, rule, env) for rule in work.plan.rules.timed]
    dues += [one.due for one in work.tracked.pending]
    dues.append(sessions.due_of(work.tracked))
    work.tracked = replace(work.tracked, due=min([_moments_due(work, after), *dues]))
