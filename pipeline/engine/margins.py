"""Whether an event turned anything: a look at segments and levels is spared where it surely finds nothing changed.

An event moves scores and counts up, and times of the profile forward. Where each stays between the same limits (the
constants that conditions compare it with), and the next moment at which time alone changes something is not come, every
condition on them is what it was. That moment, too, is then not earlier than it was: more points fall below a limit
later, more events leave a window later, a younger time grows old later. So the look that is spared would have found
nothing, and would have hastened nothing; `tests/engine/test_margins.py` tries it.
"""

from bisect import bisect_right

from models.customer import Tracked
from pipeline.engine import counts, scores
from pipeline.engine.rules import Moved, Rule
from pipeline.engine.work import Work

# Decay rounds down to 1/1000 of a point: less than this may be lost again by it.
SURE = 2


def to_look_at(work: Work, was: Tracked, moved: Moved) -> tuple[Rule, ...]:
    """Return the rules that an event may have turned, or hastened when time does; `was` is as before the event."""
    if not moved.rules:
        return ()
    now, due, turned = work.now, work.tracked.due, moved.always
    if due is None or now >= due:
        return moved.rules
    before, tracked = work.before.profile, work.tracked
    for name, least, rules in moved.ages:
        at = getattr(before, name)
        if at is None or now - at >= least:
            turned |= rules
    if tracked.scores is not was.scores:
        for rule, bounds, rules in moved.scores:
            kept = tracked.scores.get(rule.name)
            if kept is not None and kept is not was.scores.get(rule.name):
                # An event has just left it as of now.
                old, new = scores.value_at(was, rule, now), kept[0]
                if new - old < SURE or bisect_right(bounds, old) != bisect_right(bounds, new):
                    turned |= rules
    if tracked.counts is not was.counts:
        turned |= _counted(work, was, moved)
    if not turned:
        return ()
    return tuple(rule for index, rule in enumerate(moved.rules) if turned >> index & 1)


def _counted(work: Work, was: Tracked, moved: Moved) -> int:
    turned = 0
    for counter, bounds, rules in moved.counts:
        buckets, held = work.tracked.counts.get(counter.key, ()), was.counts.get(counter.key, ())
        if buckets is held:
            continue
        old, new = (counts.count_of(one, counter.window_ms, work.now) for one in (held, buckets))
        if bisect_right(bounds, old) != bisect_right(bounds, new):
            turned |= rules
    return turned
