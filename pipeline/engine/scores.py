"""Scores: points for events, decaying by halves, in whole 1/1000 points.

Decay goes in 64 equal steps to a half-life, on a grid of log time that is the same for everybody: within a step a score
stays, and from one to the next it is multiplied by 2^(-1/64), out of an integer table. Each step rounds down, so a
score is low by less than a tenth of a point. A score never falls below 0.
"""

from math import isqrt

from msgspec.structs import replace

from models.customer import NEVER, Tracked
from pipeline.engine.rules import ScoreRule

STEPS = 64
POINT = 1_000
SCALE_BITS = 62
# A million points: more than any shop's rules give; keeps a score in 64 bits.
VALUE_MAX = 10**6 * POINT


def _table() -> tuple[int, ...]:
    """Return 2^(-k/64) for k in 0..63 in units of 2^-62, by integer square roots: the same everywhere."""
    bits = 2 * SCALE_BITS
    one = 1 << bits
    roots = []
    factor = one >> 1
    for _ in range(6):
        factor = isqrt(factor * one)
        roots.append(factor)  # 2^(-1/2), 2^(-1/4), ... 2^(-1/64)
    table = []
    for k in range(STEPS):
        found = one
        for position, root in enumerate(reversed(roots)):
            if k >> position & 1:
                found = found * root >> bits
        table.append(found >> (bits - SCALE_BITS))
    return tuple(table)


TABLE = _table()


def decayed(value: int, steps: int) -> int:
    """Return a value (1/1000 points) after so many steps of a 64th of its half-life."""
    if steps <= 0:
        return value
    halves, rest = divmod(steps, STEPS)
    return value * TABLE[rest] >> (SCALE_BITS + halves)


def _step_ms(rule: ScoreRule) -> int:
    return max(1, (rule.half_life_ms or 0) // STEPS)


def value_at(tracked: Tracked, rule: ScoreRule, now: int) -> int:
    """Return a score in 1/1000 points at a time (UTC ms)."""
    kept = tracked.scores.get(rule.name)
    if kept is None:
        return 0
    if rule.half_life_ms is None:
        return kept[0]
    step_ms = _step_ms(rule)
    return decayed(kept[0], now // step_ms - kept[1] // step_ms)


def added(tracked: Tracked, rule: ScoreRule, points: int, at: int, now: int) -> Tracked:
    """Return the state with points (1/1000) of a time `at` added, decayed to `now`, which is not before it."""
    if rule.half_life_ms is not None:
        step_ms = _step_ms(rule)
        late = now // step_ms - at // step_ms
        points = decayed(points, late) if points >= 0 else -decayed(-points, late)
    value = min(max(value_at(tracked, rule, now) + points, 0), VALUE_MAX)
    return replace(tracked, scores={**tracked.scores, rule.name: (value, now)})


def falls_at(tracked: Tracked, rule: ScoreRule, points: int, now: int) -> int:
    """Return the first time after `now` at which a score's order to a whole number of points changes (NEVER: none)."""
    value = value_at(tracked, rule, now)
    # Above: it comes to be no more than `points`; there: it comes to be less.
    limit = (points + 1) * POINT if value // POINT > points else points * POINT
    if rule.half_life_ms is None or value < limit or limit <= 0:
        return NEVER
    step_ms = _step_ms(rule)
    kept, since = tracked.scores[rule.name]
    low, high = now // step_ms - since // step_ms, 1
    while decayed(kept, low + high) >= limit:
        high *= 2
    below = low + high
    while below - low > 1:
        middle = (low + below) // 2
        if decayed(kept, middle) >= limit:
            low = middle
        else:
            below = middle
    return (since // step_ms + below) * step_ms
