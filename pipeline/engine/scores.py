"""Scores: points for events, decaying by halves, in whole 1/1000 points.

Decay goes in 64 equal steps to a half-life, on a grid of log time that is the same for everybody: within a step a score
stays, and from one to the next it is multiplied by 2^(-1/64), out of an integer table. Each step rounds down, so a
score is low by less than a tenth of a point. A score never falls below 0.
"""

from bisect import bisect_left
from math import isqrt

from msgspec.structs import replace

from models.customer import NEVER, Tracked
from pipeline.engine.rules import STEPS, ScoreRule

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
# The same, negated: in the order that `bisect` wants.
FALLING = tuple(-factor for factor in TABLE)


def decayed(value: int, steps: int) -> int:
    """Return a value (1/1000 points) after so many steps of a 64th of its half-life."""
    if steps <= 0:
        return value
    halves, rest = divmod(steps, STEPS)
    return value * TABLE[rest] >> (SCALE_BITS + halves)


def value_at(tracked: Tracked, rule: ScoreRule, now: int) -> int:
    """Return a score in 1/1000 points at a time (UTC ms)."""
    kept = tracked.scores.get(rule.name)
    if kept is None:
        return 0
    value, since = kept
    if rule.half_life_ms is None:
        return value
    step_ms = rule.step_ms
    steps = now // step_ms - since // step_ms
    return value if steps <= 0 else decayed(value, steps)


def _decayed_to(rule: ScoreRule, points: int, at: int, now: int) -> int:
    """Return points (1/1000) of a time `at` as they are worth at `now`; negative ones come nearer to nothing too."""
    late = now // rule.step_ms - at // rule.step_ms
    return decayed(points, late) if points >= 0 else -decayed(-points, late)


def added(tracked: Tracked, rule: ScoreRule, points: int, at: int, now: int) -> Tracked:
    """Return the state with points (1/1000) of a time `at` added, decayed to `now`, which is not before it."""
    return replace(tracked, scores={**tracked.scores, rule.name: _with(tracked, rule, points, at, now)})


def counted(tracked: Tracked, rules: tuple[ScoreRule, ...], kind: str, at: int, now: int) -> Tracked:
    """Return the state with the points that each rule gives for an event of a type and a time `at`."""
    found = tracked.scores.copy()
    for rule in rules:
        points = rule.points[kind]
        if at != now and rule.half_life_ms is not None:
            points = _decayed_to(rule, points, at, now)
        value = value_at(tracked, rule, now) + points
        found[rule.name] = (value if 0 <= value <= VALUE_MAX else min(max(value, 0), VALUE_MAX), now)
    return replace(tracked, scores=found)


def _with(tracked: Tracked, rule: ScoreRule, points: int, at: int, now: int) -> tuple[int, int]:
    if at != now and rule.half_life_ms is not None:
        points = _decayed_to(rule, points, at, now)
    return min(max(value_at(tracked, rule, now) + points, 0), VALUE_MAX), now


def together(mine: Tracked, theirs: Tracked, rules: tuple[ScoreRule, ...], now: int) -> dict[str, tuple[int, int]]:
    """Return the scores of one person from two, decayed to a time that is before neither's last event (UTC ms)."""
    found = dict(mine.scores)
    for rule in rules:
        if rule.name in theirs.scores:
            value = value_at(mine, rule, now) + value_at(theirs, rule, now)
            found[rule.name] = min(value, VALUE_MAX), now
    return found


def falls_below(tracked: Tracked, rule: ScoreRule, points: int, now: int) -> int:
    """Return the first time after `now` at which a score is below a whole number of points (NEVER: it is already)."""
    limit = points * POINT
    if rule.half_life_ms is None or limit <= 0 or value_at(tracked, rule, now) < limit:
        return NEVER
    kept, since = tracked.scores[rule.name]
    return (since // rule.step_ms + steps_below(kept, limit)) * rule.step_ms


def steps_below(value: int, limit: int) -> int:
    """Return after how many steps a value, which is not below a limit over 0, is below it."""
    # The last half-life that it begins at the limit or above.
    halves = (value // limit).bit_length() - 1
    # Within it: value * TABLE[rest] >> bits < limit, where the table falls.
    wanted = -(-(limit << (SCALE_BITS + halves)) // value)
    rest = bisect_left(FALLING, 1 - wanted)
    return halves * STEPS + rest
