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
from pipeline.engine.rules import Moved
from pipeline.engine.work import Work

# Decay rounds down to 1/1000 of a point: less than this may be lost again by it.
SURE = 2


def turned(work: Work, was: Tracked, moved: Moved) -> bool:
    """Say whether an event may have turned a condition, or hastened when time does; `was` is as before the event."""
    now, due = work.now, work.tracked.due
    if due is None or now >= due:
        return True
    before = work.before.profile
    for name, least in moved.ages:
        at = getattr(before, name)
        if at is None or now - at >= least:
            return True
    if work.tracked is was:
        return False
    for rule, limits in moved.scores:
        if work.tracked.scores.get(rule.name) is was.scores.get(rule.name):
            continue
        old, new = scores.value_at(was, rule, now), scores.value_at(work.tracked, rule, now)
        if new - old < SURE or bisect_right(limits, old) != bisect_right(limits, new):
            return True
    for counter, limits in moved.counts:
        buckets = work.tracked.counts.get(counter.key, ())
        held = was.counts.get(counter.key, ())
        if buckets is held:
            continue
        old, new = (counts.count_of(one, counter.window_ms, now) for one in (held, buckets))
        if bisect_right(limits, old) != bisect_right(limits, new):
            return True
    return False
