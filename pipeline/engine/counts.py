"""Window counts in buckets: how many events of a type a customer had in a time that moves on.

A window is cut into 60 buckets on a grid of log time. An event counts from its `at` for the window's length and until
the end of its bucket after that: a count is never too low, and holds an event for at most a 60th of the window too long
(7 days: 2 hours 48 minutes). Buckets do not depend on the order of reading.
"""

from collections.abc import Callable, Iterable, Mapping

from models.customer import NEVER
from models.ids import digest
from pipeline.engine.env import Counter

BUCKETS = 60
# Values whose counts are kept apart for one counter: the latest.
VALUES_MAX = 50
# Values whose events have all left the window are looked for, and forgotten, when a new one makes so many.
CLEARED_AT = frozenset({4, 8, 16, 32})

# A value of more characters is counted under a hash of it.
NAME_MAX = 64

Buckets = tuple[tuple[int, int], ...]


def width_ms(window_ms: int) -> int:
    """Return the length of a bucket."""
    return -(-window_ms // BUCKETS) or 1


def _first(window_ms: int, now: int) -> int:
    """Return the first bucket that still counts: its end is after the window's begin."""
    return (now - window_ms) // width_ms(window_ms)


def counted(buckets: Buckets, window_ms: int, at: int, now: int) -> Buckets:
    """Return the buckets with one event of a time `at` counted, without those that are over."""
    width = -(-window_ms // BUCKETS) or 1
    first, mine = (now - window_ms) // width, at // width
    if buckets and buckets[0][0] < first:
        buckets = tuple(one for one in buckets if one[0] >= first)
    if mine < first:
        return buckets
    if not buckets or buckets[-1][0] < mine:
        return (*buckets, (mine, 1))
    if buckets[-1][0] == mine:
        return (*buckets[:-1], (mine, buckets[-1][1] + 1))
    kept = dict(buckets)
    kept[mine] = kept.get(mine, 0) + 1
    return tuple(sorted(kept.items()))


def count_of(buckets: Buckets, window_ms: int, now: int) -> int:
    """Return how many events count at a time (UTC ms)."""
    if not buckets:
        return 0
    first, found = _first(window_ms, now), 0
    for bucket, count in buckets:
        if bucket >= first:
            found += count
    return found


def falls_below(buckets: Buckets, window_ms: int, number: int, now: int) -> int:
    """Return the first time after `now` at which a count is below a number (NEVER: it is already, or never will be)."""
    if len(buckets) == 0 and number > 0:
        return NEVER
    first, width = _first(window_ms, now), width_ms(window_ms)
    live = [(bucket, count) for bucket, count in buckets if bucket >= first]
    total = sum(count for _, count in live)
    if total < number:
        return NEVER
    for bucket, count in live:
        total -= count
        if total < number:
            return (bucket + 1) * width + window_ms
    return NEVER


def named(value: object) -> str:
    """Return what a value is counted under: itself, or a hash of a longer one, for a state is bounded."""
    text = str(value)
    return text if len(text) <= NAME_MAX else digest("value", text)


def add(
    flat: dict[str, Buckets],
    by_value: dict[str, dict[str, Buckets]],
    counters: Iterable[Counter],
    view: Mapping[str, object],
    now: int,
) -> tuple[dict[str, Buckets] | None, dict[str, dict[str, Buckets]] | None]:
    """Return the counts and the counts by value with an event counted by some counters; None for what stays."""
    at = view["at"]
    assert isinstance(at, int)
    counts: dict[str, Buckets] | None = None
    same: dict[str, dict[str, Buckets]] | None = None
    for counter in counters:
        key = counter.key
        if counter.by is None:
            counts = flat.copy() if counts is None else counts
            counts[key] = counted(flat.get(key, ()), counter.window_ms, at, now)
            continue
        value = view.get(counter.by)
        if value is not None:
            same = by_value.copy() if same is None else same
            same[key] = _with_value(by_value.get(key, {}), counter, named(value), at, now)
    return counts, same


def _with_value(table: dict[str, Buckets], counter: Counter, value: str, at: int, now: int) -> dict[str, Buckets]:
    found = {**table, value: counted(table.get(value, ()), counter.window_ms, at, now)}
    if found[value] and (value in table or (len(found) <= VALUES_MAX and len(found) not in CLEARED_AT)):
        return found
    return _latest_of(found, counter, now)


def _latest_of(table: dict[str, Buckets], counter: Counter, now: int) -> dict[str, Buckets]:
    first = _first(counter.window_ms, now)
    live = {name: buckets for name, buckets in table.items() if buckets and buckets[-1][0] >= first}
    while len(live) > VALUES_MAX:
        del live[min(live, key=_latest(live))]
    return live


def _latest(table: dict[str, Buckets]) -> Callable[[str], tuple[int, str]]:
    """Rank values by the bucket of their latest event, then by name."""
    return lambda name: (table[name][-1][0], name)


def together(
    mine: Mapping[str, Buckets], theirs: Mapping[str, Buckets], counters: tuple[Counter, ...], now: int
) -> dict[str, Buckets]:
    """Return the counts of one person from two."""
    found = dict(mine)
    for counter in counters:
        if counter.by is None and counter.key in theirs:
            found[counter.key] = _sum(mine.get(counter.key, ()), theirs[counter.key], counter, now)
    return found


def together_by_value(
    mine: Mapping[str, Mapping[str, Buckets]],
    theirs: Mapping[str, Mapping[str, Buckets]],
    counters: tuple[Counter, ...],
    now: int,
) -> dict[str, dict[str, Buckets]]:
    """Return the counts by value of one person from two, of the latest values."""
    found = {key: dict(table) for key, table in mine.items()}
    for counter in counters:
        if counter.by is not None and counter.key in theirs:
            table, other = found.get(counter.key, {}), theirs[counter.key]
            both = {name: _sum(table.get(name, ()), other.get(name, ()), counter, now) for name in (*table, *other)}
            found[counter.key] = _latest_of(both, counter, now)
    return found


def _sum(mine: Buckets, theirs: Buckets, counter: Counter, now: int) -> Buckets:
    first = _first(counter.window_ms, now)
    found: dict[int, int] = {}
    for bucket, count in (*mine, *theirs):
        if bucket >= first:
            found[bucket] = found.get(bucket, 0) + count
    return tuple(sorted(found.items()))
