"""The summary of a replay: from counts by key to what a person asks, as plain data that JSON can hold."""

from collections import Counter
from typing import Any

from pipeline.engine.plan import HOUR_MS
from pipeline.replay.spread import Replayed
from pipeline.runtime.reading import iso

Counts = Counter[tuple[str, ...]]


def summary(found: Replayed) -> dict[str, Any]:
    """Return the figures of a replay; times in ISO 8601, money in minor units of the store's currency."""
    counts = found.counts
    names = sorted({key[1] for key in counts if key[0] in {"entered", "not_entered", "sent", "suppressed", "inside"}})
    return {
        "events": sum(one.events for one in found.units),
        "customers": counts["customers",],
        "until": iso(found.watermark),
        "sent": sum(count for key, count in counts.items() if key[0] == "sent"),
        "exact": exact(counts),
        "scenarios": {name: _scenario(counts, name) for name in names},
        "messages_per_customer": _histogram(counts),
        "busiest_hour": _busiest(counts),
        "dead_letters": counts["dead_letters",],
    }


def _scenario(counts: Counts, name: str) -> dict[str, Any]:
    mine = {key: count for key, count in counts.items() if len(key) > 1 and key[1] == name and count}
    return {
        "entered": mine.get(("entered", name), 0),
        "held_out": mine.get(("held_out", name), 0),
        "waiting": mine.get(("inside", name), 0),
        "not_entered": {key[2]: count for key, count in sorted(mine.items()) if key[0] == "not_entered"},
        "sent": _nested(mine, "sent"),
        "busiest_hour": max((count for key, count in mine.items() if key[0] == "hour_of"), default=0),
        "suppressed": _nested(mine, "suppressed"),
        "waited": _nested(mine, "waiting"),
        "exits": {key[2]: count for key, count in sorted(mine.items()) if key[0] == "exited"},
        "completed": sum(count for key, count in mine.items() if key[0] == "completed"),
        "dropped": sum(count for key, count in mine.items() if key[0] == "dropped"),
        "failed": sum(count for key, count in mine.items() if key[0] == "failed"),
        "cancelled": {key[2]: count for key, count in sorted(mine.items()) if key[0] == "cancelled"},
        "goals": {
            "reached": mine.get(("goal", name, ""), 0),
            "value": mine.get(("goal_value", name, ""), 0),
            "held_out": mine.get(("goal", name, "held_out"), 0),
            "held_out_value": mine.get(("goal_value", name, "held_out"), 0),
        },
    }


def _nested(mine: dict[tuple[str, ...], int], kind: str) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for key, count in sorted(mine.items()):
        if key[0] == kind:
            found.setdefault(key[2], {})[key[3]] = count
    return found


def _histogram(counts: Counts) -> dict[str, int]:
    """Return how many customers got one message, two, and so on; "0" are those who are known and got none."""
    found = {int(key[1]): count for key, count in counts.items() if key[0] == "histogram"}
    none = counts["customers",] - sum(found.values())
    return {str(number): count for number, count in sorted({0: max(0, none), **found}.items())}


def _busiest(counts: Counts) -> dict[str, dict[str, Any]]:
    """Return the hour in which each channel would send most."""
    found: dict[str, dict[str, Any]] = {}
    for key, count in sorted(counts.items()):
        if key[0] == "hour" and count > found.get(key[1], {"messages": 0})["messages"]:
            found[key[1]] = {"from": iso(int(key[2]) * HOUR_MS), "messages": count}
    return found


def exact(counts: Counts) -> dict[str, Any]:
    """Return how much of what is sent rests on what customers did, and how much on reactions that nobody had."""
    supposed = {f"{key[1]}/{key[2]}": count for key, count in sorted(counts.items()) if key[0] == "supposed" and count}
    known = sum(count for key, count in counts.items() if key[0] == "exact")
    total = known + sum(supposed.values())
    return {
        "messages": known,
        "supposed": supposed,
        "share": f"{100 * known / total:.1f}%" if total else "100.0%",
        "reactions_left_out": counts["withheld",],
    }
