"""A difference as plain data that JSON can hold: times in ISO 8601; the one source of every report."""

from collections import Counter
from typing import Any

import msgspec

from models.command import Command
from pipeline.engine.plan import DAY_MS
from pipeline.replay.changes import KINDS, Change
from pipeline.replay.diff import Difference, Place, places
from pipeline.replay.guards import NO_VALUE, Guard, Value
from pipeline.replay.shown import value_text
from pipeline.replay.summary import summary
from pipeline.runtime.reading import command_view, iso
from pipeline.scenario.compile import read_settings
from pipeline.scenario.sources import OVERRIDES, PlanSources

SIDES = ("was", "now")
ENTRIES = frozenset({"enter", "unless"})


def figures_of(found: Difference, limit: int | None = None) -> dict[str, Any]:
    """Return all figures; `limit` is the share (1/10000) of messages over which the comparison fails."""
    was, now = found.total("was"), found.total("now")
    return {
        "live": found.live.hash,
        "draft": found.draft.hash,
        "until": iso(found.now.watermark),
        "events": sum(one.events for one in found.was.units),
        "messages": {"was": was, "now": now},
        "changed": found.changed,
        "share": _share(found.changed, was),
        "limit": None if limit is None else f"{limit / 100:g}%",
        "failed": limit is not None and found.over(limit),
        "kinds": {kind: found.of(kind) for kind in KINDS},
        "customers": {"any": found.differing, **{kind: found.customers[kind] for kind in KINDS}},
        "steps": _steps(found.sent),
        "days": _days(found),
        "changes": [_place(found, place) for place in places(found)],
        "settings": {"was": found.live.overrides, "now": found.draft.overrides},
        "texts": _texts(found.live, found.draft),
        "exact": {side: summary(one)["exact"] for side, one in (("was", found.was), ("now", found.now))},
        "scenarios": {side: summary(one)["scenarios"] for side, one in (("was", found.was), ("now", found.now))},
    }


def _share(count: int, of: int) -> str:
    if not of:
        return "all" if count else "0.0%"
    return f"{100 * count / of:.1f}%"


def _steps(sent: Counter[tuple[str, str, str, str]]) -> list[dict[str, Any]]:
    names = sorted({key[1:3] for key in sent})
    return [
        {
            "scenario": scenario,
            "step": step,
            **{side: sum(n for key, n in sent.items() if key[:3] == (side, scenario, step)) for side in SIDES},
        }
        for scenario, step in names
    ]


def _days(found: Difference) -> list[dict[str, Any]]:
    """Return the messages due on each day, from the first on which there is one to the last."""
    if not found.days:
        return []
    days = [day for _, day in found.days]
    return [
        {"day": str(iso(day * DAY_MS))[:10], **{side: found.days[side, day] for side in SIDES}}
        for day in range(min(days), max(days) + 1)
    ]


def _place(found: Difference, place: Place) -> dict[str, Any]:
    kind, scenario, step = place
    currency = read_settings(found.draft).store.currency
    reasons = {key[3]: count for key, count in found.reasons.items() if key[:3] == place}
    return {
        "kind": kind,
        "scenario": scenario,
        "step": step,
        "count": found.counts[place],
        "reasons": dict(sorted(reasons.items(), key=lambda row: (-row[1], row[0]))),
        "examples": [_example(change, currency) for change in found.examples[place]],
    }


def _example(change: Change, currency: str) -> dict[str, Any]:
    return {
        "customer": change.customer,
        "command": change.command.id,
        "due_at": iso(change.command.due_at),
        "event": change.command.reason.event_id,
        "reason": change.cause.reason,
        "why": change.cause.text,
        "fields": list(change.fields),
        "was": _command(change.was),
        "now": _command(change.now),
        "conditions": _conditions(change.guards, currency),
    }


def _command(command: Command | None) -> dict[str, Any] | None:
    """Return a message without the address: a report is passed on."""
    if command is None:
        return None
    found = command_view(msgspec.to_builtins(command))
    found.pop("address", None)
    return found


def _conditions(guards: dict[str, tuple[Guard, ...]], currency: str) -> dict[str, list[dict[str, Any]]]:
    """Return the conditions of each side; `alone` marks those by which the sides part."""
    alone = _alone(guards)
    return {
        side: [
            {
                "place": " ".join(part for part in (one.place, one.step) if part),
                "source": one.source,
                "at": iso(one.now),
                "held": one.held,
                "values": {value.text: _shown(value, currency) for value in one.values},
                "alone": one in alone[side],
            }
            for one in found
        ]
        for side, found in guards.items()
    }


def _alone(guards: dict[str, tuple[Guard, ...]]) -> dict[str, list[Guard]]:
    """Return what came out on one side alone; where the entry did, what follows from it is left out."""
    came = {side: {(one.place, one.source, one.held) for one in found} for side, found in guards.items()}
    found = {
        side: [one for one in mine if not _came(one, [came[other] for other in came if other != side])]
        for side, mine in guards.items()
    }
    if any(one.place in ENTRIES for mine in found.values() for one in mine):
        return {side: [one for one in mine if one.place in ENTRIES] for side, mine in found.items()}
    return found


def _came(one: Guard, others: list[set[tuple[str, str, bool | None]]]) -> bool:
    return any((one.place, one.source, one.held) in other for other in others)


def _shown(value: Value, currency: str) -> str:
    """Return a value as text; a report is passed on, so what people said of themselves stays out of it."""
    if value.missing:
        return NO_VALUE
    if "customer." in value.text and isinstance(value.value, str):
        return f"a text of {len(value.value)}"
    if isinstance(value.value, list | dict):
        return f"{len(value.value)} of them"
    return value_text(value.value, value.kind, currency)


def _texts(live: PlanSources, draft: PlanSources) -> list[str]:
    """Return the files of texts that differ: the same messages with other words."""
    names = sorted({*live.files, *draft.files})
    names = [one for one in names if not one.endswith(".yaml") and one != OVERRIDES]
    return [one for one in names if live.files.get(one) != draft.files.get(one)]
