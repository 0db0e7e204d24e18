"""Which segments, steps of levels and thresholds of scores a customer is in: what the console counts by."""

import msgspec

from models.customer import Tracked


class Membership(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All that a customer is in from `at` (UTC ms of log time) on; names as `labels_of` makes them."""

    customer: str
    at: int
    names: tuple[str, ...] = ()


def labels_of(tracked: Tracked) -> tuple[str, ...]:
    """Return the names of all that a customer is in, sorted: a segment's, "level:step", or a score's "lead>=50"."""
    steps = (f"{level}:{step}" for level, step in tracked.levels.items() if step)
    return tuple(sorted((*tracked.segments, *steps)))


def moved(before: Tracked, after: Tracked) -> bool:
    """Say whether a customer is in something else than before."""
    if before.segments is after.segments and before.levels is after.levels:
        return False
    return before.segments != after.segments or before.levels != after.levels
