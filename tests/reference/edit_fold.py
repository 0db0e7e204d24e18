"""What an edit of the abandoned cart must give, worked out customer by customer from the words of the three policies.

It imports nothing of the project. A customer leaves one cart and may order later; the first version is
reminder, urgency, third, and the second has other waits and one message more. Times are UTC milliseconds.
"""

from dataclasses import dataclass

MINUTE = 60_000
HOUR, DAY = 60 * MINUTE, 24 * 60 * MINUTE
OLD = (("reminder", 45 * MINUTE), ("urgency", 23 * HOUR), ("third", 2 * DAY))
NEW = (("reminder", 30 * MINUTE), ("urgency", 11 * HOUR), ("nudge", DAY), ("third", DAY))


@dataclass(frozen=True)
class Shopper:
    """One customer: when the cart was left, and when they ordered, if they did."""

    name: str
    left: int
    ordered: int | None = None


Row = tuple[str, str, int]  # (version, step, when it is due)


def _from(version: str, steps: tuple[tuple[str, int], ...], begin: int) -> list[Row]:
    """Return the steps of a version, each after its wait from the one before."""
    found, at = [], begin
    for step, wait in steps:
        at += wait
        found.append((version, step, at))
    return found


def _migrated(left: int, edited: int) -> list[Row]:
    """Return what somebody gets who was inside at the edit: what was due before it, then on from there by the new one.

    The wait in which they stand began when the step before was done, and is over at the edit at the earliest.
    """
    before = [row for row in _from("old", OLD, left) if row[2] < edited]
    if len(before) == len(OLD):
        return before
    done = before[-1][1] if before else None
    left_at = before[-1][2] if before else left
    place = 0 if done is None else [step for step, _ in NEW].index(done) + 1
    step, wait = NEW[place]
    first = max(left_at + wait, edited)
    return [*before, ("new", step, first), *_from("new", NEW[place + 1 :], first)]


def explained(one: Shopper, edited: int, policy: str) -> list[Row]:
    """Return the messages that a customer gets under a policy, if the edit is made at a time."""
    if one.left >= edited:
        rows = [] if policy == "drain" else _from("new", NEW, one.left)
    elif policy == "migrate":
        rows = _migrated(one.left, edited)
    else:
        rows = _from("old", OLD, one.left)
    # At the same millisecond the order wins.
    return [row for row in rows if one.ordered is None or row[2] < one.ordered]
